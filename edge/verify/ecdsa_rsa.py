"""ECDSA and RSA signatures under plain keys, by `cryptography`; each function is the `Verifier` of one algorithm."""

from functools import lru_cache
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from edge.model.trust import ES256, ES384, PS256, RS256

_UNCOMPRESSED: Final = 4
_P256: Final = 32
_P384: Final = 48
# Below 2048 bits a signature can be forged; above 8192 a check takes longer than a frame.
_LEAST_BITS: Final = 2048
_MOST_BITS: Final = 8192
_SHA256: Final = hashes.SHA256()
_SCHEMES: Final = {
    _P256: (ec.SECP256R1(), ec.ECDSA(_SHA256)),
    _P384: (ec.SECP384R1(), ec.ECDSA(hashes.SHA384())),
}
_CURVES: Final = {ES256: _P256, ES384: _P384}
_PSS: Final = padding.PSS(padding.MGF1(_SHA256), _SHA256.digest_size)
_PKCS1: Final = padding.PKCS1v15()


def es256(public: bytes, signed: bytes, signature: bytes) -> bool:
    """Check an ECDSA P-256 signature r||s of exactly 64 bytes, under 04||x||y (RFC 9053, 2.1)."""
    return _ecdsa(public, signed, signature, _P256)


def es384(public: bytes, signed: bytes, signature: bytes) -> bool:
    """Check an ECDSA P-384 signature r||s of exactly 96 bytes, under 04||x||y (RFC 9053, 2.1)."""
    return _ecdsa(public, signed, signature, _P384)


def ps256(public: bytes, signed: bytes, signature: bytes) -> bool:
    """Check an RSASSA-PSS signature with SHA-256 and a salt of 32 bytes, under a DER RSAPublicKey (RFC 8230, 2)."""
    return _rsa(public, signed, signature, _PSS)


def rs256(public: bytes, signed: bytes, signature: bytes) -> bool:
    """Check an RSASSA-PKCS1-v1_5 signature with SHA-256, under a DER RSAPublicKey (RFC 8812, 2)."""
    return _rsa(public, signed, signature, _PKCS1)


def is_usable(algorithm: int, public: bytes) -> bool:
    """Return whether a plain key is a key of this algorithm that a signature can be checked under."""
    if algorithm in _CURVES:
        return _curve_key(public, _CURVES[algorithm]) is not None
    return algorithm in {PS256, RS256} and _rsa_key(public) is not None


def _ecdsa(public: bytes, signed: bytes, signature: bytes, size: int) -> bool:
    # Exact: a forgery that is a byte short or long could still be read as two numbers (Wycheproof).
    if len(signature) != 2 * size:
        return False
    key = _curve_key(public, size)
    if key is None:
        return False
    der = encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
    try:
        key.verify(der, signed, _SCHEMES[size][1])
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=64)
def _curve_key(public: bytes, size: int) -> ec.EllipticCurvePublicKey | None:
    # One form: a compressed point would be a second name of the same key.
    if len(public) != 2 * size + 1 or public[0] != _UNCOMPRESSED:
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_SCHEMES[size][0], public)
    except ValueError:
        return None


def _rsa(public: bytes, signed: bytes, signature: bytes, scheme: Any) -> bool:
    key = _rsa_key(public)
    if key is None or len(signature) != (key.key_size + 7) // 8:
        return False
    try:
        key.verify(signature, signed, scheme, _SHA256)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=64)
def _rsa_key(public: bytes) -> RSAPublicKey | None:
    try:
        key = load_der_public_key(public)
    except ValueError:
        return None
    return key if isinstance(key, RSAPublicKey) and _LEAST_BITS <= key.key_size <= _MOST_BITS else None
