"""Which indices of which status list are issued, and what became of them. Nothing about whom.

An index is drawn at random, so that a list of revocations tells nothing about order, and never given twice. The
published form is left to `edge.trust.status_list`.
"""

import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlite_utils import Database

from edge.errors import PublicationError
from edge.model.trust import Status

LIST_SIZE: Final = 1 << 20
"""Entries of a new list. At most half are given, so that a random draw stays quick and tells nothing."""
LIST_BITS: Final = 2


@dataclass(frozen=True, slots=True)
class Index:
    """One place in a status list.

    Attributes:
        issuer: Issuer id.
        number: Number of the list at this issuer.
        index: Place in the list.
    """

    issuer: str
    number: int
    index: int


@dataclass(frozen=True, slots=True)
class ListSize:
    """The dimensions of a list.

    Attributes:
        size: Number of entries.
        bits: Bits per entry.
    """

    size: int
    bits: int


class Ledger:
    """The file `ledger.db` of an authority.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        """Lay down an empty ledger.

        Raises:
            PublicationError: The file system refuses.
        """
        with self._opened("rwc") as database:
            self._path.chmod(0o600)
            database.table("lists").create(
                {"issuer": str, "number": int, "size": int, "bits": int, "is_foreign": int}, pk=("issuer", "number")
            )
            database.table("passes").create(
                {
                    "issuer": str,
                    "number": int,
                    "idx": int,
                    "kind": int,
                    "issued_at": int,
                    "expires_at": int,
                    "status": int,
                    "changed_at": int,
                },
                pk=("issuer", "number", "idx"),
            )

    def add_list(self, issuer: str, size: int = LIST_SIZE, *, is_foreign: bool = False) -> int:
        """Open the next list of an issuer and return its number.

        Args:
            issuer: Issuer id.
            size: Number of entries.
            is_foreign: Whether the issuer draws its indices itself, because its key is not here.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        number = self.next_list(issuer)
        with self._writing() as database:
            database.table("lists").insert(
                {"issuer": issuer, "number": number, "size": size, "bits": LIST_BITS, "is_foreign": int(is_foreign)}
            )
        return number

    def next_list(self, issuer: str) -> int:
        """Return the number that `add_list` would give.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        with self._opened() as database:
            (last,) = _row(database, "SELECT max(number) FROM lists WHERE issuer = ?", (issuer,))
        return (last or 0) + 1

    def lists(self) -> Mapping[tuple[str, int], ListSize]:
        """Return every list by issuer and number.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        with self._opened() as database:
            return {
                (row["issuer"], row["number"]): ListSize(row["size"], row["bits"])
                for row in database.query("SELECT issuer, number, size, bits FROM lists ORDER BY issuer, number")
            }

    def statuses(self, issuer: str, number: int) -> Mapping[int, int]:
        """Return the status of every pass of a list that is not valid, by index.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        sql = "SELECT idx, status FROM passes WHERE issuer = ? AND number = ? AND status <> 0"
        with self._opened() as database:
            return {row["idx"]: row["status"] for row in database.query(sql, (issuer, number))}

    def draw(self, issuer: str, number: int, validity: tuple[int, int], kind: int) -> Index:
        """Give out an unused index of a list at random.

        Args:
            issuer: Issuer id.
            number: Number of the list.
            validity: Issue and expiry time of the pass, Unix seconds.
            kind: Kind of the pass.

        Raises:
            PublicationError: There is no such list, it is half full, or the ledger cannot be used.
        """
        with self._writing() as database:
            found = _row(database, "SELECT size FROM lists WHERE issuer = ? AND number = ?", (issuer, number))
            (used,) = _row(database, "SELECT count(*) FROM passes WHERE issuer = ? AND number = ?", (issuer, number))
            if not found or used * 2 >= found[0]:
                raise PublicationError(
                    f"The status list {number} of issuer {issuer} is full.", "Run: edge authority add-key DIR"
                )
            while True:
                index = secrets.randbelow(found[0])
                taken = "SELECT 1 FROM passes WHERE issuer = ? AND number = ? AND idx = ?"
                if not _row(database, taken, (issuer, number, index)):
                    break
            place = Index(issuer, number, index)
            _insert(database, place, validity, kind, validity[0])
        return place

    def find(self, issuer: str, index: int, number: int | None) -> list[tuple[Index, Status]]:
        """Return the issued passes at this index, with their statuses: one a list, or of the one list named.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        sql = "SELECT number, status FROM passes WHERE issuer = ? AND idx = ? AND (number = ? OR ? IS NULL)"
        with self._opened() as database:
            rows = list(database.query(sql, (issuer, index, number, number)))
        return [(Index(issuer, row["number"], index), Status(row["status"])) for row in rows]

    def find_foreign(self, issuer: str, index: int, number: int | None) -> list[Index]:
        """Return the places of an index in the lists of keys that are not here.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        sql = "SELECT number FROM lists WHERE issuer = ? AND is_foreign AND ? < size AND (number = ? OR ? IS NULL)"
        with self._opened() as database:
            rows = list(database.query(sql, (issuer, index, number, number)))
        return [Index(issuer, row["number"], index) for row in rows]

    def note_foreign(self, place: Index, now: int) -> None:
        """Note a pass that its issuer signed elsewhere, so that it can be marked.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        with self._writing() as database:
            _insert(database, place, (0, 0), 0, now)

    def mark(self, place: Index, status: Status, now: int) -> None:
        """Set the status of an issued pass.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        with self._writing() as database:
            database.table("passes").update(
                (place.issuer, place.number, place.index), {"status": int(status), "changed_at": now}
            )

    @contextmanager
    def _writing(self) -> Iterator[Database]:
        with self._opened() as database:
            # Taken before the first read: two issuing commands wait for each other instead of failing.
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.rollback()
                raise
            database.commit()

    @contextmanager
    def _opened(self, mode: str = "rw") -> Iterator[Database]:
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode={mode}", uri=True)) as connection:
                connection.execute("PRAGMA synchronous = FULL")
                yield Database(connection)
        except sqlite3.Error as error:
            raise PublicationError(
                f"The ledger {self._path} cannot be used: {error}.",
                "Restore it from a backup: without it an index could be given twice.",
            ) from error


def _insert(database: Database, place: Index, validity: tuple[int, int], kind: int, now: int) -> None:
    database.table("passes").insert(
        {
            "issuer": place.issuer,
            "number": place.number,
            "idx": place.index,
            "kind": kind,
            "issued_at": validity[0],
            "expires_at": validity[1],
            "status": int(Status.VALID),
            "changed_at": now,
        }
    )


def _row(database: Database, sql: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = database.execute(sql, values).fetchone()
    return found or ()
