"""The scanner of a gate: its sources, decoder and steady rule behind five questions.

`presentations` is the line's clock: it waits for the next frame and returns the codes presented anew in it. Everything
else may be asked from any thread. What a code means is left to `edge.credentials` and those below it.
"""

import time

from edge.model.finding import Finding
from edge.model.settings import ScannerSettings
from edge.model.symbol import Symbol
from edge.scanner.capture import Capture
from edge.scanner.conditions import Conditions
from edge.scanner.decode import Decoder, Limits, Reading, engine_of
from edge.scanner.handover import Status, Want
from edge.scanner.slots import Slots
from edge.scanner.sources.base import Frame
from edge.scanner.steady import Steady

_MS = 1_000_000
LOOK_NS = 1_000 * _MS
"""Between two looks at what the frames of a camera are like."""

PREVIEW_NS = 200 * _MS
"""Between two previews: five a second at most."""

PREVIEW_WANTED_NS = 2_000 * _MS
"""Previews are made for this long after they were last asked for."""

PREVIEW_STALE_NS = 1_500 * _MS

_UNREAD = {
    Status.UNREADABLE: "is no picture, or a damaged one.",
    Status.TOO_BIG: "is too big: 32 megapixels are read at most.",
    Status.LOST: "could not be read: the decoder took too long or ended over it.",
    Status.ABSENT: "could not be read: the decoder does not start.",
}
"""What became of a picture file that was not read, by status."""

_CLOSE_S = 3.0
_ABSENT_S = 0.05
"""Without a decoder the line is not kept in a busy loop."""


class Scanner:
    """Sees and reads.

    Args:
        settings: Sources, size, rate and limits.

    Raises:
        ConfigError: A source is of an unknown kind.
    """

    def __init__(self, settings: ScannerSettings) -> None:
        count = len(settings.sources)
        self._slots = Slots(count)
        self._captures = [Capture(spec, n, settings, self._slots) for n, spec in enumerate(settings.sources)]
        limits = Limits(settings.watchdog_s, retry_s=settings.retry_ms / 1_000)
        self._decoder = Decoder(limits, second_engine_every=settings.second_engine_every, engine=engine_of(settings))
        self._steady = Steady(settings.same_code_s)
        self._conditions = Conditions(count)
        self._looked_ns = [0] * count
        self._wanted_ns = 0
        self.in_view: tuple[Symbol, ...] = ()
        """Every code of the frame `presentations` last looked at, those held up since earlier included."""
        self._preview: tuple[int, bytes] = (0, b"")

    def start(self) -> None:
        """Start the decoder and open the sources; waits for neither. A source that is away is a finding.

        Raises:
            LibraryMissing: A decoder is not installed.
        """
        self._decoder.start()
        for capture in self._captures:
            capture.start()

    def presentations(self, timeout_s: float) -> list[Symbol]:
        """Return the codes presented anew in the next frame, nearest its centre first; empty where there are none.

        One thread asks. A frame that hangs the decoder takes `watchdog_s` besides, and is empty.

        Args:
            timeout_s: How long to wait for a frame.
        """
        # A frame waits for a decoder that starts: a picture of a file is not lost to it, a camera's is overwritten.
        is_ready = self._decoder.is_ready(timeout_s)
        frame = self._slots.take(timeout_s) if is_ready else self._slots.take_read()
        if frame is None:
            time.sleep(0 if is_ready else min(timeout_s, _ABSENT_S))
            return []
        self.in_view = self._read(frame) if frame.symbols is None else frame.symbols
        found = self._steady.presentations(self.in_view, frame.taken_ns)
        self._conditions.count(frame.source, len(found))
        return found

    def _read(self, frame: Frame) -> tuple[Symbol, ...]:
        want = self._want(frame, time.monotonic_ns())
        reading = self._decoder.read(frame, want)
        self._note(frame, reading, want)
        return reading.symbols

    def _want(self, frame: Frame, now_ns: int) -> Want:
        want = Want.STILL if frame.is_still else Want.NOTHING
        if now_ns - self._looked_ns[frame.source] >= LOOK_NS:
            want |= Want.LOOK
        asked = self._wanted_ns and now_ns - self._wanted_ns < PREVIEW_WANTED_NS
        if asked and now_ns - self._preview[0] >= PREVIEW_NS:
            want |= Want.PREVIEW
        return want

    def _note(self, frame: Frame, reading: Reading, want: Want) -> None:
        now_ns = time.monotonic_ns()
        if want & Want.LOOK and reading.look is not None:
            self._looked_ns[frame.source] = now_ns
        if reading.preview:
            self._preview = (now_ns, reading.preview)
        if frame.name and reading.status in _UNREAD:
            self._captures[frame.source].say_unread(f"{frame.name} {_UNREAD[reading.status]}")
        self._conditions.note(frame.source, reading)

    def findings(self) -> list[Finding]:
        """Return what is wrong with seeing now, most urgent first; empty where all is well."""
        now_ns = time.monotonic_ns()
        states = [capture.state(now_ns) for capture in self._captures]
        return self._conditions.findings(states, self._decoder.health, now_ns)

    def preview(self) -> bytes | None:
        """Return a small JPEG of what the camera sees; does not wait.

        Previews are made only while somebody asks, five a second at most: the first question gets None.
        """
        now_ns = time.monotonic_ns()
        self._wanted_ns = now_ns
        made_ns, jpeg = self._preview
        return jpeg if jpeg and now_ns - made_ns < PREVIEW_STALE_NS else None

    def frame_age_ms(self) -> float | None:
        """Return how old the newest frame of any source is, milliseconds; None before the first."""
        newest_ns = self._slots.newest_ns
        return None if newest_ns is None else (time.monotonic_ns() - newest_ns) / _MS

    def close(self) -> None:
        """End the threads and the decoder, at the latest after a few seconds. A second time does nothing."""
        self._slots.close()
        for capture in self._captures:
            capture.stop()
        for capture in self._captures:
            capture.join(_CLOSE_S)
        self._decoder.close()
