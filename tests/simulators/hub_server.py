"""The real hub behind real HTTP, in this process or as a process of its own."""

import http.client
import json
import re
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edge.hub.front import Front
from edge.hub.hub import Hub
from edge.hub.serve import IN_THE_CLEAR, address, listen, make_server


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Caller:
    """One keep-alive connection to a hub.

    Args:
        url: Its address.
        ca_file: What an https hub is held to.
    """

    def __init__(self, url: str, timeout_s: float = 30, *, ca_file: Path | None = None) -> None:
        scheme, _, where = url.partition("://")
        self._connection: http.client.HTTPConnection
        if scheme == "https":
            context = ssl.create_default_context(cafile=ca_file)
            self._connection = http.client.HTTPSConnection(where, timeout=timeout_s, context=context)
        else:
            self._connection = http.client.HTTPConnection(where, timeout=timeout_s)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request and read the whole answer; underscores in header names stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body, named)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())

    def get(self, path: str, **headers: str) -> Answer:
        """Get a path."""
        return self.ask("GET", path, None, **headers)

    def post(self, path: str, body: bytes, **headers: str) -> Answer:
        """Post to a path."""
        return self.ask("POST", path, body, **headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()


@contextmanager
def serving(hub: Hub, front: Front = IN_THE_CLEAR) -> Iterator[str]:
    """Serve an open hub under waitress on a free port and give its address."""
    listening = listen("127.0.0.1", 0)
    url = address(listening, is_secure=front.certificate is not None)
    server = make_server(hub, listening, front)
    thread = threading.Thread(target=server.run, name="hub-http")
    thread.start()
    try:
        yield url
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


class HubProcess:
    """`edge hub serve` as a process on a free port.

    Args:
        path: The hub's folder.
        module: Another program that serves it, at a port of its own choice.
    """

    def __init__(
        self, path: Path, *options: str | Path, port: int = 0, host: str = "127.0.0.1", module: str = ""
    ) -> None:
        served = ["edge", "hub", "serve", str(path), "--host", host, "--port", str(port), *map(str, options)]
        command = [sys.executable, "-m", *([module, str(path)] if module else served)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        found = re.search(r"https?://\S+", said)
        if found is None:
            raise AssertionError(f"the hub did not start: {said}{self.process.communicate(timeout=10)}")
        self.url = found[0]

    def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        self.process.communicate(timeout=20)

    def stop(self) -> tuple[int, str]:
        """Tell it to stop; return its exit code and what it logged."""
        self.process.send_signal(signal.SIGTERM)
        said, logged = self.process.communicate(timeout=20)
        return self.process.returncode, said + logged
