"""A film or a stream of one, unpacked by a child process into memory that both see.

A film has no single pictures that could be passed on untouched, and what unpacks it (FFmpeg, through OpenCV) is a
million lines of C that a stranger's bytes drive. So it runs in a child: what kills or hangs that costs frames, never
the gate.
This is the parent's half, and the words between the two; the child is `_film_child`. Opening a lost source anew is left
to `edge.scanner.capture`.
"""

import contextlib
import importlib
import math
import os
import struct
import time
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from edge.errors import LibraryMissing, SourceError
from edge.scanner.enclosure import shared_slot, small_environment, start_child
from edge.scanner.sources.base import Frame

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

SLOT_BYTES = 64 << 20
MAX_TARGET = 4096
"""Bytes of an address or path."""

OPEN_MS, READ_MS = 3000, 2000
"""What FFmpeg waits for a far side, and the child for FFmpeg to say so."""

MEMORY = 768 << 20
"""Bytes of private memory of the child: a decoder keeps up to sixteen pictures back (H.264, A.3.1)."""

BEAT_S = 0.25
"""The child gives a sign of life this often while it waits or works."""

SILENCE_S = 1.0
"""A child without a sign of life for this long is stopped or stuck; it is then back within three seconds."""

START_S = 15.0
"""As of the decoding child: a loaded gate of the smallest class takes three."""

_GRACE_S = 1.0
"""Over FFmpeg's own time limits: beyond, it hangs."""

MESSAGE = struct.Struct("<BxHHH")
"""What is said, and of a frame its height, width and channels."""

NEXT = b"n"


class Said(IntEnum):
    """What the child says."""

    BEAT = 0
    READY = 1
    ABSENT = 2
    """OpenCV does not load."""
    OPENED = 3
    REFUSED = 4
    """It is no film."""
    FRAME = 5
    ENDED = 6
    STALLED = 7
    """FFmpeg waited in vain."""


@dataclass(frozen=True, slots=True)
class _Heard:
    said: Said
    shape: tuple[int, int, int] = (0, 0, 0)


def _heard(message: bytes) -> _Heard:
    """Read a message of the child.

    Raises:
        ValueError: It is none, or tells of a frame that the slot cannot hold.
        struct.error: It has another length.
    """
    said, height, width, channels = MESSAGE.unpack(message)
    if Said(said) is Said.FRAME and not 0 < height * width * channels <= SLOT_BYTES:
        raise ValueError("a frame of an impossible size")
    return _Heard(Said(said), (height, width, channels))


class Film:
    """A film in its child.

    Args:
        shown: What may be said of where it comes from.
        source: Number of the source.

    Raises:
        SourceError: There is no memory or no process left for the child.
    """

    def __init__(self, shown: str, source: int) -> None:
        self._shown = shown
        self._source = source
        # Here and not above: the part that only moves frames starts without it.
        self._numpy = importlib.import_module("numpy")
        self._file, self._slot = shared_slot("edge-film", SLOT_BYTES)
        try:
            module = "edge.scanner.sources._film_child"
            self._child, self._link = start_child(module, self._file, (), small_environment())
        except OSError as full:
            self._let_go()
            raise SourceError(
                f"No process can be started for {shown}.", "Look at the gate's memory: free -m", cause="failed"
            ) from full

    @property
    def child_pid(self) -> int:
        """The process that unpacks."""
        return self._child.pid

    def open(self, target: str) -> bool:
        """Open an address or a file, at the latest after a few seconds.

        Returns:
            Whether it is a film that can be read.

        Raises:
            SourceError: The child was lost over it.
            LibraryMissing: OpenCV does not load.
        """
        heard = self._hear(START_S, silence_s=START_S)
        if heard.said is Said.ABSENT:
            raise LibraryMissing("OpenCV does not load.", "python3 -m pip install opencv-python-headless")
        # By the socket: what stands among the arguments of a process, the whole machine may read.
        self._say(target.encode(errors="surrogateescape")[:MAX_TARGET])
        return self._hear(2 * OPEN_MS / 1000 + _GRACE_S).said is Said.OPENED

    def read(self) -> Frame | Said:
        """Return the next frame, or why there is none: `ENDED` or `STALLED`.

        Raises:
            SourceError: The child was lost over it.
        """
        self._say(NEXT)
        heard = self._hear(READ_MS / 1000 + _GRACE_S)
        if heard.said is not Said.FRAME:
            return heard.said
        # The child writes to the slot again; a frame is not.
        pixels: npt.NDArray[np.uint8] = self._numpy.frombuffer(self._slot, "u1", math.prod(heard.shape)).copy()
        return Frame(time.monotonic_ns(), self._source, pixels=pixels.reshape(heard.shape))

    def close(self) -> None:
        """End the child and give the memory back. A second time does nothing."""
        self._link.close()
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        self._child.wait()
        self._let_go()

    def _let_go(self) -> None:
        if not self._slot.closed:
            self._slot.close()
            os.close(self._file)

    def _say(self, message: bytes) -> None:
        try:
            self._link.settimeout(SILENCE_S)
            self._link.send(message)
        except OSError as gone:
            raise self._lost() from gone

    def _hear(self, limit_s: float, *, silence_s: float = SILENCE_S) -> _Heard:
        """Return what the child says next, signs of life aside; it is trusted no more than what it unpacks."""
        until = time.monotonic() + limit_s
        try:
            while (left_s := until - time.monotonic()) > 0:
                self._link.settimeout(min(silence_s, left_s))
                heard = _heard(self._link.recv(MESSAGE.size + 1))
                if heard.said is not Said.BEAT:
                    return heard
        except (OSError, ValueError, struct.error) as gone:
            raise self._lost() from gone
        raise self._lost()

    def _lost(self) -> SourceError:
        return SourceError(
            f"What unpacks {self._shown} ended or hung and is started anew.",
            "Nothing to do. If it happens often, look at the camera, or at what answers in its place.",
            cause="child_lost",
        )


def open_film(target: str, shown: str, source: int) -> Film | None:
    """Return a film by its address or file, None where it is none that can be read.

    Raises:
        SourceError: There is no child for it, or it was lost over it.
        LibraryMissing: OpenCV does not load.
    """
    film = Film(shown, source)
    is_open = False
    try:
        is_open = film.open(target)
    finally:
        if not is_open:
            film.close()
    return film if is_open else None
