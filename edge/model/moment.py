"""The time of one decision, and how far it can be believed.

The clock is read once per symbol in `edge.gate.clock` and handed down as a value; nothing in the core reads one.
"""

from dataclasses import dataclass
from enum import IntEnum


class ClockQuality(IntEnum):
    """Where a moment's time came from; the number is what the scan log stores."""

    SYNCED = 1
    """The system clock, disciplined by a time service."""
    RTC = 2
    """The system clock, kept by a battery-backed clock or simply running; not contradicted by trust data."""
    FLOOR = 3
    """The system clock is behind signed data; time stands at the newest signed issue time."""
    DOUBTFUL = 4
    """The system clock is past everything signed: it may be years ahead."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time with its quality.

    Attributes:
        unix_ms: Milliseconds since 1970-01-01T00:00:00Z, 0 <= unix_ms < 2**53.
        quality: How far it can be believed.
    """

    unix_ms: int
    quality: ClockQuality = ClockQuality.SYNCED

    def __post_init__(self) -> None:
        if not 0 <= self.unix_ms < 1 << 53:
            raise ValueError("a moment lies between 1970 and the year 287396")

    @property
    def unix_s(self) -> int:
        """Whole seconds since 1970-01-01T00:00:00Z."""
        return self.unix_ms // 1000
