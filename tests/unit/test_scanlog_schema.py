"""How the scan log's tables grow: forwards only, whole or not at all, with a backlog pending."""

import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from edge.errors import LogDamaged, SetupError
from edge.ledger import facts
from edge.scanlog import schema
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from tests.simulators.ledger import EPOCH, entries, filled, scan

NEWEST = schema.STEPS[-1].number


def old_log(path: Path, count: int) -> None:
    """Make a log as a program of the first step left it, with `count` entries that nobody has pushed."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    schema.migrate(Database(connection), path, EPOCH, schema.STEPS[:1])
    for entry in entries(count):
        connection.execute(
            "INSERT INTO scan VALUES (?, ?, ?, ?, ?, NULL)",
            (entry.seq, facts.decode(entry.body).at_ms, entry.body, entry.head, entry.token),
        )
    connection.close()


def connect(path: Path) -> Database:
    """Open the file behind the log's back."""
    return Database(sqlite3.connect(path, isolation_level=None))


def test_steps_are_numbered_without_a_gap() -> None:
    """A file's step number says exactly which steps ran on it."""
    assert list(range(1, NEWEST + 1)) == [step.number for step in schema.STEPS]
    assert all(step.needs <= step.number for step in schema.STEPS)


def test_an_old_log_with_a_backlog_is_brought_forward(tmp_path: Path) -> None:
    """No entry changes, the epoch stays, the chain goes on, and the file then has every table and guard."""
    path = tmp_path / "scans.db"
    old_log(path, 700)

    log = ScanLog.open(path)

    assert entries(700) == log.entries(1, 1000)
    assert log.head.epoch == EPOCH
    assert log.append(scan(701)).seq == 701
    assert log.head == log.verify() == ScanLogReader(path).verify()
    log.close()


def test_an_old_log_is_read_before_it_is_migrated(tmp_path: Path) -> None:
    """The parts of a gate start in any order: a reader does not wait for the writer to bring the file forward."""
    path = tmp_path / "scans.db"
    old_log(path, 20)

    assert entries(20) == ScanLogReader(path).entries(1, 100)
    assert ScanLogReader(path).verify().seq == 20


def test_a_step_that_fails_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    """All steps are one transaction: a power cut or an error in the middle changes nothing."""
    path = tmp_path / "scans.db"
    old_log(path, 20)

    def broken(db: Database) -> None:
        db.execute("ALTER TABLE scan ADD COLUMN extra BLOB")
        db.execute("INSERT INTO nowhere VALUES (1)")

    db = connect(path)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        schema.migrate(db, path, EPOCH, (*schema.STEPS, schema.Step(NEWEST + 1, 1, broken)))

    meta = schema.read_meta(db, path)
    assert meta is not None
    assert meta.schema == 1
    assert sorted(row[1] for row in db.execute("PRAGMA table_info(scan)")) == [
        "at_ms",
        "body",
        "head",
        "sealed",
        "seq",
        "token",
    ]
    db.close()
    log = ScanLog.open(path)
    assert entries(20) == log.entries(1, 100)
    log.close()


def newer_log(path: Path, needs: int) -> None:
    """Make a log as the next release leaves it: a column and a table more."""

    def step(db: Database) -> None:
        db.execute("ALTER TABLE scan ADD COLUMN extra BLOB")
        db.execute("ALTER TABLE meta ADD COLUMN extra BLOB")
        db.execute("CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT")

    filled(path, 20).close()
    db = connect(path)
    schema.migrate(db, path, EPOCH, (*schema.STEPS, schema.Step(NEWEST + 1, needs, step)))
    db.close()


def test_the_previous_slot_goes_on_with_a_log_of_the_next_release(tmp_path: Path) -> None:
    """After an update is taken back, an additive newer log is still read and written."""
    path = tmp_path / "scans.db"
    newer_log(path, needs=1)

    log = ScanLog.open(path)

    assert log.append(scan(21)).seq == 21
    assert log.head == log.verify() == ScanLogReader(path).verify()
    log.close()


def test_a_log_this_program_would_misread_is_left_alone(tmp_path: Path) -> None:
    """A newer log that is not additive is refused by writer and reader, with what to do, and not a byte changes."""
    path = tmp_path / "scans.db"
    newer_log(path, needs=NEWEST + 1)
    before = path.read_bytes()

    for ask in (lambda: ScanLog.open(path), lambda: ScanLogReader(path).head, lambda: ScanLogReader(path).verify()):
        with pytest.raises(SetupError, match="made by a newer version") as refused:
            ask()
        assert "Install the newer version" in refused.value.next_step

    assert before == path.read_bytes()


def test_another_program_s_database_is_not_taken_for_a_new_log(tmp_path: Path) -> None:
    """A file with other tables is refused and left as it is."""
    path = tmp_path / "scans.db"
    db = connect(path)
    db.execute("CREATE TABLE other (id INTEGER)")
    db.close()
    before = path.read_bytes()

    with pytest.raises(LogDamaged, match="no scan log"):
        ScanLog.open(path)
    with pytest.raises(LogDamaged, match="no scan log"):
        _ = ScanLogReader(path).head

    assert before[100:] == path.read_bytes()[100:]


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TRIGGER scan_is_never_edited",
        "CREATE TRIGGER more AFTER INSERT ON scan BEGIN DELETE FROM warm; END",
        "CREATE TABLE more (id INTEGER)",
        "ALTER TABLE scan ADD COLUMN more BLOB",
        "ALTER TABLE scan RENAME COLUMN sealed TO other",
    ],
)
def test_tables_that_are_not_ours_are_found(tmp_path: Path, sql: str) -> None:
    """A guard taken off, or a trigger slipped in, is met at start and by verify."""
    path = tmp_path / "scans.db"
    filled(path, 5).close()
    db = connect(path)
    db.execute(sql)
    db.close()

    for ask in (lambda: ScanLog.open(path), lambda: ScanLogReader(path).verify()):
        with pytest.raises(LogDamaged, match="tables of the scan log"):
            ask()


@pytest.mark.parametrize(
    "change",
    [
        "epoch = x'0000000000000000'",
        "epoch = x'00'",
        "purged_seq = 3",
        "purged_head = zeroblob(33)",
        "needs = 0",
        "schema = 1",
        "digest = zeroblob(32)",
    ],
)
def test_a_changed_row_about_the_log_is_found(tmp_path: Path, change: str) -> None:
    """A flipped bit must not turn the log into another one, or its beginning into another place."""
    path = tmp_path / "scans.db"
    filled(path, 5).close()
    db = connect(path)
    db.execute(f"UPDATE meta SET {change}")  # noqa: S608 - from the list above
    db.close()

    for ask in (lambda: ScanLog.open(path), lambda: ScanLogReader(path).head):
        with pytest.raises(LogDamaged, match="row about the scan log"):
            ask()
