"""COSE_Sign1 (RFC 9052, 4.2) as other systems write it: tagged or not, in any unambiguous CBOR, the key id where it is.

Whatever a stranger could change unseen is refused: a critical header, an algorithm outside of the signature. Signing
and checking happen over `to_be_signed`; which key may sign what is left to the caller.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from edge.codec import foreign_cbor
from edge.codec.cose import to_be_signed
from edge.errors import EncodingRefused

_ALG, _CRIT, _KID = 1, 2, 4
_NO_TAGS: Final[frozenset[int]] = frozenset()
# RFC 8392, 6: a CWT tag may stand before the COSE tag; RFC 9052, 2: either may be left out.
_CWT_TAG: Final = b"\xd8\x3d"
_SIGN1_TAG: Final = b"\xd2"
_EMPTY_MAP: Final = b"\xa0"
_MAX_KID: Final = 64
_MAX_KEPT: Final = 96


@dataclass(frozen=True, slots=True)
class Message:
    """An opened COSE_Sign1 of another system; nothing of it has been verified.

    Attributes:
        algorithm: The `alg` of the protected header.
        key_id: The `kid` of the protected header, else the unprotected one as a hint, else empty.
        payload: The attached payload.
        signature: The signature.
        to_be_signed: The Sig_structure the signature is over (RFC 9052, 4.4).
    """

    algorithm: int
    key_id: bytes
    payload: bytes
    signature: bytes
    to_be_signed: bytes


def open_sign1(data: bytes, *, takes_hint: bool = True) -> Message:
    """Open a COSE_Sign1, tagged or not.

    Args:
        data: The whole message.
        takes_hint: Whether an unprotected key id counts where there is no protected one.

    Raises:
        EncodingRefused: It is none, names a critical header, or its algorithm is not protected.
    """
    start = len(_CWT_TAG) if data.startswith(_CWT_TAG) else 0
    start += data.startswith(_SIGN1_TAG, start)
    parts = foreign_cbor.decode(data[start:], tags=_NO_TAGS)
    if type(parts) is not list or len(parts) != 4:
        raise EncodingRefused("not a COSE_Sign1")
    protected, unprotected, payload, signature = parts
    if {type(protected), type(payload), type(signature)} != {bytes} or type(unprotected) is not dict:
        raise EncodingRefused("not a COSE_Sign1 with an attached payload")
    # A long one is nobody's: kept, a few hundred of them would fill the memory.
    read = _header if len(protected) <= _MAX_KEPT else _header.__wrapped__
    algorithm, key_id = read(protected)
    # RFC 9052, 3.1: alg is authenticated. Outside of the signature anybody could write another one.
    if unprotected and (_CRIT in unprotected or _ALG in unprotected):
        raise EncodingRefused("the unprotected header names something critical, or the algorithm")
    # The protected one alone where there is one: what stands outside of the signature is a hint and no more.
    if key_id is None:
        key_id = _as_key_id(unprotected.get(_KID, b"") if takes_hint else b"")
    # RFC 9052, 4.4: an empty header is signed as an empty string.
    signed = to_be_signed(b"" if protected == _EMPTY_MAP else protected, payload)
    return Message(algorithm, key_id, payload, signature, signed)


# A signer's credentials share one header, and a gate meets few signers: decoded once each.
@lru_cache(maxsize=256)
def _header(protected: bytes) -> tuple[int, bytes | None]:
    header = foreign_cbor.decode(protected, tags=_NO_TAGS) if protected else {}
    if type(header) is not dict or _CRIT in header:
        raise EncodingRefused("the header names something critical")
    algorithm = header.get(_ALG)
    if type(algorithm) is not int:
        raise EncodingRefused("the algorithm does not stand in the protected header")
    return algorithm, _as_key_id(header[_KID]) if _KID in header else None


def _as_key_id(found: Any) -> bytes:
    if type(found) is not bytes or len(found) > _MAX_KID:
        raise EncodingRefused("the key id is no string of at most 64 bytes")
    return found
