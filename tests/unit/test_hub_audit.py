"""What is read by a command at the hub's machine is on record: who, what, how much, up to where."""

import getpass
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.hub import hub as hub_command
from edge.errors import ConfigError
from edge.hub import person
from edge.hub.desk import Desk
from edge.hub.export import Task
from edge.hub.hub import Hub
from tests.simulators.hub_gates import Clock, Device, post

DAY = "2026-11-18"


@pytest.fixture
def desk(desk: Desk, clock: Clock) -> Desk:
    """A hub at whose machine Anna gives the commands."""
    return Desk(desk.home.path, clock=clock, who=lambda: "anna")


@pytest.fixture
def gate(hub: Hub, gate: Device) -> Device:
    """A gate with twelve scans at the hub, and a cloned card."""
    gate.scan(12)
    twin = gate.clone(0)
    twin.scan(3, issuer="4403")
    post(hub, [*gate.batches(5), twin.batch(1, 3)])
    return gate


def recorded(desk: Desk) -> list[tuple[str, str, str, int, int]]:
    """Return role, person, what, rows and last of each row of the audit, the oldest first."""
    return [(one["role"], one["peer"], one["what"], one["rows"], one["last"]) for one in reversed(desk.pulls(100))]


def test_an_export_is_on_record(desk: Desk, gate: Device, tmp_path: Path) -> None:
    """With its days and views, how many scans it came to and the last of them."""
    desk.export_ledger(Task(tmp_path / "all", (), ("csv",)), lambda *_: None)
    desk.export_ledger(Task(tmp_path / "day", (DAY,)), lambda *_: None)

    assert recorded(desk) == [
        ("local", "anna", "export csv", 12, 12),
        ("local", "anna", f"export {DAY} ndjson csv", 12, 12),
    ]


def test_a_statement_of_coverage_is_on_record(desk: Desk, gate: Device) -> None:
    """With its day and how many gates it speaks of."""
    desk.coverage(DAY)

    assert recorded(desk) == [("local", "anna", f"coverage {DAY}", 1, 0)]


def test_evidence_is_on_record(desk: Desk, gate: Device, tmp_path: Path) -> None:
    """With how many pieces of it were written."""
    count = desk.export(tmp_path / "evidence")

    assert recorded(desk) == [("local", "anna", "evidence", count, 0)]
    assert count > 0


def test_what_broke_off_is_on_record_without_a_count(desk: Desk, gate: Device, tmp_path: Path) -> None:
    """For what left before it broke nobody knows."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diary.txt").write_text("dear diary")
    with pytest.raises(ConfigError):
        desk.export_ledger(Task(tmp_path / "out"), lambda *_: None)

    assert recorded(desk) == [("local", "anna", "export ndjson csv", 0, 0)]


def test_the_commands_name_who_gives_them(desk: Desk, gate: Device, tmp_path: Path) -> None:
    """In the table of the audit, beside the pulls over the network."""
    home, run = str(desk.home.path), CliRunner().invoke
    run(hub_command, ["export", home, "--out", str(tmp_path / "out"), "--view", "csv"], catch_exceptions=False)
    run(hub_command, ["coverage", DAY, "--dir", home], catch_exceptions=False)
    run(hub_command, ["incidents", home, "--export", str(tmp_path / "evidence")], catch_exceptions=False)
    told = json.loads(run(hub_command, ["audit", home, "--json"], catch_exceptions=False).stdout)

    assert [one["what"] for one in told] == ["evidence", f"coverage {DAY}", "export csv"]
    assert {getpass.getuser() in one["peer"] for one in told} == {True}


@pytest.mark.parametrize(
    ("login", "name"),
    [
        ("0", "root"),
        ("4294967295", "root"),
        (None, "root"),
        ("x", "root"),
        ("1", "daemon as root"),
        ("99999", "uid 99999 as root"),
    ],
)
def test_who_logged_in_is_named_whatever_he_became(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str | None, name: str
) -> None:
    """By what the kernel keeps of the login; where nobody logged in, by the user the command runs as."""
    file = tmp_path / "loginuid"
    if login is not None:
        file.write_text(login)
    monkeypatch.setattr(person, "_LOGGED_IN", file)
    monkeypatch.setattr(person.os, "geteuid", lambda: 0)

    assert person.name() == name
