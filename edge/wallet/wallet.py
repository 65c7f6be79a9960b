"""A holder's folder: `holder.key` (32 raw bytes, mode 0600, never sent anywhere) and `pass.txt`, the pass bound to it.

What a phone keeps in its key store; the format of what it shows is `edge.credentials.hl1`.
"""

import stat
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from edge.credentials import hl1, hp1
from edge.disk import durable
from edge.errors import CredentialError, SourceError, WalletError
from edge.scanner.still import read_image

KEY_FILE: Final = "holder.key"
PASS_FILE: Final = "pass.txt"  # noqa: S105  # a pass, no password
_SEED_BYTES: Final = 32
_MAX_FILE: Final = 64 * 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Wallet:
    """A folder that holds one holder key and one pass.

    Args:
        folder: Where it is.
        key: The holder key.
    """

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.folder = folder
        self._key = key

    @classmethod
    def new(cls, folder: Path) -> "Wallet":
        """Make a wallet with a key of its own.

        Raises:
            WalletError: There is one already, or the folder cannot be written.
        """
        place = folder / KEY_FILE
        key = SigningKey.generate()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.create(place, key.encode())
        except FileExistsError as error:
            raise WalletError(
                f"{place} is there already: a new key would make its pass useless.", "Choose another folder."
            ) from error
        except OSError as error:
            raise WalletError(f"{place} cannot be written: {error.strerror}.", "Choose another folder.") from error
        return cls(folder, key)

    @classmethod
    def open(cls, folder: Path) -> "Wallet":
        """Open a wallet.

        Raises:
            WalletError: There is none, or its key is damaged or readable by others.
        """
        place = folder / KEY_FILE
        try:
            mode, seed = place.stat().st_mode, place.read_bytes()
        except OSError as error:
            raise WalletError(
                f"{place} cannot be read: {error.strerror}.", f"Make a wallet first: edge wallet new {folder}"
            ) from error
        if mode & _OTHERS:
            raise WalletError(f"{place} can be read by others.", f"Run: chmod 600 {place}")
        if len(seed) != _SEED_BYTES or len(set(seed)) == 1:
            raise WalletError(f"{place} is damaged.", "Restore it, or make another wallet and ask for a new pass.")
        return cls(folder, SigningKey(seed))

    @property
    def public(self) -> bytes:
        """The holder key's public half, which the issuer binds the pass to."""
        return self._key.verify_key.encode()

    def keep(self, code: bytes) -> None:
        """Take in the pass that the issuer signed.

        Raises:
            WalletError: It is no pass, is not bound to this wallet's key, or cannot be written.
        """
        try:
            found = hp1.FORMAT.parse(code)
        except CredentialError as refusal:
            raise WalletError("This is no national pass (HP1:...).", "Take it in whole, as it was issued.") from refusal
        if found.holder_key != self.public:
            bound = "to no key" if found.holder_key is None else "to another key"
            raise WalletError(
                f"The pass is bound {bound}, not to this wallet's.",
                f"Ask for one with: edge authority issue ... --holder-key {self.public.hex()}",
            )
        try:
            durable.write(self.folder / PASS_FILE, code + b"\n", mode=0o600)
        except OSError as error:
            raise WalletError(f"The pass cannot be written: {error.strerror}.", "Check the folder.") from error

    def shown(self, unix_s: int, digits: str = "") -> str:
        """Return the code to show now.

        Args:
            unix_s: The phone's time, Unix seconds.
            digits: What the gate asks, eight digits; spaces are left out; empty where it asks nothing.

        Raises:
            WalletError: There is no pass, or the digits are none.
        """
        place = self.folder / PASS_FILE
        try:
            code = place.read_bytes().strip()
        except OSError as error:
            raise WalletError(
                "There is no pass in this wallet.", f"Take one in: edge wallet pass {self.folder} CODE"
            ) from error
        return signed(code, self._key, unix_s, digits_of(digits))


def signed(code: bytes, key: SigningKey, unix_s: int, nonce: bytes = b"") -> str:
    """Return the code of a live presentation.

    Args:
        code: The pass, `HP1:...`.
        key: The holder key it is bound to.
        unix_s: When it is signed, Unix seconds.
        nonce: The gate's eight digits, or empty.

    Raises:
        WalletError: The pass is none, or is bound to no key.
    """
    try:
        laid_out = hl1.unsigned(code, unix_s, nonce)
    except (CredentialError, OverflowError) as refusal:
        raise WalletError("The pass or this machine's clock is damaged.", "Take the pass in again.") from refusal
    return laid_out.sign(key.sign(laid_out.to_be_signed).signature).decode("ascii")


def digits_of(given: str) -> bytes:
    """Return a gate's digits as they were typed or read from its code (`HN1:` and eight digits).

    Raises:
        WalletError: They are something else.
    """
    digits = "".join(given.removeprefix("HN1:").split()).encode(errors="replace")
    if digits and not hl1.is_nonce(digits):
        raise WalletError("A gate asks with eight digits.", "Type those on its screen.")
    return digits


def read_pass(given: str) -> bytes:
    """Return the pass in a code, a text file or a picture.

    Raises:
        WalletError: There is none, or several.
    """
    if given.startswith(hp1.PREFIX.decode()):
        return given.strip().encode()
    try:
        with Path(given).open("rb") as file:
            content = file.read(_MAX_FILE)
    except (OSError, ValueError) as error:
        raise WalletError("This is neither a pass (HP1:...) nor a file that can be read.", "Check it.") from error
    if content.startswith(hp1.PREFIX):
        return content.strip()
    try:
        found = [symbol.raw for symbol in read_image(content) if symbol.raw.startswith(hp1.PREFIX)]
    except SourceError as error:
        raise WalletError(error.message, error.next_step) from error
    if len(found) != 1:
        raise WalletError(f"The picture shows {len(found) or 'no'} passes.", "Take one of a single whole code.")
    return found[0]
