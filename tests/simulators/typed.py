"""What a machine with a keyboard does while somebody types on it: our source reads, the console listens.

Runs as the one command of a guest (`tests.simulators.guest`): `python -m tests.simulators.typed SERIAL`. It says on the
serial line when it is ready for keys, and what came where. Without a keyboard it does nothing but load its modules.
"""

import fcntl
import os
import struct
import sys
import termios
import time
import tty
from pathlib import Path

from edge.model.settings import ScannerSettings
from edge.scanner.sources.hid import open_source

KEYBOARD = "QEMU Virtio Keyboard"
"""The machine has an old PS/2 keyboard besides, on which nobody types."""

CONSOLE = "/dev/tty1"

# linux/kd.h: KDSKBENT sets what a key means on the console: table (0 plain, 1 shift), key, value.
_KDSKBENT = 0x4B47
_Y, _Z = 21, 44


def _swap_y_and_z(console: int) -> None:
    """Give the console a German keyboard, as far as it matters."""
    for key, letter in ((_Y, "z"), (_Z, "y")):
        for table, char in ((0, letter), (1, letter.upper())):
            # Letters are of the type KT_LETTER, so that Caps Lock turns them.
            fcntl.ioctl(console, _KDSKBENT, struct.pack("BBH", table, key, (11 << 8) | ord(char)))


def _device() -> Path | None:
    names = {
        path.parent.parent.name: path.read_text().strip() for path in Path("/sys/class/input").glob("*/device/name")
    }
    found = [Path("/dev/input") / at for at, name in names.items() if name == KEYBOARD and at.startswith("event")]
    return found[0] if found else None


def _on_console(console: int, wait_s: float) -> bytes:
    """Return what arrives at the console within a time."""
    until, got = time.monotonic() + wait_s, b""
    while time.monotonic() < until and not got.endswith(b"\r"):
        try:
            got += os.read(console, 4096)
        except BlockingIOError:
            time.sleep(0.05)
    return got


def main(serial: str) -> int:
    """Read one code by our source, then let go of the device and read what the console gets of the next."""
    device = _device()
    if device is None:
        return 0
    console = os.open(CONSOLE, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    tty.setraw(console, termios.TCSANOW)
    _swap_y_and_z(console)
    source = open_source(str(device), 0, ScannerSettings())
    with Path(serial).open("w", encoding="utf-8") as line:
        print("type-1", file=line, flush=True)
        while not (found := source.read().symbols):
            pass
        seen = _on_console(console, 2.0)
        print(f"source {found[0].raw.hex()} console {seen.hex() or '-'} end", file=line, flush=True)
        source.close()
        print("type-2", file=line, flush=True)
        print(f"console {_on_console(console, 60.0).hex() or '-'} end", file=line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
