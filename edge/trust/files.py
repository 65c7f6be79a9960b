"""Target files of the store, by content: the name is the SHA-256, so no path of a publication reaches the disk."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

from tuf.api.metadata import TargetFile, Targets  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.codec import roaring
from edge.disk import durable
from edge.errors import TrustDamaged, TrustRefused
from edge.trust import hash_list, list_state, paths, status_list
from edge.trust.fields import MAX_JSON_BYTES
from edge.trust.part_files import REPAIR
from edge.trust.paths import ListFile

MAX_TARGETS: Final = 4096
MAX_LARGE_BYTES: Final = 1 << 30
"""Parts and hashes of all lists together: they stay on the disk, mapped."""
_MOST: Final[Mapping[ListFile, int]] = {
    ListFile.BASE: list_state.MAX_BASE_BYTES,
    ListFile.DELTA: list_state.MAX_DELTA_BYTES,
    ListFile.PART: roaring.MAX_BYTES,
    ListFile.HASHES: hash_list.MAX_FILE_BYTES,
}
_NAME_CHARS: Final = 64
_HEX: Final = frozenset("0123456789abcdef")


def wanted(targets: Targets) -> dict[str, TargetFile]:
    """Return what a gate needs of a publication, by target path, every size bounded.

    Raises:
        TrustRefused: A target is too long, has no SHA-256, or there are too many.
    """
    found = {path: target for path, target in targets.targets.items() if paths.is_gate_target(path)}
    if len(found) > MAX_TARGETS:
        raise TrustRefused(f"The publication has more than {MAX_TARGETS} targets.")
    large = 0
    for path, target in found.items():
        most = _most(path)
        digest = target.hashes.get("sha256", "")
        if type(target.length) is not int or target.length > most:
            raise TrustRefused(f"{path} is longer than {most} bytes.")
        if len(digest) != _NAME_CHARS or not _HEX.issuperset(digest):
            raise TrustRefused(f"{path} has no SHA-256 in the targets metadata.")
        large += target.length if paths.list_file_of(path) else 0
    if large > MAX_LARGE_BYTES:
        raise TrustRefused(f"The large lists of the publication are longer than {MAX_LARGE_BYTES} bytes together.")
    return found


def _most(path: str) -> int:
    named = paths.list_file_of(path)
    if named is not None:
        return _MOST[named[0]]
    return status_list.MAX_FILE_BYTES if paths.status_of(path) else MAX_JSON_BYTES


class TargetFiles:
    """The folder `targets/` of a store.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, target: TargetFile) -> bytes:
        """Return a target's bytes, verified.

        Raises:
            TrustDamaged: The file is missing, cut short or altered.
        """
        place = self._place(target)
        try:
            # One byte more than signed for: a grown file is met without reading all of it.
            with place.open("rb") as file:
                data = file.read(target.length + 1)
        except OSError as error:
            raise TrustDamaged(f"{place} ({target.path}) cannot be read: {error.strerror}.", REPAIR) from error
        if not is_intact(target, data):
            raise TrustDamaged(f"{place} ({target.path}) is cut short or altered.", REPAIR)
        return data

    def has(self, target: TargetFile) -> bool:
        """Whether the target is there and whole."""
        try:
            self.read(target)
        except TrustDamaged:
            return False
        return True

    def put(self, target: TargetFile, data: bytes) -> None:
        """Keep a verified target, durably.

        Raises:
            OSError: The file system refuses.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        durable.write(self._place(target), data)

    def keep_only(self, targets: Iterable[TargetFile], also: Iterable[str] = ()) -> None:
        """Remove every file that is none of `targets`.

        Args:
            targets: What stays.
            also: Names of other files that stay: what lists in parts consist of.

        Raises:
            OSError: The file system refuses.
        """
        if not self.folder.is_dir():
            return
        kept = {self._place(target).name for target in targets}.union(also)
        for file in self.folder.iterdir():
            if file.name not in kept:
                file.unlink(missing_ok=True)

    def _place(self, target: TargetFile) -> Path:
        return self.folder / target.hashes["sha256"]


def is_intact(target: TargetFile, data: bytes) -> bool:
    """Whether `data` is exactly what was signed for."""
    return len(data) == target.length and sha256(data).hexdigest() == target.hashes["sha256"]
