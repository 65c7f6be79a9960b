"""How a gate comes to the newest state of each list: the shortest way, checked, or not at all.

A packed list is fetched whole. To a list in parts two ways lead: the deltas behind the state held, or the base with the
parts that are missing and the deltas behind it. A list that cannot be brought up to date because of what was published
for it stays as it was, with the reason noted: one issuer's rubbish holds up nobody else's revocations. What a mirror or
the disk does wrong ends the refresh.

Bound on change (docs/adr/0022-revocation-lists.md): what an issuer's own keys may change in a day is one percent of the
entries issued, counted over all that lies between the state held and the one offered, deltas and base alike; more needs
a national co-signature over the very file.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.errors import ListRefused, TrustDamaged
from edge.model.trust import PackedList
from edge.trust import list_state, paths, status_list
from edge.trust.hash_list import SortedHashes
from edge.trust.large_lists import Cosigned, Offer, Offers
from edge.trust.list_book import Kept, ListBook
from edge.trust.list_state import ListState
from edge.trust.part_files import PartFiles

FREE_FLIPS: Final = 1000
"""Changes a day that never need a co-signature: a small list is not held up by a busy day."""
_SHARE: Final = 100
_DAY: Final = 86_400


def most_flips(issued: int) -> int:
    """Return how many entries an issuer's own keys may change in a day."""
    return max(FREE_FLIPS, issued // _SHARE)


class ListUpdate:
    """One refresh's work on the large lists.

    Args:
        parts: Where files are kept.
        fetch: Returns a target's bytes, verified, and keeps it among `parts`.
        before: What is in force.
        issued_at: Signed issue time of the publication, Unix seconds.
        cosigned: Large changes that the national role has signed too.
    """

    def __init__(
        self,
        parts: PartFiles,
        fetch: Callable[[TargetFile], bytes],
        before: ListBook,
        *,
        issued_at: int,
        cosigned: Cosigned = frozenset(),
    ) -> None:
        self._parts = parts
        self._fetch = fetch
        self._before = before
        self._issued_at = issued_at
        self._cosigned = cosigned
        self._used: set[bytes] = set()

    def bring(self, offered: Offers, now: int) -> ListBook:
        """Bring every list to its newest state, or note why it stays; return the book of the view to come.

        Raises:
            TransportError: A file cannot be fetched.
            TrustRefused: A mirror gave another file than was signed for.
            TrustError: The store cannot be written.
        """
        found = {offer.uri: self._bring_parted(offer) for offer in offered.parted.values()}
        for place, target in offered.packed.items():
            found[paths.status_uri(*place)] = self._bring_packed(paths.status_uri(*place), target)
        for place, target in offered.hashes.items():
            found[paths.hashes_path(*place)] = self._bring_hashes(target)
        hashed_at = now if self._before.is_due(now) else self._before.hashed_at
        return ListBook(found, self._parts.seals(self._used), hashed_at)

    @property
    def used(self) -> frozenset[str]:
        """Names of the files, beside the targets, that what is in force now consists of."""
        return frozenset(digest.hex() for digest in self._used)

    def _bring_hashes(self, target: TargetFile) -> Kept:
        name, digest = target.hashes["sha256"], bytes.fromhex(target.hashes["sha256"])
        before = self._before.lists.get(target.path, Kept())
        if before.state != name or not self._parts.is_whole(digest):
            try:
                SortedHashes(self._fetch(target), target.path).check()
            except ListRefused as error:
                self._used |= {before.digest} if before.state else set()
                return replace(before, refused=name, refused_at=self._issued_at, why=error.message)
        self._keep(digest)
        return Kept(name, since=self._issued_at)

    def _bring_packed(self, uri: str, target: TargetFile) -> Kept:
        before = self._before.lists.get(uri, Kept())
        name, digest = target.hashes["sha256"], bytes.fromhex(target.hashes["sha256"])
        if self._was_refused(before, target, uri):
            return self._stays(uri, before)
        held = self._held_packed(uri, before)
        change = _Change.begun(len(held.entries) * 8 // held.bits if held else None, before, self._issued_at)
        try:
            self._check_form(before, target, uri, is_packed=True)
            if before.state != name or held is None:
                found = status_list.parse(self._fetch(target), uri)
                if held is not None and not self._is_cosigned(target):
                    change = change.more(status_list.difference(held, found), uri)
        except ListRefused as error:
            return self._stays(uri, before, target, error)
        self._keep(digest)
        return Kept(name, is_packed=True, since=change.since, flips=change.flips)

    def _check_form(self, before: Kept, target: TargetFile, uri: str, *, is_packed: bool) -> None:
        # What is held in one form bounds nothing in the other.
        if before.state and before.is_packed is not is_packed and not self._is_cosigned(target):
            raise ListRefused(f"{uri}: a list changes between packed and parts only with a national co-signature.")

    def _held_packed(self, uri: str, before: Kept) -> PackedList | None:
        if not before.state or not before.is_packed:
            return None
        try:
            return status_list.parse(bytes(self._parts.data(before.digest)), uri)
        except (TrustDamaged, ListRefused):
            return None

    def _bring_parted(self, offer: Offer) -> Kept:
        before = self._before.lists.get(offer.uri, Kept())
        held = self._held(offer.uri, before)
        base_file = self._fetch(offer.base)
        try:
            self._check_form(before, offer.base, offer.uri, is_packed=False)
            base = _base(base_file, offer.uri, held)
        except ListRefused as error:
            return self._stays(offer.uri, before, offer.base, error)
        newest = offer.newest_after(base.sequence)
        token = offer.deltas[newest] if newest > base.sequence else offer.base
        if self._was_refused(before, token, offer.uri):
            return self._stays(offer.uri, before)
        change = _Change.begun(held.issued if held else None, before, self._issued_at)
        try:
            way = self._newest(offer, base, held, change)
        except ListRefused as error:
            return self._stays(offer.uri, before, token, error)
        self._parts.keep(way.state.encode())
        self._use(way.state)
        return Kept(way.state.digest.hex(), since=way.change.since, flips=way.change.flips)

    def _held(self, uri: str, before: Kept) -> ListState | None:
        if not before.state or before.is_packed:
            return None
        try:
            return list_state.parse_state(bytes(self._parts.data(before.digest)), uri)
        except (TrustDamaged, ListRefused):
            # It is fetched again from the base on.
            return None

    def _stays(
        self, uri: str, before: Kept, refused: TargetFile | None = None, error: ListRefused | None = None
    ) -> Kept:
        """Keep what is in force, with the reason where it is a new one; what the disk has lost is not in force."""
        state = before.state
        try:
            if state and before.is_packed:
                self._keep(before.digest)
            elif state:
                self._use(list_state.parse_state(bytes(self._parts.data(before.digest)), uri))
        except (TrustDamaged, ListRefused):
            state = ""
        if refused is None or error is None:
            return replace(before, state=state)
        name = refused.hashes["sha256"]
        return replace(before, state=state, refused=name, refused_at=self._issued_at, why=error.message)

    def _keep(self, digest: bytes) -> None:
        # Hashed once where it was fetched just now, so that it has a seal.
        self._parts.data(digest)
        self._used.add(digest)

    def _use(self, state: ListState | None) -> None:
        if state is not None:
            self._used |= {state.digest, *state.digests()}

    def _was_refused(self, before: Kept, token: TargetFile, uri: str) -> bool:
        # The same answer again, without the work; what may change with time or a signature is tried anew.
        is_cosigned = any(path.startswith(uri) for path, _ in self._cosigned)
        is_new_day = self._issued_at - before.refused_at >= _DAY
        return before.refused == token.hashes["sha256"] and not is_cosigned and not is_new_day

    def _newest(self, offer: Offer, base: ListState, held: ListState | None, change: "_Change") -> "_Way":
        newest = offer.newest_after(base.sequence)
        if held is not None and not all(self._parts.is_whole(digest) for digest in held.digests()):
            # The disk has lost some of it: it comes anew, from the base on.
            held, change = None, replace(change, issued=None)
        if held is not None:
            if held.sequence == newest and held.digest == self._goal(offer, base, newest):
                return _Way(held, change)
            if held.sequence >= newest and not self._is_cosigned(offer.base):
                raise ListRefused(f"{offer.uri}: sequence {newest} was offered; this gate holds {held.sequence}.")
        ways = self._ways(offer, base, held, change)
        for way in ways[:-1]:
            try:
                return way()
            except (ListRefused, TrustDamaged):
                # The other way may still lead there.
                continue
        return ways[-1]()

    def _ways(
        self, offer: Offer, base: ListState, held: ListState | None, change: "_Change"
    ) -> "list[Callable[[], _Way]]":
        newest = offer.newest_after(base.sequence)
        ways: list[Callable[[], _Way]] = [lambda: self._from_base(offer, base, held, change)]
        behind = range(held.sequence + 1, newest + 1) if held is not None else range(0)
        if held is not None and behind and all(number in offer.deltas for number in behind):
            is_shorter = self._is_shorter(offer, base, held, newest)
            ways.insert(0 if is_shorter else 1, lambda: self._along(offer, held, newest, change))
        return ways

    def _goal(self, offer: Offer, base: ListState, newest: int) -> bytes:
        return base.digest if newest == base.sequence else self._delta(offer, newest, base.size).result

    def _delta(self, offer: Offer, sequence: int, size: int) -> list_state.ListDelta:
        return list_state.parse_delta(self._fetch(offer.deltas[sequence]), offer.uri, sequence, size)

    def _is_shorter(self, offer: Offer, base: ListState, held: ListState, newest: int) -> bool:
        by_deltas = sum(offer.deltas[number].length for number in range(held.sequence + 1, newest + 1))
        by_base = sum(
            target.length
            for name, target in offer.parts.items()
            if bytes.fromhex(name) in base.digests() and not self._parts.is_whole(bytes.fromhex(name))
        )
        by_base += sum(target.length for number, target in offer.deltas.items() if number > base.sequence)
        return by_deltas <= by_base

    def _along(self, offer: Offer, state: ListState, newest: int, change: "_Change") -> "_Way":
        for sequence in range(state.sequence + 1, newest + 1):
            if sequence not in offer.deltas:
                raise ListRefused(f"{offer.uri}: delta {sequence} is missing from the publication.")
            delta = self._delta(offer, sequence, state.size)
            if not self._is_cosigned(offer.deltas[sequence]):
                change = change.more(delta.count, offer.uri)
            state = list_state.apply(state, delta, self._parts)
        return _Way(state, change)

    def _from_base(self, offer: Offer, base: ListState, held: ListState | None, change: "_Change") -> "_Way":
        for digest in base.digests():
            if not self._parts.is_whole(digest):
                if digest.hex() not in offer.parts:
                    raise ListRefused(f"{offer.uri}: a part of the base is missing from the publication.")
                self._fetch(offer.parts[digest.hex()])
        list_state.check_parts(base, self._parts, held.digests() if held else ())
        if held is not None and not self._is_cosigned(offer.base):
            change = change.more(list_state.difference(held, base, self._parts), offer.uri)
        return self._along(offer, base, offer.newest_after(base.sequence), change)

    def _is_cosigned(self, target: TargetFile) -> bool:
        return (target.path, target.hashes["sha256"]) in self._cosigned


def _base(data: bytes, uri: str, held: ListState | None) -> ListState:
    base = list_state.parse_state(data, uri)
    if held is not None and held.size != base.size:
        raise ListRefused(f"{uri}: the size of a list never changes.")
    return base


@dataclass(frozen=True, slots=True)
class _Change:
    """How much of a list has changed in a day, and on the way so far, against what may.

    Attributes:
        issued: Entries issued, by the state held; None where none is held to differ from.
        since: When the day began, by signed issue times, Unix seconds.
        days: Whole days since the list was last brought up to date.
        flips: Entries changed since the day began.
    """

    issued: int | None
    since: int
    days: int
    flips: int

    @classmethod
    def begun(cls, issued: int | None, before: Kept, issued_at: int) -> "_Change":
        """Return what stands when a publication of `issued_at` is offered."""
        days = max(0, issued_at - before.since) // _DAY
        # A day's share is one share, however often within it a gate refreshes.
        return cls(issued, issued_at, days, 0) if days else cls(issued, before.since, 0, before.flips)

    def more(self, flips: int, uri: str) -> "_Change":
        """Count further flips.

        Raises:
            ListRefused: More has changed than the issuer's keys alone may change.
        """
        if self.issued is None:
            return self
        most = most_flips(self.issued) * (1 + self.days)
        if self.flips + flips > most:
            raise ListRefused(
                f"{uri}: {self.flips + flips} entries change and {most} may without a national co-signature."
            )
        return replace(self, flips=self.flips + flips)


@dataclass(frozen=True, slots=True)
class _Way:
    """Where a way led, and what changed on it."""

    state: ListState
    change: _Change
