"""How many posts are in work at once, and when those turned away may come again.

After an outage every gate comes back at the same moment. Whoever finds the hub full is given a place in a row, one
after the other at the pace the hub really keeps, in place of everybody trying again at once.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

AT_ONCE: Final = 24
BEATS_AT_ONCE: Final = 4
"""Most heartbeats in work: when every gate comes back, they must not push the posts aside, nor wait until nobody
listens any more. Who finds no place gets one in the row of the posts."""
MOST_S: Final = 900
_FIRST_PACE_S: Final = 0.002
"""Believed until posts have shown another: rather too fast, for who comes too early is only sent to the row's end."""
_LEAST_PACE_S: Final = 0.0005
_FASTER: Final = 0.1
_SLOWER: Final = 0.0005
"""How much of a measured pace is believed. Slow moments pass (every gate's first heartbeat after an outage is one), and
a slot once given too late leaves the hub idle: it is not taken back."""
_FIRST_SLOWER: Final = 0.05
_FIRST_POSTS: Final = 32
"""So many measured paces teach quickly both ways: a hub ten times slower than what is believed at first would else
send a crowd away every second for as long as the crowd lasts."""
_DENSER: Final = 0.8
"""Slots are a little closer than the pace, so that there is always somebody waiting."""


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
        self._left_at: float | None = None
        self._pace_s = _FIRST_PACE_S
        self._measured = 0
        self._next_slot = 0.0

    @contextmanager
    def entered(self) -> Iterator[int]:
        """Give 0 where the post is admitted for the length of the block, else the seconds until its slot."""
        wait_s = self._enter()
        if wait_s:
            yield wait_s
            return
        try:
            yield 0
        finally:
            self._leave()

    def slot_s(self) -> int:
        """Return how many seconds a gate should wait with its backlog, 0 where there is room."""
        with self._lock:
            return self._slot() if self._in_work >= self._at_once else 0

    def row_s(self) -> int:
        """Return the seconds until the next free slot, which is then taken."""
        with self._lock:
            return self._slot()

    def _enter(self) -> int:
        with self._lock:
            if self._in_work >= self._at_once:
                return self._slot()
            self._in_work += 1
            return 0

    def _leave(self) -> None:
        with self._lock:
            now = self._monotonic()
            # Only from one leaving to the next while all places are taken does the time between them say what the hub
            # can do, and not how few came.
            if self._in_work < self._at_once:
                self._left_at = None
            elif self._left_at is None:
                self._left_at = now
            else:
                took_s = now - self._left_at
                slower = _FIRST_SLOWER if self._measured < _FIRST_POSTS else _SLOWER
                self._measured += 1
                share = _FASTER if took_s < self._pace_s else slower
                self._pace_s = max(_LEAST_PACE_S, self._pace_s + share * (took_s - self._pace_s))
                self._left_at = now
            self._in_work -= 1

    def _slot(self) -> int:
        now = self._monotonic()
        self._next_slot = min(max(self._next_slot, now) + _DENSER * self._pace_s, now + MOST_S)
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
