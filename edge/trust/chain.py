"""By whose word a gate believes an issuer: from the root to its keys, for people. Nothing is decided here."""

from dataclasses import dataclass
from typing import Final

from tuf.api.metadata import Targets  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.errors import TrustMissing
from edge.model.trust import Issuer, IssuerKey, TrustSnapshot
from edge.trust import paths, records
from edge.trust.view import View
from edge.trust.workflow import Verified

_SHORT: Final = 8


@dataclass(frozen=True, slots=True)
class RoleShown:
    """A role of the view and who signed it.

    Attributes:
        name: Its name.
        version: Its version.
        expires_at: Until when it holds as an update, Unix seconds.
        signed_by: First eight characters of the ids of the keys that signed.
        threshold: How many had to.
        keys: How many might have.
        size: Bytes of its file.
        may_list: Path patterns it was given; empty for a top-level role.
    """

    name: str
    version: int
    expires_at: int
    signed_by: tuple[str, ...]
    threshold: int
    keys: int
    size: int
    may_list: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """Why an issuer is believed.

    Attributes:
        issuer: The issuer.
        roles: From the root to the role that lists its keys.
        path: Target path of its keys.
        digest: SHA-256 of that file, hexadecimal.
        keys: The keys.
        issued_at: Signed issue time of the timestamp, Unix seconds.
        timestamp: The timestamp's version.
        snapshot: The snapshot's version.
    """

    issuer: Issuer
    roles: tuple[RoleShown, ...]
    path: str
    digest: str
    keys: tuple[IssuerKey, ...]
    issued_at: int
    timestamp: int
    snapshot: int


def roles_of(view: View) -> tuple[RoleShown, ...]:
    """Return every role of the view, top down."""
    return tuple(_shown(view, name) for name in view.roles)


def chain_of(view: View, snapshot: TrustSnapshot, issuer: str) -> Chain:
    """Return by whose word `issuer` is believed.

    Raises:
        TrustMissing: It is not in the registry, or nobody vouches for keys of it.
    """
    if issuer not in snapshot.issuers:
        known = ", ".join(sorted(snapshot.issuers))
        raise TrustMissing(f"There is no issuer {issuer} in the registry.", f"Known are {known}.")
    path = paths.keys_path(issuer)
    found = view.listing.found.get(path)
    if found is None:
        raise TrustMissing(f"No role lists keys of issuer {issuer}.", "Its authority has not published any.")
    return Chain(
        issuer=snapshot.issuers[issuer],
        roles=tuple(_shown(view, name, under) for under, name in _pairs(found.chain)),
        path=path,
        digest=found.target.hashes["sha256"],
        keys=tuple(key for (owner, _), keys in snapshot.keys.items() if owner == issuer for key in keys),
        issued_at=snapshot.issued_at,
        timestamp=snapshot.versions.timestamp,
        snapshot=snapshot.versions.snapshot,
    )


def _pairs(chain: tuple[str, ...]) -> list[tuple[str, str]]:
    whole = (records.ROOT, *chain)
    return list(zip(("", *whole), whole, strict=False))


def _shown(view: View, name: str, under: str = "") -> RoleShown:
    role = view.roles[name]
    return RoleShown(
        name=name,
        version=role.signed.version,
        expires_at=role.expires_at,
        signed_by=tuple(sorted(id_[:_SHORT] for id_ in role.signers)),
        threshold=role.threshold,
        keys=role.keys,
        size=len(role.raw),
        may_list=_patterns(view.roles.get(under), name),
    )


def _patterns(delegator: object, name: str) -> tuple[str, ...]:
    signed = delegator.signed if isinstance(delegator, Verified) else None
    delegations = signed.delegations if isinstance(signed, Targets) else None
    role = (delegations.roles or {}).get(name) if delegations else None
    return tuple(role.paths or role.path_hash_prefixes or ()) if role else ()
