"""ECDSA signatures in DER (RFC 3279, 2.2.3), as certificates and some seals carry them, to the fixed form r||s."""

from typing import Final

from edge.errors import EncodingRefused

_SEQUENCE, _INTEGER = 0x30, 0x02
_FAULT: Final = "not an ECDSA signature in DER"


def to_fixed(der: bytes, size: int) -> bytes:
    """Return r||s, each `size` bytes, of a signature in the one DER form.

    Args:
        der: SEQUENCE of two INTEGERs.
        size: Bytes of the curve's order, 32 or 48.

    Raises:
        EncodingRefused: It is anything else, or a number is negative, zero-padded or too long.
    """
    # Both numbers of 48 bytes and their heads stay below 128 bytes: every length is one byte.
    if len(der) < 8 or der[0] != _SEQUENCE or der[1] != len(der) - 2 or der[1] > 0x7F:
        raise EncodingRefused(_FAULT)
    r, pos = _number(der, 2, size)
    s, pos = _number(der, pos, size)
    if pos != len(der):
        raise EncodingRefused(_FAULT)
    return r + s


def _number(der: bytes, pos: int, size: int) -> tuple[bytes, int]:
    head, end = der[pos : pos + 2], pos + 2
    if len(head) != 2 or head[0] != _INTEGER:
        raise EncodingRefused(_FAULT)
    end += head[1]
    digits = der[pos + 2 : end]
    if not digits or len(digits) != head[1] or digits[0] & 0x80:
        raise EncodingRefused(_FAULT)
    if digits[0] == 0 and len(digits) > 1:
        if not digits[1] & 0x80:
            raise EncodingRefused(_FAULT)
        digits = digits[1:]
    if len(digits) > size:
        raise EncodingRefused(_FAULT)
    return digits.rjust(size, b"\0"), end
