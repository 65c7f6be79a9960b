"""Pushing once while a person looks on (`edge sync push`): the same pusher as the part's, without threads.

It may run beside the part: both cut the same batches, and a receipt that both get is the same receipt.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Final

from edge.errors import AnswerRefused, BatchRefused, EdgeError
from edge.model.settings import Settings
from edge.sync.client import BUSY, UNKNOWN_GATE
from edge.sync.opening import Opened, opened
from edge.sync.pusher import Pusher, Result, perform
from edge.sync.session import Action, Session
from edge.sync.transport import Transport
from edge.sync.transports.http import HttpTransport

PATIENCE_S: Final = 120.0
"""How long a person is kept waiting for a slot of the hub."""
_LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a push has come.

    Attributes:
        pushed: Entries that the hub signed for meanwhile.
        waiting: Entries that no receipt covers.
        parked: Those of them that the hub refuses.
        last: Number of the newest entry of the log.
        failure: What ended it early, or None.
    """

    pushed: int
    waiting: int
    parked: int
    last: int
    failure: EdgeError | None = None


def push_now(settings: Settings, *, now_ms: Callable[[], int], report: Callable[[Progress], None]) -> Progress:
    """Push what waits, until it is done, refused or fails; blocks.

    Args:
        settings: The gate's settings.
        now_ms: The clock, Unix milliseconds.
        report: Called with how far it is, after every exchange.

    Raises:
        EnrolmentError: This gate is not enrolled, or its key is not the enrolled one.
        ConfigError: The address of the hub is none.
        LedgerError: The scan log or `sync.db` cannot be used.
    """
    sync = settings.sync
    with (
        opened(Path(settings.state), now_ms() // 1000) as gate,
        closing(HttpTransport.of(sync, gate.identity.enrolment.hub_url)) as transport,
    ):
        return _Run(settings, gate, transport).go(now_ms, report)


class _Run:
    def __init__(self, settings: Settings, gate: Opened, transport: Transport) -> None:
        self._keys = gate.hub_keys
        self._transport = transport
        self._outbox = gate.outbox
        session = Session(settings.sync, SystemRandom().random, was_online=gate.outbox.store.was_online())
        session.urge()
        self._pusher = Pusher(session, self._outbox, gate.identity.key, dict)

    def go(self, now_ms: Callable[[], int], report: Callable[[Progress], None]) -> Progress:
        began_with = self._outbox.standing().backlog
        until = time.monotonic() + PATIENCE_S
        while True:
            standing = self._outbox.standing()
            done = Progress(max(0, began_with - standing.backlog), standing.backlog, standing.parked, standing.head.seq)
            report(done)
            job = self._pusher.next(time.monotonic(), now_ms(), standing)
            if self._pusher.trouble is not None:
                return _ended(done, self._pusher.trouble)
            if job is not None and job.action is not Action.HOLD:
                result = perform(job, self._transport, self._keys)
                self._pusher.done(job, result, time.monotonic(), now_ms())
                failure = _failure(result) or self._pusher.trouble
                if failure is not None:
                    return _ended(done, failure)
                if isinstance(result, EdgeError):
                    continue
                until = time.monotonic() + PATIENCE_S
            elif not standing.demand.waiting:
                return done
            elif time.monotonic() >= until:
                return _ended(
                    done, AnswerRefused("The hub is busy.", "The gate sends what waits by itself, in its turn.")
                )
            else:
                time.sleep(_LOOK_S)


def _ended(done: Progress, failure: EdgeError) -> Progress:
    return Progress(done.pushed, done.waiting, done.parked, done.last, failure)


def _failure(result: Result) -> EdgeError | None:
    """Return what ends a push: not a refused batch, which is kept and passed, nor a hub that is only busy."""
    if not isinstance(result, EdgeError):
        return None
    if isinstance(result, BatchRefused) and result.kind != UNKNOWN_GATE:
        return None
    return None if isinstance(result, AnswerRefused) and result.status in BUSY else result
