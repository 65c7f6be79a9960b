"""Whether a policy with rules agrees with the other documents of its publication: else it could not mean anything.

Asked by gate and authority alike. Policies of schema 1 have no rules and are taken as they always were.
"""

from edge.errors import TrustError
from edge.model.rules import HealthUse, Rules
from edge.model.trust import TrustSnapshot
from edge.trust import paths


def check(trust: TrustSnapshot) -> None:
    """Check the rules of the policy in force.

    Raises:
        TrustError: They could never admit anybody, or name an issuer that is not registered.
    """
    rules = trust.policy.rules
    for use in rules.health:
        _check_use(use, trust)
    for family, relay in rules.relays.items():
        if relay.issuer not in trust.issuers:
            raise _wrong(f"relays of {family} names issuer {relay.issuer}, which is not in {paths.ISSUERS}")
    if rules.healths == Rules().healths or not trust.matrix:
        return
    accepted = {row.health for rows in trust.matrix.values() for row in rows if row.outcome == "accept"}
    if accepted and not accepted & rules.healths:
        raise _wrong(
            f"healths admits {', '.join(sorted(rules.healths))}, and no row of {paths.MATRIX} accepts any of them"
        )


def _check_use(use: HealthUse, trust: TrustSnapshot) -> None:
    own = trust.health_rules.acceptance.get(use.country, ())
    for kind in sorted(use.kinds):
        if not any(rule.is_for(kind) for rule in own):
            named = kind.name.lower()
            raise _wrong(
                f"certlogic wants the rules of {use.country} for {named}, and {paths.RULES} has none",
                "Bring them in first: edge authority rules import DIR FILE, then edge authority publish DIR",
            )


def _wrong(what: str, next_step: str = "") -> TrustError:
    return TrustError(f"{paths.POLICY} rules: {what}.", next_step)
