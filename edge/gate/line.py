"""The straight line: symbol -> verdict -> entry on disk -> event. One frame at a time, one thread, no way back.

Law 3: an accept is published only after its entry is durable; what cannot be recorded is never green. Codes that nobody
known signed are counted by the flood guard, so that nobody can fill the disk or delay the next person.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from edge.credentials.format import Format
from edge.errors import LedgerError, LogUnwritable
from edge.gate.admissions import Admissions
from edge.gate.clock import Clock
from edge.gate.company import Company
from edge.gate.events import Shown, verdict_event
from edge.gate.sightings import Memory
from edge.gate.tally import Tally
from edge.gate.timecodes import Taken, TimeCodes
from edge.model.credential import ServerToken, SignedCredential
from edge.model.finding import Finding, Severity
from edge.model.moment import Moment
from edge.model.scan import NOT_SHOWN, RESUMED, EntryType, Facts
from edge.model.symbol import Symbol
from edge.model.trust import TrustSnapshot
from edge.model.verdict import Outcome, Reason, Verdict
from edge.policy.decide import Place, refused, unverified
from edge.policy.examine import Context, examine
from edge.scanlog.flood import FloodGate
from edge.scanlog.log import ScanLog
from edge.verify.verify import region_of, status_of

_SET_SHOWN_S: Final = 20.0
_NO_KEYS: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(slots=True)
class Trusted:
    """The trust snapshot in force; replaced whole by the watcher, read once per symbol."""

    snapshot: TrustSnapshot | None = None


class Line:
    """Presents symbols to the policy, the log and whoever listens.

    Args:
        formats: Credential formats, tried in order.
        place: Where the gate stands.
        log: The scan log, this thread its only writer.
        memory: Who was admitted here lately.
        trusted: The trust in force.
        clock: The clock.
        publish: Called with each event; never blocks, never raises.
        hub_keys: Keys of the hub this gate was enrolled at, by key id (hex): they may sign time codes.
    """

    def __init__(
        self,
        *,
        formats: Sequence[Format],
        place: Place,
        log: ScanLog,
        memory: Memory,
        trusted: Trusted,
        clock: Clock,
        publish: Callable[[dict[str, Any]], None],
        hub_keys: Mapping[str, bytes] = _NO_KEYS,
    ) -> None:
        self._formats = formats
        self.place = place
        """Where the gate stands; another one once it is enrolled."""
        self._log = log
        self._memory = memory
        self._trusted = trusted
        self._clock = clock
        self._publish = publish
        self._flood = FloodGate()
        self._company = Company()
        self.timecodes = TimeCodes(clock, hub_keys)
        self._clock_set_at = float("-inf")
        self._admissions = Admissions()
        self.tally = Tally()
        self.is_recording = True

    def present(self, symbols: Sequence[Symbol], in_view: Sequence[Symbol] = ()) -> None:
        """Answer the symbols presented anew in one frame, in order; each is recorded before it is published.

        Args:
            symbols: Codes presented anew.
            in_view: Every code of the frame, those held up since earlier included.
        """
        for symbol in symbols:
            if TimeCodes.claims(symbol.raw):
                self._set_clock(symbol)
        presented = [symbol for symbol in symbols if not TimeCodes.claims(symbol.raw)]
        found = [self._verdict(symbol) for symbol in presented]
        beside = self._company.beside(presented, in_view, [verdict.outcome for verdict, _, _ in found])
        for symbol, (verdict, moment, trust), several in zip(presented, found, beside, strict=True):
            if several and verdict.outcome is Outcome.ACCEPT:
                # An accomplice's green must not stand beside a red: nobody is admitted until the code is alone.
                verdict = refused(Reason.PRESENTATION_SEVERAL, verdict, details={})  # noqa: PLW2901
            self._answer(symbol, verdict, (moment, trust), together=len(presented))

    def _set_clock(self, symbol: Symbol) -> None:
        trust = self._trusted.snapshot
        taken = self.timecodes.take(symbol.raw, trust)
        if taken is Taken.HELD_UP:
            return
        if taken is Taken.REFUSED:
            refusal = unverified(Reason.CLOCK_CODE_REFUSED, trust)
            self._answer(symbol, refusal, (self._clock.moment(trust), trust), together=1)
            return
        self._clock_set_at = time.monotonic()
        try:
            self.staff(Facts(EntryType.TIME_CODE, 0, reason=str(Reason.CLOCK_SET), source=symbol.source))
        except LedgerError:
            # The right time holds all the same; what follows by it cannot be recorded either and is no accept.
            self.is_recording = False

    def _verdict(self, symbol: Symbol) -> tuple[Verdict, Moment, TrustSnapshot | None]:
        trust = self._trusted.snapshot
        moment = self._clock.moment(trust)
        if trust is not None:
            self._memory.window_s = trust.policy.repeat_window_s
        context = Context(self._formats, trust, moment, self.place, self._memory)
        return examine(symbol.raw, context), moment, trust

    def _answer(
        self, symbol: Symbol, verdict: Verdict, under: tuple[Moment, TrustSnapshot | None], *, together: int
    ) -> None:
        moment, trust = under
        try:
            seq = self._record(verdict, symbol, moment)
            if seq and not self.is_recording:
                self._resume()
        except LedgerError:
            # Verification goes on being shown, admission stops (law 3).
            self.is_recording = False
            seq = 0
            verdict = unrecorded(verdict)
        self.tally.add_verdict(verdict.outcome.name.lower(), str(verdict.reason))
        taken_ms = (time.monotonic_ns() - symbol.taken_ns) / 1e6 if symbol.taken_ns else None
        shown = Shown(seq, self.is_recording, moment.unix_ms, taken_ms, symbol.source, together)
        self._publish(verdict_event(verdict, shown, trust))

    def _record(self, verdict: Verdict, symbol: Symbol, moment: Moment) -> int:
        facts = facts_of(verdict, symbol, moment)
        if not verdict.is_authentic:
            return self._count(facts)
        presented = verdict.presentation
        if presented is None or isinstance(presented, ServerToken):
            raise TypeError("an authentic verdict without a credential")
        token = self._memory.token(presented.identity, moment)
        seq = self._log.append(facts, token=token).seq
        if verdict.outcome is Outcome.ACCEPT:
            self._memory.admit(token, moment)
            if token is not None:
                self._admissions.add(seq, token, moment)
        return seq

    def _count(self, facts: Facts) -> int:
        reason = Reason(facts.reason)
        standing_for = self._flood.offer(reason, time.monotonic())
        if not standing_for:
            # Only counted: there is no entry yet that a note could be about.
            return 0
        return self._append_counted(facts, reason, standing_for)

    def _append_counted(self, facts: Facts, reason: Reason, count: int) -> int:
        kind = EntryType.SCAN if count == 1 else EntryType.UNKNOWN_CODES
        try:
            return self._log.append(replace(facts, type=kind, count=count)).seq
        except LogUnwritable:
            self._flood.put_back(reason, count)
            raise

    def rest(self) -> None:
        """Do what waits while nobody stands there: counted codes and the write-ahead log."""
        waiting = self._flood.flush(time.monotonic())
        try:
            if waiting is not None:
                self._append_counted(self._counted(waiting[0]), *waiting)
            if not self.is_recording:
                self._resume()
            self._log.checkpoint()
        except LedgerError:
            self.is_recording = False

    def _resume(self) -> None:
        # The outage itself is worth an entry, and writing it is the only proof that writing works again.
        self.staff(Facts(EntryType.NOTE, 0, note=RESUMED))
        self.is_recording = True

    def end(self) -> None:
        """Write down what is counted, before the gate stops.

        Raises:
            LogUnwritable: It could not be made durable.
        """
        for reason, count in self._flood.drain():
            self._append_counted(self._counted(reason), reason, count)

    def _counted(self, reason: Reason) -> Facts:
        trust = self._trusted.snapshot
        moment = self._clock.moment(trust)
        return facts_of(unverified(reason, trust), Symbol(b""), moment)

    def staff(self, facts: Facts) -> int:
        """Record what staff did, or what the gate itself notes, and return the entry's number.

        Raises:
            LogUnwritable: It could not be made durable.
        """
        trust = self._trusted.snapshot
        moment = self._clock.moment(trust)
        versions = (trust.versions.timestamp, trust.policy.version) if trust is not None else (0, 0)
        seq = self._log.append(
            replace(
                facts,
                at_ms=moment.unix_ms,
                quality=int(moment.quality),
                trust_version=versions[0],
                policy_version=versions[1],
            )
        ).seq
        self.tally.add_note(facts)
        return seq

    def take_back(self, seq: int) -> int | None:
        """Record that no page has shown an accept, then let its pass be shown again; asking twice changes nothing.

        Args:
            seq: Number of the accept's entry.

        Returns:
            Number of the entry that says so, or None where `seq` is no accept that can still be taken back.

        Raises:
            LogUnwritable: It could not be made durable; the admission stands.
        """
        admission = self._admissions.find(seq)
        if admission is None:
            return None
        if not admission.note:
            admission.note = self.staff(Facts(EntryType.NOTE, 0, refers_to=seq, note=NOT_SHOWN))
            # Only now: an admission that is forgotten and still stands in the log would admit two people unexplained.
            self._memory.forget(admission.token, admission.at_ms)
        return admission.note

    @property
    def last_seq(self) -> int:
        """Sequence number of the last entry."""
        return self._log.head.seq

    def findings(self) -> list[Finding]:
        """Return the line's own conditions."""
        found = [] if self.is_recording else [Finding("log.unwritable", Severity.STOP)]
        if time.monotonic() - self._clock_set_at < _SET_SHOWN_S:
            found.append(Finding("clock.set"))
        return found


