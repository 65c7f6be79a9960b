"""`sync.db`: how far the hub's signed word reaches, every batch cut and not receipted, and the newest receipts.

A batch is durable here before it is sent, so a retry has the same bytes, also after a power cut; its row goes when a
receipt covers it. Nothing here cannot be had again from the scan log and the hub, except what an older epoch of the log
left unsent. What follows from the rows is left to `edge.sync.outbox`.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from edge.errors import LedgerError, LogDamaged, LogUnwritable
from edge.model.scan import Receipt

FILE: Final = "sync.db"
_BUSY_S: Final = 5.0
_MODE: Final = 0o600
_DAMAGE: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_MISUSE: Final = (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.NotSupportedError)

MIGRATIONS: Final = Migrations("edge.sync")


@MIGRATIONS(name="0001_tables")
def _tables(db: Database) -> None:
    db.conn.execute("CREATE TABLE mark (epoch BLOB PRIMARY KEY, last INTEGER NOT NULL, head BLOB NOT NULL) STRICT")
    db.conn.execute("""
        CREATE TABLE batch (
          number INTEGER PRIMARY KEY AUTOINCREMENT,
          epoch BLOB NOT NULL,
          first INTEGER NOT NULL,
          last INTEGER NOT NULL,
          head BLOB NOT NULL,
          wire BLOB NOT NULL,
          kind TEXT NOT NULL DEFAULT '',
          message TEXT NOT NULL DEFAULT '',
          tries INTEGER NOT NULL DEFAULT 0,
          parked_ms INTEGER NOT NULL DEFAULT 0,
          UNIQUE (epoch, first)
        ) STRICT""")
    db.conn.execute("""
        CREATE TABLE receipt (
          epoch BLOB PRIMARY KEY,
          last INTEGER NOT NULL,
          head BLOB NOT NULL,
          hub_seq INTEGER NOT NULL,
          at_ms INTEGER NOT NULL,
          key_id TEXT NOT NULL,
          wire BLOB NOT NULL,
          taken_ms INTEGER NOT NULL
        ) STRICT""")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a log.

    Attributes:
        last: Sequence number, 0 before the first entry.
        head: Chain hash there.
    """

    last: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """One batch that no receipt covers yet; its bytes are `SyncStore.wire`.

    Attributes:
        number: Its row.
        epoch: The log's epoch.
        first: Sequence number of its first entry.
        last: Sequence number of its last entry.
        head: Chain hash at the last entry.
        kind: Why the hub refuses it, empty where it does not.
        message: What the hub says about that.
        tries: How often it was refused.
        parked_ms: When it was refused last, Unix milliseconds.
    """

    number: int
    epoch: bytes
    first: int
    last: int
    head: bytes
    kind: str
    message: str
    tries: int
    parked_ms: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The newest receipt of a log.

    Attributes:
        last: Everything up to this number is the hub's.
        hub_seq: Hub sequence of the newest entry it covers.
        at_ms: When it was signed, Unix milliseconds.
        key_id: Which hub key signed it (hex).
        wire: As it was signed.
        taken_ms: When it came, Unix milliseconds.
    """

    last: int
    hub_seq: int
    at_ms: int
    key_id: str
    wire: bytes
    taken_ms: int


class SyncStore:
    """The database of the sync part; used by one thread.

    Args:
        path: The file `sync.db`; made where it is missing, brought up to date where it is older.
        opened: Opens it; for writing unless said otherwise.

    Raises:
        LogDamaged: It is no database, or damaged.
        LogUnwritable: It cannot be written.
    """

    def __init__(self, path: Path, *, opened: Callable[[Path], Database] | None = None) -> None:
        self.path = path
        with self._ours():
            self._db = (opened or _opened)(path)

    @classmethod
    def reader(cls, path: Path) -> Self | None:
        """Open the database beside its writer, unable to write; None where there is none yet.

        Raises:
            LogDamaged: It is no database, or damaged.
            LogUnwritable: It cannot be read now.
        """
        if not path.exists():
            return None
        store = cls(path, opened=_opened_to_read)
        try:
            # Its writer has just begun to make it, or was killed while it did.
            if store._rows("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%sqlite%' LIMIT 1"):
                return store
        except LedgerError:
            store.close()
            raise
        store.close()
        return None

    def check(self) -> None:
        """Look whether the database still holds together.

        Raises:
            LogDamaged: It does not.
            LogUnwritable: It cannot be read.
        """
        with self._ours():
            _check(self._db.conn, self.path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the write lock: what is read and written inside is one durable step.

        Raises:
            LogDamaged: The database is damaged.
            LogUnwritable: It cannot be written; nothing of the step is kept.
        """
        with self._ours():
            if self._is_writing():
                yield
                return
            self._db.conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.conn.execute("COMMIT")
            finally:
                if self._is_writing():
                    self._db.conn.execute("ROLLBACK")

    def mark(self, epoch: bytes) -> Mark | None:
        """Return how far the hub's signed word reaches in a log, or None where it was never asked."""
        rows = self._rows("SELECT last, head FROM mark WHERE epoch = ?", epoch)
        return Mark(*rows[0]) if rows else None

    def set_mark(self, epoch: bytes, mark: Mark) -> None:
        """Put the mark of a log."""
        self._do(
            "INSERT INTO mark VALUES (?, ?, ?) ON CONFLICT (epoch) DO UPDATE SET last = excluded.last, "
            "head = excluded.head",
            (epoch, mark.last, mark.head),
        )

    def batches(self) -> list[Kept]:
        """Return every batch: older logs first, each in its order."""
        return self._kept("ORDER BY (SELECT MIN(number) FROM batch AS b WHERE b.epoch = batch.epoch), first")

    def totals(self) -> list[tuple[bytes, int, int]]:
        """Return, for each log, how many entries wait in batches and how many of them the hub refuses."""
        return self._rows(
            "SELECT epoch, SUM(last - first + 1), SUM((last - first + 1) * (kind <> '')) FROM batch GROUP BY epoch"
        )

    def wire(self, number: int) -> bytes | None:
        """Return the bytes of a batch, or None where a receipt has come meanwhile."""
        rows = self._rows("SELECT wire FROM batch WHERE number = ?", number)
        return rows[0][0] if rows else None

    def keep(self, epoch: bytes, first: int, mark: Mark, wire: bytes) -> Kept:
        """Keep a batch that was just cut and return its row. Call inside `writing`, with what it was cut by.

        Args:
            epoch: The log's epoch.
            first: Sequence number of its first entry.
            mark: Its end.
            wire: Its bytes.
        """
        self._do(
            "INSERT INTO batch (epoch, first, last, head, wire) VALUES (?, ?, ?, ?, ?)",
            (epoch, first, mark.last, mark.head, wire),
        )
        return self._kept("WHERE epoch = ? AND first = ?", epoch, first)[0]

    def batch_from(self, epoch: bytes, first: int) -> Kept | None:
        """Return the batch of a log that begins at an entry, or None."""
        found = self._kept("WHERE epoch = ? AND first = ?", epoch, first)
        return found[0] if found else None

    def park(self, number: int, kind: str, message: str, at_ms: int) -> None:
        """Set a batch aside with the reason; its bytes stay."""
        self._do(
            "UPDATE batch SET kind = ?, message = ?, tries = tries + 1, parked_ms = ? WHERE number = ?",
            (kind, message, at_ms, number),
        )

    def drop(self, number: int) -> None:
        """Let go of a batch whose entries are cut anew from the log."""
        self._do("DELETE FROM batch WHERE number = ?", (number,))

    def settle(self, receipt: Receipt, taken_ms: int) -> None:
        """Take a receipt: everything of its log up to its end is the hub's now. Call inside `writing`."""
        self._do(
            "INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (epoch) DO UPDATE SET "
            "last = excluded.last, head = excluded.head, hub_seq = excluded.hub_seq, at_ms = excluded.at_ms, "
            "key_id = excluded.key_id, wire = excluded.wire, taken_ms = excluded.taken_ms "
            "WHERE excluded.last >= receipt.last",
            (
                receipt.epoch,
                receipt.last,
                receipt.head,
                receipt.hub_seq,
                receipt.at_ms,
                receipt.key_id,
                receipt.wire,
                taken_ms,
            ),
        )
        self._do("DELETE FROM batch WHERE epoch = ? AND last <= ?", (receipt.epoch, receipt.last))

    def taken(self, epoch: bytes) -> Taken | None:
        """Return the newest receipt of a log, or None."""
        columns = "last, hub_seq, at_ms, key_id, wire, taken_ms"
        rows = self._rows(f"SELECT {columns} FROM receipt WHERE epoch = ?", epoch)  # noqa: S608  # fixed columns
        return Taken(*rows[0]) if rows else None

    def last_push_ms(self) -> int | None:
        """Return when the newest receipt came, Unix milliseconds, or None where none ever did."""
        return self._rows("SELECT MAX(taken_ms) FROM receipt")[0][0]  # type: ignore[no-any-return]  # a row of SQLite

    def was_online(self) -> bool:
        """Return whether the hub ever answered this gate."""
        return bool(self._rows("SELECT EXISTS (SELECT 1 FROM mark)")[0][0])

    def _is_writing(self) -> bool:
        return self._db.conn.in_transaction

    def _kept(self, where: str, *values: object) -> list[Kept]:
        sql = "SELECT number, epoch, first, last, head, kind, message, tries, parked_ms FROM batch "
        return [Kept(*row) for row in self._rows(sql + where, *values)]

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._ours():
            return self._db.conn.execute(sql, values).fetchall()

    def _do(self, sql: str, values: tuple[object, ...]) -> None:
        with self.writing():
            self._db.conn.execute(sql, values)

    @contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            yield
        except _MISUSE:
            raise
        except sqlite3.Error as error:
            raise _translated(error, self.path) from error
        except OSError as error:
            raise LogUnwritable(
                f"{self.path} cannot be used: {error.strerror}.", "Run as the gate's user (edge), or check the disk."
            ) from error


