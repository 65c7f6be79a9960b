"""A camera on the network, `url:rtsp://...`: through OpenCV's FFmpeg, over TCP, every wait with an end.

Unlike MJPEG its frames are unpacked here and not in the decoding child: a film has no single pictures to pass on.
"""

import time
from typing import Any
from urllib.parse import urlsplit

from edge.errors import SourceError
from edge.scanner.sources._opencv import opencv
from edge.scanner.sources.base import Frame

SCHEMES = ("rtsp://", "rtsps://")
OPEN_MS, READ_MS = 3000, 2000

_STEP = "Write `url:rtsp://HOST[:PORT]/PATH` in gate.toml."


class RtspStream:
    """An open stream.

    Args:
        capture: OpenCV's capture.
        shown: The far side, for messages.
        source: Number of the source.
    """

    is_live = True
    is_finished = False

    def __init__(self, capture: Any, shown: str, source: int) -> None:
        self._capture = capture
        self._shown = shown
        self._source = source

    def read(self) -> Frame | None:
        """Wait for the next frame, at most two seconds.

        Raises:
            SourceError: The far side closed, or sends nothing any more.
        """
        begun = time.monotonic()
        good, image = self._capture.read()
        if not good or image is None:
            is_late = time.monotonic() - begun >= READ_MS / 1000 / 2
            raise SourceError(
                f"The stream of {self._shown} {'has stalled' if is_late else 'has ended'}.",
                "It is asked again by itself; check the camera and its cable if it stays away.",
                cause="stalled" if is_late else "lost",
            )
        return Frame(time.monotonic_ns(), self._source, pixels=image)

    def close(self) -> None:
        """Hang up."""
        self._capture.release()


def _shown(url: str) -> str:
    """Return host and port of an address, which alone may be shown.

    Raises:
        SourceError: It is no address, or carries a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as broken:
        raise SourceError("The stream's address is not understood.", _STEP, cause="missing") from broken
    if parts.username is not None or parts.password is not None:
        raise SourceError(
            "The stream's address carries a password, and gate.toml is no place for one.",
            "Allow the gate's own address to read the stream without one.",
            cause="denied",
        )
    if not parts.hostname or not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        raise SourceError("The stream's address is not understood.", _STEP, cause="missing")
    return f"{parts.hostname}:{port or 554}"


def open_rtsp(url: str, source: int) -> RtspStream:
    """Open a stream by its address.

    Raises:
        SourceError: Nobody answers there in three seconds, or something that is no stream.
        LibraryMissing: OpenCV does not load.
    """
    shown = _shown(url)
    cv2 = opencv()
    limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, OPEN_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, READ_MS]
    try:
        capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)
        is_open = capture.isOpened()
    except cv2.error as broken:
        raise SourceError(f"{shown} gives no stream.", _STEP, cause="not_a_stream") from broken
    if not is_open:
        capture.release()
        raise SourceError(
            f"{shown} gives no stream.",
            f"Check address and camera: ffplay {url.partition(':')[0]}://{shown}/...",
            cause="unreachable",
        )
    return RtspStream(capture, shown, source)
