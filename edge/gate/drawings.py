"""Live presentations that go on: a phone draws its code anew every few seconds, and stays one person with one pass.

The steady rule of the scanner knows codes by their bytes, so each drawing is new to it. Here they are known by the
pass inside. Nothing but digests is kept.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from edge.gate.company import HELD_NS
from edge.model.credential import Credential
from edge.model.symbol import Symbol
from edge.model.verdict import Reason, Verdict

_MOST: Final = 64


class Drawings:
    """Which passes were shown live and answered, and when each was last in view."""

    def __init__(self) -> None:
        self._answered: OrderedDict[bytes, tuple[Verdict, int]] = OrderedDict()
        self._drawings: OrderedDict[bytes, bytes] = OrderedDict()

    def look(self, in_view: Sequence[Symbol]) -> None:
        """Take note of what stands before the camera."""
        now = time.monotonic_ns()
        for symbol in in_view:
            key = self._drawings.get(_digest(symbol.raw))
            if key is not None and key in self._answered:
                self._answered[key] = (self._answered[key][0], now)
        for key in [key for key, (_, seen) in self._answered.items() if now - seen > HELD_NS]:
            del self._answered[key]

    def before(self, verdict: Verdict) -> Verdict | None:
        """Return what the same presentation was answered while it has stayed in view, or None where this is news.

        An accept that was never recorded, or was taken back, would pass again: that is news. So is any other reason.
        """
        key = _key(verdict)
        if key is None or key not in self._answered:
            return None
        answered, _ = self._answered[key]
        is_admitted = answered.reason is Reason.OK and verdict.reason is Reason.REPEAT_RECENT
        is_same = answered.reason is verdict.reason and verdict.reason is not Reason.OK
        return answered if is_admitted or is_same else None

    def note(self, symbol: Symbol, verdict: Verdict) -> None:
        """Take note of a drawing and what it was answered; of one that goes on, that it is another of the same."""
        key = _key(verdict)
        if key is None:
            return
        self._drawings[_digest(symbol.raw)] = key
        answered = verdict if self.before(verdict) is None else self._answered[key][0]
        self._answered[key] = (answered, time.monotonic_ns())
        for kept in (self._answered, self._drawings):
            while len(kept) > _MOST:
                kept.popitem(last=False)


def _key(verdict: Verdict) -> bytes | None:
    shown = verdict.presentation
    is_live = isinstance(shown, Credential) and shown.proof is not None and verdict.is_authentic
    return _digest(shown.identity) if is_live and shown is not None else None


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()
