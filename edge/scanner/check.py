"""One source tried out: opened as the gate opens it, some fifty frames, what they are like and what to do about it.

For a technician at a terminal (`edge scanner check`). What was scanned is described and never repeated: length and
family of a code, no byte of it. Printing is left to `edge.cli.scanner`, the picture to `edge.scanner.annotate`.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edge.errors import SetupError, SourceError
from edge.model.finding import Finding, Severity
from edge.model.settings import ScannerSettings
from edge.model.symbol import Symbol
from edge.scanner.ailments import ailment
from edge.scanner.decode import Decoder, Limits, Reading, engine_of
from edge.scanner.handover import Status, Want
from edge.scanner.sources.base import Frame, Source, label, opener, split_spec

FRAMES = 50
CODES = 3
"""Codes of a hand scanner after which enough is known."""

_WAIT_S = 20.0
"""A source that gives less in this time is judged by what it gave."""

_START_S = 15.0
_ANNOTATE_S = 20.0

_SHARP_DETAIL = 0.4
"""Steepest edges of frames in focus: 0.2 to 0.5. A focus score of 100 is this."""

_GOOD_RATE, _GOOD_MODULE_PX, _GOOD_FPS_SHARE = 0.8, 2.0, 0.6
_BUFFERED = 2
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What a source is like.

    Attributes:
        source: Its name, fit to be shown.
        frames: Frames looked at; 0 for one that gives codes.
        size: Width and height of its frames, pixels.
        fps: Frames a second it gives, None where it is no camera.
        decode_rate: Share of its frames in which a code was read, None without frames.
        module_px: Median pixels per module of the codes read, None where none was.
        focus: 0 to 100.
        brightness: Mean, 0 to 255.
        glare: Share of the patch likest to a code that is white in spots, 0 to 1.
        codes: Of each code its length, family and how it was read.
        findings: What is wrong, empty where all is well.
        picture: The frame to show, None where there was none.
        marks: What to draw into it.
    """

    source: str
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    fps: float | None = None
    decode_rate: float | None = None
    module_px: float | None = None
    focus: int | None = None
    brightness: int | None = None
    glare: float | None = None
    codes: tuple[dict[str, Any], ...] = ()
    findings: tuple[Finding, ...] = ()
    picture: Frame | None = field(default=None, repr=False)
    marks: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Trial:
    """What was met so far."""

    family: Callable[[bytes], str]
    readings: list[Reading] = field(default_factory=list)
    taken_ns: list[int] = field(default_factory=list)
    codes: dict[bytes, dict[str, Any]] = field(default_factory=dict)
    notes: dict[str, Finding] = field(default_factory=dict)
    best: tuple[Frame, Reading] | None = None
    is_reader: bool = False

    def take(self, frame: Frame, reading: Reading) -> None:
        """Take note of one frame and what was in it."""
        self.notes |= {note.code: note for note in frame.notes}
        for symbol in reading.symbols:
            seen = {"length": len(symbol.raw), "family": self.family(symbol.raw), "engine": symbol.engine}
            self.codes.setdefault(symbol.raw, seen)
        self.is_reader = frame.symbols is not None
        if self.is_reader:
            return
        self.readings.append(reading)
        self.taken_ns.append(frame.taken_ns)
        is_better = self.best is None or reading.symbols or not self.best[1].symbols
        if is_better and reading.status is Status.READ:
            self.best = (frame, reading)

    @property
    def is_enough(self) -> bool:
        """Whether a hand scanner has shown what it can."""
        return self.is_reader and len(self.codes) >= CODES


