"""Does a credential hold, given trust and time? Issuer, key, signature, what the key may say, time, status.

Checks run from cheap to dear and stop at the first that fails. Everything is an argument; nothing raises. Whether a
credential that holds may pass *here* is left to `edge.policy`.
"""

from collections.abc import Collection, Mapping
from typing import Final

from edge.model.credential import (
    Credential,
    ForeignCredential,
    PassKind,
    PersonClaims,
    SignedCredential,
    VenueClaims,
)
from edge.model.moment import Moment
from edge.model.trust import IssuerKey, Status, TrustSnapshot
from edge.model.verdict import OK, Reason, Verification
from edge.verify import live
from edge.verify.foreign import verify_foreign
from edge.verify.signatures import VERIFIERS, Verifier, signing_key
from edge.verify.validity import in_time

# Looked up once: every pass meets them (see `OK`).
_VENUE: Final = PassKind.VENUE
_VALID: Final = Status.VALID
_PLACED: Final = (PersonClaims, VenueClaims)


def verify(
    credential: SignedCredential,
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
    if isinstance(credential, ForeignCredential):
        return verify_foreign(credential, trust, moment, verifiers)
    issuer = trust.issuers.get(credential.issuer)
    if issuer is None:
        return Verification(credential, Reason.ISSUER_UNKNOWN)
    candidates = trust.keys.get((credential.issuer, credential.key_id), ())
    key, reason = signing_key(credential, candidates, verifiers)
    if key is None:
        return Verification(credential, reason, issuer)
    proof = credential.proof
    if proof is not None and not live.holds(credential.holder_key, proof):
        # Whoever altered it is not the holder: nothing of it may be shown.
        return Verification(credential, Reason.LIVE_INVALID, issuer)
    reason = _within_bounds(credential, key, trust)
    if reason is not OK:
        return Verification(credential, reason, issuer, key)
    reason, warnings = in_time(credential.issued_at, credential.expires_at, moment)
    if reason is OK or reason is Reason.CLOCK_DOUBTFUL:
        # A doubted clock hides no revocation.
        status = _status(credential, key, trust)
        reason = reason if status is OK else status
    if reason is OK and proof is not None:
        reason, doubts = live.freshness(proof, moment, trust.policy.live_window_s, nonces)
        warnings += doubts
    return Verification(credential, reason, issuer, key, warnings)


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
    return OK


def region_of(credential: SignedCredential) -> int:
    """Return the region a pass speaks of, GB/T 2260, or 0 for a travel pass and whatever is foreign."""
    claims = credential.claims
    return claims.region if isinstance(claims, _PLACED) else 0


def status_of(credential: SignedCredential) -> int | None:
    """Return the issuer's own status number, or None for a pass without one."""
    claims = credential.claims
    return claims.status if isinstance(claims, PersonClaims) else None


def _status(credential: Credential, key: IssuerKey, trust: TrustSnapshot) -> Reason:
    claims = credential.claims
    if isinstance(claims, VenueClaims) or credential.kind is _VENUE:
        return OK
    listed = trust.status_lists.get((credential.issuer, key.status_list))
    status = None if listed is None else listed.status(claims.index)
    if status is None:
        # No answer is not "valid"; a short-lived pass needs none (docs/adr/0013-short-lived-passes.md).
        short = credential.expires_at - credential.issued_at <= trust.policy.short_lived_s
        return OK if short else Reason.STATUS_UNAVAILABLE
    if status == _VALID:
        return OK
    return Reason.STATUS_SUSPENDED if status == Status.SUSPENDED else Reason.STATUS_REVOKED
