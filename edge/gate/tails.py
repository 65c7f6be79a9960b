"""Endings of document numbers that staff type, compared with the passes accepted lately; bounded tries a pass.

Only where the rules ask staff to compare the holder. What a pass says is held in memory for as long as a person stands
there; the ending that was typed is looked at and kept nowhere. Recording the answer is left to `edge.gate.staff`.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from edge.credentials.tail import is_tail_of
from edge.model.credential import Credential, PersonClaims, TravelClaims
from edge.model.verdict import Verdict

WITHIN_S: Final = 60.0
"""An accept can be compared this long."""
TRIES: Final = 3
"""So many endings are looked at of one pass: a tag of three bytes falls to eleven thousand."""
TRIES_S: Final = 600.0
"""Within this time, however often it is shown."""
_MOST: Final = 256


class Compared(Enum):
    """What a comparison gives."""

    MATCHED = "matched"
    DIFFERS = "differs"
    UNKNOWN = "unknown"
    """There is no such accept any more, or its rules ask for no comparison."""
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class _Kept:
    claims: PersonClaims | TravelClaims
    identity: bytes
    since_s: float


def comparable(verdict: Verdict) -> PersonClaims | TravelClaims | None:
    """Return the claims with which staff may compare an ending, None where the rules do not ask or there is none."""
    presented = verdict.presentation
    if not verdict.match or not isinstance(presented, Credential):
        return None
    return presented.claims if isinstance(presented.claims, PersonClaims | TravelClaims) else None


def _bare(claims: PersonClaims | TravelClaims) -> PersonClaims | TravelClaims:
    """Return claims without what a comparison needs not: a card that was cleared leaves no name behind."""
    return replace(claims, surname="", name=None, birth_year=None) if isinstance(claims, PersonClaims) else claims


class Tails:
    """What the latest accepts say of their holders' documents.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_seq: OrderedDict[int, _Kept] = OrderedDict()
        self._tries: OrderedDict[bytes, list[float]] = OrderedDict()

    def note(self, seq: int, verdict: Verdict) -> None:
        """Take up a verdict whose entry is durable."""
        self._forget()
        claims, presented = comparable(verdict), verdict.presentation
        if seq and claims is not None and isinstance(presented, Credential):
            self._by_seq[seq] = _Kept(_bare(claims), presented.identity, self._clock())

    def compare(self, seq: int, tail: str) -> Compared:
        """Compare an ending with the pass of an entry; each call is one try of that pass.

        Args:
            seq: Number of the accept's entry.
            tail: As `edge.credentials.tail.tail_of` gives it.
        """
        self._forget()
        kept = self._by_seq.get(seq)
        if kept is None:
            return Compared.UNKNOWN
        now = self._clock()
        tries = [at for at in self._tries.pop(kept.identity, []) if now - at < TRIES_S]
        self._tries[kept.identity] = tries
        while len(self._tries) > _MOST:
            self._tries.popitem(last=False)
        if len(tries) >= TRIES:
            return Compared.TOO_MANY
        tries.append(now)
        return Compared.MATCHED if is_tail_of(kept.claims, tail) else Compared.DIFFERS

    def _forget(self) -> None:
        now = self._clock()
        for seq, kept in list(self._by_seq.items()):
            if now - kept.since_s < WITHIN_S and len(self._by_seq) <= _MOST:
                return
            del self._by_seq[seq]
