"""Checkpoints of the publication log: a Merkle tree head (RFC 6962, 2.1) in a signed note (C2SP tlog-checkpoint).

Any tool of that family can read one, witnesses may add their signature lines. Pure; the files are left to
`edge.authority.log`.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey
from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # documented there

from edge.errors import PublicationError

MAX_BYTES: Final = 64 << 10
_ED25519: Final = b"\x01"
_SIGNATURE: Final = re.compile(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/]+=*)")
_BODY_LINES: Final = 3
_KEY_HASH_BYTES: Final = 4


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of `leaves` (RFC 6962, 2.1)."""
    # Heads of full subtrees, largest first; two of one size become one of the next.
    heads: list[tuple[int, bytes]] = []
    for leaf in leaves:
        size, head = 1, sha256(b"\x00" + leaf).digest()
        while heads and heads[-1][0] == size:
            head = sha256(b"\x01" + heads.pop()[1] + head).digest()
            size *= 2
        heads.append((size, head))
    if not heads:
        return sha256(b"").digest()
    root = heads.pop()[1]
    while heads:
        root = sha256(b"\x01" + heads.pop()[1] + root).digest()
    return root


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How long a log is and what stands in it.

    Attributes:
        origin: Which log.
        size: Number of entries.
        root: Merkle tree hash of them.
    """

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, signer: CryptoSigner) -> bytes:
        """Return the signed note."""
        public = bytes.fromhex(str(signer.public_key.keyval["public"]))
        signature = bytes.fromhex(signer.sign(self.text.encode()).signature)
        line = base64.b64encode(key_hash(self.origin, public) + signature).decode()
        return f"{self.text}\n\u2014 {self.origin} {line}\n".encode()


def key_hash(name: str, public: bytes) -> bytes:
    """Return the first bytes of the id of a note's key."""
    # C2SP signed-note: SHA-256(name || 0x0A || type || key), its first four bytes.
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:_KEY_HASH_BYTES]


def open_checkpoint(data: bytes, origin: str, publics: Iterable[bytes]) -> Checkpoint:
    """Return a checkpoint that one of `publics` has signed.

    Args:
        data: The note.
        origin: The log it must be of.
        publics: Ed25519 keys that may sign it.

    Raises:
        PublicationError: It is malformed, of another log, or signed by none of them.
    """
    try:
        # Split at the last empty line, as signed-note wants it: signature lines hold none.
        text, _, lines = data[:MAX_BYTES].decode().rpartition("\n\n")
        named = text.partition("\n")[0]
        if named != origin and named.partition("/")[0] == origin.partition("/")[0]:
            raise PublicationError(
                "The log's checkpoint and metadata/1.root.json are not of one authority: one of them was changed.",
                _COPY,
            )
        found = _body(text, origin)
    except (ValueError, binascii.Error) as error:
        raise PublicationError("The log's checkpoint is malformed.", _COPY) from error
    signatures = [match for line in lines.splitlines() if (match := _SIGNATURE.fullmatch(line))]
    keys = tuple(publics)
    for match in signatures:
        if match[1] == origin and any(is_note_by(key, origin, found.text.encode(), match[2]) for key in keys):
            return found
    raise PublicationError("The log's checkpoint is not signed by the key it must be signed by.", _COPY)


_COPY: Final = "Copy the publication again, from another mirror."


def _body(text: str, origin: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != _BODY_LINES or lines[0] != origin or not re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1]):
        raise ValueError("not a checkpoint of this log")
    root = base64.b64decode(lines[2], validate=True)
    found = Checkpoint(origin, int(lines[1]), root)
    # One value has one spelling.
    if found.text != text + "\n" or len(root) != sha256().digest_size:
        raise ValueError("not a checkpoint of this log")
    return found


def is_note_by(public: bytes, name: str, text: bytes, line: str) -> bool:
    """Whether an Ed25519 key has signed a note.

    Args:
        public: The key.
        name: What the note calls it.
        text: The note's text, with its last line feed.
        line: The Base64 of its signature line.
    """
    try:
        raw = base64.b64decode(line, validate=True)
        VerifyKey(public).verify(text, raw[_KEY_HASH_BYTES:])
    except (CryptoError, ValueError):
        return False
    return raw[:_KEY_HASH_BYTES] == key_hash(name, public)
