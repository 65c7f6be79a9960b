"""The sync part's end of `relay.sock`: it takes the scanner part's questions out, because only it has a network.

A question is answered on a thread of its own, a few at a time; what fails is said and forgotten. Live codes are neither
kept nor logged.
"""

import contextlib
import logging
import socket
import threading
from pathlib import Path
from typing import Final

from edge.errors import EdgeError
from edge.relay import operator
from edge.relay.question import MAX_LINE, Question, answer_line, failure_line

_AT_ONCE: Final = 4
_LISTEN_S: Final = 1.0
_LOG: Final = logging.getLogger("edge.relay")


class RelayDesk:
    """Serves `relay.sock` until closed.

    Args:
        path: Where the socket stands; an old one is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._room = threading.Semaphore(_AT_ONCE)
        self._server: socket.socket | None = None
        try:
            self._server = _listening(path)
        except OSError as error:
            # Trust and scans go on without it; live codes are referred as if no operator were named.
            _LOG.warning("%s cannot be made: %s", path, error.strerror)
            return
        threading.Thread(target=self._serve, args=(self._server,), name="relay", daemon=True).start()

    def close(self) -> None:
        """Stop serving and remove the socket."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._path.unlink(missing_ok=True)

    def _serve(self, server: socket.socket) -> None:
        while self._server is not None:
            try:
                peer, _ = server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if not self._room.acquire(blocking=False):
                peer.close()
                continue
            threading.Thread(target=self._answer, args=(peer,), name="relay-asking", daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        try:
            with peer, contextlib.suppress(OSError):
                peer.settimeout(_LISTEN_S)
                peer.sendall(_asked(peer))
        finally:
            self._room.release()


def _asked(peer: socket.socket) -> bytes:
    try:
        with peer.makefile("rb") as stream:
            return answer_line(operator.ask(Question.of(stream.readline(MAX_LINE))))
    except EdgeError as error:
        return failure_line(error.message)


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.bind(str(path))
        path.chmod(0o660)
        server.listen(_AT_ONCE)
    except OSError:
        server.close()
        raise
    server.settimeout(_LISTEN_S)
    return server
