"""A file whose locks say which process is at work here; the kernel lets go of them when that process ends, however.

Record locks: they are not inherited, so a child that outlives its parent keeps nobody out, and the kernel knows whose
they are. Their price is that closing any descriptor of the file lets go of all of them: a process opens such a file
once. What a lock means, and what is said to whom it refuses, is left to the callers.
"""

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

_MODE: Final = 0o600
_FLOCK: Final = struct.Struct("hhqqi")
"""struct flock of fcntl(2) on 64-bit Linux: type, whence, start, length, process."""


class LockFile:
    """An open lock file; each of its places is a lock of its own.

    Args:
        path: The file; made where it is missing.

    Raises:
        OSError: It cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)

    def is_at(self, path: Path) -> bool:
        """Whether the file that a path names now is the one that was opened.

        Raises:
            OSError: It cannot be told.
        """
        try:
            return os.path.samestat(path.stat(), os.fstat(self._handle))
        except FileNotFoundError:
            return False

    def take(self, place: int = 0) -> bool:
        """Take a place until `close` or the end of this process, and return whether it is ours; does not wait.

        Raises:
            OSError: The file system keeps no locks.
        """
        try:
            fcntl.lockf(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError as refused:
            if refused.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise
        return True

    def holder(self, place: int = 0) -> int | None:
        """Return the process that keeps a place from us, 0 where it cannot be seen from here, None where none does."""
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
        kind, _, _, _, process = _FLOCK.unpack(fcntl.fcntl(self._handle, fcntl.F_GETLK, asked))
        return None if kind == fcntl.F_UNLCK else process

    def close(self) -> None:
        """Let go of every place. A second call does nothing."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
