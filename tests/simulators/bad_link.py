"""Two network namespaces and a bad line between them: packets are lost, late, or all gone; a cable can be pulled out.

The line is a pair of TUN devices whose packets this process carries over. That needs no kernel module of `tc netem`,
which many kernels lack, and no more than root and /dev/net/tun.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from types import TracebackType
from typing import Final, Self

_TUNSETIFF: Final = 0x400454CA
_TUNSETCARRIER: Final = 0x400454E2
_TUN_NO_HEADER: Final = 0x0001 | 0x1000
_MTU: Final = 2048
_MOST_WAITING: Final = 10_000


class BadLink:
    """Two namespaces, `gate_side` at 10.231.0.1 and `hub_side` at 10.231.0.2.

    Args:
        loss: Share of the packets that is lost, each way.
        delay_s: How late each is, each way.

    Raises:
        OSError: This machine does not let us.
    """

    HUB = "10.231.0.2"

    def __init__(self, *, loss: float, delay_s: float) -> None:
        self.loss, self.delay_s = loss, delay_s
        self.is_cut = False
        self.carried = self.lost = 0
        self._random = random.Random(7)
        mark = f"{os.getpid() % 100_000}"
        self.gate_side, self.hub_side = f"edge-g{mark}", f"edge-h{mark}"
        self._over = threading.Event()
        self._ends: list[int] = []
        try:
            for side, address in ((self.gate_side, "10.231.0.1"), (self.hub_side, self.HUB)):
                self._ends.append(_end(side, f"et{side[5]}{mark}", address))
        except BaseException:
            self._remove()
            raise
        self._thread = threading.Thread(target=self._carry, name="bad-link", daemon=True)

    def plug(self, *, is_in: bool) -> None:
        """Put the gate's cable in, or pull it out: the kernel sees the carrier go."""
        fcntl.ioctl(self._ends[0], _TUNSETCARRIER, struct.pack("i", is_in))

    def command(self, side: str, *words: str) -> list[str]:
        """Return the command that runs another one on a side."""
        return ["ip", "netns", "exec", side, *words]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(5)
        self._remove()

    def _remove(self) -> None:
        for end in self._ends:
            os.close(end)
        for side in (self.gate_side, self.hub_side):
            subprocess.run(["ip", "netns", "del", side], check=False, capture_output=True)

    def _carry(self) -> None:
        waiting: list[tuple[float, int, int, bytes]] = []
        number = 0
        while not self._over.is_set():
            now = time.monotonic()
            pause = min(0.05, max(0.0, waiting[0][0] - now)) if waiting else 0.05
            for end in select.select(self._ends, [], [], pause)[0]:
                packet = os.read(end, _MTU)
                self.carried += 1
                if self.is_cut or self._random.random() < self.loss or len(waiting) > _MOST_WAITING:
                    self.lost += 1
                    continue
                number += 1
                other = self._ends[1 - self._ends.index(end)]
                heapq.heappush(waiting, (time.monotonic() + self.delay_s, number, other, packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(waiting)
                try:
                    os.write(end, packet)
                except OSError:
                    # The cable is out at that end.
                    self.lost += 1


def _end(side: str, name: str, address: str) -> int:
    """Make a namespace with one end of the line in it and return the end's descriptor."""
    _ip("netns", "add", side)
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN_NO_HEADER))
    _ip("link", "set", name, "netns", side)
    _ip("-n", side, "link", "set", "lo", "up")
    _ip("-n", side, "addr", "add", f"{address}/24", "dev", name)
    _ip("-n", side, "link", "set", name, "up")
    return end


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
