"""One gate a state folder: whoever starts there claims it first, before a camera, port or database is touched.

`gate.lock` has a place for the gate as a whole (`edge gate run`) and one for each part (`--part`, as systemd starts
them), so that three parts share a folder and no part runs twice, whatever the configuration files are called. Under a
gate that runs whole no part is started beside it, also not while one of its own is between two starts.
"""

import errno
import logging
import os
import time
from pathlib import Path
from typing import Final

from edge.disk.lockfile import LockFile
from edge.errors import EnrolmentError, FolderInUse

FILE: Final = "gate.lock"
PARTS: Final = ("scanner", "web", "sync")
_WHOLE: Final = 0
_PLACES: Final = {name: place for place, name in enumerate(PARTS, 1)}
_ENDING_S: Final = 5.0
"""Parts that a killed supervisor left behind end within this time."""
_LOOK_S: Final = 0.1
_NO_ROOM: Final = frozenset((errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO))

_LOG: Final = logging.getLogger(__name__)


def claim_whole(state: Path) -> LockFile | None:
    """Claim a state folder for a gate that runs whole; parts of a gate that is just ending are waited for.

    Args:
        state: The state folder; made where it is missing.

    Returns:
        What holds the folder until this process ends, or None where nothing can be written there: then there is nothing
        to guard, and the parts say what is wrong with the disk.

    Raises:
        FolderInUse: A gate is at work there, whole or in parts.
        EnrolmentError: The folder is not this user's.
    """
    lock = _opened(state)
    if lock is None:
        return None
    if not lock.take(_WHOLE):
        raise _refusal(state, "A gate runs", lock, _WHOLE)
    until = time.monotonic() + _ENDING_S
    for name, place in _PLACES.items():
        while lock.holder(place) is not None:
            if time.monotonic() >= until:
                raise _refusal(state, f"The {name} part of a gate runs", lock, place)
            time.sleep(_LOOK_S)
    return lock


def claim_part(state: Path, name: str) -> LockFile | None:
    """Claim a state folder for one part of a gate; does not wait, for whoever starts parts starts them again.

    Args:
        state: The state folder; made where it is missing.
        name: Which part.

    Returns:
        As `claim_whole`.

    Raises:
        FolderInUse: The same part is at work there, or a gate that runs whole and did not start this one.
        EnrolmentError: The folder is not this user's.
    """
    lock = _opened(state)
    if lock is None:
        return None
    if not lock.take(_PLACES[name]):
        raise _refusal(state, f"The {name} part of a gate runs", lock, _PLACES[name])
    # Claimed before this look, as the whole gate claims before it looks at the parts: of two at once, one sees it.
    if lock.holder(_WHOLE) not in {None, os.getppid()}:
        raise _refusal(state, "A gate runs", lock, _WHOLE)
    return lock


def make_state_folder(state: Path) -> None:
    """Make the gate's state folder, for its own user only.

    Raises:
        EnrolmentError: It cannot be made or written.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EnrolmentError(
            f"The state folder {state} cannot be made: {error.strerror}.",
            "Run as the gate's user (edge), or set state = ... in gate.toml.",
        ) from error


def _opened(state: Path) -> LockFile | None:
    make_state_folder(state)
    try:
        return LockFile(state / FILE)
    except OSError as error:
        if error.errno in _NO_ROOM:
            _LOG.warning("%s cannot be written (%s): a second gate there would not be noticed.", state, error.strerror)
            return None
        raise EnrolmentError(
            f"{state / FILE} cannot be written: {error.strerror}.",
            f"Run as the gate's user (edge), or: sudo chown --reference={state} {state / FILE}",
        ) from error


def _refusal(state: Path, what: str, lock: LockFile, place: int) -> FolderInUse:
    process = lock.holder(place)
    lock.close()
    named, stop = (f" (process {process})", f"kill {process}, or ") if process else ("", "")
    return FolderInUse(
        f"{what} on {state} already{named}.",
        f"Stop it first ({stop}sudo systemctl stop edge-gate.target where it runs as services), "
        "or give this gate a folder of its own: state = ... in gate.toml.",
    )
