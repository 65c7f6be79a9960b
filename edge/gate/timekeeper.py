"""What time it is, from all that is known: unsigned clocks, signed times, and the steady count of this machine.

Bounds come from what is signed and from the steady count alone (`CLOCK_MONOTONIC`, which nobody can set); an unsigned
clock is believed only between them, and only as long as it runs evenly. Reasons: docs/adr/0023-trusted-time.md. Reads
nothing itself: readings are arguments, so that any clock fault can be played. Reading and keeping is `edge.gate.clock`.
"""

from dataclasses import dataclass
from typing import Final

from edge.model.moment import ClockQuality, Moment

AGREE_MS: Final = 120_000
"""Two clocks this far apart agree: an authority's clock is not a gate's, and nobody's pass hangs on two minutes."""
_DRIFT: Final = 5_000
"""A steady count is wrong by at most one part in this many: 200 ppm, ten times a poor crystal."""
_LAST: Final = (1 << 53) - 1
AWAY_MS: Final = 30 * 86_400_000
"""A machine without a battery wakes with the time it was switched off at: it may be later by all of that. Past this
much the trust it woke with is too old for anybody."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What this machine's clocks say at one instant.

    Attributes:
        system_ms: The system clock, Unix milliseconds.
        steady_ms: The steady count, milliseconds since this boot.
        is_synced: Whether a time service disciplines the system clock.
        rtc_ms: The battery-backed clock, Unix milliseconds, or None where there is none.
    """

    system_ms: int
    steady_ms: int
    is_synced: bool = False
    rtc_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """What the trust in force says about time.

    Attributes:
        issued_ms: Its signed issue time, Unix milliseconds: no honest clock is behind it.
        expires_ms: Its newest signed expiry, Unix milliseconds: a clock beyond may be years ahead.
    """

    issued_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Bound:
    """At a steady count it was at least `low_ms`, and at most `span_ms` later where that is known.

    Attributes:
        low_ms: Unix milliseconds.
        steady_ms: The steady count then.
        span_ms: How much later it may have been, milliseconds; None: nobody knows.
    """

    low_ms: int
    steady_ms: int
    span_ms: int | None = None

    def at(self, steady_ms: int) -> "Bound":
        """Return the bound at a later steady count, wider by what the count may be wrong."""
        ran = max(0, steady_ms - self.steady_ms)
        drift = ran // _DRIFT
        span = None if self.span_ms is None else self.span_ms + 2 * drift
        return Bound(self.low_ms + ran - drift, steady_ms, span)


@dataclass(frozen=True, slots=True)
class _Anchor:
    """A reading that was believed; the steady count leads on from it.

    Attributes:
        at_ms: The time, Unix milliseconds.
        steady_ms: The steady count then.
        was_synced: Whether a time service stood behind it.
    """

    at_ms: int
    steady_ms: int
    was_synced: bool


