"""docs/formats.md is true: its examples are read by the gate's own reader, its table names every target and status."""

import json
import re
from pathlib import Path

import pytest

from edge.authority import profiles, requests
from edge.authority.sources import read_strictly
from edge.trust import paths
from tests.simulators.repository import NOW

DOCUMENT = (Path(__file__).parents[2] / "docs/formats.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"### (\S+\.json)\n\n```json\n(.*?)```", DOCUMENT, re.DOTALL))
NATIONAL = paths.NATIONAL


@pytest.mark.parametrize("path", [*NATIONAL, "issuers/ID/keys.json"])
def test_the_example_of_every_target_is_read(path: str) -> None:
    """Every member known, every value in bounds."""
    read_strictly(path.replace("ID", "44"), EXAMPLES[path].encode())


@pytest.mark.parametrize("path", [*NATIONAL, "issuers/ID/keys.json", "issuers/ID/status/N.cbor"])
def test_the_table_lists_every_target(path: str) -> None:
    """A row each, and whether a gate takes it."""
    (needed,) = re.findall(rf"\| `{re.escape(path)}` \|[^|]+\| ([^|]+) \|", DOCUMENT)

    assert (needed != "no") == paths.is_gate_target(path.replace("ID", "44").replace("/N.", "/1."))


def test_every_member_of_the_policy_is_explained() -> None:
    """The table below the example."""
    members = json.loads(EXAMPLES[paths.POLICY]).keys() - {"schema"}

    assert [name for name in sorted(members) if f"| `{name}` |" not in DOCUMENT] == []


STATUSES = DOCUMENT.partition("## An entry of the scan log")[0]


def test_the_table_of_statuses_is_that_of_the_profiles() -> None:
    """Each number of a ready profile stands in the table with its issuers."""
    table = {
        number: owners
        for numbers, owners in re.findall(r"\| (\d+(?: to \d+)?) \| [^|]+ \| ([^|]+) \|", STATUSES)
        for number in _numbers(numbers)
    }
    for profile in profiles.profiles():
        for row in profile.statuses:
            if row.status is not None:
                owners = table[row.status]
                assert profile.id in owners.split(", ") or owners.startswith("all but `trip`")


def _numbers(text: str) -> range:
    first, _, last = text.partition(" to ")
    return range(int(first), int(last or first) + 1)


def test_the_example_requests_are_read() -> None:
    """As `--holder-file` and `--batch` take them."""
    (block,) = re.findall(r"one a line:\n\n```json\n(.*?)```", DOCUMENT, re.DOTALL)

    found = [requests.request(requests.parse(line), NOW).issuer for line in block.splitlines()]

    assert found == ["44", "trip", "11"]
