"""The ledger's entries as rows that can be asked about: `scans`, and the sums `tallies` and `flow`.

Everything here follows from the batches and can be made again from them. An entry whose facts this release cannot read
still gets a row, with no facts in it, so that the rows count exactly like the ledger.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.errors import EncodingRefused
from edge.hub.schema import FACTS
from edge.ledger import facts
from edge.model.scan import Entry, EntryType, Facts

Row = tuple[Any, ...]

HOUR_MS: Final = 3_600_000
_SENSIBLE: Final = 1 << 53
"""Numbers a reader of JSON can hold exactly; SQLite's own limit is above it."""
_MOST_AT_ONCE: Final = 1_000_000
_FLOW_BACK_MS: Final = 35 * 24 * HOUR_MS
_COUNTED: Final = frozenset((EntryType.SCAN, EntryType.UNKNOWN_CODES))
_UNREADABLE: Final = (None,) * len(FACTS)

_INSERT: Final = f"INSERT INTO scans VALUES (?, ?, ?, ?, {', '.join('?' * len(FACTS))})"  # noqa: S608 - fixed names
_TALLY: Final = "INSERT INTO tallies VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"
_FLOW: Final = "INSERT INTO flow VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where in the hub a run of entries stands.

    Attributes:
        gate: Row of the gate.
        log: Row of its log.
        place: Row of the place it stood at.
        received_ms: When the hub received them.
    """

    gate: int
    log: int
    place: int
    received_ms: int


def facts_of(entries: Iterable[Entry]) -> list[Facts | None]:
    """Return the facts of each entry, None where this release cannot read them."""
    return [_facts(entry.body) for entry in entries]


def insert(connection: sqlite3.Connection, placed: Placed, entries: Sequence[tuple[int, int, Facts | None]]) -> None:
    """Write the rows of consecutive entries, and add them to the sums.

    Args:
        connection: In a transaction.
        placed: Where they stand.
        entries: Hub sequence number, sequence number in the log, facts.
    """
    connection.executemany(_INSERT, [row(placed, *entry) for entry in entries])
    tallies, flow = sums(placed, (found for _, _, found in entries if found is not None))
    connection.executemany(_TALLY, [(placed.gate, outcome, n) for outcome, n in tallies.items()])
    connection.executemany(_FLOW, [(hour, outcome, n) for (hour, outcome), n in flow.items()])


def row(placed: Placed, hub_seq: int, seq: int, found: Facts | None) -> Row:
    """Return one row of `scans`."""
    columns = _UNREADABLE if found is None else tuple(_plain(getattr(found, name)) for name in FACTS)
    return (hub_seq, placed.log, placed.place, seq, *columns)


def sums(placed: Placed, found: Iterable[Facts]) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    """Count presentations by outcome, and by hour and outcome; only what somebody held up counts."""
    tallies: Counter[int] = Counter()
    flow: Counter[tuple[int, int]] = Counter()
    for fact in found:
        if fact.type not in _COUNTED:
            continue
        count = min(fact.count, _MOST_AT_ONCE)
        tallies[fact.outcome] += count
        # A gate whose clock is years off must not spread rows over centuries.
        if placed.received_ms - _FLOW_BACK_MS <= fact.at_ms <= placed.received_ms + HOUR_MS:
            flow[fact.at_ms // HOUR_MS, fact.outcome] += count
    return tallies, flow


def _facts(body: bytes) -> Facts | None:
    try:
        found = facts.decode(body)
    except EncodingRefused:
        return None
    numbers = (getattr(found, name) for name in FACTS)
    return None if any(isinstance(number, int) and number >= _SENSIBLE for number in numbers) else found


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, EntryType) else value
