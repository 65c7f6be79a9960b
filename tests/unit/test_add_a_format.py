"""docs/add-a-format.md is run as it stands: its file, its line, its cases."""

import re
import sys
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.conformance.runner import run
from edge.credentials.format import Format
from edge.errors import CredentialError
from edge.model.credential import PassKind
from edge.model.trust import EDDSA, Anchor
from edge.model.verdict import Outcome
from tests.simulators.foreign import HOLDER
from tests.simulators.tickets import admitting, judged
from tests.simulators.world import DAY, ISSUED

PAGE = (Path(__file__).parents[2] / "docs/add-a-format.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MODULE = "edge.credentials.library"


def block(kind: str, number: int = 0) -> str:
    """A block of the page."""
    return [text for name, text in BLOCKS if name == kind][number]


@pytest.fixture(scope="module")
def shown() -> Iterator[Format]:
    """The page's format, found by the page's entry point."""
    sys.modules[MODULE] = module = ModuleType(MODULE)
    exec(compile(block("python"), MODULE, "exec"), module.__dict__)  # noqa: S102  # the page itself
    ((name, value),) = tomllib.loads(block("toml"))["project"]["entry-points"]["edge.credentials"].items()
    yield EntryPoint(name, value, "edge.credentials").load()
    del sys.modules[MODULE]


def test_the_page_is_short():
    """Under a hundred lines of code, and of page but little more."""
    assert sum(text.count("\n") for _, text in BLOCKS) < 100
    assert PAGE.count("\n") < 110


def test_its_cases_come_as_expected(shown, tmp_path):
    """Through the runner and the adapter of the page."""
    assert shown.name == "library"
    (tmp_path / "cases.jsonl").write_text(block("json"))
    space: dict[str, object] = {}
    exec(compile(block("python", 1), "adapter", "exec"), space)  # noqa: S102  # the page itself
    rows = list(run(tmp_path, [space["LibraryCases"]()]))

    assert [(row.id, row.ok) for row in rows] == [("member", True), ("run out", True)]


def cards() -> tuple[bytes, Anchor]:
    """The page's card, and an anchor of its key."""
    row = re.search(r'"qr": "([^"]+)", "key": "([0-9a-f]{64})"', block("json"))
    key = bytes.fromhex(row[2])
    kinds = frozenset({PassKind.TICKET})
    return row[1].encode(), Anchor(
        HOLDER, "library", "XL", b"lib1", EDDSA, key, kinds, ISSUED - 100 * DAY, ISSUED + DAY
    )


def test_a_gate_accepts_its_card_and_no_changed_one(shown):
    """By policy and matrix, with no other line changed; each place of the code."""
    raw, anchor = cards()
    trust = admitting(anchor)
    accepted = judged(raw, shown, trust)

    assert accepted.outcome is Outcome.ACCEPT
    for place in range(len(raw)):
        spoilt = raw[:place] + bytes((raw[place] ^ 1,)) + raw[place + 1 :]
        found = judged(spoilt, shown, trust)
        assert not found.is_authentic or found.presentation.identity == accepted.presentation.identity


@given(raw=st.binary(max_size=200))
def test_it_keeps_the_promises_of_a_format(shown, raw):
    """Any bytes: a credential or a refusal."""
    for shape in (raw, b"LIB1:" + raw):
        assert isinstance(shown.recognises(shape), bool)
        with suppress(CredentialError):
            assert shown.parse(shape).format == "library"
