"""Session and outbox, joined: which exchange comes now, and what its result changes. No socket, no thread, no clock.

Whoever runs it asks `next`, carries the exchange out with `perform` and hands the result to `done`: the sync part does
so with a thread for the network, `edge sync push` in the foreground, the tests against a model of the hub.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from nacl.signing import SigningKey

from edge.codec import cbor
from edge.errors import AnswerRefused, BatchRefused, EdgeError, LedgerError, ReceiptRefused, TransportError
from edge.ledger import device, enrolment
from edge.ledger.enrolment import Heartbeat, Watermark
from edge.model.finding import Finding
from edge.model.scan import Receipt
from edge.sync import client
from edge.sync.outbox import NO_LOG, UNANSWERED, Outbox, Standing
from edge.sync.session import Action, Session
from edge.sync.store import Kept
from edge.sync.transport import Transport

STRIKES: Final = 5
"""So often a batch may go without an answer, the hub answering a heartbeat after each, before others go past it."""

_LOG: Final = logging.getLogger("edge.sync")

Health = Callable[[], Mapping[str, int | str]]
Result = Watermark | Receipt | bool | EdgeError


@dataclass(frozen=True, slots=True)
class Job:
    """One exchange to carry out.

    Attributes:
        action: `beat`, `push`, `retry` or `hold`.
        message: What is sent, empty for `hold`.
        kept: The batch that is sent, or None.
        at: When it was made, seconds of the steady clock.
        at_ms: The gate's time then, Unix milliseconds.
    """

    action: Action
    message: bytes = b""
    kept: Kept | None = None
    at: float = 0.0
    at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Offset:
    """How the gate's clock stands to the hub's.

    Attributes:
        ahead_ms: How far it is ahead, milliseconds, counted at the middle of the exchange.
        unsure_ms: Half the round trip: so far it may be off, whichever way was the slow one.
    """

    ahead_ms: int
    unsure_ms: int


def perform(job: Job, transport: Transport, hub_keys: Mapping[str, bytes]) -> Result:
    """Carry out an exchange and return its result, a failure included; blocks as long as the transport may."""
    try:
        match job.action:
            case Action.HOLD:
                return transport.hold()
            case Action.BEAT:
                return client.beat(transport, job.message, hub_keys)
            case _:
                return client.push(transport, job.message, hub_keys)
    except EdgeError as error:
        return error


class Pusher:
    """What the gate says to its hub, one exchange after the other.

    Args:
        session: When.
        outbox: What.
        key: The device key.
        health: Numbers and short words about the gate for the heartbeat.
    """

    def __init__(self, session: Session, outbox: Outbox, key: SigningKey, health: Health) -> None:
        self.session = session
        self.outbox = outbox
        self._key = key
        self._gate = device.gate_id(key.verify_key.encode())
        self._health = health
        self._doubted: Kept | None = None
        self._strikes: dict[int, int] = {}
        self._tried: frozenset[int] = frozenset()
        self._retried: frozenset[int] = frozenset()
        self._refused = ("", "")
        self._disputed = ""
        self.failure = ""
        """What the last exchange met, in words, empty where it went well."""
        self.trouble: LedgerError | None = None
        """What keeps this machine from doing its side, or None."""
        self.offset: Offset | None = None
        """How the clock stood at the last heartbeat, or None before the first."""
        self._is_cutting_troubled = False

    def next(self, now: float, now_ms: int, standing: Standing) -> Job | None:
        """Return the exchange to carry out at `now`, or None where there is none.

        Args:
            now: Seconds of the steady clock.
            now_ms: The time, Unix milliseconds.
            standing: What waits.
        """
        action = self.session.next(now, standing.demand).action
        try:
            if action is Action.RETRY:
                return self._retry(now)
            if action is Action.PUSH:
                return self._push()
        except LedgerError as error:
            self._is_cutting_troubled = True
            self._note_trouble(error, now)
            return None
        if action is Action.BEAT:
            return Job(action, self._heartbeat(now_ms, standing), at=now, at_ms=now_ms)
        return Job(action) if action is Action.HOLD else None

    def done(self, job: Job, result: Result, now: float, now_ms: int) -> None:
        """Take in the result of an exchange; where that cannot be kept, the exchange is repeated.

        Args:
            job: The exchange.
            result: What `perform` returned.
            now: Seconds of the steady clock.
            now_ms: The time, Unix milliseconds.
        """
        before = self.session.link
        try:
            self._take(job, result, now, now_ms)
        except ReceiptRefused as refused:
            # Signed by our hub and yet not for our log: an old or another gate's word.
            self._fail(job, refused, now, now_ms)
        except LedgerError as error:
            self._note_trouble(error, now)
        if before is not self.session.link:
            _LOG.info("link %s%s", self.session.link, f": {self.failure}" if self.failure else "")

    def findings(self) -> list[Finding]:
        """Return what a person should know about how the hub takes this gate's scans.

        Raises:
            LedgerError: `sync.db` cannot be read.
        """
        kind, message = self._refused
        if kind:
            return [Finding("hub.refused", params={"kind": kind, "message": message})]
        parked = [kept for kept in self.outbox.store.batches() if kept.kind]
        if parked:
            # The first refusal is the cause, those behind it mostly follow.
            params: dict[str, str | int | float] = {"kind": parked[0].kind, "message": parked[0].message}
            return [Finding("hub.refused", params={**params, "seq": parked[0].first, "batches": len(parked)})]
        if self._disputed:
            return [Finding("hub.refused", params={"kind": self._disputed})]
        return []

    def _retry(self, now: float) -> Job | None:
        job = self._batch(Action.RETRY, self.outbox.next_parked(self._retried))
        if job is None:
            self._retried = frozenset()
            self.session.on_nothing_parked_left(now)
        return job

    def _push(self) -> Job | None:
        if self.outbox.shown:
            return Job(Action.PUSH, cbor.encode(self.outbox.shown))
        job = self._batch(Action.PUSH, self.outbox.next(self._tried))
        self.trouble, self._is_cutting_troubled = None, False
        if job is None:
            self._tried = frozenset()
            self.session.on_nothing_waiting_left()
        return job

    def _note_trouble(self, error: LedgerError, now: float) -> None:
        if str(error) != str(self.trouble):
            _LOG.error("%s", error)
        self.trouble = error
        self.session.on_trouble(now)

    def _batch(self, action: Action, kept: Kept | None) -> Job | None:
        message = self.outbox.store.wire(kept.number) if kept is not None else None
        return Job(action, message, kept) if message is not None else None

    def _heartbeat(self, now_ms: int, standing: Standing) -> bytes:
        # Read after the time it is sent with: an older head under a newer time would look like a log that was set back.
        try:
            head = self.outbox.head()
        except LedgerError:
            head = NO_LOG
        health = {**self._health(), "backlog": standing.backlog, "parked": standing.parked}
        if self.offset is not None:
            health |= {"clock_ahead_ms": self.offset.ahead_ms, "clock_unsure_ms": self.offset.unsure_ms}
        return enrolment.make_heartbeat(
            Heartbeat(self._gate, head.epoch, head.seq, head.head, now_ms, health), self._key
        )

    def _take(self, job: Job, result: Result, now: float, now_ms: int) -> None:
        if isinstance(result, EdgeError):
            self._fail(job, result, now, now_ms)
            return
        self.failure = ""
        if isinstance(result, Watermark):
            self._learn(job, result, now, now_ms)
        elif isinstance(result, Receipt):
            if job.kept is not None:
                self._settle(job.kept, result, now, now_ms)
            else:
                self._was_shown(now)
        else:
            self.session.on_hold(now, was_open=result)

    def _learn(self, job: Job, watermark: Watermark, now: float, now_ms: int) -> None:
        try:
            self._disputed = self.outbox.learn(watermark)
            if not self._is_cutting_troubled:
                self.trouble = None
        except ReceiptRefused:
            raise
        except LedgerError as error:
            # The hub is there all the same.
            self._note_trouble(error, now)
        # The hub read its clock somewhere between our two readings.
        half_ms = math.ceil(max(0.0, now - job.at) * 500)
        self.offset = Offset(job.at_ms + half_ms - watermark.at_ms, half_ms)
        self._refused = ("", "")
        self.session.on_watermark(now, heartbeat_s=watermark.heartbeat_s, slot_s=watermark.slot_s)
        kept, self._doubted = self._doubted, None
        if kept is not None:
            self._strike(kept, now, now_ms)

    def _was_shown(self, now: float) -> None:
        """The hub saw our receipt: what it refused for a gap may follow now."""
        self.outbox.shown = b""
        self._retried = frozenset()
        self.session.on_receipt(now, frees_parked=True)

    def _settle(self, kept: Kept, receipt: Receipt, now: float, now_ms: int) -> None:
        frees = self.outbox.settle(kept, receipt, now_ms)
        if frees:
            self._retried = frozenset()
        self._refused = ("", "")
        self._strikes.pop(kept.number, None)
        self.session.on_receipt(now, frees_parked=frees)

    def _fail(self, job: Job, error: EdgeError, now: float, now_ms: int) -> None:
        self.failure = error.message
        if isinstance(error, BatchRefused) and error.kind == client.UNKNOWN_GATE:
            self._refused = (error.kind, error.message)
            self.session.on_refused(now)
        elif isinstance(error, BatchRefused) and job.kept is not None:
            self._park(job, error, now, now_ms)
        elif isinstance(error, BatchRefused) and job.action is Action.PUSH:
            # A hub of an earlier release, which knows nothing of receipts shown to it.
            self._was_shown(now)
        elif isinstance(error, AnswerRefused) and error.status in client.BUSY:
            self.session.on_busy(now, error.retry_after_s)
        elif job.kept is None:
            # Nobody, a login page, somebody else's signature: whoever it was, it was not our hub.
            self._doubted = None
            self.session.on_failure(now)
        else:
            self._doubt(job, job.kept, error, now)

    def _doubt(self, job: Job, kept: Kept, error: EdgeError, now: float) -> None:
        self._doubted = kept
        if job.action is Action.RETRY:
            self._retried |= {kept.number}
        if kept.kind == UNANSWERED:
            self._tried |= {kept.number}
        else:
            # It is not only the one batch then: the next round begins with the oldest again.
            self._tried = frozenset()
        if isinstance(error, TransportError) and not isinstance(error, AnswerRefused):
            self.session.on_failure(now)
        else:
            self.session.on_doubt(now)

    def _park(self, job: Job, refused: BatchRefused, now: float, now_ms: int) -> None:
        kept = job.kept
        if kept is None:
            return
        if refused.kind == client.TOO_LARGE and self.outbox.halve(kept):
            _LOG.info("batch %d to %d is cut in two: %s", kept.first, kept.last, refused.message)
            self._strikes.pop(kept.number, None)
            self.session.on_parked(now)
            return
        _LOG.warning("batch %d to %d refused: %s, %s", kept.first, kept.last, refused.kind, refused.message)
        self.outbox.store.park(kept.number, refused.kind, refused.message, now_ms)
        self._strikes.pop(kept.number, None)
        self._retried |= {kept.number}
        self.session.on_parked(now, is_behind=refused.kind == "gap" and kept.kind != "gap")

    def _strike(self, kept: Kept, now: float, now_ms: int) -> None:
        """Count a batch that met no answer although the hub is there; past the limit, let others go past it."""
        if kept.kind or any(other.kind == UNANSWERED for other in self.outbox.store.batches()):
            return
        self._strikes[kept.number] = self._strikes.get(kept.number, 0) + 1
        if self._strikes[kept.number] >= STRIKES:
            del self._strikes[kept.number]
            self._tried |= {kept.number}
            message = "the hub answers, but not to this batch"
            self.outbox.store.park(kept.number, UNANSWERED, message, now_ms)
            self.session.on_parked(now)
