"""`certlogic` of a policy's rules, read strictly: whose business rules health certificates must keep (ADR 0054)."""

import re
from typing import Final

from edge.credentials import hcert
from edge.model.credential import PassKind
from edge.model.rules import HealthUse
from edge.trust.fields import Fields
from edge.trust.targets import KINDS

SCHEMA: Final = 3
"""The schema from which on a policy may hold it: software before it keeps the trust it has, as it would admit more."""
MEMBER: Final = "certlogic"
_KINDS: Final = frozenset({PassKind.VACCINATION, PassKind.TEST, PassKind.RECOVERY})
_OUTCOMES: Final = ("refer", "reject")
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)


def health_uses(rules: Fields, policy: Fields, admitted: frozenset[PassKind]) -> tuple[HealthUse, ...]:
    """Return whose rules count for which kinds; none where the policy says nothing.

    Args:
        rules: `rules` of the policy.
        policy: The policy itself.
        admitted: Kinds it admits.

    Raises:
        TrustError: A row is wrong, or could never count.
    """
    found: list[HealthUse] = []
    for row in rules.objects(MEMBER, 10) if rules.has(MEMBER) else []:
        use = _use(row)
        if not use.kinds <= admitted:
            raise row.fault("kinds", "names a kind that the policy does not admit")
        if any(other.kinds & use.kinds for other in found):
            raise row.fault("kinds", "has a kind that another row has")
        found.append(use)
    if found and hcert.NAME not in policy.texts("formats"):
        raise rules.fault(MEMBER, f"needs {hcert.NAME} among formats: no certificate would be asked")
    return tuple(found)


def _use(row: Fields) -> HealthUse:
    kinds = row.texts("kinds")
    named = {name: KINDS[name] for name in KINDS if KINDS[name] in _KINDS}
    if not kinds or not set(kinds) <= named.keys():
        raise row.fault("kinds", f"must hold some of {', '.join(named)}")
    country, outcome = row.text("country", 2), row.text("outcome")
    if not _COUNTRY.fullmatch(country):
        raise row.fault("country", "must be two capital letters (ISO 3166-1), the country of arrival")
    if outcome not in _OUTCOMES:
        raise row.fault("outcome", f"must be one of {', '.join(_OUTCOMES)}")
    return HealthUse(frozenset(named[name] for name in kinds), country, outcome)
