"""The state of all gates at a moment, as the page, the status and the commands show it. Reading only."""

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.hub.projection import HOUR_MS

STALE_S: Final = 24 * 3600
"""Trust data older than this caps long-lived passes at CHECK (docs/operations.md)."""
CLOCK_MS: Final = 30_000
"""A clock further off than this is worth a look."""

_GATES: Final = """
    SELECT g.gate, p.site, p.lane, p.region, g.enrolled_ms, g.retired_ms, g.contact_ms, g.doubted_ms, g.beat_ms,
        g.offset_ms, g.last, g.health,
        coalesce((SELECT l.last FROM logs AS l WHERE l.gate = g.id AND l.epoch = g.epoch), 0),
        coalesce((SELECT sum(l.last) FROM logs AS l WHERE l.gate = g.id), 0)
    FROM gates AS g JOIN places AS p ON p.id = g.place ORDER BY g.id"""


@dataclass(frozen=True, slots=True)
class GateState:
    """One gate as the hub knows it.

    Attributes:
        gate: Gate id, 16 bytes.
        site: Site name, as typed by somebody.
        lane: Lane name, as typed by somebody.
        region: GB/T 2260 code, or 0.
        state: `online`, `clock` (its clock is off), `stale` (its trust data are), `doubtful` (heartbeats go back in
            time), `silent`, `waiting` (enrolled, not heard of yet) or `retired`.
        contact_s: Seconds since it was heard of.
        backlog: Entries it has and the hub has not, None where it never said.
        held: Entries the hub holds of it.
        trust_version: Version of its trust data, None where it never said.
        trust_age_s: Age of its trust data now, None where it never said.
        offset_ms: How far its clock is ahead of the hub's, None where it never said.
    """

    gate: bytes
    site: str
    lane: str
    region: int
    state: str
    contact_s: int
    backlog: int | None
    held: int
    trust_version: int | None
    trust_age_s: int | None
    offset_ms: int | None


RISK: Final = ("silent", "doubtful", "stale", "clock", "waiting", "online", "retired")
"""States, the one that wants a look most first."""
PRESENT: Final = frozenset(("online", "stale", "clock"))


@dataclass(frozen=True, slots=True)
class Overview:
    """What the hub's page shows at a moment.

    Attributes:
        gates: All gates, the one that wants a look most first.
        held: Entries in the ledger.
        tallies: Presentations by outcome number.
        flow: Presentations of the last 24 hours, the oldest first, each by outcome number.
    """

    gates: tuple[GateState, ...]
    held: int
    tallies: Mapping[int, int]
    flow: tuple[Mapping[int, int], ...]


def gates(connection: sqlite3.Connection, now_ms: int, silent_s: int) -> tuple[GateState, ...]:
    """Return the state of every gate, the one that wants a look most first."""
    found = [_state(row, now_ms, silent_s) for row in connection.execute(_GATES)]
    return tuple(sorted(found, key=lambda one: (RISK.index(one.state), -(one.backlog or 0), one.site, one.lane)))


def overview(connection: sqlite3.Connection, now_ms: int, silent_s: int) -> Overview:
    """Return what the page shows, from one state of the database."""
    connection.execute("BEGIN")
    states = gates(connection, now_ms, silent_s)
    tallies: Counter[int] = Counter()
    for outcome, count in connection.execute("SELECT outcome, sum(n) FROM tallies GROUP BY outcome"):
        tallies[outcome] = count
    hours = _flow(connection, now_ms)
    held = ledger_size(connection)
    connection.execute("COMMIT")
    return Overview(states, held, tallies, hours)


def ledger_size(connection: sqlite3.Connection) -> int:
    """Return the newest hub sequence number, which counts the entries in the ledger."""
    return int(connection.execute("SELECT coalesce(max(hub_last), 0) FROM batches").fetchone()[0])


def _flow(connection: sqlite3.Connection, now_ms: int) -> tuple[Mapping[int, int], ...]:
    newest = now_ms // HOUR_MS
    hours: list[Counter[int]] = [Counter() for _ in range(24)]
    rows = connection.execute(
        "SELECT hour, outcome, n FROM flow WHERE hour > ? AND hour <= ?", (newest - len(hours), newest)
    )
    for hour, outcome, count in rows:
        hours[hour - newest - 1][outcome] = count
    return tuple(hours)


def _state(row: tuple[Any, ...], now_ms: int, silent_s: int) -> GateState:
    gate, site, lane, region, _, retired_ms, contact_ms, doubted_ms, beat_ms, offset_ms, last, health, held, total = row
    said = json.loads(health)
    contact_s = max(0, now_ms - contact_ms) // 1000
    age = _count(said.get("trust_age_s"))
    trust_age_s = None if age is None else age + contact_s
    if retired_ms is not None:
        state = "retired"
    elif contact_s > silent_s:
        # It is heard of, but only in words older than others we had: a clock set back, or a replay.
        state = "doubtful" if now_ms - doubted_ms <= silent_s * 1000 else "silent"
    elif not beat_ms:
        state = "waiting"
    elif trust_age_s is not None and trust_age_s > STALE_S:
        state = "stale"
    else:
        state = "clock" if offset_ms is not None and abs(offset_ms) > CLOCK_MS else "online"
    return GateState(
        gate=gate,
        site=site,
        lane=lane,
        region=region,
        state=state,
        contact_s=contact_s,
        backlog=max(0, last - held) if beat_ms else None,
        held=total,
        trust_version=_count(said.get("trust_version")),
        trust_age_s=trust_age_s,
        offset_ms=offset_ms,
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
