"""Who signs in the ledger: gate ids, key ids, signed messages and sealing, the same on gate and hub.

Every message is an untagged COSE_Sign1 (RFC 9052, 4.2) over a deterministic CBOR map; the key id in its protected
header is the first 8 bytes of SHA-256 of the Ed25519 public key. Field 0 says what kind of message it is, so that a
receipt can never be taken for a batch, nor an invitation for a receipt, although one key signs both.
"""

from hashlib import sha256
from typing import Any, Final

from nacl.bindings import crypto_sign_ed25519_pk_to_curve25519, crypto_sign_ed25519_sk_to_curve25519
from nacl.exceptions import BadSignatureError, CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.signing import SigningKey, VerifyKey

from edge.codec import cbor, cose
from edge.errors import EncodingRefused, LedgerError

_KIND: Final = 0


def gate_id(public: bytes) -> bytes:
    """Return the gate id of a device key: the first 16 bytes of SHA-256 of its public key."""
    return sha256(public).digest()[:16]


def key_id(public: bytes) -> bytes:
    """Return the key id of an Ed25519 public key, 8 bytes."""
    return sha256(public).digest()[:8]


def fingerprint(public: bytes) -> str:
    """Return a fingerprint a person can compare: 24 digits in groups of four."""
    number = int.from_bytes(sha256(public).digest()[:12], "big") % 10**24
    digits = f"{number:024d}"
    return " ".join(digits[start : start + 4] for start in range(0, 24, 4))


def sign(kind: str, message: dict[int, Any], key: SigningKey) -> bytes:
    """Return `message` as a signed COSE_Sign1; its field 0 is set to `kind`."""
    protected = cose.protected_header(key_id(key.verify_key.encode()))
    payload = cbor.encode({**message, _KIND: kind})
    return cose.assemble(protected, payload, key.sign(cose.to_be_signed(protected, payload)).signature)


def opened(kind: str, data: bytes, public: bytes) -> dict[Any, Any]:
    """Return the message in `data`, without its field 0, if it is of `kind` and `public` signed it.

    Raises:
        LedgerError: It is no COSE_Sign1 over a map, is of another kind, names another key or does not verify.
    """
    try:
        message = cose.parse(data)
        content = cbor.decode(message.payload)
    except EncodingRefused as refused:
        raise LedgerError(f"the signed message is not well-formed: {refused}") from refused
    if message.algorithm != cose.EDDSA or message.key_id != key_id(public) or not isinstance(content, dict):
        raise LedgerError("the signed message names another key or algorithm")
    try:
        VerifyKey(public).verify(message.to_be_signed, message.signature)
    except (BadSignatureError, ValueError) as bad:
        raise LedgerError("the signature of the message does not verify") from bad
    if content.pop(_KIND, None) != kind:
        raise LedgerError(f"the signed message is not of the kind {kind}")
    return content


def signer_of(data: bytes) -> bytes:
    """Return the key id a signed message names, unverified, so that the key can be looked up.

    Raises:
        LedgerError: It is no COSE_Sign1.
    """
    try:
        return cose.parse(data).key_id
    except EncodingRefused as refused:
        raise LedgerError(f"the signed message is not well-formed: {refused}") from refused


def seal(message: bytes, public: bytes) -> bytes:
    """Return `message` sealed to an X25519 public key (libsodium sealed box)."""
    return SealedBox(PublicKey(public)).encrypt(message)


def seal_to_device(message: bytes, public: bytes) -> bytes:
    """Return `message` sealed to the X25519 form of a device's Ed25519 public key."""
    return seal(message, crypto_sign_ed25519_pk_to_curve25519(public))


def unseal_on_device(sealed: bytes, key: SigningKey) -> bytes:
    """Return what was sealed to this device.

    Raises:
        LedgerError: It was sealed to another key or altered.
    """
    # PyNaCl's secret key is seed || public, as libsodium wants it.
    private = crypto_sign_ed25519_sk_to_curve25519(key.encode() + key.verify_key.encode())
    try:
        return SealedBox(PrivateKey(private)).decrypt(sealed)
    except (CryptoError, ValueError, TypeError) as bad:
        raise LedgerError("what the hub sealed was not sealed to this device") from bad
