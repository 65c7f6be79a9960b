"""The web part's end of the gate's socket: events in, commands out, connected again for ever.

The far side is our own scanner part, and still nothing it sends may stop the pages: a line that is too long, torn or
not an object is counted and skipped. A scanner part that holds the socket open and says nothing is asked for a
picture; if even that goes unanswered it counts as away. What the messages mean is left to `edge.kiosk.board`.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from edge.errors import Unreachable

MAX_LINE: Final = 64 * 1024
"""Longest line of the protocol, bytes, its newline included (docs/architecture.md)."""

_RETRY_S = 0.25
_PATIENCE_S = 5.0
"""Silence after which the scanner part is asked for a sign of life."""
_SILENCE_S = 10.0
"""Silence after which it counts as away."""
_NEXT_STEP = "Wait until the scanner part runs again; `edge gate run` starts it by itself."


class Lines:
    """Cuts a byte stream into JSON objects and never holds more than one line."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False
        self.junk = 0

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """Take received bytes and return the objects they complete."""
        objects = []
        *complete, rest = (self._rest + chunk).split(b"\n")
        for line in complete:
            if self._skipping:
                self._skipping = False  # the end of a line whose head was too long
                continue
            value = self._parse(line)
            if value is not None:
                objects.append(value)
        if len(rest) >= MAX_LINE:
            self.junk += not self._skipping
            self._skipping, rest = True, b""
        self._rest = b"" if self._skipping else rest
        return objects

    def _parse(self, line: bytes) -> dict[str, Any] | None:
        if len(line) >= MAX_LINE:
            self.junk += 1
            return None
        if not line.strip():
            return None
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):  # deep nesting is junk too
            value = None
        if isinstance(value, dict):
            return value
        self.junk += 1
        return None


class GateLink:
    """A connection to the scanner part that mends itself.

    Args:
        path: The socket, `gate.sock` in the state folder; it need not exist yet.
        on_message: Called with each event, in the order they came, from the link's own thread.
        on_connection: Called with True when events can be expected and False when they cannot.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_message: Callable[[Mapping[str, Any]], None],
        on_connection: Callable[[bool], None],
    ) -> None:
        self._path = path
        self._on_message = on_message
        self._on_connection = on_connection
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._waiting: dict[int, SimpleQueue[dict[str, Any] | None]] = {}
        self._next_id = 1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gate-socket", daemon=True)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Close the connection and end the thread; blocks until it has ended, two seconds at most."""
        self._stopping.set()
        with self._lock:
            if self._socket is not None:
                _shut(self._socket)
        if self._thread.is_alive():
            self._thread.join(timeout=2.0)

    def ask(self, command: Mapping[str, Any], timeout_s: float = 2.0) -> dict[str, Any]:
        """Send a command and return the scanner part's answer.

        Args:
            command: The command without its id.
            timeout_s: How long to wait, seconds.

        Raises:
            Unreachable: It is away, went away, or did not answer in time.
        """
        answer: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        with self._lock:
            ident, self._next_id = self._next_id, self._next_id + 1
            if self._socket is None:
                raise Unreachable("The scanner part is not running.", _NEXT_STEP)
            self._waiting[ident] = answer
            _send(self._socket, {**command, "id": ident})
        try:
            got = answer.get(timeout=timeout_s)
        except Empty:
            raise Unreachable("The scanner part did not answer in time.", _NEXT_STEP) from None
        finally:
            with self._lock:
                self._waiting.pop(ident, None)
        if got is None:
            raise Unreachable("The scanner part went away before it answered.", _NEXT_STEP)
        return got

    def _run(self) -> None:
        while not self._stopping.is_set():
            connection = self._connect()
            if connection is None:
                self._stopping.wait(_RETRY_S)
                continue
            try:
                self._read(connection)
            finally:
                self._drop(connection)
            self._stopping.wait(_RETRY_S)

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(1.0)
        try:
            connection.connect(str(self._path))
        except OSError:  # not there, nobody behind it, path too long: the page says that the part is away
            connection.close()
            return None
        with self._lock:
            self._socket = connection
        return connection

    def _read(self, connection: socket.socket) -> None:
        """Read until the far side is gone; told connected at the first sign of life, not at the handshake."""
        lines, heard, alive, asked = Lines(), time.monotonic(), False, False
        while not self._stopping.is_set():
            silence = time.monotonic() - heard
            if silence >= _SILENCE_S:
                return
            if silence >= _PATIENCE_S and not asked:
                asked = True
                with self._lock:
                    _send(connection, {"id": 0, "cmd": "preview"})
            try:
                chunk = connection.recv(MAX_LINE)
            except TimeoutError:
                continue
            except OSError:
                return
            if not chunk:
                return
            heard, asked = time.monotonic(), False
            for message in lines.feed(chunk):
                alive = self._take(message, alive=alive)

    def _take(self, message: dict[str, Any], *, alive: bool) -> bool:
        if not alive:
            self._on_connection(True)
        ident = message.get("id")
        if type(ident) is int:
            with self._lock:
                waiting = self._waiting.get(ident)
            if waiting is not None:
                waiting.put(message)
        elif isinstance(message.get("type"), str):
            self._on_message(message)
        return True

    def _drop(self, connection: socket.socket) -> None:
        with self._lock:
            self._socket = None
            waiting = list(self._waiting.values())
        connection.close()
        for answer in waiting:
            answer.put(None)
        self._on_connection(False)


def _send(connection: socket.socket, command: Mapping[str, Any]) -> None:
    """Send one line; a connection that fails is shut, and its reader tells everybody who waits."""
    try:
        connection.sendall(json.dumps(command).encode() + b"\n")
    except OSError:
        _shut(connection)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it was shut already
