"""What a gate records in a day, drawn from a seed: a busy one at a station and a quiet one at an office door.

Nothing of it is constant: gaps are exponential, the issuers and regions of passes, their kinds and statuses, the
reasons of what was not accepted, the time a check took and the staff's own entries vary as drawn. The shares are
assumptions, stated here and in the report that uses them.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from edge.ledger import chain, facts
from edge.model.credential import PassKind
from edge.model.moment import ClockQuality
from edge.model.scan import NOT_SHOWN, Entry, EntryType, Facts
from edge.model.verdict import Outcome, Reason

START_MS: Final = 1_795_000_000_000
_TRUST_EVERY_MS: Final = 1_800_000
_ACCEPT, _REFER, _REJECT = Outcome.ACCEPT, Outcome.REFER, Outcome.REJECT


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate's traffic.

    Attributes:
        gap_s: Mean time between two people, seconds; the gaps are exponential.
        region: Where it stands: most passes are of this city.
        local: Share of passes issued at home.
        median_ms: Median time of a check; the times are log-normal.
        sources: How many cameras it has.
    """

    gap_s: float
    region: int
    local: float
    median_ms: float
    sources: int


BUSY: Final = Gate(gap_s=4.0, region=440100, local=0.72, median_ms=31.0, sources=2)
"""A station entrance: 900 people an hour, a quarter of them from elsewhere."""
QUIET: Final = Gate(gap_s=75.0, region=610100, local=0.93, median_ms=38.0, sources=1)
"""An office door: 50 people an hour, nearly all from here."""

_ELSEWHERE: Final = (("44", 440000), ("11", 110000), ("50", 500000), ("6101", 610100), ("nhc", 0))
_NOT_OK: Final[Sequence[tuple[float, Outcome, Reason]]] = (
    (10, _REFER, Reason.REPEAT_RECENT),
    (8, _REJECT, Reason.TIME_EXPIRED),
    (6, _REFER, Reason.HEALTH_YELLOW),
    (3, _REFER, Reason.HEALTH_POPUP),
    (2, _REJECT, Reason.HEALTH_RED),
    (2, _REJECT, Reason.STATUS_REVOKED),
    (2, _REFER, Reason.HEALTH_UNKNOWN),
    (1, _REFER, Reason.TRAVEL_LISTED_AREA),
    (1, _REJECT, Reason.SIGNATURE_INVALID),
    (1, _REFER, Reason.KEY_UNKNOWN),
)
_STATUS: Final = {
    Reason.HEALTH_YELLOW: (1,),
    Reason.HEALTH_RED: (10,),
    Reason.HEALTH_POPUP: (20, 21, 22),
    Reason.HEALTH_UNKNOWN: (30, 31, 40),
}
_UNVERIFIED: Final = frozenset((Reason.SIGNATURE_INVALID, Reason.KEY_UNKNOWN))
_STRANGERS: Final = (Reason.CREDENTIAL_FOREIGN, Reason.CREDENTIAL_MALFORMED, Reason.CREDENTIAL_SERVER_TOKEN)


def stated(gate: Gate, count: int, seed: int = 1) -> Iterator[Facts]:
    """Give the facts of `count` consecutive entries."""
    drawn = random.Random(seed)
    at_ms = START_MS + drawn.randrange(86_400_000)
    for seq in range(1, count + 1):
        at_ms += round(drawn.expovariate(1 / gate.gap_s) * 1000)
        yield _one(drawn, gate, seq, at_ms)


def entries(
    gate: Gate, count: int, *, seed: int = 1, sealed: int = 0, first: int = 1, previous: bytes = chain.GENESIS
) -> list[Entry]:
    """Return `count` chained entries; those of a checked pass have a token, refusals of staff a sealed field.

    Args:
        gate: Whose traffic.
        count: How many.
        seed: What is drawn from.
        sealed: Length of the sealed field of every entry that staff overrode or a pass was refused in, 0 for none.
        first: Sequence number of the first.
        previous: The head before it.
    """
    drawn = random.Random(~seed)
    head = previous
    found = []
    for seq, fact in enumerate(stated(gate, count, seed), first):
        body = facts.encode(fact)
        head = chain.next_head(head, body)
        token = drawn.randbytes(8) if fact.issuer else None
        closed = drawn.randbytes(sealed) if sealed and fact.type is EntryType.OVERRIDE else None
        found.append(Entry(seq, body, head, token, closed))
    return found


