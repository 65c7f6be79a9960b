"""How many posts are in work at once, and when those turned away may come again.

After an outage every gate comes back at the same moment. Whoever finds the hub full is given a place in a row, one
after the other at the pace the hub really keeps, in place of everybody trying again at once.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

AT_ONCE: Final = 24
MOST_S: Final = 900
_FIRST_PACE_S: Final = 0.02
_SMOOTH: Final = 0.1


class Admission:
    """A bounded number of posts in work, and a row of slots for the others.

    Args:
        monotonic: Seconds that never go back.
        at_once: Most posts in work.
    """

    def __init__(self, monotonic: Callable[[], float], *, at_once: int = AT_ONCE) -> None:
        self._monotonic = monotonic
        self._at_once = at_once
        self._lock = threading.Lock()
        self._in_work = 0
        self._pace_s = _FIRST_PACE_S
        self._next_slot = 0.0

    @contextmanager
    def entered(self) -> Iterator[int]:
        """Give 0 where the post is admitted for the length of the block, else the seconds until its slot."""
        wait_s = self._enter()
        if wait_s:
            yield wait_s
            return
        began = self._monotonic()
        try:
            yield 0
        finally:
            self._leave(self._monotonic() - began)

    def slot_s(self) -> int:
        """Return how many seconds a gate should wait with its backlog, 0 where there is room."""
        with self._lock:
            return self._slot() if self._in_work >= self._at_once else 0

    def _enter(self) -> int:
        with self._lock:
            if self._in_work >= self._at_once:
                return self._slot()
            self._in_work += 1
            return 0

    def _leave(self, took_s: float) -> None:
        with self._lock:
            self._in_work -= 1
            self._pace_s += _SMOOTH * (took_s / self._at_once - self._pace_s)

    def _slot(self) -> int:
        now = self._monotonic()
        self._next_slot = min(max(self._next_slot, now) + self._pace_s, now + MOST_S)
        return 1 + int(self._next_slot - now)


class Allowance:
    """So many a second, with a little in hand; for what strangers can make us write.

    Args:
        monotonic: Seconds that never go back.
        rate: Allowed a second, in the long run.
        burst: Allowed at once.
    """

    def __init__(self, monotonic: Callable[[], float], *, rate: float, burst: float) -> None:
        self._monotonic = monotonic
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = monotonic()
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more is allowed now."""
        with self._lock:
            now = self._monotonic()
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
