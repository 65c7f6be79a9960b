"""One thread a source: opens it, takes its frames at the configured rate and opens it anew when it is lost.

Whatever a source does, the thread goes on and says what is wrong; it raises nothing. Which frames are read is settled
in `edge.scanner.slots`, the wording of a finding in `edge.words`.
"""

import logging
import threading
import time
from dataclasses import dataclass

from edge.errors import EdgeError, SetupError, SourceError
from edge.model.finding import Finding
from edge.model.settings import ScannerSettings
from edge.scanner.slots import Slots
from edge.scanner.sources.base import Frame, Source, label, opener, split_spec

RETRY_S = 0.5
"""Between attempts to open a lost source: with a connection's two seconds it is back within three of its return."""

SILENT_NS = 3_000_000_000
"""An open source without a frame for this long has stalled."""

WAITING_NS = 2_000_000_000
"""A folder that had no new picture for this long has been read to its end."""

NAMED = 5
"""Pictures that cannot be read which are named one by one; further ones are counted."""

AGAIN_S = 60.0
"""The same about a lost source is said at most this often."""
NOTE_SHOWN_NS = 10_000_000_000
"""What a source says about itself is shown for this long after it last said it."""

_READY_KINDS = frozenset({"hid", "serial", "stdin"})
"""Built-in kinds that give codes; of a stranger it is known when its first frame came."""

_IDLE_S = 0.005
"""A source that says at once that there is nothing yet is not asked in a busy loop."""

_NS = 1_000_000_000

_LOG = logging.getLogger("edge.scanner")


@dataclass(frozen=True, slots=True)
class CaptureState:
    """How a source is doing.

    Attributes:
        source: Its number.
        name: Its name, fit to be shown.
        cause: Why it gives no frames (`SourceError.cause`), empty while it does.
        is_finished: A file came to its end.
        is_live: It shows what is there now; otherwise it is a file or folder, and each of its frames counts.
        is_waiting: A folder has nothing more to give for now.
        frames: Frames it has handed over.
        left_out: Files in a folder that are no pictures, so that there was nothing to hand over.
        is_reader: It gives codes it has read by itself, no pictures.
        notes: What it says about itself.
        restarts: Children that unpacked its frames and were lost.
        last_restart_ns: When the last was, monotonic nanoseconds; 0 before the first.
    """

    source: int
    name: str
    cause: str
    is_finished: bool
    is_live: bool = True
    is_waiting: bool = False
    frames: int = 0
    left_out: int = 0
    is_reader: bool = False
    notes: tuple[Finding, ...] = ()
    restarts: int = 0
    last_restart_ns: int = 0


class Pace:
    """Says which frames are due at a rate, forgiving a camera's jitter.

    Args:
        fps: Frames a second at most.
    """

    def __init__(self, fps: int) -> None:
        self._interval_ns = _NS // max(fps, 1)
        self._due_ns = 0

    def wait_ns(self, now_ns: int) -> int:
        """Return how long until the next frame is due, 0 if it is."""
        early_ns = self._due_ns - now_ns
        return early_ns if early_ns > self._interval_ns // 4 else 0

    def count(self, now_ns: int) -> None:
        """Take note that a frame was taken."""
        # A camera that was away owes nothing: its frames are not made up for in a burst.
        self._due_ns = max(self._due_ns, now_ns - self._interval_ns) + self._interval_ns


