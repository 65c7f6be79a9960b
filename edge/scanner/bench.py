"""`edge scanner bench`: how much each engine reads and what it costs, on labelled pictures or on live frames.

Every engine runs in a watched child of its own, as on a gate, and takes its turn on every picture; what is counted is
the time from pixels to symbols. Labels are `edge.scanner.labels`, the drawing is `edge.scanner.plot`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from edge.errors import SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.decode import Decoder
from edge.scanner.handover import Status, Want
from edge.scanner.labels import Item, load_items
from edge.scanner.sources.base import MAX_ENCODED_BYTES, Frame, label, opener, split_spec
from edge.scanner.still import LIMITS

ENGINES = ("zxing", "pyzbar", "ladder")

Report = Callable[[int, int], None]
"""Takes how many pictures are done, and of how many."""

_SILENT_S = 10.0
_P95 = 0.95


@dataclass(slots=True)
class _Tally:
    """What one engine did."""

    read: int = 0
    wrong: int = 0
    lost: int = 0
    took_ms: list[float] = field(default_factory=list)

    def summary(self, labels: int) -> dict[str, Any]:
        taken = sorted(self.took_ms)
        return {
            "recall": self.read / labels if labels else 0.0,
            "wrong": self.wrong,
            "mean_ms": fmean(taken) if taken else 0.0,
            "p95_ms": taken[min(len(taken) - 1, int(_P95 * len(taken)))] if taken else 0.0,
            "lost": self.lost,
        }


@contextmanager
def _decoders() -> Iterator[dict[str, Decoder]]:
    """Start a child for each engine and let each read an empty frame: libraries load on the first."""
    with ExitStack() as stack:
        decoders = {name: Decoder(LIMITS, second_engine_every=5, engine=name) for name in ENGINES}
        for decoder in decoders.values():
            stack.callback(decoder.close)
            decoder.start()
        for decoder in decoders.values():
            decoder.read(Frame(0, 0, pixels=np.full((64, 64), 128, np.uint8)), Want.STILL)
        yield decoders


def bench_folder(folder: Path, report: Report) -> dict[str, Any]:
    """Read every labelled picture of a folder with every engine, each picture as one without a next frame.

    Args:
        folder: Pictures and their `index.json`.
        report: Told after each picture.

    Returns:
        `engines` with `recall`, `wrong`, `mean_ms`, `p95_ms` and `lost` of each; `images`, `labels` and `unreadable`.

    Raises:
        SourceError: The index or a picture cannot be read.
        LibraryMissing: A decoder is not installed.
    """
    items = load_items(folder)
    tallies = {name: _Tally() for name in ENGINES}
    unreadable = 0
    with _decoders() as decoders:
        for number, item in enumerate(items):
            frame = Frame(time.monotonic_ns(), 0, encoded=_bytes_of(item), is_still=True)
            are_pictures = [_still(decoders[name], frame, item, tallies[name]) for name in ENGINES]
            unreadable += not all(are_pictures)
            report(number + 1, len(items))
    labels = sum(item.labels for item in items)
    return _result(tallies, labels, images=len(items), labels=labels, unreadable=unreadable)


def _bytes_of(item: Item) -> bytes:
    try:
        with item.path.open("rb") as file:
            return file.read(MAX_ENCODED_BYTES + 1)
    except OSError as broken:
        problem = f"{item.path} cannot be read: {broken.strerror}."
        raise SourceError(problem, f"ls -l {item.path}", cause="lost") from broken


def _still(decoder: Decoder, frame: Frame, item: Item, tally: _Tally) -> bool:
    """Let one engine read one picture; return whether it was a picture."""
    reading = decoder.read(frame, Want.STILL)
    tally.lost += reading.status is Status.LOST
    if reading.status is Status.READ:
        tally.took_ms.append(reading.took_ms)
        read, wrong = item.score(reading.symbols)
        tally.read += read
        tally.wrong += wrong
    return reading.status not in {Status.UNREADABLE, Status.TOO_BIG}


def bench_live(spec: str, frames: int, report: Report) -> dict[str, Any]:
    """Read the next frames of a source with every engine; recall is then the share of frames a code was read in.

    Args:
        spec: A frame source, `kind:target`.
        frames: How many.
        report: Told after each frame.

    Returns:
        As `bench_folder`.

    Raises:
        ConfigError: The source is of an unknown kind.
        SourceError: It is not there, or gives no frame.
        LibraryMissing: A decoder is not installed.
    """
    tallies = {name: _Tally() for name in ENGINES}
    seen = 0
    with _decoders() as decoders:
        for frame in _frames(spec, frames):
            want = Want.STILL if frame.is_still else Want.NOTHING
            for name in ENGINES:
                reading = decoders[name].read(frame, want)
                tallies[name].lost += reading.status is Status.LOST
                if reading.status is Status.READ:
                    tallies[name].took_ms.append(reading.took_ms)
                    tallies[name].read += bool(reading.symbols)
            seen += 1
            report(seen, frames)
    if not seen:
        raise SourceError(
            f"{label(spec)} gave no frame.", "edge gate run shows what is wrong with it.", cause="stalled"
        )
    return _result(tallies, seen, images=seen, labels=0, unreadable=0)


def _frames(spec: str, most: int) -> Iterator[Frame]:
    """Give the frames of a source until there are enough, it is finished, or it is silent for too long."""
    kind, target = split_spec(spec)
    source = opener(kind)(target, 0, ScannerSettings(sources=(spec,)))
    try:
        last_s = time.monotonic()
        while most and not source.is_finished and time.monotonic() - last_s < _SILENT_S:
            frame = source.read()
            if frame is not None:
                yield frame
                most -= 1
                last_s = time.monotonic()
    finally:
        source.close()


def _result(tallies: dict[str, _Tally], of: int, **counts: int) -> dict[str, Any]:
    return {"engines": {name: tally.summary(of) for name, tally in tallies.items()}, **counts}
