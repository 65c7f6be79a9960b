"""What central operations read: scans by hub sequence number, filtered where asked, every pull on record.

Hub sequence numbers are given inside the one writer's commits, so a reader never sees a number with a hole before it:
whoever goes on from the last line's `hub_seq` has read the ledger. Times of gates filter at most.

How a page is written down is left to `edge.hub.forms`; NDJSON, the plain one, stands here.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
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
LOOK: Final = 250_000
"""Hub sequence numbers a filtered page looks through at most: a rare filter must not hold a thread for minutes."""
CHUNK: Final = 500
LOCAL: Final = "local"
"""Role of whoever reads by a command at the hub's machine, without a token."""

VARYING: Final = ("at_ms", "duration_ms", "trust_version", "policy_version")
LASTING: Final = tuple(name for name in FACTS if name not in VARYING)
"""Facts that differ little from one entry to the next."""
COLUMNS: Final = ", ".join(("hub_seq", "log", "place", "seq", *FACTS))
_ROW: Final = ("hub_seq", "log", "place", "seq", *VARYING, *LASTING)
_VARIED: Final = len(_ROW) - len(LASTING)
_SELECT: Final = f"SELECT {', '.join(_ROW)} FROM scans WHERE hub_seq > ? AND hub_seq <= ?"  # noqa: S608 - fixed names
_LOG: Final = "SELECT gates.gate, logs.epoch FROM logs JOIN gates ON gates.id = logs.gate WHERE logs.id = ?"
_PLACE: Final = "SELECT site, lane FROM places WHERE id = ?"
_OF_GATE: Final = "log IN (SELECT logs.id FROM logs JOIN gates ON gates.id = logs.gate WHERE hex(gates.gate) LIKE ?)"
_OF_SITE: Final = "place IN (SELECT id FROM places WHERE site = ?)"
TYPES: Final = {int(member): member.name.lower() for member in EntryType}
OUTCOMES: Final[dict[int, str | None]] = {0: None, **{int(member): member.name.lower() for member in Outcome}}
KINDS: Final = {int(member): member.name.lower() for member in PassKind}
CLOCKS: Final = {int(member): member.name.lower() for member in ClockQuality}
_FAR: Final = 1 << 62

Row = tuple[Any, ...]
"""`hub_seq`, row of the log, row of the place, `seq`, and then the facts of `VARYING` and of `LASTING`."""
row_of = itemgetter(*(("hub_seq", "log", "place", "seq", *FACTS).index(name) for name in _ROW))
"""Turns a row of `edge.hub.projection` into a `Row`."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which scans of the ledger are wanted; None asks for nothing.

    Attributes:
        gate: The gate's id in hex, or its beginning.
        site: Site name.
        outcome: `Outcome` number.
        reason: Reason code.
        type: `EntryType` number.
        since_ms: Not before this time of the gate, Unix milliseconds.
        before_ms: Before this time of the gate, Unix milliseconds.
    """

    gate: str | None = None
    site: str | None = None
    outcome: int | None = None
    reason: str | None = None
    type: int | None = None
    since_ms: int | None = None
    before_ms: int | None = None

    def conditions(self) -> list[tuple[str, Any]]:
        """Return each condition in SQL with its value."""
        found = (
            (_OF_GATE, self.gate and f"{self.gate}%"),
            (_OF_SITE, self.site),
            ("outcome = ?", self.outcome),
            ("reason = ?", self.reason),
            ("type = ?", self.type),
            ("at_ms >= ?", self.since_ms),
            ("at_ms < ?", self.before_ms),
        )
        return [(condition, value) for condition, value in found if value is not None]


