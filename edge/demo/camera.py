"""The simulated camera: an MJPEG server in a process of its own, told what to show over its standard input.

Each input line is one presentation (`edge.demo.showing.order`), shown after the one before it, or `ENOUGH`. Each output
line is JSON and says what happened: `listening`, `watched` (somebody takes frames), `first` and `last` (the first and
the last frame with something held up, with their times), `dropped` (sent away by `ENOUGH`). It ends with its standard
input. What people show is left to `edge.demo.people`.
"""

import contextlib
import json
import queue
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, TextIO

import cv2

from edge.demo.showing import ENOUGH, FPS, STREAM, ordered
from edge.demo.stage import Dressed, Stage, Wardrobe, encoded

_BOUNDARY: Final = "frame"
_AHEAD: Final = 2
"""Presentations drawn ahead of their turn."""


class Feed:
    """The newest frame, for any number of viewers."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame = b""
        self._number = 0
        self._viewers = 0
        self.watched = threading.Event()

    def put(self, frame: bytes) -> None:
        """Replace the newest frame."""
        with self._changed:
            self._frame = frame
            self._number += 1
            self._changed.notify_all()

    def after(self, number: int) -> tuple[int, bytes]:
        """Return the first frame newer than `number`, waiting for it; a slow viewer skips frames."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > number)
            return self._number, self._frame

    @property
    def is_viewed(self) -> bool:
        """Whether anybody looks now."""
        return self._viewers > 0

    @contextlib.contextmanager
    def viewing(self) -> Any:
        """Count a viewer while it looks."""
        with self._changed:
            self._viewers += 1
        self.watched.set()
        try:
            yield
        finally:
            with self._changed:
                self._viewers -= 1


def server(feed: Feed, port: int) -> ThreadingHTTPServer:
    """Return a server of the feed on the loopback; port 0 takes a free one.

    Raises:
        OSError: The port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        """One viewer."""

        def do_GET(self) -> None:
            if self.path != STREAM:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            number = 0
            with feed.viewing(), contextlib.suppress(ConnectionError):
                while True:
                    number, frame = feed.after(number)
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(frame)}\r\n\r\n"
                    self.wfile.write(head.encode() + frame + b"\r\n")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class names it so
            """Say nothing: the standard output carries the protocol."""

    http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    http.daemon_threads = True
    return http


@dataclass(slots=True)
class _Turn:
    """Somebody's turn before the camera."""

    dressed: Dressed
    begins_at: int
    first_ms: int = 0
    last_ms: int = 0


class Show:
    """Plays presentations one after the other, a frame every 1/15 s.

    Args:
        stage: Draws.
        feed: Takes the frames.
        ready: Presentations drawn and waiting.
        say: Called with each event.
    """

    def __init__(self, stage: Stage, feed: Feed, ready: "queue.Queue[Dressed]", say: Any) -> None:
        self._stage = stage
        self._feed = feed
        self.ready = ready
        self._say = say
        self._turn: _Turn | None = None
        self._free_at = 0
        self.is_enough = threading.Event()
        """Set to send everybody away who has not come yet."""

    @property
    def is_busy(self) -> bool:
        """Whether somebody is there or waits to be."""
        return self._turn is not None or not self.ready.empty()

    def tick(self, tick: int) -> None:
        """Make and give out frame number `tick`."""
        self._next(tick)
        if self.is_enough.is_set():
            self._send_away(tick)
        turn = self._turn
        at_s = (tick - turn.begins_at) / FPS if turn is not None else 0.0
        frame, is_shown = self._stage.frame(tick, turn.dressed if turn is not None else None, at_s)
        picture = encoded(frame)
        now_ms = _wall_ms()
        self._feed.put(picture)
        if turn is not None:
            self._note(turn, tick, at_s, now_ms if is_shown else 0)

    def _next(self, tick: int) -> None:
        if self._turn is not None:
            return
        with contextlib.suppress(queue.Empty):
            dressed = self.ready.get_nowait()
            gap = round(dressed.showing.gap_s * FPS)
            self._turn = _Turn(dressed, max(tick, self._free_at + gap))

    def _send_away(self, tick: int) -> None:
        turn = self._turn
        if turn is not None and tick < turn.begins_at:
            self._say({"is": "dropped", "number": turn.dressed.showing.number})
            self._turn = None
        with contextlib.suppress(queue.Empty):
            while True:
                self._say({"is": "dropped", "number": self.ready.get_nowait().showing.number})

    def _note(self, turn: _Turn, tick: int, at_s: float, shown_ms: int) -> None:
        number = turn.dressed.showing.number
        if shown_ms:
            turn.last_ms = shown_ms
            if not turn.first_ms:
                turn.first_ms = shown_ms
                self._say({"is": "first", "number": number, "wall_ms": shown_ms, "monotonic_ns": time.monotonic_ns()})
        if at_s + 1 / FPS >= turn.dressed.path.duration_s:
            self._say({"is": "last", "number": number, "wall_ms": turn.last_ms, "monotonic_ns": time.monotonic_ns()})
            self._turn = None
            self._free_at = tick


def _wall_ms() -> int:
    # The gate's log carries wall time; presentations are matched with it.
    return int(time.time() * 1000)  # noqa: TID251  # the demo's own record, not a gate's clock


def _obey(lines: TextIO, wardrobe: Wardrobe, show: Show, ended: threading.Event) -> None:
    try:
        for line in lines:
            if line.strip() == ENOUGH:
                show.is_enough.set()
            else:
                show.ready.put(wardrobe.dress(ordered(line)))
    finally:
        ended.set()


def play(seed: int, port: int) -> None:
    """Serve frames until the standard input ends.

    Args:
        seed: Looks, movements and noise follow from it.
        port: Where the stream is served on the loopback; 0 takes a free port.

    Raises:
        OSError: The port is taken.
    """
    cv2.setNumThreads(1)
    said = threading.Lock()

    def say(event: dict[str, Any]) -> None:
        with said:
            print(json.dumps(event), flush=True)

    feed, ended = Feed(), threading.Event()
    http = server(feed, port)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    say({"is": "listening", "port": http.server_address[1]})
    show = Show(Stage(seed), feed, queue.Queue(_AHEAD), say)
    threading.Thread(target=_obey, args=(sys.stdin, Wardrobe(seed), show, ended), daemon=True).start()
    began_s, tick, told = time.monotonic(), 0, False
    while not ended.wait(max(0.0, began_s + tick / FPS - time.monotonic())):
        # Where nobody looks nothing is drawn: the machine has others to start.
        if feed.is_viewed or show.is_busy:
            show.tick(tick)
        if not told and feed.watched.is_set():
            told = True
            say({"is": "watched"})
        # Where the machine was too slow, frames are left out as a camera does; they are never caught up with.
        tick = max(tick + 1, int((time.monotonic() - began_s) * FPS))
    http.shutdown()


if __name__ == "__main__":
    play(int(sys.argv[1]), int(sys.argv[2]))
