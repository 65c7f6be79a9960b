"""Does the ledger still hold, from the first signature to the last row?

Reads every batch as if it had just come: signature, hashes, chain, and that each follows the one before; then that the
rows say the same. A flipped bit in a page of the database is found wherever it lies in the ledger.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from edge.errors import BatchRefused
from edge.hub import beside, kept, projection, recovery, retention
from edge.hub.kept import Kept
from edge.hub.projection import Placed
from edge.hub.pull import COLUMNS
from edge.hub.store import Store
from edge.ledger import batch, chain
from edge.model.scan import Batch, BatchHeader

_MOST: Final = 100
_ROWS: Final = f"SELECT {COLUMNS} FROM scans WHERE hub_seq BETWEEN ? AND ? ORDER BY hub_seq"  # noqa: S608 - fixed names


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        batches: Batches read.
        entries: Entries in them.
        problems: What does not hold, one sentence each, at most a hundred.
        missing: Entries that this hub signed for and lacks since it was set back.
        destroyed: Entries whose facts were destroyed under a certificate.
    """

    batches: int
    entries: int
    problems: tuple[str, ...]
    missing: int = 0
    destroyed: int = 0


def inspect(store: Store) -> Report:
    """Read the whole ledger and compare the rows with it; a serving hub may go on.

    Raises:
        LogDamaged: The database is damaged so far that it cannot be read.
    """
    problems: list[str] = []
    count = entries = 0
    with store.its_form(), store.reader() as connection:
        connection.execute("BEGIN")
        problems += [f"SQLite: {row[0]}" for row in connection.execute("PRAGMA integrity_check(20)") if row[0] != "ok"]
        walk = _Walk(connection)
        for one in kept.read(connection):
            problems += [f"batch {one.row}: {problem}" for problem in walk.problems(one)]
            count += 1
            entries += one.hub_last - one.hub_first + 1
        problems += walk.rest()
        problems += beside.problems(connection)
    return Report(count, entries, tuple(problems[:_MOST]), walk.missing, walk.destroyed)


class _Walk:
    """Follows every log through its batches, and the hub sequence through all of them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._hub_next = 1
        self._reached, _ = projection.reach(connection)
        self._holes = recovery.holes(connection)
        self._certified = retention.Certified(connection)
        self.missing = self.destroyed = 0
        # By log: the last number, and the head at every number a later batch could still go on from.
        self._heads: dict[int, tuple[int, bytes]] = {}

    def problems(self, one: Kept) -> Iterator[str]:
        """Give what does not hold of one batch."""
        if one.hub_first != self._hub_next:
            yield f"begins at hub sequence {one.hub_first}, {self._hub_next} was next"
        self._hub_next = one.hub_last + 1
        try:
            if (bare := retention.header_left(one)) is not None:
                self.destroyed += bare.count
                yield from retention.problems(self._certified, one, bare)
                yield from self._followed(one, bare, None if one.skip else bare.previous_head)
                yield from self._rows_of(one, _rows(one, None))
                return
            opened = batch.open_batch(one.wire, one.public)
        except BatchRefused as bad:
            yield f"does not verify: {bad}"
            return
        header = opened.header
        if (header.first, header.last, header.head) != (one.first, one.last, one.head):
            yield "is filed under other numbers than it was signed with"
        yield from self._followed(one, header, opened.heads[one.skip - 1] if one.skip else header.previous_head)
        yield from self._rows_of(one, _rows(one, opened))

    def _followed(self, one: Kept, header: BatchHeader, before: bytes | None) -> Iterator[str]:
        """Give it where a batch does not follow; `before` is None where it cannot be known any more."""
        last, head = self._heads.get(one.log, (0, chain.GENESIS))
        if (hole := self._holes.get((one.log, last + 1))) is not None and one.first == hole[0] + 1:
            self.missing += hole[0] - last
            last, head = hole
        if one.first + one.skip != last + 1 or before not in {head, None}:
            yield "does not follow the batch before it"
        self._heads[one.log] = (header.last, header.head)

    def _rows_of(self, one: Kept, rows: list[projection.Row]) -> Iterator[str]:
        if one.hub_last > self._reached:
            # Not projected yet: the hub does so in a moment.
            return
        if self._connection.execute(_ROWS, (one.hub_first, one.hub_last)).fetchall() != rows:
            yield "has other rows in scans than it holds (put right by edge hub rebuild)"

    def rest(self) -> Iterator[str]:
        """Give what does not hold of the whole."""
        yield from self._certified.problems
        (more,) = self._connection.execute(
            "SELECT count(*) FROM scans WHERE hub_seq >= ?", (self._hub_next,)
        ).fetchone()
        if more:
            yield f"{more} rows in scans belong to no batch (put right by edge hub rebuild)"
        for log, last, head in self._connection.execute("SELECT id, last, head FROM logs"):
            if self._heads.get(log) != (last, head):
                yield f"log {log} is filed up to another entry than its batches reach"


def _rows(one: Kept, opened: Batch | None) -> list[projection.Row]:
    """Return the rows its entries have in `scans`, without facts where those were destroyed."""
    placed = Placed(one.gate, one.log, one.place, one.received_ms)
    first = one.first + one.skip
    bare = [None] * (one.hub_last - one.hub_first + 1)
    facts = projection.columns_of(opened.bodies[one.skip :]) if opened is not None else bare
    return [projection.row(placed, one.hub_first + at, first + at, found) for at, found in enumerate(facts)]
