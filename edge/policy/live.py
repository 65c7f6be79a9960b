"""What the policy makes of passes not shown live: whose must be, and whether a copy is referred or rejected."""

from typing import Final

from edge.model.credential import Credential, ForeignCredential, SignedCredential
from edge.model.live import LiveRule
from edge.model.moment import Moment
from edge.model.trust import Policy
from edge.model.verdict import Reason

_COPIES: Final = frozenset((Reason.LIVE_MISSING, Reason.LIVE_STALE, Reason.LIVE_NONCE))


def rule_for(credential: SignedCredential, policy: Policy) -> LiveRule | None:
    """Return the policy's rule on a pass: its issuer's own before the one for every issuer."""
    rules = [rule for rule in policy.live if credential.kind in rule.kinds and rule.issuer in {credential.issuer, ""}]
    return max(rules, key=lambda rule: len(rule.issuer), default=None)


def demanded(credential: SignedCredential, policy: Policy) -> Reason:
    """Return what is missing of a pass that holds, or `OK`; a proof it carries was found fresh before."""
    if isinstance(credential, ForeignCredential) and credential.is_bound:
        # Its issuer wants its holder's key asked for, whatever the policy says, and no code of its format answers us.
        return Reason.LIVE_MISSING
    rule = rule_for(credential, policy) if policy.live else None
    # A foreign credential that is not bound is as good as its copy.
    if not isinstance(credential, Credential) or credential.holder_key is None:
        return Reason.OK if rule is None or rule.unbound == "accept" else Reason.LIVE_UNBOUND
    if credential.proof is None:
        # With or without a rule: else whoever has a picture of a live code takes the pass out of it and shows that.
        return Reason.LIVE_MISSING
    return Reason.LIVE_NONCE if rule is not None and rule.nonce and not credential.proof.nonce else Reason.OK


def is_rejected(reason: Reason, credential: SignedCredential, policy: Policy) -> bool:
    """Whether the policy rejects for a reason of this module that would else be referred."""
    if reason not in _COPIES and reason is not Reason.LIVE_UNBOUND:
        return False
    rule = rule_for(credential, policy)
    if rule is None:
        return False
    return (rule.unbound if reason is Reason.LIVE_UNBOUND else rule.copied) == "reject"


def age(reason: Reason, credential: SignedCredential, moment: Moment) -> dict[str, str | int]:
    """Return how old a stale presentation is by the gate's clock, for the sentence staff read."""
    proof = credential.proof if isinstance(credential, Credential) else None
    if reason is not Reason.LIVE_STALE or proof is None or proof.at > moment.unix_s:
        return {}
    return {"ago_s": moment.unix_s - proof.at}
