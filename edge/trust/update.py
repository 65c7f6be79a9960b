"""One run of the TUF client workflow over a fetcher and whatever keeps records: each verified step is kept, at once.

The rules are `edge.trust.workflow`'s. What a caller makes of the verified metadata, a gate's view or one downloaded
file, is left to `edge.trust.refresh` and `edge.trust.download`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, NoReturn
from urllib.parse import quote

from tuf.api.metadata import (  # type: ignore[attr-defined]  # documented there, without `__all__`
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from edge.errors import AnswerRefused, TrustDamaged, TrustExpired, TrustRefused
from edge.trust import records, workflow
from edge.trust.fetchers import Fetcher
from edge.trust.floors import Floors, RootFloor, SnapshotFloor, TimestampFloor, decode_floors, encode_floors
from edge.trust.records import Records, Stored
from edge.trust.workflow import LIMITS, Role, Verified

_ABSENT: Final = frozenset((403, 404))
"""What servers say of a root that is not there yet; some object stores say 403."""
_TOGETHER: Final = 32
"""Delegated roles kept in one commit: a commit costs a card two syncs, and a lost role one request."""


@dataclass(frozen=True, slots=True)
class Top:
    """The verified top-level metadata of one moment of the repository."""

    root: Verified[Root]
    timestamp: Verified[Timestamp]
    snapshot: Verified[Snapshot]
    targets: Verified[Targets]


class Update:
    """One run; made, run once, thrown away. Call `flush` at its end, however it ends.

    Args:
        records_: What is kept between runs.
        fetcher: Where the update comes from.
        now: The fixed update start time (5.1), Unix seconds.

    Raises:
        TrustMissing: There are no records.
        TrustDamaged: They or the floors cannot be read.
        TrustError: They are in use by a writer for too long.
    """

    def __init__(self, records_: Records, fetcher: Fetcher, now: int) -> None:
        self._records = records_
        self._fetcher = fetcher
        self._system_now = now
        self.stored = records_.read()
        self.floors = decode_floors(self.stored.need(records.FLOORS))
        self.withheld: set[str] = set()
        self._delegates: dict[tuple[str, str], Verified[Targets] | None] = {}
        self._roles: dict[str, Verified[Targets]] = {}
        self._unwritten: dict[str, bytes] = {}
        self._top: Top | None = None

    @property
    def _now(self) -> int:
        # A clock behind what was signed before is wrong: an old stick must not be fresh again in 1970.
        return max(self._system_now, self.floors.issued_at)

    def top(self) -> Top:
        """Bring the top-level metadata up to date.

        Raises:
            TrustRefused: What was offered does not verify, is expired or older.
            TransportError: The fetcher failed.
            TrustDamaged: The pinned root is damaged.
            TrustError: The records cannot be written.
        """
        root = self._root()
        timestamp = self._timestamp(root)
        snapshot = self._snapshot(root, timestamp)
        self._top = Top(root, timestamp, snapshot, self._targets(root, snapshot))
        self._roles[Targets.type] = self._top.targets
        return self._top

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
        workflow.check_root_floor(root, self.floors)
        # 5.3.11 is worked out before 5.3.10 is judged: a stolen timestamp key may have pushed the time floor itself.
        floors = workflow.floors_after_rotation(root, self.floors)
        workflow.check_freeze(root, max(self._system_now, floors.issued_at))
        if floors != self.floors:
            self.keep({}, floors, remove=(records.TIMESTAMP, records.SNAPSHOT))
        return root

    def _known_root(self) -> Verified[Root]:
        kept = self._kept(records.ROOT, workflow.first_root)
        if kept is not None:
            return kept
        # Lost: walked again from the pinned one; the floors still hold.
        try:
            return workflow.first_root(self.stored.need(records.PINNED))
        except TrustRefused as error:
            raise TrustDamaged(
                f"The pinned root in {self.stored.path} does not verify.",
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
        if root.signed.version < self.floors.root.version:
            # Walked again after damage: not ours again until it has reached the floor.
            return
        workflow.check_root_floor(root, self.floors)
        # 5.3.7 and 5.3.8: each step is trusted and persisted before the next.
        kept = {records.ROOT: root.raw, records.chain(root.signed.version): root.raw}
        self.keep(kept, replace(self.floors, root=RootFloor(root.signed.version, root.digest)))

    # 5.4 Update the timestamp role

    def _timestamp(self, root: Verified[Root]) -> Verified[Timestamp]:
        data = self._fetcher.fetch("metadata/timestamp.json", LIMITS.timestamp)
        new = workflow.opened_timestamp(root, data)
        workflow.check_timestamp(new, self.floors)
        kept = self._kept(records.TIMESTAMP, lambda raw: workflow.opened_timestamp(root, raw))
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
        self.keep({records.TIMESTAMP: new.raw}, replace(self.floors, timestamp=floor))
        return new

    # 5.5 Update the snapshot role

    def _snapshot(self, root: Verified[Root], timestamp: Verified[Timestamp]) -> Verified[Snapshot]:
        kept = self._kept(records.SNAPSHOT, lambda raw: workflow.opened_snapshot(root, timestamp.signed, raw))
        if kept is not None:
            workflow.check_freeze(kept, self._now)
            return kept
        meta = timestamp.signed.snapshot_meta
        data = self._fetch_role(root, records.SNAPSHOT, meta.version, _most(meta.length, LIMITS.snapshot))
        new = workflow.opened_snapshot(root, timestamp.signed, data)
        workflow.check_snapshot(new, self.floors)
        workflow.check_freeze(new, self._now)
        floor = SnapshotFloor(
            version=new.signed.version,
            meta={name: listed.version for name, listed in new.signed.meta.items()},
            signers=new.signers,
            threshold=new.threshold,
        )
        # 5.5.7
        self.keep({records.SNAPSHOT: new.raw}, replace(self.floors, snapshot=floor))
        return new

    # 5.6 Update the targets role

    def _targets(self, root: Verified[Root], snapshot: Verified[Snapshot]) -> Verified[Targets]:
        kept = self._kept(records.TARGETS, lambda raw: workflow.opened_targets(root, snapshot.signed, raw))
        if kept is not None:
            workflow.check_freeze(kept, self._now)
            return kept
        new = workflow.opened_targets(root, snapshot.signed, self._fetch_targets(root, snapshot.signed, Targets.type))
        workflow.check_freeze(new, self._now)
        # 5.6.6
        self.keep({records.TARGETS: new.raw}, self.floors)
        return new

    # 5.6.7 Delegated roles, after `top`

    def delegated(self, delegator: str, name: str) -> Verified[Targets] | None:
        """Return a delegated role as `delegator` wants it signed; None where the snapshot lists none of that name.

        Raises:
            TrustExpired: It has run out.
            TrustRefused: It does not verify.
            TransportError: The fetcher failed.
            TrustError: The records cannot be written.
        """
        pair = (delegator, name)
        if pair not in self._delegates:
            self._delegates[pair] = self._delegated(self._roles[delegator], name)
        found = self._delegates[pair]
        if found is not None:
            self._roles[name] = found
        return found

    def _delegated(self, delegator: Verified[Targets], name: str) -> Verified[Targets] | None:
        top = self._top or _unrun()
        if workflow.role_meta(top.snapshot.signed, name) is None:
            return None
        kept = self._kept_role(delegator, name)
        if kept is not None:
            workflow.check_freeze(kept, self._now, name=name)
            return kept
        data = self._fetch_targets(top.root, top.snapshot.signed, name)
        new = workflow.opened_delegated(delegator, top.snapshot.signed, data, name=name)
        workflow.check_freeze(new, self._now, name=name)
        # 5.6.6
        self._unwritten[records.delegated(name)] = new.raw
        if len(self._unwritten) >= _TOGETHER:
            self.flush()
        return new

    def _kept_role(self, delegator: Verified[Targets], name: str) -> Verified[Targets] | None:
        snapshot = (self._top or _unrun()).snapshot.signed
        return self._kept(
            records.delegated(name), lambda raw: workflow.opened_delegated(delegator, snapshot, raw, name=name)
        )

    def delegated_or_kept(self, delegator: str, name: str) -> Verified[Targets] | None:
        """Return a delegated role like `delegated`, but do not let one that has run out stop all others.

        The timestamp and the snapshot vouch that it is the newest. Where it was verified before it ran out it stays, as
        every kept thing does; where it comes already expired it is an expired update, and is noted in `withheld`.

        Raises:
            TrustRefused: It does not verify.
            TransportError: The fetcher failed.
            TrustError: The records cannot be written.
        """
        try:
            return self.delegated(delegator, name)
        except TrustExpired:
            kept = self._kept_role(self._roles[delegator], name)
        self._delegates[delegator, name] = kept
        if kept is None:
            self.withheld.add(name)
        else:
            self._roles[name] = kept
        return kept

    # What every step needs

    def _kept(self, name: str, opened: Callable[[bytes], Verified[Role]]) -> Verified[Role] | None:
        raw = self.stored.get(name)
        try:
            return None if raw is None else opened(raw)
        except TrustRefused:
            # Damaged, of an older version, or of keys that root no longer names: it is fetched again, above the floors.
            return None

    def _fetch_targets(self, root: Verified[Root], snapshot: Snapshot, name: str) -> bytes:
        meta = workflow.role_meta(snapshot, name)
        if meta is None:
            raise TrustRefused(f"The snapshot names no {name} metadata.", _ELSE)
        return self._fetch_role(root, name, meta.version, _most(meta.length, LIMITS.targets))

    def _fetch_role(self, root: Verified[Root], name: str, version: int, most: int) -> bytes:
        # 5.3.12: consistent snapshots have the version in the file's name. A role's name is one segment of the address.
        prefix = f"{version}." if root.signed.consistent_snapshot else ""
        return self._fetcher.fetch(f"metadata/{prefix}{quote(name, safe='')}.json", most)

    def flush(self) -> None:
        """Make everything verified so far durable.

        Raises:
            TrustError: The records cannot be written.
        """
        if self._unwritten:
            self.keep({}, self.floors)

    def keep(self, values: Mapping[str, bytes], floors: Floors, *, remove: tuple[str, ...] = ()) -> None:
        """Put records and floors in one durable step.

        Raises:
            TrustError: They cannot be written.
        """
        put = {**self._unwritten, **values, records.FLOORS: encode_floors(floors)}
        self._records.write(put, remove=remove)
        self._unwritten.clear()
        self.floors = floors
        whole = {name: value for name, value in {**self.stored.values, **put}.items() if name not in remove}
        self.stored = Stored(self.stored.path, whole, self.stored.damaged - put.keys())


def _most(signed_length: int | None, limit: int) -> int:
    # The number of bytes that was signed for, or ours (5.5.1, 5.6.1).
    if signed_length is None:
        return limit
    if type(signed_length) is not int or signed_length > limit:
        raise TrustRefused(f"A metadata file is longer than {limit} bytes.", _ELSE)
    return signed_length


def _unrun() -> NoReturn:
    raise RuntimeError("top() comes first")  # a fault of ours, never of the far side


_ELSE: Final = "The trust in force stays. Use another address or copy the stick again."
