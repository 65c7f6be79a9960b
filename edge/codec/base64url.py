"""base64url without padding (RFC 4648, 5; RFC 7515, 2), strict: the alphabet exactly, unused bits zero."""

import binascii
from typing import Final

from edge.errors import EncodingRefused

# To the alphabet that `binascii` reads; what stands for something there and for nothing here becomes unreadable.
_PLAIN: Final = bytes.maketrans(b"-_+/=", b"+/\0\0\0")


def decode(text: bytes) -> bytes:
    """Return the bytes that `text` stands for.

    Raises:
        EncodingRefused: A character is outside of the alphabet, the length is impossible, or unused bits are set.
    """
    plain = text.translate(_PLAIN)
    try:
        found = binascii.a2b_base64(plain + b"=" * (-len(plain) % 4), strict_mode=True)
    except binascii.Error:
        raise EncodingRefused("not base64url") from None
    if binascii.b2a_base64(found, newline=False).rstrip(b"=") != plain:
        raise EncodingRefused("the last base64url character stands for more than the data")
    return found
