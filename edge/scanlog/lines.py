"""Entries as a person or a script reads them: the fields of the hub's lines, under the same names.

A line besides holds the chained bytes, so that whoever has the lines can follow the chain without this program; tokens
and sealed fields are never in one.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from edge.model.credential import PassKind
from edge.model.moment import ClockQuality
from edge.model.scan import Entry, EntryType
from edge.model.verdict import Outcome
from edge.scanlog.reader import ScanLogReader
from edge.scanlog.rows import stated_by

_PAGE: Final = 500
_OUTCOMES: Final[dict[int, str | None]] = {0: None, **{int(member): member.name.lower() for member in Outcome}}
_KINDS: Final = {int(member): member.name.lower() for member in PassKind}
_CLOCKS: Final = {int(member): member.name.lower() for member in ClockQuality}


def line(entry: Entry, epoch: bytes) -> dict[str, Any]:
    """Return one entry as a mapping for JSON; of a type that only a later version knows, what can be said of it."""
    found = stated_by(entry)
    chained = {"body": entry.body.hex(), "head": entry.head.hex()}
    numbers: dict[str, Any] = {"epoch": epoch.hex(), "seq": entry.seq}
    if found is None:
        return numbers | {"type": "unreadable"} | chained
    stated = {
        "at": iso(found.at_ms),
        "at_ms": found.at_ms,
        "clock": _word(_CLOCKS, found.quality),
        "type": found.type.name.lower(),
        "outcome": _word(_OUTCOMES, found.outcome),
        "reason": found.reason or None,
        "format": found.format or None,
        "issuer": found.issuer or None,
        "kind": None if found.kind is None else _word(_KINDS, found.kind),
        "status": found.status,
        "region": found.region or None,
        "trust_version": found.trust_version,
        "policy_version": found.policy_version,
        "duration_ms": found.duration_ms,
        "count": found.count,
        "refers_to": found.refers_to or None,
        "note": found.note or None,
        "source": found.source,
    }
    return numbers | stated | chained


def walk(reader: ScanLogReader, after: int = 0) -> Iterator[Entry]:
    """Give every entry behind number `after`, oldest first, each page checked to follow.

    Raises:
        LedgerError: The log does not verify or cannot be read.
    """
    while page := reader.entries(after + 1, _PAGE):
        yield from page
        after = page[-1].seq


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are looked for; what is None is not asked.

    Attributes:
        since_ms: Recorded at this Unix millisecond or later.
        until_ms: Recorded before it.
        outcome: `accept`, `refer` or `reject`.
        reason: A reason code.
        type: A type of entry, in lower case.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    outcome: str | None = None
    reason: str | None = None
    type: str | None = None

    def takes(self, shown: dict[str, Any]) -> bool:
        """Whether a line is wanted; one that this version cannot read is only where nothing is asked."""
        asked = (("outcome", self.outcome), ("reason", self.reason), ("type", self.type))
        if any(value is not None and shown.get(name) != value for name, value in asked):
            return False
        if self.since_ms is None and self.until_ms is None:
            return True
        at_ms = shown.get("at_ms")
        if at_ms is None:
            return False
        return (self.since_ms or 0) <= at_ms and (self.until_ms is None or at_ms < self.until_ms)


def newest(reader: ScanLogReader, wanted: Wanted, count: int) -> list[dict[str, Any]]:
    """Return the lines of the newest `count` entries that are wanted, the newest last.

    Raises:
        LedgerError: The log does not verify or cannot be read.
    """
    head = reader.head
    epoch = head.epoch if head is not None else b""
    if wanted == Wanted():
        return [line(entry, epoch) for entry in reader.latest(count)[::-1]]
    return list(deque((shown for entry in walk(reader) if wanted.takes(shown := line(entry, epoch))), maxlen=count))


class _Sums:
    """What is added up over a log, in memory bounded by reasons, days and milliseconds."""

    def __init__(self) -> None:
        self.types: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter({"accept": 0, "refer": 0, "reject": 0})
        self.reasons: Counter[str] = Counter()
        self.days: dict[str, Counter[str]] = {}
        self.durations: Counter[int] = Counter()
        self.earliest: int | None = None
        self.latest: int | None = None

    def add(self, entry: Entry) -> None:
        found = stated_by(entry)
        self.types[found.type.name.lower() if found is not None else "unreadable"] += 1
        if found is None:
            return
        self.earliest = found.at_ms if self.earliest is None else min(self.earliest, found.at_ms)
        self.latest = found.at_ms if self.latest is None else max(self.latest, found.at_ms)
        if found.type not in {EntryType.SCAN, EntryType.UNKNOWN_CODES}:
            return
        outcome = _word(_OUTCOMES, found.outcome) or "none"
        self.outcomes[outcome] += found.count
        self.reasons[found.reason] += found.count
        self.days.setdefault((iso(found.at_ms) or "unknown")[:10], Counter())[outcome] += found.count
        if found.duration_ms:
            self.durations[found.duration_ms] += 1

    def duration(self, share: float) -> int | None:
        """Return the milliseconds that this share of the checks took at most."""
        left = share * self.durations.total()
        for took in sorted(self.durations):
            left -= self.durations[took]
            if left <= 0:
                return took
        return None


def statistics(reader: ScanLogReader) -> dict[str, Any]:
    """Return sums over the whole log: presentations by outcome, reason and day, entries by type, how long checks took.

    Raises:
        LedgerError: The log does not verify or cannot be read.
    """
    sums = _Sums()
    for entry in walk(reader):
        sums.add(entry)
    head = reader.head
    return {
        "epoch": head.epoch.hex() if head is not None else None,
        "first": reader.first,
        "last": head.seq if head is not None else 0,
        "entries": sums.types.total(),
        "types": dict(sums.types.most_common()),
        "presentations": dict(sums.outcomes),
        "reasons": dict(sums.reasons.most_common()),
        "days": {day: dict(found) for day, found in sorted(sums.days.items())},
        "duration_ms": {"p50": sums.duration(0.5), "p95": sums.duration(0.95)},
        "earliest": iso(sums.earliest) if sums.earliest is not None else None,
        "latest": iso(sums.latest) if sums.latest is not None else None,
    }


def iso(unix_ms: int) -> str | None:
    """Return a time as ISO 8601 in UTC with milliseconds, None for one that no calendar has."""
    try:
        moment = datetime.fromtimestamp(unix_ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"


def _word(words: dict[int, Any], number: int) -> Any:
    return words.get(number, f"unknown:{number}")
