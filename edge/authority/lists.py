"""The revocation lists of a publication: packed where they are small, else in parts that grow by deltas.

A list of more than 2^20 entries is published as a base, its parts and the deltas since. Each publication reads from the
ledger what changed since the last, writes the parts that it touches and one delta, and looks at nothing else.
After 32 deltas the state of the day becomes the base, which costs nothing, as its parts are there; 64 deltas stay, so
that a gate that was away for a month of daily publications catches up without it. Everything lies in `lists/`, by hash.

    lists/SHA256      parts, states and deltas that are published
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final

from edge.authority.authority import Authority
from edge.authority.ledger import ListSize
from edge.codec import gaps
from edge.codec.roaring import Bitmap
from edge.errors import PublicationError, TrustError
from edge.model.credential import HashKind
from edge.model.trust import Status, StatusList
from edge.trust import hash_list, list_state, paths, status_list
from edge.trust.files import TargetFiles
from edge.trust.hash_list import SortedHashes
from edge.trust.large_lists import OpenedLists
from edge.trust.list_state import PLANES, Flips, ListDelta, ListState
from edge.trust.list_update import most_flips
from edge.trust.part_files import PartFiles
from edge.trust.parted_list import open_list
from edge.trust.paths import ListFile

PARTED_ABOVE: Final = 1 << 20
"""Entries up to which the packed form is small enough to be fetched whole."""
BASE_EVERY: Final = 32
KEPT_DELTAS: Final = 64
FOLDER: Final = "lists"
_Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Issue:
    """How one list in parts was published last: what the ledger notes of it.

    Attributes:
        state: SHA-256 (hexadecimal) of the newest state.
        base: SHA-256 of the base.
        base_sequence: Its sequence number.
        deltas: SHA-256 and number of flips of each delta that is kept, by sequence number.
        packed: SHA-256 of the packed form, empty where it would be too large.
        change: Number of the ledger's change it reaches to.
        issued: Entries given out by then.
    """

    state: str
    base: str
    base_sequence: int
    deltas: Mapping[str, tuple[str, int]]
    packed: str
    change: int
    issued: int

    def digests(self) -> set[str]:
        """Return the hashes of the files it names, without parts."""
        return {self.state, self.base, *(digest for digest, _ in self.deltas.values())} | ({self.packed} - {""})

    def noted(self) -> dict[str, Any]:
        """Return it as the ledger keeps it."""
        return {name: getattr(self, name) for name in self.__slots__}


class ListFiles(Mapping[str, bytes]):
    """The files of all lists by target path; those in parts are read when they are asked for, one at a time.

    Args:
        packed: Files that are held.
        by_path: SHA-256 (hexadecimal) of the others.
        parts: Where they lie.
    """

    def __init__(self, packed: Mapping[str, bytes], by_path: Mapping[str, str], parts: PartFiles) -> None:
        self._packed = packed
        self._by_path = by_path
        self._parts = parts

    def __getitem__(self, path: str) -> bytes:
        """Return a file."""
        if path in self._packed:
            return self._packed[path]
        return bytes(self._parts.data(bytes.fromhex(self._by_path[path])))

    def __iter__(self) -> Iterator[str]:
        """Walk the paths."""
        yield from self._packed
        yield from self._by_path

    def __len__(self) -> int:
        """How many files there are."""
        return len(self._packed) + len(self._by_path)


def gather_lists(authority: Authority) -> ListFiles:
    """Bring every list up to the ledger and return the files that would be published, by target path.

    What is written on the way is kept even if nothing is published after all: the next publication goes on from it.

    Raises:
        PublicationError: The ledger or the folder cannot be used.
    """
    parts = PartFiles(authority.folder / FOLDER)
    packed: dict[str, bytes] = {}
    by_path: dict[str, str] = {}
    try:
        for place, dimensions in authority.ledger.lists().items():
            if dimensions.size <= PARTED_ABOVE:
                statuses = authority.ledger.marked(*place)
                packed[paths.status_path(*place)] = status_list.pack(dimensions.size, dimensions.bits, statuses)
            else:
                issue = _brought_up(authority, place, dimensions, parts)
                by_path |= _files(place, issue, parts)
        by_path |= _hash_lists(authority)
        needed = {*by_path.values(), *_parts_in_use(authority, parts)}
        TargetFiles(authority.folder / FOLDER).keep_only((), needed)
    except OSError as error:
        raise PublicationError(
            f"{authority.folder / FOLDER} cannot be written: {error.strerror}.", "Check permissions and free space."
        ) from error
    except PublicationError:
        raise
    except TrustError as error:
        raise PublicationError(error.message, "Restore the folder lists/ from a backup.") from error
    return ListFiles(packed, by_path, parts)


def _brought_up(authority: Authority, place: _Place, dimensions: ListSize, parts: PartFiles) -> Issue:
    noted = authority.ledger.published_state(*place)
    before = Issue(**noted) if noted else None
    if before is not None and (before.change, before.issued) == (dimensions.last_change, dimensions.issued):
        return before
    uri = paths.status_uri(*place)
    if before is None:
        state = list_state.new_state(uri, dimensions.size)
        changes = authority.ledger.marked(*place)
    else:
        state = list_state.parse_state(bytes(parts.data(bytes.fromhex(before.state))), uri)
        changes = authority.ledger.changed(*place, before.change)
    flips = _flips(open_list(state, parts), changes)
    after = list_state.changed(state, flips, dimensions.issued, parts)
    issue = _issue(before, state, after, flips, parts)
    if dimensions.size * dimensions.bits <= 8 * status_list.MAX_LIST_BYTES:
        packed = status_list.pack(dimensions.size, dimensions.bits, authority.ledger.marked(*place))
        issue = replace(issue, packed=parts.keep(packed).hex())
    found = replace(issue, change=dimensions.last_change, issued=dimensions.issued)
    authority.ledger.note_state(*place, found.noted())
    return found


def _flips(listed: StatusList, changes: Iterable[tuple[int, int]]) -> Flips:
    found: dict[Status, array[int]] = {plane: array("I") for plane in PLANES}
    for index, now in changes:
        was = listed.status(index)
        for status in {was, now} - {Status.VALID} if was != now else ():
            found[Status(status or 0)].append(index)
    return MappingProxyType(found)


def _issue(before: Issue | None, state: ListState, after: ListState, flips: Flips, parts: PartFiles) -> Issue:
    digest = parts.keep(after.encode()).hex()
    delta = ListDelta(after.uri, after.sequence, state.digest, after.digest, after.issued, flips)
    is_small = max(len(flips[plane]) for plane in PLANES) <= gaps.MAX_NUMBERS
    data = delta.encode() if before is not None and is_small else b""
    if before is None or not data or len(data) > list_state.MAX_DELTA_BYTES:
        # Too much for one delta: gates fetch the base.
        return Issue(digest, digest, after.sequence, {}, "", 0, 0)
    deltas = {**before.deltas, str(after.sequence): (parts.keep(data).hex(), delta.count)}
    for old in [number for number in deltas if int(number) <= after.sequence - KEPT_DELTAS]:
        del deltas[old]
    is_due = after.sequence - before.base_sequence >= BASE_EVERY
    base, sequence = (digest, after.sequence) if is_due else (before.base, before.base_sequence)
    return Issue(digest, base, sequence, deltas, "", 0, 0)


def _files(place: _Place, issue: Issue, parts: PartFiles) -> dict[str, str]:
    found = {paths.base_path(*place): issue.base}
    base = list_state.parse_state(bytes(parts.data(bytes.fromhex(issue.base))), paths.status_uri(*place))
    for plane in PLANES:
        for span, digest in enumerate(base.parts[plane]):
            if digest:
                found[paths.part_path(*place, plane.name.lower(), span)] = digest.hex()
    for number, (digest_, _) in issue.deltas.items():
        found[paths.delta_path(*place, int(number))] = digest_
    if issue.packed:
        found[paths.status_path(*place)] = issue.packed
    return found


def _parts_in_use(authority: Authority, parts: PartFiles) -> Iterator[str]:
    # The newest state's parts may be newer than the base's.
    for place in authority.ledger.lists():
        noted = authority.ledger.published_state(*place)
        if noted:
            issue = Issue(**noted)
            yield from issue.digests()
            state = list_state.parse_state(bytes(parts.data(bytes.fromhex(issue.state))), paths.status_uri(*place))
            yield from (digest.hex() for digest in state.digests())


def _hash_lists(authority: Authority) -> dict[str, str]:
    return {paths.hashes_path(*place): digest for place, digest in authority.ledger.hash_lists().items()}


def put_hashes(
    authority: Authority, place: tuple[str, int], kind: HashKind, width: int, digests: Iterable[bytes], *, now: int
) -> int:
    """Put a list of hashes in place of the last and return how many it has.

    Args:
        authority: The authority.
        place: Issuer id and number of the list.
        kind: What is hashed.
        width: Bytes kept of each hash, 8 to 32.
        digests: SHA-256 digests, in any order.
        now: Unix seconds.

    Raises:
        PublicationError: There is no such issuer, or a gate would not take the list.
    """
    with authority.locked():
        if place[0] not in authority.sources.value(paths.ISSUERS):
            raise PublicationError(f"There is no issuer {place[0]}.", "Add it: edge authority add-issuer DIR --id ...")
        try:
            data = hash_list.build(kind, width, digests)
            digest = PartFiles(authority.folder / FOLDER).keep(data)
        except PublicationError:
            raise
        except TrustError as error:
            raise PublicationError(error.message, error.next_step) from error
        authority.ledger.note_hash_list(*place, digest.hex(), now)
    return len(SortedHashes(data, paths.hashes_path(*place)))


def hash_lists_of(authority: Authority, issuer: str) -> dict[int, SortedHashes]:
    """Return an issuer's lists of hashes by number, in order.

    Raises:
        PublicationError: One is missing or damaged.
    """
    parts = PartFiles(authority.folder / FOLDER)
    try:
        return {
            number: SortedHashes(parts.data(bytes.fromhex(digest)), paths.hashes_path(owner, number))
            for (owner, number), digest in authority.ledger.hash_lists().items()
            if owner == issuer
        }
    except TrustError as error:
        raise PublicationError(error.message, "Restore the folder lists/ from a backup.") from error


class _GivenParts:
    """Parts out of the files of a publication."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._by_digest: dict[bytes, str] = {}
        for path in files:
            named = paths.list_file_of(path)
            if named is not None and named[0] is ListFile.PART:
                self._by_digest[sha256(files[path]).digest()] = path

    def bitmap(self, digest: bytes) -> Bitmap:
        """Return a part."""
        if digest not in self._by_digest:
            raise TrustError("a base names a part that is not published.")
        return Bitmap(self._files[self._by_digest[digest]])

    def keep(self, data: bytes | bytearray) -> bytes:
        """Nothing is kept: this is for reading."""
        raise TrustError(f"a part of {len(data)} bytes is not published.")


def read_back(files: Mapping[str, bytes]) -> OpenedLists:
    """Open the lists in parts of a publication as a gate would, each part checked to its last value.

    Raises:
        TrustError: One is not of its form.
    """
    parts = _GivenParts(files)
    found: dict[_Place, StatusList] = {}
    for path in files:
        named = paths.list_file_of(path)
        if named is None or named[0] is not ListFile.BASE:
            continue
        place = named[1], named[2]
        state = list_state.parse_state(files[path], paths.status_uri(*place))
        list_state.check_parts(state, parts)
        found[place] = open_list(state, parts)
    return OpenedLists(MappingProxyType(found))


def large_changes(authority: Authority) -> tuple[tuple[str, str], ...]:
    """Return path and SHA-256 of each published delta that gates take only with a national co-signature, too.

    Raises:
        PublicationError: The ledger cannot be used.
    """
    found = []
    for place, dimensions in authority.ledger.lists().items():
        noted = authority.ledger.published_state(*place)
        for number, (digest, flips) in Issue(**noted).deltas.items() if noted else ():
            if flips > most_flips(dimensions.issued):
                found.append((paths.delta_path(*place, int(number)), digest))
    return tuple(found)
