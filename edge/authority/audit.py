"""Verifying a publication's whole history offline, from a copy of the publication and nothing else.

Every entry of the log is walked in order: its place in the chain, the metadata it names, the signatures and thresholds
under the keys that held at that time, versions that only grow, and keys that sign for one role alone. The first entry
that does not hold is named.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # documented there, without `__all__`
    Metadata,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from edge.authority import checkpoint, log, roles
from edge.authority.draft import Need, need_of_parent, need_of_root, refuse_weak
from edge.authority.log import Entry, SignedRole
from edge.authority.repository import FIRST_ROOT
from edge.authority.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL
from edge.errors import PublicationError, TransportError, TrustError
from edge.trust import workflow
from edge.trust.fetchers import FolderFetcher
from edge.trust.fields import iso
from edge.trust.workflow import LIMITS

_MAX_LOG: Final = 256 << 20
_MAX_TARGET: Final = 1 << 30
_TYPES: Final[Mapping[str, type[Any]]] = {ROOT: Root, SNAPSHOT: Snapshot, TIMESTAMP: Timestamp}


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        entries: How many entries hold.
        problem: What does not hold, empty where everything does.
        entry: The number of the entry that does not hold; None where it is the log or the publication as a whole.
        checkpoint: Tree head of the log, hexadecimal, empty where it does not hold.
        published_at: Issue time of the newest publication, Unix seconds, 0 where nothing holds.
    """

    entries: int
    problem: str = ""
    entry: int | None = None
    checkpoint: str = ""
    published_at: int = 0

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return not self.problem

    @property
    def summary(self) -> str:
        """A sentence for people."""
        if self.holds:
            return f"All {self.entries} publications hold, the last of {iso(self.published_at)}. Log {self.checkpoint}"
        where = "The log" if self.entry is None else f"Entry {self.entry}"
        return f"{where} does not hold: {self.problem} {self.entries} entries before it hold."

    def told(self) -> dict[str, Any]:
        """The same for scripts."""
        return {
            "holds": self.holds,
            "entries": self.entries,
            "entry": self.entry,
            "problem": self.problem,
            "checkpoint": self.checkpoint,
            "published_at": iso(self.published_at) if self.published_at else None,
        }


@dataclass(slots=True)
class _State:
    """What is in force after the entries walked so far."""

    time: int = 0
    metadata: dict[str, Metadata[Any]] = field(default_factory=dict)
    files: dict[str, SignedRole] = field(default_factory=dict)
    uses: dict[str, str] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)


def audit(publication: Path, older: bytes | None = None) -> Audit:
    """Verify the log of a publication and everything it names.

    Args:
        publication: A copy of the publication.
        older: A checkpoint kept from before, which the log must still begin with; None for none.

    Returns:
        What was found; hostile content is a finding, not an exception.

    Raises:
        PublicationError: There is no publication with a log in the folder.
    """
    if not (publication / "log" / log.ENTRIES).is_file():
        raise PublicationError(f"{publication} holds no publication with a log.", "Name a copy of the publication.")
    walk = _Walk(publication)
    done = 0
    try:
        lines = walk.read(f"log/{log.ENTRIES}", _MAX_LOG).split(b"\n")[:-1]
        for number, line in enumerate(lines):
            walk.entry(log.decode(line, f"log entry {number}"), number)
            done += 1
    except TrustError as error:
        return Audit(done, error.message, done)
    try:
        head = walk.end(lines, older)
    except TrustError as error:
        return Audit(done, error.message)
    return Audit(done, checkpoint=head, published_at=walk.state.time)


