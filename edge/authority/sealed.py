"""A private key under a passphrase: Argon2id (RFC 9106) makes a key of it, XSalsa20-Poly1305 seals the seed with that.

The file is one JSON object; its public half stands in plain, so that a desk sees which key it holds before anybody
types. Parameters are read from the file within bounds: a hostile file must not take all memory of the desk.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import nacl.utils
from nacl import pwhash
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey
from nacl.secret import SecretBox
from nacl.signing import SigningKey

from edge.errors import PublicationError, TrustError
from edge.trust.fields import SCHEMA, Document

MAX_BYTES: Final = 4096
LEAST_PASSPHRASE: Final = 10
"""Characters; a desk key is a file that may be copied and tried at leisure."""
_KIND: Final = "edge sealed key"
_OPS: Final = pwhash.argon2id.OPSLIMIT_MODERATE
_MEMORY: Final = pwhash.argon2id.MEMLIMIT_MODERATE
_MOST_OPS: Final = 16
_MOST_MEMORY: Final = 1 << 30
_NONCE_AND_TAG: Final = SecretBox.NONCE_SIZE + SecretBox.MACBYTES


def is_sealed(data: bytes) -> bool:
    """Whether a key file is sealed; a raw seed has exactly 32 bytes."""
    return len(data) != SecretBox.KEY_SIZE and data[:1] == b"{"


# One passphrase often covers several keys of one desk, and each derivation takes a good part of a second on purpose.
@lru_cache(maxsize=8)
def _derived(passphrase: bytes, salt: bytes, ops: int, memory: int) -> bytes:
    return pwhash.argon2id.kdf(SecretBox.KEY_SIZE, passphrase, salt, ops, memory)


@dataclass(frozen=True, slots=True)
class Seal:
    """A passphrase with a fresh salt; it may close many keys, each under a nonce of its own.

    Attributes:
        passphrase: The passphrase.
        salt: 16 random bytes.
    """

    passphrase: bytes
    salt: bytes

    @classmethod
    def new(cls, passphrase: bytes) -> "Seal":
        """Return a seal.

        Raises:
            PublicationError: The passphrase is too short.
        """
        if len(passphrase.decode(errors="replace")) < LEAST_PASSPHRASE:
            raise PublicationError(
                f"A passphrase has at least {LEAST_PASSPHRASE} characters.", "Take five or more random words."
            )
        return cls(passphrase, nacl.utils.random(pwhash.argon2id.SALTBYTES))

    def close(self, key: SigningKey | PrivateKey) -> bytes:
        """Return the file of a key."""
        is_signing = isinstance(key, SigningKey)
        public = key.verify_key if isinstance(key, SigningKey) else key.public_key
        box = SecretBox(_derived(self.passphrase, self.salt, _OPS, _MEMORY)).encrypt(bytes(key))
        members = {
            "schema": SCHEMA,
            "kind": _KIND,
            "algorithm": "ed25519" if is_signing else "x25519",
            "public": bytes(public).hex(),
            "kdf": "argon2id",
            "ops": _OPS,
            "memory": _MEMORY,
            "salt": self.salt.hex(),
            "box": bytes(box).hex(),
        }
        return json.dumps(members, indent=1).encode() + b"\n"


def _read(data: bytes, place: str) -> dict[str, Any]:
    try:
        document = Document(data, place)
        found: dict[str, Any] = {
            "kind": document.text("kind"),
            "algorithm": document.text("algorithm"),
            "public": document.data("public", 32, 32),
            "kdf": document.text("kdf"),
            "ops": document.integer("ops", pwhash.argon2id.OPSLIMIT_MIN, _MOST_OPS),
            "memory": document.integer("memory", pwhash.argon2id.MEMLIMIT_MIN, _MOST_MEMORY),
            "salt": document.data("salt", pwhash.argon2id.SALTBYTES, pwhash.argon2id.SALTBYTES),
            "box": document.data("box", 32 + _NONCE_AND_TAG, 32 + _NONCE_AND_TAG),
        }
        document.refuse_unread()
    except TrustError as error:
        raise PublicationError(error.message, "Restore the key from its backup.") from error
    if found["kind"] != _KIND or found["kdf"] != "argon2id" or found["algorithm"] not in {"ed25519", "x25519"}:
        raise PublicationError(f"{place} is not a sealed key of this version.", "Restore the key from its backup.")
    return found


def public_of(data: bytes, place: str) -> bytes:
    """Return the public half that stands in plain; believed only once `opened` has compared it.

    Raises:
        PublicationError: It is no sealed key.
    """
    public: bytes = _read(data, place)["public"]
    return public


def key_of(data: bytes, passphrase: bytes, place: str) -> SigningKey | PrivateKey:
    """Return the key in a sealed file.

    Args:
        data: The file.
        passphrase: Its passphrase.
        place: Its name, for messages.

    Raises:
        PublicationError: It is no sealed key, the passphrase is wrong, or the halves do not belong together.
    """
    found = _read(data, place)
    derived = _derived(passphrase, found["salt"], found["ops"], found["memory"])
    try:
        opened_seed = SecretBox(derived).decrypt(found["box"])
    except CryptoError:
        raise PublicationError(f"The passphrase of {place} is wrong.", "Type it again.") from None
    key = SigningKey(opened_seed) if found["algorithm"] == "ed25519" else PrivateKey(opened_seed)
    public = key.verify_key if isinstance(key, SigningKey) else key.public_key
    if bytes(public) != found["public"]:
        raise PublicationError(f"{place} names another public key than it holds.", "Restore it from its backup.")
    return key
