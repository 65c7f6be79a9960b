"""Where a publication is fetched from: an HTTP mirror or a folder (a USB stick, the authority's own disk).

Both carry the same tree and change no rule. Nothing that comes back is believed here; only its size and the time it may
take are bounded. Verifying is left to `edge.trust.workflow`.
"""

import http.client
import os
import socket
import stat
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self
from urllib.parse import SplitResult, unquote, urlsplit

from edge.disk import ca_file
from edge.errors import AnswerRefused, ConfigError, Unreachable

_NOT_FOUND: Final = 404
_OK: Final = 200
_CHUNK: Final = 64 << 10
_MAX_ERROR_BYTES: Final = 64 << 10


class Fetcher(Protocol):
    """Something that holds a publication.

    Promises: returns at most `max_bytes` bytes, within a bounded time, of exactly the file named; follows no pointer
    to anywhere else; raises nothing but `TransportError`.
    """

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Return one file of the publication.

        Args:
            path: Address below the publication's root (`metadata/timestamp.json`), as it stands in a URL: a role or
                target of unusual name is percent-encoded, and no part of it is `..` once decoded.
            max_bytes: Most bytes to take.

        Raises:
            Unreachable: Nobody answered, or not in time.
            AnswerRefused: Something else came back; `status` 404 where there is no such file, 413 where it is longer.
        """


@dataclass(frozen=True, slots=True)
class Way:
    """How an address is reached.

    Attributes:
        timeout_s: Most seconds for one file, from connecting to its last byte.
        total_s: Most seconds for all files together: what verified by then is kept, the next refresh goes on.
        ca_file: PEM file of the certificates an https address is held to; empty: those of the system.
        proxy: HTTP proxy, `http://host:port`; empty: none.
    """

    timeout_s: float = 10.0
    total_s: float = 1800.0
    ca_file: str = ""
    proxy: str = ""


PLAIN: Final = Way()


class HttpFetcher:
    """A publication behind HTTP or HTTPS. One connection is kept for all files of a refresh.

    Args:
        base_url: Address of the publication's root.
        way: How it is reached.

    Raises:
        ConfigError: `base_url` is no http or https address, or the way to it cannot be used.
    """

    def __init__(self, base_url: str, way: Way = PLAIN) -> None:
        parts = _address(base_url, "publication", "Set [trust] url in gate.toml, or enrol the gate again.")
        self._host, self._port = str(parts.hostname), parts.port
        self._authority = parts.netloc
        self._tls = ca_file.context(way.ca_file, "[trust] ca_file") if parts.scheme == "https" else None
        self._prefix = parts.path.rstrip("/")
        self._proxy = _address(way.proxy, "proxy", "Set [trust] proxy in gate.toml.") if way.proxy else None
        self._timeout_s = way.timeout_s
        self._ends_at = time.monotonic() + way.total_s
        self._connection: http.client.HTTPConnection | None = None

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Return one file; see `Fetcher`.

        Raises:
            Unreachable: Nobody answered, or not in time.
            AnswerRefused: Something else came back.
        """
        if time.monotonic() >= self._ends_at:
            raise Unreachable(
                f"The publication at {self._host} takes too long.", "What verified is kept; the next refresh goes on."
            )
        is_reused = self._connection is not None
        try:
            return self._exchange(path, max_bytes)
        except Unreachable:
            # A kept connection may have been closed at the far side meanwhile: one new one.
            if not is_reused:
                raise
            return self._exchange(path, max_bytes)

    def close(self) -> None:
        """Close the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, path: str, max_bytes: int) -> bytes:
        connection, self._connection = self._connection, None
        try:
            connection = connection or self._connected()
            return self._answer(connection, path, max_bytes)
        # A host name that cannot be encoded is a UnicodeError.
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise Unreachable(
                f"The publication at {self._host} did not answer.", "Check the network; the trust in force stays."
            ) from error
        finally:
            if connection is not None and connection is not self._connection:
                connection.close()

    def _answer(self, connection: http.client.HTTPConnection, path: str, max_bytes: int) -> bytes:
        # The socket's own time-out starts again with every byte; a dripping peer is cut off by this one.
        with _Deadline(connection.sock, self._timeout_s) as deadline:
            # A proxy of plain HTTP is asked for the whole address (RFC 9112, 3.2.2).
            whole = f"http://{self._authority}" if self._proxy and self._tls is None else ""
            connection.request("GET", f"{whole}{self._prefix}/{path}", headers={"Accept-Encoding": "identity"})
            # A response that closes its connection owns the socket: it is closed here, whatever comes.
            with connection.getresponse() as response:
                data = _body(response, max_bytes if response.status == _OK else _MAX_ERROR_BYTES)
        if deadline.has_passed:
            # Where no length was announced, a cut looks like the end of the file.
            raise TimeoutError
        if not response.will_close and data is not None:
            self._connection = connection
        # A redirect leads elsewhere, often to a login page: it is an answer like any other wrong one.
        if response.status != _OK:
            raise AnswerRefused(
                f"{self._host} answered with HTTP {response.status} instead of the file.",
                _ELSE,
                status=response.status,
            )
        if data is not None and data.lstrip()[:1] == b"<":
            # Nothing of a publication begins so; a login page that answers for everybody does.
            raise AnswerRefused(f"{self._host} answered with a web page instead of the file.", _ELSE)
        if data is None:
            raise AnswerRefused(f"A file of the publication is longer than {max_bytes} bytes.", _ELSE, status=413)
        return data

    def _connected(self) -> http.client.HTTPConnection:
        host, port = (self._proxy.hostname, self._proxy.port) if self._proxy else (self._host, self._port)
        if self._tls is None:
            connection = http.client.HTTPConnection(str(host), port, timeout=self._timeout_s)
        else:
            connection = http.client.HTTPSConnection(str(host), port, timeout=self._timeout_s, context=self._tls)
            if self._proxy:
                connection.set_tunnel(self._host, self._port)
        connection.connect()
        return connection


def _address(url: str, what: str, next_step: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1 or parts.username is not None:
        raise ConfigError(f"The address of the {what} is not of the form http://host[:port]/path.", next_step)
    return parts


class _Deadline:
    """Shuts a socket down once a time has passed, whatever still drips through it."""

    def __init__(self, peer: socket.socket, seconds: float) -> None:
        self.has_passed = False
        self._peer = peer
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.has_passed = True
        # Closed meanwhile: then there is nothing left to cut.
        with suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)


def _body(response: http.client.HTTPResponse, max_bytes: int) -> bytes | None:
    """Return the body, or None where it is longer than `max_bytes`."""
    received = bytearray()
    while len(received) <= max_bytes:
        chunk = response.read(min(_CHUNK, max_bytes + 1 - len(received)))
        if not chunk:
            if response.length:
                raise http.client.IncompleteRead(bytes(received), response.length)
            return bytes(received)
        received += chunk
    return None


_ELSE: Final = "Check that the address is the authority's publication, and that no login page answers for it."


class FolderFetcher:
    """A publication in a folder: a USB stick or the authority's own disk.

    Args:
        folder: The publication's root.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Return one file; see `Fetcher`.

        Raises:
            Unreachable: The folder cannot be read.
            AnswerRefused: There is no such file, it is longer, or it is no plain file inside the folder.
        """
        # As a web server does it: one tree, one name for each file.
        place = self._folder / unquote(path)
        try:
            self._refuse_outside(unquote(path), place)
            handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise AnswerRefused(self._lacks(path), _STICK, status=_NOT_FOUND) from None
        # A loop of links is a RuntimeError before Python 3.13, a zero byte in a name a ValueError.
        except (OSError, RuntimeError, ValueError) as error:
            raise Unreachable(f"{self._folder} cannot be read.", _STICK) from error
        try:
            return self._read(handle, path, max_bytes)
        finally:
            os.close(handle)

    def _lacks(self, path: str) -> str:
        # The timestamp is written last: a copy that has it once had all the rest.
        torn = " is torn: it" if (self._folder / "metadata" / "timestamp.json").is_file() else ""
        return f"{self._folder}{torn} has no {path}."

    def _refuse_outside(self, name: str, place: Path) -> None:
        if not self._folder.is_dir():
            raise Unreachable(f"{self._folder} is not a folder.", "Insert the stick or name the publication's folder.")
        # A hostile stick may hold links that lead out of it, pipes that never end, or devices.
        # The folder itself may well be named with dots: `../country`.
        if ".." in name.split("/") or not place.parent.resolve().is_relative_to(self._folder.resolve()):
            raise AnswerRefused("A file of the publication lies outside it.", _STICK, status=_NOT_FOUND)

    def _read(self, handle: int, path: str, max_bytes: int) -> bytes:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise AnswerRefused(f"{path} is not a plain file.", _STICK)
        if found.st_size > max_bytes:
            raise AnswerRefused(f"{path} is longer than {max_bytes} bytes.", _STICK, status=413)
        try:
            data = b""
            while len(data) <= max_bytes and (chunk := os.read(handle, max_bytes + 1 - len(data))):
                data += chunk
        except OSError as error:
            raise Unreachable(f"{self._folder} cannot be read: {error.strerror}.", _STICK) from error
        if len(data) > max_bytes:
            raise AnswerRefused(f"{path} is longer than {max_bytes} bytes.", _STICK, status=413)
        return data


_STICK: Final = "Copy the publication again."