class Capture:
    """Takes the frames of one source.

    Args:
        spec: The source as configured.
        source: Its number.
        settings: Size and rate.
        slots: Where frames go.

    Raises:
        ConfigError: The kind of source is unknown.
    """

    def __init__(self, spec: str, source: int, settings: ScannerSettings, slots: Slots) -> None:
        self._kind, self._target = split_spec(spec)
        self._name = label(spec)
        self._source = source
        self._settings = settings
        self._slots = slots
        self._pace = Pace(settings.fps)
        self._stop = threading.Event()
        self._cause = ""
        self._finished = False
        self._is_live = True
        self._is_held = False
        self._frames = 0
        self._left_out = 0
        self._named = 0
        self._said: tuple[str, float] = ("", 0.0)
        self._was_heard = False
        self._is_reader = self._kind in _READY_KINDS
        self._restarts: tuple[int, int] = (0, 0)
        self._notes: dict[str, tuple[Finding, int]] = {}
        self._last_ns = time.monotonic_ns()
        self._answered_ns = 0
        self._idle_ns = 0
        self._thread = threading.Thread(target=self._run, name=f"capture-{source}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._last_ns = time.monotonic_ns()
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it."""
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread, at most so long: a source that hangs ends with the process."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def state(self, now_ns: int) -> CaptureState:
        """Return how the source is doing at a moment of the monotonic clock."""
        cause = self._cause
        heard_ns, idle_ns = max(self._last_ns, self._answered_ns), self._idle_ns
        if not cause and not self._finished and not self._is_held and now_ns - heard_ns > SILENT_NS:
            cause = "stalled"
        notes = tuple(note for note, said_ns in list(self._notes.values()) if now_ns - said_ns < NOTE_SHOWN_NS)
        restarts, last_restart_ns = self._restarts
        return CaptureState(
            self._source,
            self._name,
            cause,
            self._finished,
            is_live=self._is_live,
            is_waiting=not cause and idle_ns > 0 and now_ns - idle_ns > WAITING_NS,
            frames=self._frames,
            left_out=self._left_out,
            is_reader=self._is_reader,
            notes=notes,
            restarts=restarts,
            last_restart_ns=last_restart_ns,
        )

    def say_unread(self, why: str) -> None:
        """Say for the technician that a picture could not be read; the first few are named.

        Args:
            why: Its name and what is wrong with it.
        """
        self._named += 1
        if self._named <= NAMED:
            # Whoever names a file may put anything in it, also what moves a terminal's cursor.
            plain = "".join(sign if sign.isprintable() else "?" for sign in why)
            _LOG.warning("%s: %s%s", self._name, plain, " Further ones are only counted." * (self._named == NAMED))

    def _run(self) -> None:
        while not self._stop.is_set() and not self._finished:
            try:
                self._session()
            except EdgeError as lost:
                self._lose(lost)
            self._stop.wait(RETRY_S)

    def _cause_of(self, lost: EdgeError) -> str:
        if not isinstance(lost, SourceError):
            return "failed"
        # "missing" is said of what was never there; of what was, that it is gone.
        return "lost" if lost.cause == "missing" and self._was_heard else lost.cause

    def _lose(self, lost: EdgeError) -> None:
        self._cause = self._cause_of(lost)
        if self._cause == "child_lost":
            self._restarts = (self._restarts[0] + 1, time.monotonic_ns())
        said, said_at = self._said
        if str(lost) != said or time.monotonic() - said_at >= AGAIN_S:
            # The finding tells staff; this tells the technician which file, device or address it was.
            self._said = (str(lost), time.monotonic())
            _LOG.warning("%s: %s", self._name, lost)

    def _session(self) -> None:
        """Open the source and take its frames until it ends.

        Raises:
            SourceError: It cannot be opened or was lost.
            SetupError: Its plug-in does not load.
        """
        source: Source | None = None
        try:
            source = opener(self._kind)(self._target, self._source, self._settings)
            self._is_live = source.is_live
            self._pump(source)
        except Exception as fault:
            # A file is not begun again after some of its frames were read: each is delivered once.
            self._finished = source is not None and not source.is_live
            if isinstance(fault, SetupError):
                raise
            # A stranger's plug-in must not end the thread: the gate would be blind and not know it.
            raise SourceError(f"{self._name} failed: {type(fault).__name__}.", cause="failed") from fault
        finally:
            if source is not None:
                source.close()

    def _pump(self, source: Source) -> None:
        while not self._stop.is_set():
            if source.is_live:
                frame = source.read()
            else:
                self._stop.wait(self._pace.wait_ns(time.monotonic_ns()) / _NS)
                frame = self._next_of_file(source)
            if frame is not None:
                self._hand_over(frame, is_live=source.is_live)
            elif source.is_finished:
                self._finished = True
                return
            else:
                self._stop.wait(_IDLE_S if source.is_live else RETRY_S)

    def _next_of_file(self, source: Source) -> Frame | None:
        """Return the next frame of a file or folder, None where there is none now; what is no picture is left out."""
        while not self._stop.is_set():
            try:
                frame = source.read()
            except SourceError as fault:
                if fault.cause == "not_a_picture":
                    self._left_out += 1
                    self.say_unread(fault.message)
                    continue
                self._idle_ns = 0
                self._lose(fault)
                return None
            self._cause = ""
            self._answered_ns = time.monotonic_ns()
            self._idle_ns = (self._idle_ns or self._answered_ns) if frame is None else 0
            return frame
        return None

    def _hand_over(self, frame: Frame, *, is_live: bool) -> None:
        self._last_ns = time.monotonic_ns()
        self._was_heard = True
        self._cause = ""
        # Noted here and not when the frame is read: a frame that is overwritten has said it as well.
        self._notes.update({note.code: (note, self._last_ns) for note in frame.notes})
        if frame.symbols is not None:
            self._hand_over_codes(frame)
        elif not is_live:
            self._pace.count(self._last_ns)
            # Whoever reads the frames may take long over one: that is not the source standing still.
            self._is_held = True
            self._frames += self._slots.put_after(frame)
            self._last_ns = time.monotonic_ns()
            self._is_held = False
        elif self._pace.wait_ns(self._last_ns) == 0:
            self._pace.count(self._last_ns)
            self._slots.put(frame)
            self._frames += 1

    def _hand_over_codes(self, frame: Frame) -> None:
        self._is_reader = True
        if frame.symbols:
            self._slots.put_after(frame)
        else:
            self._slots.beat(self._last_ns)
