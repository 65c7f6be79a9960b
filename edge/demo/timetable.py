"""When what happens: the pace of people, and when hub and authority are dead. Pure."""

from dataclasses import dataclass
from typing import Final

from edge.demo.people import FIRST_ROUND, Pace
from edge.demo.showing import ENTER_S, LEAVE_S

USUAL_S: Final = 2.2
"""From one person to the next."""
SHORTEST_S: Final = 1.65
_GAP_S: Final = 0.1
_REST_S: Final = 7.0
"""An accept leaves the page after four seconds: three remain to see the hall, and the next person come."""
_FIRST_OUTAGE_S: Final = 60.0
_OUTAGE_EVERY_S: Final = 120.0
_OUTAGE_S: Final = 20.0
_PART_OFFLINE: Final = 0.25


def pace(seconds: float | None) -> Pace:
    """Return the pace of a run: a short one hurries, so that its first round comes to its end.

    Args:
        seconds: How long people come, or None for without an end.
    """
    person_s = USUAL_S if seconds is None else min(USUAL_S, max(SHORTEST_S, seconds / (len(FIRST_ROUND) + 0.5)))
    rest_s = _REST_S if seconds is None else 0.0
    return Pace(person_s, person_s - _GAP_S - ENTER_S - LEAVE_S, _GAP_S, rest_s)


@dataclass(frozen=True, slots=True)
class Outages:
    """When hub and authority are dead.

    Attributes:
        first_s: When they are killed for the first time, seconds after the first person.
        lasts_s: How long they stay dead.
        every_s: From one outage to the next, 0 for only one.
    """

    first_s: float
    lasts_s: float
    every_s: float = 0.0

    def is_down(self, at_s: float) -> bool:
        """Whether they are dead at a time, seconds after the first person."""
        since = at_s - self.first_s
        if since < 0 or self.lasts_s <= 0:
            return False
        return (since % self.every_s if self.every_s else since) < self.lasts_s


def outages(seconds: float | None, offline_s: float | None) -> Outages:
    """Return when they are dead: once in the middle of a run, or every two minutes of one without an end.

    Args:
        seconds: How long people come, or None for without an end.
        offline_s: How long an outage lasts; None for a quarter of the run, or 20 s.
    """
    if seconds is None:
        lasts_s = _OUTAGE_S if offline_s is None else offline_s
        return Outages(_FIRST_OUTAGE_S, lasts_s, max(_OUTAGE_EVERY_S, 2 * lasts_s))
    lasts_s = seconds * _PART_OFFLINE if offline_s is None else min(offline_s, seconds)
    return Outages((seconds - lasts_s) / 2, lasts_s)
