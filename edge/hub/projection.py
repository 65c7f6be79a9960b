"""The ledger's entries as rows that can be asked about: `scans`, and the sums `tallies` and `flow`.

Everything here follows from the batches and can be made again from them. An entry whose facts this release cannot read
still gets a row, with no facts in it, so that the rows count exactly like the ledger.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, Final

from edge.errors import EncodingRefused
from edge.hub.schema import FACTS
from edge.ledger import facts
from edge.model.scan import Entry, EntryType

Row = tuple[Any, ...]
Columns = tuple[Any, ...]
"""An entry's facts in the order of `FACTS`, the time first."""

HOUR_MS: Final = 3_600_000
_SENSIBLE: Final = 1 << 53
"""Numbers a reader of JSON can hold exactly; SQLite's own limit is above it."""
_MOST_AT_ONCE: Final = 1_000_000
_FLOW_BACK_MS: Final = 35 * 24 * HOUR_MS
_COUNTED: Final = frozenset((EntryType.SCAN, EntryType.UNKNOWN_CODES))
_UNREADABLE: Final = (None,) * len(FACTS)
_TIME_END: Final = 13
_ONE_BYTE: Final = 24
_SOME_TIME: Final = (1 << 40).to_bytes(8, "big")
_of_facts = attrgetter(*FACTS)
_summed = itemgetter(*(FACTS.index(name) for name in ("at_ms", "type", "outcome", "count")))

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


def columns_of(entries: Iterable[Entry]) -> list[Columns | None]:
    """Return the facts of each entry as columns of `scans`, None where this release cannot read them."""
    return [_columns(entry.body) for entry in entries]


def insert(connection: sqlite3.Connection, placed: Placed, entries: Sequence[tuple[int, int, Columns | None]]) -> None:
    """Write the rows of consecutive entries, and add them to the sums.

    Args:
        connection: In a transaction.
        placed: Where they stand.
        entries: Hub sequence number, sequence number in the log, columns.
    """
    connection.executemany(_INSERT, [row(placed, *entry) for entry in entries])
    tallies, flow = sums(placed, (found for _, _, found in entries if found is not None))
    connection.executemany(_TALLY, [(placed.gate, outcome, n) for outcome, n in tallies.items()])
    connection.executemany(_FLOW, [(hour, outcome, n) for (hour, outcome), n in flow.items()])


def row(placed: Placed, hub_seq: int, seq: int, columns: Columns | None) -> Row:
    """Return one row of `scans`."""
    return (hub_seq, placed.log, placed.place, seq, *(_UNREADABLE if columns is None else columns))


def sums(placed: Placed, found: Iterable[Columns]) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    """Count presentations by outcome, and by hour and outcome; only what somebody held up counts."""
    tallies: Counter[int] = Counter()
    flow: Counter[tuple[int, int]] = Counter()
    earliest, latest = placed.received_ms - _FLOW_BACK_MS, placed.received_ms + HOUR_MS
    for columns in found:
        at_ms, kind, outcome, count = _summed(columns)
        if kind not in _COUNTED:
            continue
        count = min(count, _MOST_AT_ONCE)
        tallies[outcome] += count
        # A gate whose clock is years off must not spread rows over centuries.
        if earliest <= at_ms <= latest:
            flow[at_ms // HOUR_MS, outcome] += count
    return tallies, flow


def _columns(body: bytes) -> Columns | None:
    # Between two entries little but the time differs. A body that begins as ours do, with its type in one byte and
    # its time in eight (`edge.ledger.facts.encode`), is read once for all times; every other byte is in the key. A
    # time whose upper half is zero has a shorter form (RFC 8949, 4.2.1): that one is left to the strict reader.
    if len(body) > _TIME_END and body[1] == 1 and body[2] < _ONE_BYTE and body[3:5] == b"\x02\x1b" and any(body[5:9]):
        rest = _read(body[:5] + _SOME_TIME + body[_TIME_END:])
        at_ms = int.from_bytes(body[5:_TIME_END], "big")
        return None if rest is None or at_ms >= _SENSIBLE else (at_ms, *rest[1:])
    return _read(body)


@lru_cache(maxsize=4096)
def _read(body: bytes) -> Columns | None:
    try:
        found = facts.decode(body)
    except EncodingRefused:
        return None
    columns = _of_facts(found)
    if any(isinstance(value, int) and value >= _SENSIBLE for value in columns):
        return None
    return tuple(int(value) if isinstance(value, EntryType) else value for value in columns)
