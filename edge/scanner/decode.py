"""The decoder: hands frames to its child and notices when a picture kills or hangs it.

A frame lies in memory both processes see (an anonymous file: no name to leak, gone when both are gone) and the child
reads it where it lies. A frame that takes longer than `watchdog_s`, or that ends the child, costs itself: the child is
killed and started anew. What is in the picture is left to `edge.scanner.child`, which codes count to
`edge.scanner.steady`.
"""

import contextlib
import importlib.util
import mmap
import os
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, replace

from edge.errors import LibraryMissing
from edge.model.settings import ScannerSettings
from edge.model.symbol import Symbol
from edge.scanner.enclosure import shared_slot, small_environment, start_child
from edge.scanner.handover import (
    MAX_REPLY,
    READY,
    SLOT_BYTES,
    USUAL_BYTES,
    Kind,
    Look,
    Notice,
    Reply,
    Request,
    Status,
    Want,
)
from edge.scanner.sources.base import Frame

START_NS = 15_000_000_000
"""A child that is not ready after this long never will be; a loaded gate of the smallest class takes three."""

_ORPHAN_S = 2.0
"""A decode outlives its parent's patience by at most this."""

_RETRY_NS = 1_000_000_000
_MAX_CHANNELS = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may take.

    Attributes:
        watchdog_s: Seconds on one frame.
        pixels: Pixels of one picture; above, it is not unpacked.
        memory: Bytes of private memory.
        retry_s: Seconds of a frame within which retries are begun; 0 switches them off.
    """

    watchdog_s: float
    pixels: int = 32 << 20
    memory: int = 512 << 20
    retry_s: float = 0.025


@dataclass(frozen=True, slots=True)
class Reading:
    """What a frame held.

    Attributes:
        status: What became of it.
        symbols: Nearest the centre first.
        size: Width and height of the decoded picture, (0, 0) where there was none.
        look: What the frame is like; None where it was not asked.
        preview: A small JPEG, empty where it was not asked.
        took_ms: How long the engines took, without unpacking the picture.
    """

    status: Status
    symbols: tuple[Symbol, ...] = ()
    size: tuple[int, int] = (0, 0)
    look: Look | None = None
    preview: bytes = b""
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Health:
    """How the decoder has fared since it was started.

    Attributes:
        restarts: Children lost while reading.
        last_restart_ns: When the last was, monotonic nanoseconds; 0 before the first.
        is_absent: The child does not start.
        is_second_missing: pyzbar or libzbar0 is not installed.
        second_failures: Frames on which pyzbar raised.
    """

    restarts: int = 0
    last_restart_ns: int = 0
    is_absent: bool = False
    is_second_missing: bool = False
    second_failures: int = 0


def engine_of(settings: ScannerSettings) -> str:
    """Return what reads a gate's frames: the ladder, with DataMatrix behind it where that is asked for."""
    return "matrix" if settings.datamatrix else "ladder"


