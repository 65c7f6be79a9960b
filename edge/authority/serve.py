"""The publication over HTTP, read-only, for demonstrations and small countries; any web server or CDN does as well.

Only files of its three folders are served, by their plain names; there is no listing and nothing to write to.
"""

import errno
import logging
import re
import socket
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import waitress

from edge.errors import AnswerRefused, PortInUse, SetupError, TransportError
from edge.trust.fetchers import FolderFetcher

_FILE: Final = re.compile(r"/((?:metadata|targets|log)(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}){1,6})")
_RANGE: Final = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")
_MOVING: Final = frozenset({"metadata/timestamp.json", "log/entries.ndjson", "log/checkpoint"})
"""Every other file has a version or a hash in its name and never changes."""
_MAX_BYTES: Final = 32 << 20
_THREADS: Final = 8
_OK: Final = "200 OK"
_PARTIAL: Final = "206 Partial Content"
_NOT_MODIFIED: Final = "304 Not Modified"
_NOT_FOUND: Final = "404 Not Found"
_UNSATISFIABLE: Final = "416 Range Not Satisfiable"
_METHODS: Final = ("GET", "HEAD")
_BINARY: Final = "application/octet-stream"

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def application(publication: Path) -> Application:
    """Return the WSGI application that serves a publication's folder."""
    fetcher = FolderFetcher(publication)

    def serve_file(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = str(environ["PATH_INFO"]).removeprefix("/")
        status, body = _answer(fetcher, environ)
        headers = [
            ("Content-Type", "application/json" if path.endswith(".json") else _BINARY),
            ("X-Content-Type-Options", "nosniff"),
            (
                "Cache-Control",
                "no-cache" if status != _OK or path in _MOVING else "public, max-age=31536000, immutable",
            ),
        ]
        if status == _OK:
            status, body, more = _selected(environ, body)
            headers += more
        headers.append(("Content-Length", str(len(body))))
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return serve_file


def _selected(environ: Environ, body: bytes) -> tuple[str, bytes, list[tuple[str, str]]]:
    """Return status, body and headers for what a conditional or range request wants of a file (RFC 9110, 13 and 14)."""
    tag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = [("ETag", tag), ("Accept-Ranges", "bytes")]
    if tag in (known.strip().removeprefix("W/") for known in str(environ.get("HTTP_IF_NONE_MATCH", "")).split(",")):
        return _NOT_MODIFIED, b"", headers
    # 14.2: a range whose file has changed since, of another unit or of several parts, is answered with the whole.
    asked = _RANGE.fullmatch(str(environ.get("HTTP_RANGE", "")))
    if asked is None or environ.get("HTTP_IF_RANGE", tag) != tag:
        return _OK, body, headers
    first, last = int(asked[1]), min(int(asked[2] or len(body)), len(body) - 1)
    if first > last:
        return _UNSATISFIABLE, b"", [*headers, ("Content-Range", f"bytes */{len(body)}")]
    headers.append(("Content-Range", f"bytes {first}-{last}/{len(body)}"))
    return _PARTIAL, body[first : last + 1], headers


def _answer(fetcher: FolderFetcher, environ: Environ) -> tuple[str, bytes]:
    if environ["REQUEST_METHOD"] not in _METHODS:
        return "405 Method Not Allowed", b""
    asked = _FILE.fullmatch(str(environ["PATH_INFO"]))
    if asked is None:
        return _NOT_FOUND, b""
    try:
        return _OK, fetcher.fetch(asked[1], _MAX_BYTES)
    except AnswerRefused:
        return _NOT_FOUND, b""
    except TransportError:
        return "503 Service Unavailable", b""


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host` and `port`; port 0 takes a free one.

    Raises:
        PortInUse: Somebody else listens there.
        SetupError: The address is not one of this machine.
    """
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Something else listens on {host}:{port}.", f"Stop it, or take another port: --port {port + 1}"
            ) from error
        raise SetupError(
            f"{host}:{port} cannot be listened on: {error.strerror}.", "Check --host and --port."
        ) from error


def run(publication: Path, listener: socket.socket) -> None:
    """Serve until interrupted; blocks.

    Args:
        publication: The folder to serve.
        listener: As `bind` gives it; closed at the end.
    """
    # A queue of one is no news to whoever started this; requests wait their turn.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = waitress.create_server(application(publication), sockets=[listener], threads=_THREADS, ident="edge")
    try:
        server.run()
    finally:
        server.close()
