"""Every public case through the runner: right, or exempt by a clause; and what the runner itself promises."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.verify import verify
from edge.conformance.adapters import ADAPTERS
from edge.conformance.runner import exemptions, run, table
from edge.errors import ConfigError

HERE = Path(os.environ.get("EDGE_CONFORMANCE_DIR") or Path(__file__).parents[3] / "conformance")
LEAST = {
    "dcc": 460,
    "dccqa": 265,
    "nzcp": 7,
    "shc": 43,
    "claim169": 18,
    "status-list": 7,
    "signatures": 909,
    "certlogic": 232 + 23,
    "pretix": 5,
    "vdsnc": 3,
    "twoddoc": 1,
    "aadhaar": 3,
}
"""Cases a folder has: fewer would mean that some were not read."""


def judged(name):
    """The rows of a public folder."""
    if not (HERE / name).is_dir():
        pytest.skip(f"there are no public cases at {HERE / name}; name their folder with EDGE_CONFORMANCE_DIR")
    return list(run(HERE / name))


@pytest.mark.parametrize("name", LEAST)
def test_every_public_case_comes_as_expected_or_contradicts_a_clause(name):
    """None fails, none is left out."""
    rows = judged(name)

    assert [row.told() for row in rows if not (row.ok or row.exempt)] == []
    assert len(rows) >= LEAST[name]


def test_no_exemption_is_left_over():
    """A case that comes as expected needs none; one that is not in this folder names the version that was read."""
    rows = {(row.format, row.id): row for name in LEAST for row in judged(name)}

    for place, exemption in exemptions().items():
        if not exemption.read_at:
            assert rows[place].differing() == exemption.members
        assert (place in rows) is not bool(exemption.read_at)


def lines(folder, *cases):
    """A folder of cases."""
    folder.mkdir(exist_ok=True)
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    return folder


def test_a_case_that_no_adapter_takes_fails(tmp_path):
    """Nothing is passed over in silence."""
    (row,) = run(lines(tmp_path / "new", {"id": "x", "unheard_of": 1}))

    assert not row.ok
    assert not row.exempt


def test_a_case_is_known_by_its_members_under_any_name_of_its_folder(tmp_path):
    """Neither id nor folder choose the adapter."""
    rows = list(run(lines(tmp_path / "zzz", {"id": "1", "qr": "HC1:", "expect": "decodes"}).parent))

    assert [(row.format, row.ok) for row in rows] == [("hcert", False)]


@pytest.mark.parametrize(
    ("document", "ids"),
    [
        ([{"a": 1}, {"a": 2, "id": "x"}], ["s/0", "s/x"]),
        ({"id": "one", "a": 1}, ["one"]),
        ({"testGroups": [{"k": 1, "tests": [{"tcId": 7}]}]}, ["s/7"]),
        ({"cases": [{"k": 1, "assertions": [{"a": 1}, {"a": 2}]}, {"k": 2}]}, ["s/0.0", "s/0.1", "s/1"]),
        ({"$schema": "x"}, []),
    ],
)
def test_a_suite_is_read_by_its_form(tmp_path, document, ids):
    """Rows, one case, groups that share members, also in folders further below; a schema holds none."""
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "deep" / "deeper" / "s.json").write_text(json.dumps(document))

    assert [row.id for row in run(tmp_path)] == ids


@pytest.mark.parametrize("groups", [[1], [{"assertions": [1]}]])
def test_a_suite_whose_groups_are_none_is_refused_by_name(tmp_path, groups):
    """As a line that is no case."""
    (tmp_path / "s.json").write_text(json.dumps({"cases": groups}))
    with pytest.raises(ConfigError, match="holds a group"):
        list(run(tmp_path))


@pytest.mark.parametrize("content", [None, "{", "\x00"])
def test_a_folder_without_readable_cases_is_refused_by_name(tmp_path, content):
    """Missing, cut off, no text."""
    if content is not None:
        (tmp_path / "cases.jsonl").write_text(content)
    with pytest.raises(ConfigError, match=str(tmp_path)):
        list(run(tmp_path))


def test_the_command_prints_a_row_a_case_and_fails_with_the_first_failure(tmp_path):
    """`edge verify --conformance DIR --json`."""
    folder = lines(tmp_path / "some", {"id": "a", "qr": "HC1:", "expect": "decodes"})

    told = CliRunner().invoke(verify, ["--conformance", str(folder), "--json"])
    table_ = CliRunner().invoke(verify, ["--conformance", str(folder)])

    assert json.loads(told.stdout) == {
        "format": "hcert",
        "id": "a",
        "expected": {"parses": True},
        "got": {"parses": False},
        "ok": False,
        "exempt": "",
    }
    assert (told.exit_code, table_.exit_code) == (1, 1)
    assert "FAILED  hcert  a  parses" in table_.stdout


def test_inputs_and_cases_exclude_each_other():
    """One thing at a time, and one at least."""
    assert CliRunner().invoke(verify, []).exit_code == 2
    assert CliRunner().invoke(verify, ["x", "--conformance", "y"]).exit_code == 2


def test_each_adapter_has_a_name_of_its_own():
    """Rows and exemptions are told apart by it."""
    assert len({adapter.format for adapter in ADAPTERS}) == len(ADAPTERS)


def test_the_table_counts_every_row(tmp_path):
    """Passed, failed, exempt."""
    rows = list(run(lines(tmp_path / "some", {"id": "a", "qr": "HC1:", "expect": "x"}, {"id": "b", "other": 1})))

    assert table(rows) == [("hcert", 0, 1, 0), ("unknown", 0, 1, 0)]
