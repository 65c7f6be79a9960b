"""The decoder ladder: which engine looks at a frame, where, and when it is not worth it.

zxing-cpp reads every frame. When it reads nothing, and texture says a code may be there, the retries take turns over
this and the following frames, as many as begin within `retry_s`. A picture that has no next frame gets all of them.
What an engine reads, and what a code means, are left to others.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from edge.scanner.engines import Engine, FirstEngine, SecondEngine
from edge.scanner.handover import Notice, Sighting
from edge.scanner.retries import Retry, enlarged, evened
from edge.scanner.scenes import Scenes
from edge.scanner.texture import Pixels, Region, Rest, regions_of
from edge.scanner.trained import TrainedEngine

STILL_S = 2.0
"""Of a picture without a next frame the last retry is begun within this time."""

_LIVE_REGIONS, _STILL_REGIONS = 2, 12

_PATIENCE = 15
"""Rounds of retries a scene gets that holds what looks like a code, before it counts as looked at in vain."""

_SECOND_PIXELS = 4 << 20
"""zbar takes 10 to 14 times as long as zxing-cpp: above 4 megapixels a live region is not worth the queue's time."""


@dataclass(slots=True)
class _Course:
    """How far the retries have come with one source's frames.

    Attributes:
        first: The engine that reads every frame.
        trained: The engines that remember the frames before, one for each region.
        scenes: Which scenes were looked at in vain.
        turn: How many retries were made.
        missed: Frames in which a code may be and none was read.
    """

    first: FirstEngine = field(default_factory=FirstEngine)
    trained: tuple[TrainedEngine, ...] = field(
        default_factory=lambda: tuple(TrainedEngine() for _ in range(_LIVE_REGIONS))
    )
    scenes: Scenes = field(default_factory=Scenes)
    turn: int = 0
    missed: int = 0

    @property
    def has_code(self) -> bool:
        """Whether what looks like a code was in view when it was last looked for."""
        return any(engine.has_code for engine in self.trained)

    def forget(self) -> None:
        """Forget the code: it is gone or read."""
        for engine in self.trained:
            engine.forget()


class Reader(Protocol):
    """Reads the frames of a child: the ladder, or one engine by itself to be compared with."""

    def read_frame(self, grey: Pixels, source: int) -> list[Sighting]:
        """Return the codes of one frame of many."""

    def read_still(self, grey: Pixels) -> list[Sighting]:
        """Return the codes of one picture, taken with all care."""

    def take_notice(self) -> Notice:
        """Return what there was to notice since this was last asked."""


