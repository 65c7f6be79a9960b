"""Large files of a store by their SHA-256, mapped instead of read, hashed once and then known by their seal.

Hashing 125 MB at every start would cost a gate a second each time. So whoever has hashed a file notes its *seal*: size,
inode and both times of the file system. A file whose seal still stands has not been written to by anyone who went
through the file system, because the change time cannot be set; it is named by its hash and never written in place. What
a seal cannot see is a cell of the card that rots; therefore a refresh hashes everything again once a day, and a file
that no longer is its name is fetched anew. Seals stand in the store's database with the view.
"""

import mmap
import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edge.codec.roaring import Bitmap
from edge.disk import durable
from edge.errors import EncodingRefused, ListRefused, TrustDamaged, TrustError

Seal = tuple[int, int, int, int]
"""Size, inode, modification and change time (nanoseconds)."""
NO_SEALS: Final[Mapping[str, Seal]] = MappingProxyType({})
_CHUNK: Final = 1 << 20
_MAPPED_FROM: Final = 64 << 10
"""A smaller file is read: a mapping costs a file handle and a page."""
REPAIR: Final = "Refresh it from the authority or a stick: edge trust refresh --from ADDRESS. Nothing else is lost."


class PartFiles:
    """The large files in a folder; the `Parts` of `edge.trust.list_state`.

    Args:
        folder: Where they are.
        seals: Seal by SHA-256 (hexadecimal) of what was hashed before.
    """

    def __init__(self, folder: Path, seals: Mapping[str, Seal] = NO_SEALS) -> None:
        self._folder = folder
        self._seals = dict(seals)

    def data(self, digest: bytes) -> bytes | memoryview:
        """Return a file's bytes, verified; mapped where they are many.

        Raises:
            TrustDamaged: It is missing, cut short or altered.
        """
        place = self._folder / digest.hex()
        try:
            with place.open("rb") as file:
                self._verify(file.fileno(), digest.hex())
                if os.fstat(file.fileno()).st_size < _MAPPED_FROM:
                    return file.read()
                return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError) as error:
            raise TrustDamaged(f"{place} cannot be read.", REPAIR) from error

    def bitmap(self, digest: bytes) -> Bitmap:
        """Return a part of a status list.

        Raises:
            TrustDamaged: It is missing, cut short or altered.
            ListRefused: It is what was signed for, and no bitmap.
        """
        try:
            return Bitmap(self.data(digest))
        except EncodingRefused as error:
            raise ListRefused(f"A part of a list, {digest.hex()}: {error.message}.") from error

    def is_whole(self, digest: bytes) -> bool:
        """Whether a file is there and verifies."""
        try:
            self.data(digest)
        except TrustDamaged:
            return False
        return True

    def keep(self, data: bytes | bytearray) -> bytes:
        """Keep a file, durably, and return its SHA-256.

        Raises:
            TrustError: The file system refuses.
        """
        digest = sha256(data).digest()
        if self.is_whole(digest):
            return digest
        place = self._folder / digest.hex()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            durable.write(place, data)
            self._seals[place.name] = _seal(place.stat())
        except OSError as error:
            raise TrustError(f"{place} cannot be kept: {error.strerror}.", "Check free space and the disk.") from error
        return digest

    def seals(self, digests: Iterable[bytes]) -> dict[str, Seal]:
        """Return the seals of those files that were verified through this object or by whoever gave it its seals."""
        return {digest.hex(): self._seals[digest.hex()] for digest in digests if digest.hex() in self._seals}

    def _verify(self, handle: int, name: str) -> None:
        seal = _seal(os.fstat(handle))
        if self._seals.get(name) == seal:
            return
        hasher = sha256()
        for start in range(0, seal[0], _CHUNK):
            hasher.update(os.pread(handle, _CHUNK, start))
        if hasher.hexdigest() != name:
            raise TrustDamaged(f"{self._folder / name} is cut short or altered.", REPAIR)
        self._seals[name] = seal


def _seal(found: os.stat_result) -> Seal:
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns
