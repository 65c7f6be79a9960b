"""When the gate says what to the hub: a state machine over times and results, without any clock, socket or disk.

It knows whether the hub is there, when the next heartbeat is due, when waiting entries are worth a push, and how long
to leave a silent or busy hub alone. Times are seconds of any steadily running clock. What is pushed is left to
`edge.sync.outbox`, how to `edge.sync.client`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge.model.settings import SyncSettings

RETRY_CAP_S: Final = 8.0
"""A hub that came back is found within this time and one exchange."""
REFUSED_CAP_S: Final = 60.0
"""Longest wait while the hub does not know this gate: a person must act, and it need not be asked often."""
PARKED_EVERY_S: Final = 300.0
TROUBLE_EVERY_S: Final = 10.0
WATCH_EVERY_S: Final = 1.0
REOPENED_EVERY_S: Final = 5.0
_MARK_EVERY_S: Final = 5.0
_LEAST_WAIT_S: Final = 0.2
_LEAST_BUSY_S: Final = 1.0
_MOST_ASKED_S: Final = 900.0
"""No header of an unsigned answer silences a gate for longer."""
_HEARTBEAT_S: Final = (1, 3600)
_FIRST_HEARTBEAT_S: Final = 30.0
_MOST_DOUBLINGS: Final = 10
_SLOT_TRIES: Final = 6


class Link(StrEnum):
    """What the last exchanges showed; `link.json` carries the word."""

    NEVER = "never"
    ONLINE = "online"
    OFFLINE = "offline"


class Action(StrEnum):
    """What to do now."""

    BEAT = "beat"
    """A heartbeat: is the hub there, how far does it hold the log, when may a backlog go."""
    PUSH = "push"
    """The next waiting batch."""
    RETRY = "retry"
    """The next batch that the hub refused before."""
    HOLD = "hold"
    """Look after the idle connection."""
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Demand:
    """What there is to do.

    Attributes:
        waiting: Entries that no receipt covers and that were not refused.
        parked: Entries that the hub refused.
        needs_mark: Nothing can be cut before the hub says how far it holds the log.
    """

    waiting: int = 0
    parked: int = 0
    needs_mark: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, and where it is to wait: until when at most."""

    action: Action
    until_s: float