class Alone:
    """One engine on every frame and nothing else: what `edge scanner bench` holds the ladder against.

    Args:
        engine: The engine; `SecondEngine` by its notice too.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read_frame(self, grey: Pixels, source: int) -> list[Sighting]:  # noqa: ARG002  # it remembers no source
        """Return what the engine reads."""
        return self._engine.read(grey)

    def read_still(self, grey: Pixels) -> list[Sighting]:
        """Return what the engine reads."""
        return self._engine.read(grey)

    def take_notice(self) -> Notice:
        """Return nothing: who compares engines sees what they read."""
        return Notice.NOTHING


class Ladder:
    """Reads frames and pictures with every engine there is.

    Args:
        retry_s: Seconds of a frame within which retries are begun; 0 switches them off.
        second_every: The second engine reads every n-th frame in which a code may be and none was read; 0: never.
        clock: Seconds, for the budget.
    """

    def __init__(self, *, retry_s: float, second_every: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self._retry_s = retry_s
        self._second_every = second_every
        self._clock = clock
        self._retries: tuple[Engine, ...] = (Retry(enlarged, 2.0), Retry(evened, 2.0))
        self.second = SecondEngine()
        self._courses: defaultdict[int, _Course] = defaultdict(_Course)

    def take_notice(self) -> Notice:
        """Return what there was to notice about the second engine since this was last asked."""
        notice, self.second.notice = self.second.notice, Notice.NOTHING
        return notice

    def read_frame(self, grey: Pixels, source: int = 0) -> list[Sighting]:
        """Return the codes of one frame of many.

        Args:
            grey: uint8, HxW, at least one pixel.
            source: Whose frame it is; each source's frames are followed by themselves.
        """
        started = self._clock()
        course = self._courses[source]
        is_known = course.scenes.is_exhausted(grey)
        found = course.first.read(grey, is_known=is_known)
        if found:
            course.forget()
            return found
        if course.first.has_looked:
            course.scenes.add_look()
        # Every second empty frame was looked at twice already, which is its share.
        if is_known or (course.first.has_looked and not course.has_code):
            return []
        found = self._retried(grey, course, started)
        if found:
            course.forget()
        return found

    def _retried(self, grey: Pixels, course: _Course, started: float) -> list[Sighting]:
        regions = regions_of(grey, most=_LIVE_REGIONS)
        steps = [
            (region, engine)
            for region, trained in zip(regions, course.trained, strict=False)
            for engine in (*self._retries, trained)
        ]
        found, made = self._turns(grey, course, steps, started)
        course.missed += bool(steps)
        if steps and not found and self._second_every and course.missed % self._second_every == 0:
            found = self._asked_second(grey, regions[0])
        if not steps:
            course.forget()
        if not found:
            course.scenes.add_vain(made, of=len(steps) * (_PATIENCE if course.has_code else 1))
        return found

    def _turns(
        self, grey: Pixels, course: _Course, steps: list[tuple[Region, Engine]], started: float
    ) -> tuple[list[Sighting], int]:
        """Make the next retries in their order, as many as begin in time; a code being followed comes first.

        Returns:
            What was read, and how many retries were made in vain.
        """
        followed = [step for step in steps if isinstance(step[1], TrainedEngine) and step[1].has_code]
        turns = [steps[(course.turn + number) % len(steps)] for number in range(len(steps))]
        for made, (region, engine) in enumerate([*followed, *(step for step in turns if step not in followed)]):
            if self._clock() - started >= self._retry_s:
                return [], made
            course.turn += made >= len(followed)
            found = _read_in(region, engine, grey)
            if found:
                return found, made
        return [], len(steps)

    def _asked_second(self, grey: Pixels, region: Region) -> list[Sighting]:
        return _read_in(region, self.second, grey) if region.area <= _SECOND_PIXELS else []

    def read_still(self, grey: Pixels) -> list[Sighting]:
        """Return the codes of one picture, taken with all care.

        Args:
            grey: uint8, HxW, at least one pixel.
        """
        until = self._clock() + STILL_S
        found = FirstEngine().read(grey, is_still=True)
        engines = (*self._retries, TrainedEngine(), self.second)
        rest = Rest(grey)
        rest.leave_out(found)
        for region in rest.regions(_STILL_REGIONS):
            for engine in engines:
                if self._clock() >= until:
                    return found
                fresh = _fresh(_read_in(region, engine, grey), found)
                if fresh:
                    found += fresh
                    rest.leave_out(fresh)
                    break
        return found


def _read_in(region: Region, engine: Engine, grey: Pixels) -> list[Sighting]:
    """Return what an engine reads in a region, placed as in the frame."""
    found = engine.read(region.of(grey))
    return [replace(seen, x=seen.x + region.x0, y=seen.y + region.y0) for seen in found]


def _fresh(seen: Iterable[Sighting], known: list[Sighting]) -> list[Sighting]:
    """Return the sightings that are not those of a code already known."""
    return [
        one
        for one in seen
        if not any(
            one.raw == other.raw and np.hypot(one.x - other.x, one.y - other.y) < _apart(one, other) for other in known
        )
    ]


def _apart(one: Sighting, other: Sighting) -> float:
    """Return the distance below which two sightings of the same bytes are one: half the smallest code's side."""
    return 10 * max(one.module_px, other.module_px, 2.0)
