"""A hand scanner: a pseudo-terminal that behaves as its device file, can be unplugged and plugged in again.

As a serial scanner its bytes are what the device sends. As a keyboard its bytes are the kernel's own `input_event`
structures; a pseudo-terminal cannot be grabbed, so `accept_grab` stands in for that one call.
"""

import contextlib
import os
import pty
import struct
import time
import tty
from pathlib import Path
from typing import Self

import pytest

from edge.scanner.sources import hid
from edge.scanner.sources._keys import typed

EVENT = struct.Struct("@llHHi")
EV_SYN, EV_KEY, EV_MSC = 0, 1, 4


def event(kind: int, code: int, value: int) -> bytes:
    """Return one event as the kernel gives it, of now."""
    seconds, nanos = divmod(time.monotonic_ns(), 1_000_000_000)
    return EVENT.pack(seconds, nanos // 1000, kind, code, value)


def keys(text: str, layout: str = "us") -> bytes:
    """Return the events with which a scanner types a text: each key with its scan code before and a report after it."""
    return b"".join(
        event(EV_MSC, 4, 0x70000 + code) + event(EV_KEY, code, value) + event(EV_SYN, 0, 0)
        for code, value in typed(text, layout)
    )


class HandScanner:
    """A device file with a scanner behind it.

    Args:
        path: Where the device appears.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._far = -1
        self._near = -1
        self.plug()

    def plug(self) -> None:
        """Appear."""
        self._far, self._near = pty.openpty()
        tty.setraw(self._near)
        self.path.symlink_to(os.ttyname(self._near))

    def unplug(self) -> None:
        """Disappear, as the device file does."""
        self.path.unlink(missing_ok=True)
        for end in (self._near, self._far):
            with contextlib.suppress(OSError):
                os.close(end)

    def send(self, data: bytes) -> None:
        """Send bytes, all of them."""
        while data:
            data = data[os.write(self._far, data) :]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()


def accept_grab(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a pseudo-terminal pass for an input device; returns the list of calls that were made on it."""
    calls: list[int] = []

    def ioctl(_file: int, request: int, _argument: object) -> int:
        calls.append(request)
        return 0

    monkeypatch.setattr(hid, "ioctl", ioctl)
    return calls
