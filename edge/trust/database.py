"""The store's database: newest verified metadata, floors and the view in force, one SQLite file, fully synchronous.

Every record carries the SHA-256 of its value, so a flipped bit is met as damage and not as another value. A commit is
the atomic swap: a reader sees all of a view or all of the one before. What the records mean is left to
`edge.trust.records`.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

from edge.disk import durable
from edge.errors import TrustDamaged, TrustError, TrustMissing
from edge.trust.records import AGAIN, GENERATION, Stored

_FORM: Final = 1
_BUSY_S: Final = 5.0
_SCHEMA: Final = "CREATE TABLE records (name TEXT PRIMARY KEY, value BLOB NOT NULL, sha256 BLOB NOT NULL) WITHOUT ROWID"
_DAMAGE: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR))
_MAX_DIGITS: Final = 18
_ENROL: Final = "Enrol this gate: edge provision enroll."


class Database:
    """The file `trust.db`.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, records: Mapping[str, bytes]) -> None:
        """Lay down a new database with `records`, whole or not at all.

        Raises:
            TrustError: The file system refuses.
        """
        staged = self.path.with_name(self.path.name + ".new")
        with _ours(self.path):
            staged.unlink(missing_ok=True)
            with closing(_connected(staged, "rwc")) as connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {_FORM}")
                _put(connection, records)
                connection.execute("COMMIT")
            # A journal of the database that stood here before would be played into this one.
            self._journal().unlink(missing_ok=True)
            staged.replace(self.path)
            durable.sync_folder(self.path.parent)

    def set_aside(self) -> None:
        """Rename a database that cannot be read to `trust.db.damaged`, for whoever looks into it.

        Raises:
            TrustError: The file system refuses.
        """
        with _ours(self.path):
            self._journal().unlink(missing_ok=True)
            self.path.replace(self.path.with_name(self.path.name + ".damaged"))

    def _journal(self) -> Path:
        return self.path.with_name(self.path.name + "-journal")

    def read(self) -> Stored:
        """Return all records.

        Raises:
            TrustMissing: There is no database.
            TrustDamaged: It cannot be read.
            TrustError: It is busy, or of a newer form.
        """
        with self._opened() as connection:
            rows = connection.execute("SELECT name, value, sha256 FROM records").fetchall()
        # A flipped bit may also turn bytes into text.
        whole = {
            name: value for name, value, digest in rows if type(value) is bytes and sha256(value).digest() == digest
        }
        return Stored(self.path, whole, frozenset(name for name, _, _ in rows if name not in whole))

    def generation(self) -> int:
        """Return the number of the view in force; 0 before the first.

        Raises:
            TrustMissing: There is no database.
            TrustDamaged: It cannot be read.
            TrustError: It is busy, or of a newer form.
        """
        with self._opened() as connection:
            row = connection.execute("SELECT value FROM records WHERE name = ?", (GENERATION,)).fetchone()
        return number(row[0]) if row and type(row[0]) is bytes else 0

    def write(self, records: Mapping[str, bytes], *, remove: tuple[str, ...] = ()) -> None:
        """Put and remove records in one durable transaction.

        Raises:
            TrustMissing: There is no database.
            TrustDamaged: It cannot be read.
            TrustError: It cannot be written (busy, full, read-only).
        """
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM records WHERE name = ?", [(name,) for name in remove])
            _put(connection, records)
            connection.execute("COMMIT")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if not self.path.exists():
            raise TrustMissing(f"There is no trust data at {self.path.parent}.", _ENROL)
        with _ours(self.path), closing(_connected(self.path, "rw")) as connection:
            (form,) = connection.execute("PRAGMA user_version").fetchone()
            if form > _FORM:
                raise TrustError(f"{self.path} was written by a newer version of edge.", "Update this machine.")
            yield connection


def number(value: bytes) -> int:
    """Return the number in a record; 0 where it holds none, so that any other counts as a change."""
    return int(value) if value.isdigit() and len(value) <= _MAX_DIGITS else 0


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, timeout=_BUSY_S, isolation_level=None
    )
    try:
        # EXTRA is FULL plus a sync of the folder once the journal is gone: the last commit survives a power cut too.
        connection.execute("PRAGMA synchronous = EXTRA")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _put(connection: sqlite3.Connection, records: Mapping[str, bytes]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO records (name, value, sha256) VALUES (?, ?, ?)",
        [(name, value, sha256(value).digest()) for name, value in records.items()],
    )


@contextmanager
def _ours(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in _DAMAGE:
            raise TrustDamaged(f"{path} is damaged: {error}.", AGAIN) from error
        raise TrustError(f"{path} cannot be used: {error}.", "Check free space and the state of the disk.") from error
    except OSError as error:
        raise TrustError(f"{path} cannot be used: {error.strerror}.", "Check permissions and free space.") from error
