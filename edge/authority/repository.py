"""The signed tree `publication/`: plain files that any web server, mirror or stick can carry.

Order makes it safe to serve while it is written: targets, the metadata that names them, the log's entry, the timestamp
last. What is published is left to `edge.authority.publish`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast

from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # documented there
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # documented there, without `__all__`
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from edge.authority import log, roles
from edge.authority.draft import RENEW, Published, expires, need_of_parent, need_of_root
from edge.authority.keys import KeyFolder
from edge.authority.log import Entry, PublicationLog, SignedRole
from edge.authority.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from edge.authority.signing import SignedDraft
from edge.disk import durable
from edge.errors import PublicationError, TrustRefused
from edge.trust import workflow
from edge.trust.fields import iso
from edge.trust.workflow import Verified

FIRST_ROOT: Final = "1.root.json"
KEPT_VERSIONS: Final = 10
"""Older versions that stay, for gates and mirrors that are in the middle of a refresh."""
_RESTORE: Final = "Restore it from a mirror or a backup."


@dataclass(frozen=True, slots=True)
class Signed:
    """Metadata as it stands in a file.

    Attributes:
        role: Whose.
        version: Its version.
        data: The file.
        signers: Key ids of those whose signature holds.
    """

    role: str
    version: int
    data: bytes
    signers: tuple[str, ...]

    @property
    def named(self) -> SignedRole:
        """How the log names it."""
        return SignedRole(self.role, self.version, sha256(self.data).hexdigest(), tuple(sorted(self.signers)))


class Repository:
    """The folder `publication/` of an authority.

    Args:
        folder: Where it is.
        keys: Who signs snapshot, timestamp and the log.
    """

    def __init__(self, folder: Path, keys: KeyFolder) -> None:
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"
        self._keys = keys
        self.log = PublicationLog(folder / "log")

    # Reading back

    def published(self) -> Published:
        """Return what is in force, each step verified as a gate would.

        Raises:
            PublicationError: The tree is damaged.
        """
        try:
            root = self._newest_root()
            if not (self._metadata / "timestamp.json").exists():
                return Published(root)
            return self._opened(root, workflow.opened_timestamp(root, self._read("timestamp.json")))
        except TrustRefused as error:
            raise PublicationError(f"{self._metadata} does not verify: {error.message}", _RESTORE) from error

    def _opened(self, root: Verified[Root], timestamp: Verified[Timestamp]) -> Published:
        name = f"{timestamp.signed.snapshot_meta.version}.snapshot.json"
        snapshot = workflow.opened_snapshot(root, timestamp.signed, self._read(name))
        name = f"{workflow.targets_meta(snapshot.signed).version}.targets.json"
        targets = workflow.opened_targets(root, snapshot.signed, self._read(name))
        found: dict[str, Verified[Targets]] = {}
        parents = {TARGETS: targets.signed}
        names = sorted((name.removesuffix(".json") for name in snapshot.signed.meta), key=_depth)
        for role in names:
            parent = roles.parent_of(role, names)
            if role != TARGETS and parent in parents:
                found[role] = self._opened_delegated(parents[parent], snapshot.signed, role)
                parents[role] = found[role].signed
        return Published(root, timestamp, snapshot, targets, MappingProxyType(found))

    def _opened_delegated(self, parent: Targets, snapshot: Snapshot, role: str) -> Verified[Targets]:
        meta = snapshot.meta[f"{role}.json"]
        data = self._read(f"{meta.version}.{role}.json")
        return opened_delegated(parent, role, meta, data)

    def _newest_root(self) -> Verified[Root]:
        root = workflow.first_root(self._read(FIRST_ROOT))
        while (self._metadata / f"{root.signed.version + 1}.root.json").exists():
            root = workflow.next_root(root, self._read(f"{root.signed.version + 1}.root.json"))
        return root

    def _read(self, name: str) -> bytes:
        try:
            return (self._metadata / name).read_bytes()
        except OSError as error:
            raise PublicationError(f"{self._metadata / name} cannot be read: {error.strerror}.", _RESTORE) from error

    def roots(self) -> tuple[bytes, ...]:
        """Return every root there ever was.

        Raises:
            PublicationError: One is missing.
        """
        newest = self.published().root.signed.version
        return tuple(self._read(f"{version}.root.json") for version in range(1, newest + 1))

    def target(self, path: str, digest: str, most: int) -> bytes | None:
        """Return a target in force by its SHA-256, or None where it is not here whole or is over `most` bytes."""
        folder, _, name = path.rpartition("/")
        place = self._targets / folder / f"{digest}.{name}"
        try:
            data = place.read_bytes() if place.stat().st_size <= most else b""
        except OSError:
            return None
        return data if sha256(data).hexdigest() == digest else None

    # Publishing

    def first_root(self, root: SignedDraft) -> None:
        """Write root 1.

        Raises:
            OSError: The file system refuses.
        """
        for folder in (self._metadata, self._targets):
            folder.mkdir(parents=True, exist_ok=True)
        durable.write(self._metadata / FIRST_ROOT, root.data)

    def put_files(self, listed: Mapping[str, TargetFile], files: Mapping[str, bytes]) -> None:
        """Write the target files that are not there yet, under their hashes.

        Args:
            listed: What the metadata says of each, by path.
            files: Their bytes, read only where they are needed.

        Raises:
            OSError: The file system refuses.
        """
        for path, target in listed.items():
            place = self._targets / target.get_prefixed_paths()[0]
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                durable.write(place, files[path])

    def commit(self, before: Published, signed: Iterable[SignedDraft], now: int) -> None:
        """Bring signed metadata into force: sign snapshot, timestamp and log, then show all of it to gates.

        Args:
            before: What is in force.
            signed: New versions of offline roles, each signed by enough keys.
            now: Unix seconds.

        Raises:
            PublicationError: A key of the online roles is missing.
            OSError: The file system refuses.
        """
        fresh = {one.draft.role: _signed_of(one) for one in signed}
        root = fresh.get(ROOT)
        signing: Root = root_signed(root.data) if root else before.root.signed
        offline = {name: fresh.get(name) or _of(before.offline(name), name) for name in _names(before, fresh)}
        snapshot = self._snapshot(before, signing, offline, now)
        timestamp = self._timestamp(before, signing, snapshot, now)
        in_force = (root or _of(before.root, ROOT), *offline.values(), snapshot, timestamp)
        entry = self._append(before, in_force, now)
        self.log.sign(self._origin, self._online(SNAPSHOT, signing)[0])
        self._show(entry)

    def recover(self) -> None:
        """Check the log, and finish a publication that a power cut left logged and not yet shown to gates.

        Raises:
            PublicationError: The log is not what was signed, or what it names is missing or damaged.
            OSError: The file system refuses.
        """
        for folder in (self._metadata, self.log.folder, self.log.metadata):
            durable.remove_staged(folder)
        entries = self.log.entries()
        if not entries:
            return
        self._show(entries[-1])
        root, lines = self._newest_root(), self.log.lines()
        publics = [key for version in range(root.signed.version, 0, -1) for key in self._checkpoint_keys(version)]
        found = self.log.checkpoint(self._origin, publics)
        if found is not None:
            log.check_prefix(found, lines)
        # An entry is signed before the next is begun, so at most one is not.
        if (found.size if found else 0) < len(lines) - 1:
            raise PublicationError("The publication log holds entries that were never signed.", _RESTORE)
        if found is None or found.size < len(lines):
            self.log.sign(self._origin, self._online(SNAPSHOT, root.signed)[0])

    def _checkpoint_keys(self, version: int) -> list[bytes]:
        need = need_of_root(root_signed(self._read(f"{version}.root.json")), SNAPSHOT)
        return [bytes.fromhex(str(key.keyval["public"])) for key in need.keys.values()]

    @property
    def _origin(self) -> str:
        return log.origin_of(self._read(FIRST_ROOT))

    def _show(self, entry: Entry) -> None:
        """Put what an entry names where gates look for it, the timestamp last."""
        *others, timestamp = entry.roles
        for one in (*sorted(others, key=lambda one: one.role == ROOT), timestamp):
            place = self._metadata / ("timestamp.json" if one is timestamp else one.file)
            if not _holds(place, one.sha256):
                kept = self.log.metadata / one.file
                if not _holds(kept, one.sha256):
                    raise PublicationError(f"{kept} is not what log entry {entry.seq} names.", _RESTORE)
                durable.write(place, kept.read_bytes())

    def _snapshot(self, before: Published, root: Root, offline: Mapping[str, Signed], now: int) -> Signed:
        meta = {f"{name}.json": MetaFile.from_data(one.version, one.data, ["sha256"]) for name, one in offline.items()}
        current = before.snapshot
        if current is not None and meta == current.signed.meta and current.expires_at - now > RENEW[SNAPSHOT]:
            metadata: Metadata[Any] = Metadata.from_bytes(current.raw)
            if not need_of_root(root, SNAPSHOT).missing(metadata.signed_bytes, metadata.signatures):
                return _of(current, SNAPSHOT)
        version = current.signed.version + 1 if current else 1
        return self._sign(root, SNAPSHOT, Snapshot(version, expires=expires(SNAPSHOT, now), meta=meta))

    def _timestamp(self, before: Published, root: Root, snapshot: Signed, now: int) -> Signed:
        payload = Timestamp(
            before.timestamp.signed.version + 1 if before.timestamp else 1,
            expires=expires(TIMESTAMP, now),
            snapshot_meta=MetaFile.from_data(snapshot.version, snapshot.data, ["sha256"]),
            unrecognized_fields={workflow.ISSUED_AT: iso(now)},
        )
        return self._sign(root, TIMESTAMP, payload)

    def _append(self, before: Published, in_force: Iterable[Signed], now: int) -> Entry:
        entries = self.log.entries()
        logged = {(one.role, one.version) for entry in entries for one in entry.roles}
        fresh = tuple(one for one in in_force if (one.role, one.version) not in logged)
        for one in fresh:
            self.log.keep(one.named.file, one.data)
        # An authority that was made before there was a log begins it with everything that is in force.
        was = before.listed() if entries else {}
        listed = _listed(in_force)
        entry = Entry(
            len(entries),
            now,
            tuple(one.named for one in fresh),
            {path: digest for path, digest in listed.items() if path not in was},
            {path: digest for path, digest in listed.items() if path in was and was[path] != digest},
            tuple(path for path in was if path not in listed),
        )
        self.log.append(entry.encode())
        return entry

    def _sign(self, root: Root, role: str, payload: Any) -> Signed:
        metadata = Metadata(payload)
        signers = self._online(role, root)
        for signer in signers:
            metadata.sign(signer, append=True)
        ids = tuple(signer.public_key.keyid for signer in signers)
        return Signed(role, payload.version, metadata.to_bytes(), ids)

    def _online(self, role: str, root: Root) -> list[CryptoSigner]:
        need = need_of_root(root, role)
        here = [self._keys.signer(name) for name in self._keys.of_role(role)]
        found = [signer for signer in here if signer.public_key.keyid in need.keys]
        if len(found) < need.threshold:
            raise PublicationError(
                f"No key of role {role} that counts is here.", "Run this on the machine that holds the online keys."
            )
        return found

    def prune(self, published: Published) -> None:
        """Remove metadata and targets that only versions older than the last ten name; the log keeps what it needs.

        Raises:
            OSError: The file system refuses.
        """
        if published.snapshot is None or published.targets is None:
            return
        current = {SNAPSHOT: published.snapshot, TARGETS: published.targets, **published.delegated}
        needed: set[Path] = set()
        for role, metadata in current.items():
            for file in self._metadata.glob(f"*.{role}.json"):
                version = file.name.partition(".")[0]
                if version.isdigit() and int(version) <= metadata.signed.version - KEPT_VERSIONS:
                    file.unlink()
                elif role != SNAPSHOT:
                    listed = Metadata[Targets].from_bytes(file.read_bytes()).signed.targets.values()
                    needed |= {self._targets / target.get_prefixed_paths()[0] for target in listed}
        for file in self._targets.rglob("*.*"):
            if file.is_file() and file not in needed:
                file.unlink()


def _depth(name: str) -> tuple[int, str]:
    return len(roles.region_of(name)), name


def _names(before: Published, fresh: Mapping[str, Signed]) -> list[str]:
    """Return the targets roles that are in force afterwards, delegators first."""
    return sorted({TARGETS, *before.delegated, *fresh} - {ROOT}, key=lambda name: (name != TARGETS, *_depth(name)))


def _signed_of(one: SignedDraft) -> Signed:
    payload = one.draft.payload
    signers = {id_ for need in one.draft.needs for id_ in need.signers(payload, one.signatures)}
    return Signed(one.draft.role, one.draft.version, one.data, tuple(signers))


def _of(metadata: "Verified[Any] | None", role: str) -> Signed:
    if metadata is None:
        raise PublicationError(f"Role {role} has never been signed.", "Publish it first.")
    return Signed(role, metadata.signed.version, metadata.raw, tuple(metadata.signers))


def root_signed(data: bytes) -> Root:
    """Return the root in a file that has been verified."""
    return cast("Metadata[Root]", Metadata.from_bytes(data)).signed


def _holds(place: Path, digest: str) -> bool:
    return place.exists() and sha256(place.read_bytes()).hexdigest() == digest


def _listed(in_force: Iterable[Signed]) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in in_force:
        if one.role not in {ROOT, SNAPSHOT, TIMESTAMP}:
            for path, target in Metadata[Targets].from_bytes(one.data).signed.targets.items():
                found.setdefault(path, target.hashes["sha256"])
    return found


def opened_delegated(parent: Targets, role: str, meta: MetaFile, data: bytes) -> Verified[Targets]:
    """Return a delegated role that the snapshot names and `parent` vouches for.

    Raises:
        TrustRefused: Its hash, length, signatures, version or type do not hold.
    """
    try:
        meta.verify_length_and_hashes(data)
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except RepositoryError as error:
        raise TrustRefused(f"The metadata of {role} is not what the snapshot names.", _RESTORE) from error
    need = need_of_parent(parent, role)
    if need.missing(metadata.signed_bytes, metadata.signatures):
        raise TrustRefused(f"The metadata of {role} is signed by too few of its keys.", _RESTORE)
    if not isinstance(metadata.signed, Targets) or metadata.signed.version != meta.version:
        raise TrustRefused(f"The metadata of {role} is not the version the snapshot names.", _RESTORE)
    signers = need.signers(metadata.signed_bytes, metadata.signatures)
    return Verified(metadata.signed, data, signers, need.threshold)
