"""The decoding child: reads frames from the shared slot and answers what stood in them.

`python -m edge.scanner.child SOCKET SLOT SECONDS BYTES RETRY EVERY ENGINE` is started by `edge.scanner.decode` and is
the only process that runs a decoder over a picture: whatever a picture does to zxing-cpp, libjpeg or zbar happens here.
It opens no file and no network, and ends when its parent does. Deciding that it hangs, killing and restarting it are
left to the parent.
"""

import contextlib
import mmap
import signal
import socket
import sys
import time
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.scanner.enclosure import confine
from edge.scanner.engines import SecondEngine, ZxingEngine
from edge.scanner.handover import (
    MAX_SYMBOLS,
    READY,
    SLOT_BYTES,
    Kind,
    Reply,
    Request,
    Sighting,
    Status,
    Want,
)
from edge.scanner.ladder import Alone, Ladder, Reader
from edge.scanner.look import look_at
from edge.scanner.matrix import WithMatrix

Pixels = npt.NDArray[np.uint8]

_PREVIEW_PX = 480


class Unreadable(Exception):  # noqa: N818 - never leaves this process: it becomes a status
    """The bytes in the slot are no picture."""


def grey_of(pixels: npt.NDArray[Any]) -> Pixels:
    """Return the brightness of an array of pixels.

    Args:
        pixels: uint8 or uint16, HxWxC; C is 1 grey, 2 YUYV (brightness first), 3 BGR or 4 BGRA.
    """
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    channels = pixels.shape[2]
    if channels == 3:  # noqa: PLR2004
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.uint8)
    if channels == 4:  # noqa: PLR2004
        return on_white(pixels)
    return np.ascontiguousarray(pixels[:, :, 0])


def on_white(pixels: npt.NDArray[Any]) -> Pixels:
    """Return the brightness of BGRA pixels laid on white paper.

    Codes are saved with a transparent ground whose hidden colour is black: dropped alpha makes them black on black.
    """
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGRA2GRAY).astype(np.uint16)
    alpha = pixels[:, :, 3].astype(np.uint16)
    return np.asarray((grey * alpha + 255 * (255 - alpha)) // 255, np.uint8)


def decoded(picture: Pixels, flags: int) -> npt.NDArray[Any]:
    """Return the pixels of an encoded picture.

    Raises:
        Unreadable: It is none, is damaged beyond reading, or claims more pixels than are allowed.
    """
    try:
        pixels = cv2.imdecode(picture, flags)
    except (cv2.error, MemoryError) as broken:
        raise Unreadable from broken
    if pixels is None or pixels.size == 0:
        raise Unreadable
    return pixels


def shrink_step(width: int, height: int) -> int:
    """Return by how much a preview is smaller than its frame: an exact 1, 2, 4 or 8."""
    return next((step for step in (1, 2, 4) if max(width, height) <= step * _PREVIEW_PX), 8)


def preview_of(picture: Pixels | None, grey: Pixels) -> bytes:
    """Return a small JPEG of a frame, in colour where it came encoded; empty where it cannot be made."""
    height, width = grey.shape
    step = shrink_step(width, height)
    reduced = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8}
    try:
        if picture is not None:
            small = decoded(picture, reduced.get(step, cv2.IMREAD_COLOR))
        else:
            size = (max(1, width // step), max(1, height // step))
            small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 70])[1].tobytes()
    except (cv2.error, Unreadable):
        return b""


def nearest_first(sightings: Iterable[Sighting], width: int, height: int) -> tuple[Sighting, ...]:
    """Return at most `MAX_SYMBOLS` symbols, the one nearest the centre of the frame first."""
    ranked = sorted(sightings, key=lambda seen: (seen.x - width / 2) ** 2 + (seen.y - height / 2) ** 2)
    return tuple(ranked[:MAX_SYMBOLS])


class Child:
    """Answers requests over one slot.

    Args:
        slot: The shared slot.
        reader: The engines and when each is asked.
    """

    def __init__(self, slot: mmap.mmap, reader: Reader) -> None:
        self._slot = np.frombuffer(slot, np.uint8)
        self._reader = reader

    def answer(self, request: Request) -> Reply:
        """Return what stands in the frame; whatever the picture does in Python becomes a status."""
        try:
            return self._read(request)
        except (Unreadable, ValueError, cv2.error):
            return Reply(request.seq, Status.UNREADABLE)
        except MemoryError:
            return Reply(request.seq, Status.TOO_BIG)

    def _read(self, request: Request) -> Reply:
        used = self._slot[: request.length]
        picture = used if request.kind is Kind.ENCODED else None
        grey = decoded(used, cv2.IMREAD_GRAYSCALE) if picture is not None else _in_slot(used, request)
        grey = np.asarray(grey, np.uint8)
        height, width = grey.shape
        started = time.perf_counter()
        if request.want & Want.STILL:
            sightings = self._reader.read_still(grey)
            if not sightings and picture is not None:
                sightings = self._through_alpha(picture)
        else:
            sightings = self._reader.read_frame(grey, request.source)
        took_ms = (time.perf_counter() - started) * 1e3
        look = look_at(grey) if request.want & Want.LOOK else None
        preview = preview_of(picture, grey) if request.want & Want.PREVIEW else b""
        seen = nearest_first(sightings, width, height)
        notice = self._reader.take_notice()
        return Reply(request.seq, Status.READ, notice, width, height, look, seen, preview, took_ms)

    def _through_alpha(self, picture: Pixels) -> list[Sighting]:
        """Read a picture with a transparent ground once more, laid on white."""
        with contextlib.suppress(Unreadable):
            pixels = decoded(picture, cv2.IMREAD_UNCHANGED)
            if pixels.ndim == 3 and pixels.shape[2] == 4:  # noqa: PLR2004
                return self._reader.read_still(grey_of(pixels))
        return []


def _in_slot(used: Pixels, request: Request) -> Pixels:
    if request.item == 1 and request.channels == 1:
        return used.reshape(request.height, request.width)  # the usual case: read where it lies
    dtype = np.uint8 if request.item == 1 else np.uint16
    return grey_of(used.view(dtype).reshape(request.height, request.width, request.channels))


def main(argv: list[str]) -> int:
    """Answer requests until the parent closes the socket.

    Args:
        argv: File numbers of the socket and the slot, seconds after which a decode without a parent ends, bytes of
            memory allowed, seconds of a frame within which retries begin, how often the second engine reads, and
            `ladder`, `matrix` (the ladder, then DataMatrix), or one engine alone: `zxing`, `pyzbar`.
    """
    numbers, engine = [float(text) for text in argv[:-1]], argv[-1]
    confine(int(numbers[3]))
    cv2.setNumThreads(1)
    link = socket.socket(fileno=int(numbers[0]))
    reader: Reader = Ladder(retry_s=numbers[4], second_every=int(numbers[5]))
    if engine == "zxing":
        reader = Alone(ZxingEngine())
    elif engine == "pyzbar":
        reader = Alone(SecondEngine())
    elif engine == "matrix":
        reader = WithMatrix(reader)
    child = Child(mmap.mmap(int(numbers[1]), SLOT_BYTES), reader)
    try:
        link.send(READY)
        while message := link.recv(64):
            # A hang survives its parent's death unnoticed; the alarm's default action ends it.
            signal.setitimer(signal.ITIMER_REAL, numbers[2])
            reply = child.answer(Request.unpack(message)).pack()
            signal.setitimer(signal.ITIMER_REAL, 0)
            link.send(reply)
    except (BrokenPipeError, ConnectionResetError):
        return 0  # the parent is gone
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
