"""A camera on the network, `url:http://.../stream.mjpg`: multipart MJPEG over HTTP. RTSP is left to `_rtsp`.

The reader is written by hand because a gate needs what a client library does not promise: every wait has an end, a
server that drips bytes is noticed as well as a silent one, and no answer of any shape takes more than a few megabytes.
It asks in HTTP/1.0, so that no server answers in chunks. The pictures are passed on undecoded.
"""

import socket
import ssl
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge.errors import SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources._multipart import Parts, boundary_of
from edge.scanner.sources._rtsp import SCHEMES, RtspStream, open_rtsp
from edge.scanner.sources.base import Frame

CONNECT_S = 2.0
ANSWER_S = 3.0
"""From the connection to the end of the answer's headers."""
WAIT_S = 0.5
"""One `read` waits this long for a picture before it says that there is none yet."""
STALL_S = 2.0
"""Without a byte for this long the stream is lost."""
PART_S = 5.0
"""Without a whole picture for this long the stream is lost, however busily it drips."""

_MAX_HEAD = 16 << 10
_READ = 64 << 10


@dataclass(frozen=True, slots=True)
class _Address:
    host: str
    port: int
    path: str
    tls: bool

    @property
    def shown(self) -> str:
        """Host and port; a path or query may carry a password."""
        return f"{self.host}:{self.port}"


def _address_of(url: str) -> _Address:
    """Take an address apart.

    Raises:
        SourceError: It is not one of a stream, or carries a password.
    """
    wrong = SourceError(
        "The stream's address is not understood.",
        "Write `url:http://HOST[:PORT]/PATH`, or rtsp://, in gate.toml.",
        cause="missing",
    )
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError as broken:  # UnicodeError is one
        raise wrong from broken
    if parts.scheme not in {"http", "https"} or not host:
        raise wrong
    if parts.username is not None or parts.password is not None:
        raise SourceError(
            "The stream's address carries a password, and gate.toml is no place for one.",
            "Allow the gate's own address to read the stream without one.",
            cause="denied",
        )
    tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or any(char.isspace() or not char.isprintable() for char in path):
        raise wrong
    return _Address(host, port or (443 if tls else 80), path, tls)


class Stream:
    """An open stream.

    Args:
        link: The connection, its headers read.
        parts: The cutter, fed with what followed the headers.
        early: Pictures that came with the headers.
        shown: The far side, for messages.
        source: Number of the source.
    """

    is_live = True
    is_finished = False

    def __init__(self, link: socket.socket, parts: Parts, early: list[bytes], shown: str, source: int) -> None:
        self._link = link
        self._parts = parts
        self._early = early
        self._shown = shown
        self._source = source
        self._heard = self._whole = time.monotonic()

    def read(self) -> Frame | None:
        """Return the newest whole picture; None if none came within half a second.

        Raises:
            SourceError: The far side closed, stalled, or sends something else.
        """
        until = time.monotonic() + WAIT_S
        pictures, self._early = self._early, []
        while not pictures:
            now = time.monotonic()
            if now - self._heard > STALL_S or now - self._whole > PART_S:
                raise SourceError(
                    f"The stream of {self._shown} has stalled.", "Check the camera and its cable.", cause="stalled"
                )
            if now >= until:
                return None
            pictures = self._take(until - now)
        self._whole = time.monotonic()
        return Frame(time.monotonic_ns(), self._source, encoded=pictures[-1])

    def _take(self, wait_s: float) -> list[bytes]:
        self._link.settimeout(max(wait_s, 0.01))
        try:
            data = self._link.recv(_READ)
        except TimeoutError:
            return []
        except OSError as broken:
            raise _lost(self._shown) from broken
        if not data:
            raise _lost(self._shown)
        self._heard = time.monotonic()
        pictures = self._parts.feed(data)
        if self._parts.is_ended and not pictures:
            raise _lost(self._shown)
        return pictures

    def close(self) -> None:
        """Hang up."""
        self._link.close()


