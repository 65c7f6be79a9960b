"""May it pass here? Rules as signed data, and the one place where ACCEPT is made.

`decide` takes what verification found and the policy, and returns the verdict. Reading bytes is left to
`edge.policy.examine`, remembering who was here to the gate.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edge.model.credential import ForeignCredential, PassKind, Presentation, ServerToken, TravelClaims
from edge.model.moment import ClockQuality, Moment
from edge.model.trust import Band, Issuer, MatrixRow, TrustSnapshot
from edge.model.verdict import Outcome, Reason, Verdict, Verification
from edge.policy import health, live, rules
from edge.verify.foreign import is_short_lived
from edge.verify.verify import status_of


@dataclass(frozen=True, slots=True)
class Sighting:
    """The same credential was admitted here a little while ago.

    Attributes:
        ago_s: How long ago, seconds.
    """

    ago_s: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where the gate stands.

    Attributes:
        region: GB/T 2260 code, six digits; rows of the matrix are chosen by it.
    """

    region: str


REFERRED: Final = frozenset(
    {
        Reason.CREDENTIAL_SERVER_TOKEN,
        Reason.CREDENTIAL_UNCHECKED,
        Reason.KIND_NOT_ADMITTED,
        Reason.KEY_UNSUPPORTED,
        Reason.CLOCK_DOUBTFUL,
        Reason.STATUS_SUSPENDED,
        Reason.STATUS_UNAVAILABLE,
        Reason.STATUS_STALE,
        Reason.HEALTH_YELLOW,
        Reason.HEALTH_POPUP,
        Reason.HEALTH_UNKNOWN,
        Reason.HEALTH_NONE,
        Reason.TRAVEL_LISTED_AREA,
        Reason.TRAVEL_WINDOW,
        Reason.LIVE_STALE,
        Reason.LIVE_NONCE,
        Reason.LIVE_MISSING,
        Reason.LIVE_UNBOUND,
        Reason.HOURS_CLOSED,
        Reason.STATUS_NOT_ADMITTED,
        Reason.TIME_TOO_OLD,
        Reason.RULE_UNDECIDED,
        Reason.CONDITION_PENDING,
        Reason.REPEAT_RECENT,
        Reason.PRESENTATION_SEVERAL,
        Reason.LOG_UNWRITABLE,
        Reason.RELAY_FAILED,
        Reason.RELAY_REFUSED,
        Reason.MANUAL_DOCUMENT,
        Reason.MANUAL_REGISTRATION,
    }
)
"""Reasons that send a person to be looked at; every other reason but OK refuses."""

UNSIGNED: Final = MappingProxyType({"document": Reason.MANUAL_DOCUMENT, "divoc": Reason.CREDENTIAL_UNCHECKED})
"""What is said of a code whose signature nobody checks, by its format; a live code unless said otherwise."""
_HEALTH: Final = {
    "yellow": Reason.HEALTH_YELLOW,
    "red": Reason.HEALTH_RED,
    "popup": Reason.HEALTH_POPUP,
    "none": Reason.HEALTH_NONE,
}
_HEALTH_REASONS: Final = frozenset((*_HEALTH.values(), Reason.HEALTH_UNKNOWN))


def decide(
    verification: Verification,
    trust: TrustSnapshot,
    moment: Moment,
    *,
    place: Place,
    held: Collection[PassKind] = frozenset(),
) -> Verdict:
    """Return the verdict on a verified credential nobody has seen before; the one maker of ACCEPT.

    The repeat rule comes after it (`repeated`): only what would pass can be a repetition.

    Args:
        verification: What the checks found.
        trust: The trust in force.
        moment: The time of the decision.
        place: Where the gate stands.
        held: Kinds of pass that were presented here just before, and hold.
    """
    reason, row, details = _reason(verification, trust, moment, place)
    warnings = verification.warnings
    if reason is Reason.OK:
        reason, details = rules.combined(trust.policy.rules, {*held, verification.credential.kind})
        warnings += rules.wishes(trust.policy.rules, {*held, verification.credential.kind})
    is_ok = reason is Reason.OK
    return Verdict(
        Outcome.ACCEPT if is_ok else _outcome(reason, row, verification, trust),
        reason,
        verification.credential,
        verification.issuer,
        is_authentic=verification.is_authentic,
        health=row.health if row is not None else "",
        kind=verification.credential.kind,
        policy_version=trust.policy.version,
        trust_version=trust.versions.timestamp,
        details=details,
        warnings=warnings,
        ground=row.ground if row is not None and not is_ok else None,
        match=rules.to_match(trust.policy.rules, verification.credential) if is_ok else (),
        rule_says=health.says(details, trust.health_rules),
    )


