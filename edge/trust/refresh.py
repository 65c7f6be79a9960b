"""One refresh of a gate: the update workflow, the targets it needs, and the view swapped when all is there.

A newer root or timestamp that verified stays verified even if the rest fails; what a gate decides by, the view, changes
only as a whole. The workflow is `edge.trust.update`'s; locking and reading the view are the store's.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote

from tuf.api.metadata import TargetFile, Targets  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.errors import TrustError, TrustRefused
from edge.model.trust import TrustVersions
from edge.trust import changes, database, large_lists, list_book, paths, records, registries, targets
from edge.trust.fetchers import Fetcher
from edge.trust.fields import Document
from edge.trust.files import TargetFiles, is_intact, wanted
from edge.trust.large_lists import Offers
from edge.trust.list_update import ListUpdate
from edge.trust.part_files import PartFiles
from edge.trust.records import Records
from edge.trust.snapshot import build
from edge.trust.update import Update
from edge.trust.view import View, listing, registry_of

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
        withheld: Delegated roles that came expired: their issuers are not in the view.
        outlived: Delegated roles that have run out since they were verified, and still count for a while.
    """

    changed: bool
    versions: TrustVersions
    issued_at: int
    next_expiry: int
    fetched: int
    withheld: frozenset[str] = frozenset()
    outlived: frozenset[str] = frozenset()


class Refresh:
    """One run of the workflow; made, run once, thrown away.

    Args:
        records_: The store's records.
        files: The store's target files.
        fetcher: Where the update comes from.
        now: The fixed update start time (5.1), Unix seconds.
        before: Returns the view in force, or None where there is none that verifies.
    """

    def __init__(
        self, records_: Records, files: TargetFiles, fetcher: Fetcher, *, now: int, before: Callable[[], View | None]
    ) -> None:
        self._update = Update(records_, fetcher, now)
        self._files = files
        self._fetcher = fetcher
        self._now = now
        self._before = before
        self._fetched = 0

    def run(self) -> RefreshResult:
        """Bring the store up to date.

        Raises:
            TrustRefused: What was offered does not verify, is expired or older; the view stays.
            TransportError: The fetcher failed; the view stays.
            TrustDamaged: The pinned root or the floors are damaged.
            TrustError: The store cannot be written.
        """
        try:
            return self._run()
        finally:
            # What verified before a fault stays verified.
            self._update.flush()

    def _run(self) -> RefreshResult:
        top = self._update.top()
        is_prefixed = bool(top.root.signed.consistent_snapshot)
        issuers = self._issuers(top.targets.signed, is_prefixed=is_prefixed)
        listed = listing(top.targets, issuers, self._update.delegated_or_kept)
        withheld = frozenset(self._update.withheld)
        view = View(top.root, top.timestamp, top.snapshot, top.targets, listed, withheld)
        offered = large_lists.offers(wanted(listed.targets()))

        def fetch(target: TargetFile) -> bytes:
            return self._file(target, is_prefixed=is_prefixed)

        files = {path: fetch(target) for path, target in offered.others.items()}
        changed = self._swap(view, files, offered, fetch)
        found = view.provenance()
        return RefreshResult(
            changed=changed,
            versions=found.versions,
            issued_at=found.issued_at,
            next_expiry=found.next_expiry,
            fetched=self._fetched,
            withheld=withheld,
            outlived=frozenset(self._update.outlived),
        )

    def _issuers(self, top: Targets, *, is_prefixed: bool) -> Collection[str]:
        data = self._file(registry_of(top), is_prefixed=is_prefixed)
        try:
            return targets.issuers(Document(data, paths.ISSUERS))
        except TrustError as error:
            raise TrustRefused(error.message, _UNREADABLE) from error

    # 5.7 Fetch target

    def _file(self, target: TargetFile, *, is_prefixed: bool) -> bytes:
        if self._files.has(target):
            return self._files.read(target)
        folder, slash, name = target.path.rpartition("/")
        prefix = f"{target.hashes['sha256']}." if is_prefixed else ""
        data = self._fetcher.fetch(f"targets/{quote(f'{folder}{slash}{prefix}{name}')}", target.length)
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

    def _swap(
        self, view: View, files: Mapping[str, bytes], offered: Offers, fetch: Callable[[TargetFile], bytes]
    ) -> bool:
        """Put the view in force, durably; return whether it is another one."""
        update, provenance = self._update, view.provenance()
        before = list_book.decode(update.stored.get(list_book.RECORD))
        parts = PartFiles(self._files.folder, {} if before.is_due(self._now) else before.seals)
        lists = ListUpdate(parts, fetch, before, issued_at=provenance.issued_at, cosigned=provenance.cosigned)
        book = lists.bring(offered, self._now)
        try:
            # Read as the gate will read it: what is signed and yet of no form never replaces what is.
            versions = build(provenance, files, large_lists.open_lists(offered, book, parts)).registries.versions
        except TrustRefused:
            raise
        except TrustError as error:
            raise TrustRefused(error.message, _UNREADABLE) from error
        signers = view.root.signed.roles[Targets.type].keyids
        registries.check_forward(update.stored.get(records.REGISTRIES), versions, signers)
        put = {**view.records(), list_book.RECORD: book.encode()}
        gone = self._gone(put)
        if not self._fetched and not gone and all(update.stored.get(name) == value for name, value in put.items()):
            return False
        generation = database.number(update.stored.get(records.GENERATION) or b"0") + 1
        put[records.REGISTRIES] = registries.kept(versions, signers)
        put[records.GENERATION] = str(generation).encode()
        put[records.CHANGES] = changes.between(self._before(), view, self._now).record()
        update.keep(put, replace(update.floors, view=view.timestamp.digest), remove=gone)
        # What is left over costs space and nothing else; the next swap tries again.
        with suppress(OSError):
            self._files.keep_only(large_lists.settled(offered).values(), lists.used)
        return True

    def _gone(self, put: Mapping[str, bytes]) -> tuple[str, ...]:
        kept = self._update.stored.values
        stale = {records.view(records.delegated(name)) for name in records.viewed_names(kept)}
        stale |= {records.WITHHELD} & kept.keys()
        # The newest metadata of a role that the view no longer needs would be fetched again, should it be needed again.
        names = records.delegated_names(kept)
        stale |= {records.delegated(name) for name in names if records.view(records.delegated(name)) not in put}
        return tuple(sorted(stale - put.keys()))


_UNREADABLE: Final = "Tell the authority: its publication cannot be read."
