"""A hand scanner that plays a keyboard, `hid:/dev/input/by-id/...`, read from the kernel and from nowhere else.

The device is grabbed: while the gate reads it no key of it reaches the page, a terminal or anybody else. Events are
read as the kernel gives them, so neither a keyboard layout nor a desktop is in between. Options: `layout` (as the
scanner is set up), `end` (`line`: Enter or Tab ends a code; `pause`: a pause does) and `pause_ms`.
"""

import errno
import fcntl
import os
import select
import struct
import time
from pathlib import Path
from typing import Final

from edge.errors import SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources._codes import Codes, Rules
from edge.scanner.sources._keys import LAYOUTS, SPOILT, Keys
from edge.scanner.sources._options import Known, split_options
from edge.scanner.sources.base import Frame

WAIT_S = 0.5
_EVENT: Final = struct.Struct("@llHHi")
"""struct input_event of a 64-bit kernel: seconds, microseconds, type, code, value (linux/input.h)."""

_EVENTS = 64
_EV_SYN, _EV_KEY = 0, 1
_SYN_DROPPED = 3
_RELEASED, _PRESSED = 0, 1

# linux/input.h: EVIOCGVERSION is _IOR('E', 1, int), EVIOCGRAB _IOW('E', 0x90, int), EVIOCSCLOCKID _IOW('E', 0xa0, int).
_EVIOCGVERSION: Final = 0x80044501
_EVIOCGRAB: Final = 0x40044590
_EVIOCSCLOCKID: Final = 0x400445A0

_LATE_NS = 10_000_000_000
_OPTIONS: Known = {"layout": tuple(LAYOUTS), "end": ("line", "pause"), "pause_ms": range(20, 5001)}
_PAUSE_MS = 300
_LIST = "`ls -l /dev/input/by-id/` lists them; scanners end in -event-kbd."

ioctl = fcntl.ioctl
"""The seam of the tests: a pipe has no grab."""


class KeyboardScanner:
    """An open hand scanner.

    Args:
        file: File number of its events, not blocking.
        device: Its path, for messages.
        codes: What puts its codes together.
        keys: What its keys mean.
    """

    is_live = True
    is_finished = False

    def __init__(self, file: int, device: Path, codes: Codes, keys: Keys) -> None:
        self._file = file
        self._device = device
        self._codes = codes
        self._keys = keys
        self._rest = b""
        self._is_closed = False

    def read(self) -> Frame | None:
        """Return the next code, or a heartbeat where none came within half a second.

        Raises:
            SourceError: The scanner was unplugged.
        """
        if not self._codes.is_waiting:
            try:
                self._take()
            except OSError as gone:
                raise SourceError(
                    f"The scanner {self._device} was unplugged.", f"Plug it in. {_LIST}", cause="lost"
                ) from gone
        return self._codes.frame(time.monotonic_ns())

    def _take(self) -> None:
        """Read the events that are there.

        Raises:
            OSError: The device is gone.
        """
        ready = select.select([self._file], [], [], WAIT_S)[0]
        now_ns = time.monotonic_ns()
        if not ready:
            self._codes.rest(now_ns)
            return
        data = self._rest + os.read(self._file, _EVENT.size * _EVENTS)
        if data == self._rest:
            raise OSError(errno.ENODEV, "no more events")
        whole = len(data) - len(data) % _EVENT.size
        self._rest = data[whole:]
        for seconds, micros, kind, code, value in _EVENT.iter_unpack(data[:whole]):
            at_ns = seconds * 1_000_000_000 + micros * 1_000
            # The kernel's moment is when the key went down; one that cannot be so is not believed.
            self._event(kind, code, value, at_ns if 0 <= now_ns - at_ns < _LATE_NS else now_ns)

    def _event(self, kind: int, code: int, value: int, now_ns: int) -> None:
        if kind == _EV_SYN and code == _SYN_DROPPED:
            # The kernel's buffer ran over: modifiers may be down that we take for up.
            self._keys.forget()
            self._codes.spoil(now_ns)
        if kind != _EV_KEY:
            return
        given: bytes | None = b""
        if value == _PRESSED:
            given = self._keys.press(code)
        elif value == _RELEASED:
            given = self._keys.release(code)
        if given is SPOILT:
            self._codes.spoil(now_ns)
        elif given:
            self._codes.feed(given, now_ns)

    def close(self) -> None:
        """Let go of the device; its keys are everybody's again."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self._file)


def _open(device: Path) -> int:
    try:
        file = os.open(device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError as denied:
        step = "Make it known as docs/technician.md, Hand scanners, says."
        raise SourceError(f"This user may not read the scanner {device}.", step, cause="denied") from denied
    except OSError as missing:
        raise SourceError(f"There is no scanner at {device}.", f"Plug it in. {_LIST}", cause="missing") from missing
    try:
        ioctl(file, _EVIOCGVERSION, b"\0" * 4)
    except OSError as other:
        os.close(file)
        raise SourceError(f"{device} is not a scanner or keyboard.", _LIST, cause="missing") from other
    return file


def _grab(file: int, device: Path) -> None:
    try:
        ioctl(file, _EVIOCGRAB, 1)
        ioctl(file, _EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
    except OSError as refused:
        os.close(file)
        raise SourceError(
            f"The scanner {device} is held by another program.", f"sudo fuser -v {device}", cause="busy"
        ) from refused


def open_source(target: str, source: int, _settings: ScannerSettings) -> KeyboardScanner:
    """Open a hand scanner by the path of its events, and grab it.

    Raises:
        SourceError: It is not there, not ours to use, held by another program, or an option is wrong.
    """
    name, options = split_options(target, _OPTIONS)
    device = Path(name)
    file = _open(device)
    _grab(file, device)
    ends_at_pause = options.get("end") == "pause"
    pause_ns = int(options.get("pause_ms", _PAUSE_MS)) * 1_000_000
    rules = Rules("hid", b"" if ends_at_pause else b"\r\n\t", pause_ns=pause_ns, ends_at_pause=ends_at_pause)
    return KeyboardScanner(file, device, Codes(rules, source), Keys(options.get("layout", "us")))