class Session:
    """The state machine. Ask `next`, do it, and tell the result with the `on_` method that fits.

    Args:
        settings: When waiting entries are worth a push.
        random: Uniform numbers in [0, 1).
        was_online: Whether this gate ever reached its hub.
        heartbeat_s: Seconds between heartbeats until the hub says another number.
    """

    def __init__(
        self,
        settings: SyncSettings,
        random: Callable[[], float],
        *,
        was_online: bool = False,
        heartbeat_s: float = _FIRST_HEARTBEAT_S,
    ) -> None:
        self._settings = settings
        self._random = random
        self.link = Link.OFFLINE if was_online else Link.NEVER
        self._heartbeat_s = _clamped(heartbeat_s, _HEARTBEAT_S)
        self._failures = 0
        self._push_failures = 0
        self._quiet_until = float("-inf")
        self._beat_at = float("-inf")
        self._push_from = float("-inf")
        """The slot the hub gave for a backlog; kept once given, or a slot at every heartbeat would never end."""
        self._push_retry_at = float("-inf")
        self._mark_from = float("-inf")
        self._hold_at = float("-inf")
        self._parked_at = float("-inf")
        self._waiting_since: float | None = None
        self._signed_at = float("-inf")
        self._is_draining = False
        self._has_slot = False
        """The hub, or somebody in its name, gave a time to come: what waits goes then, without asking first again."""

    def next(self, now: float, demand: Demand) -> Step:
        """Return what to do at `now`."""
        self._note(now, demand)
        if now < self._quiet_until:
            return Step(Action.WAIT, self._quiet_until)
        if self._has_slot and demand.waiting and not demand.needs_mark:
            # After an outage every gate asks at once; whoever has its turn must not queue twice.
            self._is_draining = True
            return Step(Action.PUSH, now)
        if self.link is not Link.ONLINE or now >= self._beat_at or (demand.needs_mark and now >= self._mark_from):
            return Step(Action.BEAT, now)
        if now >= max(self._push_from, self._push_retry_at):
            if demand.parked and now >= self._parked_at:
                return Step(Action.RETRY, now)
            if self._is_worth_a_push(now, demand):
                self._is_draining = True
                return Step(Action.PUSH, now)
        if now >= self._hold_at:
            return Step(Action.HOLD, now)
        return Step(Action.WAIT, min(self._beat_at, self._hold_at, self._push_at(now, demand)))

    def on_watermark(self, now: float, *, heartbeat_s: float, slot_s: float) -> None:
        """The hub answered a heartbeat, signed.

        Args:
            now: When.
            heartbeat_s: When it wants the next.
            slot_s: How long a backlog is to wait for its turn.
        """
        self._has_slot = False
        slot_at = now + _clamped(slot_s, (0, _MOST_ASKED_S)) + (self._random() if slot_s > 0 else 0)
        if self.link is not Link.ONLINE:
            # A link that returns starts the push, however little waits.
            self._is_draining = True
            self._parked_at = now
            self._push_from = slot_at
        elif now < self._push_from:
            self._push_from = min(self._push_from, slot_at)
        elif not self._is_draining:
            self._push_from = slot_at
        self._heartbeat_s = _clamped(heartbeat_s, _HEARTBEAT_S)
        self._mark_from = now + _MARK_EVERY_S
        # A little early and never in step with the other gates.
        self._beat_at = now + self._heartbeat_s * (0.9 + 0.1 * self._random())
        self._signed(now)

    def on_receipt(self, now: float, *, frees_parked: bool = False) -> None:
        """A batch went and its receipt holds.

        Args:
            now: When.
            frees_parked: Whether refused batches only waited for what went.
        """
        self._has_slot = False
        self._push_failures = 0
        self._push_retry_at = now
        if self.link is not Link.ONLINE:
            # Signed is signed: the heartbeat that was due can wait, and not at the moment of all the others.
            self._beat_at = max(self._beat_at, now + self._heartbeat_s * self._random())
            self._parked_at = now
        if frees_parked:
            self._parked_at = now
        self._signed(now)

    def on_parked(self, now: float, *, is_behind: bool = False) -> None:
        """A batch was set aside; the next may go.

        Args:
            now: When.
            is_behind: Whether the hub lacks what came before it: how far it is then decides what goes next.
        """
        self._has_slot = False
        self._push_failures = 0
        self._hold_at = now + WATCH_EVERY_S
        if is_behind:
            self._beat_at = now

    def on_nothing_parked_left(self, now: float) -> None:
        """Every refused batch that can be tried again was."""
        self._parked_at = now + PARKED_EVERY_S * (0.5 + 0.5 * self._random())

    def on_nothing_waiting_left(self) -> None:
        """There was nothing to push after all."""
        self._is_draining = False
        self._waiting_since = None

    def on_hold(self, now: float, *, was_open: bool) -> None:
        """The idle connection stands, or was opened again."""
        self._hold_at = now + (WATCH_EVERY_S if was_open else REOPENED_EVERY_S)

    def on_doubt(self, now: float) -> None:
        """A push met something that is no answer of the hub: a heartbeat shows whether the hub is there at all."""
        self._has_slot = False
        self._push_failures += 1
        self._push_retry_at = now + self._jitter(RETRY_CAP_S, self._push_failures)
        self._beat_at = now

    def on_trouble(self, now: float) -> None:
        """This machine could not do its side (a full disk, an unreadable log): nothing is sent for a while."""
        self._has_slot = False
        self._push_retry_at = now + TROUBLE_EVERY_S
        self._parked_at = max(self._parked_at, now + TROUBLE_EVERY_S)

    def on_busy(self, now: float, retry_after_s: float | None) -> None:
        """The hub asks for patience (429, 503), with a slot or without."""
        self._failures += 1
        if retry_after_s is None:
            wait_s = self._jitter(RETRY_CAP_S, self._failures)
        else:
            # A slot is in whole seconds: within its second nobody comes with the others.
            wait_s = _clamped(retry_after_s, (_LEAST_BUSY_S, _MOST_ASKED_S)) + self._random()
        self._has_slot = retry_after_s is not None
        self._failures = 0 if self._has_slot else self._failures
        self._quiet_until = now + wait_s
        self._hold_at = self._quiet_until
        # Anybody can say 503. A hub that has signed nothing for two heartbeats is not known to be there.
        if now - self._signed_at > 2 * self._heartbeat_s:
            self._lose()

    def on_refused(self, now: float) -> None:
        """The hub answers that it does not take this gate."""
        self._has_slot = False
        self._failures += 1
        self._lose()
        self._quiet_until = now + self._jitter(REFUSED_CAP_S, self._failures)

    def on_failure(self, now: float) -> None:
        """Nobody answered, or somebody who is not the hub."""
        # Whoever meets a crowd at the door in its turn keeps the turn, for a few tries.
        self._has_slot = self._has_slot and self._failures < _SLOT_TRIES
        self._failures += 1
        self._lose()
        self._quiet_until = now + self._jitter(RETRY_CAP_S, self._failures)

    def on_network_changed(self, now: float) -> None:
        """A carrier or route came or went: find out at once what is left."""
        self._failures = 0
        self._beat_at = now
        # A slot of the hub holds; a wait after silence, or of a login page, was about the network of before.
        if self.link is not Link.ONLINE:
            self._quiet_until = now

    def urge(self) -> None:
        """Something abnormal happened, or a person asks: what waits goes now."""
        self._is_draining = True
        self._push_retry_at = float("-inf")
        self._parked_at = float("-inf")

    def _note(self, now: float, demand: Demand) -> None:
        if not demand.waiting:
            self.on_nothing_waiting_left()
        elif self._waiting_since is None:
            self._waiting_since = now

    def _is_worth_a_push(self, now: float, demand: Demand) -> bool:
        if not demand.waiting or self._waiting_since is None:
            return False
        return (
            self._is_draining
            or demand.waiting >= self._settings.push_at
            or now >= self._waiting_since + self._settings.push_after_s
        )

    def _push_at(self, now: float, demand: Demand) -> float:
        """Return when a push or a retry may be due, infinity where nothing waits for one."""
        open_at = max(self._push_from, self._push_retry_at)
        due = [max(open_at, self._parked_at)] if demand.parked else []
        if demand.waiting and self._waiting_since is not None:
            is_worth = self._is_draining or demand.waiting >= self._settings.push_at
            due.append(open_at if is_worth else max(open_at, self._waiting_since + self._settings.push_after_s))
        # Whoever waits until a time that has passed would never rest.
        return min((at for at in due if at > now), default=float("inf"))

    def _signed(self, now: float) -> None:
        self.link = Link.ONLINE
        self._failures = 0
        self._signed_at = now
        self._hold_at = now + WATCH_EVERY_S

    def _lose(self) -> None:
        if self.link is Link.ONLINE:
            self.link = Link.OFFLINE

    def _jitter(self, cap_s: float, failures: int) -> float:
        # Full jitter: two gates that failed together do not come back together.
        most = min(cap_s, 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
        return _LEAST_WAIT_S + (most - _LEAST_WAIT_S) * self._random()


def _clamped(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
