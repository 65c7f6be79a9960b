"""Does a credential hold, given trust and time? Issuer, key, signature, what the key may say, time, status.

Checks run from cheap to dear and stop at the first that fails. Everything is an argument; nothing raises. Whether a
credential that holds may pass *here* is left to `edge.policy`.
"""

from collections.abc import Collection, Mapping
from typing import Final

from edge.model.credential import Credential, PassKind, PersonClaims, TravelClaims, VenueClaims
from edge.model.moment import ClockQuality, Moment
from edge.model.trust import IssuerKey, Status, TrustSnapshot
from edge.model.verdict import Reason, Verification
from edge.verify import live
from edge.verify.signatures import VERIFIERS, Verifier

MAX_KEYS: Final = 4
"""Keys of one (issuer, key id) that are tried: key ids are short and may collide, but never all keys are tried."""
LEEWAY_S: Final = 60
"""A pass issued this far in the gate's future is still valid: two honest clocks differ (RFC 8392, 3.1.5)."""


def verify(
    credential: Credential,
    trust: TrustSnapshot,
    moment: Moment,
    *,
    verifiers: Mapping[int, Verifier] = VERIFIERS,
    nonces: Collection[bytes] = (),
) -> Verification:
    """Return whether `credential` holds at `moment` under `trust`, and which check failed first.

    Args:
        credential: What was presented.
        trust: What is believed.
        moment: The time of the check.
        verifiers: By COSE algorithm number; a key of an algorithm that has none here verifies nothing.
        nonces: What this gate asks of phones now and asked just before (`edge.verify.live`).
    """
    issuer = trust.issuers.get(credential.issuer)
    if issuer is None:
        return Verification(credential, Reason.ISSUER_UNKNOWN)
    key, reason = _signing_key(credential, trust, verifiers)
    if key is None:
        return Verification(credential, reason, issuer)
    proof = credential.proof
    if proof is not None and not live.holds(credential.holder_key, proof):
        # Whoever altered it is not the holder: nothing of it may be shown.
        return Verification(credential, Reason.LIVE_INVALID, issuer)
    reason = _within_bounds(credential, key, trust)
    if reason is not Reason.OK:
        return Verification(credential, reason, issuer, key)
    reason, warnings = _in_time(credential, moment)
    if reason is Reason.OK or reason is Reason.CLOCK_DOUBTFUL:
        # A doubted clock hides no revocation.
        status = _status(credential, key, trust)
        reason = reason if status is Reason.OK else status
    if reason is Reason.OK and proof is not None:
        reason, doubts = live.freshness(proof, moment, trust.policy.live_window_s, nonces)
        warnings += doubts
    return Verification(credential, reason, issuer, key, warnings)


def _signing_key(
    credential: Credential, trust: TrustSnapshot, verifiers: Mapping[int, Verifier]
) -> tuple[IssuerKey | None, Reason]:
    candidates = trust.keys.get((credential.issuer, credential.key_id), ())
    if not candidates:
        return None, Reason.KEY_UNKNOWN
    reason = Reason.KEY_ALGORITHM
    for key in candidates[:MAX_KEYS]:
        # The algorithm comes from the key record; a header that says another is refused, never obeyed.
        if key.algorithm != credential.algorithm:
            continue
        holds = verifiers.get(key.algorithm)
        if holds is None:
            reason = Reason.KEY_UNSUPPORTED
            continue
        reason = Reason.SIGNATURE_INVALID
        if holds(key.public, credential.signed, credential.signature):
            return key, Reason.OK
    return None, reason


def _within_bounds(credential: Credential, key: IssuerKey, trust: TrustSnapshot) -> Reason:
    if credential.kind not in key.kinds:
        return Reason.KEY_KIND
    if not key.not_before <= credential.issued_at < key.not_after:
        return Reason.KEY_NOT_CURRENT
    if credential.expires_at - credential.issued_at > key.max_validity_s:
        return Reason.KEY_VALIDITY
    region = region_of(credential)
    if region and not str(region).startswith(key.regions):
        return Reason.KEY_REGION
    if region and (not trust.region_name(region) or trust.registries.lacks(region)):
        return Reason.REGION_UNKNOWN
    claims = credential.claims
    if isinstance(claims, VenueClaims) and trust.registries.refuses(claims.id, claims.region):
        return Reason.VENUE_UNKNOWN
    return Reason.OK


def region_of(credential: Credential) -> int:
    """Return the region a pass speaks of, GB/T 2260, or 0 for a travel pass."""
    claims = credential.claims
    return 0 if isinstance(claims, TravelClaims) else claims.region


def status_of(credential: Credential) -> int | None:
    """Return the issuer's own status number, or None for a pass without one."""
    claims = credential.claims
    return claims.status if isinstance(claims, PersonClaims) else None


def _in_time(credential: Credential, moment: Moment) -> tuple[Reason, tuple[Reason, ...]]:
    now = moment.unix_s
    if now >= credential.expires_at:
        # A clock that may be years ahead must not refuse everybody.
        doubtful = moment.quality is ClockQuality.DOUBTFUL
        return (Reason.CLOCK_DOUBTFUL if doubtful else Reason.TIME_EXPIRED), ()
    if now + LEEWAY_S < credential.issued_at:
        # Where the real time may be later, "not yet" cannot be told; nor by a clock that was set back.
        if moment.quality is ClockQuality.DOUBTFUL:
            return Reason.CLOCK_DOUBTFUL, ()
        if moment.quality is ClockQuality.FLOOR or now + LEEWAY_S + moment.late_ms // 1000 >= credential.issued_at:
            return Reason.OK, (Reason.TIME_NOT_YET_VALID,)
        return Reason.TIME_NOT_YET_VALID, ()
    return Reason.OK, ()


def _status(credential: Credential, key: IssuerKey, trust: TrustSnapshot) -> Reason:
    claims = credential.claims
    if isinstance(claims, VenueClaims) or credential.kind is PassKind.VENUE:
        return Reason.OK
    listed = trust.status_lists.get((credential.issuer, key.status_list))
    status = None if listed is None else listed.status(claims.index)
    if status is None:
        # No answer is not "valid"; a short-lived pass needs none (docs/adr/0013-short-lived-passes.md).
        short = credential.expires_at - credential.issued_at <= trust.policy.short_lived_s
        return Reason.OK if short else Reason.STATUS_UNAVAILABLE
    if status == Status.VALID:
        return Reason.OK
    return Reason.STATUS_SUSPENDED if status == Status.SUSPENDED else Reason.STATUS_REVOKED
