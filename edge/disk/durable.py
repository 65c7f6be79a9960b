"""Files that are whole or not there, also after a power cut."""

import errno
import os
import tempfile
from pathlib import Path
from typing import Final

_DEVICES: Final = "/dev"


def write(path: Path, data: bytes | bytearray, *, mode: int | None = 0o644) -> None:
    """Write `data` to `path` atomically: staged beside it, synced, renamed, and the folder synced.

    Args:
        path: The file; its folder exists.
        data: Its content.
        mode: Its permissions; the staged file never has more. None: those of the file system, where FAT knows none.

    Raises:
        OSError: The file system refuses, or `path` is in /dev; what stood there stays.
    """
    refuse_device(path)
    handle, staged = tempfile.mkstemp(dir=path.parent, prefix=".staged-")
    try:
        with os.fdopen(handle, "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(staged).replace(path)
    except BaseException:
        Path(staged).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def create(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` to a file that is not there yet, whole or not at all: of two at once, one makes it.

    Raises:
        FileExistsError: It is there; it stays as it is.
        OSError: The file system refuses.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
        staged = Path(folder) / path.name
        write(staged, data, mode=mode)
        path.hardlink_to(staged)
    sync_folder(path.parent)


def refuse_device(path: Path) -> None:
    """Refuse to put a file in the place of what stands in /dev.

    Renamed over, `/dev/null` or `/dev/stdout` would be gone for every process of the machine.

    Raises:
        OSError: `path` is in /dev, or its folder is not there.
    """
    if path.parent.samefile(_DEVICES):
        raise OSError(errno.EPERM, "nothing in /dev is replaced", str(path))


def erase(path: Path) -> None:
    """Overwrite a file, durably, and remove it; one that is not there is erased already.

    Worn flash may keep an old copy of the blocks: only destroying the card is surer.

    Raises:
        OSError: The file system refuses.
    """
    try:
        with path.open("r+b") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            file.write(bytes(size))
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    path.unlink()
    sync_folder(path.parent)


def sync(path: Path) -> None:
    """Make the content of a file that somebody else wrote durable.

    Raises:
        OSError: The file system refuses.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable.

    Raises:
        OSError: The file system refuses.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_staged(folder: Path) -> None:
    """Remove what a power cut left half-written in `folder`; call it only while nobody else writes there.

    Raises:
        OSError: The file system refuses.
    """
    for left in folder.glob(".staged-*"):
        left.unlink(missing_ok=True)
