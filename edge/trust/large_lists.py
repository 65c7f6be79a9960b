"""The large lists of a publication: which files there are of each, and opening those a store has put in force.

A view is opened without any network: a state counts only if signed metadata leads to it, by the hash of the base or by
the result its newest delta names, or if the book says that what was published was refused. How a state is reached is
`edge.trust.list_update`'s; the forms are `list_state`'s and `hash_list`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.errors import TrustDamaged, TrustError
from edge.model.trust import HashList, StatusList
from edge.trust import list_state, paths
from edge.trust.hash_list import SortedHashes
from edge.trust.list_book import Kept, ListBook
from edge.trust.list_state import ListState
from edge.trust.part_files import REPAIR, PartFiles
from edge.trust.parted_list import open_list
from edge.trust.paths import ListFile

Place = tuple[str, int]
"""Issuer id and list number."""
Cosigned = frozenset[tuple[str, str]]
"""Target path and SHA-256 (hexadecimal) of each large change that the national role has signed too."""


@dataclass(frozen=True, slots=True)
class Offer:
    """The files of one list in parts that a publication holds.

    Attributes:
        uri: The list's name.
        base: Its base.
        deltas: By sequence number.
        parts: By SHA-256, hexadecimal.
    """

    uri: str
    base: TargetFile
    deltas: Mapping[int, TargetFile]
    parts: Mapping[str, TargetFile]

    def newest_after(self, sequence: int) -> int:
        """Return the highest number of a delta above `sequence`, or `sequence`."""
        return max((number for number in self.deltas if number > sequence), default=sequence)


@dataclass(frozen=True, slots=True)
class Offers:
    """The large lists of a publication, and what is left of its targets.

    Attributes:
        parted: Lists in parts by issuer and number.
        hashes: Lists of hashes by issuer and number.
        others: Every other target by path; without the packed form of a list that is there in parts.
    """

    parted: Mapping[Place, Offer]
    hashes: Mapping[Place, TargetFile]
    others: Mapping[str, TargetFile]


@dataclass(frozen=True, slots=True)
class OpenedLists:
    """Large lists, ready to answer.

    Attributes:
        status_lists: By issuer and number.
        hash_lists: By issuer and number.
        held_back: Why a list is not the one that was published, by its name.
    """

    status_lists: Mapping[Place, StatusList] = field(default_factory=lambda: MappingProxyType({}))
    hash_lists: Mapping[Place, HashList] = field(default_factory=lambda: MappingProxyType({}))
    held_back: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


NO_LISTS: Final = OpenedLists()


def offers(needed: Mapping[str, TargetFile]) -> Offers:
    """Sort the targets of a publication."""
    bases: dict[Place, TargetFile] = {}
    deltas: dict[Place, dict[int, TargetFile]] = {}
    parts: dict[Place, dict[str, TargetFile]] = {}
    hashes: dict[Place, TargetFile] = {}
    others: dict[str, TargetFile] = {}
    for path, target in needed.items():
        named = paths.list_file_of(path)
        if named is None:
            others[path] = target
            continue
        kind, issuer, number, sequence = named
        place = issuer, number
        match kind:
            case ListFile.BASE:
                bases[place] = target
            case ListFile.DELTA:
                deltas.setdefault(place, {})[sequence] = target
            case ListFile.PART:
                parts.setdefault(place, {})[target.hashes["sha256"]] = target
            case ListFile.HASHES:
                hashes[place] = target
    found = {
        place: Offer(paths.status_uri(*place), base, deltas.get(place, {}), parts.get(place, {}))
        for place, base in bases.items()
    }
    for place in bases:
        others.pop(paths.status_path(*place), None)
    return Offers(found, hashes, others)


def open_lists(offered: Offers, book: ListBook, parts: PartFiles) -> OpenedLists:
    """Open the lists a book names, each tied to the publication it was brought up to.

    Raises:
        TrustDamaged: A file is missing or altered, or a state is not the one that was published and not held back.
    """
    status_lists: dict[Place, StatusList] = {}
    hash_lists: dict[Place, HashList] = {}
    held_back: dict[str, str] = {}
    for place, offer in offered.parted.items():
        kept = _kept(book, offer.uri, held_back)
        if kept.state:
            state = list_state.parse_state(bytes(parts.data(kept.digest)), offer.uri)
            _check_goal(offer, kept, state, parts)
            status_lists[place] = open_list(state, parts)
    for place, target in offered.hashes.items():
        kept = _kept(book, target.path, held_back)
        if kept.state and not kept.refused and kept.state != target.hashes["sha256"]:
            raise _other(target.path)
        if kept.state:
            hash_lists[place] = SortedHashes(parts.data(kept.digest), target.path)
    return OpenedLists(status_lists, hash_lists, held_back)


def _kept(book: ListBook, name: str, held_back: dict[str, str]) -> Kept:
    kept = book.lists.get(name)
    if kept is None:
        raise _other(name)
    if kept.refused:
        held_back[name] = kept.why
    return kept


def _check_goal(offer: Offer, kept: Kept, state: ListState, parts: PartFiles) -> None:
    # The state's own hash must be one that signed metadata leads to: the base's, or the one the newest delta names.
    newest = offer.newest_after(0)
    offered = [offer.base, offer.deltas[newest]] if newest else [offer.base]
    if kept.refused in {target.hashes["sha256"] for target in offered}:
        return
    base = list_state.parse_state(_read(offered[0], parts), offer.uri)
    goal = base.digest
    if newest > base.sequence:
        goal = list_state.parse_delta(_read(offered[1], parts), offer.uri, newest, base.size).result
    if state.digest != goal:
        raise _other(offer.uri)


def _read(target: TargetFile, parts: PartFiles) -> bytes:
    return bytes(parts.data(bytes.fromhex(target.hashes["sha256"])))


def _other(name: str) -> TrustError:
    return TrustDamaged(f"The list {name} of the trust store is not the one that was published.", REPAIR)


def settled(offered: Offers) -> dict[str, TargetFile]:
    """Return the targets a view needs once its lists are in force: of a list in parts the base and its newest delta."""
    found = dict(offered.others)
    for offer in offered.parted.values():
        newest = offer.newest_after(0)
        for target in (offer.base, *((offer.deltas[newest],) if newest else ())):
            found[target.path] = target
    return found
