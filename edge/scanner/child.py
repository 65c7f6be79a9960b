"""The decoding child: reads frames from the shared slot and answers what stood in them.

`python -m edge.scanner.child SOCKET SLOT SECONDS EVERY BYTES` is started by `edge.scanner.decode` and is the only
process that runs a decoder over a picture: whatever a picture does to zxing-cpp, libjpeg or zbar happens here. It opens
no file and no network, and ends when its parent does. Deciding that it hangs, killing and restarting it are left to the
parent.
"""

import contextlib
import importlib
import mmap
import resource
import signal
import socket
import sys
from collections import deque
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import zxingcpp

from edge.scanner.handover import (
    MAX_SYMBOLS,
    READY,
    SLOT_BYTES,
    Kind,
    Notice,
    Reply,
    Request,
    Sighting,
    Status,
    Want,
)
from edge.scanner.look import look_at

Pixels = npt.NDArray[np.uint8]

_SECOND_ENGINE_PIXELS = 4 << 20
"""zbar takes 10 to 14 times as long as zxing-cpp: above 4 megapixels a live frame is not worth the queue's time."""

_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)

_PREVIEW_PX = 480
_HELD_FRAMES = 4


class Unreadable(Exception):  # noqa: N818 - never leaves this process: it becomes a status
    """The bytes in the slot are no picture."""


class SecondEngine:
    """pyzbar, loaded when it is first needed.

    It mangles payloads that are not text (binary 0 of 20 byte-exact) and raises ValueError on structured append, so
    only plain ASCII is believed and nothing it raises leaves.
    """

    def __init__(self) -> None:
        self._pyzbar: Any = None
        self.notice = Notice.NOTHING

    def _load(self) -> bool:
        if self._pyzbar is None and self.notice is Notice.NOTHING:
            try:
                self._pyzbar = importlib.import_module("pyzbar.pyzbar")
            except (ImportError, OSError):  # without libzbar0 the import itself fails
                self.notice = Notice.SECOND_MISSING
        return self._pyzbar is not None

    def read(self, grey: Pixels) -> tuple[list[Sighting], Notice]:
        """Return what zbar reads and what there is to notice; never raises.

        Args:
            grey: uint8, HxW.
        """
        if not self._load():
            return [], self.notice
        height, width = grey.shape
        try:
            found = self._pyzbar.decode((grey.tobytes(), width, height), symbols=[self._pyzbar.ZBarSymbol.QRCODE])
            return [_of_zbar(one) for one in found if one.data and one.data.isascii()], Notice.NOTHING
        except Exception:  # noqa: BLE001 - it is counted by the parent; the first engine has answered already
            return [], Notice.SECOND_FAILED


def _of_zbar(found: Any) -> Sighting:
    box = found.rect
    return Sighting(bytes(found.data), box.left + box.width / 2, box.top + box.height / 2, 0.0, "pyzbar")


def _of_zxing(found: zxingcpp.Barcode) -> Sighting:
    place = found.position
    corners = [(p.x, p.y) for p in (place.top_left, place.top_right, place.bottom_right, place.bottom_left)]
    x, y = sum(c[0] for c in corners) / 4, sum(c[1] for c in corners) / 4
    sides = [float(np.hypot(a[0] - b[0], a[1] - b[1])) for a, b in zip(corners, corners[1:] + corners[:1], strict=True)]
    extra: Any = found.extra
    version = str(extra.get("Version", ""))
    # ISO/IEC 18004, 5.3.1: version v has 17 + 4v modules a side.
    modules = 17 + 4 * int(version) if version.isdigit() else 0
    return Sighting(found.bytes, x, y, sum(sides) / 4 / modules if modules else 0.0, "zxing")


def read_zxing(grey: Pixels) -> list[Sighting]:
    """Return the dark-on-light QR codes zxing-cpp reads, bytes as in the symbol.

    Light on dark (ISO/IEC 18004, reflectance reversal) is read from the negative: one look costs 0.6 of both.

    Args:
        grey: uint8, HxW, at least one pixel.
    """
    found = zxingcpp.read_barcodes(grey, formats=_QR, try_invert=False, text_mode=zxingcpp.TextMode.Plain)
    return [_of_zxing(one) for one in found if one.bytes]


