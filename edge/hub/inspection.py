"""Does the ledger still hold, from the first signature to the last row? And the projection, made again from it.

Reads every batch as if it had just come: signature, hashes, chain, and that each follows the one before; then that the
rows say the same. A flipped bit in a page of the database is found wherever it lies in the ledger.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from edge.errors import BatchRefused
from edge.hub import projection
from edge.hub.projection import Placed
from edge.hub.pull import COLUMNS
from edge.hub.store import Store
from edge.ledger import batch, chain
from edge.model.scan import Batch

_MOST: Final = 100
_BATCHES: Final = (
    "SELECT b.id, b.log, b.first, b.last, b.head, b.hub_first, b.hub_last, b.place, b.received_ms, b.wire, "
    "l.gate, g.public FROM batches AS b JOIN logs AS l ON l.id = b.log JOIN gates AS g ON g.id = l.gate ORDER BY b.id"
)
_ROWS: Final = f"SELECT {COLUMNS} FROM scans WHERE hub_seq BETWEEN ? AND ? ORDER BY hub_seq"  # noqa: S608 - fixed names


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        batches: Batches read.
        entries: Entries in them.
        problems: What does not hold, one sentence each, at most a hundred.
    """

    batches: int
    entries: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row of `batches` with its gate."""

    row: int
    log: int
    first: int
    last: int
    head: bytes
    hub_first: int
    hub_last: int
    place: int
    received_ms: int
    wire: bytes
    gate: int
    public: bytes

    @property
    def skip(self) -> int:
        """How many of its entries an earlier batch holds already."""
        return (self.last - self.first) - (self.hub_last - self.hub_first)

    def rows(self, opened: Batch) -> list[projection.Row]:
        """Return the rows its entries have in `scans`."""
        placed = Placed(self.gate, self.log, self.place, self.received_ms)
        facts = projection.columns_of(opened.entries[self.skip :])
        start = self.first + self.skip
        return [projection.row(placed, self.hub_first + at, start + at, found) for at, found in enumerate(facts)]


def inspect(store: Store) -> Report:
    """Read the whole ledger and compare the rows with it; a serving hub may go on.

    Raises:
        LogDamaged: The database is damaged so far that it cannot be read.
    """
    problems: list[str] = []
    count = entries = 0
    with store.reader() as connection:
        connection.execute("BEGIN")
        problems += [f"SQLite: {row[0]}" for row in connection.execute("PRAGMA quick_check(20)") if row[0] != "ok"]
        walk = _Walk(connection)
        for kept in _batches(connection):
            problems += [f"batch {kept.row}: {problem}" for problem in walk.problems(kept)]
            count += 1
            entries += kept.hub_last - kept.hub_first + 1
        problems += walk.rest()
    return Report(count, entries, tuple(problems[:_MOST]))


def rebuild(store: Store) -> int:
    """Make `scans`, `tallies` and `flow` again from the ledger, in one transaction; return how many rows.

    Raises:
        BatchRefused: A batch no longer verifies; nothing was changed.
        LedgerError: The database cannot be written.
    """
    written = 0
    with store.writing() as connection:
        for table in ("scans", "tallies", "flow"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
        for kept in _batches(connection):
            opened = batch.open_batch(kept.wire, kept.public)
            found = projection.columns_of(opened.entries[kept.skip :])
            start = kept.first + kept.skip
            placed = Placed(kept.gate, kept.log, kept.place, kept.received_ms)
            numbered = [(kept.hub_first + at, start + at, fact) for at, fact in enumerate(found)]
            projection.insert(connection, placed, numbered)
            written += len(numbered)
    return written


class _Walk:
    """Follows every log through its batches, and the hub sequence through all of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._hub_next = 1
        # By log: the last number, and the head at every number a later batch could still go on from.
        self._heads: dict[int, tuple[int, bytes]] = {}

    def problems(self, kept: _Kept) -> Iterator[str]:
        """Give what does not hold of one batch."""
        if kept.hub_first != self._hub_next:
            yield f"begins at hub sequence {kept.hub_first}, {self._hub_next} was next"
        self._hub_next = kept.hub_last + 1
        try:
            opened = batch.open_batch(kept.wire, kept.public)
        except BatchRefused as bad:
            yield f"does not verify: {bad}"
            return
        header = opened.header
        if (header.first, header.last, header.head) != (kept.first, kept.last, kept.head):
            yield "is filed under other numbers than it was signed with"
        last, head = self._heads.get(kept.log, (0, chain.GENESIS))
        before = opened.entries[kept.skip - 1].head if kept.skip else header.previous_head
        if kept.first + kept.skip != last + 1 or before != head:
            yield "does not follow the batch before it"
        self._heads[kept.log] = (header.last, header.head)
        if self._connection.execute(_ROWS, (kept.hub_first, kept.hub_last)).fetchall() != kept.rows(opened):
            yield "has other rows in scans than it holds (put right by --rebuild)"

    def rest(self) -> Iterator[str]:
        """Give what does not hold of the whole."""
        (more,) = self._connection.execute(
            "SELECT count(*) FROM scans WHERE hub_seq >= ?", (self._hub_next,)
        ).fetchone()
        if more:
            yield f"{more} rows in scans belong to no batch (put right by --rebuild)"
        for log, last, head in self._connection.execute("SELECT id, last, head FROM logs"):
            if self._heads.get(log) != (last, head):
                yield f"log {log} is filed up to another entry than its batches reach"


def _batches(connection: sqlite3.Connection) -> Iterator[_Kept]:
    for row in connection.execute(_BATCHES):
        fields: tuple[Any, ...] = row
        yield _Kept(*fields)
