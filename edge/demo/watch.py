"""What the demo sees of the gate: the events of its page, as a browser gets them, and what its sync part writes.

Only what any visitor of the page and the gate's own user may see; nothing of it goes back to the gate.
"""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_RETRY_S: Final = 0.3
_SILENCE_S: Final = 20.0
"""The page's stream says something every five seconds."""


@dataclass(frozen=True, slots=True)
class Link:
    """The gate's own view of its way to the hub.

    Attributes:
        state: `online`, `offline` or `never`.
        backlog: Entries that wait.
        refreshed_ms: When trust was last refreshed, Unix milliseconds, 0 for never.
    """

    state: str = "never"
    backlog: int = 0
    refreshed_ms: int = 0


def link_of(state: Path) -> Link:
    """Return what the sync part says in a gate's state folder (docs/architecture.md, `link.json`)."""
    try:
        said = json.loads((state / "link.json").read_bytes())
        return Link(str(said["link"]), int(said["backlog"]), int(said.get("last_refresh_ms") or 0))
    except (OSError, ValueError, KeyError, TypeError):
        return Link()


@dataclass(slots=True)
class Page:
    """What the gate's page was told.

    Attributes:
        state: The latest state.
        verdicts: Every verdict.
    """

    state: dict[str, Any] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take an event of the page's stream."""
        if event.get("type") == "snapshot":
            self.take(event.get("state") or {})
        elif event.get("type") == "state":
            self.state = dict(event)
        elif event.get("type") == "verdict":
            self.verdicts.append(dict(event))

    @property
    def is_ready(self) -> bool:
        """Whether the gate says that it can admit people: trust, log and frames are there."""
        return self.state.get("connected") is True and self.state.get("admitting") is True


class PageWatcher:
    """Listens to a gate page's events in a thread of its own, and again when the stream breaks.

    Args:
        port: The page's port on the loopback.
        on_event: Called in that thread with every event.
    """

    def __init__(self, port: int, on_event: Callable[[dict[str, Any]], None]) -> None:
        self._port = port
        self._on_event = on_event
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="page", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; returns at once."""
        self._stopping.set()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                for event in events_of(self._port):
                    if self._stopping.is_set():
                        return
                    self._on_event(event)
            time.sleep(_RETRY_S)


def events_of(port: int) -> Iterator[dict[str, Any]]:
    """Give the events of the page at a port until its stream ends.

    Raises:
        OSError: Nobody answers, or nothing came for longer than the page's heartbeat.
        http.client.HTTPException: The answer is no stream.
        ValueError: An event is no JSON.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SILENCE_S)
    try:
        connection.request("GET", "/events?paints=no", headers={"Accept": "text/event-stream"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise http.client.HTTPException(f"the page answers {answer.status}")
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
    finally:
        connection.close()


def is_answering(port: int, path: str = "/healthz") -> bool:
    """Whether a server on the loopback answers a request without an error of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1.0)
    try:
        connection.request("GET", path)
        answered: bool = connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    else:
        return answered
    finally:
        connection.close()
