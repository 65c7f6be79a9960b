"""COSE_Encrypt0 (RFC 9052, 5.2) under AES-GCM (RFC 9053, 4.1): opened by whoever holds the key.

An encrypted message proves nothing: whoever can open it can make one. What it holds has to be signed by itself.
"""

from dataclasses import dataclass
from typing import Any, Final

from edge.codec import cbor, foreign_cbor
from edge.errors import EncodingRefused

ALGORITHMS: Final = {1: 16, 2: 24, 3: 32}
"""Bytes of the key by COSE algorithm number: A128GCM, A192GCM, A256GCM with a tag of 128 bits."""
_ALG, _CRIT, _KID, _IV, _PARTIAL_IV = 1, 2, 4, 5, 6
_NO_TAGS: Final[frozenset[int]] = frozenset()
# RFC 8392, 6: a CWT tag may stand before the COSE tag.
_CWT_TAG: Final = b"\xd8\x3d"
_TAG: Final = b"\xd0"
_LEADS: Final = (_TAG + b"\x83", _CWT_TAG + _TAG + b"\x83")
_NONCE_BYTES: Final = 12
_SEAL_BYTES: Final = 16
_MAX_KID: Final = 64


@dataclass(frozen=True, slots=True)
class Encrypted:
    """An opened COSE_Encrypt0 whose content nobody has decrypted yet.

    Attributes:
        algorithm: The `alg` of the protected header, one of `ALGORITHMS`.
        key_id: The `kid` of the protected header, else the unprotected one, else empty.
        nonce: The initialisation vector, 12 bytes.
        ciphertext: The encrypted content with its tag.
        bound: The Enc_structure that the tag covers, too (RFC 9052, 5.3).
    """

    algorithm: int
    key_id: bytes
    nonce: bytes
    ciphertext: bytes
    bound: bytes


def is_encrypted(data: bytes) -> bool:
    """Whether a message says by its first bytes that it is a tagged COSE_Encrypt0."""
    return data.startswith(_LEADS)


def parse(data: bytes) -> Encrypted:
    """Open a tagged COSE_Encrypt0.

    Raises:
        EncodingRefused: It is none, names a critical header, another algorithm, or no whole initialisation vector.
    """
    start = len(_CWT_TAG) if data.startswith(_CWT_TAG) else 0
    parts = foreign_cbor.decode(data[start + len(_TAG) :], tags=_NO_TAGS) if data.startswith(_TAG, start) else None
    if type(parts) is not list or len(parts) != 3:
        raise EncodingRefused("not a COSE_Encrypt0")
    protected, unprotected, ciphertext = parts
    if {type(protected), type(ciphertext)} != {bytes} or type(unprotected) is not dict:
        raise EncodingRefused("not a COSE_Encrypt0 with an attached content")
    header = foreign_cbor.decode(protected, tags=_NO_TAGS)
    if type(header) is not dict or {_CRIT, _PARTIAL_IV} & (header.keys() | unprotected.keys()):
        raise EncodingRefused("a header names something critical, or a partial initialisation vector")
    algorithm = header.get(_ALG)
    # RFC 9052, 3: a label stands once in both headers together, so nobody can say which of two counts.
    if type(algorithm) is not int or algorithm not in ALGORITHMS or header.keys() & unprotected.keys():
        raise EncodingRefused("the algorithm is not AES-GCM, or a header parameter stands twice")
    both = {**unprotected, **header}
    nonce, key_id = _bytes(both.get(_IV), _NONCE_BYTES, _NONCE_BYTES), _bytes(both.get(_KID, b""), 0, _MAX_KID)
    if len(ciphertext) < _SEAL_BYTES:
        raise EncodingRefused("the content is shorter than its tag")
    return Encrypted(algorithm, key_id, nonce, ciphertext, cbor.encode(["Encrypt0", protected, b""]))


def _bytes(value: Any, least: int, most: int) -> bytes:
    if type(value) is not bytes or not least <= len(value) <= most:
        raise EncodingRefused("the key id or the initialisation vector is no byte string of its length")
    return value


def decrypt(message: Encrypted, secret: bytes) -> bytes | None:
    """Return the content, or None where the key is not the one, or anything was altered.

    Args:
        message: What was opened.
        secret: The key; one of another length than the algorithm's opens nothing.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  # only where such codes are shown and keys held
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    if len(secret) != ALGORITHMS[message.algorithm]:
        return None
    try:
        return AESGCM(secret).decrypt(message.nonce, message.ciphertext, message.bound)
    except InvalidTag:
        return None
