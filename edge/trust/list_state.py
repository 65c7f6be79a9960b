"""What a list in parts says at one sequence number, and how one state becomes the next: pure values and their bytes.

A list of up to 2^32 entries has two planes, revoked and suspended; each is cut into spans of 2^26 entries, and each
span that is not empty is one roaring bitmap (`edge.codec.roaring`), a file named by its hash. A *state* is the list of
those hashes: `N.base` is the bytes of one, and its SHA-256 names everything the list says. A *delta* turns one state
into the next and names both, so that it applies to nothing else and to nothing by mistake; only the spans it touches
are written and hashed again. Where parts lie is left to `edge.trust.part_files`, which way leads to the newest state to
`edge.trust.list_update`.
"""

from array import array
from bisect import bisect_left
from collections.abc import Container, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final, Protocol

from edge.codec import cbor, gaps, roaring
from edge.codec.roaring import SPAN, SPAN_BITS, Bitmap
from edge.errors import EncodingRefused, ListRefused
from edge.model.trust import Status

SCHEMA: Final = 1
MAX_SIZE: Final = 1 << 32
"""A pass carries an index of 32 bits."""
MAX_BASE_BYTES: Final = 8 << 10
MAX_DELTA_BYTES: Final = 4 << 20
MAX_SEQUENCE: Final = 10**9
PLANES: Final = (Status.INVALID, Status.SUSPENDED)
_DIGEST_BYTES: Final = 32
_BASE_KEYS: Final = frozenset(range(1, 8))
_DELTA_KEYS: Final = frozenset(range(1, 9))

Planes = Mapping[Status, tuple[bytes, ...]]
Flips = Mapping[Status, "array[int]"]


class Parts(Protocol):
    """Where part files are kept, by their SHA-256."""

    def bitmap(self, digest: bytes) -> Bitmap:
        """Return a part.

        Raises:
            TrustError: It is not there or not whole.
        """

    def keep(self, data: bytes | bytearray) -> bytes:
        """Keep a part, durably, and return its SHA-256.

        Raises:
            TrustError: The file system refuses.
        """


@dataclass(frozen=True, slots=True)
class ListState:
    """A list at one sequence number.

    Attributes:
        uri: Stable name of the list.
        sequence: Grows by one with every change.
        size: Number of entries; the same for as long as the list lives.
        issued: Entries given out so far, as its authority counts them: what a share of the list is a share of.
        parts: SHA-256 of each span's bitmap by plane, empty where the span is empty.
    """

    uri: str
    sequence: int
    size: int
    issued: int
    parts: Planes

    def encode(self) -> bytes:
        """Return the one encoding of this state."""
        planes = (list(self.parts[plane]) for plane in PLANES)
        return cbor.encode(dict(enumerate((SCHEMA, self.uri, self.sequence, self.size, self.issued, *planes), 1)))

    @property
    def digest(self) -> bytes:
        """SHA-256 of its encoding: equal digests, equal answers."""
        return sha256(self.encode()).digest()

    def digests(self) -> set[bytes]:
        """Return the hashes of its part files."""
        return {digest for plane in self.parts.values() for digest in plane if digest}


@dataclass(frozen=True, slots=True)
class ListDelta:
    """The way from one state to the next.

    Attributes:
        uri: Stable name of the list.
        sequence: Sequence number it leads to.
        previous: Digest of the state it starts from.
        result: Digest of the state it leads to.
        issued: Entries given out by then.
        flips: Indices whose entry changes, by plane, ascending.
    """

    uri: str
    sequence: int
    previous: bytes
    result: bytes
    issued: int
    flips: Flips

    def encode(self) -> bytes:
        """Return the encoding of this delta."""
        packed = (gaps.pack(self.flips[plane]) for plane in PLANES)
        head = (SCHEMA, self.uri, self.sequence, self.previous, self.result, self.issued)
        return cbor.encode(dict(enumerate((*head, *packed), 1)))

    @property
    def count(self) -> int:
        """How many entries of both planes it changes."""
        return sum(len(flips) for flips in self.flips.values())


def new_state(uri: str, size: int) -> ListState:
    """Return sequence 0: everything valid, nothing issued."""
    empty = (b"",) * spans(size)
    return ListState(uri, 0, size, 0, MappingProxyType(dict.fromkeys(PLANES, empty)))


def spans(size: int) -> int:
    """Return how many spans a list of `size` entries has."""
    return (size + SPAN - 1) >> SPAN_BITS


def span_size(size: int, span: int) -> int:
    """Return how many entries a span holds: the last may be shorter."""
    return min(SPAN, size - (span << SPAN_BITS))


def parse_state(data: bytes, uri: str) -> ListState:
    """Return the state in `data`.

    Args:
        data: A base file.
        uri: The list it must be of.

    Raises:
        ListRefused: It is none, or of another list.
    """
    members = _members(data, uri, _BASE_KEYS)
    sequence, size, issued = members[3], members[4], members[5]
    if not (_is_number(sequence, MAX_SEQUENCE) and _is_number(size, MAX_SIZE) and _is_number(issued, size)) or not size:
        raise ListRefused(f"{uri}: a number of the base is out of its bounds.")
    for plane in (members[6], members[7]):
        if not isinstance(plane, list) or len(plane) != spans(size) or not all(_is_digest_or_empty(d) for d in plane):
            raise ListRefused(f"{uri}: a plane of the base is not one SHA-256 or nothing for each span.")
    planes = {Status.INVALID: tuple(members[6]), Status.SUSPENDED: tuple(members[7])}
    return ListState(uri, sequence, size, issued, MappingProxyType(planes))


