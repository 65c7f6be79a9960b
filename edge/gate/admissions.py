"""The latest admissions by entry number: what may still be taken back, once, because nobody was shown the green.

What is too old, or was admitted before a restart, is not known here and stays an admission: the repeat rule then refers
the pass to staff. Whether anybody was shown it is the pages' word (`edge.kiosk.witnesses`), not known here either.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge.model.moment import Moment

WITHIN_S: Final = 30.0
"""An admission can be taken back this long. A page knows within 7 s: late after 4, and a red stands for 3."""
_MOST: Final = 256


@dataclass(slots=True)
class Admission:
    """One accept that was recorded.

    Attributes:
        tokens: Tokens of the passes it rests on; the last is the one it was recorded under.
        at_ms: When, Unix milliseconds, as the entry states.
        since_s: When, monotonic seconds.
        note: Number of the entry that takes it back, 0 while it stands.
    """

    tokens: tuple[bytes, ...]
    at_ms: int
    since_s: float
    note: int = 0


class Admissions:
    """Admissions of the last half minute.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_seq: OrderedDict[int, Admission] = OrderedDict()

    def add(self, seq: int, tokens: tuple[bytes, ...], moment: Moment) -> None:
        """Take up an accept whose entry is durable."""
        self._by_seq[seq] = Admission(tokens, moment.unix_ms, self._clock())
        while len(self._by_seq) > _MOST:
            self._by_seq.popitem(last=False)

    def find(self, seq: int) -> Admission | None:
        """Return the admission of an entry, or None where it is none of the last half minute."""
        found = self._by_seq.get(seq)
        return found if found is not None and self._clock() - found.since_s <= WITHIN_S else None