class Decoder:
    """Reads frames in a watched child process.

    Args:
        limits: What the child may take.
        second_engine_every: pyzbar reads every n-th frame in which a code may be and none was read; 0 switches it off.
        engine: `ladder`, `matrix` (the ladder, then DataMatrix), or one alone to compare it with: `zxing`, `pyzbar`.
    """

    def __init__(self, limits: Limits, *, second_engine_every: int, engine: str = "ladder") -> None:
        self._limits = limits
        self._every = second_engine_every
        self._engine = engine
        self._lock = threading.Lock()
        self._health = Health()
        self._child: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._is_ready = False
        self._is_closed = False
        self._retry_ns = 0
        self._failed_starts = 0
        self._spawned_ns = 0
        self._seq = 0
        self._reply = bytearray(MAX_REPLY)
        self._slot_fd, self._slot = shared_slot("edge-frame", SLOT_BYTES)

    @property
    def health(self) -> Health:
        """How the decoder has fared."""
        return self._health

    @property
    def child_pid(self) -> int | None:
        """The process that decodes, None while there is none."""
        child = self._child
        return child.pid if child is not None else None

    def start(self) -> None:
        """Start the child; does not wait until it is ready. A second time does nothing.

        Raises:
            LibraryMissing: zxing-cpp, OpenCV or numpy is not installed.
        """
        for module, package in (("zxingcpp", "zxing-cpp"), ("cv2", "opencv-python-headless"), ("numpy", "numpy")):
            if importlib.util.find_spec(module) is None:
                raise LibraryMissing(f"{package} is not installed.", f"python3 -m pip install {package}")
        with self._lock:
            if self._child is None and not self._is_closed:
                self._spawn()

    def is_ready(self, timeout_s: float) -> bool:
        """Return whether a child is ready to read, waiting at most so long for one that starts."""
        with self._lock:
            return not self._is_closed and self._ensure_child(timeout_s)

    def read(self, frame: Frame, want: Want = Want.NOTHING) -> Reading:
        """Return what stands in a frame, within `watchdog_s` of the child being ready; never raises over a picture.

        Args:
            frame: The frame; any bytes, any array.
            want: What is asked besides symbols.
        """
        request = _request_for(frame, want)
        if isinstance(request, Status):
            return Reading(request)
        with self._lock:
            if self._is_closed or not self._ensure_child(self._limits.watchdog_s):
                return Reading(Status.ABSENT)
            self._seq = (self._seq + 1) & 0xFFFFFFFF
            request = replace(request, seq=self._seq)
            self._fill(frame, request.length)
            reply = self._exchange(request)
            if request.length > USUAL_BYTES:
                self._slot.madvise(mmap.MADV_REMOVE, USUAL_BYTES, SLOT_BYTES - USUAL_BYTES)
        return Reading(Status.LOST) if reply is None else self._reading(reply, frame)

    def close(self) -> None:
        """End the child and give the memory back. A second time does nothing."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._end_child()
                self._slot.close()
                os.close(self._slot_fd)

    def _fill(self, frame: Frame, length: int) -> None:
        if frame.encoded is not None:
            self._slot[:length] = frame.encoded
        elif frame.pixels is not None:
            pixels = frame.pixels if frame.pixels.flags.c_contiguous else frame.pixels.copy()
            self._slot[:length] = pixels.data.cast("B")

    def _exchange(self, request: Request) -> Reply | None:
        """Ask the child; None if it died, hung or answered nonsense, and then it is replaced."""
        try:
            return self._ask(request)
        except (OSError, ValueError):
            self._end_child()
            health = self._health
            self._health = replace(health, restarts=health.restarts + 1, last_restart_ns=time.monotonic_ns())
            self._spawn()
            return None

    def _ask(self, request: Request) -> Reply:
        """Send a request and wait for its reply.

        Raises:
            OSError: The child is gone, or silent for too long.
            ValueError: It answered something else.
        """
        if self._link is None:
            raise ConnectionResetError
        self._link.settimeout(self._limits.watchdog_s)
        self._link.send(request.pack())
        size = self._link.recv_into(self._reply)
        reply = Reply.unpack(memoryview(self._reply)[:size])
        if reply.seq != request.seq:
            raise ValueError("an answer to another question")
        return reply

    def _reading(self, reply: Reply, frame: Frame) -> Reading:
        if reply.notice:
            self._health = replace(
                self._health,
                is_second_missing=self._health.is_second_missing or bool(reply.notice & Notice.SECOND_MISSING),
                second_failures=self._health.second_failures + bool(reply.notice & Notice.SECOND_FAILED),
            )
        size = (reply.width, reply.height)
        symbols = tuple(
            Symbol(
                raw=seen.raw,
                centre=(seen.x, seen.y),
                frame_size=size,
                module_px=seen.module_px,
                engine=seen.engine,
                source=frame.source,
                taken_ns=frame.taken_ns,
            )
            for seen in reply.sightings
        )
        return Reading(reply.status, symbols, size, reply.look, reply.preview, reply.took_ms)

    def _ensure_child(self, timeout_s: float) -> bool:
        """Return whether a child is ready, waiting for the one that starts."""
        if self._child is None:
            if time.monotonic_ns() < self._retry_ns:
                return False
            self._spawn()
        if self._is_ready:
            return True
        started = self._hear_ready(timeout_s)
        if started:
            self._is_ready = True
            self._failed_starts = 0
            self._health = replace(self._health, is_absent=False)
        elif started is False or time.monotonic_ns() > self._spawned_ns + START_NS:
            self._absent()
        return self._is_ready

    def _hear_ready(self, timeout_s: float) -> bool | None:
        """Return whether the child is ready; None if it has not said so yet."""
        if self._link is None:
            return False
        self._link.settimeout(max(timeout_s, 0.001))
        try:
            return self._link.recv(len(READY)) == READY
        except TimeoutError:
            return None
        except OSError:
            return False

    def _absent(self) -> None:
        """Take note that a start failed: once may be chance and is tried again at once, twice is a fault."""
        self._end_child()
        self._failed_starts += 1
        if self._failed_starts > 1:
            self._retry_ns = time.monotonic_ns() + _RETRY_NS
            self._health = replace(self._health, is_absent=True)

    def _spawn(self) -> None:
        self._spawned_ns = time.monotonic_ns()
        limits = self._limits
        numbers = (limits.watchdog_s + _ORPHAN_S, limits.memory, limits.retry_s, self._every)
        arguments = [*(str(number) for number in numbers), self._engine]
        environment = {**small_environment(), "OPENCV_IO_MAX_IMAGE_PIXELS": str(limits.pixels)}
        try:
            self._child, self._link = start_child("edge.scanner.child", self._slot_fd, arguments, environment)
            self._is_ready = False
        except OSError:  # tried again in a second
            self._absent()

    def _end_child(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            self._child.wait()
            self._child = None
        self._is_ready = False


def _request_for(frame: Frame, want: Want) -> Request | Status:
    """Return how a frame is asked for, or what is wrong with it before any child sees it."""
    source = frame.source & 0xFF
    if frame.encoded is not None:
        length = len(frame.encoded)
        if not 0 < length <= SLOT_BYTES:
            return Status.TOO_BIG if length else Status.UNREADABLE
        return Request(0, Kind.ENCODED, want, source, 1, 1, 0, 0, length)
    pixels = frame.pixels
    if pixels is None or pixels.dtype.str not in {"|u1", "<u2"} or pixels.ndim not in {2, 3} or pixels.size == 0:
        return Status.UNREADABLE
    height, width, channels = (*pixels.shape, 1)[:3]
    if channels > _MAX_CHANNELS:
        return Status.UNREADABLE
    if pixels.nbytes > SLOT_BYTES:
        return Status.TOO_BIG
    return Request(0, Kind.PIXELS, want, source, pixels.itemsize, channels, width, height, pixels.nbytes)
