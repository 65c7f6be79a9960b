"""Base64 with one spelling: the exact alphabet, padding as asked, nothing skipped (RFC 4648, 3.3 and 3.5)."""

import base64
import binascii

from edge.errors import EncodingRefused


def decode(text: bytes, *, is_url: bool = False) -> bytes:
    """Return the bytes that `text` spells.

    Args:
        text: Base64 with its padding, or base64url with or without it.
        is_url: Whether it is base64url (RFC 4648, 5).

    Raises:
        EncodingRefused: Another character, missing padding, or bits that must be zero are not.
    """
    bare = text.rstrip(b"=") if is_url else text
    full = bare + b"=" * (-len(bare) % 4) if is_url else text
    try:
        found = base64.b64decode(full, altchars=b"-_" if is_url else None, validate=True)
    except (binascii.Error, ValueError):
        raise EncodingRefused("not base64") from None
    # Python lets the other alphabet and bits behind the last byte pass.
    again = base64.urlsafe_b64encode(found) if is_url else base64.b64encode(found)
    if again != full or text not in {bare, full}:
        raise EncodingRefused("a second spelling of base64")
    return found
