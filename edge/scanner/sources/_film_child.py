"""The child that unpacks a film: FFmpeg through OpenCV, one frame for each question, into the shared slot.

`python -m edge.scanner.sources._film_child SOCKET SLOT` is started by `_film`, which also watches and kills it. It
hears where the film is as the first message, and ends when its parent does.
"""

import mmap
import signal
import socket
import sys
import threading
import time
from typing import Any

import numpy as np

from edge.errors import LibraryMissing
from edge.scanner.enclosure import confine
from edge.scanner.sources._film import (
    BEAT_S,
    MAX_TARGET,
    MEMORY,
    MESSAGE,
    OPEN_MS,
    READ_MS,
    SLOT_BYTES,
    Said,
)
from edge.scanner.sources._opencv import opencv

_ORPHAN_S = 12.0
"""A hang survives its parent's death by at most this."""

_AGAIN_S = 0.5
"""What is refused at once is asked again in this child: starting one costs more than the answer."""


class Pulse:
    """Gives signs of life while the other thread is busy.

    Args:
        link: To the parent.
    """

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._busy = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()

    def __enter__(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, _ORPHAN_S)  # the alarm's default action ends a hang
        self._busy.set()

    def __exit__(self, *_raised: object) -> None:
        self._busy.clear()
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _beat(self) -> None:
        while self._busy.wait():
            try:
                self._link.send(MESSAGE.pack(Said.BEAT, 0, 0, 0))
            except OSError:
                return  # the parent is gone, as the other thread notices
            time.sleep(BEAT_S)


def opened(cv2: Any, target: str) -> Any | None:
    """Return OpenCV's capture of a film, None where it is none that can be read."""
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
    until = time.monotonic() + OPEN_MS / 1000
    while True:
        try:
            capture = cv2.VideoCapture(target, cv2.CAP_FFMPEG, limits)
            if capture.isOpened():
                return capture
            capture.release()
        except cv2.error:
            return None
        if "://" not in target or time.monotonic() + _AGAIN_S > until:
            return None
        time.sleep(_AGAIN_S)


def next_of(cv2: Any, capture: Any, slot: "np.ndarray[Any, np.dtype[np.uint8]]") -> bytes:
    """Put the next frame into the slot and return what is to be said of it."""
    begun = time.monotonic()
    try:
        good, image = capture.read()
    except (cv2.error, MemoryError):
        good, image = False, None
    if not good or image is None or image.dtype != np.uint8 or not 0 < image.size <= slot.size:
        is_late = time.monotonic() - begun >= READ_MS / 1000 / 2
        return MESSAGE.pack(Said.STALLED if is_late else Said.ENDED, 0, 0, 0)
    slot[: image.size] = image.reshape(-1)
    return MESSAGE.pack(Said.FRAME, *(*image.shape, 1)[:3])


def main(argv: list[str]) -> int:
    """Answer questions until the parent closes the socket.

    Args:
        argv: File numbers of the socket and the slot.
    """
    confine(MEMORY)
    link = socket.socket(fileno=int(argv[0]))
    slot = np.frombuffer(mmap.mmap(int(argv[1]), SLOT_BYTES), np.uint8)
    try:
        try:
            cv2 = opencv()
        except LibraryMissing:
            link.send(MESSAGE.pack(Said.ABSENT, 0, 0, 0))
            return 1
        pulse = Pulse(link)
        link.send(MESSAGE.pack(Said.READY, 0, 0, 0))
        target = link.recv(MAX_TARGET).decode(errors="surrogateescape")
        with pulse:
            capture = opened(cv2, target)
        link.send(MESSAGE.pack(Said.REFUSED if capture is None else Said.OPENED, 0, 0, 0))
        while capture is not None and link.recv(1):
            with pulse:
                answer = next_of(cv2, capture, slot)
            link.send(answer)
    except (BrokenPipeError, ConnectionResetError):
        return 0  # the parent is gone
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