def check(
    spec: str,
    settings: ScannerSettings,
    *,
    family: Callable[[bytes], str],
    frames: int = FRAMES,
    told: Callable[[int, str], None] = lambda _count, _said: None,
) -> Checked:
    """Open a source, look at its frames, and say what it is like.

    Args:
        spec: The source as in gate.toml.
        settings: As the gate has them.
        family: Names the family of a code's bytes.
        frames: Frames looked at.
        told: Called after each frame with their number and what is seen in one line.

    Raises:
        ConfigError: The kind of source is unknown.
        SetupError: It cannot be opened, or no decoder starts.
    """
    kind, target = split_spec(spec)
    trial = _Trial(family)
    limits = Limits(settings.watchdog_s, retry_s=settings.retry_ms / 1_000)
    decoder = Decoder(limits, second_engine_every=settings.second_engine_every, engine=engine_of(settings))
    source = opener(kind)(target, 0, settings)
    is_live = source.is_live
    try:
        decoder.start()
        _try_out(source, decoder, trial, (frames, told))
    except SourceError as lost:
        trial.notes["lost"] = _lost(lost, spec, is_reader=trial.is_reader)
    finally:
        source.close()
        decoder.close()
    return _summed(spec, settings, trial, is_camera=is_live)


def _try_out(source: Source, decoder: Decoder, trial: _Trial, wanted: tuple[int, Callable[[int, str], None]]) -> None:
    """Take frames until there are enough, the source ends or its time is over.

    Raises:
        SourceError: The source was lost.
        SetupError: No decoder starts.
    """
    frames, told = wanted
    if not decoder.is_ready(_START_S):
        raise SetupError("The decoder does not start.", "`python3 -m edge.scanner.child` says why.")
    until = time.monotonic() + _WAIT_S
    while len(trial.readings) < frames and not trial.is_enough and time.monotonic() < until:
        frame = source.read()
        if frame is None:
            if source.is_finished:
                return
            continue
        if frame.symbols is not None:
            trial.take(frame, Reading(Status.READ, frame.symbols))
        else:
            still = Want.STILL if frame.is_still else Want.NOTHING
            trial.take(frame, decoder.read(frame, Want.LOOK | still))
        told(len(trial.codes) if trial.is_reader else len(trial.readings), _line(trial))


def _line(trial: _Trial) -> str:
    if trial.is_reader:
        return f"{len(trial.codes)} of {CODES} codes scanned"
    reading = trial.readings[-1]
    look = reading.look
    focus = "" if look is None else f"focus {_focus(look.detail)}  brightness {look.mean:.0f}"
    return f"{focus}  {'code read' if reading.symbols else 'no code'}"


def _focus(detail: float) -> int:
    return round(100 * min(1.0, detail / _SHARP_DETAIL))


def _lost(lost: SourceError, spec: str, *, is_reader: bool) -> Finding:
    code = "stream.stalled" if lost.cause == "stalled" else "hand_scanner.lost" if is_reader else "camera.lost"
    return Finding(code, Severity.STOP, {"name": label(spec)})


def _summed(spec: str, settings: ScannerSettings, trial: _Trial, *, is_camera: bool) -> Checked:
    readings = [reading for reading in trial.readings if reading.status is Status.READ]
    looks = [reading.look for reading in readings if reading.look is not None]
    patches = [look.patch for look in looks if look.patch is not None]
    modules = [symbol.module_px for reading in readings for symbol in reading.symbols if symbol.module_px]
    rate = sum(bool(reading.symbols) for reading in readings) / len(trial.readings) if trial.readings else None
    # The first frames waited in the camera's buffers.
    taken_ns = trial.taken_ns[_BUFFERED:]
    span_ns = taken_ns[-1] - taken_ns[0] if is_camera and len(taken_ns) > 1 else 0
    fps = (len(taken_ns) - 1) * _NS / span_ns if span_ns else None
    middle = None if trial.best is None else trial.best[1]
    found = Checked(
        source=label(spec),
        frames=len(trial.readings),
        size=middle.size if middle else (0, 0),
        fps=None if fps is None else round(fps, 1),
        decode_rate=None if rate is None else round(rate, 2),
        module_px=round(statistics.median(modules), 2) if modules else None,
        focus=_focus(statistics.median(look.detail for look in looks)) if looks else None,
        brightness=round(statistics.median(look.mean for look in looks)) if looks else None,
        glare=round(statistics.median(patch.clipped for patch in patches), 3) if patches else None,
        codes=tuple(trial.codes.values()),
        picture=None if trial.best is None else trial.best[0],
        marks={} if middle is None else _marks(middle),
    )
    findings = [*trial.notes.values(), *_of_readings(trial.readings, found, settings)]
    named = [replace(one, params={"name": found.source, **one.params}) for one in findings]
    return replace(found, findings=tuple(named))


