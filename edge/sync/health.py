"""How the gate is, in the few numbers that its heartbeat carries: nothing personal, nothing that needs a permission."""

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.errors import EncodingRefused, LedgerError
from edge.ledger import facts
from edge.model.scan import Entry, EntryType
from edge.scanlog.reader import ScanLogReader

_THERMAL: Final = Path("/sys/class/thermal")
_NEWEST: Final = 200
_MB: Final = 1_000_000
_MILLI: Final = 1000
_SHARE: Final = 0.95


def health_of(state: Path, log: ScanLogReader, *, thermal: Path = _THERMAL) -> dict[str, int | str]:
    """Return what can be found out now; what cannot is left out.

    Args:
        state: The gate's state folder.
        log: The scan log.
        thermal: Where the kernel shows temperatures.

    Returns:
        `disk_free_mb`; `temperature_c`, the hottest; `verdict_p95_ms`, frame taken to verdict, over the newest entries.
    """
    found: dict[str, int | str] = {}
    with suppress(OSError):
        disk = os.statvfs(state)
        found["disk_free_mb"] = disk.f_bavail * disk.f_frsize // _MB
    hottest = _hottest(thermal)
    if hottest is not None:
        found["temperature_c"] = hottest
    with suppress(LedgerError):
        taken = sorted(_durations(log.latest(_NEWEST)))
        if taken:
            found["verdict_p95_ms"] = taken[math.ceil(_SHARE * len(taken)) - 1]
    return found


def _hottest(thermal: Path) -> int | None:
    degrees = []
    for zone in thermal.glob("thermal_zone*/temp"):
        # A sensor that is switched off answers with an error, or nonsense.
        with suppress(OSError, ValueError):
            degrees.append(int(zone.read_text(encoding="ascii")) // _MILLI)
    return max(degrees, default=None)


def _durations(entries: Iterable[Entry]) -> Iterable[int]:
    for entry in entries:
        with suppress(EncodingRefused):
            found = facts.decode(entry.body)
            if found.type is EntryType.SCAN and found.duration_ms:
                yield found.duration_ms
