"""Sets of numbers below 2^26 as roaring bitmaps of the portable format, in its one canonical form, read where they lie.

The format (RoaringFormatSpec, "standard 32-bit Roaring Bitmap"): a number's upper bits choose a container of 65 536
numbers, which is an array of 16-bit values up to 4096 of them and a bitmap of 8 KiB above. Without run containers, with
the offsets as they follow from the counts, equal sets have equal bytes: so a set can be named by its hash, and any
roaring library reads it. A reader touches one container a question: over a mapped file that is all it costs.

Written here and not taken from a library because it reads foreign bytes, must find the canonical form and nothing else,
and must answer from a mapped file without loading it (docs/adr/0022-revocation-lists.md). What the numbers mean is left
to `edge.trust`. Arrays are little-endian on the wire, as every machine a gate runs on is.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from operator import lt
from typing import Final

from edge.errors import EncodingRefused

SPAN_BITS: Final = 26
SPAN: Final = 1 << SPAN_BITS
"""Numbers a bitmap can hold: what bounds a file to 8.1 MiB."""
_CONTAINERS: Final = SPAN >> 16
_COOKIE: Final = (12346).to_bytes(4, "little")
"""SERIAL_COOKIE_NO_RUNCONTAINER."""
_ARRAY_MAX: Final = 4096
_BITMAP_BYTES: Final = 8192
MAX_BYTES: Final = 8 + _CONTAINERS * (8 + _BITMAP_BYTES)


class Bitmap:
    """A set over its serialized bytes.

    Args:
        data: The bytes, perhaps of a mapped file; they are kept, not copied.

    Raises:
        EncodingRefused: The directory is not canonical or does not fit the data; `check` looks into the containers.
    """

    __slots__ = ("_counts", "_data", "_pairs", "_starts")

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._data = memoryview(data).toreadonly()
        self._starts = array("I", bytes(4 * _CONTAINERS))
        self._counts = array("I", bytes(4 * _CONTAINERS))
        self._read_directory()
        # All of it as 16-bit values: arrays begin at even offsets.
        self._pairs = self._data.cast("H")

    def _read_directory(self) -> None:
        data = self._data
        count = int.from_bytes(data[4:8], "little") if len(data) >= 8 else 0
        if data[:4] != _COOKIE or not 1 <= count <= _CONTAINERS or len(data) < 8 + 8 * count:
            raise EncodingRefused("not a roaring bitmap of 1 to 1024 containers without runs")
        heads = data[8 : 8 + 4 * count].cast("H")
        offsets = data[8 + 4 * count : 8 + 8 * count].cast("I")
        place, last = 8 + 8 * count, -1
        for number in range(count):
            key, size = heads[2 * number], heads[2 * number + 1] + 1
            if not last < key < _CONTAINERS or offsets[number] != place:
                raise EncodingRefused("a roaring directory is unsorted or points elsewhere")
            self._starts[key], self._counts[key] = place, size
            place += _bytes_of(size)
            last = key
        if place != len(data):
            raise EncodingRefused("a roaring bitmap is cut short or followed by other bytes")

    def __contains__(self, number: int) -> bool:
        """Whether `number`, 0 to 2^26 - 1, is in the set."""
        key, low = number >> 16, number & 0xFFFF
        count, start = self._counts[key], self._starts[key]
        if count > _ARRAY_MAX:
            return bool(self._data[start + (low >> 3)] >> (low & 7) & 1)
        first = start >> 1
        found = bisect_left(self._pairs, low, first, first + count)
        return found < first + count and self._pairs[found] == low

    def __iter__(self) -> Iterator[int]:
        """Walk the numbers in order."""
        for key in range(_CONTAINERS):
            base = key << 16
            for low in _lows(self.container(key)):
                yield base + low

    def __len__(self) -> int:
        """How many numbers there are."""
        return sum(self._counts)

    def container(self, key: int) -> tuple[int, memoryview]:
        """Return count and bytes of the container of the numbers from `key << 16` on."""
        count = self._counts[key]
        return count, self._data[self._starts[key] : self._starts[key] + _bytes_of(count)]

    def check(self, limit: int = SPAN) -> None:
        """Check the containers too: arrays ascend, bitmaps hold as many as they say, no number reaches `limit`.

        Raises:
            EncodingRefused: One does not.
        """
        last = -1
        for key, count in enumerate(self._counts):
            if not count:
                continue
            _, body = self.container(key)
            if count > _ARRAY_MAX:
                bits = int.from_bytes(body, "little")
                is_sound, top = bits.bit_count() == count, bits.bit_length() - 1
            else:
                values = body.cast("H")
                is_sound, top = all(map(lt, values, values[1:])), values[-1]
            if not is_sound:
                raise EncodingRefused("a roaring container is unsorted or holds another number of values than it says")
            last = (key << 16) + top
        if last >= limit:
            raise EncodingRefused("a roaring bitmap holds a number past its end")


Container = tuple[int, bytes | bytearray | memoryview]
"""Count and bytes: an array of 4096 values is as long as a bitmap, so the bytes alone do not tell."""
_EMPTY: Final[Container] = (0, b"")


def encode(numbers: Iterable[int]) -> bytes | bytearray:
    """Return the canonical bytes of a set; empty where it is empty.

    Args:
        numbers: Strictly ascending, below 2^26.
    """
    return flipped(None, array("I", numbers))


def flipped(old: Bitmap | None, flips: Sequence[int]) -> bytes | bytearray:
    """Return the canonical bytes of `old` with each of `flips` put in or taken out; empty where nothing is left.

    Args:
        old: The set before, None where it was empty.
        flips: Strictly ascending, below 2^26.
    """
    heads, sizes = array("H"), array("I")
    # Room for the largest directory first: the containers are laid down once, and 8 MB are not copied again.
    room = 8 + 8 * _CONTAINERS
    out = bytearray(room)
    begin = 0
    for key in range(_CONTAINERS):
        end = bisect_left(flips, (key + 1) << 16, begin)
        count, body = _EMPTY if old is None else old.container(key)
        if end > begin:
            count, body = _toggled((count, body), [flip & 0xFFFF for flip in flips[begin:end]])
        begin = end
        if count:
            heads.extend((key, count - 1))
            sizes.append(len(body))
            out += body
    if not sizes:
        return b""
    first = 8 + 8 * len(sizes)
    offsets = array("I", accumulate(sizes, initial=first))[:-1]
    out[: room - first] = b""
    out[:first] = b"".join((_COOKIE, len(sizes).to_bytes(4, "little"), heads.tobytes(), offsets.tobytes()))
    return out


def difference(one: Bitmap | None, other: Bitmap | None) -> int:
    """Return how many numbers are in exactly one of two sets."""
    total = 0
    for key in range(_CONTAINERS):
        left = one.container(key) if one is not None else _EMPTY
        right = other.container(key) if other is not None else _EMPTY
        if left != right:
            bits = int.from_bytes(_bitmap(left), "little") ^ int.from_bytes(_bitmap(right), "little")
            total += bits.bit_count()
    return total


def _bytes_of(count: int) -> int:
    return 2 * count if count <= _ARRAY_MAX else _BITMAP_BYTES


def _lows(container: Container) -> Iterable[int]:
    count, body = container
    if count <= _ARRAY_MAX:
        return memoryview(body).cast("H")
    return [8 * at + bit for at, byte in enumerate(body) if byte for bit in _BITS[byte]]


_BITS: Final = tuple(tuple(bit for bit in range(8) if byte >> bit & 1) for byte in range(256))


def _bitmap(container: Container) -> bytes | bytearray | memoryview:
    count, body = container
    if count > _ARRAY_MAX:
        return body
    bits = bytearray(_BITMAP_BYTES)
    for low in memoryview(body).cast("H"):
        bits[low >> 3] |= 1 << (low & 7)
    return bits


def _toggled(container: Container, lows: Sequence[int]) -> Container:
    if container[0] + len(lows) <= _ARRAY_MAX:
        values = sorted(set(_lows(container)).symmetric_difference(lows))
        return len(values), array("H", values).tobytes()
    bits = bytearray(_bitmap(container))
    for low in lows:
        bits[low >> 3] ^= 1 << (low & 7)
    count = int.from_bytes(bits, "little").bit_count()
    if count > _ARRAY_MAX:
        return count, bytes(bits)
    return count, array("H", _lows((_ARRAY_MAX + 1, bits))).tobytes()
