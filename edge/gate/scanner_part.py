"""The scanner part: camera, verdicts, the only writer of the scan log, the gate's socket. Here its classes are chosen.

It works without the other two: no page, no network, no enrolment; what it cannot know it says as a finding.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge.errors import EdgeError, TrustDamaged, TrustMissing
from edge.gate import code_keys
from edge.gate.announcer import Announcer
from edge.gate.bus import Bus
from edge.gate.clock import Clock
from edge.gate.enrolled import Enrolled
from edge.gate.events import Standing, state_event
from edge.gate.formats import load_formats
from edge.gate.line import Line, Trusted
from edge.gate.sightings import Memory
from edge.gate.slips import Slips
from edge.gate.sm2 import findings as signature_findings
from edge.gate.sm2 import verifiers
from edge.gate.staff import Staff
from edge.gate.sunset import Sunset
from edge.gate.upkeep import Upkeep
from edge.identity.daykeys import load_day_keys
from edge.model.finding import Finding, Severity
from edge.model.moment import ClockQuality, Moment
from edge.model.settings import Settings
from edge.model.trust import Band, TrustSnapshot
from edge.policy.decide import Place
from edge.relay.client import RelayClient
from edge.relay.question import FILE as RELAY_SOCKET
from edge.scanlog.log import ScanLog
from edge.scanner.scanner import Scanner
from edge.trust.store import TrustStore

_LOG = logging.getLogger(__name__)
_FRAME_WAIT_S: Final = 0.05
_STATE_EVERY_S: Final = 1.0
_ANNOUNCE_EVERY_S: Final = 0.25
_TRUST_EVERY_S: Final = 1.0
_REST_EVERY_S: Final = 10.0
_FIRST_WINDOW_S: Final = 300
"""Repeat window until the first policy is known."""
_DAY_S: Final = 86_400


class TrustWatcher:
    """Loads the trust store beside the line and swaps the snapshot in whole.

    Args:
        folder: The trust store.
        trusted: Where the snapshot in force stands.
    """

    def __init__(self, folder: Path, trusted: Trusted) -> None:
        self._folder = folder
        self._trusted = trusted
        self._generation: object = None
        self._finding: Finding | None = Finding("trust.missing", Severity.STOP)

    def look(self) -> None:
        """Load the store if it changed since the last look; what is in force stays where it does not verify."""
        store = TrustStore(self._folder)
        generation: object = None
        try:
            generation = store.generation()
            if generation == self._generation:
                return
            self._trusted.snapshot = store.load()
            self._finding = None
            self._generation = generation
        except TrustMissing:
            self._finding = None if self._trusted.snapshot is not None else Finding("trust.missing", Severity.STOP)
        except TrustDamaged as error:
            self._finding = self._damaged(error)
            # Looked at again when it changes: a damaged store does not heal by itself.
            self._generation = generation
        except EdgeError as error:
            # Busy, or a moment's trouble with the disk: tried again at the next look.
            self._finding = self._damaged(error)

    def _damaged(self, error: EdgeError) -> Finding:
        severity = Severity.DAMAGE if self._trusted.snapshot is not None else Severity.STOP
        return Finding("trust.damaged", severity, {"message": str(error)})

    def findings(self) -> list[Finding]:
        """Return what is wrong with the store, or with a list in it."""
        found = [] if self._finding is None else [self._finding]
        held = self._trusted.snapshot.held_back if self._trusted.snapshot is not None else {}
        if held:
            found.append(Finding("trust.list_held", params={"message": " ".join(held.values())}))
        return found


class ScannerPart:
    """Everything of the scanner part, joined.

    Args:
        settings: The gate's settings.
        scanner: The scanner, started.

    Raises:
        EdgeError: The state folder, log or socket cannot be had.
    """

    def __init__(self, settings: Settings, scanner: Scanner) -> None:
        state = Path(settings.state)
        self._settings = settings
        self._state = state
        self._enrolled = Enrolled(state, settings.place)
        self._found: list[Finding] = []
        self._clock = Clock(state)
        self._trusted = Trusted()
        self._watcher = TrustWatcher(state / "trust", self._trusted)
        self._scanner = scanner
        self._watcher.look()
        self._log = ScanLog.open(state / "scans.db")
        self._memory = self._remember(state)
        self._bus = Bus(state / "gate.sock")
        keys, self._keys_findings = code_keys.at_start(settings.scanner.code_keys_file)
        self._line = Line(
            formats=load_formats(keys),
            place=Place(self._enrolled.place.region),
            log=self._log,
            memory=self._memory,
            trusted=self._trusted,
            clock=self._clock,
            publish=self._bus.publish,
            hub_keys=self._enrolled.hub_keys,
            verifiers=verifiers(),
            relay=RelayClient(state / RELAY_SOCKET).ask,
        )
        self._day_ms = start_of_day_ms(self._moment())
        self._line.tally.load(self._log, self._day_ms)
        pin = settings.staff.pin_file
        slips = Slips(state, self._log, lambda: self._enrolled.place)
        self._staff = Staff(
            self._line,
            Path(pin) if pin else None,
            preview=self._scanner.preview,
            report=self._report,
            slip=slips.code,
        )
        self._upkeep = Upkeep(self._log, state / "sync.db", self._enrolled.identity)
        self._sunset = Sunset(
            state, self._log, self._memory, enrolment=self._enrolled.enrolment, record=self._line.staff
        )
        self._tend_sunset()
        self._stated_at = 0.0
        self._rested_at = 0.0

    def _moment(self) -> Moment:
        return self._clock.moment(self._trusted.snapshot)

    def _remember(self, state: Path) -> Memory:
        # A gate without keys is given one by `Sunset`, unless its policy has ended.
        memory = Memory(load_day_keys(state), state, window_s=_FIRST_WINDOW_S)
        memory.recall(self._log.recent_tokens(max(0, self._moment().unix_ms - _DAY_S * 1000)))
        return memory

    def _tend_sunset(self) -> None:
        trust = self._trusted.snapshot
        sure_ms = self._clock.sure_ms(trust)
        # A policy that follows for certain puts the end off for certain.
        self._sunset.tend(_in_force(trust, Moment(sure_ms)), sure_ms, self._moment())

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set."""
        self._bus.start()
        watching = threading.Thread(target=self._watch, args=(stop,), name="trust", daemon=True)
        watching.start()
        announcing = threading.Thread(target=self._announce, args=(stop,), name="announcer", daemon=True)
        announcing.start()
        try:
            while not stop.is_set():
                symbols = self._scanner.presentations(_FRAME_WAIT_S)
                self._line.present(symbols, self._scanner.in_view)
                self._serve_staff()
                self._tell(has_event=bool(symbols))
        finally:
            stop.set()
            with contextlib.suppress(EdgeError):
                self._line.end()
            self._clock.keep()
            self._bus.close()
            self._log.close()
            announcing.join(_ANNOUNCE_EVERY_S)

    def _watch(self, stop: threading.Event) -> None:
        while not stop.wait(_TRUST_EVERY_S):
            try:
                self._watcher.look()
            except Exception:  # noqa: BLE001
                # A fault of ours in the watcher must not freeze trust without a word.
                _LOG.exception("looking at the trust store failed; it is tried again")

    def _announce(self, stop: threading.Event) -> None:
        # On a thread of its own: a terminal that was stopped (Ctrl-S) must not stop the line.
        announcer = Announcer()
        is_over = False
        while not is_over:
            is_over = stop.wait(_ANNOUNCE_EVERY_S)
            announcer.tell(self._found)

    def _serve_staff(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._staff.serve(self._bus.commands.get_nowait())
        self._staff.serve_checked()

    def _tell(self, *, has_event: bool) -> None:
        elapsed = time.monotonic() - self._stated_at
        if not has_event and elapsed < _STATE_EVERY_S:
            return
        if not has_event or time.monotonic() - self._rested_at > _REST_EVERY_S:
            self._rest()
        self._stated_at = time.monotonic()
        self._found = self._findings()
        self._bus.publish(self._state_of(self._found))

    def _rest(self) -> None:
        # Also under a display that cycles codes without end: nothing may put this off for ever.
        self._rested_at = time.monotonic()
        self._line.rest()
        self._memory.take_up_new_keys()
        if self._enrolled.look():
            self._take_up_enrolment()
        moment = self._moment()
        trust = _in_force(self._trusted.snapshot, moment)
        self._upkeep.tend(trust, moment)
        self._tend_sunset()
        self._clock.keep_if_due()
        self._turn_day(moment)

    def _take_up_enrolment(self) -> None:
        self._line.place = Place(self._enrolled.place.region)
        self._line.timecodes.hub_keys = self._enrolled.hub_keys
        self._upkeep = Upkeep(self._log, self._state / "sync.db", self._enrolled.identity)
        self._sunset.enrolment = self._enrolled.enrolment

    def _turn_day(self, moment: Moment) -> None:
        today = start_of_day_ms(moment)
        # A clock in doubt begins no day.
        if today != self._day_ms and moment.quality is not ClockQuality.DOUBTFUL:
            self._day_ms = today
            self._line.tally.load(self._log, today)

    def state(self) -> dict[str, Any]:
        """Return the state event."""
        return self._state_of(self._findings())

    def _findings(self) -> list[Finding]:
        moment = self._moment()
        trust = _in_force(self._trusted.snapshot, moment)
        findings = [
            *self._scanner.findings(),
            *self._line.findings(),
            *self._watcher.findings(),
            *self._upkeep.findings(),
            *self._sunset.findings(),
            *self._enrolled.findings(),
            *signature_findings(trust, verifiers()),
            *self._keys_findings,
        ]
        is_doubtful = moment.quality is ClockQuality.DOUBTFUL
        question = self._line.timecodes.question(trust) if is_doubtful or moment.quality is ClockQuality.FLOOR else ""
        findings += clock_findings(moment.quality, question)
        # As `edge.policy.decide`: a clock in doubt neither ages trust nor ends a policy.
        if trust is not None and not is_doubtful:
            findings += trust_findings(trust.band(moment.unix_s), ended=moment.unix_s >= trust.ends_at)
        return findings

    def _state_of(self, findings: list[Finding]) -> dict[str, Any]:
        moment = self._moment()
        in_force = _in_force(self._trusted.snapshot, moment)
        standing = Standing(
            gate=self._enrolled.gate,
            place=self._enrolled.place,
            counts=dict(self._line.tally.outcomes),
            findings=findings,
            admitting=not any(finding.severity is Severity.STOP for finding in findings),
            frame_age_ms=self._scanner.frame_age_ms(),
            last_seq=self._line.last_seq,
            asks=self._line.nonces.text(in_force),
        )
        return state_event(standing, in_force, moment)

    def _report(self) -> dict[str, Any]:
        return {
            "since_ms": self._day_ms,
            "until_ms": self._moment().unix_ms,
            "counts": dict(self._line.tally.outcomes),
            "reasons": dict(self._line.tally.reasons.most_common()),
            "staff": dict(self._line.tally.staff),
            "last_seq": self._line.last_seq,
            "state": self.state(),
        }


def _in_force(trust: TrustSnapshot | None, moment: Moment) -> TrustSnapshot | None:
    return None if trust is None else trust.at(moment)


def clock_findings(quality: ClockQuality, question: str = "") -> list[Finding]:
    """Return what staff should know about the clock.

    Args:
        quality: How far it can be believed.
        question: What central operations signs a time code for, empty where nobody can.
    """
    params: dict[str, str | int | float] = {"question": question} if question else {}
    if quality is ClockQuality.DOUBTFUL:
        return [Finding("clock.doubtful", params=params)]
    return [Finding("clock.floor", params=params)] if quality is ClockQuality.FLOOR else []


def trust_findings(band: Band, *, ended: bool) -> list[Finding]:
    """Return what staff should know about the age of trust."""
    if ended:
        return [Finding("policy.ended", Severity.STOP)]
    codes: dict[Band, Callable[[], list[Finding]]] = {
        Band.STALE: lambda: [Finding("trust.stale")],
        Band.TOO_OLD: lambda: [Finding("trust.too_old", Severity.STOP)],
    }
    return codes.get(band, list)()


def start_of_day_ms(moment: Moment) -> int:
    """Return the local midnight that the shift counts of a moment's day begin at, Unix milliseconds."""
    today = time.localtime(moment.unix_ms / 1000)
    return int(time.mktime((today.tm_year, today.tm_mon, today.tm_mday, 0, 0, 0, 0, 0, -1))) * 1000


def run(settings: Settings, scanner: Scanner, stop: threading.Event) -> None:
    """Run the scanner part until `stop` is set.

    Args:
        settings: The gate's settings.
        scanner: The scanner, started; closing it is the caller's.
        stop: Set to end.

    Raises:
        EdgeError: It cannot start; the message names what to do.
    """
    ScannerPart(settings, scanner).run(stop)
