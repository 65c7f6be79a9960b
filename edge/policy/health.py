"""Business rules of health certificates: which count for a certificate, and whether it keeps them (ADR 0054).

Pure: signed payload and moment in, a reason out. Selection as the EU's rules engine has it: acceptance rules of the
country of arrival and invalidation rules of the country of issue, of this type of certificate or of every type, of each
identifier the latest version in force. A rule that cannot be evaluated admits nobody.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from edge.credentials import hcert
from edge.errors import EncodingRefused
from edge.model.credential import ForeignCredential, SignedCredential
from edge.model.health_rules import HealthRule, HealthRules
from edge.model.moment import ClockQuality, Moment
from edge.model.rules import HealthUse, Rules
from edge.model.trust import TrustSnapshot
from edge.model.verdict import Reason
from edge.policy.certlogic import Evaluation

MAX_STEPS: Final = 40_000
"""Steps that all rules of one certificate may take together."""
_DETAIL: Final = "rule"


def use_for(credential: SignedCredential, rules: Rules) -> HealthUse | None:
    """Return whose rules the policy wants a credential to keep, or None."""
    if not rules.health or credential.format != hcert.NAME:
        return None
    return next((use for use in rules.health if credential.kind in use.kinds), None)


def broken(credential: SignedCredential, trust: TrustSnapshot, moment: Moment) -> tuple[Reason, dict[str, str | int]]:
    """Return which rule a verified certificate breaks first, or `OK`; a clock in doubt tells nothing and is referred.

    Args:
        credential: The certificate, its signature verified.
        trust: The trust in force, with its rules.
        moment: The time of the decision.
    """
    use = use_for(credential, trust.policy.rules)
    if use is None or not isinstance(credential, ForeignCredential) or moment.quality is ClockQuality.DOUBTFUL:
        return Reason.OK, {}
    counted = selected(credential, trust.health_rules, use, moment)
    if not any(not rule.is_invalidation for rule in counted):
        # The policy says that rules decide, and none is in force: nobody has decided.
        return Reason.RULE_UNDECIDED, {}
    data, run = _data(credential, trust.health_rules, use, moment), Evaluation(MAX_STEPS)
    undecided = ""
    for rule in counted:
        try:
            found = rule.logic.evaluate(data, run)
        except EncodingRefused:
            found = None
        if found is False:
            return Reason.RULE_FAILED, {_DETAIL: rule.name}
        if found is not True:
            undecided = undecided or rule.name
    # A rule that fails says more than one that could not be told.
    return (Reason.RULE_UNDECIDED, {_DETAIL: undecided}) if undecided else (Reason.OK, {})


def is_referred(reason: Reason, credential: SignedCredential, rules: Rules) -> bool:
    """Whether the policy refers for a broken rule that would else be rejected."""
    use = use_for(credential, rules) if reason is Reason.RULE_FAILED else None
    return use is not None and use.outcome == "refer"


def says(details: Mapping[str, str | int], rules: HealthRules) -> Mapping[str, str] | None:
    """Return the description of the rule that `broken` named, by language, or None where it named none."""
    name = details.get(_DETAIL)
    if name is None:
        return None
    every = (rule for book in (rules.acceptance, rules.invalidation) for own in book.values() for rule in own)
    return next((rule.says for rule in every if rule.name == name), None)


def selected(
    credential: ForeignCredential, rules: HealthRules, use: HealthUse, moment: Moment
) -> tuple[HealthRule, ...]:
    """Return the rules that count for a certificate, by identifier."""
    found = in_force(rules.acceptance.get(use.country, ()), moment.unix_s)
    found |= in_force(rules.invalidation.get(credential.issuer, ()), moment.unix_s)
    return tuple(rule for _, rule in sorted(found.items()) if rule.is_for(credential.kind))


def in_force(versions: Iterable[HealthRule], unix_s: int) -> dict[str, HealthRule]:
    """Return the latest version of each identifier that is in force, of versions in ascending order."""
    return {rule.identifier: rule for rule in versions if rule.valid_from <= unix_s <= rule.valid_to}


def _data(credential: ForeignCredential, rules: HealthRules, use: HealthUse, moment: Moment) -> dict[str, Any]:
    external = {
        "validationClock": _iso(moment.unix_s),
        "valueSets": rules.value_sets,
        "countryCode": use.country,
        "issuerCountryCode": credential.issuer,
        "exp": _iso(credential.expires_at),
        "iat": _iso(credential.issued_at),
    }
    return {"payload": credential.claims[hcert.HCERT][hcert.DCC], "external": external}


def _iso(unix_s: int | None) -> str | None:
    try:
        return None if unix_s is None else datetime.fromtimestamp(unix_s, UTC).isoformat()
    except (ValueError, OverflowError):
        return None
