"""The gate's Unix socket: events out to every part that listens, commands in, one JSON object a line.

One thread owns every connection. A listener that does not read is dropped, never waited for; commands are handed to the
line's thread, which answers when no person is being served.
"""

import contextlib
import json
import queue
import selectors
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edge.errors import SetupError

MAX_LINE: Final = 64 * 1024
_MAX_WAITING: Final = 1024 * 1024
"""Bytes a listener may leave unread before it is dropped."""
_MAX_LISTENERS: Final = 16
_MAX_COMMANDS: Final = 64
_PATH_BYTES: Final = 107
"""Longest path of a Unix socket (sockaddr_un, less its final zero)."""


@dataclass(slots=True)
class _Listener:
    sock: socket.socket
    unread: bytearray = field(default_factory=bytearray)
    unsent: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Command:
    """One command and the way to answer it.

    Attributes:
        body: The JSON object as received.
        answer: Called once with the answer; may be called from any thread.
    """

    body: dict[str, Any]
    answer: Callable[[dict[str, Any]], None]


class Bus:
    """The socket of one gate.

    Args:
        path: Where the socket stands; an old one is replaced.

    Raises:
        SetupError: The socket cannot be made there.
    """

    def __init__(self, path: Path) -> None:
        if len(bytes(path)) > _PATH_BYTES:
            raise SetupError(
                f"The state folder's path is too long for a Unix socket: {path.parent}.",
                "Choose a shorter one: state = ... in gate.toml (at most 90 characters).",
            )
        self._path = path
        self.commands: queue.Queue[Command] = queue.Queue(_MAX_COMMANDS)
        self._listeners: dict[int, _Listener] = {}
        self._state = b""
        self._lock = threading.Lock()
        self._outbox: list[tuple[int | None, bytes]] = []
        self._waker, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._server = _listen(path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._server, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def publish(self, event: dict[str, Any]) -> None:
        """Send an event to every listener; never blocks. The newest state also greets later listeners."""
        line = _line(event)
        if event.get("type") == "state":
            self._state = line
        self._send(None, line)

    def close(self) -> None:
        """Stop serving and remove the socket."""
        self._stopping = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join(2.0)
        for number in list(self._listeners):
            self._drop(number)
        self._selector.close()
        self._server.close()
        self._waker.close()
        self._woken.close()
        self._path.unlink(missing_ok=True)

    def _send(self, number: int | None, line: bytes) -> None:
        with self._lock:
            self._outbox.append((number, line))
        self._wake()

    def _wake(self) -> None:
        # A full pair means that the thread has not looked yet: it will.
        with contextlib.suppress(OSError):
            self._waker.send(b"\0", socket.MSG_DONTWAIT)

    def _run(self) -> None:
        while not self._stopping:
            for key, events in self._selector.select(1.0):
                if key.fileobj is self._server:
                    self._accept()
                elif key.fileobj is self._woken:
                    self._deliver()
                else:
                    self._serve(key.fd, events)

    def _accept(self) -> None:
        try:
            sock, _ = self._server.accept()
        except OSError:
            return
        if len(self._listeners) >= _MAX_LISTENERS:
            sock.close()
            return
        sock.setblocking(False)
        number = sock.fileno()
        self._listeners[number] = _Listener(sock)
        self._selector.register(sock, selectors.EVENT_READ)
        if self._state:
            self._queue(number, self._state)

    def _deliver(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._woken.recv(4096):
                pass
        with self._lock:
            outbox, self._outbox = self._outbox, []
        for number, line in outbox:
            for listener in [number] if number is not None else list(self._listeners):
                self._queue(listener, line)

    def _queue(self, number: int, line: bytes) -> None:
        listener = self._listeners.get(number)
        if listener is None:
            return
        listener.unsent += line
        if len(listener.unsent) > _MAX_WAITING:
            self._drop(number)
        else:
            self._flush(number, listener)

    def _flush(self, number: int, listener: _Listener) -> None:
        try:
            sent = listener.sock.send(listener.unsent)
            del listener.unsent[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(number)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if listener.unsent else 0)
        self._selector.modify(listener.sock, wanted)

    def _serve(self, number: int, events: int) -> None:
        listener = self._listeners.get(number)
        if listener is None:
            return
        if events & selectors.EVENT_WRITE:
            self._flush(number, listener)
        if not events & selectors.EVENT_READ or number not in self._listeners:
            return
        try:
            received = listener.sock.recv(MAX_LINE)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        listener.unread += received
        if not received or not self._read_lines(number, listener):
            self._drop(number)

    def _read_lines(self, number: int, listener: _Listener) -> bool:
        while (end := listener.unread.find(b"\n")) >= 0:
            line = bytes(listener.unread[:end])
            del listener.unread[: end + 1]
            self._command(number, line)
        return len(listener.unread) <= MAX_LINE

    def _command(self, number: int, line: bytes) -> None:
        try:
            body = json.loads(line)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            self._queue(number, _line({"id": None, "ok": False, "code": "malformed", "message": "no JSON object"}))
            return
        asked = body.get("id")
        asked = asked if isinstance(asked, int) else None

        def answer(content: dict[str, Any]) -> None:
            self._send(number, _line({"id": asked, **content}))

        try:
            self.commands.put_nowait(Command(body, answer))
        except queue.Full:
            answer({"ok": False, "code": "busy", "message": "too many commands wait"})

    def _drop(self, number: int) -> None:
        listener = self._listeners.pop(number, None)
        if listener is not None:
            self._selector.unregister(listener.sock)
            listener.sock.close()


def _line(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _listen(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        server.bind(str(path))
        path.chmod(0o660)
        server.listen(8)
    except OSError as error:
        server.close()
        raise SetupError(
            f"The gate's socket {path} cannot be made: {error.strerror}.", "Check the state folder's permissions."
        ) from error
    server.setblocking(False)
    return server
