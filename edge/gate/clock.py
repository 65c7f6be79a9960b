"""The one place that reads the wall clock, and what it is worth (docs/adr/0012-clock-floor.md)."""

import ctypes
import time
from typing import Final

from edge.model.moment import ClockQuality, Moment
from edge.model.trust import TrustSnapshot

_TIME_ERROR: Final = 5
"""adjtimex(2): the clock is not synchronised to a time service."""
_TIMEX_BYTES: Final = 512
_ASK_EVERY_S: Final = 60.0
_MAX_MS: Final = (1 << 53) - 1


def now_ms() -> int:
    """Return the system clock, Unix milliseconds, clamped to what a moment can hold."""
    return min(max(0, time.time_ns() // 1_000_000), _MAX_MS)  # the one reader


class Clock:
    """Moments of decision: the system clock, never behind signed data, with its quality."""

    def __init__(self) -> None:
        self._asked_at = -_ASK_EVERY_S
        self._is_synced = False

    def moment(self, trust: TrustSnapshot | None) -> Moment:
        """Return the time of a decision made now under `trust`.

        Behind the newest signed issue time the clock is wrong and time stands at that floor; past every signed expiry
        it may be wrong by years and is doubted. No unsigned clock ever raises the floor.
        """
        now = now_ms()
        if trust is not None:
            floor = trust.issued_at * 1000
            if now < floor:
                return Moment(floor, ClockQuality.FLOOR)
            if now > trust.newest_expiry * 1000:
                return Moment(now, ClockQuality.DOUBTFUL)
        return Moment(now, ClockQuality.SYNCED if self._synced() else ClockQuality.RTC)

    def _synced(self) -> bool:
        if time.monotonic() - self._asked_at >= _ASK_EVERY_S:
            self._asked_at = time.monotonic()
            self._is_synced = _adjtimex() not in {-1, _TIME_ERROR}
        return self._is_synced


def _adjtimex() -> int:
    # Read-only: `modes`, the first field of struct timex, is zero.
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    return int(ctypes.CDLL(None).adjtimex(buffer))
