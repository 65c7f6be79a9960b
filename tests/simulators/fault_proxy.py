"""A way to the hub that fails as asked: an HTTP proxy on loopback that drops, stalls, halves, doubles and invents.

It stands in front of a real hub. Each request meets the fault that is set; without one it goes through. Requests that
go through are counted by path, and their answers remembered, to be given again at the wrong moment.
"""

import http.client
import socketserver
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

_MOST_S = 20.0


@dataclass(frozen=True)
class Fault:
    """What happens to a request.

    Attributes:
        forwards: How often the hub gets it.
        answer: What is sent back, made of what the hub answered (empty where it was not asked); None sends nothing.
        is_held: Whether the connection then stays open, without another word.
        is_late: Whether the hub gets it only after the next request that goes through.
    """

    forwards: int = 0
    answer: Callable[[bytes], Iterable[bytes]] | None = None
    is_held: bool = False
    is_late: bool = False


DROP = Fault()
LOSE = Fault(forwards=1)
STALL = Fault(is_held=True)
STALL_AFTERWARDS = Fault(forwards=1, is_held=True)
HALF = Fault(1, lambda whole: [whole[: len(whole) // 2]])
STALL_MID_BODY = Fault(1, lambda whole: [whole[:-5]], is_held=True)
TWICE = Fault(2, lambda whole: [whole])
LATE = Fault(is_late=True)


def answering(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> Fault:
    """Return the fault of a stranger who answers in the hub's place.

    Args:
        status: Status and reason.
        body: The body.
        headers: More lines.
        length: A `Content-Length` that is not the body's.
    """
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers, "", ""]
    whole = "\r\n".join(lines).encode() + body
    return Fault(0, lambda _: [whole])


def saying(*pieces: bytes) -> Fault:
    """Return the fault of somebody who answers these bytes, whatever they are."""
    return Fault(0, lambda _: pieces)


def without_end(begin: bytes, piece: bytes) -> Fault:
    """Return the fault of an answer that goes on until the far side hangs up."""

    def pieces(_: bytes) -> Iterable[bytes]:
        yield begin
        while True:
            yield piece

    return Fault(0, pieces)


class FaultProxy:
    """The proxy; `url` is its address.

    Args:
        upstream: Address of the hub.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.removeprefix("http://")
        self.path = ""
        """Only requests to paths that begin so meet the fault."""
        self.always: Fault | None = None
        self.next: deque[Fault] = deque()
        self.requests: Counter[str] = Counter()
        self.answers: dict[str, bytes] = {}
        """The last true answer by path, to be replayed."""
        self.late: list[tuple[str, bytes, str]] = []
        self.over = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def heal(self) -> None:
        """Let everything through."""
        self.always = None
        self.next.clear()
        self.over.set()
        self.over = threading.Event()

    def fault_for(self, path: str) -> Fault | None:
        """Return the fault of this request."""
        if not path.startswith(self.path):
            return None
        return self.next.popleft() if self.next else self.always

    def forward(self, path: str, body: bytes, media_type: str) -> bytes:
        """Ask the hub and return its whole answer."""
        self.requests[path] += 1
        connection = http.client.HTTPConnection(self.upstream, timeout=_MOST_S)
        try:
            connection.request("POST", path, body, {"Content-Type": media_type})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        kept = [f"{name}: {value}" for name, value in answer.getheaders() if name in {"Content-Type", "Retry-After"}]
        head = [f"HTTP/1.1 {answer.status} {answer.reason}", f"Content-Length: {len(content)}", *kept, "", ""]
        whole = "\r\n".join(head).encode() + content
        if answer.status == http.HTTPStatus.OK:
            self.answers[path] = whole
        return whole

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A gate that hung up is nothing to print."""


class _Connection(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        """Serve requests until one of them ends the connection."""
        with suppress(OSError):
            while (asked := self._request()) and self._served(*asked):
                pass

    def _request(self) -> tuple[str, bytes, str] | None:
        line = self.rfile.readline(4096).split()
        if len(line) != 3:
            return None
        headers = http.client.parse_headers(self.rfile)
        body = self.rfile.read(int(headers.get("Content-Length", "0")))
        return line[1].decode(), body, headers.get("Content-Type", "")

    def _served(self, path: str, body: bytes, media_type: str) -> bool:
        proxy = self.server.proxy
        fault = proxy.fault_for(path)
        if fault is None:
            self.wfile.write(proxy.forward(path, body, media_type))
            while proxy.late:
                proxy.forward(*proxy.late.pop(0))
            return True
        if fault.is_late:
            proxy.late.append((path, body, media_type))
            return False
        answer = b""
        for _ in range(fault.forwards):
            answer = proxy.forward(path, body, media_type)
        for piece in fault.answer(answer) if fault.answer is not None else ():
            self.wfile.write(piece)
        if fault.is_held:
            self._hold(proxy.over)
        return False

    def _hold(self, over: threading.Event) -> None:
        # Until the test goes on, or the gate hangs up.
        self.connection.settimeout(0.05)
        while not over.is_set():
            with suppress(TimeoutError):
                if not self.connection.recv(1):
                    return
