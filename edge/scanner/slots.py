"""One slot a source between the threads that take frames and the one that reads them.

A live source overwrites its slot, so that a slow decoder always sees the newest frame and never builds a queue. A file
waits until its frame was taken, so that every picture is read once. So does a hand scanner, whose code never comes
again.
"""

import threading
from collections.abc import Callable

from edge.scanner.sources.base import Frame


class Slots:
    """The newest frame of each source.

    Args:
        count: How many sources there are.
    """

    def __init__(self, count: int) -> None:
        self._changed = threading.Condition()
        self._frames: list[Frame | None] = [None] * count
        self._turn = 0
        self._closed = False
        self._newest_ns: int | None = None

    @property
    def newest_ns(self) -> int | None:
        """When the newest frame of any source was taken, monotonic nanoseconds; None before the first."""
        return self._newest_ns

    def put(self, frame: Frame) -> None:
        """Let a frame take the place of the one before it; does not wait."""
        with self._changed:
            self._place(frame)

    def put_after(self, frame: Frame) -> bool:
        """Wait until the frame before it was taken, then place it.

        Returns:
            False if the slots were closed meanwhile; the frame is not read then.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._frames[frame.source] is None)
            if not self._closed:
                self._place(frame)
            return not self._closed

    def beat(self, now_ns: int) -> None:
        """Take note that a source without a frame is alive at a moment of the monotonic clock."""
        with self._changed:
            self._newest_ns = max(now_ns, self._newest_ns or 0)

    def _place(self, frame: Frame) -> None:
        self._frames[frame.source] = frame
        self._newest_ns = max(frame.taken_ns, self._newest_ns or 0)
        self._changed.notify_all()

    def take(self, timeout_s: float) -> Frame | None:
        """Return the next frame, each source in its turn; None if none comes in time or the slots are closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(self._frames), timeout_s)
            return self._next(lambda frame: frame is not None)

    def take_read(self) -> Frame | None:
        """Return the next frame that needs no decoder, its codes were read by a device; does not wait."""
        with self._changed:
            return self._next(lambda frame: frame is not None and frame.symbols is not None)

    def _next(self, is_fit: Callable[[Frame | None], bool]) -> Frame | None:
        count = len(self._frames)
        for step in range(0 if self._closed else count):
            index = (self._turn + step) % count
            if is_fit(frame := self._frames[index]):
                self._frames[index] = None
                self._turn = index + 1
                self._changed.notify_all()
                return frame
        return None

    def close(self) -> None:
        """Wake everybody; nothing is taken any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