def read_receipt(path: Path, epoch: bytes) -> bytes | None:
    """Return the newest receipt of a log, as the hub signed it, without opening the database for writing.

    The reader verifies it: `edge.ledger.receipt.open_receipt`.

    Args:
        path: The file `sync.db`; it may be missing.
        epoch: The log's epoch.

    Raises:
        LogDamaged: It is no database, or damaged.
        LogUnwritable: It cannot be read now.
    """
    store = SyncStore.reader(path)
    if store is None:
        return None
    with closing(store):
        taken = store.taken(epoch)
    return taken.wire if taken is not None else None


def set_aside(path: Path) -> Path:
    """Move a damaged database and its parts out of the way, keeping them, and return its new name.

    Raises:
        LogUnwritable: The file system refuses.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
    except OSError as error:
        raise LogUnwritable(f"{path} cannot be moved: {error.strerror}.", "Check the disk and permissions.") from error
    return aside


def _opened(path: Path) -> Database:
    # Made here, because it holds privacy tokens; SQLite gives its other files the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        return _prepared(connection, path)
    except BaseException:
        connection.close()
        raise


def _opened_to_read(path: Path) -> Database:
    uri = f"{path.resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=_BUSY_S, isolation_level=None)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        return Database(connection, execute_plugins=False)
    except BaseException:
        connection.close()
        raise


def _prepared(connection: sqlite3.Connection, path: Path) -> Database:
    db = Database(connection, execute_plugins=False)
    if connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        raise LogUnwritable(f"The file system of {path} cannot keep a write-ahead log.", "Use a local disk.")
    connection.execute("PRAGMA synchronous = FULL")
    # Receipted batches are overwritten: their tokens are not ours to keep.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA trusted_schema = OFF")
    _check(connection, path)
    if MIGRATIONS.pending(db):
        MIGRATIONS.apply(db)
    return db


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
        raise _damaged(path, "a page does not hold together")


def _translated(error: sqlite3.Error, path: Path) -> LogDamaged | LogUnwritable:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    # "no such table" is a plain error: a database of somebody else.
    if code in _DAMAGE or (code == sqlite3.SQLITE_ERROR and "no such" in str(error)):
        return _damaged(path, str(error))
    return LogUnwritable(f"{path} cannot be used: {error}.", "Check free space, permissions and the state of the disk.")


def _damaged(path: Path, what: str) -> LogDamaged:
    return LogDamaged(
        f"{path} is damaged: {what}.",
        "Move it away and restart the sync part: it begins a new one, and the scan log has every scan.",
    )