def _one(drawn: random.Random, gate: Gate, seq: int, at_ms: int) -> Facts:
    versions = {"trust_version": 9000 + at_ms % 2_000_000_000_000 // _TRUST_EVERY_MS % 5000, "policy_version": 12}
    quality = int(ClockQuality.RTC if drawn.random() < 0.01 else ClockQuality.SYNCED)
    chance = drawn.random()
    if chance < 0.01 and seq > 1:
        staff = drawn.choice((EntryType.OVERRIDE, EntryType.NOT_HOLDER, EntryType.UNDO))
        reason = {EntryType.OVERRIDE: Reason.STAFF_OVERRIDE, EntryType.NOT_HOLDER: Reason.STAFF_NOT_HOLDER}
        about = str(reason.get(staff, Reason.STAFF_UNDO))
        return Facts(staff, at_ms, quality=quality, reason=about, refers_to=seq - 1, **versions)
    if chance < 0.013 and seq > 1:
        return Facts(EntryType.NOTE, at_ms, quality=quality, refers_to=seq - 1, note=NOT_SHOWN, **versions)
    took = max(9, round(gate.median_ms * drawn.lognormvariate(0, 0.35)))
    common = {"quality": quality, "duration_ms": took, "source": drawn.randrange(gate.sources), **versions}
    if chance < 0.05:
        strange = drawn.choice(_STRANGERS)
        return Facts(
            EntryType.UNKNOWN_CODES,
            at_ms,
            outcome=int(_REJECT),
            reason=str(strange),
            format="server-token" if strange is Reason.CREDENTIAL_SERVER_TOKEN else "",
            count=1 + int(drawn.expovariate(0.8)),
            **common,
        )
    return _pass(drawn, gate, at_ms, common)


def _pass(drawn: random.Random, gate: Gate, at_ms: int, common: dict[str, int]) -> Facts:
    outcome, reason = _ACCEPT, Reason.OK
    if drawn.random() < 0.07:
        _, outcome, reason = drawn.choices(_NOT_OK, [share for share, _, _ in _NOT_OK])[0]
    if reason in _UNVERIFIED:
        return Facts(EntryType.SCAN, at_ms, outcome=int(outcome), reason=str(reason), format="hp1", **common)
    issuer, region = _origin(drawn, gate)
    kind = drawn.choices((PassKind.PERSON, PassKind.TRAVEL, PassKind.VISITOR), (90, 7, 3))[0]
    return Facts(
        EntryType.SCAN,
        at_ms,
        outcome=int(outcome),
        reason=str(reason),
        format="hp1",
        issuer="trip" if kind is PassKind.TRAVEL else issuer,
        kind=int(kind),
        status=None if kind is PassKind.TRAVEL else drawn.choice(_STATUS.get(reason, (0,))),
        region=0 if kind is PassKind.TRAVEL else region,
        **common,
    )


def _origin(drawn: random.Random, gate: Gate) -> tuple[str, int]:
    """Return issuer and county of a pass: the city's own counties by rank, else any county of another place."""
    if drawn.random() < gate.local:
        home = next(issuer for issuer, region in _ELSEWHERE if str(gate.region).startswith(issuer))
        return home, gate.region + min(12, 3 + int(drawn.expovariate(0.4)))
    issuer, region = drawn.choice(_ELSEWHERE)
    if not region:
        return issuer, 0
    return issuer, region + drawn.randrange(1, 18) * (1 if region % 10_000 else 100) + drawn.randrange(1, 9)
