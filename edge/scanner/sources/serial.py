"""A hand scanner on a serial line, `serial:/dev/ttyACM0`: USB CDC, or a cable with `?baud=9600`.

Options: `baud`; `end` (`line`: CR, LF or ETX ends a code, and codes are text; `pause`: a pause does, and a code may
hold any bytes) and `pause_ms`.
"""

import errno
import importlib
import stat
import time
from pathlib import Path
from typing import Any

from edge.errors import LibraryMissing, SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources._codes import Codes, Rules
from edge.scanner.sources._options import Known, split_options
from edge.scanner.sources.base import Frame

_WAIT_S = 0.5
_READ = 4096
_BAUDS = ("9600", "1200", "2400", "4800", "19200", "38400", "57600", "115200", "230400", "460800", "921600")
_OPTIONS: Known = {"baud": _BAUDS, "end": ("line", "pause"), "pause_ms": range(20, 5001)}
_PAUSE_MS = 200
_LIST = "`ls -l /dev/serial/by-id/` lists serial scanners."


class SerialScanner:
    """An open hand scanner.

    Args:
        port: pyserial's port.
        device: Its path, for messages.
        codes: What puts its codes together.
    """

    is_live = True
    is_finished = False

    def __init__(self, port: Any, device: str, codes: Codes) -> None:
        self._port = port
        self._device = device
        self._codes = codes

    def read(self) -> Frame | None:
        """Return the next code, or a heartbeat where none came within half a second.

        Raises:
            SourceError: The scanner was unplugged.
        """
        if not self._codes.is_waiting:
            try:
                data = self._port.read(1)
                if data:
                    data += self._port.read(min(self._port.in_waiting, _READ))
            except (OSError, TypeError) as gone:  # pyserial's own error is an OSError, a closed port a TypeError
                raise _lost(self._device) from gone
            now_ns = time.monotonic_ns()
            if data:
                self._codes.feed(data, now_ns)
            else:
                self._codes.rest(now_ns)
        return self._codes.frame(time.monotonic_ns())

    def close(self) -> None:
        """Let go of the line."""
        self._port.close()


def _lost(device: str) -> SourceError:
    return SourceError(f"The scanner {device} was unplugged.", f"Plug it in. {_LIST}", cause="lost")


def _pyserial() -> Any:
    try:
        return importlib.import_module("serial")
    except ImportError as missing:
        raise LibraryMissing("pyserial is not installed.", "python3 -m pip install pyserial") from missing


def _opened(device: str, baud: int, wait_s: float) -> Any:
    try:
        if not stat.S_ISCHR(Path(device).stat().st_mode):
            raise SourceError(f"{device} is not a serial line.", _LIST, cause="missing")
    except OSError as missing:
        raise SourceError(f"There is no scanner at {device}.", f"Plug it in. {_LIST}", cause="missing") from missing
    try:
        # Exclusive: another program that reads the line would take codes away from the gate.
        return _pyserial().Serial(device, baudrate=baud, timeout=wait_s, exclusive=True)
    except (OSError, ValueError) as refused:
        if getattr(refused, "errno", None) in {errno.EACCES, errno.EPERM}:
            step = "Make it known as docs/technician.md, Hand scanners, says."
            raise SourceError(f"This user may not read the scanner {device}.", step, cause="denied") from refused
        raise SourceError(
            f"The scanner {device} does not open: another program may hold it, or it is no serial line.",
            f"sudo fuser -v {device}",
            cause="busy",
        ) from refused


def open_source(target: str, source: int, _settings: ScannerSettings) -> SerialScanner:
    """Open a hand scanner by the path of its serial line.

    Raises:
        SourceError: It is not there, not ours to use, held by another program, or an option is wrong.
        LibraryMissing: pyserial is not installed.
    """
    device, options = split_options(target, _OPTIONS)
    ends_at_pause = options.get("end") == "pause"
    pause_ms = int(options.get("pause_ms", _PAUSE_MS))
    # A pause is noticed when a read ends without a byte.
    port = _opened(device, int(options.get("baud", _BAUDS[0])), pause_ms / 1000 if ends_at_pause else _WAIT_S)
    rules = Rules(
        "serial",
        b"" if ends_at_pause else b"\r\n\x03",
        pause_ns=pause_ms * 1_000_000,
        ends_at_pause=ends_at_pause,
        is_text=not ends_at_pause,
    )
    return SerialScanner(port, device, Codes(rules, source))