def _of_readings(readings: list[Reading], found: Checked, settings: ScannerSettings) -> list[Finding]:
    """Return what is wrong, worst first: what most frames say, and what only a technician minds."""
    findings = []
    codes = {Status.UNREADABLE: "stream.unreadable", Status.TOO_BIG: "stream.frame_too_big"}
    states = Counter(codes.get(reading.status, "") for reading in readings)
    findings += [Finding(code) for code, count in states.items() if code and count * 2 > len(readings)]
    unread = [reading for reading in readings if reading.look is not None and not reading.symbols]
    said = Counter(ailment(reading.look, reading.size[1]) for reading in unread if reading.look is not None)
    if (found.decode_rate or 0.0) < _GOOD_RATE:
        findings += [Finding(code) for code, count in said.most_common() if code and count * 2 > len(unread)]
    if found.module_px is not None and found.module_px < _GOOD_MODULE_PX:
        findings.append(Finding("code.too_small", params={"module_px": found.module_px}))
    if found.fps is not None and found.fps < _GOOD_FPS_SHARE * settings.fps:
        findings.append(Finding("camera.slow", params={"fps": found.fps, "wanted": settings.fps}))
    if not found.codes:
        findings.append(Finding("check.no_code", Severity.INFO))
    elif found.decode_rate is not None and found.decode_rate < _GOOD_RATE and not findings:
        findings.append(Finding("code.seldom_read", params={"percent": round(100 * found.decode_rate)}))
    return list({finding.code: finding for finding in reversed(findings)}.values())[::-1]


def _marks(reading: Reading) -> dict[str, Any]:
    patch = reading.look.patch if reading.look else None
    return {
        "patch": [patch.x, patch.y, patch.width, patch.height] if patch else None,
        "symbols": [_mark(symbol) for symbol in reading.symbols],
    }


def _mark(symbol: Symbol) -> dict[str, Any]:
    return {"centre": list(symbol.centre), "module_px": symbol.module_px, "engine": symbol.engine}


def save_picture(found: Checked, lines: list[str], path: Path) -> None:
    """Write the frame with what was found in it drawn in, as PNG, for its owner only.

    It is drawn in a process of its own: the frame is as little to be trusted as any other.

    Args:
        found: What `check` returned.
        lines: What is written below the picture, ASCII.
        path: Where it goes.

    Raises:
        SetupError: There is no frame, it cannot be drawn or the file cannot be written.
    """
    frame = found.picture
    if frame is None:
        raise SetupError("There is no picture to save: the source gave no frame that could be read.", "")
    pixels = frame.pixels
    form = None if pixels is None else [pixels.dtype.str, list(pixels.shape)]
    head = json.dumps(found.marks | {"lines": lines, "pixels": form}).encode() + b"\n"
    body = frame.encoded if frame.encoded is not None else b"" if pixels is None else pixels.tobytes()
    command = [sys.executable, "-P", "-m", "edge.scanner.annotate"]
    try:
        drawn = subprocess.run(command, input=head + body, capture_output=True, timeout=_ANNOTATE_S, check=True).stdout
    except (OSError, subprocess.SubprocessError) as broken:
        raise SetupError("The picture could not be drawn.", "Run the check again without --save.") from broken
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(drawn)
    except OSError as refused:
        raise SetupError(f"{path} cannot be written: {refused.strerror}.", "Give another file to --save.") from refused
