"""An issuer's list in parts, in memory: it changes, and says which target files it would be published as."""

from array import array
from collections.abc import Iterable
from hashlib import sha256

from edge.codec.roaring import Bitmap
from edge.errors import TrustDamaged
from edge.model.trust import Status
from edge.trust import list_state, paths
from edge.trust.list_state import ListDelta, ListState


class MemoryParts:
    """Part files in a dictionary."""

    def __init__(self) -> None:
        self.files: dict[bytes, bytes] = {}

    def bitmap(self, digest: bytes) -> Bitmap:
        """Return a part."""
        if digest not in self.files:
            raise TrustDamaged("no such part")
        return Bitmap(self.files[digest])

    def keep(self, data: bytes | bytearray) -> bytes:
        """Keep a part."""
        digest = sha256(data).digest()
        self.files[digest] = bytes(data)
        return digest


class ListAuthor:
    """List `number` of an issuer. Flip entries with `change`, publish `files`."""

    def __init__(self, size: int = 1 << 20, issuer: str = "44", number: int = 2, *, issued: int = 0) -> None:
        self.place = issuer, number
        self.issued = issued or size
        self.parts = MemoryParts()
        self.state = list_state.new_state(paths.status_uri(*self.place), size)
        self.base = self.state
        self.deltas: dict[int, bytes] = {}

    def change(self, invalid: Iterable[int] = (), suspended: Iterable[int] = ()) -> ListDelta:
        """Flip entries and note the delta."""
        flips = {Status.INVALID: array("I", sorted(invalid)), Status.SUSPENDED: array("I", sorted(suspended))}
        after = list_state.changed(self.state, flips, self.issued, self.parts)
        delta = ListDelta(self.state.uri, after.sequence, self.state.digest, after.digest, self.issued, flips)
        self.deltas[after.sequence] = delta.encode()
        self.state = after
        return delta

    def rebase(self) -> ListState:
        """Make the state of now the base."""
        self.base = self.state
        return self.base

    def files(self) -> dict[str, bytes]:
        """Return the target files: base, its parts, and every delta there is."""
        found = {paths.base_path(*self.place): self.base.encode()}
        for plane in list_state.PLANES:
            for span, digest in enumerate(self.base.parts[plane]):
                if digest:
                    found[paths.part_path(*self.place, plane.name.lower(), span)] = self.parts.files[digest]
        return found | {paths.delta_path(*self.place, number): data for number, data in self.deltas.items()}
