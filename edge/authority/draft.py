"""What the next publication must have signed: each offline role whose content, keys or time asks for a new version.

Pure: roles, files and the metadata in force in, unsigned metadata out, each with the keys it needs. Signing is left to
`edge.authority.signing`, writing to `edge.authority.repository`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature  # type: ignore[attr-defined]  # documented there
from tuf.api.metadata import (  # type: ignore[attr-defined]  # documented there, without `__all__`
    DelegatedRole,
    Delegations,
    Metadata,
    Root,
    TargetFile,
    Targets,
)

from edge.authority import roles as role_names
from edge.authority.roles import ROOT, TARGETS, TOP_LEVEL, Roles
from edge.codec.ed25519 import refuse_weak_point
from edge.errors import EncodingRefused, PublicationError
from edge.trust import paths, targets
from edge.trust.fields import Document, iso
from edge.trust.workflow import COSIGNED, SUNSET, Verified

DAY: Final = 86400
LIFETIME: Final[Mapping[str, int]] = {
    "root": 365 * DAY,
    "targets": 90 * DAY,
    "snapshot": 30 * DAY,
    "timestamp": 30 * DAY,
}
"""Seconds a role's metadata is offered for, by its type."""
RENEW: Final[Mapping[str, int]] = {"root": 60 * DAY, "targets": 30 * DAY, "snapshot": 15 * DAY}
"""Seconds before its expiry from which a role is signed anew though nothing changed."""
_LONGEST_S: Final = 2 * 366 * DAY
"""Metadata for longer than two years would outlive every habit of looking at it."""


class Cause(StrEnum):
    """Why a role gets a new version."""

    CHANGED = "changed"
    RESIGNED = "resigned"
    """Its content stays; too few of those who signed it still hold the role."""
    RENEWED = "renewed"
    """Its content stays; it runs out soon."""


@dataclass(frozen=True, slots=True)
class Need:
    """Some of these keys must sign.

    Attributes:
        keys: The keys by key id.
        threshold: How many of them.
    """

    keys: Mapping[str, Key]
    threshold: int

    def signers(self, payload: bytes, signatures: Mapping[str, Signature]) -> dict[str, str]:
        """Return who has signed `payload`: public key by key id."""
        found: dict[str, str] = {}
        for id_, key in self.keys.items():
            if id_ in signatures and _holds(key, signatures[id_], payload):
                found[id_] = str(key.keyval["public"])
        return found

    def missing(self, payload: bytes, signatures: Mapping[str, Signature]) -> int:
        """Return how many signatures are still missing; one key under two ids is one signer (TUF, 4.3)."""
        return max(0, self.threshold - len(set(self.signers(payload, signatures).values())))


def _holds(key: Key, signature: Signature, payload: bytes) -> bool:
    try:
        key.verify_signature(signature, payload)
    except UnverifiedSignatureError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Draft:
    """The next version of a role.

    Attributes:
        role: Its name.
        signed: The unsigned metadata, `Root` or `Targets`.
        needs: Who must sign; a root needs the keys of the root before as well as its own.
        cause: Why there is a new version.
    """

    role: str
    signed: Any
    needs: tuple[Need, ...]
    cause: Cause

    @property
    def version(self) -> int:
        """Its version."""
        return int(self.signed.version)

    @property
    def payload(self) -> bytes:
        """The canonical bytes that are signed."""
        return Metadata(self.signed).signed_bytes

    @property
    def keys(self) -> dict[str, Key]:
        """Every key that may sign, by key id."""
        return {id_: key for need in self.needs for id_, key in need.keys.items()}


@dataclass(frozen=True, slots=True)
class Published:
    """The metadata in force, verified from the files.

    Attributes:
        root: The newest root.
        timestamp: The timestamp, or None before the first publication.
        snapshot: The snapshot it names, or None.
        targets: The targets the snapshot names, or None.
        delegated: The delegated roles the snapshot names, by name.
    """

    root: Verified[Root]
    timestamp: Verified[Any] | None = None
    snapshot: Verified[Any] | None = None
    targets: Verified[Targets] | None = None
    delegated: Mapping[str, Verified[Targets]] = field(default_factory=lambda: MappingProxyType({}))

    def offline(self, name: str) -> Verified[Any] | None:
        """Return the metadata of an offline role in force, or None."""
        if name == ROOT:
            return self.root
        return self.targets if name == TARGETS else self.delegated.get(name)

    def listed(self) -> dict[str, str]:
        """Return the SHA-256 of every target in force by path, each from the role that carries it."""
        found: dict[str, str] = {}
        for metadata in (self.targets, *self.delegated.values()):
            for path, target in metadata.signed.targets.items() if metadata else ():
                found.setdefault(path, target.hashes["sha256"])
        return found


