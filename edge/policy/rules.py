"""The rules of a policy of schema 2, one by one: pure questions that `edge.policy.decide` asks in its order."""

from collections.abc import Collection
from typing import Final

from edge.model.credential import ForeignCredential, PassKind, SignedCredential, TravelClaims, VenueClaims
from edge.model.moment import ClockQuality, Moment
from edge.model.rules import Rules
from edge.model.verdict import Reason

_COMPARED: Final = ("surname", "name", "birth_year", "id_tail")
"""Signed fields that a person can compare with a document, in the order of a screen."""


def too_old(rules: Rules, credential: SignedCredential, moment: Moment) -> dict[str, str | int]:
    """Return how old a pass is where it is older than its kind may be, else nothing; a clock in doubt tells no age."""
    limit = rules.max_age_s.get(credential.kind)
    # What does not say when it was issued is older than any limit.
    age = moment.unix_s - (credential.issued_at or 0)
    if limit is None or age <= limit or moment.quality is ClockQuality.DOUBTFUL:
        return {}
    return {"age_s": age, "limit_s": limit}


def combined(rules: Rules, held: Collection[PassKind]) -> tuple[Reason, dict[str, str | int]]:
    """Return whether the kinds that were presented meet every mandatory condition; the first that is not met is said.

    Args:
        rules: The rules.
        held: Kinds presented, this one included.
    """
    for condition in rules.conditions:
        wanted = condition.wanted(held)
        if wanted and not condition.is_optional:
            named = ",".join(kind.name.lower() for kind in wanted)
            return Reason.CONDITION_PENDING, {"wanted_kinds": named, "missing": condition.missing(held)}
    return Reason.OK, {}


def wishes(rules: Rules, held: Collection[PassKind]) -> tuple[Reason, ...]:
    """Return a warning where an optional condition is not met."""
    unmet = any(condition.is_optional and condition.missing(held) for condition in rules.conditions)
    return (Reason.CONDITION_OPTIONAL,) if unmet else ()


def to_match(rules: Rules, credential: SignedCredential) -> tuple[str, ...]:
    """Return the names of signed fields that staff compare with the holder; a travel pass has nothing but its tag."""
    if credential.kind not in rules.match_holder:
        return ()
    told = credential.holder if isinstance(credential, ForeignCredential) else credential.claims
    if isinstance(told, TravelClaims):
        return ("tag",)
    # A foreign holder has fewer of these fields, a venue none.
    return tuple(name for name in _COMPARED if getattr(told, name, None) and not isinstance(told, VenueClaims))
