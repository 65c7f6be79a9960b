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


def refuse_weak_point(public: bytes) -> None:
    """Check that `public` is a canonical Ed25519 point of the prime-order group.

    Raises:
        EncodingRefused: It has another length, is no canonical curve point, or is of small or mixed order.
    """
    if len(public) != KEY_BYTES:
        raise EncodingRefused(f"an Ed25519 public key has {KEY_BYTES} bytes, this one {len(public)}")
    # libsodium checks canonical form, curve, small order and the main subgroup (RFC 8032, 5.1.3; 5.1.7 leaves
    # the subgroup check to the application).
    if not bindings.crypto_core_ed25519_is_valid_point(public):
        raise EncodingRefused("the Ed25519 public key is not a canonical point of the prime-order group")


def refuse_weak_box_key(public: bytes) -> None:
    """Check that sealing to the X25519 key `public` gives a secret (RFC 7748, 6.1).

    Raises:
        EncodingRefused: It has another length or is a point of small order.
    """
    if len(public) != KEY_BYTES:
        raise EncodingRefused(f"an X25519 public key has {KEY_BYTES} bytes, this one {len(public)}")
    try:
        # An all-zero product is what libsodium refuses; only small-order points give one.
        bindings.crypto_scalarmult(_ANY_SCALAR, public)
    except CryptoError:
        raise EncodingRefused("the X25519 public key is a point of small order") from None
