"""Decoding in the child against zxing-cpp in the process itself, on the same frames in the same run.

Pixels: what the copy and the two wake-ups cost. JPEG: what cameras give; both sides unpack it. Also how far the darkest
frames stay from counting as a covered camera, the child's memory, and how soon the first frame is read.
"""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import zxingcpp

from edge.scanner.ailments import is_covered
from edge.scanner.decode import Decoder, Limits
from edge.scanner.handover import Status, Want
from edge.scanner.sources.base import Frame
from tests.bench.line import generator
from tests.bench.timing import percentile, row
from tests.simulators.mjpeg import jpeg_of

SEEDS, TURNS = 2, 3


def frames() -> list[np.ndarray]:
    """1280x720 grey frames of every condition the generator knows, read or not."""
    drawn = generator()
    backgrounds = drawn.bglist()
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(2000 + seed)
        for condition in drawn.CONDS:
            for px in (2.0, 3.0, 5.0):
                text = drawn.payload(rng, 260)
                found.append(drawn.frame(rng, text, "M", px, condition, backgrounds)[0])
    return found


def alone(pixels: np.ndarray) -> None:
    """zxing-cpp as the child uses it."""
    zxingcpp.read_barcodes(pixels, formats=zxingcpp.BarcodeFormat.QRCode, text_mode=zxingcpp.TextMode.Plain)


def unpacked(jpeg: bytes) -> None:
    """The same from a JPEG."""
    alone(np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)))


def _first_s(frame: Frame) -> float:
    """Seconds from nothing to the first frame read."""
    start = time.perf_counter()
    decoder = Decoder(Limits(5.0), second_engine_every=0)
    decoder.start()
    while decoder.read(frame).status is not Status.READ:
        pass
    taken = time.perf_counter() - start
    decoder.close()
    return taken


def run() -> dict[str, Any]:
    """Measure every frame four ways, alternately."""
    cv2.setNumThreads(1)
    pictures = frames()
    jpegs = [jpeg_of(pixels) for pixels in pictures]
    first_s = _first_s(Frame(0, 0, pixels=pictures[0]))
    decoder = Decoder(Limits(5.0), second_engine_every=0)
    decoder.start()
    try:
        taken, looks = _measure(decoder, pictures, jpegs)
        usage = Path(f"/proc/{decoder.child_pid}/smaps_rollup").read_text(encoding="utf-8")
    finally:
        decoder.close()
    anonymous_kb = next(int(line.split()[1]) for line in usage.splitlines() if line.startswith("Anonymous:"))
    covered = sum(is_covered(mean, spread) for mean, spread in looks)
    names = ("zxing-cpp, pixels", "child, pixels", "zxing-cpp after imdecode, JPEG", "child, JPEG")
    times = [row(f"{name}, p50", percentile(each, 0.5) * 1e3, "ms") for name, each in zip(names, taken, strict=True)]
    plain, child, plain_jpeg, child_jpeg = taken
    return {
        "about": f"{len(pictures)} frames 1280x720 of every condition, {TURNS} turns",
        "rows": [
            *times,
            row("pixels: child / zxing-cpp, sum", sum(child) / sum(plain), "ratio"),
            row("JPEG: child / imdecode + zxing-cpp, sum", sum(child_jpeg) / sum(plain_jpeg), "ratio"),
            row("child's anonymous memory", anonymous_kb / 1024, "MB"),
            row("start to first frame read", first_s, "s"),
            row("frames taken for a covered camera", covered, "frames", "0"),
            row("least spread of brightness", min(spread for _, spread in looks), "of 255"),
        ],
    }


def _measure(
    decoder: Decoder, pictures: list[np.ndarray], jpegs: list[bytes]
) -> tuple[list[list[float]], list[tuple[float, float]]]:
    taken: list[list[float]] = [[], [], [], []]
    looks = []
    for turn in range(TURNS + 1):
        for pixels, jpeg in zip(pictures, jpegs, strict=True):
            marks = [time.perf_counter()]
            alone(pixels)
            marks.append(time.perf_counter())
            decoder.read(Frame(0, 0, pixels=pixels))
            marks.append(time.perf_counter())
            unpacked(jpeg)
            marks.append(time.perf_counter())
            decoder.read(Frame(0, 0, encoded=jpeg))
            marks.append(time.perf_counter())
            if turn == 0:  # the first turn warms all of them
                reading = decoder.read(Frame(0, 0, pixels=pixels), Want.LOOK)
                looks += [(reading.look.mean, reading.look.spread)] if reading.look else []
                continue
            for number, each in enumerate(taken):
                each.append(marks[number + 1] - marks[number])
    return [sorted(each) for each in taken], looks
