"""Base45 (RFC 9285), strict: the alphabet exactly, no overflow, no white space at the ends.

Half of the codes people show begin with it, so it is a table and lane arithmetic, not a loop over characters.
"""

from functools import lru_cache
from typing import Final

from edge.errors import EncodingRefused

ALPHABET: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_OUTSIDE: Final = 0xFF
_VALUE: Final = bytes(ALPHABET.find(code) if code in ALPHABET else _OUTSIDE for code in range(256))


def decode(text: bytes) -> bytes:
    """Return the bytes that `text` stands for.

    Raises:
        EncodingRefused: A character is outside the alphabet, the length is impossible or a group overflows
            (RFC 9285, section 4 and 6).
    """
    values = text.translate(_VALUE)
    groups, rest = divmod(len(values), 3)
    if _OUTSIDE in values or rest == 1:
        raise EncodingRefused("not base45")
    # All groups at once: each a 24-bit lane of one long integer, which holds the largest group (91124) without a carry.
    size = 3 * groups
    packed = int.from_bytes(values[:size])
    lanes = _lanes(groups)
    summed = (packed >> 16 & lanes) + 45 * (packed >> 8 & lanes) + 2025 * (packed & lanes)
    decoded = bytearray(summed.to_bytes(size))
    if any(decoded[::3]):
        raise EncodingRefused("a base45 group stands for more than two bytes")
    del decoded[::3]
    if rest:
        last = values[-2] + 45 * values[-1]
        if last > 0xFF:
            raise EncodingRefused("the last base45 group stands for more than one byte")
        decoded.append(last)
    return bytes(decoded)


# The codes of one system have few lengths.
@lru_cache(maxsize=64)
def _lanes(groups: int) -> int:
    return int.from_bytes(b"\0\0\xff" * groups)


def encode(data: bytes) -> bytes:
    """Return `data` in base45."""
    out = bytearray()
    for start in range(0, len(data) - 1, 2):
        rest, low = divmod(data[start] << 8 | data[start + 1], 45)
        high, mid = divmod(rest, 45)
        out += bytes((ALPHABET[low], ALPHABET[mid], ALPHABET[high]))
    if len(data) % 2:
        mid, low = divmod(data[-1], 45)
        out += bytes((ALPHABET[low], ALPHABET[mid]))
    return bytes(out)
