"""How a verdict came about, step by step, for people who ask: decode, parse, trust, key, signature, ..., rules.

Nothing is decided here: the verdict is `examine`'s, and the step that decided follows from its reason. What each step
had before it is looked up again with the functions that decided.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge.credentials.format import parse
from edge.errors import CredentialError
from edge.model.credential import (
    ForeignCredential,
    Presentation,
    ServerToken,
    SignedCredential,
    TravelClaims,
    VenueClaims,
)
from edge.model.trust import Anchor, IssuerKey, TrustSnapshot
from edge.model.verdict import Reason, Verdict, Verification
from edge.policy import health
from edge.policy.decide import matrix_row
from edge.policy.examine import Context, examine
from edge.verify.foreign import anchors_for
from edge.verify.verify import region_of, status_of, verify

Value = str | int | bool | None | list[int] | list[str]

NAMES: Final = ("decode", "parse", "trust", "key", "signature", "bounds", "time", "status", "matrix", "rules")
"""The steps in their order."""
_BY_REASON: Final = {
    Reason.CREDENTIAL_UNREADABLE: "decode",
    Reason.CREDENTIAL_SERVER_TOKEN: "key",
    Reason.KEY_KIND: "bounds",
    Reason.KEY_REGION: "bounds",
    Reason.KEY_VALIDITY: "bounds",
    Reason.KEY_NOT_CURRENT: "bounds",
    Reason.REGION_UNKNOWN: "bounds",
    Reason.VENUE_UNKNOWN: "bounds",
    Reason.TIME_TOO_OLD: "rules",
    Reason.STATUS_NOT_ADMITTED: "rules",
    Reason.POLICY_ENDED: "trust",
}
_BY_FAMILY: Final = {
    "credential": "parse",
    "trust": "trust",
    "issuer": "key",
    "manual": "key",
    "relay": "signature",
    "key": "key",
    "signature": "signature",
    "time": "time",
    "clock": "time",
    "status": "status",
    "matrix": "matrix",
    "health": "matrix",
}


class State(StrEnum):
    """How a step went."""

    OK = "ok"
    DECIDED = "decided"
    """The verdict's reason was found here."""
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: One of `NAMES`.
        state: How it went.
        found: What was before it, by a short name; nothing of it is personal.
    """

    name: str
    state: State
    found: dict[str, Value]


def step_of(reason: Reason) -> str:
    """Return the step that gives a reason; what no step before gives is a rule."""
    return _BY_REASON.get(reason) or _BY_FAMILY.get(reason.partition(".")[0], "rules")


def explain(raw: bytes, context: Context) -> tuple[Verdict, tuple[Step, ...]]:
    """Return the verdict on a code and the steps that led to it."""
    context = context.in_force()
    verdict = examine(raw, context)
    decided = "rules" if verdict.reason is Reason.OK else step_of(verdict.reason)
    found = _found(raw, context)
    if "rule" in verdict.details:
        found["rules"] = {**found["rules"], "rule": verdict.details["rule"]}
    steps = []
    for place, name in enumerate(NAMES):
        state = State.OK if place < NAMES.index(decided) else State.NOT_REACHED
        steps.append(Step(name, State.DECIDED if name == decided else state, found.get(name, {})))
    # What was not reached has not been found either.
    return verdict, tuple(
        step if step.state is not State.NOT_REACHED else Step(step.name, step.state, {}) for step in steps
    )


def _found(raw: bytes, context: Context) -> dict[str, dict[str, Value]]:
    found: dict[str, dict[str, Value]] = {"decode": {"bytes": len(raw)}}
    try:
        presented = parse(raw, context.formats)
    except CredentialError:
        return found
    found["parse"] = dict(_parsed(presented))
    trust = context.trust
    if trust is None:
        return found
    found["trust"] = {
        "trust_version": trust.versions.timestamp,
        "policy_version": trust.policy.version,
        "age_s": int(trust.age_s(context.moment.unix_s)),
        "band": str(trust.band(context.moment.unix_s)),
    }
    if not isinstance(presented, ServerToken):
        found |= _verified(verify(presented, trust, context.moment, verifiers=context.verifiers), trust, context)
    return found


def _parsed(presented: Presentation) -> Iterator[tuple[str, Value]]:
    yield "format", presented.format
    yield "issuer", presented.issuer
    if isinstance(presented, ServerToken):
        yield "family", presented.family
        return
    yield "kind", presented.kind.name.lower()
    yield "key_id", presented.key_id.hex()
    yield "algorithm", presented.algorithm
    status = status_of(presented)
    if status is not None:
        yield "status", status
    claims = presented.claims
    if isinstance(claims, TravelClaims):
        yield "visited", list(claims.regions)
        yield "days", claims.days
    else:
        yield "region", region_of(presented)


def _verified(verification: Verification, trust: TrustSnapshot, context: Context) -> dict[str, dict[str, Value]]:
    credential, key = verification.credential, verification.key
    now = context.moment.unix_s
    if isinstance(credential, ForeignCredential):
        tried = len(anchors_for(credential, trust))
    else:
        tried = len(trust.keys.get((credential.issuer, credential.key_id), ()))
    left = {} if credential.expires_at is None else {"left_s": credential.expires_at - now}
    found: dict[str, dict[str, Value]] = {
        "key": {"issuer_known": verification.issuer is not None, "keys_tried": tried},
        "signature": {"authentic": verification.is_authentic},
        "time": {
            "clock": context.moment.quality.name.lower(),
            "now": now,
            "issued_at": credential.issued_at,
            "expires_at": credential.expires_at,
            **left,
        },
        "rules": {"place": context.place.region, "policy_version": trust.policy.version},
    }
    if key is not None:
        found |= _by_key(credential, key, trust)
    use = health.use_for(credential, trust.policy.rules)
    if use is not None and isinstance(credential, ForeignCredential):
        counted = health.selected(credential, trust.health_rules, use, context.moment)
        found["rules"] |= {"country": use.country, "counted": [rule.name for rule in counted]}
    row = matrix_row(verification, trust, context.place)
    if row is not None:
        found["matrix"] = {"area": row.area or "everywhere", "health": row.health, "outcome": row.outcome}
    return found


def _by_key(credential: SignedCredential, key: IssuerKey | Anchor, trust: TrustSnapshot) -> dict[str, dict[str, Value]]:
    kinds: dict[str, Value] = {"kinds": sorted(kind.name.lower() for kind in key.kinds)}
    if isinstance(credential, ForeignCredential) or isinstance(key, Anchor):
        lists = [str(number) for number in key.hash_lists] if isinstance(key, Anchor) else []
        return {"bounds": kinds, "status": {"lists": lists}}
    listed = trust.status_lists.get((credential.issuer, key.status_list))
    claims = credential.claims
    index = None if isinstance(claims, VenueClaims) else claims.index
    answer = None if listed is None or index is None else listed.status(index)
    regions = [prefix or "everywhere" for prefix in key.regions]
    return {
        "bounds": {**kinds, "regions": regions, "max_validity_s": key.max_validity_s},
        # The index itself names one pass and is nobody's business on a screen.
        "status": {"list": "" if listed is None else listed.uri, "answer": answer},
    }