def expires(kind: str, now: int) -> datetime:
    """Return until when metadata of a type that is signed now is offered."""
    return datetime.fromtimestamp(now + LIFETIME[kind], UTC)


def root_of(roles: Roles, version: int, now: int) -> Root:
    """Return the root that follows from the roles."""
    sunset = {} if roles.sunset is None else {SUNSET: iso(roles.sunset)}
    root = Root(version, expires=expires(ROOT, now), consistent_snapshot=True, unrecognized_fields=sunset)
    for name in TOP_LEVEL:
        for holder in roles.by_name[name].holders:
            root.add_key(holder.key, name)
        root.roles[name].threshold = roles.by_name[name].threshold
    return root


def need_of_root(root: Root, role: str) -> Need:
    """Return who must sign a top-level role under `root`."""
    found = root.roles[role]
    return Need({id_: root.keys[id_] for id_ in found.keyids if id_ in root.keys}, found.threshold)


def need_of_parent(parent: Targets, role: str) -> Need:
    """Return who must sign a role that `parent` delegates to.

    Raises:
        PublicationError: It does not delegate to it.
    """
    delegations = parent.delegations
    if delegations is None or role not in (delegations.roles or {}):
        raise PublicationError(f"Nobody delegates to role {role}.", "Make the request again.")
    found = (delegations.roles or {})[role]
    return Need({id_: delegations.keys[id_] for id_ in found.keyids if id_ in delegations.keys}, found.threshold)


def drafts(before: Published, roles: Roles, files: Mapping[str, bytes], now: int) -> tuple[Draft, ...]:
    """Return what must be signed so that `roles` and `files` come into force, delegators before their roles.

    Args:
        before: What is in force.
        roles: Who may sign what from now on.
        files: The target files, by path.
        now: Unix seconds.
    """
    # One at a time: large lists are read when they are asked for.
    listed = {path: TargetFile.from_data(path, files[path], ["sha256"]) for path in sorted(files)}
    issuers = tuple(targets.issuers(Document(files[paths.ISSUERS], paths.ISSUERS)))
    placed = _placed(listed, issuers, roles)
    fresh: dict[str, Any] = {}
    found: list[Draft] = []
    for name in (ROOT, *_order(roles)):
        if name not in (ROOT, TARGETS, *placed, *before.delegated):
            continue
        if name == ROOT:
            wanted: Any = root_of(roles, before.root.signed.version + 1, now)
        else:
            wanted = _wanted(name, roles, listed, placed, now)
            wanted.delegations = _delegations(name, roles, issuers)
        draft = _draft(before, name, wanted, {**fresh, name: wanted}, now)
        if draft:
            found.append(draft)
            fresh[name] = draft.signed
    return tuple(found)


def needs_of(name: str, before: Published, fresh: Mapping[str, Any]) -> tuple[Need, ...]:
    """Return who must sign a role.

    Args:
        name: The role.
        before: What is in force.
        fresh: What will be in force, by role, where it is other than before.

    Raises:
        PublicationError: Nobody delegates to it.
    """
    root = fresh.get(ROOT, before.root.signed)
    if name == ROOT:
        # TUF 5.3.4: a threshold of the root before, so that gates follow, and one of its own.
        return need_of_root(before.root.signed, ROOT), need_of_root(root, ROOT)
    parent = role_names.parent_of(name, (*fresh, *before.delegated))
    if parent is None:
        return (need_of_root(root, name),)
    current = before.offline(parent)
    delegator = fresh.get(parent, current.signed if current else None)
    if delegator is None:
        raise PublicationError(f"Nobody delegates to role {name}.", "Make the request again.")
    return (need_of_parent(delegator, name),)


def _order(roles: Roles) -> list[str]:
    """Return the targets roles, each after the one that delegates to it."""
    return [TARGETS, *sorted(roles.delegated, key=lambda name: (len(role_names.region_of(name)), name))]


def _placed(listed: Iterable[str], issuers: Iterable[str], roles: Roles) -> dict[str, list[str]]:
    """Return the paths each role carries; a role is there once a registered issuer leads to it."""
    found: dict[str, list[str]] = {}
    for issuer in issuers:
        found.setdefault(roles.carrier(issuer), [])
    for path in listed:
        name = roles.carrier(path.split("/")[1]) if path.startswith("issuers/") else TARGETS
        found.setdefault(name, []).append(path)
    for name in tuple(found):
        parent = role_names.parent_of(name, roles.by_name)
        if parent is not None:
            found.setdefault(parent, [])
    return found


