"""People pass the gate: shows them to the camera and writes down what camera and gate page say, as it happens.

Events arrive in threads of others and are taken in turn by one. What stands in the logs is compared afterwards, in
`edge.demo.comparison`.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from edge.demo.blackout import Blackout
from edge.demo.camera_link import AHEAD, Camera
from edge.demo.comparison import LATE_MS, Shown, shown_at
from edge.demo.display import Display, Judged, Row, Standing
from edge.demo.people import Presentation
from edge.demo.processes import Service
from edge.demo.supply import Supply
from edge.demo.watch import Link
from edge.errors import SetupError

_TICK_S: Final = 0.05
_LAST_ANSWER_S: Final = LATE_MS / 1000 + 0.3


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part.

    Attributes:
        camera: Shows people to the gate.
        supply: Knows who comes next.
        blackout: Kills and revives hub and authority.
        link: Says how the gate sees its link.
        services: Processes that must not end by themselves.
        display: Where it is shown.
    """

    camera: Camera
    supply: Supply
    blackout: Blackout
    link: Callable[[], Link]
    services: Callable[[], list[Service]]
    display: Display


class Play:
    """One run of people.

    Args:
        cast: Who takes part.
        most: How many people come, None for until told to stop.
    """

    def __init__(self, cast: Cast, most: int | None) -> None:
        self._cast = cast
        self._most = most
        self._first_s: float | None = None
        self._fed = 0
        self._presentations: dict[int, Presentation] = {}
        self._rows: dict[int, Row] = {}
        self._there: dict[int, Shown] = {}
        self._link = Link()
        self._standing = Standing()
        self.events: queue.Queue[dict[str, Any]] = queue.Queue()
        """What the gate's page says; filled by whoever listens to it."""
        self.shown: list[Shown] = []
        self.took_ms: list[float] = []
        self.first_green_s: float | None = None
        """When the first accept was on the page, monotonic seconds."""

    def run(self, stop: threading.Event) -> None:
        """Let people come until enough came or `stop` is set; afterwards hub and authority answer.

        Raises:
            SetupError: The gate, the camera, the hub or the authority ended by itself.
        """
        is_sent_away = False
        while not self._is_over(stop):
            if stop.is_set() and not is_sent_away:
                self._cast.camera.send_away()
                is_sent_away = True
            self._feed(stop)
            self._turn(time.monotonic() - self._first_s if self._first_s is not None else -1.0)
        until_s = time.monotonic() + _LAST_ANSWER_S
        while time.monotonic() < until_s or self._cast.blackout.is_dead:
            self._turn(-1.0)

    def _is_over(self, stop: threading.Event) -> bool:
        return (stop.is_set() or self._is_enough) and self._cast.camera.outstanding == 0

    @property
    def _is_enough(self) -> bool:
        return self._most is not None and self._fed >= self._most

    def _turn(self, at_s: float) -> None:
        self._link = self._cast.link()
        self._take_events()
        self._cast.blackout.see(self._link)
        self._cast.blackout.keep_time(at_s)
        if self.first_green_s is not None:
            self._cast.supply.refill()
        self._standing.link, self._standing.backlog = self._link.state, self._link.backlog
        self._standing.is_dead = self._cast.blackout.is_dead
        self._cast.display.standing(self._standing)
        self._check_alive()
        time.sleep(_TICK_S)

    def _feed(self, stop: threading.Event) -> None:
        camera = self._cast.camera
        while camera.outstanding < AHEAD and not stop.is_set() and not self._is_enough:
            somebody = self._cast.supply.next(self._link.refreshed_ms)
            if somebody is None:
                return
            self._presentations[somebody.number] = somebody
            camera.show(somebody)
            self._fed += 1

    def _take_events(self) -> None:
        for event in _taken(self._cast.camera.events):
            if event.get("is") == "first":
                self._on_first(int(event["number"]), int(event["wall_ms"]))
            elif event.get("is") == "last":
                self._on_last(int(event["number"]), int(event["wall_ms"]))
            elif event.get("is") == "dropped":
                self._cast.camera.outstanding -= 1
        for event in _taken(self.events):
            if event.get("type") == "verdict":
                self._on_verdict(event)

    def _on_first(self, number: int, at_ms: int) -> None:
        if self._first_s is None:
            self._first_s = time.monotonic()
        one = self._presentations[number]
        expected = f"{one.expected.outcome} {one.expected.reason}"
        # Until its last frame is known it stands as long as a person usually stays.
        self._there[number] = Shown(number, one.shows, one.expected, at_ms, at_ms + LATE_MS, one.repeats)
        self._rows[number] = Row(
            number, at_ms, one.part.person.name, one.shows, expected, is_repeat=one.repeats is not None
        )
        self._cast.display.row(self._rows[number])

    def _on_last(self, number: int, at_ms: int) -> None:
        self._cast.camera.outstanding -= 1
        self._there[number] = replace(self._there[number], last_ms=at_ms)
        self.shown.append(self._there[number])
        for gone in [kept for kept in self._there if kept <= number - AHEAD]:
            del self._there[gone], self._rows[gone], self._presentations[gone]

    def _on_verdict(self, event: dict[str, Any]) -> None:
        outcome, reason = str(event.get("outcome")), str(event.get("reason"))
        took_ms = event.get("took_ms")
        if isinstance(took_ms, int | float):
            self.took_ms.append(float(took_ms))
        if outcome == "accept" and self.first_green_s is None:
            self.first_green_s = time.monotonic()
        self._standing.counts[outcome] += 1
        one = shown_at(list(self._there.values()), int(event.get("at_ms", 0)))
        row = self._rows.get(one.number) if one is not None else None
        if row is None or row.recorded:
            self._standing.wrong += 1
            self._cast.display.say(f"A verdict nobody expected: {outcome} {reason}")
            return
        row.recorded = f"{outcome} {reason}"
        row.took_ms = float(took_ms) if isinstance(took_ms, int | float) else None
        row.link, row.backlog = self._link.state, self._link.backlog
        self._standing.wrong += row.judged is Judged.WRONG
        self._cast.display.row(row)

    def _check_alive(self) -> None:
        for service in self._cast.services():
            if not service.is_running:
                raise SetupError(
                    f"The {service.name} ended by itself with {service.process.returncode}:\n{service.tail()}",
                    f"Run the demo again with --keep and read {service.log}.",
                )


def _taken(events: "queue.Queue[dict[str, Any]]") -> list[dict[str, Any]]:
    """Return what waits in a queue."""
    found = []
    while not events.empty():
        found.append(events.get())
    return found
