"""COSE_Sign1 (RFC 9052, 4.2), untagged, strict: the protected header holds just `alg` and, where asked, `kid`.

Signing and checking happen over `to_be_signed`; which key may sign what is left to the caller.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from edge.codec import cbor
from edge.errors import EncodingRefused

EDDSA: Final = -8
_ALG: Final = 1
_KID: Final = 4
_SIGNATURE_BYTES: Final = 64
_CONTEXT: Final = b"\x84\x6aSignature1"
_NO_EXTERNAL: Final = b"\x40"
_FOUR: Final = b"\x84"
_EMPTY_MAP: Final = b"\xa0"


@dataclass(frozen=True, slots=True)
class Sign1:
    """An opened COSE_Sign1; nothing of it has been verified.

    Attributes:
        algorithm: The `alg` of the protected header.
        key_id: The `kid` of the protected header; empty where it names none. Of another system's message
            (`edge.codec.foreign_cose`) it may be the unprotected one, which is a hint and no more.
        payload: The attached payload.
        signature: The signature.
        to_be_signed: The Sig_structure the signature is over (RFC 9052, 4.4).
    """

    algorithm: int
    key_id: bytes
    payload: bytes
    signature: bytes
    to_be_signed: bytes


def to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure of a COSE_Sign1 without external data (RFC 9052, 4.4)."""
    return _CONTEXT + cbor.byte_string(protected) + _NO_EXTERNAL + cbor.byte_string(payload)


def protected_header(key_id: bytes | None, algorithm: int = EDDSA) -> bytes:
    """Return the encoded protected header `{1: algorithm, 4: key_id}`, without the key id where it is None."""
    return cbor.encode({_ALG: algorithm} if key_id is None else {_ALG: algorithm, _KID: key_id})


def assemble(protected: bytes, payload: bytes, signature: bytes) -> bytes:
    """Return the untagged COSE_Sign1."""
    return cbor.encode([protected, {}, payload, signature])


def parse(data: bytes, *, names_key: bool = True) -> Sign1:
    """Open an untagged COSE_Sign1.

    Args:
        data: The whole message.
        names_key: Whether its header holds a key id; where the key is known otherwise it must not.

    Raises:
        EncodingRefused: It is anything but `[bstr .cbor {1: int, 4: bstr .size (1..8)}, {}, bstr, bstr .size 64]`.
    """
    # The message is read where it stands: its strings are in their one form, so the Sig_structure is made of slices.
    if data[:1] != _FOUR:
        raise EncodingRefused("not a COSE_Sign1")
    protected_at, protected_end = cbor.byte_string_end(data, 1)
    # An unprotected header is where a stranger could add bytes that nobody signed: there is none.
    if data[protected_end : protected_end + 1] != _EMPTY_MAP:
        raise EncodingRefused("not a COSE_Sign1 with an empty unprotected header")
    payload_at, payload_end = cbor.byte_string_end(data, protected_end + 1)
    signature_at, signature_end = cbor.byte_string_end(data, payload_end)
    if signature_end != len(data) or signature_end - signature_at != _SIGNATURE_BYTES:
        raise EncodingRefused("the signature does not have 64 bytes, or bytes follow it")
    algorithm, key_id = _header(data[protected_at:protected_end], names_key)
    return Sign1(
        algorithm,
        key_id,
        data[payload_at:payload_end],
        data[signature_at:],
        b"".join((_CONTEXT, data[1:protected_end], _NO_EXTERNAL, data[protected_end + 1 : payload_end])),
    )


# An issuer's passes share one header a key, and a gate meets few keys: decoded once each.
@lru_cache(maxsize=256)
def _header(protected: bytes, names_key: bool) -> tuple[int, bytes]:  # noqa: FBT001  # by position: half the cost
    header = cbor.decode(protected)
    # Exactly these: `crit` and everything else is refused (RFC 9052, 3.1).
    if not isinstance(header, dict) or header.keys() != ({_ALG, _KID} if names_key else {_ALG}):
        raise EncodingRefused("the protected header holds something other than alg and kid")
    algorithm, key_id = header[_ALG], header.get(_KID, b"")
    if not isinstance(algorithm, int) or isinstance(algorithm, bool):
        raise EncodingRefused("alg is not an integer")
    if names_key and (not isinstance(key_id, bytes) or not 1 <= len(key_id) <= 8):
        raise EncodingRefused("kid does not have 1 to 8 bytes")
    return algorithm, key_id
