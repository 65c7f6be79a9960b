"""Is a credential within its own times, by a clock that may be wrong?"""

from typing import Final

from edge.model.moment import ClockQuality, Moment
from edge.model.verdict import OK, Reason

LEEWAY_S: Final = 60
"""A pass issued this far in the gate's future is still valid: two honest clocks differ (RFC 8392, 3.1.5)."""


def in_time(issued_at: int | None, expires_at: int | None, moment: Moment) -> tuple[Reason, tuple[Reason, ...]]:
    """Return whether a credential is valid at `moment`, and checks that could not be decided and were downgraded.

    Args:
        issued_at: Unix seconds from which it is valid, or None where it does not tell.
        expires_at: Unix seconds from which it is no longer (RFC 8392, 3.1.4: on or after), or None.
        moment: The time of the check.
    """
    now = moment.unix_s
    if expires_at is not None and now >= expires_at:
        # A clock that may be years ahead must not refuse everybody.
        doubtful = moment.quality is ClockQuality.DOUBTFUL
        return (Reason.CLOCK_DOUBTFUL if doubtful else Reason.TIME_EXPIRED), ()
    if issued_at is not None and now + LEEWAY_S < issued_at:
        # Where the real time may be later, "not yet" cannot be told; nor by a clock that was set back.
        if moment.quality is ClockQuality.DOUBTFUL:
            return Reason.CLOCK_DOUBTFUL, ()
        if moment.quality is ClockQuality.FLOOR or now + LEEWAY_S + moment.late_ms // 1000 >= issued_at:
            return OK, (Reason.TIME_NOT_YET_VALID,)
        return Reason.TIME_NOT_YET_VALID, ()
    return OK, ()
