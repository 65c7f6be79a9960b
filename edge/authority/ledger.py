"""Which indices of which status list are issued or reserved, what became of them, and when and why. Nothing about whom.

An index is drawn at random, so that a list of revocations tells nothing about order, and never given twice. Every
change of a status is kept with its reason: the trail is what a revocation that is taken back leaves behind. Made for
lists of 10^9 entries with 10^7 marked: no question walks more than it answers. How it is published is left to
`edge.authority.lists`.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlite_utils import Database

from edge.authority import ledger_schema
from edge.authority.marks import Change, Marked, Marking
from edge.authority.spans import Span, drawable, free_spans, index_of
from edge.errors import PublicationError
from edge.model.trust import Status

LIST_SIZE: Final = 1 << 20
"""Entries of a new list. At most half of what is drawn from is given: a random draw stays quick and tells nothing."""
LIST_BITS: Final = 2
_AT_ONCE: Final = 20_000
"""Entries of one transaction of a long change: what a cut costs is done again."""


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
        issued: Entries given out or reserved; all of them where another draws from the list.
        last_change: Number of the newest change of a status in the whole ledger that concerns it, 0 where none does.
    """

    size: int
    bits: int
    issued: int
    last_change: int


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
        with self._opened("rwc"):
            self._path.chmod(0o600)

    # Lists

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
        sql = "SELECT * FROM lists ORDER BY issuer, number"
        with self._opened() as database:
            return {
                (row["issuer"], row["number"]): ListSize(
                    row["size"],
                    row["bits"],
                    row["size"] if row["is_foreign"] else row["given"] + row["reserved"],
                    row["last_change"],
                )
                for row in database.query(sql)
            }

    def marked(self, issuer: str, number: int) -> Iterator[tuple[int, int]]:
        """Walk index and status of every pass of a list that is not valid, in order.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        sql = "SELECT idx, status FROM passes WHERE list = ? AND status <> 0 ORDER BY idx"
        with self._opened() as database:
            yield from database.execute(sql, (_list(database, issuer, number)[0],))

    def changed(self, issuer: str, number: int, after: int) -> Iterator[tuple[int, int]]:
        """Walk index and status of every pass of a list with a change newer than change `after`, in order.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        sql = (
            "SELECT idx, status FROM passes WHERE list = :list AND idx IN"
            " (SELECT idx FROM changes WHERE id > :after AND list = :list) ORDER BY idx"
        )
        with self._opened() as database:
            yield from database.execute(sql, {"list": _list(database, issuer, number)[0], "after": after})

    # Issuing

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
            id_, size, given = _list(database, issuer, number)
            room = drawable(size)
            if given * 2 >= room:
                raise PublicationError(
                    f"The status list {number} of issuer {issuer} is full.", "Run: edge authority add-key DIR"
                )
            while True:
                index = index_of(secrets.randbelow(room))
                if not _row(database, "SELECT 1 FROM passes WHERE list = ? AND idx = ?", (id_, index)):
                    break
            row = (id_, index, kind, *validity, int(Status.VALID), validity[0])
            database.execute("INSERT INTO passes VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            database.execute("UPDATE lists SET given = given + 1 WHERE id = ?", (id_,))
        return Index(issuer, number, index)

    def reserve(self, issuer: str, number: int, count: int, desk: str, now: int) -> tuple[Span, ...]:
        """Set indices of a list aside for a desk that issues on its own; nobody else is ever given one of them.

        Args:
            issuer: Issuer id.
            number: Number of the list.
            count: How many.
            desk: What the desk is called.
            now: Unix seconds.

        Raises:
            PublicationError: There is no such list, it has not that much room, or the ledger cannot be used.
        """
        with self._writing() as database:
            id_, size, _ = _list(database, issuer, number)
            taken = database.execute("SELECT start, count FROM ranges WHERE list = ?", (id_,)).fetchall()

            def is_issued(span: Span) -> bool:
                sql = "SELECT 1 FROM passes WHERE list = ? AND idx >= ? AND idx < ? LIMIT 1"
                return bool(_row(database, sql, (id_, span.start, span.end)))

            found = free_spans(size, [Span(*row) for row in taken], count, is_issued)
            if not found:
                raise PublicationError(
                    f"The status list {number} of issuer {issuer} has no room for {count} more in reserve.",
                    "Reserve fewer, or open a larger list: edge authority add-key DIR --list-size N",
                )
            rows = [(id_, span.start, span.count, desk, now) for span in found]
            database.conn.executemany("INSERT INTO ranges VALUES (?, ?, ?, ?, ?)", rows)
            database.execute("UPDATE lists SET reserved = reserved + ? WHERE id = ?", (count, id_))
        return found

    # Status

    def find(self, issuer: str, index: int, number: int | None) -> list[tuple[Index, Status]]:
        """Return the issued passes at this index, with their statuses: one a list, or of the one list named.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        sql = (
            "SELECT number, status FROM passes JOIN lists ON lists.id = list"
            " WHERE issuer = ? AND idx = ? AND (number = ? OR ? IS NULL)"
        )
        with self._opened() as database:
            rows = list(database.query(sql, (issuer, index, number, number)))
        return [(Index(issuer, row["number"], index), Status(row["status"])) for row in rows]

    def find_foreign(self, issuer: str, index: int, number: int | None) -> list[Index]:
        """Return the places of an index that another may have issued: in a list of a key not here, or in a reserve.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        sql = (
            "SELECT number FROM lists WHERE issuer = ?1 AND ?2 < size AND (number = ?3 OR ?3 IS NULL) AND (is_foreign"
            " OR EXISTS (SELECT 1 FROM ranges WHERE list = lists.id AND start <= ?2 AND ?2 < start + count))"
        )
        with self._opened() as database:
            rows = list(database.query(sql, (issuer, index, number)))
        return [Index(issuer, row["number"], index) for row in rows]

    def mark(self, issuer: str, number: int, indices: Iterable[int], marking: Marking) -> Iterator[Marked]:
        """Set the status of issued passes, a share at a time; each share is durable, and doing it twice does no harm.

        Args:
            issuer: Issuer id.
            number: Number of the list.
            indices: Which passes; those another may have issued are noted with it. In order it goes fastest.
            marking: The status and why.

        Raises:
            PublicationError: There is no such list, or the ledger cannot be used.
        """
        share: list[int] = []
        for index in indices:
            share.append(index)
            if len(share) == _AT_ONCE:
                yield self._mark_share(issuer, number, share, marking)
                share = []
        if share:
            yield self._mark_share(issuer, number, share, marking)

    def _mark_share(self, issuer: str, number: int, share: list[int], marking: Marking) -> Marked:
        with self._writing() as database:
            id_, *_ = _list(database, issuer, number)
            wanted = json.dumps(share)
            sql = "SELECT idx, status FROM passes WHERE list = ? AND idx IN (SELECT value FROM json_each(?))"
            known: dict[int, int] = dict(database.execute(sql, (id_, wanted)).fetchall())
            elsewhere = set(share) - known.keys()
            foreign = _elsewhere(database, id_, elsewhere)
            before = {**known, **dict.fromkeys(foreign, int(Status.VALID))}
            rows = [(index, was) for index, was in sorted(before.items()) if was != marking.status]
            _change(database, id_, rows, marking)
            refused = sorted(elsewhere - foreign)
        return Marked(len(rows), len(before) - len(rows), tuple(refused[:5]), len(refused))

    def history(self, place: Index) -> list[Change]:
        """Return every change of a pass's status, the oldest first.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        sql = (
            "SELECT at, was, status AS now, reason FROM changes JOIN acts ON acts.id = act"
            " WHERE list = ? AND idx = ? ORDER BY changes.id"
        )
        with self._opened() as database:
            id_, *_ = _list(database, place.issuer, place.number)
            return [
                Change(row["at"], Status(row["was"]), Status(row["now"]), row["reason"])
                for row in database.query(sql, (id_, place.index))
            ]

    # What was published

    def published_state(self, issuer: str, number: int) -> Mapping[str, Any]:
        """Return what `note_state` noted last, empty where nothing was.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        with self._opened() as database:
            id_, *_ = _list(database, issuer, number)
            found: str = _row(database, "SELECT published FROM lists WHERE id = ?", (id_,))[0]
        noted: dict[str, Any] = json.loads(found)
        return noted

    def note_state(self, issuer: str, number: int, published: Mapping[str, Any]) -> None:
        """Note how a list was published last.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        with self._writing() as database:
            id_, *_ = _list(database, issuer, number)
            database.execute("UPDATE lists SET published = ? WHERE id = ?", (json.dumps(published), id_))

    # Lists of hashes

    def hash_lists(self) -> Mapping[tuple[str, int], str]:
        """Return the SHA-256 (hexadecimal) of each list of hashes by issuer and number.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        with self._opened() as database:
            rows = database.query("SELECT issuer, number, sha256 FROM hash_lists ORDER BY issuer, number")
            return {(row["issuer"], row["number"]): row["sha256"] for row in rows}

    def note_hash_list(self, issuer: str, number: int, digest: str, now: int) -> None:
        """Note which list of hashes an issuer publishes as `number` from now on.

        Raises:
            PublicationError: The ledger cannot be used.
        """
        with self._writing() as database:
            database.execute("INSERT OR REPLACE INTO hash_lists VALUES (?, ?, ?, ?)", (issuer, number, digest, now))

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
                connection.execute("PRAGMA cache_size = -65536")
                ledger_schema.bring_up(connection)
                yield Database(connection)
        except sqlite3.Error as error:
            raise PublicationError(
                f"The ledger {self._path} cannot be used: {error}.",
                "Restore it from a backup: without it an index could be given twice.",
            ) from error


def _list(database: Database, issuer: str, number: int) -> tuple[int, int, int]:
    """Return row id, size and indices given of a list."""
    found = _row(database, "SELECT id, size, given FROM lists WHERE issuer = ? AND number = ?", (issuer, number))
    if not found:
        raise PublicationError(f"Issuer {issuer} has no status list {number}.", "Run: edge authority add-key DIR")
    return found[0], found[1], found[2]


def _elsewhere(database: Database, id_: int, indices: set[int]) -> set[int]:
    """Return those of `indices` that another may have issued."""
    if not indices:
        return set()
    size, is_foreign = _row(database, "SELECT size, is_foreign FROM lists WHERE id = ?", (id_,))
    if is_foreign:
        return {index for index in indices if 0 <= index < size}
    sql = (
        "SELECT value FROM json_each(?) WHERE EXISTS (SELECT 1 FROM ranges"
        " WHERE list = ? AND start <= value AND value < start + count)"
    )
    return {row[0] for row in database.execute(sql, (json.dumps(sorted(indices)), id_))}


def _change(database: Database, id_: int, rows: list[tuple[int, int]], marking: Marking) -> None:
    if not rows:
        return
    status = int(marking.status)
    act = database.execute(
        "INSERT INTO acts (at, status, reason) VALUES (?, ?, ?)", (marking.at, status, marking.reason)
    ).lastrowid
    database.conn.executemany(
        "INSERT INTO passes VALUES (?, ?, 0, 0, 0, ?, ?)"
        " ON CONFLICT (list, idx) DO UPDATE SET status = excluded.status, changed_at = excluded.changed_at",
        [(id_, index, status, marking.at) for index, _ in rows],
    )
    database.conn.executemany(
        "INSERT INTO changes (act, list, idx, was) VALUES (?, ?, ?, ?)", [(act, id_, index, was) for index, was in rows]
    )
    database.execute(
        "UPDATE lists SET last_change = (SELECT max(id) FROM changes) WHERE id = ?",
        (id_,),
    )


def _row(database: Database, sql: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = database.execute(sql, values).fetchone()
    return found or ()
