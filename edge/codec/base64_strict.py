"""Base64 with its padding, in one spelling: the exact alphabet, nothing skipped, spare bits zero (RFC 4648, 3.5)."""

import binascii

from edge.errors import EncodingRefused


def decode(text: bytes) -> bytes:
    """Return the bytes that `text` spells.

    Raises:
        EncodingRefused: Another character, missing or further padding, or bits that must be zero are not.
    """
    try:
        found = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise EncodingRefused("not base64") from None
    if binascii.b2a_base64(found, newline=False) != text:
        raise EncodingRefused("a second spelling of base64")
    return found
