"""The private keys of an authority: one file a key, 32 raw bytes, mode 0600, in a folder of mode 0700.

Where keys live in hardware, this folder is what such a module replaces. Who signs what is left to the callers.
"""

import stat
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from nacl.public import PrivateKey
from nacl.signing import SigningKey
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # documented there

from edge.disk import durable
from edge.errors import PublicationError

KEY_ID_BYTES: Final = 4
"""A key id is looked up together with its issuer, and every byte of it stands in every code."""
_SEED_BYTES: Final = 32
_PRIVATE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def key_id(public: bytes) -> bytes:
    """Return the key id of an issuer's public key: the first bytes of its SHA-256."""
    return sha256(public).digest()[:KEY_ID_BYTES]


class KeyFolder:
    """The folder `keys/` of an authority.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, name: str) -> bool:
        """Whether the private key is here; root keys may well be kept elsewhere."""
        return self._place(name).is_file()

    def signer(self, name: str) -> CryptoSigner:
        """Return the signer of a TUF role's key.

        Raises:
            PublicationError: The key is missing, damaged or readable by others.
        """
        return CryptoSigner(Ed25519PrivateKey.from_private_bytes(self._seed(name)))

    def signing_key(self, name: str) -> SigningKey:
        """Return an issuer's key.

        Raises:
            PublicationError: The key is missing, damaged or readable by others.
        """
        return SigningKey(self._seed(name))

    def keep(self, name: str, key: SigningKey | PrivateKey) -> None:
        """Write a new key, durably; one that is there is never replaced.

        Raises:
            PublicationError: There is one of this name.
            OSError: The file system refuses.
        """
        if self._place(name).exists():
            raise PublicationError(f"There is already a key {name} in {self._folder}.")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        durable.write(self._place(name), bytes(key), mode=_PRIVATE)

    def _seed(self, name: str) -> bytes:
        place = self._place(name)
        try:
            mode = place.stat().st_mode
            seed = place.read_bytes()
        except OSError as error:
            raise PublicationError(
                f"The key {place} cannot be read: {error.strerror}.", "Put it back, or run as the authority's user."
            ) from error
        if mode & _OTHERS:
            raise PublicationError(f"The key {place} can be read by others.", f"Run: chmod 600 {place}")
        if len(seed) != _SEED_BYTES:
            raise PublicationError(f"The key {place} does not have {_SEED_BYTES} bytes.", "Restore it from its backup.")
        return seed

    def _place(self, name: str) -> Path:
        return self._folder / f"{name}.key"
