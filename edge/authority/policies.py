"""What is asked of a policy before it is signed, beyond what a gate refuses by itself: slips that gates live with.

A gate of older software may not know a format or a family yet and goes on without it; here they are slips.
"""

from importlib.metadata import entry_points
from typing import Final

from edge.credentials.server_token import FAMILIES
from edge.errors import PublicationError
from edge.model.trust import Policy, TrustSnapshot
from edge.policy.health import in_force
from edge.trust import paths
from edge.trust.fields import iso
from edge.trust.policies import RULES_SCHEMA

_FORMATS: Final = "edge.credentials"
"""The entry points that formats are found through."""


def check(trust: TrustSnapshot, *, schema: int, now: int) -> None:
    """Check the policy in force and the one that follows it.

    Args:
        trust: The publication as a gate would load it.
        schema: Schema of the policy.
        now: Unix seconds.

    Raises:
        PublicationError: One names what nobody knows, admits nobody, or refuses without a ground; the row is named.
    """
    following = trust.policy.following
    for policy in (trust.policy, *((following,) if following else ())):
        _check_one(policy, trust)
        _check_rules(policy, trust, max(now, policy.effective_at))
    if schema >= RULES_SCHEMA:
        _check_grounds(trust)


def _check_one(policy: Policy, trust: TrustSnapshot) -> None:
    known = {point.name for point in entry_points(group=_FORMATS)}
    for name in sorted(policy.formats - known):
        raise _wrong(paths.POLICY, f"formats names {name!r}, which no credential format has; there are {_list(known)}")
    for family in sorted(set(policy.rules.relays) - set(FAMILIES)):
        raise _wrong(paths.POLICY, f"rules.relays names family {family!r}; there are {_list(FAMILIES)}")
    for name in ("formats", "kinds"):
        if not getattr(policy, name):
            raise _wrong(paths.POLICY, f"{name} is empty, so nothing could ever be accepted")
    for area in policy.listed_areas:
        wider = next((one for one in policy.listed_areas if one != area and area.startswith(one)), None)
        if wider is not None:
            raise _wrong(paths.POLICY, f"listed_areas lists {area}, which lies in {wider} of the same list")
    keys = [key for keys in trust.keys.values() for key in keys]
    if keys and not any(key.kinds & policy.kinds for key in keys):
        raise _wrong(paths.POLICY, "kinds admits nothing that any issuer's key may sign")


def _check_rules(policy: Policy, trust: TrustSnapshot, at: int) -> None:
    """A gate refers where none of the rules is in force; here it is a slip, as they would admit nobody."""
    for use in policy.rules.health:
        own = in_force(trust.health_rules.acceptance.get(use.country, ()), at).values()
        for kind in sorted(use.kinds):
            if not any(rule.is_for(kind) for rule in own):
                named = kind.name.lower()
                raise _wrong(paths.RULES, f"has no rule of {use.country} for {named} that is in force at {iso(at)}")


def _check_grounds(trust: TrustSnapshot) -> None:
    for (issuer, status), rows in trust.matrix.items():
        for row in rows:
            if row.outcome != "accept" and row.ground is None:
                said = f"the row of issuer {issuer}, status {status}, area {row.area!r}"
                raise _wrong(paths.MATRIX, f"has no class and basis in {said}, which does not accept")


def _list(names: "set[str] | tuple[str, ...]") -> str:
    return ", ".join(sorted(names))


def _wrong(path: str, what: str) -> PublicationError:
    return PublicationError(f"{path}: {what}.", f"Correct sources/{path} and publish again.")
