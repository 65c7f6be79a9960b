"""Hands every event to the open pages, none of which can hold up another or the gate.

A page that does not read fast enough is dropped, never waited for: it connects again and gets a snapshot. At most a
few pages listen at once, because each holds a thread of the server.
"""

import threading
from collections.abc import Callable
from queue import Empty, Full, Queue

MAX_CLIENTS = 4
"""Pages that may listen at once."""

MAX_STREAMS = 2 * MAX_CLIENTS
"""Threads that streams may hold at once: a dropped page keeps its thread until its socket is known to be gone."""

_DEPTH = 64


class Listener:
    """One open page.

    Args:
        is_gone: Tells whether the page has closed its connection.
        page: The page's own name, empty where it gave none, None for one that watches and paints nothing.
    """

    def __init__(self, is_gone: Callable[[], bool], page: str | None = "") -> None:
        self._queue: Queue[str | None] = Queue(_DEPTH)
        self.is_gone = is_gone
        self.page = page
        self.is_dropped = False

    def put(self, text: str) -> None:
        """Hand it a message, or drop it where it has not read the last ones."""
        try:
            self._queue.put_nowait(text)
        except Full:
            self.drop()

    def drop(self) -> None:
        """End its stream and forget what it was not given, which may hold somebody's name."""
        self.is_dropped = True
        while True:
            try:
                self._queue.get_nowait()
            except Empty:
                break
        self._queue.put_nowait(None)

    def get(self, timeout_s: float) -> str | None:
        """Return the next message, the empty text after `timeout_s` seconds of silence, or None when dropped."""
        try:
            return self._queue.get(timeout=timeout_s)
        except Empty:
            return None if self.is_dropped else ""


class Fanout:
    """The open pages."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Listener] = []
        self._is_closed = False

    def open(self, is_gone: Callable[[], bool], first: str, *, page: str | None = "") -> Listener | None:
        """Admit a page and hand it its snapshot, or return None where too many are open.

        Args:
            is_gone: Tells whether the page has closed its connection.
            first: The message it gets before any other.
            page: As of `Listener`.
        """
        with self._lock:
            live = len(self._live())
            if self._is_closed or live >= MAX_CLIENTS or len(self._listeners) >= MAX_STREAMS:
                return None
            listener = Listener(is_gone, page)
            listener.put(first)
            self._listeners.append(listener)
            return listener

    def leave(self, listener: Listener) -> None:
        """Forget a page whose stream has ended."""
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def publish(self, text: str) -> list[str]:
        """Hand a message to every page and return the names of those that may paint it; never blocks."""
        with self._lock:
            live = self._live()
            for listener in live:
                listener.put(text)
            return [listener.page for listener in live if not listener.is_dropped and listener.page is not None]

    def _live(self) -> list[Listener]:
        # A page that was loaded again a second ago still stands in the list, and sees nothing any more.
        for listener in self._listeners:
            if not listener.is_dropped and listener.is_gone():
                listener.drop()
        return [listener for listener in self._listeners if not listener.is_dropped]

    def close(self) -> None:
        """End every stream and admit no more."""
        with self._lock:
            self._is_closed = True
            for listener in self._listeners:
                listener.drop()

    def count(self) -> int:
        """Return how many pages listen."""
        with self._lock:
            return sum(not listener.is_dropped for listener in self._listeners)
