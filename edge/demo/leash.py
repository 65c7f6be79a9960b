"""A small process that outlives the demo just long enough to clear up after it, whatever ended it.

It holds the reading end of a pipe whose writing end only the demo has. Lines name what is to go: `+GROUP` a process
group that was started, `-GROUP` one that ended, `=FOLDER` a folder to remove. When the pipe closes (the demo said so,
crashed, or was killed) it ends the groups that are left and removes the folders.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from typing import Final, TextIO

_GRACE_S: Final = 6.0
"""A gate's supervisor gives its parts five seconds."""


def hold(lines: TextIO) -> None:
    """Read lines until the pipe closes, then clear up."""
    groups: set[int] = set()
    folders: list[str] = []
    for line in lines:
        kind, rest = line[:1], line[1:].rstrip("\n")
        if kind == "+":
            groups.add(int(rest))
        elif kind == "-":
            groups.discard(int(rest))
        elif kind == "=":
            folders.append(rest)
    end(groups)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def end(groups: set[int], grace_s: float = _GRACE_S) -> None:
    """End process groups: asked first, killed where they stay."""
    for group in groups:
        _signal(group, signal.SIGTERM)
    until = time.monotonic() + grace_s
    left = groups
    while left and time.monotonic() < until:
        left = {group for group in left if _signal(group, 0)}
        time.sleep(0.05)
    for group in left:
        _signal(group, signal.SIGKILL)


def _signal(group: int, number: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


if __name__ == "__main__":
    # Ctrl-C is for the demo; this process ends with its pipe.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    hold(sys.stdin)