EVERYTHING: Final = Filter()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a pull asks for.

    Attributes:
        after: The cursor: the last hub sequence number that was read, 0 for none.
        limit: Most rows, 1 to `MOST`.
        until: The last hub sequence number wanted, None for no end.
        filter: Which scans.
    """

    after: int
    limit: int = DEFAULT
    until: int | None = None
    filter: Filter = EVERYTHING


@dataclass(frozen=True, slots=True)
class Page:
    """One page of scans, read from one state of the database.

    Attributes:
        rows: In order.
        logs: Gate id and epoch by row of the log.
        places: Site and lane by row of the place.
        cursor: Hub sequence number up to which the ledger was looked through.
        top: The newest hub sequence number there was, or the last one wanted.
    """

    rows: list[Row]
    logs: dict[int, tuple[bytes, bytes]]
    places: dict[int, tuple[str, str]]
    cursor: int = 0
    top: int = 0

    @property
    def last(self) -> int:
        """Hub sequence number of the last line, 0 where there is none."""
        return int(self.rows[-1][0]) if self.rows else 0

    def chunks(self) -> Iterator[list[Row]]:
        """Give the rows some hundred at a time."""
        for start in range(0, len(self.rows), CHUNK):
            yield self.rows[start : start + CHUNK]

    def lines(self) -> Iterator[bytes]:
        """Give the page as NDJSON, some hundred lines at a time."""
        for chunk in self.chunks():
            yield "\n".join((*self.objects(chunk), "")).encode()

    def objects(self, rows: Iterable[Row]) -> Iterator[str]:
        """Give each row as a JSON object."""
        origins: dict[tuple[int, int], str] = {}
        for row in rows:
            hub_seq, log, place, seq, at_ms, duration_ms, trust, policy = row[:_VARIED]
            origin = origins.get((log, place))
            if origin is None:
                origin = origins[log, place] = _origin(*self.logs[log], *self.places[place])
            before, after = _facts(row[_VARIED:])
            time = iso(at_ms)
            at = "null" if time is None else f'"{time}"'
            if at_ms is None:
                at_ms = duration_ms = trust = policy = "null"
            yield (
                f'{{"hub_seq":{hub_seq},{origin},"seq":{seq},"at":{at},"at_ms":{at_ms},'
                f'{before},"trust_version":{trust},"policy_version":{policy},"duration_ms":{duration_ms},{after}}}'
            )


@lru_cache(maxsize=4096)
def _origin(gate: bytes, epoch: bytes, site: str, lane: str) -> str:
    return _members({"gate": gate.hex(), "site": site, "lane": lane, "epoch": epoch.hex()})


# Between two entries little but numbers and times differs: the rest of a line is made once.
@lru_cache(maxsize=16384)
def _facts(lasting: tuple[Any, ...]) -> tuple[str, str]:
    """Return the members before the versions and those after the duration."""
    found = worded(lasting)
    return tuple(_members({name: found[name] for name in names}) for names in (BEFORE, AFTER))  # type: ignore[return-value]


BEFORE: Final = ("clock", "type", "outcome", "reason", "format", "issuer", "kind", "status", "region")
AFTER: Final = ("count", "refers_to", "note", "source")
FIELDS: Final = (
    *("hub_seq", "gate", "site", "lane", "epoch", "seq", "at", "at_ms"),
    *(*BEFORE, "trust_version", "policy_version", "duration_ms", *AFTER),
)
"""The fields of a scan as it is handed out, in order."""


def worded(lasting: tuple[Any, ...]) -> dict[str, Any]:
    """Return the facts of `LASTING` in the words they are handed out in."""
    found = dict(zip(LASTING, lasting, strict=True))
    return {
        "clock": _word(CLOCKS, found["quality"]),
        "type": _word(TYPES, found["type"]) or "unreadable",
        "outcome": _word(OUTCOMES, found["outcome"]),
        "reason": found["reason"] or None,
        "format": found["format"] or None,
        "issuer": found["issuer"] or None,
        "kind": _word(KINDS, found["kind"]),
        "status": found["status"],
        "region": found["region"] or None,
        "count": found["count"],
        "refers_to": found["refers_to"] or None,
        "note": found["note"] or None,
        "source": found["source"],
    }


def _members(fields: dict[str, Any]) -> str:
    """Return the inside of a JSON object."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))[1:-1]


def read(connection: sqlite3.Connection, asked: Asked) -> Page:
    """Return the scans after a hub sequence number, from one state of the database."""
    conditions = asked.filter.conditions()
    connection.execute("BEGIN")
    (top,) = connection.execute("SELECT coalesce(max(hub_seq), 0) FROM scans").fetchone()
    top = min(top, _FAR if asked.until is None else asked.until)
    end = min(top, asked.after + LOOK) if conditions else top
    rows = connection.execute(
        " AND ".join((_SELECT, *(condition for condition, _ in conditions))) + " ORDER BY hub_seq LIMIT ?",
        (asked.after, end, *(value for _, value in conditions), asked.limit),
    ).fetchall()
    logs = {log: connection.execute(_LOG, (log,)).fetchone() for log in {row[1] for row in rows}}
    places = {place: connection.execute(_PLACE, (place,)).fetchone() for place in {row[2] for row in rows}}
    connection.execute("COMMIT")
    cursor = rows[-1][0] if len(rows) == asked.limit else max(asked.after, end)
    return Page(rows, logs, places, cursor, top)


