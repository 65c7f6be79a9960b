"""Bounded zlib and raw deflate: the whole stream, nothing behind it, and never more than was asked for.

One QR code of 2.8 KB can inflate to 2.9 MB; what comes after would then take seconds and hundreds of megabytes.
"""

import zlib
from typing import Final

from edge.errors import EncodingRefused

MAX_INFLATED: Final = 64 << 10
"""No credential that fits one symbol is longer once inflated, bytes."""
_GZIP: Final = 16
"""Added to the window's bits it asks zlib for the frame of gzip (zlib manual, inflateInit2)."""


def inflate(data: bytes, *, is_raw: bool = False, is_gzip: bool = False, most: int = MAX_INFLATED) -> bytes:
    """Return what a zlib stream (RFC 1950) holds, or a raw deflate stream (RFC 1951), or one gzip member (RFC 1952).

    Args:
        data: The whole stream.
        is_raw: Whether it has no zlib header and no check sum.
        is_gzip: Whether it has the header and the check sum of gzip instead.
        most: Most bytes it may hold.

    Raises:
        EncodingRefused: It is no such stream, is cut short, holds more, or other bytes follow it.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS if is_raw else zlib.MAX_WBITS | (_GZIP if is_gzip else 0))
    try:
        found = stream.decompress(data, most + 1)
    except zlib.error:
        raise EncodingRefused("not a deflate stream") from None
    if len(found) > most or not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise EncodingRefused("the deflate stream is too long, cut short or followed by other bytes")
    return found
