"""The ledger's entries as rows that can be asked about: `scans`, and the sums `tallies` and `flow`.

Everything here follows from the batches and can be made again from them. An entry whose facts this release cannot read
still gets a row, with no facts in it, so that the rows count exactly like the ledger. Batches are projected in their
order and whole, so whoever reads up to `projected.hub_seq` never meets a number with a hole before it.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, Final

from edge.codec import cbor
from edge.errors import BatchRefused, EncodingRefused
from edge.hub import kept
from edge.hub.kept import Kept
from edge.hub.schema import FACTS
from edge.ledger import batch, facts
from edge.model.scan import EntryType

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
_EIGHT_BYTES, _TEXT, _LONG_TEXT = 0x1B, 0x60, 0x78
"""Heads of the widest number, of an empty text, and of one whose length does not fit its head (RFC 8949, 3)."""
_VARYING: Final = {facts.KEYS[name]: FACTS.index(name) for name in ("trust_version", "policy_version", "duration_ms")}
"""Columns by key."""
_SOME_TIME: Final = (1 << 40).to_bytes(8, "big")
_of_facts = attrgetter(*FACTS)
_summed = itemgetter(*(FACTS.index(name) for name in ("at_ms", "type", "outcome", "count")))

_INSERT: Final = f"INSERT INTO scans VALUES (?, ?, ?, ?, {', '.join('?' * len(FACTS))})"  # noqa: S608 - fixed names
_ADD: Final = "INSERT INTO {} VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n"

STEP: Final = 4
"""Batches projected in one commit: bounds how long a post waits behind it."""
_LOG: Final = logging.getLogger("edge.hub")


@dataclass(frozen=True, slots=True)
class Sums:
    """The tables that sums are added to.

    Attributes:
        tallies: By gate and outcome.
        flow: By hour and outcome.
    """

    tallies: str
    flow: str


SUMS: Final = Sums("tallies", "flow")


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


def columns_of(bodies: Iterable[bytes]) -> list[Columns | None]:
    """Return the facts in each body as columns of `scans`, None where this release cannot read them."""
    return [_columns(body) for body in bodies]


def step(connection: sqlite3.Connection, most: int = STEP) -> bool:
    """Project the next batches of the ledger; return whether there may be more.

    Args:
        connection: In a transaction that writes.
        most: Most batches.
    """
    (done,) = connection.execute("SELECT batch FROM projected").fetchone()
    found = list(kept.read(connection, after=done, most=most))
    for one in found:
        insert(connection, one, SUMS)
    if found:
        connection.execute("UPDATE projected SET batch = ?, hub_seq = ?", (found[-1].row, found[-1].hub_last))
    return len(found) == most


def reach(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the newest hub sequence number that has a row, and the newest there is."""
    found = connection.execute(
        "SELECT hub_seq, (SELECT coalesce(max(hub_last), 0) FROM batches) FROM projected"
    ).fetchone()
    return int(found[0]), int(found[1])


def insert(connection: sqlite3.Connection, one: Kept, into: Sums) -> None:
    """Write the rows of a batch in place of whatever stands there, and add them to the sums."""
    placed = Placed(one.gate, one.log, one.place, one.received_ms)
    found = _found(one)
    first = one.first + one.skip
    connection.execute("DELETE FROM scans WHERE hub_seq BETWEEN ? AND ?", (one.hub_first, one.hub_last))
    connection.executemany(
        _INSERT, [row(placed, one.hub_first + at, first + at, columns) for at, columns in enumerate(found)]
    )
    tallies, flow = sums(placed, (columns for columns in found if columns is not None))
    connection.executemany(_ADD.format(into.tallies), [(placed.gate, outcome, n) for outcome, n in tallies.items()])
    connection.executemany(_ADD.format(into.flow), [(hour, outcome, n) for (hour, outcome), n in flow.items()])


def _found(one: Kept) -> list[Columns | None]:
    try:
        if not batch.has_facts(one.wire):
            # Destroyed under a certificate (`edge.hub.retention`).
            return [None] * (one.hub_last - one.hub_first + 1)
        return columns_of(batch.open_batch(one.wire, one.public).bodies[one.skip :])
    except BatchRefused as damaged:
        # It verified when it came. Readers go on past it; `edge hub check` names it, and a rebuild after the repair
        # puts its rows right.
        _LOG.error("batch %d of the ledger does not verify: %s", one.row, damaged)
        return [None] * (one.hub_last - one.hub_first + 1)


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
    # Between two entries little but the time, the duration and the versions differs. A body that begins as ours do,
    # with its type in one byte and its time in eight (`edge.ledger.facts.encode`), is read once for all of these; every
    # other byte is in the key. A time whose upper half is zero has a shorter form (RFC 8949, 4.2.1): that one is left
    # to the strict reader.
    if len(body) > _TIME_END and body[1] == 1 and body[2] < _ONE_BYTE and body[3:5] == b"\x02\x1b" and any(body[5:9]):
        try:
            rest, numbers = _apart(body)
        except EncodingRefused:
            return None
        found = _read(rest)
        at_ms = int.from_bytes(body[5:_TIME_END], "big")
        if found is None or at_ms >= _SENSIBLE or max(numbers.values(), default=0) >= _SENSIBLE:
            return None
        columns = list(found)
        columns[0] = at_ms
        for key, number in numbers.items():
            columns[_VARYING[key]] = number
        return tuple(columns)
    return _read(body)


def _apart(body: bytes) -> tuple[bytes, dict[int, int]]:
    """Return a body with a 1 in the place of each number that varies, and these by key.

    From the first byte that is none of what a body of ours has here, the body stays as it is: the strict reader sees
    it, and the same number of pairs as before.

    Raises:
        EncodingRefused: A number is not in its shortest form, or is cut short.
    """
    pieces, numbers = [body[:5], _SOME_TIME], {}
    start = pos = _TIME_END
    end = len(body) - 1
    while pos < end:
        key, lead = body[pos], body[pos + 1]
        if key >= _ONE_BYTE:
            break
        if lead <= _EIGHT_BYTES:
            number, behind = cbor.read_head(body, pos + 1)
            if key in _VARYING and key not in numbers:
                numbers[key] = number
                pieces += (body[start : pos + 1], b"\x01")
                start = behind
            pos = behind
        elif _TEXT <= lead < _LONG_TEXT:
            pos += 2 + lead - _TEXT
        else:
            break
    return b"".join((*pieces, body[start:])), numbers


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
