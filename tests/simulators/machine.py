"""A machine whose clocks a test drives: system clock, steady count, time service and battery-backed clock."""

from pathlib import Path

from edge.gate.clock import Clock
from edge.gate.timekeeper import Reading


class Machine:
    """Clocks that run evenly until somebody sets them.

    Args:
        unix_s: What the system clock says.
        synced: Whether a time service disciplines it.
        rtc_s: What the battery-backed clock says, or None for a machine without one.
    """

    def __init__(self, unix_s: int, *, synced: bool = False, rtc_s: int | None = None) -> None:
        self.system_ms = unix_s * 1000
        self.steady_ms = 5_000
        self.synced = synced
        self.rtc_ms = None if rtc_s is None else rtc_s * 1000
        self.boot = 1

    def __call__(self) -> Reading:
        """Return a reading."""
        return Reading(max(0, self.system_ms), self.steady_ms, self.synced, self.rtc_ms)

    def clock(self, state: Path | None = None) -> Clock:
        """Return a gate's clock on this machine, as a new process has it."""
        return Clock(state, read=self, boot=str(self.boot))

    def pass_s(self, seconds: float) -> None:
        """Let time go by."""
        self.system_ms += int(seconds * 1000)
        self.steady_ms += int(seconds * 1000)
        if self.rtc_ms is not None:
            self.rtc_ms += int(seconds * 1000)

    def step_s(self, seconds: int) -> None:
        """Set the system clock by hand; the time service no longer stands behind it."""
        self.system_ms += seconds * 1000
        self.synced = False

    def cut_power(self, off_s: int, *, wakes_at: int) -> None:
        """Be off for a while and boot with the system clock at `wakes_at`, Unix seconds."""
        self.boot += 1
        self.steady_ms = 3_000
        self.system_ms = wakes_at * 1000
        self.synced = False
        if self.rtc_ms is not None:
            self.rtc_ms += off_s * 1000