def _outcome(reason: Reason, row: MatrixRow | None, verification: Verification, trust: TrustSnapshot) -> Outcome:
    if live.is_rejected(reason, verification.credential, trust.policy):
        return Outcome.REJECT
    if health.is_referred(reason, verification.credential, trust.policy.rules):
        return Outcome.REFER
    return refused_outcome(reason, row)


def refused_outcome(reason: Reason, row: MatrixRow | None = None) -> Outcome:
    """Return what staff should do about a reason other than OK.

    Args:
        reason: Any reason but OK.
        row: The row of the matrix that gave it, if one did.

    Raises:
        ValueError: The reason is OK: success is said elsewhere, never implied.
    """
    if reason is Reason.OK:
        raise ValueError("OK is no reason to refuse")
    if row is not None and reason in _HEALTH_REASONS:
        return Outcome.REFER if row.outcome == "refer" else Outcome.REJECT
    return Outcome.REFER if reason in REFERRED else Outcome.REJECT


def _reason(
    verification: Verification, trust: TrustSnapshot, moment: Moment, place: Place
) -> tuple[Reason, MatrixRow | None, dict[str, str | int]]:
    reason = _trust_reason(trust, moment)
    if reason is Reason.OK:
        reason = verification.reason
    if reason is not Reason.OK:
        return reason, None, live.age(reason, verification.credential, moment)
    reason = _admitted(verification, trust)
    if reason is not Reason.OK:
        return reason, None, {}
    row = matrix_row(verification, trust, place)
    reason, details = _recognised(verification, trust, row, moment)
    if reason is Reason.OK:
        reason = live.demanded(verification.credential, trust.policy)
    if reason is Reason.OK and _needs_revocation(verification, trust) and trust.band(moment.unix_s) is Band.STALE:
        reason = Reason.STATUS_STALE
    if reason is Reason.OK and moment.quality is ClockQuality.DOUBTFUL:
        reason = Reason.CLOCK_DOUBTFUL
    hours = trust.policy.rules.hours
    # Last: a closed gate softens no refusal. By a clock in doubt nobody can tell, and nothing is OK.
    if reason is Reason.OK and hours is not None and not hours.is_open(moment.unix_s):
        reason = Reason.HOURS_CLOSED
    return reason, row, details


def _trust_reason(trust: TrustSnapshot, moment: Moment) -> Reason:
    # A clock that may be years ahead must not end the policy or age the trust: everything is capped at REFER instead.
    if moment.quality is ClockQuality.DOUBTFUL:
        return Reason.OK
    if moment.unix_s >= trust.ends_at:
        return Reason.POLICY_ENDED
    return Reason.TRUST_TOO_OLD if trust.band(moment.unix_s) is Band.TOO_OLD else Reason.OK


def _admitted(verification: Verification, trust: TrustSnapshot) -> Reason:
    if verification.credential.format not in trust.policy.formats:
        return Reason.FORMAT_NOT_ADMITTED
    return Reason.OK if verification.credential.kind in trust.policy.kinds else Reason.KIND_NOT_ADMITTED


