"""Codes out of the characters that a hand scanner sends: where one ends, and which are not to be believed.

Pure: bytes and moments in, frames out. Whatever comes, memory and the number of codes are bounded, and what was cut,
mixed up or came too fast is dropped and said, never handed on in part. Reading the device is left to its own file.
"""

from collections import Counter, deque
from dataclasses import dataclass

from edge.model.finding import Finding
from edge.model.symbol import Symbol
from edge.scanner.handover import MAX_RAW
from edge.scanner.sources.base import Frame

BURST = 5
"""Codes at once before the rate counts: a scanner with a memory empties it when it comes back."""

_MS = 1_000_000
_EVERY_NS = 250 * _MS
"""Four codes a second for ever: no hand presents more."""

_STX = b"\x02"

# ISO/IEC 646: separators that GS1 and others put between fields.
_SEPARATORS = "\x1c\x1d\x1e\x1f\t"


@dataclass(frozen=True, slots=True)
class Rules:
    """How codes are told apart.

    Attributes:
        engine: Kind of the source, for `Symbol.engine`.
        ends: Bytes any of which ends a code; empty bytes where none does.
        pause_ns: A pause this long within a code is no scanner's; 0 where pauses mean nothing.
        ends_at_pause: A pause ends a code. Otherwise it drops what came before it.
        is_text: Codes are printable UTF-8; others are a wrong baud rate or a wrong set-up.
        is_paced: Codes come from a hand: more than any hand presents are dropped.
    """

    engine: str
    ends: bytes
    pause_ns: int = 0
    ends_at_pause: bool = False
    is_text: bool = True
    is_paced: bool = True


class Codes:
    """Puts codes together and makes frames of them.

    Args:
        rules: How codes are told apart.
        source: Number of the source.
    """

    def __init__(self, rules: Rules, source: int) -> None:
        self._rules = rules
        self._source = source
        self._open = bytearray()
        self._is_spoilt = False
        self._heard_ns = 0
        self._whole: deque[tuple[bytes, int]] = deque()
        self._dropped: Counter[str] = Counter()
        self._unsaid: set[str] = set()
        self._credit_ns = BURST * _EVERY_NS
        self._credited_ns = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a whole code waits to be taken with `frame`."""
        return bool(self._whole)

    def feed(self, data: bytes, now_ns: int) -> None:
        """Take in what was sent at a moment of the monotonic clock."""
        self.rest(now_ns)
        self._heard_ns = now_ns
        ends = self._rules.ends
        start = 0
        for at, byte in enumerate(data):
            if byte in ends:
                self._add(data[start:at])
                self.end(now_ns)
                start = at + 1
        self._add(data[start:])

    def spoil(self, now_ns: int) -> None:
        """Take note that something of the code being sent is lost or not understood: it is dropped whole."""
        self.rest(now_ns)
        self._heard_ns = now_ns
        self._is_spoilt = True

    def rest(self, now_ns: int) -> None:
        """Take note that it is this late: a code in the middle of which nothing more comes is over."""
        is_pause = self._rules.pause_ns and now_ns - self._heard_ns >= self._rules.pause_ns
        if is_pause and (self._open or self._is_spoilt):
            self._is_spoilt = self._is_spoilt or not self._rules.ends_at_pause
            self.end(now_ns)

    def frame(self, now_ns: int) -> Frame:
        """Return the next whole code, or a heartbeat where there is none."""
        notes = self._notes()
        if not self._whole:
            return Frame(now_ns, self._source, symbols=(), notes=notes)
        raw, taken_ns = self._whole.popleft()
        symbol = Symbol(raw=raw, engine=self._rules.engine, source=self._source, taken_ns=taken_ns)
        return Frame(taken_ns, self._source, symbols=(symbol,), notes=notes)

    def _add(self, data: bytes) -> None:
        if len(self._open) + len(data) > MAX_RAW:
            self._is_spoilt = True
        if self._is_spoilt:
            self._open.clear()
        else:
            self._open += data

    def end(self, now_ns: int) -> None:
        """Take note that the code being sent ends here."""
        raw, is_spoilt = bytes(self._open), self._is_spoilt
        if self._rules.is_text:
            raw = raw.removeprefix(_STX)
        elif self._rules.ends == b"\n":
            raw = raw.removesuffix(b"\r")
        self._open.clear()
        self._is_spoilt = False
        if is_spoilt or (self._rules.is_text and not _is_text(raw)):
            self._drop("hand_scanner.dropped")
        elif raw:
            # An end alone is no code: CR LF is two of them.
            self._keep(raw, now_ns)

    def _keep(self, raw: bytes, now_ns: int) -> None:
        earned = max(0, now_ns - self._credited_ns)
        self._credited_ns = now_ns
        self._credit_ns = min(self._credit_ns + earned, BURST * _EVERY_NS)
        if self._rules.is_paced and self._credit_ns < _EVERY_NS:
            self._drop("hand_scanner.flood")
            return
        self._credit_ns -= _EVERY_NS
        self._whole.append((raw, now_ns))

    def _drop(self, why: str) -> None:
        self._dropped[why] += 1
        self._unsaid.add(why)

    def _notes(self) -> tuple[Finding, ...]:
        said = tuple(Finding(why, params={"count": self._dropped[why]}) for why in sorted(self._unsaid))
        self._unsaid.clear()
        return said


def _is_text(raw: bytes) -> bool:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char in _SEPARATORS for char in text)