def parse_delta(data: bytes, uri: str, sequence: int, size: int) -> ListDelta:
    """Return the delta in `data`.

    Args:
        data: A delta file.
        uri: The list it must be of.
        sequence: The sequence number its path gives it.
        size: Number of entries of the list.

    Raises:
        ListRefused: It is none, of another list or number, or flips an entry past the end.
    """
    members = _members(data, uri, _DELTA_KEYS)
    if members[3] != sequence or type(members[3]) is not int or not _is_number(members[6], size):
        raise ListRefused(f"{uri}: a number of delta {sequence} is not the one of its path or out of bounds.")
    if not _is_digest(members[4]) or not _is_digest(members[5]):
        raise ListRefused(f"{uri}: delta {sequence} does not name the states it lies between.")
    flips: dict[Status, array[int]] = {}
    for plane, packed in zip(PLANES, (members[7], members[8]), strict=True):
        if not isinstance(packed, bytes):
            raise ListRefused(f"{uri}: delta {sequence} has no flips of a plane.")
        try:
            flips[plane] = gaps.unpack(packed, size)
        except EncodingRefused as error:
            raise ListRefused(f"{uri}: delta {sequence}: {error.message}.") from error
    return ListDelta(uri, sequence, members[4], members[5], members[6], MappingProxyType(flips))


def apply(state: ListState, delta: ListDelta, parts: Parts) -> ListState:
    """Return the state `delta` leads to; the parts it changes are written, the others stay as they are.

    Raises:
        ListRefused: The delta starts from another state, or does not lead to the one it names.
        TrustError: A part cannot be read or kept.
    """
    if delta.previous != state.digest or delta.sequence != state.sequence + 1:
        raise ListRefused(
            f"{state.uri}: delta {delta.sequence} does not start from the state held, {state.sequence}.",
        )
    found = changed(state, delta.flips, delta.issued, parts)
    if found.digest != delta.result:
        raise ListRefused(f"{state.uri}: delta {delta.sequence} does not lead to the state it names.")
    return found


def changed(state: ListState, flips: Flips, issued: int, parts: Parts) -> ListState:
    """Return the next state: entries flipped, sequence one higher.

    Raises:
        TrustError: A part cannot be read or kept.
    """
    planes = {plane: _flipped(state.parts[plane], flips[plane], parts) for plane in PLANES}
    return ListState(state.uri, state.sequence + 1, state.size, issued, MappingProxyType(planes))


def _flipped(digests: tuple[bytes, ...], flips: "array[int]", parts: Parts) -> tuple[bytes, ...]:
    found = list(digests)
    begin = 0
    while begin < len(flips):
        span = flips[begin] >> SPAN_BITS
        end = bisect_left(flips, (span + 1) << SPAN_BITS, begin)
        within = array("I", (flip & SPAN - 1 for flip in flips[begin:end]))
        data = roaring.flipped(parts.bitmap(found[span]) if found[span] else None, within)
        found[span] = parts.keep(data) if data else b""
        begin = end
    return tuple(found)


def difference(one: ListState, other: ListState, parts: Parts) -> int:
    """Return how many entries of both planes differ; equal spans are not looked into.

    Raises:
        TrustError: A part cannot be read.
    """
    total = 0
    for plane in PLANES:
        for left, right in zip(one.parts[plane], other.parts[plane], strict=True):
            if left != right:
                total += roaring.difference(
                    parts.bitmap(left) if left else None, parts.bitmap(right) if right else None
                )
    return total


def check_parts(state: ListState, parts: Parts, known: Container[bytes] = ()) -> None:
    """Check every part of a state to its last value; done once, when a part is taken in.

    Args:
        state: The state.
        parts: Where they are.
        known: Parts that were checked before, or made here.

    Raises:
        ListRefused: A part is not a canonical bitmap of its span.
        TrustError: A part is missing.
    """
    for plane in PLANES:
        for span, digest in enumerate(state.parts[plane]):
            if digest and digest not in known:
                try:
                    parts.bitmap(digest).check(span_size(state.size, span))
                except (EncodingRefused, ListRefused) as error:
                    raise ListRefused(f"{state.uri}: a part of its base: {error.message}") from error


def _members(data: bytes, uri: str, keys: frozenset[int]) -> dict[int, Any]:
    try:
        members = cbor.decode(data)
    except EncodingRefused as error:
        raise ListRefused(f"{uri}: {error.message}.") from error
    if not isinstance(members, dict) or members.keys() != keys or members[1] != SCHEMA or type(members[1]) is not int:
        raise ListRefused(f"{uri}: not a base or delta of schema {SCHEMA}.")
    if members[2] != uri:
        raise ListRefused(f"{uri}: what stands at its path belongs to another list.")
    return members


def _is_number(value: object, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _is_digest(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == _DIGEST_BYTES


def _is_digest_or_empty(value: object) -> bool:
    return value == b"" or _is_digest(value)
