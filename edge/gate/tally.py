"""Counts of the day for the page and the hand-over report: outcomes, reasons and what staff did. Nobody's name."""

from collections import Counter
from typing import Final

from edge.errors import EncodingRefused
from edge.ledger import facts
from edge.model.scan import EntryType
from edge.model.verdict import Outcome
from edge.scanlog.log import ScanLog

_STAFF: Final = frozenset({EntryType.NOTE, EntryType.NOT_HOLDER, EntryType.OVERRIDE, EntryType.UNDO})
_PAGE: Final = 1000
_OUTCOMES: Final = {int(outcome): outcome.name.lower() for outcome in Outcome}


class Tally:
    """What was decided and done since midnight."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}
        self.reasons: Counter[str] = Counter()
        self.staff: Counter[str] = Counter()
        self.clear()

    def clear(self) -> None:
        """Begin a new day."""
        self.outcomes = dict.fromkeys(_OUTCOMES.values(), 0)
        self.reasons.clear()
        self.staff.clear()

    def add_verdict(self, outcome: str, reason: str, count: int = 1) -> None:
        """Count one presentation, or several alike."""
        self.outcomes[outcome] += count
        self.reasons[reason] += count

    def add_staff(self, kind: EntryType) -> None:
        """Count what staff did."""
        if kind in _STAFF:
            self.staff[kind.name.lower()] += 1

    def load(self, log: ScanLog, since_ms: int) -> None:
        """Take up what the log holds of the day, newest first, so that a restart in mid-shift loses no count."""
        self.clear()
        last = log.head.seq
        while last > 0:
            page = [entry for entry in log.entries(max(1, last - _PAGE + 1), _PAGE) if entry.seq <= last]
            # One entry of a clock that was set back hides nothing; a whole page of other days ends the walk.
            if not sum(self._take(entry.body, since_ms) for entry in page):
                return
            last = page[0].seq - 1

    def _take(self, body: bytes, since_ms: int) -> bool:
        try:
            stated = facts.decode(body)
        except EncodingRefused:
            return False
        if stated.at_ms < since_ms:
            return False
        if stated.outcome in _OUTCOMES and stated.type in {EntryType.SCAN, EntryType.UNKNOWN_CODES}:
            self.add_verdict(_OUTCOMES[stated.outcome], stated.reason, stated.count)
        self.add_staff(stated.type)
        return True
