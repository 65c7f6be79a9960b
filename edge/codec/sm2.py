"""SM2 signatures as bytes (GB/T 32918.5-2017; GM/T 0009 for the user id): which keys and signatures are well-formed.

Checking a signature is left to a backend of the system (`edge.gate.sm2`): no Python library was fit for it.
"""

from typing import Final

from edge.errors import EncodingRefused

KEY_BYTES: Final = 65
SIGNATURE_BYTES: Final = 64
USER_ID: Final = b"1234567812345678"
"""The signer's id that goes into the digest where nobody agreed on another (GM/T 0009-2012, 10)."""
_HALF: Final = 32
_UNCOMPRESSED: Final = 4
# GB/T 32918.5-2017, A.2: y^2 = x^3 + ax + b over p, of prime order n; a is -3.
_P: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
_B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
ORDER: Final = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123


def refuse_off_curve(public: bytes) -> None:
    """Check that `public` is 04||x||y of a point on the curve; its order is prime, so no point on it is weak.

    Raises:
        EncodingRefused: It has another length or form, a coordinate is not canonical, or the point is off the curve.
    """
    if len(public) != KEY_BYTES or public[0] != _UNCOMPRESSED:
        raise EncodingRefused(f"an SM2 public key is 04||x||y, {KEY_BYTES} bytes")
    x, y = int.from_bytes(public[1 : 1 + _HALF]), int.from_bytes(public[1 + _HALF :])
    if x >= _P or y >= _P or (y * y - (x * x * x - 3 * x + _B)) % _P:
        raise EncodingRefused("the SM2 public key is no point of the curve")


def der(signature: bytes) -> bytes | None:
    """Return r||s as the one DER SEQUENCE of it, or None where it is no signature: 0 < r, s < n, 64 bytes exactly."""
    if len(signature) != SIGNATURE_BYTES:
        return None
    halves = signature[:_HALF], signature[_HALF:]
    if any(not 0 < int.from_bytes(half) < ORDER for half in halves):
        return None
    body = b"".join(_integer(half.lstrip(b"\0")) for half in halves)
    return bytes((0x30, len(body))) + body


def _integer(digits: bytes) -> bytes:
    # X.690, 8.3: the shortest two's complement, so a leading one bit takes a zero byte before it.
    whole = b"\0" + digits if digits[0] & 0x80 else digits
    return bytes((0x02, len(whole))) + whole