def unrecorded(verdict: Verdict) -> Verdict:
    """Return a verdict that could not be recorded: what would be an accept is referred, the rest stands."""
    if verdict.outcome is not Outcome.ACCEPT:
        return verdict
    return refused(Reason.LOG_UNWRITABLE, verdict, details={})


def _authentic(verdict: Verdict) -> SignedCredential | None:
    presented = verdict.presentation
    return None if not verdict.is_authentic or isinstance(presented, ServerToken) else presented


def facts_of(verdict: Verdict, symbol: Symbol, moment: Moment) -> Facts:
    """Return what the log states of a verdict: nothing personal, and of an unauthentic code only that it was one."""
    presented = verdict.presentation
    authentic = _authentic(verdict)
    duration_ms = (time.monotonic_ns() - symbol.taken_ns) // 1_000_000 if symbol.taken_ns else 0
    return Facts(
        EntryType.SCAN,
        moment.unix_ms,
        quality=int(moment.quality),
        outcome=int(verdict.outcome),
        reason=str(verdict.reason),
        format=presented.format if presented is not None else "",
        issuer=verdict.issuer.id if authentic is not None and verdict.issuer is not None else "",
        kind=int(authentic.kind) if authentic is not None else None,
        status=status_of(authentic) if authentic is not None else None,
        region=region_of(authentic) if authentic is not None else 0,
        trust_version=verdict.trust_version,
        policy_version=verdict.policy_version,
        duration_ms=min(duration_ms, 600_000),
        source=symbol.source,
    )
