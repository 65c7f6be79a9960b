"""Does a credential of another system hold? Anchor, signature, what it may attest, times, revocation (ADR 0044).

The same answers in the same order as for a national pass; only where keys, times and lists come from differs. One path
for all formats: what a format has not (a time, a key between) is None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edge.model.credential import ForeignCredential
from edge.model.moment import ClockQuality, Moment
from edge.model.trust import Anchor, TrustSnapshot
from edge.model.verdict import OK, Reason, Verification
from edge.verify.signatures import Verifier, signing_key
from edge.verify.validity import in_time


def verify_foreign(
    credential: ForeignCredential, trust: TrustSnapshot, moment: Moment, verifiers: Mapping[int, Verifier]
) -> Verification:
    """Return whether `credential` holds at `moment` under `trust`, and which check failed first.

    Args:
        credential: What was presented.
        trust: What is believed.
        moment: The time of the check.
        verifiers: By COSE algorithm number.
    """
    if credential.format not in trust.policy.formats:
        # Said first: of a format that is not admitted the gate keeps no anchors.
        return Verification(credential, Reason.FORMAT_NOT_ADMITTED)
    tried = anchors_for(credential, trust)
    anchor, reason = _anchor(credential, tried, verifiers)
    issuer = trust.issuers.get((anchor or tried[0]).issuer) if tried else None
    if anchor is None or issuer is None:
        return Verification(credential, reason if anchor is None else Reason.ISSUER_UNKNOWN, issuer)
    credential = _typed(credential, anchor)
    reason = _within_bounds(credential, anchor)
    if reason is not OK:
        return Verification(credential, reason, issuer, anchor)
    reason, warnings = in_time(credential.issued_at, credential.expires_at, moment)
    if reason is OK and moment.quality is not ClockQuality.DOUBTFUL and moment.unix_s >= anchor.not_after:
        reason = Reason.KEY_NOT_CURRENT
    if reason is OK or reason is Reason.CLOCK_DOUBTFUL:
        # A doubted clock hides no revocation.
        status = _status(credential, anchor, trust)
        reason = reason if status is OK else status
    return Verification(credential, reason, issuer, anchor, warnings)


def anchors_for(credential: ForeignCredential, trust: TrustSnapshot) -> tuple[Anchor, ...]:
    """Return the anchors a credential may be signed under: those bound to its claim first."""
    bound = trust.anchors.get((credential.format, credential.issuer, credential.key_id), ())
    if credential.issuer == "":
        return bound
    return bound + trust.anchors.get((credential.format, "", credential.key_id), ())


def _anchor(
    credential: ForeignCredential, candidates: Sequence[Anchor], verifiers: Mapping[int, Verifier]
) -> tuple[Anchor | None, Reason]:
    introduced = credential.introduced
    if introduced is None:
        return signing_key(credential, candidates, verifiers)
    anchor, reason = signing_key(introduced, candidates, verifiers)
    if anchor is None:
        return None, reason
    holds = verifiers.get(introduced.key_algorithm)
    if holds is None or introduced.key_algorithm != credential.algorithm:
        return None, Reason.KEY_ALGORITHM
    if not holds(introduced.public, credential.signed, credential.signature):
        return None, Reason.SIGNATURE_INVALID
    return anchor, OK


def _within_bounds(credential: ForeignCredential, anchor: Anchor) -> Reason:
    if credential.kind not in anchor.kinds or not _is_of_its_types(credential, anchor):
        return Reason.KEY_KIND
    at, introduced = credential.issued_at, credential.introduced
    if introduced is not None:
        if at is not None and not introduced.not_before <= at < introduced.not_after:
            return Reason.KEY_NOT_CURRENT
        at = introduced.not_before
    if at is not None and not anchor.not_before <= at < anchor.not_after:
        return Reason.KEY_NOT_CURRENT
    return OK


def _is_of_its_types(credential: ForeignCredential, anchor: Anchor) -> bool:
    return not anchor.types or any(name in credential.types for name, _ in anchor.types)


def _typed(credential: ForeignCredential, anchor: Anchor) -> ForeignCredential:
    """Return it with the kind that its anchor gives the first of its types; else as it is."""
    given = dict(anchor.types)
    kinds = [given[name] for name in credential.types if name in given]
    return replace(credential, kind=kinds[0]) if kinds else credential


def _status(credential: ForeignCredential, anchor: Anchor, trust: TrustSnapshot) -> Reason:
    answer = Reason.STATUS_UNAVAILABLE if credential.has_status and not anchor.hash_lists else OK
    revocation = credential.revocation if anchor.hash_lists else ()
    for number in anchor.hash_lists:
        listed = trust.hash_lists.get((anchor.issuer, number))
        if listed is None:
            answer = Reason.STATUS_UNAVAILABLE
            continue
        if any(kind is listed.kind and digest in listed for kind, digest in revocation):
            return Reason.STATUS_REVOKED
    # No answer is not "valid"; a short-lived credential needs none (docs/adr/0013-short-lived-passes.md).
    return OK if answer is not OK and is_short_lived(credential, trust) else answer


def is_short_lived(credential: ForeignCredential, trust: TrustSnapshot) -> bool:
    """Return whether a credential runs out before revocation could matter; one without times never does."""
    if credential.issued_at is None or credential.expires_at is None:
        return False
    return credential.expires_at - credential.issued_at <= trust.policy.short_lived_s