class Timekeeper:
    """The time of one run of the gate.

    Args:
        floor: Signed lower bound kept from before, its steady count of this boot; None where there is none.
        code: What the last signed time code said, likewise; without a span where the machine was off since.
    """

    def __init__(self, floor: Bound | None = None, code: Bound | None = None) -> None:
        self._floor = floor or Bound(0, 0)
        self._code = code
        self._anchor: _Anchor | None = None

    @property
    def floor(self) -> Bound:
        """The signed lower bound: raised by signed issue times and the steady count, by nothing else."""
        return self._floor

    @property
    def code(self) -> Bound | None:
        """What the last signed time code said, or None."""
        return self._code

    def sure_ms(self, steady_ms: int) -> int:
        """Return what time it is at least, by signed times and the steady count alone, Unix milliseconds."""
        low = self._floor.at(steady_ms).low_ms
        return max(low, self._code.at(steady_ms).low_ms) if self._code is not None else low

    def raise_floor(self, issued_ms: int, steady_ms: int) -> None:
        """Learn that it is not earlier than a signed issue time."""
        if issued_ms > self._floor.at(steady_ms).low_ms:
            self._floor = Bound(issued_ms, steady_ms)

    def set_by_code(self, at_ms: int, asked_ms: int, steady_ms: int) -> bool:
        """Take a signed time that answers a question of ours; return whether it can be true.

        Args:
            at_ms: The time that was signed, Unix milliseconds.
            asked_ms: The steady count when the question was first shown: it was signed after that.
            steady_ms: The steady count now.
        """
        code = Bound(at_ms, steady_ms, max(0, steady_ms - asked_ms))
        # A signer whose clock is behind what the authority signed is wrong; the newest answer replaces any before.
        if at_ms + (code.span_ms or 0) + AGREE_MS < self._floor.at(steady_ms).low_ms:
            return False
        self._code, self._anchor = code, None
        return True

    def moment(self, reading: Reading, signed: Signed | None) -> Moment:
        """Return the time of a decision, and how far it can be believed."""
        if signed is not None:
            self.raise_floor(signed.issued_ms, reading.steady_ms)
        by_code = self._by_code(reading)
        if by_code is not None:
            return by_code
        low = self.sure_ms(reading.steady_ms)
        latest = _LAST if signed is None else signed.expires_ms
        if low > latest:
            # Everything signed has run out for certain: what follows from that is said plainly, not doubted.
            return Moment(low, ClockQuality.FLOOR)
        if reading.is_synced and _is_within(reading.system_ms, low, latest):
            self._anchor = _Anchor(reading.system_ms, reading.steady_ms, was_synced=True)
            return Moment(max(low, reading.system_ms), ClockQuality.SYNCED)
        # Without trust there is no latest time: a broken battery-backed clock must not look like the future.
        rtc_ms = None if signed is None else reading.rtc_ms
        wall = max(
            (ms for ms in (reading.system_ms, rtc_ms) if ms is not None and _is_within(ms, low, latest)), default=None
        )
        return self._unsynced(wall, reading, (low, latest))

    def _by_code(self, reading: Reading) -> Moment | None:
        if self._code is None or self._code.span_ms is None:
            return None
        now = self._code.at(reading.steady_ms)
        late_ms = now.span_ms or 0
        if now.low_ms + late_ms + AGREE_MS < self._floor.at(reading.steady_ms).low_ms:
            # The authority has signed a later time since: whoever signed the code had a wrong clock.
            self._code = None
            return None
        if now.low_ms - AGREE_MS <= reading.system_ms <= now.low_ms + late_ms + AGREE_MS:
            return Moment(reading.system_ms, ClockQuality.SYNCED)
        return Moment(now.low_ms, ClockQuality.SYNCED, late_ms=late_ms)

    def _unsynced(self, wall: int | None, reading: Reading, bounds: tuple[int, int]) -> Moment:
        low, latest = bounds
        steady = reading.steady_ms
        led = self._led_on(steady, bounds)
        # Neither a battery nor, in this run, a time service: the clock may have stood still while the power was off.
        has_battery = reading.rtc_ms is not None and _is_within(reading.rtc_ms, low, latest)
        if led is None:
            if wall is not None:
                self._anchor = _Anchor(wall, steady, was_synced=False)
                return Moment(max(low, wall), ClockQuality.RTC, 0 if has_battery else AWAY_MS)
            ahead = reading.system_ms > latest
            return Moment(low, ClockQuality.DOUBTFUL if ahead else ClockQuality.FLOOR)
        anchor, at_ms = led
        late_ms = 0 if has_battery or anchor.was_synced else AWAY_MS
        if wall is not None and abs(wall - at_ms) <= AGREE_MS:
            self._anchor = _Anchor(wall, steady, was_synced=anchor.was_synced)
            return Moment(max(low, wall), ClockQuality.RTC, late_ms)
        # A clock that jumped to where it cannot be, or away from a time service's time, is the one that is wrong.
        # Between two unsigned times that both could be, nobody can tell.
        is_sure = wall is None or anchor.was_synced
        return Moment(max(low, at_ms), ClockQuality.RTC if is_sure else ClockQuality.DOUBTFUL, late_ms)

    def _led_on(self, steady_ms: int, bounds: tuple[int, int]) -> tuple[_Anchor, int] | None:
        """Return the anchor and the time it leads to, or None where that cannot be: signed times know better."""
        anchor = self._anchor
        if anchor is None:
            return None
        at_ms = anchor.at_ms + steady_ms - anchor.steady_ms
        if _is_within(at_ms, *bounds):
            return anchor, at_ms
        self._anchor = None
        return None


def _is_within(ms: int, low: int, latest: int) -> bool:
    return low - AGREE_MS <= ms <= latest
