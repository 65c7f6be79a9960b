"""What central operations read: scans by hub sequence number, as lines of JSON, every pull on record.

Hub sequence numbers are given inside the one writer's commits, so a reader never sees a number with a hole before it:
whoever goes on from the last line's `hub_seq` has read the ledger. Times of gates play no part in it.
"""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from edge.hub.access import Reader
from edge.hub.schema import FACTS
from edge.model.credential import PassKind
from edge.model.moment import ClockQuality
from edge.model.scan import EntryType
from edge.model.verdict import Outcome

DEFAULT: Final = 1000
MOST: Final = 10_000
"""Lines a page holds at most; waitress takes all of them in memory, so a slow reader holds no thread."""
_CHUNK: Final = 500

COLUMNS: Final = ", ".join(("hub_seq", "log", "place", "seq", *FACTS))
_SELECT: Final = f"SELECT {COLUMNS} FROM scans WHERE hub_seq > ? ORDER BY hub_seq LIMIT ?"  # noqa: S608 - fixed names
_LOG: Final = "SELECT gates.gate, logs.epoch FROM logs JOIN gates ON gates.id = logs.gate WHERE logs.id = ?"
_PLACE: Final = "SELECT site, lane FROM places WHERE id = ?"
_TYPES: Final = {int(member): member.name.lower() for member in EntryType}
_OUTCOMES: Final[dict[int, str | None]] = {0: None, **{int(member): member.name.lower() for member in Outcome}}
_KINDS: Final = {int(member): member.name.lower() for member in PassKind}
_CLOCKS: Final = {int(member): member.name.lower() for member in ClockQuality}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of scans, read from one state of the database.

    Attributes:
        rows: Rows of `scans`, in order.
        logs: Gate id and epoch by row of the log.
        places: Site and lane by row of the place.
    """

    rows: list[tuple[Any, ...]]
    logs: dict[int, tuple[bytes, bytes]]
    places: dict[int, tuple[str, str]]

    @property
    def last(self) -> int:
        """Hub sequence number of the last line, 0 where there is none."""
        return int(self.rows[-1][0]) if self.rows else 0

    def lines(self) -> Iterator[bytes]:
        """Give the page as NDJSON, some hundred lines at a time."""
        for start in range(0, len(self.rows), _CHUNK):
            yield "".join(self._line(row) for row in self.rows[start : start + _CHUNK]).encode()

    def _line(self, row: tuple[Any, ...]) -> str:
        hub_seq, log, place, seq, at_ms, *facts = row
        time = json.dumps(iso(at_ms))
        begin = f'{{"hub_seq":{hub_seq},{_origin(*self.logs[log], *self.places[place])},"seq":{seq}'
        return f'{begin},"at":{time},"at_ms":{json.dumps(at_ms)},{_facts(*facts)}}}\n'


@lru_cache(maxsize=4096)
def _origin(gate: bytes, epoch: bytes, site: str, lane: str) -> str:
    return _members({"gate": gate.hex(), "site": site, "lane": lane, "epoch": epoch.hex()})


# Between two entries little but numbers and times differs: the rest of a line is made once.
@lru_cache(maxsize=4096)
def _facts(*values: Any) -> str:
    found = dict(zip(FACTS[1:], values, strict=True))
    return _members(
        {
            "clock": _word(_CLOCKS, found["quality"]),
            "type": _word(_TYPES, found["type"]) or "unreadable",
            "outcome": _word(_OUTCOMES, found["outcome"]),
            "reason": found["reason"] or None,
            "format": found["format"] or None,
            "issuer": found["issuer"] or None,
            "kind": _word(_KINDS, found["kind"]),
            "status": found["status"],
            "region": found["region"] or None,
            "trust_version": found["trust_version"],
            "policy_version": found["policy_version"],
            "duration_ms": found["duration_ms"],
            "count": found["count"],
            "refers_to": found["refers_to"] or None,
            "note": found["note"] or None,
            "source": found["source"],
        }
    )


def _members(fields: dict[str, Any]) -> str:
    """Return the inside of a JSON object."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[1:-1]


def read(connection: sqlite3.Connection, after: int, limit: int) -> Page:
    """Return the scans after a hub sequence number.

    Args:
        connection: A reader.
        after: The cursor: the last hub sequence number that was read, 0 for none.
        limit: Most rows, 1 to `MOST`.
    """
    connection.execute("BEGIN")
    rows = connection.execute(_SELECT, (after, limit)).fetchall()
    logs = {log: connection.execute(_LOG, (log,)).fetchone() for log in {row[1] for row in rows}}
    places = {place: connection.execute(_PLACE, (place,)).fetchone() for place in {row[2] for row in rows}}
    connection.execute("COMMIT")
    return Page(rows, logs, places)


def newest(connection: sqlite3.Connection, count: int) -> list[dict[str, Any]]:
    """Return the newest scans, the newest first."""
    (top,) = connection.execute("SELECT coalesce(max(hub_seq), 0) FROM scans").fetchone()
    page = read(connection, max(0, top - count), count)
    return [json.loads(line) for line in reversed(b"".join(page.lines()).splitlines())]


def record(connection: sqlite3.Connection, reader: Reader, peer: str, after: int, page: Page, now_ms: int) -> None:
    """Put a pull on record, before a byte of it leaves; waiting at the end of the ledger is one row, counted."""
    if not page.rows:
        waited = connection.execute(
            "UPDATE pulls SET last_ms = ?, times = times + 1 WHERE id = "
            "(SELECT max(id) FROM pulls WHERE token = ? AND peer = ?) AND rows = 0 AND after = ?",
            (now_ms, reader.token, peer, after),
        )
        if waited.rowcount:
            return
    connection.execute(
        "INSERT INTO pulls(at_ms, last_ms, times, role, token, peer, after, rows, last) "
        "VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)",
        (now_ms, now_ms, reader.role, reader.token, peer, after, len(page.rows), page.last),
    )


def recorded(connection: sqlite3.Connection, most: int) -> list[dict[str, Any]]:
    """Return the audit trail of pulls, the newest first."""
    rows = connection.execute(
        "SELECT at_ms, last_ms, times, role, token, peer, after, rows, last FROM pulls ORDER BY id DESC LIMIT ?",
        (most,),
    )
    names = ("at", "last_at", "times", "role", "token", "peer", "after", "rows", "last")
    return [dict(zip(names, (iso(at), iso(until), *rest), strict=True)) for at, until, *rest in rows]


def iso(unix_ms: int | None) -> str | None:
    """Return a time as ISO 8601 in UTC with milliseconds, None for one that no calendar has."""
    if unix_ms is None:
        return None
    try:
        moment = datetime.fromtimestamp(unix_ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"


def _word(words: dict[int, Any], number: int | None) -> Any:
    return None if number is None else words.get(number, f"unknown:{number}")