class FirstEngine:
    """zxing-cpp on every frame, both polarities of it where nobody waits.

    A code seen for the first time is answered after one look. Of other frames, empty or with codes held up, the
    negative of every second one is read as well: a light-on-dark code is met at most one frame later.
    """

    def __init__(self) -> None:
        # Digests: what is remembered is nobody's pass. Several frames, since several sources take turns.
        self._held: deque[frozenset[bytes]] = deque(maxlen=_HELD_FRAMES)
        self._has_looked = False

    def read(self, grey: Pixels, *, is_still: bool) -> list[Sighting]:
        """Return the QR codes of a frame.

        Args:
            grey: uint8, HxW, at least one pixel.
            is_still: There is no next frame: both polarities are read.
        """
        found = read_zxing(grey)
        if is_still or self._is_time_to_look(found):
            found += read_zxing(np.asarray(cv2.bitwise_not(grey), np.uint8))
        self._held.append(frozenset(blake2b(seen.raw, digest_size=16).digest() for seen in found))
        return found

    def _is_time_to_look(self, found: Iterable[Sighting]) -> bool:
        known = frozenset[bytes]().union(*self._held)
        is_held = all(blake2b(seen.raw, digest_size=16).digest() in known for seen in found)
        self._has_looked = is_held and not self._has_looked
        return self._has_looked


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
        every: The second engine reads every n-th missed frame; 0 switches it off.
    """

    def __init__(self, slot: mmap.mmap, every: int) -> None:
        self._slot = np.frombuffer(slot, np.uint8)
        self._every = every
        self._missed = 0
        self._first = FirstEngine()
        self._second = SecondEngine()

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
        is_still = bool(request.want & Want.STILL)
        sightings, notice = self._first.read(grey, is_still=is_still), Notice.NOTHING
        if not sightings and is_still and picture is not None:
            sightings = self._through_alpha(picture)
        if not sightings and self._second_turn(request, width * height):
            sightings, notice = self._second.read(grey)
        look = look_at(grey) if request.want & Want.LOOK else None
        preview = preview_of(picture, grey) if request.want & Want.PREVIEW else b""
        seen = nearest_first(sightings, width, height)
        return Reply(request.seq, Status.READ, notice, width, height, look, seen, preview)

    def _through_alpha(self, picture: Pixels) -> list[Sighting]:
        """Read a picture with a transparent ground once more, laid on white."""
        with contextlib.suppress(Unreadable):
            pixels = decoded(picture, cv2.IMREAD_UNCHANGED)
            if pixels.ndim == 3 and pixels.shape[2] == 4:  # noqa: PLR2004
                return self._first.read(grey_of(pixels), is_still=True)
        return []

    def _second_turn(self, request: Request, pixels: int) -> bool:
        if request.want & Want.STILL:
            return True
        if self._every == 0 or pixels > _SECOND_ENGINE_PIXELS:
            return False
        self._missed += 1
        return self._missed % self._every == 0


def _in_slot(used: Pixels, request: Request) -> Pixels:
    if request.item == 1 and request.channels == 1:
        return used.reshape(request.height, request.width)  # the usual case: read where it lies
    dtype = np.uint8 if request.item == 1 else np.uint16
    return grey_of(used.view(dtype).reshape(request.height, request.width, request.channels))


def confine(max_bytes: int) -> None:
    """Build the walls around a process that unpacks pictures: memory, core files, signals, threads."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold people's codes
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    most = max_bytes if hard == resource.RLIM_INFINITY else min(max_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))  # a picture of a few bytes may unpack to gigabytes
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gate, which then closes the socket
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(1)


def main(argv: list[str]) -> int:
    """Answer requests until the parent closes the socket.

    Args:
        argv: File numbers of the socket and the slot, seconds after which a decode without a parent ends, how often the
            second engine reads, and bytes of memory allowed.
    """
    numbers = [float(text) for text in argv]
    confine(int(numbers[4]))
    link = socket.socket(fileno=int(numbers[0]))
    child = Child(mmap.mmap(int(numbers[1]), SLOT_BYTES), int(numbers[3]))
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
