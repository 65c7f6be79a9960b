"""Base32 (RFC 4648, 6) without padding, strict: the upper-case alphabet exactly, no padding, unused bits zero."""

from typing import Final

from edge.errors import EncodingRefused

ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# To the digits of Python's base 32; "z" is none of them, so that whatever else stands there is refused.
_DIGIT: Final = bytes(
    b"0123456789abcdefghijklmnopqrstuv"[ALPHABET.index(code)] if code in ALPHABET else ord("z") for code in range(256)
)
_BITS: Final = 5


def decode(text: bytes) -> bytes:
    """Return the bytes that `text` stands for.

    Raises:
        EncodingRefused: A character is outside of the alphabet, the length is impossible, or unused bits are set.
    """
    size, unused = divmod(_BITS * len(text), 8)
    try:
        number = int(b"0" + text.translate(_DIGIT), 32)
    except ValueError:
        raise EncodingRefused("not base32") from None
    if unused >= _BITS or number & ((1 << unused) - 1):
        raise EncodingRefused("the last base32 character stands for more than the data")
    return (number >> unused).to_bytes(size)
