"""Counts of the day for the page and the hand-over report: outcomes, reasons and what staff did. Nobody's name."""

from collections import Counter
from typing import Final

from edge.errors import EncodingRefused
from edge.ledger import facts
from edge.model.scan import NOT_SHOWN, TAIL_DIFFERS, TAIL_MATCHED, EntryType, Facts
from edge.model.verdict import Outcome
from edge.scanlog.log import ScanLog
from edge.words.catalogue import NOTES

_OWN: Final = frozenset({NOT_SHOWN, TAIL_DIFFERS, TAIL_MATCHED})
_STAFF: Final = frozenset({EntryType.NOT_HOLDER, EntryType.OVERRIDE, EntryType.UNDO})
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

    def add_note(self, stated: Facts) -> None:
        """Count what staff did, accepts that were not shown and endings compared; nothing else that the gate notes."""
        if stated.type in _STAFF or (stated.type is EntryType.NOTE and stated.note in NOTES):
            self.staff[stated.type.name.lower()] += 1
        elif stated.type is EntryType.NOTE and stated.note in _OWN:
            self.staff[stated.note] += 1

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
        self.add_note(stated)
        return True
