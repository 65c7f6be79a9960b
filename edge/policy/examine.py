"""Any bytes to a verdict: parse, verify, decide, repeat rule. Total: whatever is shown, a verdict comes back.

Recording and showing it are left to `edge.gate.line`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from edge.credentials.format import Format, parse
from edge.errors import CredentialError
from edge.model.credential import PassKind, ServerToken
from edge.model.moment import Moment
from edge.model.trust import TrustSnapshot
from edge.model.verdict import Reason, Verdict
from edge.policy.decide import UNSIGNED, Place, Sighting, decide, repeated, unverified
from edge.verify.signatures import VERIFIERS, Verifier
from edge.verify.verify import verify


class Sightings(Protocol):
    """Who was admitted here lately.

    Promises: pure look-up, total, in constant time; knows credentials by identity only.
    """

    def seen(self, identity: bytes, moment: Moment) -> Sighting | None:
        """Return when this identity was admitted within the policy's repeat window, or None."""


class NobodySeen:
    """Sightings of a verifier that remembers nobody (`edge verify`)."""

    def seen(self, identity: bytes, moment: Moment) -> Sighting | None:  # noqa: ARG002  # the protocol's shape
        """Return None."""
        return None


@dataclass(frozen=True, slots=True)
class Context:
    """What a verdict depends on besides the presented bytes.

    Attributes:
        formats: Credential formats, tried in order.
        trust: The trust snapshot in force, or None where there is none yet.
        moment: The time of the decision.
        place: Where the gate stands.
        sightings: Who was admitted here lately.
        verifiers: How signatures are checked, by COSE algorithm number.
        nonces: What this gate asks of phones now and asked just before; none where it asks nothing.
        held: Kinds of pass that were presented here just before, and hold.
    """

    formats: Sequence[Format]
    trust: TrustSnapshot | None
    moment: Moment
    place: Place
    sightings: Sightings
    verifiers: Mapping[int, Verifier] = field(default_factory=lambda: VERIFIERS)
    nonces: Collection[bytes] = ()
    held: frozenset[PassKind] = frozenset()

    def in_force(self) -> "Context":
        """Return it with the trust that is in force at its moment: a policy may follow another by itself."""
        now = None if self.trust is None else self.trust.at(self.moment)
        return self if now is self.trust else replace(self, trust=now)


def examine(raw: bytes, context: Context) -> Verdict:
    """Return the verdict on a presented code: any bytes get one, none raise."""
    context = context.in_force()
    try:
        return _examine(raw, context)
    except CredentialError as refusal:
        return unverified(refusal.reason, context.trust)
    except Exception:  # noqa: BLE001  # law 1: a fault of ours refuses this code and is counted; it never stops the gate
        return unverified(Reason.INTERNAL_FAULT, context.trust)


def _examine(raw: bytes, context: Context) -> Verdict:
    presented = parse(raw, context.formats)
    trust = context.trust
    if trust is None:
        return unverified(Reason.TRUST_MISSING, None, presentation=presented)
    if isinstance(presented, ServerToken):
        known = trust.issuers.get(presented.issuer)
        reason = UNSIGNED.get(presented.format, Reason.CREDENTIAL_SERVER_TOKEN)
        return unverified(reason, trust, presentation=presented, issuer=known)
    found = verify(presented, trust, context.moment, verifiers=context.verifiers, nonces=context.nonces)
    verdict = decide(found, trust, context.moment, place=context.place, held=context.held)
    return repeated(verdict, context.sightings.seen(presented.identity, context.moment))
