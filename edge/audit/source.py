"""Bytes that can be read at any offset: a file, a disk, or what came out of something compressed."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, Protocol, Self

_IN_MEMORY: Final = 16 << 20


class Source(Protocol):
    """Something to read."""

    size: int

    def read(self, offset: int, count: int) -> bytes:
        """Return so many bytes, fewer at the end.

        Raises:
            OSError: It cannot be read.
        """


class Held:
    """Bytes in memory.

    Args:
        data: They.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, count: int) -> bytes:
        """See `Source`."""
        return self._data[offset : offset + count]


class OnDisk:
    """A file or a block device, opened for reading and never changed; close it.

    Args:
        path: It.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        # The size of a device stands nowhere but at its end.
        self.size = os.lseek(self._descriptor, 0, os.SEEK_END)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, count: int) -> bytes:
        """See `Source`."""
        pieces = []
        while count > 0 and (piece := os.pread(self._descriptor, count, offset)):
            pieces.append(piece)
            offset += len(piece)
            count -= len(piece)
        return b"".join(pieces)


class Spooled:
    """What comes out of something compressed: in memory, from 16 MiB on in a file without a name; close it.

    Args:
        pieces: It, piece by piece.
        most: Bytes that are taken at most.
    """

    def __init__(self, pieces: Iterator[bytes], most: int) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self.size = 0
        self.is_whole = True
        try:
            for piece in pieces:
                if self.size + len(piece) > most:
                    self.is_whole = False
                    break
                self._file.write(piece)
                self.size += len(piece)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, offset: int, count: int) -> bytes:
        """See `Source`."""
        self._file.seek(offset)
        return self._file.read(max(0, count))
