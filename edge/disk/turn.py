"""One writer at a time: a file that whoever is at work holds, and that the next one finds held.

Unlike the record locks of `edge.disk.lockfile` the lock is the open file's own: two threads of one process keep each
other out, too, and a child that inherits the file holds it. What is said to whom it refuses is left to the callers.
"""

import fcntl
from pathlib import Path
from typing import IO


def take(path: Path) -> IO[bytes]:
    """Return the open lock file; closing it, or the end of the process, lets go. Does not wait.

    Args:
        path: The file, made where it is missing; beside what it guards where that is replaced as a whole.

    Raises:
        BlockingIOError: Somebody else holds it.
        OSError: It cannot be made or opened.
    """
    held = path.open("wb")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        held.close()
        raise
    return held
