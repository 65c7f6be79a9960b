"""Verdicts for a person at a terminal: the gate's own `examine` over codes, pictures and files, recording nothing."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Self

from edge.errors import ConfigError, LedgerError, SourceError, TrustMissing
from edge.gate import code_keys
from edge.gate.clock import now_ms
from edge.gate.formats import load_formats
from edge.gate.sm2 import verifiers
from edge.ledger import slip
from edge.model.credential import ServerToken
from edge.model.moment import ClockQuality, Moment
from edge.model.trust import Policy, TrustSnapshot
from edge.model.verdict import Outcome, Reason, Verdict
from edge.policy import compare
from edge.policy.decide import Place, unverified
from edge.policy.examine import Context, NobodySeen, examine
from edge.policy.steps import State, explain, step_of
from edge.scanner.still import StillReader
from edge.trust import coherence
from edge.trust.opening import open_trust
from edge.verify.verify import region_of, status_of

MAX_FILE: Final = 64 * 1024 * 1024
_REGION_DIGITS: Final = 6
_MAX_LINE: Final = 64 * 1024
_FILE_NAME: Final = re.compile(r"(?!.*://)[^\s?&=]{1,255}\.(?:png|jpe?g|gif|bmp|tiff?|webp|txt|svg|pdf)", re.IGNORECASE)
"""What nobody would put in a code and everybody means as a file."""
_MAX_NAME: Final = 4096
"""Longest path the system takes; what is longer is a code."""
_PICTURES: Final = (
    b"\x89PNG\r\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"RIFF",
    b"P5",
    b"P6",
    b"\x00\x00\x00\x0cjP",
)
"""First bytes of the pictures the decoder reads; everything else is text."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read from one input.

    Attributes:
        codes: Its codes; several only for a picture of several.
        problem: Why nothing could be read, empty where something was.
    """

    codes: tuple[bytes, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verdicts under one trust and time.

    Attributes:
        context: What verdicts depend on.
        note: One sentence for the person, empty where there is nothing to say.
    """

    context: Context
    note: str = ""

    @classmethod
    def open(
        cls, trust: Path | None, *, at: str | None, region: str, default: Path, keys: Path | None = None
    ) -> "Verifier":
        """Load trust and time.

        Args:
            trust: Folder as given, or None to look at `default`.
            at: Time as given, or None for now.
            region: GB/T 2260 code of the place.
            default: Where a gate keeps its trust; may be missing.
            keys: File of the keys that open encrypted codes, or None.

        Raises:
            EdgeError: The given folder holds no trust, the time or the place is none, or the file no keys.
        """
        if not (len(region) == _REGION_DIGITS and region.isascii() and region.isdigit()):
            raise ConfigError(f"{region!r} is no place.", "Give a GB/T 2260 code of six digits, such as 610100.")
        unix_s = now_ms() // 1000 if at is None else parse_time(at)
        moment = Moment(unix_s * 1000, ClockQuality.SYNCED)
        snapshot: TrustSnapshot | None = None
        note = ""
        if trust is not None or default.exists():
            snapshot = open_trust(trust or default, unix_s)
        else:
            note = f"there is no trust data in {default}: nothing can be accepted. Name a folder with --trust DIR."
        formats = load_formats(code_keys.load(keys) if keys is not None else ())
        return cls(Context(formats, snapshot, moment, Place(region), NobodySeen(), verifiers()), note)

    def under(self, policy: Policy) -> "Verifier":
        """Return a verifier that decides by another policy over the same trust.

        Raises:
            TrustError: There is no trust, or the policy does not agree with it.
        """
        if self.context.trust is None:
            raise TrustMissing("There is no trust data to try a policy with.", "Name a folder with --trust DIR.")
        trust = compare.under(self.context.trust, policy)
        coherence.check(trust)
        return replace(self, context=replace(self.context, trust=trust))

    def row(self, name: str, read: Read) -> dict[str, Any]:
        """Return the verdict on one input as a row; of several codes in a picture the least favourable.

        A slip of a gate is told as what it states: `genuine`, or `unproven` where no hub of the trust vouches for it.
        """
        if len(read.codes) == 1 and slip.claims(read.codes[0]):
            return {"input": name, **_slip_row(read.codes[0], self.context.trust), "codes": 1, "problem": read.problem}
        verdicts = [examine(code, self.context) for code in read.codes]
        if not verdicts:
            verdicts = [unverified(Reason.CREDENTIAL_UNREADABLE, self.context.trust)]
        worst = max(verdicts, key=lambda verdict: verdict.outcome)
        return {"input": name, **_row(worst), "codes": len(read.codes), "problem": read.problem}

    def explained(self, name: str, read: Read) -> dict[str, Any]:
        """Return the same row, with the steps that led to it and the one that decided."""
        if not read.codes:
            return {**self.row(name, read), "decided_by": step_of(Reason.CREDENTIAL_UNREADABLE), "steps": []}
        found = [explain(code, self.context) for code in read.codes]
        worst, steps = max(found, key=lambda one: one[0].outcome)
        told = {step.name: {"state": str(step.state), **step.found} for step in steps}
        decided = next(step.name for step in steps if step.state is State.DECIDED)
        row = {"input": name, **_row(worst), "codes": len(read.codes), "problem": read.problem}
        return {**row, "decided_by": decided, "steps": [{"step": step, **told[step]} for step in told]}


