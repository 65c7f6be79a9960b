"""The straight line: symbol -> verdict -> entry on disk -> event. One frame at a time, one thread, no way back.

Law 3: an accept is published only after its entry is durable; what cannot be recorded is never green. Codes that nobody
known signed are counted by the flood guard, so that nobody can fill the disk or delay the next person.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from secrets import token_bytes
from types import MappingProxyType
from typing import Any, Final

from edge.credentials.format import Format
from edge.errors import LedgerError, LogUnwritable, TransportError
from edge.gate.admissions import Admissions
from edge.gate.clock import Clock
from edge.gate.combination import Combination, Held, completes
from edge.gate.company import Company
from edge.gate.drawings import Drawings
from edge.gate.events import Shown, verdict_event
from edge.gate.nonces import Nonces
from edge.gate.sightings import Memory
from edge.gate.tails import Tails
from edge.gate.tally import Tally
from edge.gate.timecodes import Taken, TimeCodes
from edge.model.credential import ServerToken, SignedCredential
from edge.model.finding import Finding, Severity
from edge.model.moment import Moment
from edge.model.scan import NOT_SHOWN, RESUMED, EntryType, Facts
from edge.model.symbol import Symbol
from edge.model.trust import TrustSnapshot
from edge.model.verdict import Outcome, Reason, Verdict
from edge.policy.ask import NONCE_BYTES, Ask, answered, ask, failed
from edge.policy.decide import Place, refused, unverified
from edge.policy.examine import Context, examine
from edge.scanlog.flood import FloodGate
from edge.scanlog.log import ScanLog
from edge.verify.signatures import VERIFIERS, Verifier
from edge.verify.verify import region_of, status_of

_SET_SHOWN_S: Final = 20.0
COUNTIES: Final = 100
"""A log states the prefecture (GB/T 2260): with the county ten times as many people are alone with their facts."""
REOPEN_S: Final = 2.0
"""How often a log that refuses is opened anew at most, seconds."""
_NO_KEYS: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(slots=True)
class Trusted:
    """The trust snapshot in force; replaced whole by the watcher, read once per symbol."""

    snapshot: TrustSnapshot | None = None


@dataclass(slots=True)
class _Found:
    """What one symbol was found to be, on its way to the log.

    Attributes:
        verdict: The verdict; replaced where it may not stand.
        moment: When.
        trust: The trust it was made under, or None.
        token: The privacy token of what was presented, or None.
        before: What was held when it was made.
        held: What waits because of it, or None.
    """

    verdict: Verdict
    moment: Moment
    trust: TrustSnapshot | None
    token: bytes | None = None
    before: tuple[Held, ...] = ()
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """One entry to be written.

    Attributes:
        facts: What it states.
        token: Its privacy token, or None.
        count: For how many presentations it stands; 0 is no entry yet.
        is_counted: Whether the flood guard is to have the count again, should it not be written.
    """

    facts: Facts
    token: bytes | None = None
    count: int = 1
    is_counted: bool = False


def _counted(facts: Facts, count: int) -> _Row:
    if count > 1:
        facts = replace(facts, type=EntryType.UNKNOWN_CODES, count=count)
    return _Row(facts, count=count, is_counted=True)


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
        verifiers: How signatures are checked, by COSE algorithm number.
        relay: Asks an operator and returns what came back, within its budget; raises nothing but `TransportError`.
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
        verifiers: Mapping[int, Verifier] = VERIFIERS,
        relay: Callable[[Ask], bytes] | None = None,
    ) -> None:
        self._formats = formats
        self.place = place
        """Where the gate stands; another one once it is enrolled."""
        self._log = log
        self._memory = memory
        self._trusted = trusted
        self._clock = clock
        self._publish = publish
        self._relay = relay
        self._flood = FloodGate()
        self._company = Company()
        self._drawings = Drawings()
        self._verifiers = verifiers
        self.nonces = Nonces()
        self.timecodes = TimeCodes(clock, hub_keys)
        self._clock_set_at = float("-inf")
        self._reopen_at = float("-inf")
        self._admissions = Admissions()
        self._combination = Combination()
        self.tails = Tails()
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
        self._drawings.look(in_view)
        before = [self._drawings.before(one.verdict) for one in found]
        stand = [_hinders(kept or one.verdict) for kept, one in zip(before, found, strict=True)]
        beside = self._company.beside(presented, in_view, stand)
        answers = []
        for symbol, one, several, kept in zip(presented, found, beside, before, strict=True):
            if kept is None:
                if several and one.verdict.outcome is Outcome.ACCEPT:
                    # An accomplice's green must not stand beside a red: nobody is admitted until the code is alone.
                    one.verdict = refused(Reason.PRESENTATION_SEVERAL, one.verdict, details={})
                answers.append((symbol, one))
            # Else the next drawing of a live code that was answered: not another person.
            self._drawings.note(symbol, one.verdict)
        self._answer(answers, together=len(presented))

    def _set_clock(self, symbol: Symbol) -> None:
        trust = self._trusted.snapshot
        taken = self.timecodes.take(symbol.raw, trust)
        if taken is Taken.HELD_UP:
            return
        if taken is Taken.REFUSED:
            refusal = unverified(Reason.CLOCK_CODE_REFUSED, trust)
            self._answer([(symbol, _Found(refusal, self._clock.moment(trust), trust))], together=1)
            return
        self._clock_set_at = time.monotonic()
        try:
            self.staff(Facts(EntryType.TIME_CODE, 0, reason=str(Reason.CLOCK_SET), source=symbol.source))
        except LedgerError:
            # The right time holds all the same; what follows by it cannot be recorded either and is no accept.
            self.is_recording = False

    def _verdict(self, symbol: Symbol) -> "_Found":
        trust, moment = self._now()
        if trust is None:
            return _Found(
                examine(symbol.raw, Context(self._formats, None, moment, self.place, self._memory)), moment, None
            )
        self._memory.window_s = trust.policy.repeat_window_s
        before = self._combination.held(trust.policy.rules.condition_window_s)
        kinds = frozenset(one.kind for one in before)
        context = Context(
            self._formats,
            trust,
            moment,
            self.place,
            self._memory,
            verifiers=self._verifiers,
            nonces=self.nonces.accepted(trust),
            held=kinds,
        )
        verdict = self._asked(examine(symbol.raw, context), context)
        token = self._token(verdict, moment)
        return _Found(verdict, moment, trust, token, before, self._combination.take(verdict, token))

    def _asked(self, verdict: Verdict, context: Context) -> Verdict:
        """Return the verdict after asking an operator, where the policy names one for this live code."""
        trust = context.trust
        if self._relay is None or trust is None or verdict.reason is not Reason.CREDENTIAL_SERVER_TOKEN:
            return verdict
        wanted = ask(verdict.presentation, trust, context.moment, token_bytes(NONCE_BYTES))
        if wanted is None:
            return verdict
        try:
            return answered(wanted, self._relay(wanted), context)
        except TransportError:
            return failed(wanted, trust, Reason.RELAY_FAILED)

    def _token(self, verdict: Verdict, moment: Moment) -> bytes | None:
        presented = verdict.presentation
        if presented is None or not verdict.is_authentic:
            return None
        return self._memory.token(presented.identity, moment)

    def _now(self) -> tuple[TrustSnapshot | None, Moment]:
        """Return the trust in force now: a policy may follow another by itself."""
        trust = self._trusted.snapshot
        moment = self._clock.moment(trust)
        return (None if trust is None else trust.at(moment)), moment

    def _answer(self, answers: Sequence[tuple[Symbol, "_Found"]], *, together: int) -> None:
        """Record what was decided about the codes of one frame with one sync, then publish each."""
        beside = [found.held for _, found in answers if found.held is not None]
        for _, found in answers:
            if not completes(found.verdict, found.before, beside):
                found.verdict = unrecorded(found.verdict)
        try:
            numbers = self._record(answers)
            if any(numbers) and not self.is_recording:
                self._resume()
        except LedgerError:
            # Verification goes on being shown, admission stops (law 3).
            self.is_recording = False
            numbers = [0] * len(answers)
            for _, found in answers:
                found.verdict = unrecorded(found.verdict)
        for (symbol, found), seq in zip(answers, numbers, strict=True):
            verdict, moment = found.verdict, found.moment
            self.tails.note(seq, verdict)
            self.tally.add_verdict(verdict.outcome.name.lower(), str(verdict.reason))
            taken_ms = (time.monotonic_ns() - symbol.taken_ns) / 1e6 if symbol.taken_ns else None
            shown = Shown(seq, self.is_recording, moment.unix_ms, taken_ms, symbol.source, together)
            self._publish(verdict_event(verdict, shown, found.trust))

    def _record(self, answers: Sequence[tuple[Symbol, "_Found"]]) -> list[int]:
        """Return the number of each entry; 0 is only counted: no entry yet that a note could be about."""
        rows = [self._row(found, symbol) for symbol, found in answers]
        written = iter(self._append([row for row in rows if row.count]))
        numbers = [next(written) if row.count else 0 for row in rows]
        for (_, found), seq in zip(answers, numbers, strict=True):
            self._admit(found, seq)
        return numbers

    def _row(self, found: "_Found", symbol: Symbol) -> "_Row":
        facts = facts_of(found.verdict, symbol, found.moment)
        if found.verdict.is_authentic:
            return _Row(facts, found.token)
        return _counted(facts, self._flood.offer(Reason(facts.reason), time.monotonic()))

    def _append(self, rows: Sequence["_Row"]) -> list[int]:
        """Make the rows durable, all or none, with one sync, and return their numbers."""
        # A single row is its own transaction, which is faster.
        several = self._log.together() if len(rows) > 1 else nullcontext()
        try:
            with several:
                return [self._log.append(row.facts, token=row.token).seq for row in rows]
        except LogUnwritable:
            for row in rows:
                if row.is_counted:
                    self._flood.put_back(Reason(row.facts.reason), row.count)
            raise

    def _admit(self, found: "_Found", seq: int) -> None:
        """Remember what was admitted, once that is on the disk."""
        if not found.verdict.is_authentic:
            return
        if found.held is not None:
            found.held.is_recorded = True
        if found.verdict.outcome is not Outcome.ACCEPT:
            return
        tokens = (*(held.token for held in found.before), found.token)
        admitted = tuple(token for token in tokens if token is not None)
        for token in admitted:
            self._memory.admit(token, found.moment)
        if admitted:
            self._admissions.add(seq, admitted, found.moment)

    def rest(self) -> None:
        """Do what waits while nobody stands there: counted codes and the write-ahead log."""
        waiting = self._flood.flush(time.monotonic())
        try:
            if waiting is not None:
                self._append([self._waiting(*waiting)])
            if not self.is_recording:
                self._resume()
            self._log.checkpoint()
        except LedgerError:
            self.is_recording = False

    def _resume(self) -> None:
        try:
            # The outage itself is worth an entry, and writing it is the only proof that writing works again.
            self.staff(Facts(EntryType.NOTE, 0, note=RESUMED))
        except LogUnwritable:
            if time.monotonic() < self._reopen_at:
                raise
            self._reopen_at = time.monotonic() + REOPEN_S
            # A disk that was checked and mounted again is there by its path only; the next rest proves it.
            self._log.reopen()
        else:
            self.is_recording = True

    def end(self) -> None:
        """Write down what is counted, before the gate stops.

        Raises:
            LogUnwritable: It could not be made durable.
        """
        self._append([self._waiting(reason, count) for reason, count in self._flood.drain()])

    def _waiting(self, reason: Reason, count: int) -> "_Row":
        trust, moment = self._now()
        return _counted(facts_of(unverified(reason, trust), Symbol(b""), moment), count)

    def staff(self, facts: Facts) -> int:
        """Record what staff did, or what the gate itself notes, and return the entry's number.

        Raises:
            LogUnwritable: It could not be made durable.
        """
        trust, moment = self._now()
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

    def register(self) -> None:
        """Answer a person without any code: registered by hand, a referral of its own, recorded before it is shown."""
        trust, moment = self._now()
        found = _Found(unverified(Reason.MANUAL_REGISTRATION, trust), moment, trust)
        self._answer([(Symbol(b"", engine="typed"), found)], together=1)

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
            for token in admission.tokens:
                self._memory.forget(token, admission.at_ms)
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


def _hinders(verdict: Verdict) -> bool:
    """Whether nobody is admitted beside it; a pass that waits for another may be held up with it."""
    return verdict.outcome is not Outcome.ACCEPT and verdict.reason is not Reason.CONDITION_PENDING


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
        region=region_of(authentic) // COUNTIES * COUNTIES if authentic is not None else 0,
        trust_version=verdict.trust_version,
        policy_version=verdict.policy_version,
        duration_ms=min(duration_ms, 600_000),
        source=symbol.source,
    )
