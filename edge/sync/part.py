"""The sync part of a gate, the only one with a network: it waits for the enrolment and serves it until told to stop."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.errors import EdgeError, IdentityBroken, LedgerError, LogUnwritable
from edge.identity.identity import Identity, files_stamp, finding_of, identify
from edge.model.finding import Finding
from edge.model.settings import Settings
from edge.relay.desk import RelayDesk
from edge.relay.question import FILE as RELAY_SOCKET
from edge.scanlog.reader import ScanLogReader
from edge.sync.link import LinkFile, LinkState
from edge.sync.opening import SCANS
from edge.sync.service import Service
from edge.sync.session import Link
from edge.sync.transports.http import HttpTransport

_LOOK_EVERY_S: Final = 1.0
_AGAIN_S: Final = 5.0

_LOG: Final = logging.getLogger("edge.sync")


def run(settings: Settings, stop: threading.Event, *, now_ms: Callable[[], int]) -> None:
    """Run the sync part until `stop` is set; a gate that is not enrolled yet is served as soon as it is.

    Args:
        settings: The gate's settings.
        stop: Set to end it; it ends within two seconds.
        now_ms: The clock, Unix milliseconds.

    Raises:
        ConfigError: The address of the hub is none.
    """
    SyncPart(settings, now_ms).run(stop)


class SyncPart:
    """The part, from start to stop.

    Args:
        settings: The gate's settings.
        now_ms: The clock, Unix milliseconds.
    """

    def __init__(self, settings: Settings, now_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._state = Path(settings.state)
        self._now_ms = now_ms
        self._link = LinkFile(self._state, now_ms())

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set.

        Raises:
            ConfigError: The address of the hub is none.
        """
        # Asking an operator needs no enrolment: whom to ask stands in the signed policy.
        with closing(RelayDesk(self._state / RELAY_SOCKET)):
            self._run(stop)

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            files = files_stamp(self._state)
            identity = self._identity()
            if isinstance(identity, Finding):
                self._idle(identity)
                stop.wait(_LOOK_EVERY_S)
                continue
            try:
                self._serve(identity, lambda: stop.is_set() or files_stamp(self._state) != files)  # noqa: B023  # ends before the next round
            except (LedgerError, OSError) as error:
                self._fail(error)
                stop.wait(_AGAIN_S)
        if self._link.shown.link is Link.ONLINE:
            # Nobody watches the link any more.
            self._show(replace(self._link.shown, link=Link.OFFLINE, since_ms=self._now_ms(), findings=()))

    def _serve(self, identity: Identity, is_over: Callable[[], bool]) -> None:
        transport = HttpTransport.of(self._settings.sync, identity.enrolment.hub_url)
        service = Service(self._settings, identity, transport=transport, link=self._link, now_ms=self._now_ms)
        with closing(service):
            service.serve(is_over)

    def _identity(self) -> Identity | Finding:
        """Return who this gate is, or why nobody knows: under a name that is not its own nothing is sent."""
        try:
            return identify(self._state) or Finding("gate.not_enrolled")
        except IdentityBroken as broken:
            return finding_of(broken)

    def _idle(self, why: Finding) -> None:
        backlog = 0
        with suppress(EdgeError):
            # The scanner part says what is wrong with the log; here it only counts.
            head = ScanLogReader(self._state / SCANS).head
            backlog = head.seq if head is not None else 0
        link = Link.NEVER if self._link.shown.link is Link.NEVER else Link.OFFLINE
        self._show(LinkState(link, self._now_ms(), backlog, findings=(why,)))

    def _fail(self, error: LedgerError | OSError) -> None:
        _LOG.error("sync stopped, tried again: %s", error)
        known = error if isinstance(error, LedgerError) else LogUnwritable(f"The state folder fails: {error.strerror}.")
        self._show(replace(self._link.shown, findings=(Finding("sync.failed", params={"message": str(known)}),)))

    def _show(self, state: LinkState) -> None:
        try:
            self._link.show(state, time.monotonic())
        except OSError as error:
            _LOG.error("link.json cannot be written: %s", error.strerror)
