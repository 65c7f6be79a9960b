"""Hub and authority die in the middle and come back: when, for how long, and how soon the gate noticed."""

import time
from dataclasses import dataclass, field
from typing import Final, Protocol

from edge.demo.processes import Service
from edge.demo.timetable import Outages
from edge.demo.watch import Link
from edge.errors import SetupError

_REVIVE_S: Final = 30.0


class Centre(Protocol):
    """The hub and the authority.

    Promises: `kill_central` ends both as a power cut does; `start_central` returns at once.
    """

    central: list[Service]

    def kill_central(self) -> None:
        """Kill both."""

    def start_central(self) -> None:
        """Start both."""

    @property
    def is_central_answering(self) -> bool:
        """Whether both answer."""


@dataclass(slots=True)
class Times:
    """How long hub and authority were dead, and how the gate took it; all seconds.

    Attributes:
        offline_s: How long at least one did not answer, all outages together.
        noticed_s: How long after each kill the gate said that it is offline.
        resumed_s: How long after each restart was begun the gate said that it is online.
    """

    offline_s: float = 0.0
    noticed_s: list[float] = field(default_factory=list)
    resumed_s: list[float] = field(default_factory=list)


class Blackout:
    """Kills both and brings them back by the timetable, never waiting for them: people go on coming.

    Args:
        centre: The hub and the authority.
        outages: When they are dead.
    """

    def __init__(self, centre: Centre, outages: Outages) -> None:
        self._centre = centre
        self._outages = outages
        self._killed_s: float | None = None
        self._restarted_s: float | None = None
        self._link = ""
        self._unnoticed_s: float | None = None
        self._unresumed_s: float | None = None
        self.times = Times()

    @property
    def is_dead(self) -> bool:
        """Whether they were killed and do not answer yet."""
        return self._killed_s is not None

    def keep_time(self, at_s: float) -> None:
        """Do what is due.

        Args:
            at_s: Seconds since the first person; negative before.

        Raises:
            SetupError: They do not come back.
        """
        is_down = self._outages.is_down(at_s)
        if is_down and self._killed_s is None:
            self._centre.kill_central()
            self._killed_s = self._unnoticed_s = time.monotonic()
        elif not is_down and self._killed_s is not None:
            self._revive(self._killed_s)

    def _revive(self, killed_s: float) -> None:
        now_s = time.monotonic()
        if self._restarted_s is None:
            self._restarted_s = self._unresumed_s = now_s
            self._centre.start_central()
        elif self._centre.is_central_answering:
            self.times.offline_s += now_s - killed_s
            self._killed_s = self._restarted_s = None
        elif now_s - self._restarted_s > _REVIVE_S:
            tails = "\n".join(f"--- {service.name}\n{service.tail()}" for service in self._centre.central)
            raise SetupError(f"The hub and the authority do not come back:\n{tails}")

    def see(self, link: Link) -> None:
        """Take what the gate says of its link."""
        before, self._link = self._link, link.state
        if link.state == before:
            return
        now_s = time.monotonic()
        if link.state == "offline" and self._unnoticed_s is not None:
            self.times.noticed_s.append(now_s - self._unnoticed_s)
            self._unnoticed_s = None
        elif link.state == "online" and self._unresumed_s is not None:
            self.times.resumed_s.append(now_s - self._unresumed_s)
            self._unresumed_s = None
