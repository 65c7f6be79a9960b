"""One refresh: the TUF client workflow over a fetcher, each verified step kept, the view swapped when all is there.

A newer root or timestamp that verified stays verified even if the rest fails; what a gate decides by, the view, changes
only as a whole. The rules are `edge.trust.workflow`'s; locking and reading the view are the store's.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from tuf.api.metadata import (  # type: ignore[attr-defined]  # documented there, without `__all__`
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from edge.errors import AnswerRefused, TrustDamaged, TrustError, TrustRefused
from edge.model.trust import TrustVersions
from edge.trust import database, large_lists, list_book, state, workflow
from edge.trust.database import Database, Stored
from edge.trust.fetchers import Fetcher
from edge.trust.files import TargetFiles, is_intact, wanted
from edge.trust.large_lists import Offers
from edge.trust.list_update import ListUpdate
from edge.trust.part_files import PartFiles
from edge.trust.snapshot import Provenance, build
from edge.trust.workflow import LIMITS, Floors, Role, RootFloor, SnapshotFloor, TimestampFloor, Verified

_ABSENT: Final = frozenset((403, 404))
"""What servers say of a root that is not there yet; some object stores say 403."""
_ELSE: Final = "The trust in force stays. Use another address or copy the stick again."


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """What a refresh did.

    Attributes:
        changed: Whether the view in force is another one now (a newer issue time alone counts).
        versions: Versions of the view in force.
        issued_at: Its signed issue time, Unix seconds.
        next_expiry: When the first of its metadata expires, Unix seconds: the authority should publish before.
        fetched: Target files that were fetched.
    """

    changed: bool
    versions: TrustVersions
    issued_at: int
    next_expiry: int
    fetched: int


@dataclass(frozen=True, slots=True)
class View:
    """Complete metadata of one moment of the repository."""

    root: Verified[Root]
    timestamp: Verified[Timestamp]
    snapshot: Verified[Snapshot]
    targets: Verified[Targets]

    def records(self) -> dict[str, bytes]:
        """Return it as database records."""
        return {
            state.VIEW[state.ROOT]: self.root.raw,
            state.VIEW[state.TIMESTAMP]: self.timestamp.raw,
            state.VIEW[state.SNAPSHOT]: self.snapshot.raw,
            state.VIEW[state.TARGETS]: self.targets.raw,
        }

    def provenance(self) -> Provenance:
        """Return what it says about its targets."""
        expiries = [part.expires_at for part in (self.root, self.timestamp, self.snapshot, self.targets)]
        return Provenance(
            versions=TrustVersions(
                self.root.signed.version,
                self.timestamp.signed.version,
                self.snapshot.signed.version,
                self.targets.signed.version,
            ),
            digest=self.snapshot.digest,
            issued_at=workflow.issued_at(self.timestamp.signed),
            newest_expiry=max(expiries),
            next_expiry=min(expiries),
        )


class Refresh:
    """One run of the workflow; made, run once, thrown away.

    Args:
        database: The store's database.
        files: The store's target files.
        fetcher: Where the update comes from.
        now: The fixed update start time (5.1), Unix seconds.
    """

    def __init__(self, database_: Database, files: TargetFiles, fetcher: Fetcher, now: int) -> None:
        self._database = database_
        self._files = files
        self._fetcher = fetcher
        self._system_now = now
        self._stored = database_.read()
        self._floors = state.decode(self._stored.need(database.FLOORS))
        self._fetched = 0

    @property
    def _now(self) -> int:
        # A clock behind what was signed before is wrong: an old stick must not be fresh again in 1970.
        return max(self._system_now, self._floors.issued_at)

    def run(self) -> RefreshResult:
        """Bring the store up to date.

        Raises:
            TrustRefused: What was offered does not verify, is expired or older; the view stays.
            TransportError: The fetcher failed; the view stays.
            TrustDamaged: The pinned root or the floors are damaged.
            TrustError: The store cannot be written.
        """
        root = self._root()
        timestamp = self._timestamp(root)
        snapshot_ = self._snapshot(root, timestamp)
        targets = self._targets(root, snapshot_)
        view = View(root, timestamp, snapshot_, targets)
        offered = large_lists.offers(wanted(targets.signed))

        def fetch(target: TargetFile) -> bytes:
            return self._file(target, is_prefixed=self._is_prefixed(root))

        files = {path: fetch(target) for path, target in offered.others.items()}
        changed = self._swap(view, files, offered, fetch)
        found = view.provenance()
        return RefreshResult(changed, found.versions, found.issued_at, found.next_expiry, self._fetched)

    # 5.3 Update the root role

    def _root(self) -> Verified[Root]:
        root = self._known_root()
        # 5.3.3: up to W bytes, and a bounded number of rotations; the next refresh goes on from here.
        for _ in range(LIMITS.rotations):
            data = self._next_root_file(root.signed.version + 1)
            if data is None:
                break
            root = workflow.next_root(root, data)
            self._keep_root(root)
        workflow.check_root_floor(root, self._floors)
        # 5.3.11 is worked out before 5.3.10 is judged: a stolen timestamp key may have pushed the time floor itself.
        floors = workflow.floors_after_rotation(root, self._floors)
        workflow.check_freeze(root, max(self._system_now, floors.issued_at))
        if floors != self._floors:
            self._keep({}, floors, remove=(state.TIMESTAMP, state.SNAPSHOT))
        return root

    def _known_root(self) -> Verified[Root]:
        kept = self._kept(state.ROOT, workflow.first_root)
        if kept is not None:
            return kept
        # Lost: walked again from the pinned one; the floors still hold.
        try:
            return workflow.first_root(self._stored.need(database.PINNED))
        except TrustRefused as error:
            raise TrustDamaged(
                f"The pinned root in {self._database.path} does not verify.",
                "Enrol this gate again: edge provision enroll.",
            ) from error

    def _next_root_file(self, version: int) -> bytes | None:
        try:
            return self._fetcher.fetch(f"metadata/{version}.root.json", LIMITS.root)
        except AnswerRefused as error:
            if error.status in _ABSENT:
                return None
            raise

    def _keep_root(self, root: Verified[Root]) -> None:
        if root.signed.version < self._floors.root.version:
            # Walked again after damage: not ours again until it has reached the floor.
            return
        workflow.check_root_floor(root, self._floors)
        # 5.3.7 and 5.3.8: each step is trusted and persisted before the next.
        self._keep({state.ROOT: root.raw}, replace(self._floors, root=RootFloor(root.signed.version, root.digest)))

    # 5.4 Update the timestamp role

    def _timestamp(self, root: Verified[Root]) -> Verified[Timestamp]:
        data = self._fetcher.fetch("metadata/timestamp.json", LIMITS.timestamp)
        new = workflow.opened_timestamp(root, data)
        workflow.check_timestamp(new, self._floors)
        kept = self._kept(state.TIMESTAMP, lambda raw: workflow.opened_timestamp(root, raw))
        if kept is not None and kept.signed.version == new.signed.version:
            # 5.4.3.1: equal is normal; the new file is discarded. An update cut off before is taken up again below.
            workflow.check_freeze(kept, self._now)
            return kept
        workflow.check_freeze(new, self._now)
        floor = TimestampFloor(
            version=new.signed.version,
            issued_at=workflow.issued_at(new.signed),
            snapshot=new.signed.snapshot_meta.version,
            signers=new.signers,
            threshold=new.threshold,
        )
        # 5.4.5
        self._keep({state.TIMESTAMP: new.raw}, replace(self._floors, timestamp=floor))
        return new

    # 5.5 Update the snapshot role

    def _snapshot(self, root: Verified[Root], timestamp: Verified[Timestamp]) -> Verified[Snapshot]:
        kept = self._kept(state.SNAPSHOT, lambda raw: workflow.opened_snapshot(root, timestamp.signed, raw))
        if kept is not None:
            workflow.check_freeze(kept, self._now)
            return kept
        meta = timestamp.signed.snapshot_meta
        data = self._fetch_role(root, state.SNAPSHOT, meta.version, _most(meta.length, LIMITS.snapshot))
        new = workflow.opened_snapshot(root, timestamp.signed, data)
        workflow.check_snapshot(new, self._floors)
        workflow.check_freeze(new, self._now)
        floor = SnapshotFloor(
            version=new.signed.version,
            meta={name: listed.version for name, listed in new.signed.meta.items()},
            signers=new.signers,
            threshold=new.threshold,
        )
        # 5.5.7
        self._keep({state.SNAPSHOT: new.raw}, replace(self._floors, snapshot=floor))
        return new

    # 5.6 Update the targets role

    def _targets(self, root: Verified[Root], snapshot_: Verified[Snapshot]) -> Verified[Targets]:
        kept = self._kept(state.TARGETS, lambda raw: workflow.opened_targets(root, snapshot_.signed, raw))
        if kept is not None:
            workflow.check_freeze(kept, self._now)
            return kept
        meta = workflow.targets_meta(snapshot_.signed)
        data = self._fetch_role(root, state.TARGETS, meta.version, _most(meta.length, LIMITS.targets))
        new = workflow.opened_targets(root, snapshot_.signed, data)
        workflow.check_freeze(new, self._now)
        # 5.6.6
        self._keep({state.TARGETS: new.raw}, self._floors)
        return new

    # 5.7 Fetch target

    def _file(self, target: TargetFile, *, is_prefixed: bool) -> bytes:
        if self._files.has(target):
            return self._files.read(target)
        folder, slash, name = target.path.rpartition("/")
        prefix = f"{target.hashes['sha256']}." if is_prefixed else ""
        data = self._fetcher.fetch(f"targets/{folder}{slash}{prefix}{name}", target.length)
        if not is_intact(target, data):
            raise TrustRefused(f"{target.path} is not the file that was signed for.", _ELSE)
        try:
            self._files.put(target, data)
        except OSError as error:
            raise TrustError(
                f"The trust store cannot keep {target.path}: {error.strerror}.", "Check free space and the disk."
            ) from error
        self._fetched += 1
        return data

    # What every step needs

    def _swap(
        self, view: View, files: Mapping[str, bytes], offered: Offers, fetch: Callable[[TargetFile], bytes]
    ) -> bool:
        """Put the view in force, durably; return whether it is another one."""
        provenance = view.provenance()
        before = list_book.decode(self._stored.get(list_book.RECORD))
        parts = PartFiles(self._files.folder, {} if before.is_due(self._system_now) else before.seals)
        update = ListUpdate(parts, fetch, before, issued_at=provenance.issued_at, cosigned=provenance.cosigned)
        book = update.bring(offered, self._system_now)
        try:
            # Read as the gate will read it: what is signed and yet of no form never replaces what is.
            build(provenance, files, large_lists.open_lists(offered, book, parts))
        except TrustError as error:
            raise TrustRefused(error.message, "Tell the authority: its publication cannot be read.") from error
        records = {**view.records(), list_book.RECORD: book.encode()}
        if not self._fetched and all(self._stored.get(name) == value for name, value in records.items()):
            return False
        generation = database.number(self._stored.get(database.GENERATION) or b"0") + 1
        records[database.GENERATION] = str(generation).encode()
        self._keep(records, replace(self._floors, view=view.timestamp.digest))
        # What is left over costs space and nothing else; the next swap tries again.
        with suppress(OSError):
            self._files.keep_only(large_lists.settled(offered).values(), update.used)
        return True

    def _kept(self, name: str, opened: Callable[[bytes], Verified[Role]]) -> Verified[Role] | None:
        raw = self._stored.get(name)
        try:
            return None if raw is None else opened(raw)
        except TrustRefused:
            # Damaged, of an older version, or of keys that root no longer names: it is fetched again, above the floors.
            return None

    def _fetch_role(self, root: Verified[Root], name: str, version: int, most: int) -> bytes:
        # 5.3.12: consistent snapshots have the version in the file's name.
        prefix = f"{version}." if root.signed.consistent_snapshot else ""
        return self._fetcher.fetch(f"metadata/{prefix}{name}.json", most)

    @staticmethod
    def _is_prefixed(root: Verified[Root]) -> bool:
        return bool(root.signed.consistent_snapshot)

    def _keep(self, records: Mapping[str, bytes], floors: Floors, *, remove: tuple[str, ...] = ()) -> None:
        self._database.write({**records, database.FLOORS: state.encode(floors)}, remove=remove)
        self._floors = floors
        whole = {name: value for name, value in {**self._stored.values, **records}.items() if name not in remove}
        self._stored = Stored(self._stored.path, whole, self._stored.damaged - records.keys())


def _most(signed_length: int | None, limit: int) -> int:
    # The number of bytes that was signed for, or ours (5.5.1, 5.6.1).
    if signed_length is None:
        return limit
    if type(signed_length) is not int or signed_length > limit:
        raise TrustRefused(f"A metadata file is longer than {limit} bytes.", _ELSE)
    return signed_length