def _wanted(
    name: str, roles: Roles, listed: Mapping[str, TargetFile], placed: Mapping[str, Iterable[str]], now: int
) -> Targets:
    fields: dict[str, Any] = {}
    if name == TARGETS:
        # What is no longer published needs no approval any more.
        digests = {path: target.hashes["sha256"] for path, target in listed.items()}
        approved = [{"path": path, "sha256": d} for path, d in sorted(roles.cosigned) if digests.get(path) == d]
        fields = {COSIGNED: approved} if approved else {}
    mine = {path: listed[path] for path in placed.get(name, ())}
    return Targets(1, None, expires(TARGETS, now), mine, unrecognized_fields=fields)


def _delegations(name: str, roles: Roles, issuers: Iterable[str]) -> Delegations | None:
    children = roles.children(name)
    if not children:
        return None
    keys: dict[str, Key] = {}
    found: dict[str, DelegatedRole] = {}
    national = [issuer for issuer in issuers if not issuer.isdigit()]
    for child in children:
        role = roles.by_name[child]
        mine = {holder.key.keyid: holder.key for holder in role.holders}
        keys |= mine
        patterns = role_names.paths_of(child, national)
        found[child] = DelegatedRole(child, list(mine), role.threshold, terminating=True, paths=patterns)
    return Delegations(keys, found)


def _draft(before: Published, name: str, wanted: Any, fresh: Mapping[str, Any], now: int) -> Draft | None:
    current, needs = before.offline(name), needs_of(name, before, fresh)
    if current is None:
        return Draft(name, wanted, needs, Cause.CHANGED)
    wanted.version = current.signed.version + 1
    cause = cause_of(current, wanted, needs)
    if cause is Cause.RENEWED and current.expires_at - now > RENEW[current.signed.type]:
        return None
    return Draft(name, wanted, needs, cause)


def cause_of(current: Verified[Any], wanted: Any, needs: tuple[Need, ...]) -> Cause:
    """Return why `wanted` follows `current`."""
    if content(current.signed) != content(wanted):
        return Cause.CHANGED
    metadata: Metadata[Any] = Metadata.from_bytes(current.raw)
    unmet = any(need.missing(metadata.signed_bytes, metadata.signatures) for need in needs)
    return Cause.RESIGNED if unmet else Cause.RENEWED


def content(signed: Any) -> dict[str, Any]:
    """Return what metadata says, its version and expiry apart."""
    members: dict[str, Any] = signed.to_dict()
    return {name: value for name, value in members.items() if name not in {"version", "expires", "spec_version"}}


def refuse_weak(keys: Iterable[Key]) -> None:
    """Check keys that metadata names.

    Raises:
        PublicationError: One is no Ed25519 key, weak or malformed.
    """
    for key in keys:
        is_ed25519 = key.keytype == key.scheme == "ed25519"
        try:
            refuse_weak_point(bytes.fromhex(str(key.keyval.get("public", ""))) if is_ed25519 else b"")
        except (EncodingRefused, ValueError) as error:
            raise PublicationError(f"Key {key.keyid[:8]} is refused: {error}.", "Make another key.") from error


def refuse_outdated(asked: Iterable[Draft], now: int) -> None:
    """Check that nothing that is signed has run out by now, or would hold for years.

    Raises:
        PublicationError: It would; the message names the role.
    """
    for draft in asked:
        expiry = int(draft.signed.expires.timestamp())
        if not now < expiry <= now + _LONGEST_S:
            raise PublicationError(
                f"Role {draft.role} would hold until {iso(expiry)}.", "Check this machine's clock, or ask for it anew."
            )


def listed_after(before: Published, fresh: Iterable[Draft]) -> dict[str, TargetFile]:
    """Return every target there will be once drafts are in force, by path, each from the role that carries it."""
    signed = {draft.role: draft.signed for draft in fresh}
    found: dict[str, TargetFile] = {}
    for role in dict.fromkeys((TARGETS, *before.delegated, *signed)):
        current = before.offline(role)
        metadata = signed.get(role, current.signed if current else None)
        for path, target in metadata.targets.items() if role != ROOT and metadata is not None else ():
            found.setdefault(path, target)
    return found
