"""The demo's end of its camera: starts the process, tells it what to show, hears when it was shown."""

import contextlib
import json
import queue
import sys
import threading
from dataclasses import dataclass, field
from typing import Any, Final

from edge.demo.people import Presentation
from edge.demo.processes import Processes, Service, wait_until
from edge.demo.showing import ENOUGH, STREAM, order
from edge.errors import SetupError

_START_S: Final = 20.0
AHEAD: Final = 2
"""Presentations the camera has at once: one is shown, one is drawn."""


@dataclass(slots=True)
class Camera:
    """A camera that runs.

    Attributes:
        service: Its process.
        events: What it says, as it says it.
        outstanding: Presentations it was given and has not finished.
        port: Where it serves its stream; 0 until it said so.
    """

    service: Service
    events: "queue.Queue[dict[str, Any]]" = field(default_factory=queue.Queue)
    outstanding: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """Address of its stream."""
        return f"http://127.0.0.1:{self.port}{STREAM}"

    def show(self, presentation: Presentation) -> None:
        """Have it show something after what it has already.

        Raises:
            SetupError: The camera has ended.
        """
        self._tell(order(presentation.showing))
        self.outstanding += 1

    def send_away(self) -> None:
        """Have it show nobody who has not come yet.

        Raises:
            SetupError: The camera has ended.
        """
        self._tell(ENOUGH)

    def _tell(self, line: str) -> None:
        pipe = self.service.process.stdin
        if pipe is None:
            raise SetupError("The simulated camera has no input.")
        try:
            pipe.write(line.encode() + b"\n")
            pipe.flush()
        except OSError as gone:
            raise SetupError(f"The simulated camera has ended:\n{self.service.tail()}") from gone

    def heard(self, event: dict[str, Any]) -> None:
        """Take what it said; called in the thread that listens."""
        if event.get("is") == "listening":
            self.port = int(event["port"])
        self.events.put(event)

    def close(self) -> None:
        """Have it end."""
        pipe = self.service.process.stdin
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def start_camera(processes: Processes, seed: int) -> Camera:
    """Start the camera on a free port; it is ready when `await_camera` returns.

    Args:
        processes: What it belongs to.
        seed: Looks, movements and noise follow from it.
    """
    argv = [sys.executable, "-P", "-m", "edge.demo.camera", str(seed), "0"]
    camera = Camera(processes.start("camera", argv, is_spoken_to=True))
    threading.Thread(target=_listen, args=(camera,), name="camera", daemon=True).start()
    return camera


def await_camera(camera: Camera) -> None:
    """Wait until the camera serves its stream.

    Raises:
        SetupError: It ended or never did.
    """
    wait_until(lambda: camera.port > 0, [camera.service], "the simulated camera", _START_S)


def _listen(camera: Camera) -> None:
    out = camera.service.process.stdout
    if out is not None:
        for line in out:
            camera.heard(json.loads(line))