def newest(connection: sqlite3.Connection, count: int) -> list[dict[str, Any]]:
    """Return the newest scans, the newest first."""
    (top,) = connection.execute("SELECT coalesce(max(hub_seq), 0) FROM scans").fetchone()
    page = read(connection, Asked(max(0, top - count), count))
    return [json.loads(line) for line in reversed(b"".join(page.lines()).splitlines())]


def record(connection: sqlite3.Connection, reader: Reader, peer: str, after: int, page: Page, now_ms: int) -> None:
    """Put a pull on record, before a byte of it leaves; waiting at the end of the ledger is one row, counted."""
    if not page.rows:
        waited = connection.execute(
            "UPDATE pulls SET last_ms = ?, times = times + 1 WHERE id = "
            "(SELECT max(id) FROM pulls WHERE token = ? AND peer = ?) AND rows = 0 AND after = ? AND what = 'scans'",
            (now_ms, reader.token, peer, after),
        )
        if waited.rowcount:
            return
    connection.execute(
        "INSERT INTO pulls(at_ms, last_ms, times, role, token, peer, after, rows, last) "
        "VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?)",
        (now_ms, now_ms, reader.role, reader.token, peer, after, len(page.rows), page.last),
    )


@dataclass(frozen=True, slots=True)
class Read:
    """Something else than a page of scans that was read.

    Attributes:
        what: Its name.
        rows: How many rows it had.
        after: Hub sequence number before its first row, where its rows have one.
        last: That of its last row.
    """

    what: str
    rows: int
    after: int = 0
    last: int = 0


def record_other(connection: sqlite3.Connection, reader: Reader, peer: str, read: Read, now_ms: int) -> None:
    """Put on record that something else than scans was read; a file that is handed out in pieces is one row."""
    if read.last:
        again = connection.execute(
            "UPDATE pulls SET last_ms = ?, times = times + 1 WHERE id = "
            "(SELECT max(id) FROM pulls WHERE token = ? AND peer = ?) AND what = ? AND rows = ? AND last = ?",
            (now_ms, reader.token, peer, read.what, read.rows, read.last),
        )
        if again.rowcount:
            return
    connection.execute(
        "INSERT INTO pulls(at_ms, last_ms, times, role, token, peer, after, rows, last, what) "
        "VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?)",
        (now_ms, now_ms, reader.role, reader.token, peer, read.after, read.rows, read.last, read.what),
    )


def exported_as(days: Sequence[str], views: Sequence[str]) -> str:
    """Return how an export is called in the audit."""
    return " ".join(["export", *sorted(days), *views])


def record_local(connection: sqlite3.Connection, person: str, read: Read, now_ms: int) -> int:
    """Put on record that somebody reads by a command at the hub, and return the row; see `complete`."""
    made = connection.execute(
        "INSERT INTO pulls(at_ms, last_ms, times, role, token, peer, after, rows, last, what) "
        "VALUES (?, ?, 1, ?, '', ?, ?, ?, ?, ?)",
        (now_ms, now_ms, LOCAL, person, read.after, read.rows, read.last, read.what),
    )
    return int(made.lastrowid or 0)


def complete(connection: sqlite3.Connection, row: int, read: Read, now_ms: int) -> None:
    """Say on record what a command that read came to; one that broke off stands there without."""
    connection.execute(
        "UPDATE pulls SET last_ms = ?, rows = ?, last = ? WHERE id = ?", (now_ms, read.rows, read.last, row)
    )


def recorded(connection: sqlite3.Connection, most: int) -> list[dict[str, Any]]:
    """Return the audit trail of pulls, the newest first."""
    rows = connection.execute(
        "SELECT at_ms, last_ms, times, role, token, peer, after, rows, last, what FROM pulls ORDER BY id DESC LIMIT ?",
        (most,),
    )
    names = ("at", "last_at", "times", "role", "token", "peer", "after", "rows", "last", "what")
    return [dict(zip(names, (iso(at), iso(until), *rest), strict=True)) for at, until, *rest in rows]


def iso(unix_ms: int | None) -> str | None:
    """Return a time as ISO 8601 in UTC with milliseconds, None for one that no calendar has."""
    if unix_ms is None:
        return None
    minutes, rest = divmod(unix_ms, 60_000)
    begin = _minute(minutes)
    return begin and f"{begin}:{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _minute(minutes: int) -> str | None:
    try:
        return f"{datetime.fromtimestamp(60 * minutes, UTC):%Y-%m-%dT%H:%M}"
    except (ValueError, OverflowError, OSError):
        return None


def _word(words: dict[int, Any], number: int | None) -> Any:
    return None if number is None else words.get(number, f"unknown:{number}")