def matrix_row(verification: Verification, trust: TrustSnapshot, place: Place) -> MatrixRow | None:
    """Return the row of the recognition matrix for this issuer's status at this place: the most local one."""
    # Of a foreign credential our own id counts, not what it calls its issuer.
    issuer = verification.issuer.id if verification.issuer is not None else ""
    return local_row(trust.matrix.get((issuer, status_of(verification.credential)), ()), place)


def local_row(rows: Iterable[MatrixRow], place: Place) -> MatrixRow | None:
    """Return the most local of some rows at a place, or None where none holds there."""
    local = [row for row in rows if place.region.startswith(row.area)]
    return max(local, key=lambda row: len(row.area), default=None)


def _recognised(
    verification: Verification, trust: TrustSnapshot, row: MatrixRow | None, moment: Moment
) -> tuple[Reason, dict[str, str | int]]:
    if row is None:
        return Reason.MATRIX_UNLISTED, _status_details(verification)
    if row.outcome != "accept":
        return _HEALTH.get(row.health, Reason.HEALTH_UNKNOWN), _status_details(verification)
    if row.health not in trust.policy.rules.healths:
        return Reason.STATUS_NOT_ADMITTED, _status_details(verification)
    too_old = rules.too_old(trust.policy.rules, verification.credential, moment)
    if too_old:
        return Reason.TIME_TOO_OLD, too_old
    claims = verification.credential.claims
    if isinstance(claims, TravelClaims):
        return _travel(claims, trust)
    return health.broken(verification.credential, trust, moment)


def _status_details(verification: Verification) -> dict[str, str | int]:
    status = status_of(verification.credential)
    return {} if status is None else {"status": status}


def _travel(claims: TravelClaims, trust: TrustSnapshot) -> tuple[Reason, dict[str, str | int]]:
    if claims.days < trust.policy.travel_days:
        return Reason.TRAVEL_WINDOW, {"days": claims.days, "wanted": trust.policy.travel_days}
    for area in trust.policy.listed_areas:
        if any(str(region).startswith(area) for region in claims.regions):
            return Reason.TRAVEL_LISTED_AREA, {"area": area}
    return Reason.OK, {}


def _needs_revocation(verification: Verification, trust: TrustSnapshot) -> bool:
    credential = verification.credential
    if isinstance(credential, ForeignCredential):
        return not is_short_lived(credential, trust)
    if credential.kind is PassKind.VENUE:
        return False
    return credential.expires_at - credential.issued_at > trust.policy.short_lived_s


def repeated(verdict: Verdict, sighting: Sighting | None) -> Verdict:
    """Return the verdict after the repeat rule: what would pass but was admitted here just now is referred."""
    would_pass = verdict.outcome is Outcome.ACCEPT or verdict.reason is Reason.CONDITION_PENDING
    if not would_pass or sighting is None:
        return verdict
    return refused(Reason.REPEAT_RECENT, verdict, details={"ago_s": sighting.ago_s})


def refused(reason: Reason, found: Verdict, *, details: dict[str, str | int]) -> Verdict:
    """Return `found` turned into a refusal for `reason`, keeping what was found."""
    return Verdict(
        refused_outcome(reason),
        reason,
        found.presentation,
        found.issuer,
        is_authentic=found.is_authentic,
        health=found.health,
        kind=found.kind,
        policy_version=found.policy_version,
        trust_version=found.trust_version,
        details=details,
        warnings=found.warnings,
        ground=found.ground,
    )


def unverified(
    reason: Reason,
    trust: TrustSnapshot | None,
    *,
    presentation: Presentation | None = None,
    issuer: Issuer | None = None,
) -> Verdict:
    """Return the refusal of something whose signature nobody checked or could check."""
    details: dict[str, str | int] = {"family": presentation.family} if isinstance(presentation, ServerToken) else {}
    return Verdict(
        refused_outcome(reason),
        reason,
        presentation,
        issuer,
        policy_version=trust.policy.version if trust is not None else 0,
        trust_version=trust.versions.timestamp if trust is not None else 0,
        details=details,
    )
