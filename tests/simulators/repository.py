"""An authority in memory: a TUF repository with real Ed25519 signatures that misbehaves on request.

It is a `Fetcher`, so a store refreshes from it without a socket. Every request is noted in `requests`; a file put into
`instead` is served in place of the true one. `delegate` adds a role with keys of its own; what it publishes stands in
its `targets`.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from edge.errors import AnswerRefused
from edge.trust import status_list
from edge.trust.workflow import ISSUED_AT

NOW = 1_767_225_600
"""2026-01-01T00:00:00Z, where every test begins."""
DAY = 86_400
ROLES = ("root", "targets", "snapshot", "timestamp")


def document(**members: Any) -> bytes:
    """Return a target of schema 1."""
    return json.dumps({"schema": 1, **members}, ensure_ascii=False).encode()


def words(zh: str, en: str) -> dict[str, str]:
    """Return a text by language."""
    return {"zh": zh, "en": en}


POLICY: Mapping[str, Any] = {
    "version": 1,
    "purpose": words("防疫", "Epidemic control"),
    "ends_at": "2027-01-01T00:00:00Z",
    "formats": ["hp1", "hl1"],
    "kinds": ["person", "travel"],
    "repeat_window_s": 900,
    "short_lived_s": 86400,
    "stale_after_s": 86400,
    "too_old_after_s": 2592000,
    "retention_s": 2592000,
    "travel_days": 14,
    "listed_areas": [],
}


def key_row(public: bytes, **changes: Any) -> dict[str, Any]:
    """Return one row of `issuers/<id>/keys.json`."""
    row = {
        "kid": "0badcafe",
        "alg": "EdDSA",
        "public": public.hex(),
        "kinds": ["person"],
        "regions": ["44"],
        "max_validity_s": 31 * DAY,
        "not_before": "2025-12-01T00:00:00Z",
        "not_after": "2027-12-01T00:00:00Z",
        "status_list": 1,
    }
    return {**row, **changes}


def keys_document(*rows: dict[str, Any], issuer: str = "44") -> bytes:
    """Return `issuers/<id>/keys.json`."""
    return document(issuer=issuer, keys=list(rows))


def small_targets() -> dict[str, bytes]:
    """Return a whole small publication: one issuer, one key, one list."""
    public = bytes(SigningKey(bytes(range(32))).verify_key)
    return {
        "national/policy.json": document(**POLICY),
        "national/matrix.json": document(
            rows=[{"issuer": "44", "status": 0, "area": "", "health": "green", "outcome": "accept"}]
        ),
        "national/issuers.json": document(
            issuers=[{"id": "44", "names": words("粤康码", "Yuekang Code"), "region": 440000}]
        ),
        "national/regions.json": document(regions=[{"code": 440000, "names": words("广东省", "Guangdong")}]),
        "issuers/44/keys.json": keys_document(key_row(public)),
        "issuers/44/status/1.cbor": status_list.build(1024, 2, {7: 1, 8: 2}),
    }


def province(digits: str) -> tuple[str, ...]:
    """Return the path patterns of a province or prefecture (ADR 0004)."""
    return (f"issuers/{digits}*/*", f"issuers/{digits}*/status/*")


@dataclass
class Delegated:
    """A delegated role: three keys, two must sign.

    Attributes:
        name: Its name.
        delegator: Name of the role that delegates to it.
        paths: What it may list.
        signers: Its keys.
        targets: What it publishes, by target path.
        threshold: How many keys must sign.
        terminating: Whether a match ends the search.
        version: Version published last, 0 before.
        expires_in: Its lifetime, seconds.
        hash_prefixes: Instead of `paths`.
        signing: Those of `signers` who sign the next version; None: the threshold's number of them.
        second: A role that another delegates to as well: its name, what it may list for this one, and by whose keys.
    """

    name: str
    delegator: str
    paths: Sequence[str] | None
    signers: list[CryptoSigner] = field(default_factory=lambda: [CryptoSigner.generate_ed25519() for _ in range(3)])
    targets: dict[str, bytes] = field(default_factory=dict)
    threshold: int = 2
    terminating: bool = True
    version: int = 0
    expires_in: int = 90 * DAY
    hash_prefixes: Sequence[str] | None = None
    signing: list[CryptoSigner] | None = None
    second: tuple[str, list[str], list[CryptoSigner]] | None = None

    def delegation(self) -> DelegatedRole:
        """Return how its delegator names it."""
        return DelegatedRole(
            self.name,
            [signer.public_key.keyid for signer in self.signers],
            self.threshold,
            self.terminating,
            None if self.paths is None else list(self.paths),
            None if self.hash_prefixes is None else list(self.hash_prefixes),
        )


class Repository:
    """The repository. Change `targets`, call `publish`, hand it to `TrustStore.refresh`."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now
        self.signers = {role: [CryptoSigner.generate_ed25519()] for role in ROLES}
        self.signers["root"] = [CryptoSigner.generate_ed25519() for _ in range(3)]
        self.versions = dict.fromkeys(ROLES, 0)
        self.lifetimes = {"root": 365 * DAY, "targets": 90 * DAY, "snapshot": 30 * DAY, "timestamp": 30 * DAY}
        self.issued_at: int | None = now
        self.targets = small_targets()
        self.delegated: dict[str, Delegated] = {}
        self.root_fields: dict[str, Any] = {}
        self.targets_fields: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.instead: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.root = Root(consistent_snapshot=True)
        self.root.roles["root"].threshold = 2
        for role in ROLES:
            for signer in self.signers[role]:
                self.root.add_key(signer.public_key, role)
        self.publish_root()
        self.publish()

    # A Fetcher

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Serve a file."""
        self.requests.append(path)
        data = self.instead.get(path, self.files.get(path))
        if data is None:
            raise AnswerRefused(f"no {path}", status=404)
        if len(data) > max_bytes:
            raise AnswerRefused("too long", status=413)
        return data

    def write(self, folder: Path) -> Path:
        """Lay the tree into a folder, as a stick carries it."""
        for path, data in {**self.files, **self.instead}.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return folder

    def copy(self) -> "Repository":
        """Return the repository as it stands now: tomorrow's old stick."""
        found = copy.copy(self)
        found.files, found.instead, found.requests = dict(self.files), dict(self.instead), []
        return found

    # Publishing

    def _expires(self, role: str) -> datetime:
        return datetime.fromtimestamp(self.now, UTC) + timedelta(seconds=self.lifetimes[role])

    def _signed(self, role: str, payload: Any, signers: list[CryptoSigner] | None = None) -> bytes:
        metadata = Metadata(payload)
        for signer in self.signers[role] if signers is None else signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def publish_root(self, *, signers: list[CryptoSigner] | None = None) -> bytes:
        """Sign the next root with `signers`, or with all of its own."""
        self.versions["root"] += 1
        self.root.version, self.root.expires = self.versions["root"], self._expires("root")
        self.root.unrecognized_fields = dict(self.root_fields)
        data = self._signed("root", self.root, signers)
        self.files[f"metadata/{self.root.version}.root.json"] = data
        return data

    def rotate(self, role: str) -> None:
        """Give a role a new key and publish the root; a root key is followed by the next root as TUF wants it."""
        old = self.signers[role].pop(0)
        new = CryptoSigner.generate_ed25519()
        self.root.revoke_key(old.public_key.keyid, role)
        self.root.add_key(new.public_key, role)
        self.signers[role].append(new)
        self.publish_root(signers=[*self.signers["root"], old] if role == "root" else None)

    def publish(self) -> None:
        """Publish `targets`, a new snapshot and a new timestamp."""
        self.publish_targets()
        self.publish_snapshot()
        self.publish_timestamp()

    def delegate(self, name: str, paths: Sequence[str] | None, **changes: Any) -> Delegated:
        """Add a delegated role, of the top-level role unless `delegator` names another."""
        delegator = changes.pop("delegator", "targets")
        self.delegated[name] = Delegated(name, delegator, paths, **changes)
        return self.delegated[name]

    def publish_targets(self) -> None:
        """Sign the targets metadata, delegated roles first, and lay out the files."""
        for role in self.delegated.values():
            self.publish_delegated(role)
        self.versions["targets"] += 1
        payload = Targets(self.versions["targets"], expires=self._expires("targets"), **self._content("targets"))
        payload.unrecognized_fields = dict(self.targets_fields)
        self.files[f"metadata/{payload.version}.targets.json"] = self._signed("targets", payload)

    def publish_delegated(self, role: Delegated) -> None:
        """Sign the next version of one delegated role."""
        role.version += 1
        expires = datetime.fromtimestamp(self.now, UTC) + timedelta(seconds=role.expires_in)
        payload = Targets(role.version, expires=expires, **self._content(role.name))
        signing = role.signers[: role.threshold] if role.signing is None else role.signing
        self.files[f"metadata/{role.version}.{role.name}.json"] = self._signed(role.name, payload, signing)

    def _content(self, name: str) -> dict[str, Any]:
        files = self.targets if name == "targets" else self.delegated[name].targets
        listed = {path: TargetFile.from_data(path, data) for path, data in files.items()}
        for path, target in listed.items():
            self.files[f"targets/{target.get_prefixed_paths()[0]}"] = files[path]
        children = [role for role in self.delegated.values() if role.delegator == name]
        roles = {role.name: role.delegation() for role in children}
        keys = {signer.public_key.keyid: signer.public_key for role in children for signer in role.signers}
        second = self.delegated[name].second if name in self.delegated else None
        if second is not None:
            also, paths, signers = second
            keys |= {signer.public_key.keyid: signer.public_key for signer in signers}
            roles[also] = DelegatedRole(also, [signer.public_key.keyid for signer in signers], 2, False, paths)
        return {"targets": listed, "delegations": Delegations(keys, roles)} if roles else {"targets": listed}

    def publish_snapshot(self) -> None:
        """Sign a snapshot of the newest targets metadata."""
        self.versions["snapshot"] += 1
        newest = {"targets": self.versions["targets"]}
        newest |= {role.name: role.version for role in self.delegated.values() if role.version}
        meta = {
            f"{name}.json": MetaFile.from_data(version, self.files[f"metadata/{version}.{name}.json"], ["sha256"])
            for name, version in newest.items()
        }
        payload = Snapshot(self.versions["snapshot"], expires=self._expires("snapshot"), meta=meta)
        self.files[f"metadata/{payload.version}.snapshot.json"] = self._signed("snapshot", payload)

    def publish_timestamp(self, **changes: Any) -> None:
        """Sign a timestamp of the newest snapshot."""
        self.versions["timestamp"] += 1
        version = self.versions["snapshot"]
        meta = MetaFile.from_data(version, self.files[f"metadata/{version}.snapshot.json"], ["sha256"])
        issued = datetime.fromtimestamp(self.now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        payload = Timestamp(
            self.versions["timestamp"],
            expires=self._expires("timestamp"),
            snapshot_meta=meta,
            unrecognized_fields={ISSUED_AT: issued, **changes},
        )
        self.files["metadata/timestamp.json"] = self._signed("timestamp", payload)

    def pass_time(self, seconds: int) -> int:
        """Let time go by and publish a fresh timestamp; return the new time."""
        self.now += seconds
        self.publish_timestamp()
        return self.now

    @property
    def first_root(self) -> bytes:
        """The root a gate is enrolled with."""
        return self.files["metadata/1.root.json"]