def _row(verdict: Verdict) -> dict[str, Any]:
    presented = verdict.presentation
    row: dict[str, Any] = {
        "format": presented.format if presented is not None else "",
        "outcome": verdict.outcome.name.lower(),
        "reason": str(verdict.reason),
        "issuer": presented.issuer if presented is not None else "",
        "region": "",
        "kind": "",
        "status": None,
        "health": verdict.health,
        "authentic": verdict.is_authentic,
        "issued_at": None,
        "expires_at": None,
        "policy_version": verdict.policy_version,
        "trust_version": verdict.trust_version,
        "details": dict(verdict.details),
        "warnings": [str(warning) for warning in verdict.warnings],
        "ground": None
        if verdict.ground is None
        else {"class": verdict.ground.class_, "basis": dict(verdict.ground.basis)},
        "rule_says": dict(verdict.rule_says) if verdict.rule_says is not None else None,
        "match": list(verdict.match),
    }
    if presented is not None and not isinstance(presented, ServerToken):
        region = region_of(presented)
        row |= {
            "region": f"{region:06d}" if region else "",
            "kind": presented.kind.name.lower(),
            "status": status_of(presented),
            "issued_at": presented.issued_at,
            "expires_at": presented.expires_at,
        }
    return row


def _slip_row(code: bytes, trust: TrustSnapshot | None) -> dict[str, Any]:
    try:
        found, vouched = slip.open_slip(code, trust.hub_keys if trust is not None else {})
    except LedgerError:
        return {**_row(unverified(Reason.CREDENTIAL_MALFORMED, trust)), "format": "slip"}
    row = _row(unverified(Reason.CREDENTIAL_FOREIGN, trust))
    return row | {
        "format": "slip",
        "outcome": "genuine" if vouched is not None else "unproven",
        "reason": found.reason,
        "region": f"{found.region:06d}" if found.region else "",
        "authentic": vouched is not None,
        "policy_version": found.policy_version,
        "trust_version": found.trust_version,
        "slip": {
            "gate": found.gate.hex(),
            "seq": found.seq,
            "outcome": Outcome(found.outcome).name.lower(),
            "at": datetime.fromtimestamp(found.at_ms / 1000, UTC).isoformat(timespec="seconds"),
            "clock": ClockQuality(found.quality).name.lower(),
            "site": found.site,
            "lane": found.lane,
            "hub": vouched.key_id if vouched is not None else "",
        },
    }


def read_inputs(inputs: Iterable[str], standard_input: IO[bytes]) -> Iterator[tuple[str, Read]]:
    """Yield (name, what was read) for each input: file name, or ordinal for codes; never the code itself.

    Args:
        inputs: Paths, `-`, or codes.
        standard_input: Read where an input is `-`.
    """
    ordinal = 0
    with _Pictures() as pictures:
        for given in inputs:
            path = _existing(given)
            if path is not None:
                yield from _file(path, pictures)
                continue
            if _FILE_NAME.fullmatch(given):
                yield Path(given).name, Read((), "There is no such file.")
                continue
            codes = _lines(standard_input) if given == "-" else iter([os.fsencode(given)])
            for code in codes:
                ordinal += 1
                yield str(ordinal), Read((code,))


class _Pictures:
    """A still reader that is started with the first picture."""

    def __init__(self) -> None:
        self._reader: StillReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._reader is not None:
            self._reader.__exit__(*exc)

    def read(self, data: bytes) -> Read:
        if self._reader is None:
            self._reader = StillReader()
            self._reader.__enter__()
        try:
            codes = tuple(symbol.raw for symbol in self._reader.read(data))
        except SourceError as error:
            return Read((), error.message)
        return Read(codes, "" if codes else "No QR code was found in the picture.")


def _existing(given: str) -> Path | None:
    if given in {"", "-"} or len(os.fsencode(given)) >= _MAX_NAME or "\0" in given:
        return None
    try:
        path = Path(given)
        return path if path.exists() else None
    except OSError:
        # A name component longer than the file system takes: a code.
        return None


def _file(path: Path, pictures: _Pictures) -> Iterator[tuple[str, Read]]:
    try:
        if path.is_dir():
            yield path.name, Read((), "This is a folder; name the files in it.")
            return
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        yield path.name, Read((), f"The file cannot be read: {error.strerror}.")
        return
    if len(data) > MAX_FILE:
        yield path.name, Read((), "The file is larger than 64 MiB.")
    elif data.startswith(_PICTURES):
        yield path.name, pictures.read(data)
    else:
        yield from _text(path.name, data)


def _text(name: str, data: bytes) -> Iterator[tuple[str, Read]]:
    codes = [line.rstrip(b"\r") for line in data.split(b"\n") if line.strip()]
    if not codes:
        yield name, Read((), "The file is empty.")
    for number, code in enumerate(codes, 1):
        yield name if len(codes) == 1 else f"{name}:{number}", Read((code,))


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    # Bounded: a line longer than any code is cut, refused as too large, and its rest skipped.
    while line := stream.readline(_MAX_LINE):
        cut = line
        while not cut.endswith(b"\n") and len(cut) == _MAX_LINE:
            cut = stream.readline(_MAX_LINE)
        line = line.rstrip(b"\r\n")
        if line:
            yield line


def parse_time(text: str) -> int:
    """Return Unix seconds of an ISO 8601 time (UTC where it names no zone) or of a number of seconds.

    Raises:
        ConfigError: It is neither.
    """
    if re.fullmatch(r"[0-9]{1,12}", text):
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no time.", "Write 2026-11-23T08:00:00Z or Unix seconds.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp())
