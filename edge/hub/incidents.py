"""What went wrong with a gate, for people, and the bytes that prove it, for later.

An incident is counted, not repeated: one open row for each gate and kind. Evidence is bounded for each gate and kind,
and tighter for senders nobody vouches for, so that a stranger cannot fill the disk; what no longer fits is counted and
stays at the gate, which got no receipt for it.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from edge.errors import BatchRefused
from edge.ledger import batch
from edge.model.scan import BatchHeader

NOBODY: Final = b""
"""In the place of a gate id: somebody who proved to be none of our gates."""

KINDS: Final = (
    "fork",
    "rollback",
    "gap",
    "forged",
    "malformed",
    "version",
    "unknown_gate",
    "new_log",
    "invitation_reused",
    "hub_behind",
    "wrong_hub",
    "truncated",
    "too_large",
    "future",
    "destroyed",
    "two_places",
    "many_gates",
)
SEVERE: Final = frozenset(("fork", "rollback", "forged", "invitation_reused", "hub_behind"))

_UNPROVEN: Final = ("forged", "malformed", "version", "unknown_gate", "wrong_hub", "truncated", "too_large")
"""Kinds that anybody can cause in the name of any gate."""
_PROVEN_ITEMS: Final = 64
_PROVEN_BYTES: Final = 8 << 20
_UNPROVEN_ITEMS: Final = 16
_UNPROVEN_BYTES: Final = 1 << 20
_UNPROVEN_IN_ALL: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that happened, perhaps many times.

    Attributes:
        id: Number to name it by.
        gate: Gate id, or `NOBODY`.
        kind: One of `KINDS`.
        first_ms: When it was first met, hub time.
        last_ms: When it was last met.
        count: How often.
        params: Numbers its sentence mentions.
        resolved_ms: When it was put right, or None.
        evidence: How many batches are kept for it.
    """

    id: int
    gate: bytes
    kind: str
    first_ms: int
    last_ms: int
    count: int
    params: Mapping[str, int]
    resolved_ms: int | None
    evidence: int


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A batch kept as evidence.

    Attributes:
        wire: The bytes as received.
        epoch: The epoch it names, None where it could not be read.
        first: The first sequence number it names, None where it could not be read.
    """

    wire: bytes
    epoch: bytes | None = None
    first: int | None = None


def note(connection: sqlite3.Connection, gate: bytes, kind: str, now_ms: int, params: Mapping[str, int]) -> bool:
    """Count an incident; return whether it is the first of its kind since the last one was put right."""
    (count,) = connection.execute(
        "INSERT INTO incidents(gate, kind, first_ms, last_ms, count, params) VALUES (?, ?, ?, ?, 1, ?) "
        "ON CONFLICT(gate, kind) WHERE resolved_ms IS NULL "
        "DO UPDATE SET last_ms = excluded.last_ms, count = count + 1, params = excluded.params "
        "RETURNING count",
        (gate, kind, now_ms, now_ms, json.dumps(params)),
    ).fetchone()
    return bool(count == 1)


def keep(connection: sqlite3.Connection, gate: bytes, kind: str, now_ms: int, exhibit: Exhibit) -> None:
    """Keep a batch as evidence, once, as long as there is room for this gate and kind."""
    if _has_room(connection, gate, kind, len(exhibit.wire)):
        connection.execute(
            "INSERT OR IGNORE INTO evidence(gate, kind, epoch, first, received_ms, digest, wire) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (gate, kind, exhibit.epoch, exhibit.first, now_ms, sha256(exhibit.wire).digest(), exhibit.wire),
        )


def _has_room(connection: sqlite3.Connection, gate: bytes, kind: str, more: int) -> bool:
    items, size = connection.execute(
        "SELECT count(*), coalesce(sum(length(wire)), 0) FROM evidence WHERE gate = ? AND kind = ?", (gate, kind)
    ).fetchone()
    if kind not in _UNPROVEN:
        return bool(items < _PROVEN_ITEMS and size + more <= _PROVEN_BYTES)
    (in_all,) = connection.execute(
        f"SELECT coalesce(sum(length(wire)), 0) FROM evidence WHERE kind IN ({', '.join('?' * len(_UNPROVEN))})",  # noqa: S608
        _UNPROVEN,
    ).fetchone()
    is_bounded = items < _UNPROVEN_ITEMS and size + more <= _UNPROVEN_BYTES
    return bool(is_bounded and in_all + more <= _UNPROVEN_IN_ALL)


def waiting(connection: sqlite3.Connection, gate: bytes, epoch: bytes, up_to: int) -> list[tuple[int, bytes]]:
    """Return batches that came before their turn and may follow now: row and bytes, oldest entries first."""
    return connection.execute(
        "SELECT id, wire FROM evidence WHERE gate = ? AND kind = 'gap' AND epoch = ? AND first <= ? ORDER BY first",
        (gate, epoch, up_to),
    ).fetchall()


def release(connection: sqlite3.Connection, gate: bytes, row: int, now_ms: int) -> None:
    """Let go of a waiting batch that found its place; with the last one the gap is put right."""
    connection.execute("DELETE FROM evidence WHERE id = ?", (row,))
    connection.execute(
        "UPDATE incidents SET resolved_ms = ? WHERE gate = ? AND kind = 'gap' AND resolved_ms IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM evidence WHERE evidence.gate = incidents.gate AND kind = 'gap')",
        (now_ms, gate),
    )


def strip(connection: sqlite3.Connection, before_ms: int) -> int:
    """Destroy the private parts of evidence that came before a time; return how many pieces were touched.

    What cannot be taken apart goes whole: a batch that broke off may hold a private part all the same.
    """
    rows = connection.execute(
        "SELECT id, kind, wire FROM evidence WHERE received_ms < ? AND NOT is_stripped", (before_ms,)
    ).fetchall()
    for row, kind, wire in rows:
        try:
            bare = batch.without_private(wire)
        except BatchRefused:
            if kind == "hub_behind":
                # A receipt of this hub; nothing in it is private.
                connection.execute("UPDATE evidence SET is_stripped = 1 WHERE id = ?", (row,))
            else:
                connection.execute("DELETE FROM evidence WHERE id = ?", (row,))
        else:
            connection.execute("UPDATE evidence SET wire = ?, is_stripped = 1 WHERE id = ?", (bare, row))
    return len(rows)


def with_facts(connection: sqlite3.Connection, before_ms: int) -> Iterator[tuple[int, BatchHeader]]:
    """Give row and header, unverified, of each batch that came before a time and still has its facts."""
    rows = connection.execute("SELECT id, wire FROM evidence WHERE received_ms < ? ORDER BY id", (before_ms,))
    for row, wire in rows:
        try:
            if batch.has_facts(wire):
                yield row, batch.header_of(wire)[0]
        except BatchRefused:
            # A receipt, or what goes whole with its private part.
            continue


def bare(connection: sqlite3.Connection, row: int) -> None:
    """Destroy both parts of a batch kept as evidence: hash, gate, kind and the numbers its header names stay."""
    (wire,) = connection.execute("SELECT wire FROM evidence WHERE id = ?", (row,)).fetchone()
    connection.execute("UPDATE evidence SET wire = ?, is_stripped = 1 WHERE id = ?", (batch.without_facts(wire), row))


def exhibits(connection: sqlite3.Connection) -> Iterator[tuple[str, bytes]]:
    """Give every piece of evidence with a name for its file, the oldest first."""
    rows = connection.execute("SELECT id, kind, gate, wire FROM evidence ORDER BY id")
    for row, kind, gate, wire in rows:
        # A batch begins with the head of a list; what other evidence there is is written as text.
        suffix = "json" if wire[:1] == b"{" else "cbor"
        yield f"{row:06}-{kind}-{gate.hex()[:8] or 'nobody'}.{suffix}", wire


def resolve(connection: sqlite3.Connection, number: int, now_ms: int) -> bool:
    """Mark an incident as dealt with; its evidence stays. Return whether it was open."""
    found = connection.execute(
        "UPDATE incidents SET resolved_ms = ? WHERE id = ? AND resolved_ms IS NULL", (now_ms, number)
    )
    return found.rowcount == 1


def listed(connection: sqlite3.Connection, *, most: int, is_open: bool = False) -> list[Incident]:
    """Return incidents, open ones first, the newest first."""
    rows = connection.execute(
        "SELECT id, gate, kind, first_ms, last_ms, count, params, resolved_ms, (SELECT count(*) FROM evidence "
        "WHERE evidence.gate = incidents.gate AND evidence.kind = incidents.kind) FROM incidents "
        "WHERE resolved_ms IS NULL OR NOT ? ORDER BY resolved_ms IS NOT NULL, last_ms DESC, id DESC LIMIT ?",
        (is_open, most),
    ).fetchall()
    return [_incident(*row) for row in rows]


def _incident(
    number: int, gate: bytes, kind: str, first_ms: int, last_ms: int, count: int, params: str, *rest: Any
) -> Incident:
    resolved_ms, evidence = rest
    return Incident(number, gate, kind, first_ms, last_ms, count, json.loads(params), resolved_ms, evidence)


def count_open(connection: sqlite3.Connection) -> int:
    """Return how many incidents are open."""
    return int(connection.execute("SELECT count(*) FROM incidents WHERE resolved_ms IS NULL").fetchone()[0])
