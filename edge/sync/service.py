"""The loop of an enrolled gate: one thread decides and owns `sync.db`, two go for it to the hub and to the mirror.

When and what is pushed is `edge.sync.pusher`'s to say; this joins it with the network, the trust store and `link.json`.
"""

import logging
import queue
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from random import SystemRandom
from typing import Final

from edge.errors import EdgeError, EncodingRefused, LedgerError, LogDamaged
from edge.identity.identity import Identity
from edge.ledger import facts
from edge.model.finding import Finding
from edge.model.scan import Entry, EntryType
from edge.model.settings import Settings
from edge.scanlog.reader import ScanLogReader
from edge.sync.carrier import Visit, visit
from edge.sync.errands import Errands, Inbox
from edge.sync.health import health_of
from edge.sync.link import LinkFile, LinkState
from edge.sync.network import is_cut_off, ways_out
from edge.sync.opening import SCANS, TRUST, open_store
from edge.sync.outbox import NO_LOG, Outbox, Standing
from edge.sync.pusher import Job, Pusher, Result, perform
from edge.sync.refresher import Believed, Outcome, Schedule, Stick, View, findings, look, refresh, try_stick
from edge.sync.session import Link, Session
from edge.sync.store import FILE
from edge.sync.transport import Transport
from edge.trust.fetchers import Way

_TICK_S: Final = 0.25
_STANDING_EVERY_S: Final = 0.5
_LOOK_EVERY_S: Final = 30.0
_STICK_EVERY_S: Final = 5.0
_NEWEST: Final = 32
_ABNORMAL: Final = frozenset((EntryType.OVERRIDE, EntryType.NOT_HOLDER))
"""What the hub should hear of without waiting: staff let somebody pass, or found a pass in the wrong hands."""

_LOG: Final = logging.getLogger("edge.sync")


