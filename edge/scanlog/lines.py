"""Entries as a person or a script reads them: the fields of the hub's lines, under the same names.

A line besides holds the chained bytes, so that whoever has the lines can follow the chain without this program; tokens
and sealed fields are never in one.
"""

from collections import Counter
from collections.abc import Iterator
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


def statistics(reader: ScanLogReader) -> dict[str, Any]:
    """Return sums over the whole log: presentations by outcome and reason, entries by type.

    Raises:
        LedgerError: The log does not verify or cannot be read.
    """
    outcomes: Counter[str] = Counter({"accept": 0, "refer": 0, "reject": 0})
    reasons: Counter[str] = Counter()
    types: Counter[str] = Counter()
    times: list[int] = []
    for entry in walk(reader):
        found = stated_by(entry)
        types[found.type.name.lower() if found is not None else "unreadable"] += 1
        if found is None:
            continue
        times = [min([found.at_ms, *times[:1]]), max([found.at_ms, *times[1:]])]
        if found.type in {EntryType.SCAN, EntryType.UNKNOWN_CODES}:
            outcomes[_word(_OUTCOMES, found.outcome) or "none"] += found.count
            reasons[found.reason] += found.count
    head = reader.head
    return {
        "epoch": head.epoch.hex() if head is not None else None,
        "first": reader.first,
        "last": head.seq if head is not None else 0,
        "entries": types.total(),
        "types": dict(types.most_common()),
        "presentations": dict(outcomes),
        "reasons": dict(reasons.most_common()),
        "earliest": iso(times[0]) if times else None,
        "latest": iso(times[1]) if times else None,
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
