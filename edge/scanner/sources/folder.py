"""A watched folder of pictures, `folder:DIR`: every picture once, in the order of their names, new ones as they come.

The folder is looked through again and again; nothing is ever written there. A picture counts as new while its name,
size or time of change is, and is read once two looks in a row found it the same, so that one that is still being
written is waited for. A folder that goes away (a stick is pulled out) and comes back goes on where it was.
"""

import errno
import os
import re
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources.base import MAX_ENCODED_BYTES, Frame

SUFFIXES = frozenset({".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

LOOK_S: Final = 0.5
"""Between two looks at the least: a picture is read at the latest a second after it was written."""

MAX_PICTURES: Final = 50_000
"""Pictures of one folder that are kept in mind; more take more memory than a small gate has."""

_SHARE: Final = 20
"""A look that takes long (many files, a slow stick) is paused after for so many times its own length."""

_FOREVER: Final = frozenset((errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG))
"""What is wrong with the one file; any other fault may be the stick's, and is no reason to give the picture up."""


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts `frame2` before `frame10`."""
    parts = re.split(r"(\d{1,18})", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


@dataclass(slots=True)
class _Known:
    """A picture as the last look found it."""

    mark: tuple[int, int]
    home: tuple[int, int]
    is_read: bool = False


class Folder:
    """An open folder.

    Args:
        path: The folder.
        source: Number of the source.
        clock: Monotonic seconds.

    Raises:
        SourceError: The folder cannot be read.
    """

    is_live = False
    is_finished = False

    def __init__(self, path: Path, source: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._source = source
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._waiting: deque[str] = deque()
        self._look_at = float("-inf")
        self._look()

    def read(self) -> Frame | None:
        """Return the next picture, None while there is none; does not wait.

        Raises:
            SourceError: The folder cannot be read now, or (`not_a_picture`) the next file in it never will be.
        """
        if not self._waiting and self._clock() >= self._look_at:
            self._look()
        while self._waiting:
            name = self._waiting.popleft()
            data = self._content(name)
            if data is not None:
                return Frame(time.monotonic_ns(), self._source, encoded=data, is_still=True, name=name)
        return None

    def close(self) -> None:
        """Deliver nothing more."""
        self._waiting.clear()
        self._look_at = float("inf")

    def _look(self) -> None:
        """Find what is new, and what the last look found new and this one finds the same.

        Raises:
            SourceError: The folder cannot be read, or holds too many pictures.
        """
        began = self._clock()
        try:
            here = self._path.stat()
            home = (here.st_dev, here.st_ino)
            found = self._found()
        except OSError as lost:
            raise SourceError(
                f"The folder {self._path} cannot be read: {lost.strerror}.",
                "Put it there (a stick, a share), or correct `sources` in gate.toml.",
                cause="no_file",
            ) from lost
        ready = [name for name, mark in found.items() if self._is_ready(name, mark, home)]
        self._waiting.extend(sorted(ready, key=natural))
        self._forget(found, home)
        ended = self._clock()
        self._look_at = ended + max(LOOK_S, _SHARE * (ended - began))

    def _found(self) -> dict[str, tuple[int, int]]:
        """Return name and size and time of change of everything that is called like a picture."""
        found: dict[str, tuple[int, int]] = {}
        with os.scandir(self._path) as entries:
            for entry in entries:
                # What begins with a dot is a program's: half a copy, or what a Mac leaves on a stick.
                if entry.name.startswith(".") or os.path.splitext(entry.name)[1].lower() not in SUFFIXES:  # noqa: PTH122
                    continue
                found[entry.name] = _mark(entry)
                if len(found) > MAX_PICTURES:
                    raise SourceError(
                        f"The folder {self._path} holds more than {MAX_PICTURES} pictures.",
                        "Name several folders in `sources`, or put fewer pictures there.",
                        cause="no_file",
                    )
        return found

    def _is_ready(self, name: str, mark: tuple[int, int], home: tuple[int, int]) -> bool:
        known = self._known.get(name)
        if known is None or known.mark != mark:
            self._known[name] = _Known(mark, home)
            return False
        known.home = home
        is_ready = not known.is_read
        known.is_read = True
        return is_ready

    def _forget(self, found: dict[str, tuple[int, int]], home: tuple[int, int]) -> None:
        # Only what went from this very folder: an empty mount point is not the stick without its pictures.
        gone = [name for name, known in self._known.items() if name not in found and known.home == home]
        if len(self._known) - len(gone) > 2 * MAX_PICTURES:
            gone = [name for name in self._known if name not in found]
        for name in gone:
            del self._known[name]

    def _content(self, name: str) -> bytes | None:
        """Return the bytes of a picture, None where it is gone.

        Raises:
            SourceError: It cannot be read: `not_a_picture` where it never will, `no_file` where it may later.
        """
        try:
            return _bytes_of(self._path / name)
        except FileNotFoundError:
            # Looked at anew, should it come back.
            self._known.pop(name, None)
            return None
        except OSError as fault:
            if fault.errno in _FOREVER:
                raise _refused(name, fault.strerror or "no reason given") from fault
            self._known.pop(name, None)
            raise SourceError(
                f"{self._path / name} cannot be read: {fault.strerror}.",
                "Look at the stick or disk: dmesg | tail",
                cause="no_file",
            ) from fault


def _mark(entry: "os.DirEntry[str]") -> tuple[int, int]:
    try:
        found = entry.stat()
    except OSError:
        # A link into nowhere or to itself: what is wrong with it is said when it is read.
        return -1, 0
    return found.st_size, found.st_mtime_ns


def _bytes_of(path: Path) -> bytes:
    """Return the content of a picture file.

    Raises:
        OSError: It cannot be read.
        SourceError: It is no file, empty, or larger than any picture that is read.
    """
    # Without blocking: a pipe would hold the source for ever.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _refused(path.name, "it is no file")
        if not 0 < found.st_size <= MAX_ENCODED_BYTES:
            raise _refused(path.name, "it is empty" if found.st_size == 0 else "it is larger than 64 MiB")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_ENCODED_BYTES)
    finally:
        os.close(handle)


def _refused(name: str, why: str) -> SourceError:
    return SourceError(f"{name} cannot be read: {why}.", "Put a picture there.", cause="not_a_picture")


def open_source(target: str, source: int, _settings: ScannerSettings) -> Folder:
    """Open a folder of pictures; it may still be empty.

    Raises:
        SourceError: It cannot be read.
    """
    return Folder(Path(target), source)
