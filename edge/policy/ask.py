"""When an operator is asked about a live code, and what its answer is worth: only what the signed policy says of both.

Asking is the shell's (`edge.relay`). An answer counts for the one question it answers; a failure is never green.
"""

from dataclasses import dataclass

from edge.errors import LedgerError
from edge.model.credential import Presentation, ServerToken
from edge.model.moment import ClockQuality, Moment
from edge.model.rules import Relay
from edge.model.trust import Band, TrustSnapshot
from edge.model.verdict import Reason, Verdict
from edge.policy.decide import decide, repeated, unverified
from edge.policy.examine import Context
from edge.verify.relayed import relayed

NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to an operator.

    Attributes:
        relay: Whom to ask, and how the answer is known.
        presented: The live code.
        nonce: 16 fresh random bytes; an answer to another question does not count.
    """

    relay: Relay
    presented: ServerToken
    nonce: bytes


def ask(presented: Presentation | None, trust: TrustSnapshot, moment: Moment, nonce: bytes) -> Ask | None:
    """Return whom to ask about what was presented, or None where the policy names nobody or nothing could be green."""
    if not isinstance(presented, ServerToken) or presented.format not in trust.policy.formats:
        return None
    relay = trust.policy.rules.relays.get(presented.family)
    if relay is None or moment.quality is ClockQuality.DOUBTFUL:
        return None
    # A person's code goes to nobody where no answer could admit him.
    if moment.unix_s >= trust.ends_at or trust.band(moment.unix_s) is Band.TOO_OLD:
        return None
    return Ask(relay, presented, nonce)


def answered(asked: Ask, answer: bytes, context: Context) -> Verdict:
    """Return the verdict by an operator's answer: any bytes get one, none raise.

    Args:
        asked: The question.
        answer: What came back.
        context: As for `examine`; its trust is the one the question was asked under.
    """
    trust = context.trust
    if trust is None:
        return failed(asked, None, Reason.RELAY_REFUSED)
    try:
        found = relayed(
            asked.relay, asked.presented.identity, asked.nonce, answer, trust=trust, now=context.moment.unix_s
        )
    except LedgerError:
        return failed(asked, trust, Reason.RELAY_REFUSED)
    verdict = decide(found, trust, context.moment, place=context.place, held=context.held)
    return repeated(verdict, context.sightings.seen(found.credential.identity, context.moment))


def failed(asked: Ask, trust: TrustSnapshot | None, reason: Reason) -> Verdict:
    """Return the referral of a live code whose operator gave no answer that counts."""
    known = None if trust is None else trust.issuers.get(asked.relay.issuer)
    return unverified(reason, trust, presentation=asked.presented, issuer=known)
