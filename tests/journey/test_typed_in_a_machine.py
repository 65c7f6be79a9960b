"""A keyboard of a real kernel: a machine in QEMU, keys pressed from outside, our source within.

The kernel is Debian's cloud kernel, which has no USB: the keyboard is QEMU's virtio one. From the input layer on, which
is all that a source sees, nothing differs from a scanner on USB.
"""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.scanner.sources._keys import typed
from tests.simulators import guest

pytestmark = [
    pytest.mark.qemu,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(guest.missing()), reason=f"needs {', '.join(guest.missing())}"),
]

CODE = "HP1:Yz 09$%*+-./:"
"""All that a national pass is made of, and both letters that the console takes for each other."""


class Keyboard:
    """Presses keys of a guest.

    Args:
        path: The socket of its QMP (QEMU Machine Protocol).
    """

    def __init__(self, path: Path) -> None:
        self._link = socket.socket(socket.AF_UNIX)
        self._link.settimeout(30)
        self._link.connect(str(path))
        self._lines = self._link.makefile("rb")
        self._lines.readline()
        self._ask("qmp_capabilities", {})

    def _ask(self, execute: str, arguments: dict[str, object]) -> None:
        self._link.sendall(json.dumps({"execute": execute, "arguments": arguments}).encode() + b"\n")
        while "return" not in (said := json.loads(self._lines.readline())):
            assert "error" not in said, said

    def type(self, text: str) -> None:
        """Type a text and Enter, as a scanner does."""
        for code, value in typed(text + "\n"):
            # QEMU numbers keys as PC keyboards did first; so does Linux, up to 83.
            key = {"key": {"type": "number", "data": code}, "down": bool(value)}
            self._ask("input-send-event", {"events": [{"type": "key", "data": key}]})
            time.sleep(0.01)  # a device of QEMU holds 64 events

    def close(self) -> None:
        """Leave the keyboard."""
        self._lines.close()
        self._link.close()


def _line(machine: "subprocess.Popen[bytes]", wanted: str) -> re.Match[str]:
    """Return the next line of a guest that is wanted."""
    assert machine.stdout is not None
    said = []
    for raw in machine.stdout:
        said.append(raw.decode(errors="replace"))
        if match := re.search(wanted, said[-1]):
            return match
    raise AssertionError(f"the guest ended: {''.join(said[-30:])}")


@pytest.fixture
def machine(tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A guest with a keyboard, its control socket at `tmp_path/qmp`."""
    command = [sys.executable, "-m", "tests.simulators.typed"]
    made = guest.Guest(tmp_path, [*command, "/dev/null"], without=tmp_path / "none", drivers=("virtio_input", "evdev"))
    devices = ("-device", "virtio-keyboard-pci", "-qmp", f"unix:{tmp_path / 'qmp'},server=on,wait=off")
    running = made.start([*command, "/dev/ttyS0"], *devices)
    yield running
    running.kill()
    running.wait()
    if running.stdout is not None:
        running.stdout.close()


def test_a_typed_code_reaches_the_source_alone(machine: "subprocess.Popen[bytes]", tmp_path: Path):
    """What a scanner types is read whole and by no layout of the console, which sees nothing until it is let go."""
    _line(machine, "type-1")
    keyboard = Keyboard(tmp_path / "qmp")
    keyboard.type(CODE)
    grabbed = _line(machine, r"source (\w+) console (\S+) end")
    _line(machine, "type-2")
    keyboard.type("Yz")
    let_go = _line(machine, r"console (\w+) end")
    keyboard.close()

    assert bytes.fromhex(grabbed[1]).decode() == CODE
    assert grabbed[2] == "-"
    # The control: without the grab the same keys do reach the console, and mean other letters there.
    assert bytes.fromhex(let_go[1]) == b"Zy\r"
