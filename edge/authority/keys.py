"""The private keys of an authority: one file a key, mode 0600, in a folder of mode 0700.

A file is 32 raw bytes, or those sealed by a passphrase (`edge.authority.sealed`). Keys of people are sealed; those of
the online roles and of issuers are not, because a machine signs with them. Where keys live in hardware, this folder is
what such a module replaces. Who signs what is left to the callers.
"""

import re
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey
from nacl.signing import SigningKey
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # documented there

from edge.authority import sealed
from edge.authority.sealed import Seal
from edge.disk import bounded, durable
from edge.errors import PublicationError

KEY_ID_BYTES: Final = 4
"""A key id is looked up together with its issuer, and every byte of it stands in every code."""
AUDITOR: Final = "auditor"
"""The name of the key pair that personal fields are sealed to."""
_SEED_BYTES: Final = 32
_PRIVATE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

Passphrase = Callable[[str], bytes]
"""Asks for the passphrase of the key it is told the name of."""


def key_id(public: bytes) -> bytes:
    """Return the key id of an issuer's public key: the first bytes of its SHA-256."""
    return sha256(public).digest()[:KEY_ID_BYTES]


def read(place: Path) -> bytes:
    """Return the content of a key file: a seed, or a sealed one.

    Raises:
        PublicationError: It cannot be read, is readable by others, or is no key.
    """
    try:
        mode = place.stat().st_mode
        data = bounded.read(place, sealed.MAX_BYTES)
    except OSError as error:
        raise PublicationError(
            f"The key {place} cannot be read: {error.strerror}.", "Put it back, or run as the authority's user."
        ) from error
    if mode & _OTHERS:
        raise PublicationError(f"The key {place} can be read by others.", f"Run: chmod 600 {place}")
    if not sealed.is_sealed(data) and len(data) != _SEED_BYTES:
        raise PublicationError(f"The key {place} does not have {_SEED_BYTES} bytes.", "Restore it from its backup.")
    return data


def load(place: Path, passphrase: Passphrase | None) -> SigningKey | PrivateKey:
    """Return the key in a key file.

    Args:
        place: The file.
        passphrase: Asks for the passphrase of a sealed key; None where nobody can be asked.

    Raises:
        PublicationError: As `read`; or it is sealed and the passphrase is missing or wrong.
    """
    data = read(place)
    if not sealed.is_sealed(data):
        # A raw file does not say which kind it is; the auditor's is the only one that opens instead of signing.
        return PrivateKey(data) if place.stem == AUDITOR else SigningKey(data)
    if passphrase is None:
        raise PublicationError(f"The key {place} is sealed.", "Give its passphrase: --passphrase-file FILE")
    return sealed.key_of(data, passphrase(place.stem), str(place))


def signer_of(key: SigningKey | PrivateKey) -> CryptoSigner:
    """Return the TUF signer of a key."""
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(bytes(key)))


def write(place: Path, key: SigningKey | PrivateKey, seal: Seal | None = None) -> None:
    """Write a key file, sealed where a seal is given, durably.

    Raises:
        OSError: The file system refuses.
    """
    durable.write(place, bytes(key) if seal is None else seal.close(key), mode=_PRIVATE)


def create(place: Path, key: SigningKey, seal: Seal | None = None) -> None:
    """Write the file of a key that is new, durably; of two at once, one makes it.

    Raises:
        FileExistsError: It is there; it stays as it is.
        OSError: The file system refuses.
    """
    durable.create(place, bytes(key) if seal is None else seal.close(key), mode=_PRIVATE)


class KeyFolder:
    """The folder `keys/` of an authority.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, SigningKey | PrivateKey] = {}

    def has(self, name: str) -> bool:
        """Whether the private key is here; root keys may well be kept elsewhere."""
        return self.place(name).is_file()

    def of_role(self, role: str) -> list[str]:
        """Return the names of the keys here that were made for a role, former ones included."""
        patterns = (f"{role}.key", f"{role}.[0-9]*.key", f"{role}-[0-9]*.key")
        found = (file.name.removesuffix(".key") for pattern in patterns for file in self._folder.glob(pattern))
        # `province-6-1` of a pattern is no key of `province`: what follows the role is a number, perhaps a generation.
        return sorted(name for name in found if re.fullmatch(r"(?:-[0-9]+)?(?:\.[0-9]+)?", name.removeprefix(role)))

    def is_sealed(self, name: str) -> bool:
        """Whether the key needs a passphrase.

        Raises:
            PublicationError: As `read`.
        """
        return name not in self._made and sealed.is_sealed(read(self.place(name)))

    def signer(self, name: str, passphrase: Passphrase | None = None) -> CryptoSigner:
        """Return the signer of a TUF role's key.

        Raises:
            PublicationError: The key is missing, damaged, readable by others, or its passphrase is missing or wrong.
        """
        return signer_of(self._made.get(name) or load(self.place(name), passphrase))

    def signing_key(self, name: str) -> SigningKey:
        """Return an issuer's key.

        Raises:
            PublicationError: The key is missing, damaged, sealed or readable by others.
        """
        return SigningKey(bytes(load(self.place(name), None)))

    def keep(self, name: str, key: SigningKey | PrivateKey, seal: Seal | None = None) -> None:
        """Write a new key, durably; one that is there is never replaced.

        Whoever made a sealed key may sign with it until this object is gone.

        Raises:
            PublicationError: There is one of this name.
            OSError: The file system refuses.
        """
        if self.place(name).exists():
            raise PublicationError(f"There is already a key {name} in {self._folder}.")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self.place(name), key, seal)
        if seal is not None:
            self._made[name] = key

    def place(self, name: str) -> Path:
        """Return the file of a key."""
        return self._folder / f"{name}.key"
