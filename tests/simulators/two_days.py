"""The same people on two days at one gate: real tokens under real day keys, in a real scan log.

Every person has a pass of his own (identity, issuer, kind, status, area as drawn) and comes once a day at a time of
his own; half of them come at about the same time on both days, as people do who go to work.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from edge.gate.line import COUNTIES
from edge.gate.sightings import Memory
from edge.ledger import tokens
from edge.ledger.tokens import DAY_MS, DayKey
from edge.model.moment import ClockQuality, Moment
from edge.model.scan import EntryType, Facts
from edge.scanlog.log import ScanLog
from tests.simulators import traffic

FIRST_DAY: Final = 20_776
SEED: Final = bytes(range(32))
_TOGETHER: Final = 2000
_HABIT_MS: Final = 240_000
_TRUST_EVERY_MS: Final = 1_800_000
_UNSYNCED: Final = 0.01


class Crowd:
    """People with their passes.

    Args:
        count: How many.
        seed: What is drawn from.
    """

    def __init__(self, count: int, seed: int = 1) -> None:
        self._drawn = random.Random(seed)
        self.identities = [self._drawn.randbytes(70) for _ in range(count)]
        stated = traffic.stated(replace(traffic.BUSY, local=0.6), 10 * count + 100, seed)
        self.counties = list(islice((one for one in stated if one.type is EntryType.SCAN and one.issuer), count))
        """What their passes carry, with the county, which no log states."""
        self.passes = [replace(one, region=one.region // COUNTIES * COUNTIES) for one in self.counties]
        self._habits = [self._drawn.randrange(DAY_MS) if self._drawn.random() < 0.5 else None for _ in range(count)]

    def day(self, number: int) -> list[tuple[int, Facts]]:
        """Return who comes on a day, in the order of time, with what his scan states."""
        found = []
        for person, (carried, habit) in enumerate(zip(self.passes, self._habits, strict=True)):
            time = self._drawn.randrange(DAY_MS) if habit is None else round(self._drawn.gauss(habit, _HABIT_MS))
            at_ms = number * DAY_MS + min(max(time, 0), DAY_MS - 1)
            # Of the day, and not of the pass.
            anew = {
                "at_ms": at_ms,
                "duration_ms": max(9, round(31 * self._drawn.lognormvariate(0, 0.35))),
                "source": self._drawn.randrange(2),
                "trust_version": at_ms // _TRUST_EVERY_MS,
                "quality": 2 if self._drawn.random() < _UNSYNCED else 1,
            }
            found.append((person, replace(carried, **anew)))
        return sorted(found, key=lambda one: one[1].at_ms)


def record(folder: Path, crowd: Crowd, days: Sequence[int], *, is_ratcheted: bool = True) -> list[list[int]]:
    """Record days in a log each, `0.db`'s folder and so on; return whose each entry is.

    Args:
        folder: Where the logs' folders go.
        crowd: Who comes.
        days: Days since 1970.
        is_ratcheted: Whether the day key goes forward as it does; otherwise every day has the key of the first.
    """
    key = DayKey(days[0], SEED)
    memory = Memory((key,), folder, window_s=300)
    whose = []
    for number, day in enumerate(days):
        place = folder / str(number)
        place.mkdir()
        comers = crowd.day(day)
        log = ScanLog.open(place / "scans.db")
        for start in range(0, len(comers), _TOGETHER):
            with log.together():
                for person, stated in comers[start : start + _TOGETHER]:
                    moment = Moment(stated.at_ms, ClockQuality.SYNCED)
                    identity = crowd.identities[person]
                    token = memory.token(identity, moment) if is_ratcheted else tokens.token(key, identity)
                    log.append(stated, token=token)
        log.close()
        whose.append([person for person, _ in comers])
    return whose
