"""COSE_Sign1 and COSE_Encrypt0 (RFC 9052, 4.2, 5.2) as others write them: tagged or not, in any unambiguous CBOR.

Whatever a stranger could change unseen is refused: a critical header, an algorithm outside of what is authenticated.
Signing and checking happen over `to_be_signed`; which key may sign or open what is left to the caller.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from edge.codec import cbor, foreign_cbor
from edge.codec.cose import Sign1, to_be_signed
from edge.errors import EncodingRefused

_ALG, _CRIT, _KID, _IV, _PARTIAL_IV = 1, 2, 4, 5, 6
_NO_TAGS: Final[frozenset[int]] = frozenset()
# RFC 8392, 6: a CWT tag may stand before the COSE tag; RFC 9052, 2: either may be left out.
_CWT_TAG: Final = b"\xd8\x3d"
_SIGN1_TAG: Final = b"\xd2"
_ENCRYPT0_TAG: Final = b"\xd0"
_EMPTY_MAP: Final = b"\xa0"
_MAX_KID: Final = 64
_SHORT: Final = 96
"""Bytes of a header that names its algorithm and a key id of the longest kind, with room."""
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
"""Nonce and tag of AES-GCM in COSE (RFC 9053, 4.1)."""
_ENCRYPTION: Final = b"\x83\x68Encrypt0"


@dataclass(frozen=True, slots=True)
class Encrypted:
    """An opened COSE_Encrypt0 of another system; its content is closed still.

    Attributes:
        algorithm: The `alg` of the protected header.
        key_id: The `kid` of the protected header, else the unprotected one as a hint, else empty.
        nonce: 12 bytes.
        ciphertext: The content and its tag of 16 bytes.
        authenticated: The Enc_structure that the tag covers besides (RFC 9052, 5.3).
    """

    algorithm: int
    key_id: bytes
    nonce: bytes
    ciphertext: bytes
    authenticated: bytes

    def content(self, secret: bytes) -> bytes | None:
        """Return the content by AES-GCM under a key of 16, 24 or 32 bytes, or None where the tag does not hold."""
        # Loaded with the first code that a key is at hand for: most gates never meet one.
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

        try:
            return AESGCM(secret).decrypt(self.nonce, self.ciphertext, self.authenticated)
        except InvalidTag:
            return None


def open_sign1(data: bytes, *, takes_hint: bool = True) -> Sign1:
    """Open a COSE_Sign1, tagged or not.

    Args:
        data: The whole message.
        takes_hint: Whether an unprotected key id counts where there is no protected one.

    Raises:
        EncodingRefused: It is none, names a critical header, or its algorithm is not protected.
    """
    parts = _parts(data, _SIGN1_TAG)
    if len(parts) != 4:
        raise EncodingRefused("not a COSE_Sign1")
    protected, unprotected, payload, signature = parts
    if not type(payload) is type(signature) is bytes:
        raise EncodingRefused("not a COSE_Sign1 with an attached payload")
    algorithm, key_id = _named(protected, unprotected, takes_hint=takes_hint)
    # RFC 9052, 4.4: an empty header is signed as an empty string.
    signed = to_be_signed(b"" if protected == _EMPTY_MAP else protected, payload)
    return Sign1(algorithm, key_id, payload, signature, signed)


def open_encrypt0(data: bytes) -> Encrypted:
    """Open a COSE_Encrypt0 under AES-GCM, tagged or not.

    Args:
        data: The whole message.

    Raises:
        EncodingRefused: It is none, names a critical header, its algorithm is not protected, or its nonce is not one.
    """
    parts = _parts(data, _ENCRYPT0_TAG)
    if len(parts) != 3:
        raise EncodingRefused("not a COSE_Encrypt0")
    protected, unprotected, ciphertext = parts
    if type(ciphertext) is not bytes or len(ciphertext) < _TAG_BYTES:
        raise EncodingRefused("not a COSE_Encrypt0 with an attached ciphertext")
    algorithm, key_id = _named(protected, unprotected)
    # RFC 9052, 3.1: IV and Partial IV never both, a header in one of the two maps only.
    both = (foreign_cbor.decode(protected, tags=_NO_TAGS), unprotected)
    nonces = [one[_IV] for one in both if _IV in one]
    if len(nonces) != 1 or any(_PARTIAL_IV in one for one in both):
        raise EncodingRefused("not one nonce")
    nonce = nonces[0]
    if type(nonce) is not bytes or len(nonce) != _NONCE_BYTES:
        raise EncodingRefused("the nonce is not one of 12 bytes")
    authenticated = _ENCRYPTION + cbor.byte_string(protected) + cbor.byte_string(b"")
    return Encrypted(algorithm, key_id, nonce, ciphertext, authenticated)


def _parts(data: bytes, tag: bytes) -> list[Any]:
    """Return the parts of a message: the first is a string, the second a map."""
    start = len(_CWT_TAG) if data.startswith(_CWT_TAG) else 0
    start += data.startswith(tag, start)
    parts = foreign_cbor.decode(data[start:], tags=_NO_TAGS)
    if type(parts) is not list or len(parts) < 2 or type(parts[0]) is not bytes or type(parts[1]) is not dict:
        raise EncodingRefused("not a COSE message")
    return parts


def _named(protected: bytes, unprotected: dict[Any, Any], *, takes_hint: bool = True) -> tuple[int, bytes]:
    # A signer's messages share one header, and a gate meets few signers; a long one is a stranger's and is not kept.
    algorithm, key_id = (_known_header if len(protected) <= _SHORT else _header)(protected)
    # RFC 9052, 3.1: alg is authenticated. Outside of what is covered anybody could write another one.
    if unprotected and (_CRIT in unprotected or _ALG in unprotected):
        raise EncodingRefused("what only the signer may say stands outside of the signature")
    if key_id is None:
        # Outside of the signature it is a hint and no more.
        key_id = _key_id(unprotected.get(_KID, b"")) if takes_hint else b""
    return algorithm, key_id


def _header(protected: bytes) -> tuple[int, bytes | None]:
    header = foreign_cbor.decode(protected, tags=_NO_TAGS) if protected else {}
    if type(header) is not dict or _CRIT in header:
        raise EncodingRefused("the header names something critical")
    algorithm = header.get(_ALG)
    if type(algorithm) is not int:
        raise EncodingRefused("the algorithm does not stand in the protected header")
    return algorithm, _key_id(header[_KID]) if _KID in header else None


_known_header: Final = lru_cache(maxsize=256)(_header)


def _key_id(found: object) -> bytes:
    if type(found) is not bytes or len(found) > _MAX_KID:
        raise EncodingRefused("the key id is no string of at most 64 bytes")
    return found
