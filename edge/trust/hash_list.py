"""Revoked foreign credentials as a sorted array of hashes of one width, answered from a mapped file by bisection.

One file a list, at `issuers/<id>/status/<n>.hashes`:

    "EHL1" | kind: 1 byte | width: 1 byte | 2 zero bytes | count: 8 bytes, big-endian | count x width bytes, ascending

The first bytes of SHA-256 are uniform, so 16 of them (EU DCC revocation) are exact for practical purposes: with 10^9
entries and 10^12 questions the chance of one wrong answer is below 10^-17. Which credentials ask is left to `verify`.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from edge.errors import ListRefused, TrustError
from edge.model.credential import HashKind

MAGIC: Final = b"EHL1"
HEADER_BYTES: Final = 16
MAX_FILE_BYTES: Final = 32 << 20
"""Two million hashes of 16 bytes; an issuer with more spreads them over several lists."""
WIDTHS: Final = range(8, 33)


class SortedHashes:
    """A `HashList` over the bytes of its file.

    Args:
        data: The bytes, perhaps mapped; they are kept, not copied.
        name: What messages call it.

    Raises:
        ListRefused: The header does not fit the data; `check` looks at the order.
    """

    __slots__ = ("_count", "_data", "_name", "_width", "kind")

    def __init__(self, data: bytes | memoryview, name: str) -> None:
        self._data = memoryview(data).toreadonly()
        self._name = name
        head = bytes(self._data[:HEADER_BYTES])
        if len(head) < HEADER_BYTES or head[:4] != MAGIC or head[6:8] != b"\0\0":
            raise ListRefused(f"{name}: not a list of hashes.")
        self._width, self._count = head[5], int.from_bytes(head[8:], "big")
        if self._width not in WIDTHS or head[4] not in tuple(HashKind):
            raise ListRefused(f"{name}: a hash has 8 to 32 bytes and is of a known kind.")
        if len(self._data) != HEADER_BYTES + self._count * self._width:
            raise ListRefused(f"{name}: the list is cut short or longer than its count.")
        self.kind = HashKind(head[4])

    def __len__(self) -> int:
        """How many are listed."""
        return self._count

    @property
    def width(self) -> int:
        """Bytes kept of each hash."""
        return self._width

    def __iter__(self) -> Iterator[bytes]:
        """Every hash as it is kept, ascending."""
        for place in range(HEADER_BYTES, len(self._data), self._width):
            yield bytes(self._data[place : place + self._width])

    def __contains__(self, digest: bytes) -> bool:
        """Whether a SHA-256 digest is listed."""
        data, width = self._data, self._width
        wanted = digest[:width]
        low, high = 0, self._count
        while low < high:
            middle = (low + high) >> 1
            place = HEADER_BYTES + middle * width
            found = bytes(data[place : place + width])
            if found == wanted:
                return True
            if found < wanted:
                low = middle + 1
            else:
                high = middle
        return False

    def check(self) -> None:
        """Check that the hashes ascend; done once, when the file is taken in.

        Raises:
            ListRefused: They do not.
        """
        data, width, last = self._data, self._width, b""
        for place in range(HEADER_BYTES, len(data), width):
            found = bytes(data[place : place + width])
            if found <= last:
                raise ListRefused(f"{self._name}: the hashes are unsorted.")
            last = found


def build(kind: HashKind, width: int, digests: Iterable[bytes]) -> bytes:
    """Return the file of a list of SHA-256 digests, cut to `width` bytes, in any order.

    Raises:
        TrustError: The width is not 8 to 32, a digest is shorter, or there are too many for one file.
    """
    cut = sorted({digest[:width] for digest in digests})
    if width not in WIDTHS or any(len(digest) != width for digest in cut):
        raise TrustError("A hash has 8 to 32 bytes and is of a known kind.")
    if HEADER_BYTES + len(cut) * width > MAX_FILE_BYTES:
        raise TrustError(f"A list of hashes has at most {MAX_FILE_BYTES} bytes.", "Spread them over several lists.")
    head = MAGIC + bytes((kind, width, 0, 0)) + len(cut).to_bytes(8, "big")
    return head + b"".join(cut)
