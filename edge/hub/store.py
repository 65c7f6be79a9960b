"""Connections to the hub's SQLite database, and its errors in our words.

WAL with `synchronous=FULL`: a commit that was answered is on the disk. One connection writes
(`edge.hub.writer`), any number read; a reader sees one whole commit after another and never a hub sequence number with
a hole before it. What is written is left to the other modules.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from edge.errors import LedgerError, LogDamaged, LogUnwritable
from edge.hub.schema import MIGRATIONS

BUSY_S: Final = 10.0
_DAMAGED: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_PRIMARY: Final = 0xFF
# Codes that speak of our statements, not of the file.
_DEFECTS: Final = frozenset((sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH))


def is_of_the_file(error: Exception) -> bool:
    """Whether SQLite speaks of the file, its disk or its lock, and not of a statement of ours."""
    if not isinstance(error, sqlite3.Error) or isinstance(error, sqlite3.ProgrammingError):
        return False
    return _code(error) not in _DEFECTS


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


class Store:
    """Where the database lies, and how it is opened.

    Args:
        file: The database file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def create(self) -> None:
        """Make the database file with all tables.

        Raises:
            LedgerError: It cannot be made.
        """
        with self.errors(), closing(self._connect("rwc")) as connection:
            self._migrate(connection)

    def migrate(self) -> None:
        """Bring the tables up to this release; goes forwards only and keeps every row.

        Raises:
            LogDamaged: The file is missing, is no database or is damaged.
            LogUnwritable: It cannot be written.
        """
        if not self.file.exists():
            raise LogDamaged(f"The hub's database {self.file} is missing.", "Restore it from your backup.")
        with self.its_form(), self.reader() as connection:
            # A file cut to nothing must not become a fresh ledger that every gate seems to contradict.
            if not MIGRATIONS.applied(Database(connection)):
                raise LogDamaged(f"The hub's database {self.file} is empty.", "Restore it from your backup.")
        with self.errors(), self.its_form(), closing(self._connect("rw")) as connection:
            self._migrate(connection)

    @contextmanager
    def its_form(self) -> Iterator[None]:
        """Blame the file where it lacks a table or column it says it has, or has one it says it lacks."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if is_of_the_file(error):
                raise
            raise self._damaged(error) from error
        except KeyError as error:
            # sqlite-utils asks the rows of its own table for columns by name.
            raise self._damaged(error) from error

    def open_writer(self) -> sqlite3.Connection:
        """Return a connection that commits durably; its errors are foreign (`errors`).

        Raises:
            sqlite3.Error: It cannot be opened.
        """
        return self._connect("rw")

    def open_reader(self) -> sqlite3.Connection:
        """Return a connection that only reads; its errors are foreign (`errors`).

        Raises:
            sqlite3.Error: It cannot be opened.
        """
        return self._connect("ro")

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Give a read-only connection; what is read in one `BEGIN` is one state.

        Raises:
            LedgerError: The database cannot be read.
        """
        with self.errors(), closing(self.open_reader()) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give one durable transaction of its own, for commands beside a serving hub.

        Raises:
            LedgerError: The database cannot be written.
        """
        with self.errors(), closing(self._connect("rw")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn SQLite's errors about the file into ours; a defect of ours passes as what it is."""
        try:
            yield
        except sqlite3.Error as error:
            if not is_of_the_file(error):
                raise
            raise self.translated(error) from error
        except UnicodeDecodeError as error:
            # Of a text of the file, or of SQLite's own message that quotes it.
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> LogDamaged:
        return LogDamaged(
            f"The hub's database {self.file} is damaged ({error}).",
            "Keep the file, restore the last backup; gates keep what was not receipted.",
        )

    def translated(self, error: sqlite3.Error) -> LedgerError:
        """Return what happened to the file in our words."""
        if _code(error) in _DAMAGED:
            return self._damaged(error)
        return LogUnwritable(
            f"The hub's database {self.file} cannot be used ({error}).",
            "Check that the disk has room, is mounted for writing and belongs to the hub's user.",
        )

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self.file.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            if mode != "ro":
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=FULL")
                # Deleted tokens are overwritten, not just forgotten.
                connection.execute("PRAGMA secure_delete=ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        db = Database(connection)
        if MIGRATIONS.pending(db):
            MIGRATIONS.apply(db)
