"""A folder of pictures, `folder:DIR`: every picture once, in the order of their names."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from edge.errors import SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources.base import MAX_ENCODED_BYTES, Frame

SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts `frame2` before `frame10`."""
    parts = re.split(r"(\d{1,18})", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


class Folder:
    """An open folder.

    Args:
        pictures: Files still to come.
        source: Number of the source.
    """

    is_live = False

    def __init__(self, pictures: Iterator[Path], source: int) -> None:
        self._pictures = pictures
        self._source = source
        self.is_finished = False

    def read(self) -> Frame | None:
        """Return the next picture, None after the last; does not wait.

        Raises:
            SourceError: A picture cannot be read.
        """
        path = next(self._pictures, None)
        if path is None:
            self.is_finished = True
            return None
        try:
            with path.open("rb") as file:
                data = file.read(MAX_ENCODED_BYTES + 1)
        except OSError as broken:
            raise SourceError(f"{path} cannot be read: {broken.strerror}.", f"ls -l {path}", cause="lost") from broken
        return Frame(time.monotonic_ns(), self._source, encoded=data, is_still=True)

    def close(self) -> None:
        """Deliver nothing more."""
        self._pictures = iter(())


def open_source(target: str, source: int, _settings: ScannerSettings) -> Folder:
    """Open a folder of pictures.

    Raises:
        SourceError: It is not there or holds no picture.
    """
    folder = Path(target)
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    except OSError as missing:
        raise SourceError(
            f"The folder {folder} cannot be read: {missing.strerror}.", "Check `sources` in gate.toml.", cause="missing"
        ) from missing
    if not found:
        kinds = ", ".join(sorted(SUFFIXES))
        raise SourceError(f"There is no picture in {folder}.", f"Pictures end in {kinds}.", cause="missing")
    return Folder(iter(sorted(found, key=lambda path: natural(path.name))), source)
