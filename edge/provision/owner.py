"""Whose files the state folder holds: what root makes there must belong to the gate's user, or no part can read it.

A technician types `sudo edge provision ...` as often as `sudo -u edge edge provision ...`; both must end the same.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge.errors import EnrolmentError

_MODE: Final = 0o700


@contextmanager
def writing(folder: Path, *names: str) -> Iterator[None]:
    """Make `folder` where it is missing, find out that it can be written, and hand over what root made in it.

    Args:
        folder: The state folder, or another that belongs to the gate's user.
        names: What is written there: files, folders with all they hold, or patterns of them.

    Raises:
        EnrolmentError: This user may not write there; the sentence names the one who may.
    """
    try:
        folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise EnrolmentError(f"{folder} cannot be made: {error.strerror}.", "Run it with sudo.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise EnrolmentError(f"{folder} cannot be written by this user.", _who(folder))
    try:
        yield
    finally:
        hand_over(folder, *names)


def hand_over(folder: Path, *names: str) -> None:
    """Give to the folder's owner what root made in it; nothing where another user runs this.

    Args:
        folder: The folder.
        names: What was written there: files, folders with all they hold, or patterns of them.
    """
    if os.geteuid() != 0:
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        owner = os.fstat(handle)
        if owner.st_uid != 0:
            for path in [found for name in names for found in folder.glob(name)]:
                _give(path.name, handle, owner)
    finally:
        os.close(handle)


def _give(name: str, folder: int, owner: os.stat_result) -> None:
    # By descriptors and never through a link: the folder's owner may have put one there, to be given what it leads to.
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        # A link, a socket, or gone meanwhile: nothing of ours to give.
        return
    try:
        found = os.fstat(handle)
        is_folder = stat.S_ISDIR(found.st_mode)
        if found.st_uid == 0 and (is_folder or found.st_nlink == 1):
            os.fchown(handle, owner.st_uid, owner.st_gid)
        for inner in os.listdir(handle) if is_folder else ():  # noqa: PTH208  # a descriptor, not a path
            _give(inner, handle, owner)
    finally:
        os.close(handle)


def _who(folder: Path) -> str:
    with suppress(KeyError, OSError):
        return f"Run it as the gate's user: sudo -u {folder.owner()} edge ..., or with sudo."
    return "Run it with sudo."
