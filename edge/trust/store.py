"""A gate's trust store: the last good view, usable with no network, and the floors below which nothing is accepted.

One process refreshes it (sync), others read it (scanner, CLI); a reader sees a whole view or the one before. The seam
is three verbs: `init` pins the first root, `refresh` runs the TUF client workflow, `load` verifies what is kept without
any network or clock. How old a view may be is the signed policy's to say, not this folder's.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from tuf.api.metadata import Root, Targets  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.disk import turn
from edge.errors import TrustDamaged, TrustError, TrustMissing, TrustRefused
from edge.model.trust import TrustSnapshot
from edge.trust import large_lists, list_book, paths, records, targets, workflow
from edge.trust.changes import Changes
from edge.trust.changes import read as read_changes
from edge.trust.database import Database
from edge.trust.fetchers import Fetcher
from edge.trust.fields import Document
from edge.trust.files import TargetFiles, wanted
from edge.trust.floors import Floors, RootFloor, decode_floors, encode_floors
from edge.trust.part_files import REPAIR, PartFiles
from edge.trust.publication import StorePublication
from edge.trust.records import Stored
from edge.trust.refresh import Refresh, RefreshResult
from edge.trust.snapshot import Provenance, build
from edge.trust.view import View, listing, registry_of
from edge.trust.workflow import Verified

DATABASE: Final = "trust.db"
_TARGETS: Final = "targets"
_LOCK: Final = "refresh.lock"
_TRIES: Final = 5
_Read = TypeVar("_Read")


class TrustStore:
    """The folder `trust/` of a gate.

    Args:
        folder: Where it is; `init` makes it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database = Database(folder / DATABASE)
        self._files = TargetFiles(folder / _TARGETS)

    @classmethod
    def init(cls, folder: Path, root_bytes: bytes) -> "TrustStore":
        """Pin the first root and return the store; a store that already trusts this root is left as it is.

        A database that cannot be read is set aside: whoever holds a root from an authenticated invitation may begin
        again, nobody else can.

        Args:
            folder: The store's folder, made where it is missing.
            root_bytes: The root metadata, trusted because of where it came from.

        Raises:
            TrustRefused: It is no root metadata, or the store belongs to another authority.
            TrustError: The folder cannot be written.
        """
        root = workflow.first_root(root_bytes)
        store = cls(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrustError(f"{folder} cannot be made: {error.strerror}.", "Check permissions.") from error
        try:
            store._refuse_other(root_bytes)
        except TrustMissing:
            pass
        except TrustDamaged:
            store._database.set_aside()
        else:
            return store
        store._database.create(first_records(root))
        return store

    def _refuse_other(self, root_bytes: bytes) -> None:
        stored = self._database.read()
        if root_bytes in (stored.need(records.PINNED), stored.get(records.ROOT)):
            return
        raise TrustRefused(
            f"{self.folder} already trusts another root.",
            f"To hand this gate to another authority, remove {self.folder} and enrol again.",
        )

    def generation(self) -> int:
        """Return a number that changes whenever `load` would return something else; one small read.

        Raises:
            TrustMissing: There is no store.
            TrustDamaged: It cannot be read.
            TrustError: It is in use by a writer for too long.
        """
        return self._database.generation()

    def load(self) -> TrustSnapshot:
        """Return the view in force, every signature, hash and version verified from the disk alone.

        Expiry is not judged: metadata that ran out while a gate was offline stays usable within the policy's bands of
        age (`TrustSnapshot.band`), counted from the signed issue time.

        Raises:
            TrustMissing: There is no store, or it has never been refreshed.
            TrustDamaged: Something kept does not verify; the message names the file.
            TrustError: The store is in use by a writer for too long.
        """
        return self._steadily(self._load)

    def _steadily(self, read: Callable[[], _Read]) -> _Read:
        for _ in range(_TRIES):
            before = self.generation()
            try:
                return read()
            except TrustDamaged:
                # A refresh may have swapped the view, and removed the old one's files, while we were reading.
                if self.generation() == before:
                    raise
        return read()

    def provenance(self) -> Provenance:
        """Return versions, issue time and expiries of the view in force, its metadata verified.

        Raises:
            TrustMissing: There is no store, or it has never been refreshed.
            TrustDamaged: Something kept does not verify.
            TrustError: The store is in use by a writer for too long.
        """
        return self.view().provenance()

    def view(self) -> View:
        """Return the metadata of the view in force, verified: who signed what, and by whose word each target counts.

        Raises:
            TrustMissing: There is no store, or it has never been refreshed.
            TrustDamaged: Something kept does not verify.
            TrustError: The store is in use by a writer for too long.
        """
        return self._steadily(lambda: self._view(self._database.read()))

    def publication(self) -> StorePublication:
        """Return the view in force as a publication for others.

        Raises:
            TrustMissing: There is no store, or it has never been refreshed.
            TrustDamaged: Something kept does not verify.
            TrustError: The store is in use by a writer for too long.
        """
        stored = self._database.read()
        return StorePublication(self._view(stored), stored, self._files)

    def target(self, path: str) -> bytes:
        """Return one target of the view in force, verified.

        Raises:
            TrustMissing: There is no store, or the view has no such target.
            TrustDamaged: Something kept does not verify.
            TrustError: The store is in use by a writer for too long.
        """
        return self._steadily(lambda: self._target(path))

    def _target(self, path: str) -> bytes:
        found = self._view(self._database.read()).listing.found.get(path)
        if found is None:
            raise TrustMissing(f"The view in force has no target {path}.", "Check its name: edge trust status --json.")
        return self._files.read(found.target)

    def last_changes(self) -> Changes | None:
        """Return what the last swap of the view changed, or None where that is not known.

        Raises:
            TrustMissing: There is no store.
            TrustDamaged: It cannot be read.
            TrustError: The store is in use by a writer for too long.
        """
        return read_changes(self._database.read().get(records.CHANGES))

    def refresh(self, fetcher: Fetcher, now: int) -> RefreshResult:
        """Run the TUF client workflow; the view in force is swapped only when all of the new one has verified.

        Newer metadata that verified is kept even where the rest fails, and raises the floors.

        Args:
            fetcher: Where the update comes from.
            now: The system clock, Unix seconds, not raised to any floor: the store applies its own.

        Raises:
            TrustRefused: What was offered does not verify, is expired or older; the view in force stays.
            TransportError: Nobody answered, or something is missing there; the view in force stays.
            TrustMissing: There is no store.
            TrustDamaged: The floors or the pinned root are damaged.
            TrustError: The store cannot be written, or another refresh is under way.
        """
        with self._locked():
            return Refresh(self._database, self._files, fetcher, now=now, before=self._view_or_none).run()

    def _view_or_none(self) -> View | None:
        try:
            return self.view()
        except (TrustMissing, TrustDamaged):
            return None

    def _load(self) -> TrustSnapshot:
        stored = self._database.read()
        view = self._view(stored)
        try:
            offered = large_lists.offers(wanted(view.listing.targets()))
            files = {path: self._files.read(target) for path, target in offered.others.items()}
            book = list_book.decode(stored.get(list_book.RECORD))
            large = large_lists.open_lists(offered, book, PartFiles(self.folder / _TARGETS, book.seals))
            return build(view.provenance(), files, large)
        except TrustDamaged:
            raise
        except TrustError as error:
            raise TrustDamaged(f"The trust data in {self.folder} cannot be read: {error.message}", REPAIR) from error

    def _view(self, stored: Stored) -> View:
        floors = decode_floors(stored.need(records.FLOORS))
        if not floors.view:
            raise TrustMissing(
                f"The trust store {self.folder} has a root and nothing else yet.",
                "Fetch the rest: edge trust refresh --from ADDRESS, or connect the gate.",
            )
        try:
            view = self._verified(stored)
        except TrustDamaged:
            raise
        except TrustError as error:
            raise TrustDamaged(f"What {stored.path} holds does not verify: {error.message}", REPAIR) from error
        # The swap wrote both in one commit: anything else was put there by another hand.
        if view.timestamp.digest != floors.view or view.root.signed.version > floors.root.version:
            raise TrustDamaged(f"The view in {stored.path} is not the one that was put in force.", REPAIR)
        return view

    def _verified(self, stored: Stored) -> View:
        root = workflow.first_root(_kept(stored, records.ROOT))
        timestamp = workflow.opened_timestamp(root, _kept(stored, records.TIMESTAMP))
        snapshot = workflow.opened_snapshot(root, timestamp.signed, _kept(stored, records.SNAPSHOT))
        top = workflow.opened_targets(root, snapshot.signed, _kept(stored, records.TARGETS))
        withheld = _withheld(stored)
        roles = {Targets.type: top}

        def delegate(delegator: str, name: str) -> Verified[Targets] | None:
            if name in withheld or workflow.role_meta(snapshot.signed, name) is None:
                return None
            raw = _kept(stored, records.delegated(name))
            roles[name] = workflow.opened_delegated(roles[delegator], snapshot.signed, raw, name=name)
            return roles[name]

        registry = self._files.read(registry_of(top.signed))
        listed = listing(top, targets.issuers(Document(registry, paths.ISSUERS)), delegate)
        return View(root, timestamp, snapshot, top, listed, withheld)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            lock = turn.take(self.folder / _LOCK)
        except FileNotFoundError:
            raise TrustMissing(
                f"There is no trust data at {self.folder}.", "Enrol this gate: edge provision enroll."
            ) from None
        except BlockingIOError as error:
            raise TrustError(f"Another refresh of {self.folder} is under way.", "Try again in a moment.") from error
        except OSError as error:
            raise TrustError(f"{self.folder} cannot be written: {error.strerror}.", "Check permissions.") from error
        with lock:
            yield


def first_records(root: Verified[Root]) -> dict[str, bytes]:
    """Return what a store begins with when its trust begins with `root`."""
    floors = Floors(RootFloor(root.signed.version, root.digest))
    return {
        records.PINNED: root.raw,
        records.ROOT: root.raw,
        records.chain(root.signed.version): root.raw,
        records.FLOORS: encode_floors(floors),
    }


def _kept(stored: Stored, record: str) -> bytes:
    raw = stored.get(records.view(record))
    if raw is None:
        raise TrustDamaged(f"The {record} metadata in {stored.path} is damaged.", REPAIR)
    return raw


def _withheld(stored: Stored) -> frozenset[str]:
    try:
        return frozenset(str(name) for name in json.loads(stored.get(records.WITHHELD) or b"[]"))
    except (ValueError, TypeError) as error:
        raise TrustDamaged(f"The record {records.WITHHELD} in {stored.path} is damaged.", REPAIR) from error
