"""Every gate of a country comes back at the same moment: gates by the production session, one hub by its admission.

A discrete-event simulation. A gate is `edge.sync.session.Session`, or for comparison a plain client that tries again
after a fixed time or with full jitter. The hub is one core that answers requests at costs measured on the real one,
behind so many threads and connections as `edge.hub.serve` has, with `edge.hub.admission.Admission` before its posts.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from edge.hub.admission import BEATS_AT_ONCE, Admission
from edge.model.settings import SyncSettings
from edge.sync.session import Action, Demand, Session

TIMEOUT_S = 10.0
THREADS = 40
CONNECTIONS = 4096
_ROUND_TRIP_S = 0.05
_NEVER = 1e12


class Retry(Enum):
    """How a gate comes again."""

    SLOTS = "slots of the hub"
    BOUNDED = "bounded queue and 503, full jitter"
    JITTER = "full jitter"
    FIXED = "fixed retry"


@dataclass(frozen=True)
class Costs:
    """Seconds of the hub's core."""

    post: float
    beat: float
    refusal: float


@dataclass
class Result:
    """What came of it.

    Attributes:
        ideal_s: Seconds that the posts alone take.
        took_s: Seconds until the last gate had its receipt, or until it was given up.
        done: Gates with a receipt.
        posts: Posts that the hub worked on.
        refusals: Posts and heartbeats that it sent away.
        beats: Heartbeats that it answered.
        curve: How many gates were done by when.
    """

    ideal_s: float
    took_s: float = 0.0
    done: int = 0
    posts: int = 0
    refusals: int = 0
    beats: int = 0
    curve: list[tuple[float, int]] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        """Share of the hub's work on posts that was not in vain."""
        return self.done / self.posts if self.posts else 0.0


@dataclass
class _Gate:
    session: Session | None
    number: int
    failures: int = 0
    is_done: bool = False
    waits_for: int = 0


@dataclass
class _Request:
    gate: _Gate
    is_post: bool
    ticket: int
    leave: Callable[..., Any] | None = None
    slot_s: int = 0


