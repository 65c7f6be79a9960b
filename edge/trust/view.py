"""A gate's view: complete verified metadata of one moment, and which targets count in it (ADR 0004, ADR 0020).

`national/` counts from the top-level role alone; what an issuer publishes counts from the role that the TUF search
gives; issuers are those of the registry. Where metadata comes from, a mirror or the store, is left to the caller.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tuf.api.metadata import (  # type: ignore[attr-defined]  # documented there, without `__all__`
    Key,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from edge.errors import TrustRefused
from edge.model.trust import TrustVersions
from edge.trust import delegations, keyusage, paths, records, workflow
from edge.trust.delegations import Delegate, Found
from edge.trust.files import wanted
from edge.trust.snapshot import Provenance
from edge.trust.workflow import Verified

_ISSUERS: Final = "issuers/"


@dataclass(frozen=True, slots=True)
class Listing:
    """What counts, and by whose word.

    Attributes:
        found: Target and chain of roles by target path.
        roles: The delegated roles that were needed, by name.
    """

    found: Mapping[str, Found]
    roles: Mapping[str, Verified[Targets]]

    def targets(self) -> Targets:
        """Return all that counts as one targets role."""
        return Targets(targets={path: found.target for path, found in self.found.items()})


def listing(top: Verified[Targets], issuers: Collection[str], delegate: Delegate) -> Listing:
    """Return the targets that count for a gate that knows `issuers`.

    Args:
        top: The top-level targets.
        issuers: Ids of the registry.
        delegate: Gives a delegated role.

    Raises:
        TrustRefused: Too many roles would have to be visited; and whatever `delegate` raises.
    """
    roles: dict[str, Verified[Targets]] = {}
    answers: dict[tuple[str, str], Verified[Targets] | None] = {}

    def noting(delegator: str, name: str) -> Verified[Targets] | None:
        pair = (delegator, name)
        if pair not in answers:
            answers[pair] = delegate(delegator, name)
        role = answers[pair]
        if role is not None:
            roles[name] = role
        return role

    known = frozenset(issuers)
    leading = [role for _, role in delegations.leading_to(known, top, noting)]
    listed = {path for role in (top, *leading) for path in role.signed.targets if _issuer_of(path) in known}
    found = {
        path: Found(target, (Targets.type,))
        for path, target in top.signed.targets.items()
        if paths.is_gate_target(path) and _issuer_of(path) is None
    }
    for path in sorted(listed | {paths.keys_path(issuer) for issuer in known}):
        counting = delegations.search(path, top, noting) if paths.is_gate_target(path) else None
        if counting is not None:
            found[path] = counting
    return Listing(MappingProxyType(found), MappingProxyType(roles))


def registry_of(top: Targets) -> TargetFile:
    """Return the registry of issuers that the top-level targets list.

    Raises:
        TrustRefused: It is missing, or its size or hash is not usable.
    """
    found = wanted(Targets(targets={path: target for path, target in top.targets.items() if path == paths.ISSUERS}))
    if paths.ISSUERS not in found:
        raise TrustRefused(
            f"{paths.ISSUERS} is missing from the publication.", "Tell the authority: its publication cannot be read."
        )
    return found[paths.ISSUERS]


def _issuer_of(path: str) -> str | None:
    return path.split("/", 2)[1] if path.startswith(_ISSUERS) else None


@dataclass(frozen=True, slots=True)
class View:
    """Complete metadata of one moment of the repository.

    Attributes:
        root: Its root.
        timestamp: Its timestamp.
        snapshot: Its snapshot.
        targets: Its top-level targets.
        listing: Which targets count, from which roles.
        withheld: Delegated roles that were already expired when they came: what they list is not in the view.
    """

    root: Verified[Root]
    timestamp: Verified[Timestamp]
    snapshot: Verified[Snapshot]
    targets: Verified[Targets]
    listing: Listing
    withheld: frozenset[str] = frozenset()

    @property
    def roles(self) -> Mapping[str, Verified[Root] | Verified[Timestamp] | Verified[Snapshot] | Verified[Targets]]:
        """Every role of the view by name, top down."""
        return {
            records.ROOT: self.root,
            records.TIMESTAMP: self.timestamp,
            records.SNAPSHOT: self.snapshot,
            records.TARGETS: self.targets,
            **self.listing.roles,
        }

    def _keys(self) -> Iterator[Key]:
        """Yield every key that may sign metadata of this view."""
        yield from self.root.signed.keys.values()
        for role in (self.targets, *self.listing.roles.values()):
            if role.signed.delegations is not None:
                yield from role.signed.delegations.keys.values()

    def records(self) -> dict[str, bytes]:
        """Return it as records."""
        found = {
            records.view(name if name in records.TOP_LEVEL else records.delegated(name)): role.raw
            for name, role in self.roles.items()
        }
        if self.withheld:
            found[records.WITHHELD] = json.dumps(sorted(self.withheld)).encode()
        return found

    def provenance(self) -> Provenance:
        """Return what it says about its targets.

        Raises:
            TrustRefused: A member of ours in the signed metadata is malformed.
        """
        # A province's expiry far ahead must not widen what a gate believes of its clock: only national roles count.
        national = [part.expires_at for part in (self.root, self.timestamp, self.snapshot, self.targets)]
        return Provenance(
            versions=TrustVersions(
                self.root.signed.version,
                self.timestamp.signed.version,
                self.snapshot.signed.version,
                self.targets.signed.version,
            ),
            digest=self.snapshot.digest,
            issued_at=workflow.issued_at(self.timestamp.signed),
            newest_expiry=max(national),
            next_expiry=min(role.expires_at for role in self.roles.values()),
            sunset=workflow.sunset(self.root.signed),
            cosigned=workflow.cosigned(self.targets.signed),
            roles=keyusage.publics(self._keys()),
        )
