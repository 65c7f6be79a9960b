"""The publication log: every publication ever made, in order, under a signed Merkle tree head.

    log/entries.ndjson      one JSON object a publication: what was signed, by whom, what changed
    log/checkpoint          size and tree head, signed by the snapshot key
    log/metadata/           every version of the metadata the entries name, roots apart (those stay in metadata/)

It is part of the publication, so whoever copies that can verify all of it (`edge.authority.audit`). An entry is durable
before the timestamp that makes its publication visible: what gates have seen has been logged.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined]  # documented there

from edge.authority import checkpoint
from edge.authority.checkpoint import Checkpoint, merkle_root, open_checkpoint
from edge.disk import durable
from edge.errors import PublicationError, TrustError
from edge.trust.fields import SCHEMA, Document, Fields, iso

ENTRIES: Final = "entries.ndjson"
CHECKPOINT: Final = "checkpoint"
MAX_ENTRY_BYTES: Final = 4 << 20
_MOST_CHANGES: Final = 20000


@dataclass(frozen=True, slots=True)
class SignedRole:
    """Metadata that a publication brought.

    Attributes:
        role: Whose.
        version: Its version.
        sha256: SHA-256 of the file, hexadecimal.
        signers: Key ids of those whose signature holds, sorted.
    """

    role: str
    version: int
    sha256: str
    signers: tuple[str, ...]

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.version}.{self.role}.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One publication.

    Attributes:
        seq: Its number, from 0.
        time: The issue time of its timestamp, Unix seconds.
        roles: What was signed, the timestamp last.
        added: SHA-256 of new targets by path.
        changed: SHA-256 of changed targets by path.
        removed: Targets that are gone.
    """

    seq: int
    time: int
    roles: tuple[SignedRole, ...]
    added: Mapping[str, str]
    changed: Mapping[str, str]
    removed: tuple[str, ...]

    def encode(self) -> bytes:
        """Return its line, without the line feed."""
        members = {
            "schema": SCHEMA,
            "seq": self.seq,
            "time": iso(self.time),
            "roles": [
                {"role": one.role, "version": one.version, "sha256": one.sha256, "signers": list(one.signers)}
                for one in self.roles
            ],
            "added": [{"path": path, "sha256": digest} for path, digest in sorted(self.added.items())],
            "changed": [{"path": path, "sha256": digest} for path, digest in sorted(self.changed.items())],
            "removed": sorted(self.removed),
        }
        return json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def decode(line: bytes, place: str) -> Entry:
    """Return the entry of a line.

    Raises:
        PublicationError: It is not an entry of this form, written as `Entry.encode` writes it.
    """
    try:
        document = Document(line, place)
        found = Entry(
            document.integer("seq", 0, 1 << 53),
            document.time("time"),
            tuple(map(_role, document.objects("roles", 1000))),
            _digests(document, "added"),
            _digests(document, "changed"),
            document.texts("removed", _MOST_CHANGES),
        )
    except TrustError as error:
        raise PublicationError(error.message, _COPY) from error
    if found.encode() != line:
        raise PublicationError(f"{place} is not written as an entry is.", _COPY)
    return found


_COPY: Final = "Restore the log from a mirror or a backup."


def _role(row: Fields) -> SignedRole:
    return SignedRole(
        row.text("role"), row.integer("version", 1, 1 << 53), row.data("sha256", 32, 32).hex(), row.texts("signers")
    )


def _digests(document: Document, name: str) -> dict[str, str]:
    return {row.text("path"): row.data("sha256", 32, 32).hex() for row in document.objects(name, _MOST_CHANGES)}


def origin_of(first_root: bytes) -> str:
    """Return the name of an authority's log: it is bound to the first root, as the gates are."""
    return f"edge-publication-log/{sha256(first_root).hexdigest()[:16]}"


class PublicationLog:
    """The folder `publication/log/`.

    Args:
        folder: Where it is; made with the first entry.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = folder / "metadata"

    def lines(self) -> list[bytes]:
        """Return the entries' lines; a last one without its line feed was never finished and is left out.

        Raises:
            PublicationError: The file cannot be read.
        """
        try:
            data = (self.folder / ENTRIES).read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise PublicationError(f"{self.folder / ENTRIES} cannot be read: {error.strerror}.", _COPY) from error
        return data.split(b"\n")[:-1]

    def entries(self) -> list[Entry]:
        """Return the entries.

        Raises:
            PublicationError: One cannot be read; the message names its number.
        """
        return [decode(line, f"log entry {number}") for number, line in enumerate(self.lines())]

    def checkpoint(self, origin: str, publics: Sequence[bytes]) -> Checkpoint | None:
        """Return the checkpoint, or None where there is none.

        Raises:
            PublicationError: It cannot be read, is malformed, or is signed by none of `publics`.
        """
        try:
            with (self.folder / CHECKPOINT).open("rb") as file:
                data = file.read(checkpoint.MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise PublicationError(f"{self.folder / CHECKPOINT} cannot be read: {error.strerror}.", _COPY) from error
        return open_checkpoint(data, origin, publics)

    def keep(self, name: str, data: bytes) -> None:
        """Keep a metadata file for whoever verifies the log; one that is there is the same.

        Raises:
            OSError: The file system refuses.
        """
        self.metadata.mkdir(parents=True, exist_ok=True)
        place = self.metadata / name
        if not place.exists() or place.read_bytes() != data:
            durable.write(place, data)

    def append(self, line: bytes) -> None:
        """Add an entry, durably; what a power cut left of an unfinished one goes first.

        Raises:
            OSError: The file system refuses; what is left of the entry is unfinished.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        whole = sum(len(one) + 1 for one in self.lines())
        handle = os.open(self.folder / ENTRIES, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "wb") as file:
            file.truncate(whole)
            file.seek(whole)
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        durable.sync_folder(self.folder)

    def sign(self, origin: str, signer: CryptoSigner) -> None:
        """Sign the log as it stands.

        Raises:
            OSError: The file system refuses.
        """
        lines = self.lines()
        durable.write(self.folder / CHECKPOINT, Checkpoint(origin, len(lines), merkle_root(lines)).sign(signer))


def check_prefix(found: Checkpoint, lines: Sequence[bytes]) -> None:
    """Check that the entries begin with what a checkpoint covers.

    Raises:
        PublicationError: An entry it covers is missing or other than it was.
    """
    if found.size > len(lines) or merkle_root(lines[: found.size]) != found.root:
        raise PublicationError(
            f"The publication log does not begin with the {found.size} entries that were signed.", _COPY
        )
