"""Are all scans of a day here? For every gate: complete, outstanding or in dispute, with why, as the hub will sign it.

A log has no holes, so it is complete for a day once the hub holds an entry from after the day, or everything the gate
said it had in a heartbeat heard after the day. What a gate that never comes back still holds nobody can know: it stays
outstanding. A fork or a rollback is a dispute whatever is held.
"""

import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from edge.errors import ConfigError
from edge.hub import pull

COMPLETE: Final = "complete"
OUTSTANDING: Final = "outstanding"
DISPUTED: Final = "disputed"
STATES: Final = (COMPLETE, OUTSTANDING, DISPUTED)
REASONS: Final = (
    *("day_not_over", "not_heard", "backlog", "retired"),  # outstanding
    *("gap", "malformed", "version"),  # outstanding: entries came that could not take their place
    *("fork", "rollback", "new_log", "forged"),  # disputed
)
_IN_DISPUTE: Final = frozenset(("fork", "rollback", "new_log", "forged"))
_NO_TIME: Final = 1 << 53

_GATES: Final = """
    SELECT g.id, g.gate, p.site, p.lane, g.epoch, g.last, g.beat_ms, g.contact_ms, g.retired_ms
    FROM gates AS g JOIN places AS p ON p.id = g.place
    WHERE g.enrolled_ms < ?2 AND coalesce(g.retired_ms, ?2) > ?1
        OR EXISTS (SELECT 1 FROM logs WHERE logs.gate = g.id AND logs.last > 0)
    ORDER BY p.site, p.lane, g.id"""
_INCIDENTS: Final = "SELECT gate, kind FROM incidents WHERE resolved_ms IS NULL"
_COUNTS: Final = "SELECT log, count(*) FROM scans WHERE at_ms >= ? AND at_ms < ? GROUP BY log"


@dataclass(frozen=True, slots=True)
class _Log:
    row: int
    epoch: bytes
    last: int
    head: bytes
    entry_ms: int


def bounds(day: str) -> tuple[int, int]:
    """Return the first millisecond of a UTC day, and that of the next.

    Raises:
        ConfigError: It is no day.
    """
    try:
        begin = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
        end = begin + timedelta(days=1)
    except (ValueError, OverflowError) as bad:
        raise ConfigError(f"{day[:32]!r} is no day.", "Write it like 2026-11-24; days are UTC.") from bad
    return int(begin.timestamp()) * 1000, int(end.timestamp()) * 1000


def of_day(connection: sqlite3.Connection, day: str, now_ms: int) -> dict[str, Any]:
    """Return what there is to say about a day, from one state of the database.

    Raises:
        ConfigError: It is no day.
    """
    begin_ms, end_ms = bounds(day)
    connection.execute("BEGIN")
    opened: defaultdict[bytes, set[str]] = defaultdict(set)
    for gate, kind in connection.execute(_INCIDENTS):
        opened[gate].add(kind)
    logs: defaultdict[int, list[_Log]] = defaultdict(list)
    for gate, *log in connection.execute("SELECT gate, id, epoch, last, head, entry_ms FROM logs ORDER BY id"):
        logs[gate].append(_Log(*log))
    counts = dict(connection.execute(_COUNTS, (begin_ms, end_ms)))
    rows = connection.execute(_GATES, (begin_ms, end_ms)).fetchall()
    (hub_seq,) = connection.execute("SELECT coalesce(max(hub_last), 0) FROM batches").fetchone()
    connection.execute("COMMIT")
    times = (end_ms, now_ms)
    gates = [_gate(row, logs[row[0]], opened[row[1]], counts, times) for row in rows]
    states = Counter(gate["state"] for gate in gates)
    return {
        "day": day,
        "made_at": pull.iso(now_ms),
        "hub_seq": hub_seq,
        "states": {state: states[state] for state in STATES},
        "scans": sum(gate["scans"] for gate in gates),
        "gates": gates,
    }


def _gate(
    row: tuple[Any, ...], logs: list[_Log], kinds: set[str], counts: dict[int, int], times: tuple[int, int]
) -> dict[str, Any]:
    _, gate, site, lane, epoch, said, beat_ms, contact_ms, retired_ms = row
    end_ms, now_ms = times
    held = next((log for log in logs if log.epoch == epoch), None)
    missing = max(0, said - (held.last if held else 0)) if beat_ms else 0
    # The newest log tells; an entry nobody can date tells nothing.
    is_past = bool(logs) and end_ms <= logs[-1].entry_ms < _NO_TIME
    is_heard = bool(beat_ms) and contact_ms >= end_ms
    reasons = sorted(kinds & set(REASONS), key=REASONS.index)
    if now_ms < end_ms:
        reasons.insert(0, "day_not_over")
    elif not is_past:
        if not is_heard:
            reasons.insert(0, "not_heard")
        if missing:
            reasons.insert(0, "backlog")
        if retired_ms is not None and reasons:
            reasons.insert(0, "retired")
    state = DISPUTED if _IN_DISPUTE & set(reasons) else OUTSTANDING if reasons else COMPLETE
    return {
        "gate": gate.hex(),
        "site": site,
        "lane": lane,
        "state": state,
        "reasons": reasons,
        "scans": sum(counts.get(log.row, 0) for log in logs),
        "missing": missing,
        "heard_at": pull.iso(contact_ms) if beat_ms else None,
        "logs": [{"epoch": log.epoch.hex(), "last": log.last, "head": log.head.hex()} for log in logs],
    }


def inconsistency(said: dict[str, Any]) -> str:
    """Return what in a statement contradicts itself, empty where nothing does.

    Raises:
        KeyError, TypeError, ValueError: It is not of its form.
    """
    gates = said["gates"]
    states = Counter(gate["state"] for gate in gates)
    if {state: states[state] for state in STATES} != said["states"]:
        return "its sums are not those of its gates"
    for gate in gates:
        disputed = bool(_IN_DISPUTE & set(gate["reasons"]))
        if gate["state"] != (DISPUTED if disputed else OUTSTANDING if gate["reasons"] else COMPLETE):
            return f"gate {gate['gate']} is {gate['state']} for other reasons than it names"
    if sum(gate["scans"] for gate in gates) != said["scans"]:
        return "it counts other scans than its gates have"
    return ""
