"""How often codes nobody known signed are written down: counted always, written at most once a second.

Somebody who cycles random codes before the camera must neither fill the card nor keep a valid pass waiting. Pure: time
is an argument. Making the entries is left to the line.
"""

from collections import Counter
from typing import Final

from edge.model.verdict import Reason

BURST: Final = 10
PER_S: Final = 1.0


class FloodGate:
    """Counts presentations by reason and says when an entry may stand for them.

    A bucket of `BURST` entries that fills at `PER_S` a second: ordinary strangers (a payment code, a poster) are
    written down one by one, a flood as one entry a second that counts what it stands for. Memory is a number for each
    reason.
    """

    def __init__(self) -> None:
        self._counted: Counter[Reason] = Counter()
        self._room = float(BURST)
        self._filled_s: float | None = None

    def offer(self, reason: Reason, now_s: float) -> int:
        """Count one presentation and return for how many an entry is to be written now, 0 for none yet.

        Args:
            reason: Why it was not accepted.
            now_s: Monotonic seconds.
        """
        self._counted[reason] += 1
        return self._counted.pop(reason) if self._take(now_s) else 0

    def flush(self, now_s: float) -> tuple[Reason, int] | None:
        """Return a reason and count to write down now although nobody presents anything, or None.

        Args:
            now_s: Monotonic seconds.
        """
        return self._largest() if self._counted and self._take(now_s) else None

    def drain(self) -> list[tuple[Reason, int]]:
        """Return all that is counted and not written, at most one of each reason: the gate stops."""
        left = self._counted.most_common()
        self._counted.clear()
        return left

    def put_back(self, reason: Reason, count: int) -> None:
        """Count again what could not be written."""
        self._counted[reason] += count

    @property
    def pending(self) -> int:
        """How many presentations are counted and not written."""
        return self._counted.total()

    def _largest(self) -> tuple[Reason, int]:
        (reason, count), *_ = self._counted.most_common(1)
        del self._counted[reason]
        return reason, count

    def _take(self, now_s: float) -> bool:
        before = now_s if self._filled_s is None else self._filled_s
        # A clock that stands still or steps back fills nothing, and does not stop the filling afterwards.
        self._room = min(BURST, self._room + max(0.0, now_s - before) * PER_S)
        self._filled_s = now_s
        if self._room < 1.0:
            return False
        self._room -= 1.0
        return True
