"""The TUF client workflow: bytes in, verified metadata out, every rule by its clause of the specification (5.3 to 5.6).

No file, socket or clock: the store hands over bytes, floors and the time. Rollback protection rests on *floors*, small
facts about the newest metadata ever verified, and not on the old files: those can be lost to a power cut.
Only the public `tuf.api` is used (ADR 0005). Which delegated role speaks for which path is left to
`edge.trust.delegations`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final, Generic, TypeVar, cast

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # tuf documents these names here, without `__all__`
    Key,
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    Targets,
    Timestamp,
)

from edge.errors import TrustExpired, TrustOlder, TrustRefused
from edge.trust.fields import iso
from edge.trust.floors import Floors, SnapshotFloor, TimestampFloor
from edge.trust.keyusage import weak_key

ISSUED_AT: Final = "x-edge-issued-at"
"""Signed member of the timestamp: when the authority issued it. The age of trust counts from here."""
SUNSET: Final = "x-edge-sunset"
"""Signed member of the root: until when policies may run. Only a new root, three of five keys, moves it."""
COSIGNED: Final = "x-edge-cosigned"
"""Signed member of the top-level targets: delegated files that the national role vouches for as well."""
_MAX_VERSION: Final = 1 << 53
_TARGETS_FILE: Final = "targets.json"
_MAX_NAME: Final = 200
_MAX_COSIGNED: Final = 4096

Role = TypeVar("Role", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class Verified(Generic[Role]):
    """Metadata whose signatures met the threshold.

    Attributes:
        signed: The parsed signed part.
        raw: The file's bytes.
        signers: Public key by key id of those whose signature verified.
        threshold: How many were required.
        keys: How many keys might have signed.
    """

    signed: Role
    raw: bytes
    signers: Mapping[str, str]
    threshold: int
    keys: int = 0

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return sha256(self.raw).digest()

    @property
    def expires_at(self) -> int:
        """Unix seconds from which it no longer holds as an update."""
        return int(self.signed.expires.timestamp())


@dataclass(frozen=True, slots=True)
class Limits:
    """Most bytes taken of a metadata file whose length nobody signed."""

    root: int = 512 << 10
    timestamp: int = 16 << 10
    snapshot: int = 2 << 20
    targets: int = 5 << 20
    rotations: int = 256
    delegations: int = 1024
    """Delegated roles that one search or one view visits: 34 provinces, 400 prefectures, and room to grow."""
    listed: int = 4096
    """Delegated roles that one metadata file may list."""
    grace_s: int = 30 * 86400
    """How long past its expiry a delegated role that was verified before still counts: the default of `too old`."""


LIMITS: Final = Limits()
_TYPES: Final[Mapping[type[Signed], str]] = {role: role.type for role in (Root, Timestamp, Snapshot, Targets)}


def _opened(role: type[Role], data: bytes, name: str = "") -> tuple[Metadata[Role], bytes]:
    """Return parsed metadata and the exact bytes that its signatures cover."""
    name = name or _TYPES[role]
    try:
        # Foreign bytes reach tuf's parser here and nowhere else; it wraps every fault of theirs.
        metadata = cast("Metadata[Role]", Metadata.from_bytes(data))
        # Values without a canonical form (floats) fail here, inside the fence.
        payload = metadata.signed_bytes
    except RepositoryError as error:
        raise TrustRefused(f"The {name} metadata is not TUF metadata.", _ELSE) from error
    if not isinstance(metadata.signed, role):
        raise TrustRefused(f"The {name} metadata is of another type.", _ELSE)
    if type(metadata.signed.version) is not int or metadata.signed.version >= _MAX_VERSION:
        raise TrustRefused(f"The {name} metadata has no usable version.", _ELSE)
    return metadata, payload


_ELSE: Final = "Nothing was changed. Check that the address or stick is the authority's publication."


def _verified(
    opened: tuple[Metadata[Role], bytes], data: bytes, *, by: Root | Targets, name: str = ""
) -> Verified[Role]:
    """Check the signatures of `data` against the keys that `by` gives the role."""
    metadata, payload = opened
    name = name or metadata.signed.type
    try:
        result = by.get_verification_result(name, payload, metadata.signatures)
    except ValueError as error:
        raise TrustRefused(f"The {name} metadata is nobody's: no role of that name is known.", _ELSE) from error
    # One key under several ids is one signer: a threshold counts keys (TUF specification, 4.3).
    signers = {id_: _public(key.keyval) for id_, key in result.signed.items()}
    if len(set(signers.values())) < result.threshold:
        raise TrustRefused(
            f"The {name} metadata is signed by {len(set(signers.values()))} of the {result.threshold} keys it needs.",
            _ELSE,
        )
    return Verified(metadata.signed, data, signers, result.threshold, len(result.signed) + len(result.unsigned))


def _public(keyval: Mapping[str, object]) -> str:
    return str(keyval.get("public", ""))


def _refuse_weak_keys(name: str, keys: Mapping[str, Key]) -> None:
    if weak_key(keys) is not None:
        raise TrustRefused(f"The {name} metadata holds a weak or malformed key.", _ELSE)


def first_root(data: bytes) -> Verified[Root]:
    """Open a root that is trusted for another reason: pinned at enrolment, or kept since.

    Raises:
        TrustRefused: It is no root, or does not meet its own threshold.
    """
    opened = _opened(Root, data)
    root = opened[0].signed
    _refuse_weak_keys(Root.type, root.keys)
    return _verified(opened, data, by=root)


def next_root(current: Verified[Root], data: bytes) -> Verified[Root]:
    """Verify the root that follows `current`.

    Raises:
        TrustRefused: It does not follow.
    """
    opened = _opened(Root, data)
    # 5.3.4, arbitrary software attack: a threshold of the keys of root N, and a threshold of those of root N+1.
    _verified(opened, data, by=current.signed)
    # 5.3.5, rollback attack: exactly N+1.
    if opened[0].signed.version != current.signed.version + 1:
        raise TrustRefused(
            f"Root {opened[0].signed.version} was offered where {current.signed.version + 1} follows.", _ELSE
        )
    # 5.3.6: the expiry of an intermediate root does not matter yet.
    return first_root(data)


def check_root_floor(root: Verified[Root], floors: Floors) -> None:
    """Check that a chain of roots has reached the newest root ever verified, and not another of its version.

    A lost root file is walked again from the pinned one; old root keys, perhaps stolen since, must not lead elsewhere.

    Raises:
        TrustRefused: The chain ends below the floor or beside it.
    """
    if root.signed.version < floors.root.version:
        raise TrustOlder(
            f"Root {root.signed.version} was offered; this gate has already verified root {floors.root.version}.",
            "The address or stick is out of date: use a newer one.",
        )
    if root.signed.version == floors.root.version and root.digest != floors.root.digest:
        raise TrustRefused(f"Root {root.signed.version} is not the one this gate has verified before.", _ELSE)


def sunset(root: Root) -> int | None:
    """Return until when policies may run under this root, Unix seconds; None where it sets no bound.

    Raises:
        TrustRefused: It is not a time.
    """
    text = root.unrecognized_fields.get(SUNSET)
    return None if text is None else _moment(text, "The root's end of policies is not a time.")


def _moment(text: object, otherwise: str) -> int:
    try:
        return int(datetime.strptime(text, _TIME_FORM).replace(tzinfo=UTC).timestamp())  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise TrustRefused(otherwise, _ELSE) from error


_TIME_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"


def check_freeze(metadata: Verified[Role], now: int, *, name: str = "") -> None:
    """Check that an update has not expired (5.3.10, 5.4.4, 5.5.6, 5.6.5, freeze attack).

    Args:
        metadata: The update.
        now: The fixed update start time (5.1), Unix seconds, not before the newest signed issue time.
        name: The role's name where that is not its type.

    Raises:
        TrustExpired: It has.
    """
    if metadata.signed.is_expired(datetime.fromtimestamp(now, UTC)):
        raise TrustExpired(
            f"The {name or metadata.signed.type} metadata offered expired at {iso(metadata.expires_at)}.",
            "Use an up-to-date address or stick, and check this machine's clock.",
        )


def floors_after_rotation(root: Verified[Root], floors: Floors) -> Floors:
    """Return the floors that stand under the newest root (5.3.11).

    Fast-forward recovery: once the timestamp or snapshot keys have been rotated, what the old keys said about versions
    no longer counts. Rotated means that fewer than the threshold of those who signed a floor still hold the role. The
    floor itself names its signers, so walking an old chain of roots again cannot drop a floor that newer keys set.
    """
    rotated = any(
        floor is not None and not _still_vouched(root.signed, name, floor)
        for name, floor in ((Timestamp.type, floors.timestamp), (Snapshot.type, floors.snapshot))
    )
    return replace(floors, timestamp=None, snapshot=None) if rotated else floors


def _still_vouched(root: Root, name: str, floor: TimestampFloor | SnapshotFloor) -> bool:
    holders = {_public(root.keys[id_].keyval) for id_ in root.roles[name].keyids if id_ in root.keys}
    return len(holders & set(floor.signers.values())) >= floor.threshold


def opened_timestamp(root: Verified[Root], data: bytes) -> Verified[Timestamp]:
    """Return a timestamp whose signatures hold (5.4.2, arbitrary software attack).

    Raises:
        TrustRefused: They do not, or its issue time is malformed.
    """
    found = _verified(_opened(Timestamp, data), data, by=root.signed)
    issued_at(found.signed)
    _meta_version(found.signed.snapshot_meta)
    return found


def issued_at(timestamp: Timestamp) -> int:
    """Return the signed issue time, Unix seconds; 0 where there is none, so that such trust counts as too old.

    Raises:
        TrustRefused: It is not a time, or lies behind the expiry.
    """
    text = timestamp.unrecognized_fields.get(ISSUED_AT)
    if text is None:
        return 0
    otherwise = "The timestamp's issue time is not a time before its expiry."
    found = _moment(text, otherwise)
    # The expiry bounds how far forward a timestamp can push the time floor.
    if not 0 <= found < int(timestamp.expires.timestamp()):
        raise TrustRefused(otherwise, _ELSE)
    return found


def check_timestamp(new: Verified[Timestamp], floors: Floors) -> None:
    """Check a timestamp against the newest one ever verified (5.4.3, rollback attack); equal passes.

    Raises:
        TrustRefused: It is older, or names an older snapshot.
    """
    floor = floors.timestamp
    if floor is None:
        return
    # 5.4.3.1
    if new.signed.version < floor.version:
        raise TrustOlder(
            f"Timestamp {new.signed.version} was offered; this gate has already verified {floor.version}.", _OLD
        )
    # Ours, in the spirit of 5.4.3: time runs forward, whatever the version says.
    if issued_at(new.signed) < floor.issued_at:
        raise TrustOlder(f"The timestamp offered was issued before {iso(floor.issued_at)}, the newest seen.", _OLD)
    # 5.4.3.2
    if new.signed.snapshot_meta.version < floor.snapshot:
        raise TrustOlder(
            f"Snapshot {new.signed.snapshot_meta.version} was offered; this gate has seen {floor.snapshot}.", _OLD
        )


_OLD: Final = "The address or stick is out of date: use a newer one."


def opened_snapshot(root: Verified[Root], timestamp: Timestamp, data: bytes) -> Verified[Snapshot]:
    """Return the snapshot that `timestamp` names.

    Raises:
        TrustRefused: Its hash, length, signatures or version do not hold.
    """
    # 5.5.2, mix-and-match: the hashes of the timestamp, checked before the signatures.
    _check_file("snapshot", timestamp.snapshot_meta, data)
    # 5.5.3, arbitrary software attack.
    found = _verified(_opened(Snapshot, data), data, by=root.signed)
    # 5.5.4
    if found.signed.version != timestamp.snapshot_meta.version:
        raise TrustRefused(
            f"Snapshot {found.signed.version} was offered where the timestamp names {timestamp.snapshot_meta.version}.",
            _ELSE,
        )
    if _TARGETS_FILE not in found.signed.meta:
        raise TrustRefused("The snapshot names no targets metadata.", _ELSE)
    for meta in found.signed.meta.values():
        _meta_version(meta)
    return found


def check_snapshot(new: Verified[Snapshot], floors: Floors) -> None:
    """Check a snapshot against the newest one ever verified (5.5.5, rollback attack).

    Raises:
        TrustRefused: A targets file is older than one seen before, or is no longer listed.
    """
    for name, version in floors.snapshot.meta.items() if floors.snapshot else ():
        offered = new.signed.meta.get(name)
        if offered is None:
            raise TrustRefused("The snapshot offered no longer lists a targets file that this gate has seen.", _ELSE)
        if offered.version < version:
            raise TrustOlder(
                f"A targets file of version {offered.version} was offered; this gate has seen {version}.", _OLD
            )


def opened_targets(root: Verified[Root], snapshot: Snapshot, data: bytes) -> Verified[Targets]:
    """Return the top-level targets that `snapshot` names.

    Raises:
        TrustRefused: Its hash, length, signatures or version do not hold.
    """
    return _targets(root.signed, snapshot, data, Targets.type)


def opened_delegated(delegator: Verified[Targets], snapshot: Snapshot, data: bytes, *, name: str) -> Verified[Targets]:
    """Return the delegated targets `name` that `snapshot` names, signed as `delegator` wants it.

    Raises:
        TrustRefused: Its hash, length, signatures or version do not hold.
    """
    return _targets(delegator.signed, snapshot, data, name)


def _targets(delegator: Root | Targets, snapshot: Snapshot, data: bytes, name: str) -> Verified[Targets]:
    meta = role_meta(snapshot, name)
    if meta is None:
        raise TrustRefused(f"The snapshot names no {name} metadata.", _ELSE)
    # 5.6.2, mix-and-match.
    _check_file(name, meta, data)
    # 5.6.3, arbitrary software attack.
    found = _verified(_opened(Targets, data, name), data, by=delegator, name=name)
    # 5.6.4
    if found.signed.version != meta.version:
        raise TrustRefused(
            f"Version {found.signed.version} of {name} was offered where the snapshot names {meta.version}.", _ELSE
        )
    check_delegations(name, found.signed)
    return found


def check_delegations(name: str, targets: Targets) -> None:
    """Check what a targets role delegates, as far as tuf does not: how many roles, under what names, to what keys.

    Raises:
        TrustRefused: There are too many, a name is not usable, or a key is weak.
    """
    delegations = targets.delegations
    if delegations is None:
        return
    roles = delegations.roles or {}
    if len(roles) > LIMITS.listed:
        raise TrustRefused(f"The {name} metadata lists more than {LIMITS.listed} delegated roles.", _ELSE)
    succinct = delegations.succinct_roles
    # tuf takes a role's name as it stands; it becomes part of an address and of a file's name.
    for role in (*roles, *((succinct.name_prefix,) if succinct else ())):
        if type(role) is not str or len(role) > _MAX_NAME or not role.isprintable():
            raise TrustRefused(f"The {name} metadata delegates to a role of no usable name.", _ELSE)
    _refuse_weak_keys(name, delegations.keys)


def targets_meta(snapshot: Snapshot) -> MetaFile:
    """Return what `snapshot` says of the top-level targets."""
    return snapshot.meta[_TARGETS_FILE]


def role_meta(snapshot: Snapshot, name: str) -> MetaFile | None:
    """Return what `snapshot` says of a targets role; None where it does not list it."""
    return snapshot.meta.get(f"{name}.json")


def cosigned(targets: Targets) -> frozenset[tuple[str, str]]:
    """Return the (path, SHA-256) of delegated files that the top-level role vouches for as well.

    Raises:
        TrustRefused: The member is malformed.
    """
    rows = targets.unrecognized_fields.get(COSIGNED, [])
    try:
        if not isinstance(rows, list) or len(rows) > _MAX_COSIGNED:
            raise TypeError(COSIGNED)  # noqa: TRY301  # the same answer as for a malformed row
        found = frozenset((row["path"], row["sha256"]) for row in rows)
        if not all(type(part) is str for pair in found for part in pair):
            raise TypeError(COSIGNED)  # noqa: TRY301
    except (KeyError, TypeError) as error:
        raise TrustRefused(f"The member {COSIGNED} of the targets metadata is malformed.", _ELSE) from error
    return found


def _meta_version(meta: MetaFile) -> None:
    if type(meta.version) is not int or meta.version >= _MAX_VERSION:
        raise TrustRefused("The metadata names a version that is not usable.", _ELSE)


def _check_file(name: str, meta: MetaFile, data: bytes) -> None:
    try:
        meta.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise TrustRefused(f"The {name} metadata offered is not the one that was signed for.", _ELSE) from error