class Storm:
    """One storm.

    Args:
        gates: How many gates come back at time 0.
        costs: What requests cost the hub.
        retry: How they come again.
        heartbeat_s: What the hub sets.
        until: Times the ideal at which it is given up.
    """

    def __init__(self, gates: int, costs: Costs, retry: Retry, *, heartbeat_s: float, until: float) -> None:
        self.now = 0.0
        self.retry, self.costs = retry, costs
        self._heartbeat_s = heartbeat_s
        self._random = random.Random(11).random
        self._admission = Admission(lambda: self.now)
        self._beats = Admission(lambda: self.now, at_once=BEATS_AT_ONCE)
        self._events: list[tuple[float, int, Callable[..., None], Any]] = []
        self._number = 0
        self._queue: deque[_Request] = deque()
        self._short: deque[_Request] = deque()
        self._long: deque[_Request] = deque()
        self._in_threads = self._connected = 0
        self._is_busy = False
        self._used = [0.0, 0.0]
        self.result = Result(gates * costs.post)
        self._until = until * self.result.ideal_s
        self._gates = [_Gate(self._session(), number) for number in range(gates)]

    def run(self) -> Result:
        """Let it happen."""
        for gate in self._gates:
            # Back-off has spread the tries of a silent hub over its cap by then.
            self._at(8.0 * self._random(), self._poke, gate)
        while self._events and self.result.done < len(self._gates) and self.now < self._until:
            self.now, _, action, what = heapq.heappop(self._events)
            action(what)
        self.result.took_s = self.now
        return self.result

    def _session(self) -> Session | None:
        if self.retry is not Retry.SLOTS:
            return None
        return Session(SyncSettings(), self._random, was_online=True, heartbeat_s=self._heartbeat_s)

    def _at(self, at: float, action: Callable[..., None], what: object) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, action, what))

    # The gates

    def _poke(self, gate: _Gate) -> None:
        if gate.is_done or gate.waits_for:
            return
        if gate.session is None:
            self._send(gate, is_post=True)
            return
        while True:
            step = gate.session.next(self.now, Demand(500))
            if step.action is not Action.HOLD:
                break
            # Looking after an idle connection asks nobody anything.
            gate.session.on_hold(_NEVER, was_open=True)
        if step.action is Action.WAIT:
            # The part looks four times a second.
            self._at(step.until_s + 0.25 * self._random(), self._poke, gate)
        else:
            self._send(gate, is_post=step.action is Action.PUSH)

    def _send(self, gate: _Gate, *, is_post: bool) -> None:
        self._number += 1
        gate.waits_for = self._number
        request = _Request(gate, is_post, gate.waits_for)
        self._at(self.now + _ROUND_TRIP_S / 2, self._arrive, request)
        self._at(self.now + TIMEOUT_S, self._give_up, request)

    def _give_up(self, request: _Request) -> None:
        if request.gate.waits_for == request.ticket:
            self._failed(request.gate)

    def _failed(self, gate: _Gate) -> None:
        gate.waits_for = 0
        if gate.session is not None:
            gate.session.on_failure(self.now)
            self._poke(gate)
            return
        gate.failures += 1
        wait_s = 5.0 if self.retry is Retry.FIXED else 1 + self._random() * min(60.0, 2.0 ** min(gate.failures, 10))
        self._at(self.now + wait_s, self._poke, gate)

    def _answered(self, request: _Request) -> None:
        gate = request.gate
        if gate.waits_for != request.ticket:
            return
        gate.waits_for = 0
        if request.slot_s:
            if gate.session is None:
                self._failed(gate)
                return
            gate.session.on_busy(self.now, float(request.slot_s))
        elif request.is_post:
            gate.is_done = True
            self.result.done += 1
            if self.result.done % max(1, len(self._gates) // 200) == 0:
                self.result.curve.append((self.now, self.result.done))
            return
        elif gate.session is not None:
            slot_s = self._admission.slot_s()
            gate.session.on_watermark(self.now, heartbeat_s=self._heartbeat_s, slot_s=slot_s)
        self._poke(gate)

    # The hub

    def _arrive(self, request: _Request) -> None:
        if self._connected >= CONNECTIONS:
            self._at(self.now + _ROUND_TRIP_S / 2, self._give_up, request)
            return
        self._connected += 1
        self._queue.append(request)
        self._take_up()

    def _take_up(self) -> None:
        while self._queue and self._in_threads < THREADS:
            request = self._queue.popleft()
            self._in_threads += 1
            if self.retry in {Retry.SLOTS, Retry.BOUNDED}:
                # As `edge.hub.api` does.
                entered = (self._admission if request.is_post else self._beats).entered()
                request.slot_s = entered.__enter__()
                request.leave = entered.__exit__
                if request.slot_s and not request.is_post:
                    request.slot_s = self._admission.row_s()
            (self._long if request.is_post and not request.slot_s else self._short).append(request)
        if not self._is_busy and (self._short or self._long):
            request = self._next_job()
            self._is_busy = True
            self._at(self.now + self._cost(request), self._finish, request)

    def _next_job(self) -> _Request:
        """Return what the core works on: threads share it evenly, so what takes little is through soon."""
        shares = (
            self._used[0] / max(1, len(self._short)) if self._short else float("inf"),
            self._used[1] / max(1, len(self._long)) if self._long else float("inf"),
        )
        which = shares[1] < shares[0]
        request = (self._long if which else self._short).popleft()
        self._used[which] += self._cost(request)
        if not self._short or not self._long:
            self._used = [0.0, 0.0]
        return request

    def _cost(self, request: _Request) -> float:
        if request.slot_s:
            return self.costs.refusal
        return self.costs.post if request.is_post else self.costs.beat

    def _finish(self, request: _Request) -> None:
        self._is_busy = False
        self._in_threads -= 1
        self._connected -= 1
        if request.leave is not None:
            request.leave(None, None, None)
        self.result.refusals += bool(request.slot_s)
        self.result.posts += request.is_post and not request.slot_s
        self.result.beats += not request.is_post and not request.slot_s
        self._at(self.now + _ROUND_TRIP_S / 2, self._answered, request)
        self._take_up()
