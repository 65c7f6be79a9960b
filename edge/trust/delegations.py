"""Which role speaks for a target path: the search of the TUF client workflow (5.6.7), without any input or output.

A path counts from the first role, pre-order and depth first, that is allowed it and lists it; a terminating delegation
that matches ends the search. Where a role's metadata comes from is left to the caller.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import filter as matching
from typing import Final

from tuf.api.metadata import DelegatedRole, TargetFile, Targets  # type: ignore[attr-defined]  # documented there

from edge.errors import TrustRefused
from edge.trust.workflow import LIMITS, Verified

Delegate = Callable[[str, str], Verified[Targets] | None]
"""Returns the verified role (delegator's name, its own name), or None where it cannot be had."""

_ISSUERS: Final = "issuers"


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path counts from.

    Attributes:
        target: What the role lists.
        chain: Names of the roles from the top down to the one that lists it.
    """

    target: TargetFile
    chain: tuple[str, ...]


def search(path: str, top: Verified[Targets], delegate: Delegate) -> Found | None:
    """Return where `path` counts from, or None where no role that may lists it.

    Args:
        path: The target path.
        top: The top-level targets.
        delegate: Gives a delegated role. Where it gives none the search ends (5.6.7.2): a path that an unavailable
            role might hold must not fall to one that comes after it.

    Raises:
        TrustRefused: More than `LIMITS.delegations` roles would have to be visited.
    """
    visited: set[str] = set()
    waiting: list[tuple[str, ...]] = [(Targets.type,)]
    while waiting:
        chain = waiting.pop()
        # 5.6.7.1: a role is visited once, so that cycles end.
        if chain[-1] in visited:
            continue
        role = top if len(chain) == 1 else delegate(*chain[-2:])
        if role is None:
            return None
        if path in role.signed.targets:
            return Found(role.signed.targets[path], chain)
        visited.add(chain[-1])
        _bounded(visited)
        children: list[tuple[str, ...]] = []
        for name, is_terminating in (
            role.signed.delegations.get_roles_for_target(path) if role.signed.delegations else ()
        ):
            children.append((*chain, name))
            if is_terminating:
                waiting.clear()
                break
        waiting += reversed(children)
    return None


def leading_to(
    issuers: Collection[str], top: Verified[Targets], delegate: Delegate
) -> Iterator[tuple[str, Verified[Targets]]]:
    """Yield the delegated roles that may speak for any of `issuers`, top down; a role may come more than once.

    Delegations by hash prefix name no issuer; they are followed by `search` alone.

    Raises:
        TrustRefused: More than `LIMITS.delegations` roles would have to be visited.
    """
    followed: dict[tuple[str, str], set[str]] = {}
    waiting: list[tuple[str, Verified[Targets], Collection[str]]] = [(Targets.type, top, issuers)]
    while waiting:
        delegator, role, concerned = waiting.pop()
        for child in _by_pattern(role):
            pair = (delegator, child.name)
            # Cycles end: a delegation is followed again for issuers it was not followed for before, and for no other.
            theirs = _concerned(child, concerned) - followed.get(pair, set())
            if not theirs:
                continue
            followed[pair] = followed.get(pair, set()) | theirs
            _bounded(followed)
            found = delegate(*pair)
            if found is not None:
                yield child.name, found
                waiting.append((child.name, found, theirs))


def _bounded(visited: Collection[object]) -> None:
    if len(visited) > LIMITS.delegations:
        raise TrustRefused(
            f"The publication needs more than {LIMITS.delegations} delegated roles.",
            "Tell the authority: a gate follows no more.",
        )


def _by_pattern(role: Verified[Targets]) -> Iterable[DelegatedRole]:
    delegations = role.signed.delegations
    return (delegations.roles or {}).values() if delegations else ()


def _concerned(child: DelegatedRole, issuers: Collection[str]) -> set[str]:
    """Return those of `issuers` whose paths a pattern of `child` may match."""
    found: set[str] = set()
    for pattern in child.paths or ():
        # As in the specification, 4.5: a wildcard does not cross a slash.
        parts = pattern.split("/")
        if len(parts) > 2 and matching((_ISSUERS,), parts[0]):  # noqa: PLR2004  # issuers/ID/...
            found.update(matching(issuers, parts[1]))
    return found
