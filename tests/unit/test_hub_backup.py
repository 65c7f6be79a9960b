"""Backups of a hub: whole, without private parts, taken while it serves; and their return."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.hub import hub as hub_command
from edge.errors import ConfigError, EdgeError, LedgerError, LogDamaged, SetupError
from edge.hub import backup, folder
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.model.scan import Receipt
from tests.simulators.hub_gates import START_MS, Clock, Device, begin, enrol, post


@pytest.fixture
def gate(hub: Hub, desk: Desk) -> Device:
    """An enrolled gate with nine scans held."""
    made = Device()
    enrol(hub, desk, made)
    made.scan(9)
    post(hub, made.batches(3))
    hub.settle()
    return made


def quiet(_done: int, _whole: int) -> None:
    """Say nothing."""


def saved(desk: Desk, file: Path) -> backup.Made:
    """Write a backup."""
    return backup.back_up(desk.home, file, quiet, START_MS)


def test_a_backup_of_a_serving_hub_holds_the_ledger_and_no_private_part(
    hub: Hub, desk: Desk, gate: Device, tmp_path: Path
) -> None:
    """No token is anywhere in its bytes, freed pages included; nobody but the hub's user reads it."""
    made = saved(desk, tmp_path / "copy.db")

    with hub.store.reader() as connection:
        (part,) = connection.execute("SELECT part FROM private LIMIT 1").fetchone()
    content = (tmp_path / "copy.db").read_bytes()
    assert made.hub_seq == len(gate.entries)
    assert part not in content
    assert part in (desk.home.database.read_bytes() + desk.home.database.with_name("hub.db-wal").read_bytes())
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert {one.name for one in tmp_path.iterdir()} == {"copy.db", "hub"}


def test_a_backup_is_one_state_however_much_is_posted_meanwhile(
    hub: Hub, desk: Desk, gate: Device, tmp_path: Path
) -> None:
    """What comes between two of its steps is not in it, and does not make it begin again."""
    told: list[int] = []

    def meanwhile(done: int, _whole: int) -> None:
        told.append(done)
        gate.scan(3)
        post(hub, [gate.batch(len(gate.entries) - 2, len(gate.entries))])

    made = backup.back_up(desk.home, tmp_path / "copy.db", meanwhile, START_MS)

    assert made.hub_seq == 9
    assert told
    assert told == sorted(told)


def test_a_restored_hub_is_the_one_that_was_saved_and_names_who_may_be_ahead(
    hub: Hub, desk: Desk, gate: Device, tmp_path: Path
) -> None:
    """The lost database comes back, and the hub goes on."""
    saved(desk, tmp_path / "copy.db")
    hub.close()
    desk.home.database.unlink()

    done = backup.restore(tmp_path / "copy.db", desk.home.path, quiet)

    assert (done.hub_seq, done.entries, done.aside) == (9, 9, None)
    assert [(one.gate, one.held) for one in done.ahead] == [(gate.gate, 9)]
    gate.scan(2)
    again = Hub.open(desk.home.path, clock=Clock())
    found = post(again, [gate.batch(10, 11)])[0]
    again.close()
    assert isinstance(found, Receipt)


def test_a_restore_refuses_a_folder_that_is_ahead(hub: Hub, desk: Desk, gate: Device, tmp_path: Path) -> None:
    """Receipts were given for more than the backup has; a database that is not ahead is moved aside."""
    saved(desk, tmp_path / "copy.db")
    gate.scan(2)
    post(hub, [gate.batch(10, 11)])
    saved(desk, tmp_path / "newer.db")
    hub.close()

    with pytest.raises(LedgerError, match="holds 11 entries, the backup 9"):
        backup.restore(tmp_path / "copy.db", desk.home.path, quiet)
    done = backup.restore(tmp_path / "newer.db", desk.home.path, quiet)

    assert done.aside is not None
    assert done.aside.exists()


def test_a_restore_refuses_the_backup_of_another_hub(hub: Hub, gate: Device, desk: Desk, tmp_path: Path) -> None:
    """Its receipts are another's."""
    saved(desk, tmp_path / "copy.db")
    other = begin(tmp_path / "other", Clock())

    with pytest.raises(ConfigError, match="another hub"):
        backup.restore(tmp_path / "copy.db", other.home.path, quiet)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def _junk(file: Path) -> None:
    file.write_bytes(b"not a database" * 99)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _changed(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE batches SET wire = (SELECT wire FROM batches ORDER BY id DESC) WHERE id = 1")
        connection.commit()


def _another(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE a(b)")
        connection.commit()


@pytest.mark.parametrize("spoil", [_cut, _junk, _empty, _changed, _another])
def test_a_spoiled_backup_is_refused_and_the_folder_stays_as_it_was(
    hub: Hub, desk: Desk, gate: Device, tmp_path: Path, spoil: object
) -> None:
    """Whatever was done to it, the former database is not touched and nothing is left lying."""
    saved(desk, tmp_path / "copy.db")
    hub.close()
    before = {one.name: one.read_bytes() for one in desk.home.path.iterdir()}
    assert callable(spoil)
    spoil(tmp_path / "copy.db")

    with pytest.raises(LogDamaged):
        backup.restore(tmp_path / "copy.db", desk.home.path, quiet)

    assert {one.name: one.read_bytes() for one in desk.home.path.iterdir()} == before
    assert gate.gate


def test_a_backup_that_cannot_be_written_leaves_nothing_behind(desk: Desk, tmp_path: Path) -> None:
    """The message says what to do."""
    with pytest.raises(EdgeError, match="cannot be written"):
        saved(desk, tmp_path / "missing" / "copy.db")
    assert [one.name for one in tmp_path.iterdir()] == ["hub"]


def test_the_commands_tell_what_was_kept_and_who_may_be_ahead(
    hub: Hub, desk: Desk, gate: Device, tmp_path: Path
) -> None:
    """From the command line, in words and as JSON."""
    path, copy = str(desk.home.path), str(tmp_path / "copy.db")
    runner = CliRunner()
    made = runner.invoke(hub_command, ["backup", path, copy, "--json"], catch_exceptions=False)
    hub.close()

    done = runner.invoke(hub_command, ["restore", copy, path], catch_exceptions=False)

    assert '"hub_seq": 9' in made.output
    assert gate.gate.hex()[:8] in done.output
    assert "--after 9" in done.output
    assert (desk.home.path / f"{folder.DATABASE}.before-restore-1").exists()


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB, or skip where this user may not mount."""
    place = tmp_path / "tiny"
    place.mkdir()
    if os.system(f"mount -t tmpfs -o size=64k tmpfs {place} 2>/dev/null") != 0:  # noqa: S605
        pytest.skip("this user may not mount")
    yield place
    os.system(f"umount {place}")  # noqa: S605


def test_a_full_disk_is_that_of_the_backup_and_not_the_hubs(desk: Desk, tiny: Path) -> None:
    """The message names the file that has no room; the ledger is fine, and nothing half-made stays."""
    with pytest.raises(SetupError, match=rf"The backup {tiny}/copy\.db cannot be written: .*No space left"):
        saved(desk, tiny / "copy.db")
    assert not list(tiny.iterdir())
