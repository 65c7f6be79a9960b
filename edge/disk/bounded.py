"""Files that a person or a configuration names, read within bounds: a name may lead to a device that never ends."""

import errno
import os
from pathlib import Path


def read(path: Path, most: int) -> bytes:
    """Return the content of a file of at most `most` bytes.

    Raises:
        OSError: It cannot be read, or is longer (`EFBIG`).
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data
