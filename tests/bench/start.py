"""A gate's start and its memory: `edge gate run` as a person starts it, on a loopback stream, with a page open."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.bench.timing import percentile, row
from tests.simulators.mjpeg import AnsweringServer, jpeg_of, part, scene, stream_head

STARTS = 5
SETTLE_S = 8.0
MIB = 1 << 20


class Camera(AnsweringServer):
    """A loopback MJPEG camera that notes when its first frame went out."""

    def __init__(self) -> None:
        self._frame = part(jpeg_of(scene("https://example.com/poster")))
        self.first_at = 0.0
        super().__init__(self._stream)

    def _stream(self, link: socket.socket) -> None:
        link.sendall(stream_head())
        while not self.is_closed:
            link.sendall(self._frame)
            self.first_at = self.first_at or time.monotonic()
            time.sleep(1 / 15)


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tree(root: int) -> list[int]:
    """Return a process and all below it."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for process in found:
        found += parents.get(process, [])
    return found


def anonymous_bytes(process: int) -> int:
    """Return the anonymous memory of a process (RssAnon)."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def command_of(process: int) -> str:
    """Return a short name of a process of the gate."""
    words = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").split("\0")
    if "--part" in words:
        return words[words.index("--part") + 1]
    return "decoder" if "edge.scanner.child" in words else "supervisor"


def one_start(*, settle_s: float) -> tuple[float, list[tuple[str, int]]]:
    """Start a gate; return seconds to its first frame, and the memory of each process after `settle_s`."""
    camera = Camera()
    web = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "gate.toml"
        config.write_text(
            f'schema = 1\nstate = "state"\n[scanner]\nsources = ["url:{camera.url}"]\n[web]\nport = {web}\n',
            encoding="utf-8",
        )
        started = time.monotonic()
        gate = subprocess.Popen(
            [sys.executable, "-m", "edge", "gate", "run", "--config", str(config)], start_new_session=True
        )
        try:
            while not camera.first_at and time.monotonic() < started + 30:
                time.sleep(0.005)
            taken = camera.first_at - started
            memory = _memory(gate.pid, web, settle_s) if settle_s else []
        finally:
            gate.send_signal(signal.SIGTERM)
            try:
                gate.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(gate.pid, signal.SIGKILL)
            camera.close()
    return taken, memory


def _memory(gate: int, web: int, settle_s: float) -> list[tuple[str, int]]:
    deadline = time.monotonic() + settle_s
    page = None
    while page is None and time.monotonic() < deadline:
        try:
            page = urllib.request.urlopen(f"http://127.0.0.1:{web}/events", timeout=5)
        except OSError:
            time.sleep(0.1)
    time.sleep(max(0.0, deadline - time.monotonic()))
    sizes = [(command_of(process), anonymous_bytes(process)) for process in tree(gate)]
    if page is not None:
        page.close()
    return sizes


def run() -> dict[str, Any]:
    """Measure several starts, and the memory of the last gate."""
    times = sorted(one_start(settle_s=0)[0] for _ in range(STARTS))
    _, memory = one_start(settle_s=SETTLE_S)
    rows = [
        row("process start to first frame, p50", percentile(times, 0.5), "s", "<= 1.5"),
        row("process start to first frame, worst", times[-1], "s"),
        *(row(f"anonymous memory: {name}", size / MIB, "MiB") for name, size in memory),
        row("anonymous memory of all processes", sum(size for _, size in memory) / MIB, "MiB", "<= 250"),
    ]
    return {"about": f"`edge gate run`, 15 fps of 1280x720 MJPEG, one page open, {STARTS} starts", "rows": rows}
