"""The signed tree `publication/`: plain files that any web server, mirror or stick can carry.

Order makes it safe to serve while it is written: targets, then the metadata that names them, the timestamp last. What
is published is left to `edge.authority.publish`.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # documented there
from tuf.api.metadata import (  # type: ignore[attr-defined]  # documented there, without `__all__`
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from edge.authority.keys import KeyFolder
from edge.disk import durable
from edge.errors import PublicationError, TrustRefused
from edge.trust import workflow
from edge.trust.fields import iso
from edge.trust.workflow import Verified

DAY: Final = 86400
LIFETIME: Final[Mapping[str, int]] = {
    "root": 365 * DAY,
    "targets": 90 * DAY,
    "snapshot": 30 * DAY,
    "timestamp": 30 * DAY,
}
"""Seconds a role's metadata is offered for."""
RENEW: Final[Mapping[str, int]] = {"root": 60 * DAY, "targets": 30 * DAY, "snapshot": 15 * DAY}
"""Seconds before its expiry from which a role is signed anew though nothing changed."""
ROOT_KEYS: Final = ("root-1", "root-2", "root-3")
ROOT_THRESHOLD: Final = 2
ONLINE: Final = ("targets", "snapshot", "timestamp")
KEPT_VERSIONS: Final = 10
"""Older versions that stay, for gates and mirrors that are in the middle of a refresh."""


@dataclass(frozen=True, slots=True)
class Published:
    """The metadata in force, verified from the files.

    Attributes:
        root: The newest root.
        timestamp: The timestamp, or None before the first publication.
        snapshot: The snapshot it names, or None.
        targets: The targets the snapshot names, or None.
    """

    root: Verified[Root]
    timestamp: Verified[Timestamp] | None = None
    snapshot: Verified[Snapshot] | None = None
    targets: Verified[Targets] | None = None


