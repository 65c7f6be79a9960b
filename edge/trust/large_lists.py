"""The lists of a publication: which files there are of each, and opening those a store has put in force.

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
from edge.model.trust import HashList, PackedList, StatusList
from edge.trust import list_state, paths, status_list
from edge.trust.hash_list import SortedHashes
from edge.trust.list_book import Kept, ListBook
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

    @property
    def newest(self) -> tuple[TargetFile, ...]:
        """The base and the newest delta, where there is one: what a view needs once the list is in force."""
        newest = self.newest_after(0)
        return (self.base, self.deltas[newest]) if newest else (self.base,)

    def newest_after(self, sequence: int) -> int:
        """Return the highest number of a delta above `sequence`, or `sequence`."""
        return max((number for number in self.deltas if number > sequence), default=sequence)


@dataclass(frozen=True, slots=True)
class Offers:
    """The lists of a publication, and what is left of its targets.

    Attributes:
        parted: Lists in parts by issuer and number.
        hashes: Lists of hashes by issuer and number.
        packed: Packed lists by issuer and number; without those that are there in parts.
        others: Every other target by path.
    """

    parted: Mapping[Place, Offer]
    hashes: Mapping[Place, TargetFile]
    packed: Mapping[Place, TargetFile]
    others: Mapping[str, TargetFile]


@dataclass(frozen=True, slots=True)
class OpenedLists:
    """Lists, ready to answer.

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
    found: dict[ListFile, dict[Place, dict[int | str, TargetFile]]] = {kind: {} for kind in ListFile}
    packed: dict[Place, TargetFile] = {}
    others: dict[str, TargetFile] = {}
    for path, target in needed.items():
        named, listed = paths.list_file_of(path), paths.status_of(path)
        if named is not None:
            kind, issuer, number, sequence = named
            key = target.hashes["sha256"] if kind is ListFile.PART else sequence
            found[kind].setdefault((issuer, number), {})[key] = target
        elif listed is not None:
            packed[listed] = target
        else:
            others[path] = target
    parted = {
        place: Offer(
            paths.status_uri(*place),
            base[0],
            {int(number): delta for number, delta in found[ListFile.DELTA].get(place, {}).items()},
            {str(name): part for name, part in found[ListFile.PART].get(place, {}).items()},
        )
        for place, base in found[ListFile.BASE].items()
    }
    hashes = {place: target[0] for place, target in found[ListFile.HASHES].items()}
    return Offers(parted, hashes, {place: target for place, target in packed.items() if place not in parted}, others)


def open_lists(offered: Offers, book: ListBook, parts: PartFiles) -> OpenedLists:
    """Open the lists a book names, each tied to the publication it was brought up to.

    Raises:
        TrustDamaged: A file is missing or altered, or a state is not the one that was published and not held back.
        TrustError: The packed lists are too long together.
    """
    status_lists: dict[Place, StatusList] = {}
    hash_lists: dict[Place, HashList] = {}
    held_back: dict[str, str] = {}
    inflated = 0
    for place, offer in (dict(offered.parted) | dict(offered.packed)).items():
        uri = paths.status_uri(*place)
        kept = _kept(book, uri, offer, held_back)
        if not kept.state:
            continue
        found = _opened(uri, kept, offer, parts)
        inflated += len(found.entries) if isinstance(found, PackedList) else 0
        status_list.check_together(inflated)
        status_lists[place] = found
    for place, target in offered.hashes.items():
        kept = _kept(book, target.path, target, held_back)
        if target.hashes["sha256"] not in {kept.refused, kept.state}:
            raise _other(target.path)
        if kept.state:
            hash_lists[place] = SortedHashes(parts.data(kept.digest), target.path)
    return OpenedLists(status_lists, hash_lists, held_back)


def _kept(book: ListBook, name: str, offer: Offer | TargetFile, held_back: dict[str, str]) -> Kept:
    kept = book.lists.get(name)
    if kept is None:
        if isinstance(offer, Offer):
            raise _other(name)
        # A store of before the book: what was published is what is in force.
        return Kept(offer.hashes["sha256"], is_packed=True)
    if kept.refused:
        held_back[name] = kept.why
    return kept


def _opened(uri: str, kept: Kept, offer: Offer | TargetFile, parts: PartFiles) -> StatusList:
    names = {target.hashes["sha256"] for target in (offer.newest if isinstance(offer, Offer) else (offer,))}
    data = parts.data(kept.digest)
    if kept.is_packed:
        if not names & {kept.refused, kept.state}:
            raise _other(uri)
        return status_list.parse(bytes(data), uri)
    state = list_state.parse_state(bytes(data), uri)
    if kept.refused not in names and (not isinstance(offer, Offer) or state.digest != _goal(offer, parts)):
        raise _other(uri)
    return open_list(state, parts)


def _goal(offer: Offer, parts: PartFiles) -> bytes:
    # A state counts only if signed metadata leads to it: by the base's hash, or by the one the newest delta names.
    base = list_state.parse_state(_read(offer.base, parts), offer.uri)
    newest = offer.newest_after(base.sequence)
    if newest == base.sequence:
        return base.digest
    return list_state.parse_delta(_read(offer.deltas[newest], parts), offer.uri, newest, base.size).result


def _read(target: TargetFile, parts: PartFiles) -> bytes:
    return bytes(parts.data(bytes.fromhex(target.hashes["sha256"])))


def _other(name: str) -> TrustError:
    return TrustDamaged(f"The list {name} of the trust store is not the one that was published.", REPAIR)


def settled(offered: Offers) -> dict[str, TargetFile]:
    """Return the targets a view needs beside the files its lists consist of."""
    found = dict(offered.others)
    for offer in offered.parted.values():
        found |= {target.path: target for target in offer.newest}
    return found
