"""Batches as they lie in the ledger, each with its gate, in the order of the hub. Reading only."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

_SELECT: Final = (
    "SELECT b.id, b.log, b.first, b.last, b.head, b.hub_first, b.hub_last, b.place, b.received_ms, b.wire, "
    "l.gate, g.public FROM batches AS b JOIN logs AS l ON l.id = b.log JOIN gates AS g ON g.id = l.gate "
    "WHERE b.id > ? ORDER BY b.id LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of `batches` with its gate.

    Attributes:
        row: Its row.
        log: Row of its log.
        first: First sequence number it was signed for.
        last: Last sequence number.
        head: The chain hash there.
        hub_first: Hub sequence number of the first entry that no earlier batch holds.
        hub_last: Hub sequence number of the last entry.
        place: Row of the place its gate stood at.
        received_ms: When it came, hub time.
        wire: Its bytes without the private part.
        gate: Row of the gate.
        public: The gate's public key.
    """

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


def read(connection: sqlite3.Connection, *, after: int = 0, most: int = -1) -> Iterator[Kept]:
    """Give the batches behind a row, all of them by default."""
    for row in connection.execute(_SELECT, (after, most)):
        fields: tuple[Any, ...] = row
        yield Kept(*fields)
