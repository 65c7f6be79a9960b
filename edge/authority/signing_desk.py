"""Signing at a desk: a person with one key file and a stick, perhaps on a machine that has never had a network.

The desk remembers the newest root it has signed under, in a file beside its key: a request of a made-up authority,
whose "before" hides what really changes, is refused from then on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from edge.authority import keys, sealed
from edge.authority.ceremony import Examined, RoleSignature
from edge.authority.draft import Draft
from edge.authority.keys import Passphrase
from edge.disk import durable
from edge.errors import PublicationError

_MAX_ROOT_BYTES: Final = 512 << 10


@dataclass(frozen=True, slots=True)
class SigningDesk:
    """A key file and what lies beside it.

    Attributes:
        key: The key file.
    """

    key: Path

    @property
    def known_root(self) -> Path:
        """The file of the newest root this desk has signed under."""
        return self.key.with_name(f"{self.key.stem}.root.json")

    def knows(self, examined: Examined) -> bool:
        """Whether this desk has signed for this authority before.

        Raises:
            PublicationError: It knows another authority, or the request is older than what it has seen.
        """
        try:
            known = self.known_root.read_bytes()[: _MAX_ROOT_BYTES + 1]
        except FileNotFoundError:
            return False
        except OSError as error:
            raise PublicationError(
                f"{self.known_root} cannot be read: {error.strerror}.", "Check permissions."
            ) from error
        if known not in examined.request.roots:
            raise PublicationError(
                f"This request does not come from the authority that {self.known_root} names, or is older.",
                "Do not sign. Ask the centre in person; only if the authority was made anew, remove that file.",
            )
        return True

    def remember(self, examined: Examined) -> None:
        """Note the newest root of a request that was signed.

        Raises:
            PublicationError: The file system refuses.
        """
        try:
            durable.write(self.known_root, examined.request.roots[-1])
        except OSError as error:
            raise PublicationError(
                f"{self.known_root} cannot be written: {error.strerror}.", "Make its folder writable and sign again."
            ) from error

    def signable(self, examined: Examined) -> list[Draft]:
        """Return what this key may sign of a request; a sealed key needs no passphrase for that.

        Raises:
            PublicationError: The key cannot be read, or counts for nothing in the request.
        """
        public = self._public().hex()
        found = [draft for draft in examined.drafts if any(_is(key, public) for key in draft.keys.values())]
        if not found:
            raise PublicationError(
                f"The key {self.key} counts for nothing in this request.", "Bring it to the desks whose roles it names."
            )
        return found

    def _public(self) -> bytes:
        data = keys.read(self.key)
        return sealed.public_of(data, str(self.key)) if sealed.is_sealed(data) else bytes(SigningKey(data).verify_key)

    def sign(self, drafts: Iterable[Draft], passphrase: Passphrase | None) -> list[RoleSignature]:
        """Sign what was examined and shown.

        Raises:
            PublicationError: The key cannot be read or its passphrase is wrong.
        """
        signer = keys.signer_of(keys.load(self.key, passphrase))
        found: list[RoleSignature] = []
        for draft in drafts:
            signature = signer.sign(draft.payload)
            digest = sha256(draft.payload).hexdigest()
            found.append(RoleSignature(draft.role, draft.version, digest, signature.keyid, signature.signature))
        return found


def _is(key: object, public: str) -> bool:
    return getattr(key, "keyval", {}).get("public") == public


def fingerprint(examined: Examined) -> str:
    """Return what people compare by telephone before a desk signs for an authority the first time."""
    return sha256(examined.request.roots[0]).hexdigest()[:32]
