"""Connections to the scan log's file, and SQLite's errors as ours.

One writer (WAL, every commit synced) and any number of readers that cannot write. Which rows are written is left to
`edge.scanlog.log`.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from edge.disk.lockfile import LockFile
from edge.errors import LedgerError, LogDamaged, LogUnwritable
from edge.scanlog.schema import ASIDE

PAGE_BYTES: Final = 1024
"""An entry has about 110 bytes: a small page is less to write, hash and sync for one (ADR 0007)."""
WAL_BYTES: Final = 1 << 20
"""The write-ahead log has this length from the start and is copied into the database at the latest when it is full."""
_FRAME_BYTES: Final = PAGE_BYTES + 24
WAL_FRAMES: Final = WAL_BYTES // _FRAME_BYTES
FOREIGN: Final = (sqlite3.Error, OSError, OverflowError, MemoryError, UnicodeDecodeError)
"""What reading a damaged file may raise."""
_BUSY_S: Final = 1.0
_FULL: Final = 2
_CORRUPT: Final = frozenset(
    (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT, sqlite3.SQLITE_ERROR)
)
_SPACE: Final = "Free space in that folder: df -h, then journalctl --vacuum-size=50M."
_NEXT: Final = {
    sqlite3.SQLITE_FULL: ("the disk is full", _SPACE),
    sqlite3.SQLITE_READONLY: (
        "it is read-only",
        "Check the card: a file system that met errors is mounted read-only (dmesg | tail).",
    ),
    sqlite3.SQLITE_IOERR: ("the disk or card reports errors", f"Look at dmesg | tail and replace the card. {_SPACE}"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "Check that the folder exists and belongs to the gate's user."),
    sqlite3.SQLITE_PERM: ("this user may not", "Check that the folder belongs to the gate's user."),
    sqlite3.SQLITE_BUSY: ("another program holds it", "Stop whatever else uses the file (fuser -v FILE)."),
    sqlite3.SQLITE_CONSTRAINT: (
        "another program wrote to it",
        "Stop the gate, see that only one runs, check with edge scans verify, then start it.",
    ),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "Check it with edge scans verify."),
    sqlite3.SQLITE_NOTADB: ("it is damaged", "Check it with edge scans verify."),
}


def wal_of(path: Path) -> Path:
    """Return the path of the write-ahead log beside a database."""
    return path.with_name(path.name + "-wal")


def lock_of(path: Path) -> Path:
    """Return the path of the lock beside a database."""
    return path.with_name(path.name + ".lock")


def take_lock(path: Path) -> LockFile:
    """Return the lock that says: this process is the one writer.

    Raises:
        LogUnwritable: Another process writes this log, or the folder cannot be written to.
    """
    try:
        lock = LockFile(lock_of(path))
        is_ours = lock.take()
    except OSError as bad:
        raise LogUnwritable(
            f"The scan log {path} cannot be written: {bad.strerror}.",
            "Check that the folder exists, is not read-only and belongs to the gate's user.",
        ) from bad
    if not is_ours:
        holder = lock.holder()
        lock.close()
        raise LogUnwritable(
            f"Another process{f' ({holder})' if holder else ''} writes the scan log {path} already.",
            "Stop the other gate: systemctl status edge-scanner.",
        )
    return lock


def connect_writer(path: Path) -> Database:
    """Return the writer's connection: WAL, every commit synced, erased bytes overwritten.

    Raises:
        LogDamaged: The file is no database, or its first part is gone.
        LogUnwritable: It cannot be written here.
    """
    _refuse_orphan(path)
    try:
        # Made here, so that the tokens in it are nobody else's to read; SQLite gives its other files the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
    except OSError as bad:
        raise LogUnwritable(
            f"The scan log {path} cannot be written: {bad.strerror}.",
            "Check that it is not read-only and belongs to the gate's user (dmesg | tail shows a failing card).",
        ) from bad
    try:
        return _prepared(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None), path)
    except sqlite3.Error as bad:
        raise refused(bad, path) from bad


def _prepared(connection: sqlite3.Connection, path: Path) -> Database:
    try:
        db = Database(connection, execute_plugins=False)
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # holds for a file that is made now
        _make_durable(db, path)
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_FRAMES}").fetchone()
        db.execute("PRAGMA secure_delete = ON").fetchone()
        _distrust(db)
    except BaseException:
        connection.close()
        raise
    return db


def _make_durable(db: Database, path: Path) -> None:
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    db.execute("PRAGMA synchronous = FULL")
    # With less than FULL a power cut takes back entries that were shown as recorded (ADR 0007).
    if mode != "wal" or db.execute("PRAGMA synchronous").fetchone()[0] != _FULL:
        raise LogUnwritable(
            f"The file system of {path} cannot keep a write-ahead log.", "Put the gate's state on a local disk."
        )


def _distrust(db: Database) -> None:
    """Have SQLite believe a file less: one on a stick or a failing card may be anything."""
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA cell_size_check = ON")


def _refuse_orphan(path: Path) -> None:
    """Refuse to begin a log where a part of one still lies: SQLite would write over it or delete it."""
    wal, journal = wal_of(path), path.with_name(path.name + "-journal")
    size = path.stat().st_size if path.exists() else 0
    if size == 0 and wal.exists() and wal.stat().st_size > 0:
        raise LogDamaged(f"The scan log {path} is gone, but {wal.name} beside it still holds entries.", ASIDE)
    # With a journal beside it, it is a log whose making was cut short: SQLite takes that back by itself.
    if 0 < size < PAGE_BYTES and not journal.exists():
        raise LogDamaged(f"The scan log {path} is cut short.", ASIDE)


@contextlib.contextmanager
def connect_reader(path: Path) -> Iterator[Database | None]:
    """Open a connection that cannot write, at one state of the log; None where there is no file yet.

    Raises:
        LedgerError: It cannot be read now; `LogDamaged` where it is damaged.
    """
    connection = None
    try:
        _refuse_orphan(path)
        if not path.exists() or path.stat().st_size == 0:
            yield None
            return
        how = "?mode=ro&immutable=1" if _is_frozen(path) else "?mode=ro"
        connection = sqlite3.connect(path.resolve().as_uri() + how, uri=True, timeout=_BUSY_S, isolation_level=None)
        db = Database(connection, execute_plugins=False)
        _distrust(db)
        db.execute("BEGIN")  # one snapshot: a purge between two selects must not look like damage
        yield db
    except FOREIGN as bad:
        raise unreadable(bad, path) from bad
    finally:
        if connection is not None:
            connection.close()


def _is_frozen(path: Path) -> bool:
    """Whether nobody can change the file now: a card that was mounted read-only, its log closed in good order.

    SQLite cannot make its shared memory there, and need not.
    """
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY) and not wal_of(path).exists()


def refused(bad: BaseException, path: Path) -> LedgerError:
    """Return the error of a log that could not be opened or read: whose fault it is and what to do."""
    code = getattr(bad, "sqlite_errorcode", 0 if isinstance(bad, OSError) else sqlite3.SQLITE_CORRUPT) & 0xFF
    return LogDamaged(f"The scan log {path} is damaged: {bad}.", ASIDE) if code in _CORRUPT else unwritable(bad, path)


def unreadable(bad: BaseException, path: Path) -> LedgerError:
    """Return the error of a reader in another process."""
    ours = refused(bad, path)
    if isinstance(ours, LogDamaged):
        return ours
    return LedgerError(
        f"The scan log {path} cannot be read: {bad}.",
        "See that you may read its folder; from a read-only card copy all files of that name to another disk.",
    )


def unwritable(bad: BaseException, path: Path) -> LogUnwritable:
    """Return the error of an entry that could not be made durable."""
    code = getattr(bad, "sqlite_errorcode", 0) & 0xFF
    said = bad.strerror if isinstance(bad, OSError) else str(bad)
    what, next_step = _NEXT.get(code, (said, "Look at dmesg | tail, then start the gate again."))
    return LogUnwritable(f"The scan log {path} cannot be written: {what}.", next_step)
