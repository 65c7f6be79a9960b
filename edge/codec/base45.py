"""Base45 (RFC 9285), strict: the alphabet exactly, no overflow, no white space at the ends.

Half of the codes people show begin with it, so it is a table and lane arithmetic, not a loop over characters.
"""

from typing import Final

from edge.errors import EncodingRefused

ALPHABET: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_OUTSIDE: Final = 0xFF
_VALUE: Final = bytes(ALPHABET.find(code) if code in ALPHABET else _OUTSIDE for code in range(256))
_LANE: Final = b"\0\0\xff"
_MOST_GROUPS: Final = 1432
"""Groups of the largest QR code, 4,296 characters."""
_LOW: Final = int.from_bytes(_LANE * _MOST_GROUPS)


def decode(text: bytes) -> bytes:
    """Return the bytes that `text` stands for.

    Raises:
        EncodingRefused: A character is outside the alphabet, the length is impossible or a group overflows
            (RFC 9285, section 4 and 6).
    """
    values = text.translate(_VALUE)
    groups, rest = divmod(len(values), 3)
    if rest == 1 or _OUTSIDE in values:
        raise EncodingRefused("not base45")
    # All groups at once: each a 24-bit lane of one long integer, which holds the largest group (91124) without a carry.
    lanes = int.from_bytes(values[: 3 * groups])
    low = _LOW if groups <= _MOST_GROUPS else int.from_bytes(_LANE * groups)
    total = (lanes >> 16 & low) + 45 * (lanes >> 8 & low) + 2025 * (lanes & low)
    summed = total.to_bytes(3 * groups)
    if summed[0::3].count(0) != groups:
        raise EncodingRefused("a base45 group stands for more than two bytes")
    decoded = bytearray(2 * groups)
    decoded[0::2] = summed[1::3]
    decoded[1::2] = summed[2::3]
    if rest:
        last = values[-2] + 45 * values[-1]
        if last > 0xFF:
            raise EncodingRefused("the last base45 group stands for more than one byte")
        decoded.append(last)
    return bytes(decoded)


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
