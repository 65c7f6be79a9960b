"""File systems in a file behind a loop device, for rigs that cut the power of a disk; they need root."""

import mmap
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20
BLOCK = 4096


def can_mount() -> bool:
    """Whether this user can make, attach and mount a file system."""
    tools = ("mkfs.ext4", "losetup", "mount", "umount")
    return os.geteuid() == 0 and Path("/dev/loop-control").exists() and all(map(shutil.which, tools))


def make_ext4(path: Path, size: int, *, file_system: int | None = None) -> None:
    """Make a file of `size` bytes that holds an ext4, over its first `file_system` bytes or the whole."""
    with path.open("wb") as file:
        file.truncate(size)
    blocks = (file_system or size) // BLOCK
    # Nothing left for a kernel thread to write later on.
    options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    _run("mkfs.ext4", "-q", "-F", "-b", str(BLOCK), "-E", options, str(path), str(blocks))


@contextmanager
def attached(path: Path, *, is_direct: bool = False) -> Iterator[str]:
    """Give the loop device of a file; `is_direct` keeps the file out of the page cache, as a disk is."""
    device = _run("losetup", "--find", "--show", f"--direct-io={'on' if is_direct else 'off'}", str(path)).strip()
    try:
        yield device
    finally:
        _run("losetup", "--detach", device)


@contextmanager
def mounted(path: Path, folder: Path, *, is_direct: bool = False, options: str = "rw") -> Iterator[Path]:
    """Mount the file system in a file for a while and give the folder; its journal is replayed."""
    folder.mkdir(exist_ok=True)
    with attached(path, is_direct=is_direct) as device:
        _run("mount", "-t", "ext4", "-o", options, device, str(folder))
        try:
            yield folder
        finally:
            _run("umount", str(folder))


def below_the_cache(path: Path) -> bytes:
    """Return what a file's disk holds, read past the page cache."""
    size = path.stat().st_size
    with mmap.mmap(-1, size) as held:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECT)
        try:
            if os.readv(handle, [held]) != size:
                raise OSError(f"{path} was not read whole")
        finally:
            os.close(handle)
        return held[:]


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
