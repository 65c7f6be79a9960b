"""Verdicts and state as the JSON objects of the gate's socket (docs/architecture.md, "The socket of a gate").

Holder data leaves the scanner part only here, only where the signature verified, and only to this socket.
"""

from dataclasses import asdict, dataclass
from typing import Any

from edge.gate.tails import comparable
from edge.model.credential import ForeignCredential, PersonClaims, ServerToken, SignedCredential
from edge.model.finding import Finding
from edge.model.moment import ClockQuality, Moment
from edge.model.settings import PlaceSettings
from edge.model.trust import Band, TrustSnapshot
from edge.model.verdict import Outcome, Verdict
from edge.verify.verify import region_of, status_of


@dataclass(frozen=True, slots=True)
class Shown:
    """How one verdict came about, beside the verdict itself.

    Attributes:
        seq: Its entry's sequence number; 0 where it is only counted or could not be recorded.
        recorded: Whether it is durable or counted towards an entry that is.
        at_ms: Time of the decision, Unix milliseconds.
        frame_to_verdict_ms: Frame taken to verdict recorded, milliseconds; None without a frame.
        source: Which source.
        together: Symbols answered in the same frame.
    """

    seq: int
    recorded: bool
    at_ms: int
    frame_to_verdict_ms: float | None
    source: int
    together: int


def verdict_event(verdict: Verdict, shown: Shown, trust: TrustSnapshot | None) -> dict[str, Any]:
    """Return the event of one verdict."""
    presented = verdict.presentation
    event: dict[str, Any] = {
        "type": "verdict",
        **asdict(shown),
        "outcome": verdict.outcome.name.lower(),
        "reason": str(verdict.reason),
        "format": presented.format if presented is not None else "",
        "issuer": "",
        "issuer_names": {},
        "kind": "",
        "health": verdict.health,
        "status": None,
        "status_names": {},
        "region": 0,
        "region_names": {},
        "issued_at": None,
        "expires_at": None,
        "holder": None,
        "details": dict(verdict.details),
        "warnings": [str(warning) for warning in verdict.warnings],
        "ground": None
        if verdict.ground is None
        else {"class": verdict.ground.class_, "basis": dict(verdict.ground.basis)},
        "rule_says": dict(verdict.rule_says) if verdict.rule_says is not None else None,
        "match": list(verdict.match),
        "has_tail": comparable(verdict) is not None,
        "policy_version": verdict.policy_version,
        "count": 1,
    }
    if isinstance(presented, ServerToken):
        event["issuer"] = presented.issuer
        event["issuer_names"] = dict(verdict.issuer.names) if verdict.issuer is not None else {}
    elif presented is not None and verdict.is_authentic:
        event |= _signed_part(verdict, presented, trust)
    return event


def _signed_part(verdict: Verdict, presented: SignedCredential, trust: TrustSnapshot | None) -> dict[str, Any]:
    region, status = region_of(presented), status_of(presented)
    statuses = trust.registries.statuses if trust is not None else {}
    return {
        "issuer": verdict.issuer.id if verdict.issuer is not None else "",
        "issuer_names": dict(verdict.issuer.names) if verdict.issuer is not None else {},
        "kind": presented.kind.name.lower(),
        "status": status,
        "status_names": {} if status is None else dict(statuses.get((presented.issuer, status), {})),
        "region": region,
        "region_names": dict(trust.region_name(region)) if trust is not None and region else {},
        "issued_at": presented.issued_at,
        "expires_at": presented.expires_at,
        "holder": None if verdict.outcome is Outcome.REJECT else _holder(presented),
    }


def _holder(presented: SignedCredential) -> dict[str, str | int | None] | None:
    if isinstance(presented, ForeignCredential):
        return None if presented.holder is None else {**asdict(presented.holder), "id_tail": None}
    claims = presented.claims
    if not isinstance(claims, PersonClaims):
        return None
    return {
        "surname": claims.surname,
        "name": claims.name,
        "birth_year": claims.birth_year,
        "id_tail": claims.id_tail,
    }


@dataclass(frozen=True, slots=True)
class Standing:
    """What the state event says beside trust.

    Attributes:
        gate: Gate id (hex).
        place: Where the gate stands.
        counts: Verdicts of this shift by outcome.
        findings: Current conditions.
        admitting: Whether anybody can be admitted now.
        frame_age_ms: Age of the newest frame, or None.
        last_seq: Sequence number of the last entry.
        asks: Digits that a live pass must answer here, empty where none are asked.
    """

    gate: str
    place: PlaceSettings
    counts: dict[str, int]
    findings: list[Finding]
    admitting: bool
    frame_age_ms: float | None
    last_seq: int
    asks: str = ""


def state_event(standing: Standing, trust: TrustSnapshot | None, moment: Moment) -> dict[str, Any]:
    """Return the event of the gate's state."""
    return {
        "type": "state",
        "at_ms": moment.unix_ms,
        "gate": standing.gate,
        "place": asdict(standing.place),
        "clock": moment.quality.name.lower(),
        "trust": _trust(trust, moment),
        "counts": standing.counts,
        "findings": [asdict(finding) for finding in standing.findings],
        "admitting": standing.admitting,
        "frame_age_ms": standing.frame_age_ms,
        "last_seq": standing.last_seq,
        "asks": standing.asks,
    }


def _trust(trust: TrustSnapshot | None, moment: Moment) -> dict[str, Any]:
    if trust is None:
        return {"band": str(Band.MISSING), "age_s": None, "version": 0, "policy_version": 0, "policy_ended": False}
    return {
        "band": str(trust.band(moment.unix_s)),
        "age_s": int(trust.age_s(moment.unix_s)),
        "version": trust.versions.timestamp,
        "policy_version": trust.policy.version,
        "stale_after_s": trust.policy.stale_after_s,
        "too_old_after_s": trust.policy.too_old_after_s,
        # A clock in doubt ends no policy.
        "policy_ended": moment.quality is not ClockQuality.DOUBTFUL and moment.unix_s >= trust.ends_at,
    }