class Repository:
    """The folder `publication/` of an authority.

    Args:
        folder: Where it is.
        keys: Who signs.
    """

    def __init__(self, folder: Path, keys: KeyFolder) -> None:
        self._metadata = folder / "metadata"
        self._targets = folder / "targets"
        self._keys = keys

    # Root

    def first_root(self, now: int) -> None:
        """Sign and write root 1: threshold two of three, the other roles one key each.

        Raises:
            PublicationError: A key is missing.
            OSError: The file system refuses.
        """
        root = Root(version=1, expires=_expires("root", now), consistent_snapshot=True)
        for name in ROOT_KEYS:
            root.add_key(self._keys.signer(name).public_key, "root")
        root.roles["root"].threshold = ROOT_THRESHOLD
        for role in ONLINE:
            root.add_key(self._keys.signer(role).public_key, role)
        for folder in (self._metadata, self._targets):
            folder.mkdir(parents=True, exist_ok=True)
        self._write_root(root)

    def renew_root(self, root: Root, now: int) -> bool:
        """Sign the next root with a later expiry, where enough root keys are here; return whether they are.

        Raises:
            PublicationError: A key is damaged.
            OSError: The file system refuses.
        """
        if sum(self._keys.has(name) for name in ROOT_KEYS) < root.roles["root"].threshold:
            return False
        root.version += 1
        root.expires = _expires("root", now)
        self._write_root(root)
        return True

    def _write_root(self, root: Root) -> None:
        signers = [self._keys.signer(name) for name in ROOT_KEYS if self._keys.has(name)]
        self._write(f"{root.version}.root.json", _signed(root, signers))

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
            timestamp = workflow.opened_timestamp(root, self._read("timestamp.json"))
            name = f"{timestamp.signed.snapshot_meta.version}.snapshot.json"
            snapshot = workflow.opened_snapshot(root, timestamp.signed, self._read(name))
            name = f"{workflow.targets_meta(snapshot.signed).version}.targets.json"
            return Published(
                root, timestamp, snapshot, workflow.opened_targets(root, snapshot.signed, self._read(name))
            )
        except TrustRefused as error:
            raise PublicationError(
                f"{self._metadata} does not verify: {error.message}", "Restore it from a mirror or a backup."
            ) from error

    def _newest_root(self) -> Verified[Root]:
        root = workflow.first_root(self._read("1.root.json"))
        while (self._metadata / f"{root.signed.version + 1}.root.json").exists():
            root = workflow.next_root(root, self._read(f"{root.signed.version + 1}.root.json"))
        return root

    def _read(self, name: str) -> bytes:
        try:
            return (self._metadata / name).read_bytes()
        except OSError as error:
            raise PublicationError(
                f"{self._metadata / name} cannot be read: {error.strerror}.", "Restore it from a mirror or a backup."
            ) from error

    # Publishing

    def put_targets(self, version: int, files: Mapping[str, bytes], now: int) -> bytes:
        """Write target files and sign the targets metadata; return it.

        Raises:
            PublicationError: A key is missing.
            OSError: The file system refuses.
        """
        listed = {path: TargetFile.from_data(path, data) for path, data in files.items()}
        for path, target in listed.items():
            place = self._targets / target.get_prefixed_paths()[0]
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                durable.write(place, files[path])
        payload = Targets(version, expires=_expires("targets", now), targets=listed)
        return self._put("targets", f"{version}.targets.json", payload)

    def put_snapshot(self, version: int, targets: tuple[int, bytes], now: int) -> bytes:
        """Sign a snapshot of the targets metadata (version, bytes); return it.

        Raises:
            PublicationError: A key is missing.
            OSError: The file system refuses.
        """
        meta = {"targets.json": MetaFile.from_data(*targets, ["sha256"])}
        payload = Snapshot(version, expires=_expires("snapshot", now), meta=meta)
        return self._put("snapshot", f"{version}.snapshot.json", payload)

    def put_timestamp(self, version: int, snapshot: tuple[int, bytes], now: int) -> None:
        """Sign and write the timestamp, with its issue time: from here on gates see the publication.

        Raises:
            PublicationError: A key is missing.
            OSError: The file system refuses.
        """
        payload = Timestamp(
            version,
            expires=_expires("timestamp", now),
            snapshot_meta=MetaFile.from_data(*snapshot, ["sha256"]),
            unrecognized_fields={workflow.ISSUED_AT: iso(now)},
        )
        self._put("timestamp", "timestamp.json", payload)

    def _put(self, role: str, name: str, payload: Any) -> bytes:
        data = _signed(payload, [self._keys.signer(role)])
        self._write(name, data)
        return data

    def _write(self, name: str, data: bytes) -> None:
        durable.write(self._metadata / name, data)

    def prune(self, published: Published) -> None:
        """Remove metadata and targets that only versions older than the last ten name.

        Raises:
            OSError: The file system refuses.
        """
        if published.snapshot is None or published.targets is None:
            return
        needed: set[Path] = set()
        for role, current in (("snapshot", published.snapshot), ("targets", published.targets)):
            for file in self._metadata.glob(f"*.{role}.json"):
                version = file.name.partition(".")[0]
                if version.isdigit() and int(version) <= current.signed.version - KEPT_VERSIONS:
                    file.unlink()
        for file in self._metadata.glob("*.targets.json"):
            listed = Metadata[Targets].from_bytes(file.read_bytes()).signed.targets.values()
            needed |= {self._targets / target.get_prefixed_paths()[0] for target in listed}
        for file in self._targets.rglob("*.*"):
            if file.is_file() and file not in needed:
                file.unlink()


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the SHA-256 of each file, as targets metadata writes it."""
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def _expires(role: str, now: int) -> datetime:
    return datetime.fromtimestamp(now + LIFETIME[role], UTC)


def _signed(payload: Any, signers: Iterable[CryptoSigner]) -> bytes:
    metadata = Metadata(payload)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()
