"""A camera on the network, `url:rtsp://...`: FFmpeg in a child process, over TCP, every wait with an end."""

import socket
from urllib.parse import urlsplit

from edge.errors import SourceError
from edge.scanner.sources._film import Film, Said, open_film
from edge.scanner.sources.base import Frame

SCHEMES = ("rtsp://", "rtsps://")
_CONNECT_S = 2.0

_STEP = "Write `url:rtsp://HOST[:PORT]/PATH` in gate.toml."


class RtspStream:
    """An open stream.

    Args:
        film: What unpacks it.
        shown: The far side, for messages.
    """

    is_live = True
    is_finished = False

    def __init__(self, film: Film, shown: str) -> None:
        self._film = film
        self._shown = shown

    @property
    def child_pid(self) -> int:
        """The process that unpacks it."""
        return self._film.child_pid

    def read(self) -> Frame | None:
        """Wait for the next frame, at most three seconds.

        Raises:
            SourceError: The far side closed, or sends nothing any more, or the child that unpacks it was lost.
        """
        frame = self._film.read()
        if isinstance(frame, Frame):
            return frame
        is_late = frame is Said.STALLED
        raise SourceError(
            f"The stream of {self._shown} {'has stalled' if is_late else 'has ended'}.",
            "It is asked again by itself; check the camera and its cable if it stays away.",
            cause="stalled" if is_late else "lost",
        )

    def close(self) -> None:
        """Hang up."""
        self._film.close()


def _address(url: str) -> tuple[str, int]:
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
    # RFC 7826, 22.1 and 19.2 of it; FFmpeg takes the same where none is given.
    return parts.hostname, port or (554 if url.startswith(SCHEMES[0]) else 322)


def open_rtsp(url: str, source: int) -> RtspStream:
    """Open a stream by its address.

    Raises:
        SourceError: Nobody answers there in a few seconds, or something that is no stream, or that costs the child.
        LibraryMissing: OpenCV does not load.
    """
    host, port = _address(url)
    shown = f"{host}:{port}"
    nobody = SourceError(
        f"{shown} gives no stream.",
        f"Check address and camera: ffplay {url.partition(':')[0]}://{shown}/...",
        cause="unreachable",
    )
    try:
        # A child is started only where somebody answers: a camera that is switched off is asked twice a second.
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except (OSError, UnicodeError) as away:  # UnicodeError: a name that resolvers refuse
        raise nobody from away
    film = open_film(url, shown, source)
    if film is None:
        raise nobody
    return RtspStream(film, shown)