def _lost(shown: str) -> SourceError:
    return SourceError(f"{shown} ended the stream.", "It is asked again by itself; check the camera if it stays away.")


def _connect(address: _Address) -> socket.socket:
    """Return a connection, encrypted where the address says so.

    Raises:
        SourceError: Nobody answers there, or its certificate is not trusted.
    """
    try:
        link = socket.create_connection((address.host, address.port), timeout=CONNECT_S)
    except (OSError, UnicodeError) as away:  # UnicodeError: a name that resolvers refuse
        raise SourceError(
            f"No camera answers at {address.shown}.", f"ping {address.host}", cause="unreachable"
        ) from away
    try:
        link.settimeout(CONNECT_S)
        if address.tls:
            return ssl.create_default_context().wrap_socket(link, server_hostname=address.host)
    except (OSError, ValueError) as refused:
        link.close()
        raise SourceError(
            f"The connection to {address.shown} cannot be made safe.",
            "Install the camera's certificate, or use http on the gate's own network.",
            cause="unreachable",
        ) from refused
    return link


def _answer(link: socket.socket, address: _Address) -> tuple[str, bytes]:
    """Ask for the stream and return its Content-Type and what followed the headers.

    Raises:
        SourceError: No answer in time, or none that is HTTP with a stream.
    """
    host = f"[{address.host}]" if ":" in address.host else address.host
    ask = f"GET {address.path} HTTP/1.0\r\nHost: {host}:{address.port}\r\nAccept: multipart/x-mixed-replace\r\n\r\n"
    until = time.monotonic() + ANSWER_S
    buffer = bytearray()
    try:
        link.sendall(ask.encode())
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            if len(buffer) > _MAX_HEAD:
                raise SourceError(
                    f"{address.shown} does not answer as a camera does.", "Check the address.", cause="not_a_stream"
                )
            data = _more(link, until)
            if not data:
                raise _lost(address.shown)
            buffer += data
    except TimeoutError as silent:
        raise SourceError(f"{address.shown} does not answer.", "Check the camera.", cause="stalled") from silent
    except OSError as broken:
        raise _lost(address.shown) from broken
    return _content_type(bytes(buffer[:end]), address), bytes(buffer[end + 4 :])


def _more(link: socket.socket, until: float) -> bytes:
    """Return the next bytes before a moment of the monotonic clock; empty at the end.

    Raises:
        TimeoutError: None came, or too little at a time.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    link.settimeout(left)
    return link.recv(_READ)


def _content_type(head: bytes, address: _Address) -> str:
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/") or not (status.isascii() and status.isdecimal()):
        raise SourceError(f"{address.shown} does not speak HTTP.", "Check the address.", cause="not_a_stream")
    if status != "200":
        step = "Allow the gate to read it." if status in {"401", "403"} else "Check the address of the stream."
        cause = "denied" if status in {"401", "403"} else "not_a_stream"
        raise SourceError(f"{address.shown} refuses the stream ({status}).", step, cause=cause)
    fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    if any(name == "transfer-encoding" for name, _ in fields):
        raise SourceError(
            f"{address.shown} sends chunks although it was asked in HTTP/1.0.",
            "Switch chunked transfer off in the camera.",
            cause="not_a_stream",
        )
    return next((value for name, value in fields if name == "content-type"), "")


def open_source(target: str, source: int, _settings: ScannerSettings) -> Stream | RtspStream:
    """Open a stream by its address.

    Raises:
        SourceError: Nobody answers there, or something that is not a stream.
        LibraryMissing: OpenCV, which reads RTSP, does not load.
    """
    if target.startswith(SCHEMES):
        return open_rtsp(target, source)
    address = _address_of(target)
    link = _connect(address)
    try:
        content_type, rest = _answer(link, address)
        parts = Parts(boundary_of(content_type))
        early = parts.feed(rest)
    except SourceError:
        link.close()
        raise
    return Stream(link, parts, early, address.shown, source)