class Service:
    """Sync of one enrolled gate, from start to `close`.

    Args:
        settings: The gate's settings.
        identity: Who it is.
        transport: The way to its hub.
        link: `link.json`.
        now_ms: The clock, Unix milliseconds.

    Raises:
        LedgerError: `sync.db` cannot be had.
    """

    def __init__(
        self, settings: Settings, identity: Identity, *, transport: Transport, link: LinkFile, now_ms: Callable[[], int]
    ) -> None:
        state = Path(settings.state)
        random = SystemRandom().random
        self._settings = settings
        self._keys = identity.enrolment.hub_keys
        self._transport = transport
        self._link = link
        self._now_ms = now_ms
        self._store, self._aside = open_store(state / FILE)
        self._log = ScanLogReader(state / SCANS)
        self._outbox = Outbox(self._store, self._log, identity.key)
        self._session = Session(
            settings.sync,
            random,
            was_online=self._store.was_online(),
            heartbeat_s=identity.enrolment.heartbeat_s,
        )
        self._pusher = Pusher(self._session, self._outbox, identity.key, self._health)
        self._inbox: Inbox = queue.Queue()
        self._hub = Errands("hub", self._inbox)
        self._mirror = Errands("mirror", self._inbox)
        self._trust_folder = state / TRUST
        self._trust_url = settings.trust.url or identity.enrolment.trust_url
        self._schedule = Schedule(settings.trust.refresh_s, random)
        self._view = View()
        self._look_at = float("-inf")
        self._refreshed = Outcome()
        self._stick = Stick()
        self._stick_at = float("-inf")
        self._visit = Visit()
        self._visit_at = float("-inf")
        self._standing = Standing(NO_LOG, 0, 0, needs_mark=False)
        self._standing_at = float("-inf")
        self._unreadable: EdgeError | None = None
        self._said: tuple[int | None, list[Finding]] = (None, [])
        self._is_silent = False
        self._ways = ways_out()

    def close(self) -> None:
        """Stop what is under way, without waiting for anybody, and close the database."""
        self._transport.close()
        self._hub.close()
        self._mirror.close()
        self._store.close()

    def serve(self, is_over: Callable[[], bool]) -> None:
        """Serve until `is_over` says so; it is asked several times a second.

        Raises:
            LogDamaged: `sync.db` was found damaged; made anew, another service can go on.
        """
        while not is_over():
            now = time.monotonic()
            self._look_around(now)
            self._send(now)
            self._refresh(now)
            self._show(now)
            self._wait()

    def _wait(self) -> None:
        try:
            hand = self._inbox.get(timeout=_TICK_S)
            while True:
                hand()
                hand = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _look_around(self, now: float) -> None:
        if now - self._standing_at < _STANDING_EVERY_S:
            return
        self._standing_at = now
        ways = ways_out()
        if ways != self._ways:
            if is_cut_off(ways) and not is_cut_off(self._ways):
                # Seen at once, not at the end of a time-out; a hub on this machine answers the heartbeat that follows.
                self._session.on_failure(now)
            self._ways = ways
            self._session.on_network_changed(now)
            if self._hub.is_idle:
                # What is asked over a connection of the network before may wait in vain for its packets to come back.
                self._transport.close()
        before = self._standing
        try:
            self._standing = self._outbox.standing()
            self._said = (self._store.last_push_ms(), self._pusher.findings())
            self._unreadable = None
            if self._has_abnormal(before, self._standing):
                self._session.urge()
        except LedgerError as error:
            # The hub still hears that the gate lives; what waits is where it was.
            self._unreadable = error
            self._standing = Standing(NO_LOG, 0, 0, needs_mark=False)
            self._store.check()

    def _has_abnormal(self, before: Standing, now: Standing) -> bool:
        if before.head is NO_LOG or before.head.epoch != now.head.epoch or now.head.seq <= before.head.seq:
            return False
        first = max(before.head.seq, now.head.seq - _NEWEST) + 1
        return any(_type_of(entry) in _ABNORMAL for entry in self._log.entries(first, _NEWEST))

    def _send(self, now: float) -> None:
        if not self._hub.is_idle:
            return
        job = self._pusher.next(now, self._now_ms(), self._standing)
        if job is not None:
            keys = {**self._view.believed.hub_keys, **self._keys}
            self._hub.send(lambda: perform(job, self._transport, keys), lambda result: self._done(job, result))

    def _done(self, job: Job, result: Result) -> None:
        now, was = time.monotonic(), self._session.link
        self._pusher.done(job, result, now, self._now_ms())
        self._standing_at = float("-inf")
        if self._session.link is Link.ONLINE and was is not Link.ONLINE:
            self._schedule.on_link_returned(now)
        if isinstance(self._pusher.trouble, LogDamaged):
            self._store.check()

    def _refresh(self, now: float) -> None:
        if not self._mirror.is_idle:
            return
        folder, view, mirror = self._trust_folder, self._view, self._settings.trust
        now_s = view.believed.refresh_at(self._now_ms() // 1000)
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            self._mirror.send(lambda: look(folder, view), self._looked)
        elif mirror.stick and now >= self._stick_at:
            self._stick_at = now + _STICK_EVERY_S
            mount, before = Path(mirror.stick), self._stick
            self._mirror.send(lambda: try_stick(folder, mount, before, now_s), self._on_stick)
        elif mirror.stick and now >= self._visit_at:
            self._visit_at = now + _STICK_EVERY_S
            state, seen = Path(self._settings.state), self._visit
            self._mirror.send(lambda: visit(state, Path(mirror.stick), seen, now, self._now_ms), self._on_visit)
        elif self._trust_url and self._schedule.is_due(now):
            way = Way(self._settings.sync.timeout_s, ca_file=mirror.ca_file, proxy=mirror.proxy)
            self._mirror.send(lambda: refresh(folder, self._trust_url, way, now_s), self._on_refreshed)

    def _looked(self, view: View) -> None:
        self._view = view
        self._outbox.set_trust(view.believed.digest, view.believed.versions_at(self._now_ms() // 1000))

    def _on_refreshed(self, outcome: Outcome) -> None:
        now = time.monotonic()
        self._schedule.on_result(now, outcome.error)
        if outcome.error is not None and str(outcome.error) != str(self._refreshed.error):
            _LOG.warning("trust not refreshed: %s", outcome.error)
        self._refreshed = outcome
        if outcome.error is None:
            self._link.refreshed(self._now_ms())
            self._look_at = now

    def _on_stick(self, stick: Stick) -> None:
        before, self._stick = self._stick, stick
        if stick == before or not stick.outcome.is_stick:
            return
        if stick.outcome.error is None:
            _LOG.info("trust taken from the update stick")
            self._link.refreshed(self._now_ms())
            self._look_at = time.monotonic()
        elif str(stick.outcome.error) != str(before.outcome.error):
            _LOG.warning("update stick not taken: %s", stick.outcome.error)

    def _on_visit(self, visit: Visit) -> None:
        before, self._visit = self._visit, visit
        if visit is before or not visit.stamp:
            return
        done, back = visit.carried.exported, visit.carried.returned
        if done.written or back.taken:
            _LOG.info("stick: %d entries written, %d receipts taken from it", done.entries, back.taken)
            self._standing_at = float("-inf")
        for found in visit.findings():
            _LOG.warning("stick: %s", found.params["message"])

    def _show(self, now: float) -> None:
        offset = self._pusher.offset
        state = LinkState(
            self._session.link,
            self._now_ms(),
            self._standing.backlog if self._unreadable is None else self._link.shown.backlog,
            self._said[0],
            self._link.shown.last_refresh_ms,
            tuple(self._findings()),
            offset.ahead_ms if offset is not None else None,
            offset.unsure_ms if offset is not None else None,
        )
        try:
            self._link.show(state, now)
            self._is_silent = False
        except OSError as error:
            # What is pushed does not depend on what is shown.
            if not self._is_silent:
                _LOG.error("link.json cannot be written: %s", error.strerror)
            self._is_silent = True

    def _findings(self) -> list[Finding]:
        found = list(self._said[1])
        if self._session.link is not Link.ONLINE and self._pusher.failure:
            found.append(
                Finding(
                    "hub.unreachable",
                    params={"backlog": self._standing.backlog, "message": self._pusher.failure},
                )
            )
        for outcome in (self._refreshed, self._stick.outcome):
            found += findings(outcome, is_online=self._session.link is Link.ONLINE)
        found += self._visit.findings()
        trouble = self._unreadable or self._pusher.trouble
        if trouble is not None:
            found.append(Finding("sync.failed", params={"message": str(trouble)}))
        if self._aside:
            found.append(Finding("sync.db_replaced", params={"file": self._aside}))
        return found

    def _health(self) -> Mapping[str, int | str]:
        believed: Believed = self._view.believed
        found = health_of(Path(self._settings.state), self._log)
        if believed.issued_at:
            age_s = max(0, self._now_ms() // 1000 - believed.issued_at)
            found |= {"trust_version": believed.versions[0], "trust_age_s": age_s}
        return found


def _type_of(entry: Entry) -> EntryType | None:
    try:
        return facts.decode(entry.body).type
    except EncodingRefused:
        # Of a later version: whatever it states, it is pushed like the others.
        return None
