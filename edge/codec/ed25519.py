"""Which 32 bytes are fit to be an Ed25519 or X25519 public key.

Verifying with a point of small or mixed order lets one signature hold for many messages (or anybody sign); sealing to
a small-order X25519 point lets anybody open the box. Both are refused when a key is published and again when it is
loaded. Signing and verifying are left to the callers.
"""

from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError

from edge.errors import EncodingRefused

KEY_BYTES: Final = 32
_ANY_SCALAR: Final = b"\x40" + bytes(30) + b"\x40"
_PRIME: Final = (1 << 255) - 19
_SIGN: Final = 1 << 255


def refuse_weak_point(public: bytes) -> None:
    """Check that `public` is a canonical Ed25519 point of the prime-order group.

    Raises:
        EncodingRefused: It has another length, is no canonical curve point, or is of small or mixed order.
    """
    if len(public) != KEY_BYTES:
        raise EncodingRefused(f"an Ed25519 public key has {KEY_BYTES} bytes, this one {len(public)}")
    # libsodium checks canonical form, curve, small order and the main subgroup (RFC 8032, 5.1.3; 5.1.7 leaves
    # the subgroup check to the application). Before 1.0.21 it let a component of order two through (CVE-2025-69277):
    # hence the least version of PyNaCl in pyproject.toml, and the walk over all torsion in tests/unit/test_keys.py.
    if not bindings.crypto_core_ed25519_is_valid_point(public):
        raise EncodingRefused("the Ed25519 public key is not a canonical point of the prime-order group")


def refuse_weak_box_key(public: bytes) -> None:
    """Check that sealing to the X25519 key `public` gives a secret (RFC 7748, 6.1), and that it is written one way.

    Raises:
        EncodingRefused: It has another length, is not canonical or is a point of small order.
    """
    if len(public) != KEY_BYTES:
        raise EncodingRefused(f"an X25519 public key has {KEY_BYTES} bytes, this one {len(public)}")
    # X25519 itself takes 2**255 - 19 and more, and ignores the highest bit (RFC 7748, 5): then one key has two names.
    if int.from_bytes(public, "little") >= _PRIME:
        raise EncodingRefused("the X25519 public key is not canonical")
    try:
        # An all-zero product is what libsodium refuses; only small-order points give one.
        bindings.crypto_scalarmult(_ANY_SCALAR, public)
    except CryptoError:
        raise EncodingRefused("the X25519 public key is a point of small order") from None


def signing_forms(box: bytes) -> frozenset[bytes]:
    """Return the Ed25519 keys that would share their secret with the X25519 key `box`; none for a key without any.

    Args:
        box: A canonical X25519 public key.
    """
    u = int.from_bytes(box, "little")
    if u == _PRIME - 1:
        return frozenset()
    # RFC 7748, 4.1: y = (u - 1) / (u + 1). The sign of x has no counterpart there, so both stand for it.
    y = (u - 1) * pow(u + 1, -1, _PRIME) % _PRIME
    return frozenset(form.to_bytes(KEY_BYTES, "little") for form in (y, y | _SIGN))
