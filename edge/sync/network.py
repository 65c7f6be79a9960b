"""Which ways out this machine has: carriers and default routes, as the kernel shows them in files.

Only a change of it matters: it is the moment to ask the hub at once, instead of at the end of a wait.
"""

from pathlib import Path
from typing import Final

_INTERFACES: Final = Path("/sys/class/net")
_ROUTES: Final = Path("/proc/net/route")
_LOOPBACK: Final = "lo"
_CARRIER: Final = "carrier "
_CARRYING: Final = frozenset(("up", "unknown"))
_ANYWHERE: Final = "00000000"
_MAX_BYTES: Final = 64 << 10


def ways_out(interfaces: Path = _INTERFACES, routes: Path = _ROUTES) -> frozenset[str]:
    """Return a word for each interface with a carrier and each default route; empty where the kernel shows none."""
    return frozenset([*_carriers(interfaces), *_default_routes(routes)])


def is_cut_off(ways: frozenset[str]) -> bool:
    """Whether no interface has a carrier: then nobody but this machine itself can answer."""
    return not any(way.startswith(_CARRIER) for way in ways)


def _carriers(interfaces: Path) -> list[str]:
    try:
        names = [interface.name for interface in interfaces.iterdir() if interface.name != _LOOPBACK]
    except OSError:
        # Not Linux, or hidden by the unit: the back-off's bound holds without it.
        return []
    return [f"{_CARRIER}{name}" for name in names if _read(interfaces / name / "operstate").strip() in _CARRYING]


def _default_routes(routes: Path) -> list[str]:
    rows = [line.split() for line in _read(routes).splitlines()[1:]]
    return [f"route {row[0]} {row[2]}" for row in rows if len(row) > 2 and row[1] == _ANYWHERE]  # noqa: PLR2004


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii", errors="replace") as file:
            return file.read(_MAX_BYTES)
    except OSError:
        # An interface that went away while we looked.
        return ""
