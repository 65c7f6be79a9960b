"""Which passes two policies answer differently: every situation that either of them tells apart, under both.

The situations are walked from policy and matrix: kinds, statuses, ages, lengths of validity, places, hours,
combinations, each at its limits. No pass is signed: what is compared is the decision, which starts from a verified one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Final

from edge.model.credential import Claims, Credential, PassKind, PersonClaims, TravelClaims, VenueClaims
from edge.model.moment import Moment
from edge.model.rules import DAY_MIN
from edge.model.trust import IssuerKey, Policy, TrustSnapshot
from edge.model.verdict import Reason, Verdict, Verification
from edge.policy.decide import Place, decide

MOST: Final = 200_000
"""Situations that are walked at most."""
_WEEK_MIN: Final = 7 * DAY_MIN
_JUST_NOW: Final = 60
_ANY_REGION: Final = 110000


@dataclass(frozen=True, slots=True)
class Situation:
    """One presentation that a policy may tell from another.

    Attributes:
        verification: What was presented, taken as verified.
        moment: When.
        place: Where.
        held: Kinds presented just before.
    """

    verification: Verification
    moment: Moment
    place: Place
    held: frozenset[PassKind]

    def under(self, trust: TrustSnapshot) -> Verdict:
        """Return the verdict on it under some trust."""
        now = trust.at(self.moment)
        return decide(self.verification, now, self.moment, place=self.place, held=self.held)


@dataclass(frozen=True, slots=True)
class Change:
    """A situation that two policies answer differently.

    Attributes:
        situation: The situation.
        before: The verdict under the first.
        after: The verdict under the second.
    """

    situation: Situation
    before: Verdict
    after: Verdict


def under(trust: TrustSnapshot, policy: Policy) -> TrustSnapshot:
    """Return trust as it would be under another policy."""
    found = replace(trust, policy=policy, successor=None)
    following = policy.following
    return found if following is None else replace(found, successor=replace(found, policy=following))


def changes(before: TrustSnapshot, after: TrustSnapshot, situations: Iterable[Situation]) -> Iterator[Change]:
    """Yield the situations that get another outcome or reason."""
    for situation in situations:
        was, becomes = situation.under(before), situation.under(after)
        if (was.outcome, was.reason) != (becomes.outcome, becomes.reason):
            yield Change(situation, was, becomes)


def situations(before: TrustSnapshot, after: TrustSnapshot) -> Iterator[Situation]:
    """Yield every situation that one of two policies over the same trust could tell apart."""
    policies = _all(before.policy) + _all(after.policy)
    moments = _moments(before, policies)
    for key in (key for keys in before.keys.values() for key in keys):
        places = _places(before, key.issuer)
        for kind, moment in product(sorted(key.kinds), moments):
            held = _held(policies, kind)
            for credential in _credentials(before, key, kind, moment, policies):
                verified = Verification(credential, Reason.OK, before.issuers.get(key.issuer), key)
                for place, beside in product(places, held):
                    yield Situation(verified, moment, place, beside)


def _all(policy: Policy) -> list[Policy]:
    return [policy] if policy.following is None else [policy, policy.following]


def _moments(trust: TrustSnapshot, policies: list[Policy]) -> list[Moment]:
    issued = trust.issued_at
    found = {issued + _JUST_NOW}
    for policy in policies:
        found |= {issued + age + after for age in (policy.stale_after_s, policy.too_old_after_s) for after in (-1, 0)}
        found |= {policy.ends_at - 1, policy.ends_at}
        found |= {policy.effective_at - 1, policy.effective_at} if policy.effective_at else set()
        hours = policy.rules.hours
        # The week after the issue, at each opening and closing and the minute before.
        start = issued // 60
        for day, span in product(range(7), hours.spans if hours else ()):
            local = (start + (hours.offset_min if hours else 0)) // DAY_MIN * DAY_MIN + day * DAY_MIN
            for minute in (span.opens_min, span.closes_min):
                found |= {(local + minute - (hours.offset_min if hours else 0) + before) * 60 for before in (-1, 0)}
    return [Moment(at * 1000) for at in sorted(found) if at > issued]


def _places(trust: TrustSnapshot, issuer: str) -> list[Place]:
    areas = {row.area for (id_, _), rows in trust.matrix.items() if id_ == issuer for row in rows}
    return [Place(area.ljust(6, "0")) for area in sorted(areas | {""})]


def _held(policies: list[Policy], kind: PassKind) -> list[frozenset[PassKind]]:
    named = {one for policy in policies for condition in policy.rules.conditions for one in condition.kinds} - {kind}
    return [frozenset(some) for size in range(len(named) + 1) for some in combinations(sorted(named), size)]


def _credentials(
    trust: TrustSnapshot, key: IssuerKey, kind: PassKind, moment: Moment, policies: list[Policy]
) -> Iterator[Credential]:
    limits = {policy.rules.max_age_s[kind] for policy in policies if kind in policy.rules.max_age_s}
    ages = sorted({_JUST_NOW} | {limit + more for limit in limits for more in (0, 1)})
    short = {min(policy.short_lived_s, key.max_validity_s) for policy in policies}
    for claims, age, lasts in product(_claims(trust, key, kind, policies), ages, sorted(short | {key.max_validity_s})):
        if lasts > age:
            issued = moment.unix_s - age
            yield Credential(
                "hp1", key.issuer, key.key_id, key.algorithm, b"", b"", issued, issued + lasts, kind, claims
            )


def _claims(trust: TrustSnapshot, key: IssuerKey, kind: PassKind, policies: list[Policy]) -> list[Claims]:
    region = int((key.regions[0] if key.regions else "").ljust(6, "0")) or _ANY_REGION
    if kind is PassKind.TRAVEL:
        days = {max(1, policy.travel_days - less) for policy in policies for less in (0, 1)}
        areas = {area for policy in policies for area in policy.listed_areas}
        visited: list[tuple[int, ...]] = [(), *((int(area.ljust(6, "0")),) for area in sorted(areas))]
        return [TravelClaims(n, b"", 0, regions, b"") for n, regions in product(sorted(days), visited)]
    if kind is PassKind.VENUE:
        return [VenueClaims(b"\0", region, "-")]
    listed = {status for issuer, status in trust.matrix if issuer == key.issuer and status is not None}
    # One that nobody lists stands for all of those.
    other = next(number for number in range(len(listed) + 1) if number not in listed)
    return [PersonClaims(status, region, b"", 0, "-", b"") for status in sorted(listed | {other})]
