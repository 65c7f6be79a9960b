"""Who gives a command at the hub's machine: the user who logged in, whatever he became afterwards."""

import os
import pwd
from pathlib import Path
from typing import Final

_LOGGED_IN: Final = Path("/proc/self/loginuid")
_NOBODY: Final = (1 << 32) - 1


def name() -> str:
    """Return the user's name, with the one the command runs as where that is another: `anna as edge-hub`.

    The kernel keeps who logged in (loginuid, set by pam_loginuid) through su and sudo; where nobody did, as in a
    service or a container, only the user the command runs as is known.
    """
    runs_as = _named(os.geteuid())
    try:
        logged_in = int(_LOGGED_IN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        logged_in = _NOBODY
    person = runs_as if logged_in == _NOBODY else _named(logged_in)
    return person if person == runs_as else f"{person} as {runs_as}"


def _named(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