class _Walk:
    def __init__(self, publication: Path) -> None:
        # Of strangers: no link out of it, no pipe, no device, and no file beyond its bound.
        self._fetcher = FolderFetcher(publication)
        self._publication = publication
        self._first: dict[str, int] = {}
        self._logged: dict[str, str] = {}
        self.state = _State()

    def entry(self, entry: Entry, number: int) -> None:
        """Check one entry and bring it into force."""
        if entry.seq != number:
            raise PublicationError(f"It is numbered {entry.seq}.")
        if entry.time < self.state.time:
            raise PublicationError("Its time lies before that of the entry before.")
        names = [one.role for one in entry.roles]
        if names[-1:] != [TIMESTAMP] or len(set(names)) != len(names):
            raise PublicationError("It does not name each role once, the timestamp last.")
        if number == 0:
            self._first_roots(entry)
        for one in entry.roles:
            self._role(one)
        if names != [TIMESTAMP]:
            self._still_signed()
        self._chain(entry)
        self._changes(entry, is_daily=set(names) <= {SNAPSHOT, TIMESTAMP})
        self.state.time = entry.time

    def _first_roots(self, entry: Entry) -> None:
        """Follow the roots from before the log began; a publication with a log from its first day has none."""
        named = next((one.version for one in entry.roles if one.role == ROOT), 0)
        for version in range(1, named):
            self._root(self._metadata(f"{version}.root.json"), version)

    def _role(self, one: SignedRole) -> None:
        if not roles.is_role_name(one.role):
            raise PublicationError(f"It names {one.role}, which is no role.")
        data = self.read(f"log/metadata/{one.file}", LIMITS.targets)
        if sha256(data).hexdigest() != one.sha256:
            raise PublicationError(f"{one.file} is not the file it names.")
        current = self.state.files.get(one.role)
        if current and one.version <= current.version:
            raise PublicationError(f"It brings {one.role} {one.version} after {current.version}.")
        if one.role == ROOT:
            self._root(data, one.version)
            needs = self._root_needs
        else:
            metadata = _opened(one.role, data, one.version)
            self.state.metadata[one.role] = metadata
            needs = (self._need(one.role),)
            if isinstance(metadata.signed, Targets) and metadata.signed.delegations is not None:
                refuse_weak(metadata.signed.delegations.keys.values())
        self._signatures(one, needs)
        self.state.files[one.role] = one
        self._logged[one.file] = one.sha256
        self._first.setdefault(one.role, one.version)

    def _root(self, data: bytes, version: int) -> None:
        before = self.state.metadata.get(ROOT)
        metadata = _opened(ROOT, data, version)
        own = need_of_root(metadata.signed, ROOT)
        self._root_needs: tuple[Need, ...] = (own,)
        if before is not None:
            if before.signed.version + 1 != version:
                raise PublicationError(f"Root {version} does not follow root {before.signed.version}.")
            self._root_needs = (need_of_root(before.signed, ROOT), own)
        for need in self._root_needs:
            if need.missing(metadata.signed_bytes, metadata.signatures):
                raise PublicationError(f"Root {version} is signed by too few keys.")
        refuse_weak(metadata.signed.keys.values())
        self.state.metadata[ROOT] = metadata

    def _need(self, role: str) -> Need:
        root = self.state.metadata.get(ROOT)
        if root is None:
            raise PublicationError("It comes before any root.")
        if role in TOP_LEVEL:
            return need_of_root(root.signed, role)
        parent = self.state.metadata.get(roles.parent_of(role, self.state.metadata) or "")
        if parent is None:
            raise PublicationError(f"Nobody delegates to role {role}.")
        return need_of_parent(parent.signed, role)

    def _signatures(self, one: SignedRole, needs: tuple[Need, ...]) -> None:
        """Check thresholds, that the signers are those the entry names, and that no key serves two roles."""
        metadata = self.state.metadata[one.role]
        payload, signatures = metadata.signed_bytes, metadata.signatures
        signers: dict[str, str] = {}
        for need in needs:
            if need.missing(payload, signatures):
                raise PublicationError(f"{one.role} {one.version} is signed by too few keys.")
            signers |= need.signers(payload, signatures)
        if set(signers) != set(signatures):
            raise PublicationError(f"{one.role} {one.version} is signed by a key outside its role.")
        if tuple(sorted(signers)) != one.signers:
            raise PublicationError(f"{one.role} {one.version} is signed by others than it names.")
        for public in signers.values():
            if self.state.uses.setdefault(public, one.role) != one.role:
                raise PublicationError(f"A key of role {self.state.uses[public]} has signed {one.role} {one.version}.")

    def _still_signed(self) -> None:
        """Check that what stays in force is still vouched for, after keys have changed."""
        for role, metadata in self.state.metadata.items():
            if role != ROOT and self._need(role).missing(metadata.signed_bytes, metadata.signatures):
                raise PublicationError(f"Role {role} stays in force, signed by keys that have left it.")

    def _chain(self, entry: Entry) -> None:
        """Check that the timestamp names the snapshot, and that one everything else."""
        state = self.state
        timestamp, snapshot = state.metadata[TIMESTAMP].signed, state.metadata.get(SNAPSHOT)
        if workflow.issued_at(timestamp) != entry.time:
            raise PublicationError("Its time is not the issue time of its timestamp.")
        if snapshot is None or TARGETS not in state.files:
            raise PublicationError("It comes before any snapshot or targets.")
        _check_meta(timestamp.snapshot_meta, state.files[SNAPSHOT])
        named = {name.removesuffix(".json"): meta for name, meta in snapshot.signed.meta.items()}
        if set(named) != set(state.files) - {ROOT, SNAPSHOT, TIMESTAMP}:
            raise PublicationError("Its snapshot names other roles than those in force.")
        for role, meta in named.items():
            _check_meta(meta, state.files[role])

    def _changes(self, entry: Entry, *, is_daily: bool) -> None:
        was = self.state.listed
        # A renewal changes no target: years of them are not worth listing all targets each time.
        becomes = was if is_daily else self._listed()
        added = {path: digest for path, digest in becomes.items() if path not in was}
        changed = {path: digest for path, digest in becomes.items() if path in was and was[path] != digest}
        removed = tuple(sorted(path for path in was if path not in becomes))
        if (added, changed, removed) != (dict(entry.added), dict(entry.changed), tuple(sorted(entry.removed))):
            raise PublicationError("It tells other changes than its metadata makes.")
        self.state.listed = becomes

    def _targets_roles(self) -> Iterator[str]:
        yield TARGETS
        yield from (role for role in self.state.metadata if role not in TOP_LEVEL)

    def _listed(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for role in self._targets_roles():
            metadata = self.state.metadata.get(role)
            for path, target in metadata.signed.targets.items() if metadata else ():
                digest = target.hashes.get("sha256", "")
                if found.setdefault(path, digest) != digest:
                    raise PublicationError(f"Two roles sign {path}.")
        return found

    def end(self, lines: list[bytes], older: bytes | None) -> str:
        """Check the log as a whole, and that what is published is what it ends with; return its head."""
        if not lines:
            raise PublicationError("It is empty.")
        root = self.state.metadata[ROOT]
        origin = log.origin_of(self._metadata(FIRST_ROOT))
        note = self.read(f"log/{log.CHECKPOINT}", checkpoint.MAX_BYTES)
        found = checkpoint.open_checkpoint(note, origin, _publics(root.signed))
        if found.size != len(lines):
            raise PublicationError(f"Its checkpoint does not cover its {len(lines)} entries.")
        log.check_prefix(found, lines)
        if older is not None:
            log.check_prefix(checkpoint.open_checkpoint(older, origin, self._all_publics()), lines)
        for role, one in self.state.files.items():
            name = "timestamp.json" if role == TIMESTAMP else one.file
            if sha256(self._metadata(name)).hexdigest() != one.sha256:
                raise PublicationError(f"{name} as it is published is not what it ends with.")
        self._published()
        self._target_files()
        return found.root.hex()

    def _all_publics(self) -> list[bytes]:
        newest = self.state.metadata[ROOT].signed.version
        found: list[bytes] = []
        for version in range(1, newest + 1):
            data = self._metadata(f"{version}.root.json")
            found += _publics(_opened(ROOT, data, version).signed)
        return found

    def _target_files(self) -> None:
        for role in self._targets_roles():
            for path, target in self.state.metadata[role].signed.targets.items():
                try:
                    data = self.read(f"targets/{target.get_prefixed_paths()[0]}", min(target.length, _MAX_TARGET))
                    target.verify_length_and_hashes(data)
                except (RepositoryError, PublicationError) as error:
                    raise PublicationError(f"{path} as it is published is not what was signed.") from error

    def _published(self) -> None:
        """Check that every metadata file that a gate could be given is one that was logged."""
        for file in sorted((self._publication / "metadata").iterdir()):
            version, _, name = file.name.partition(".")
            role = name.removesuffix(".json")
            # What was published before there was a log is not in it; roots were followed from the first.
            is_former = version.isdigit() and int(version) < self._first.get(role, 0)
            # What a power cut left half-written has a name that no gate asks for.
            if file.name == "timestamp.json" or file.name.startswith(".") or is_former:
                continue
            digest = sha256(self._metadata(file.name)).hexdigest()
            if self._logged.get(file.name) != digest:
                raise PublicationError(f"{file.name} is published and was never logged.")

    def _metadata(self, name: str) -> bytes:
        return self.read(f"metadata/{name}", LIMITS.targets)

    def read(self, path: str, most: int) -> bytes:
        """Return a file of the publication.

        Raises:
            PublicationError: It is missing, no plain file, or longer than `most` bytes.
        """
        try:
            return self._fetcher.fetch(path, most)
        except TransportError as error:
            raise PublicationError(error.message) from error


def _opened(role: str, data: bytes, version: int) -> Metadata[Any]:
    try:
        found: Metadata[Any] = Metadata.from_bytes(data)
        found.signed_bytes  # noqa: B018  # values without a canonical form (floats) fail here
    except RepositoryError as error:
        raise PublicationError(f"{role} {version} is not TUF metadata.") from error
    signed: Any = found.signed
    if not isinstance(signed, _TYPES.get(role, Targets)) or signed.version != version:
        raise PublicationError(f"The file of {role} {version} holds another role or version.")
    return found


def _check_meta(meta: Any, one: SignedRole) -> None:
    if meta.version != one.version or (meta.hashes or {}).get("sha256") != one.sha256:
        raise PublicationError(f"Its metadata names another {one.role} than the one in force.")


def _publics(root: Root) -> list[bytes]:
    return [bytes.fromhex(str(key.keyval["public"])) for key in need_of_root(root, SNAPSHOT).keys.values()]
