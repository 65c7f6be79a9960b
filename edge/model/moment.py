"""The time of one decision, and how far it can be believed.

The clock is read once per symbol in `edge.gate.clock` and handed down as a value; nothing in the core reads one.
"""

from dataclasses import dataclass
from enum import IntEnum


class ClockQuality(IntEnum):
    """Where a moment's time came from; the number is what the scan log stores."""

    SYNCED = 1
    """The system clock, disciplined by a time service, or a time that was signed for this gate just now."""
    RTC = 2
    """An unsigned clock, kept by a battery or simply running; not contradicted by trust data or the steady count."""
    FLOOR = 3
    """Every clock is behind signed data: it is at least this late, by the newest signed time and the steady count."""
    DOUBTFUL = 4
    """Past everything signed, or jumped between two times that both could be: nobody can tell."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time with its quality.

    Attributes:
        unix_ms: Milliseconds since 1970-01-01T00:00:00Z, 0 <= unix_ms < 2**53.
        quality: How far it can be believed.
        late_ms: How much later it may be, milliseconds: what a signed time code left open, or how long a machine
            without a battery may have been off. Nothing is "not yet valid" within it.
    """

    unix_ms: int
    quality: ClockQuality = ClockQuality.SYNCED
    late_ms: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.unix_ms < 1 << 53 or self.late_ms < 0:
            raise ValueError("a moment lies between 1970 and the year 287396")

    @property
    def unix_s(self) -> int:
        """Whole seconds since 1970-01-01T00:00:00Z."""
        return self.unix_ms // 1000
