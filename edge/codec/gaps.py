"""Ascending numbers as the gaps between them, LEB128, packed with zstd: a day's revocations in 23 bits each.

One set has one gap encoding; zstd has many, so what is signed or hashed is the packed bytes as they stand. A gap is at
least 1, so numbers that are out of order or twice there cannot be written, and 0 is refused.
"""

from array import array
from collections.abc import Sequence
from typing import Final

import zstandard

from edge.errors import EncodingRefused

MAX_NUMBERS: Final = 1 << 20
_MAX_BYTES: Final = 5 * MAX_NUMBERS
_MAX_NUMBER: Final = (1 << 32) - 1
_LEVEL: Final = 19


def pack(numbers: Sequence[int]) -> bytes:
    """Return the packed gaps of `numbers`; empty where there are none.

    Args:
        numbers: Strictly ascending, 0 to 2^32 - 1, at most `MAX_NUMBERS`.
    """
    out = bytearray()
    last = -1
    for number in numbers:
        gap, last = number - last, number
        while gap > 0x7F:
            out.append(gap & 0x7F | 0x80)
            gap >>= 7
        out.append(gap)
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(bytes(out)) if out else b""


def unpack(packed: bytes, limit: int) -> "array[int]":
    """Return the numbers in `packed`.

    Args:
        packed: What `pack` returned.
        limit: The numbers lie below it.

    Raises:
        EncodingRefused: It is no zstd frame, inflates beyond 5 MiB, or holds other than ascending numbers below
            `limit`.
    """
    if not packed:
        return array("I")
    try:
        # The size is asked first: a frame may announce terabytes, and the library would reserve them.
        if not 0 < zstandard.frame_content_size(packed) <= _MAX_BYTES:
            raise EncodingRefused("packed numbers are too many or do not say their size")
        gaps = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise EncodingRefused("packed numbers are no zstd frame") from error
    found = _summed(gaps)
    if found[-1] >= limit or len(found) > MAX_NUMBERS:
        raise EncodingRefused("packed numbers reach past their end or are too many")
    return found


def _summed(gaps: bytes) -> "array[int]":
    found = array("I")
    last, gap, shift = -1, 0, 0
    for byte in gaps:
        gap |= (byte & 0x7F) << shift
        # A last group of zero bits has a shorter form; a gap of 0 would repeat a number; 32 bits take five groups.
        if not byte or (byte > 0x7F and shift == 28):
            raise EncodingRefused("a gap is zero, too long or not in its shortest form")
        if byte > 0x7F:
            shift += 7
            continue
        last += gap
        if last > _MAX_NUMBER:
            raise EncodingRefused("packed numbers reach past 32 bits")
        found.append(last)
        gap = shift = 0
    if shift:
        raise EncodingRefused("packed numbers are cut short")
    return found
