"""Frame in hand to verdict recorded, against zxing-cpp's own read of the same frames in the same run."""

import importlib.util
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import zxingcpp

from edge.gate.clock import Clock
from edge.gate.line import Line, Trusted
from edge.gate.sightings import Memory
from edge.ledger.tokens import DayKey
from edge.model.trust import TrustSnapshot
from edge.scanlog.log import ScanLog
from edge.scanner.decode import Decoder, Limits
from edge.scanner.handover import Want
from edge.scanner.sources.base import Frame
from tests.bench.timing import percentile, row
from tests.simulators import world
from tests.simulators.mjpeg import jpeg_of

CORPUS = Path(os.environ.get("EDGE_CORPUS_DIR", Path(__file__).parents[3] / "shared" / "corpus"))
CONDITIONS = ("clean", "perspective", "rotated", "motion", "shadow", "lowlight", "screen")
PX = (3.0, 4.0, 6.0)
SEEDS, TURNS = 3, 8


def generator() -> ModuleType:
    """Load the public frame generator in place."""
    spec = importlib.util.spec_from_file_location("gate_frames", CORPUS / "gate_frames.py")
    if spec is None or spec.loader is None or not (CORPUS / "gate_frames.py").exists():
        raise SystemExit(f"There is no gate_frames.py in {CORPUS}; set EDGE_CORPUS_DIR.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(pixels: np.ndarray) -> list[Any]:
    """zxing-cpp as the gate's first engine uses it."""
    return zxingcpp.read_barcodes(pixels, formats=zxingcpp.BarcodeFormat.QRCode, text_mode=zxingcpp.TextMode.Plain)


def frames() -> list[np.ndarray]:
    """1280x720 grey frames of distinct passes that zxing-cpp can read."""
    drawn = generator()
    backgrounds = drawn.bglist()
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(1000 + seed)
        for number, condition in enumerate(CONDITIONS):
            for px in PX:
                claims = world.person(index=100 + number)
                code = world.make_pass(claims, validity=(world.ISSUED + seed, world.EXPIRES + len(found)))
                pixels = drawn.frame(rng, code.decode(), "M", px, condition, backgrounds)[0]
                if read(pixels):
                    found.append(pixels)
    return found


class Fixed(Clock):
    """A clock at the time the passes hold."""

    def moment(self, trust: TrustSnapshot | None) -> Any:
        """Return that time."""
        return world.at(world.NOW)


def run() -> dict[str, Any]:
    """Measure both on every frame, alternately, the log on the disk the project stands on."""
    pictures = frames()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        log = ScanLog.open(Path(folder) / "scans.db")
        events: list[dict[str, Any]] = []
        memory = Memory((DayKey(0, bytes(32)),), Path(folder), window_s=0)
        line = Line(
            formats=world.FORMATS,
            place=world.PLACE,
            log=log,
            memory=memory,
            trusted=Trusted(world.TRUST),
            clock=Fixed(),
            publish=events.append,
        )
        decoder = Decoder(Limits(5.0), second_engine_every=0)
        decoder.start()
        try:
            alone, whole, decoded = _measure(pictures, decoder, line)
            jpeg_alone, jpeg_whole, _ = _measure([jpeg_of(pixels) for pixels in pictures], decoder, line)
        finally:
            decoder.close()
            log.close()
    accepted = sum(event["outcome"] == "accept" for event in events)
    return {
        "about": f"{len(pictures)} frames 1280x720, {TURNS} turns, {accepted}/{len(events)} accepted and recorded",
        "rows": [
            row("zxing-cpp alone, p50", percentile(alone, 0.5) * 1e3, "ms"),
            row("zxing-cpp alone, p95", percentile(alone, 0.95) * 1e3, "ms"),
            row("decoding child, p50", percentile(decoded, 0.5) * 1e3, "ms"),
            row("frame to verdict recorded, p50", percentile(whole, 0.5) * 1e3, "ms"),
            row("frame to verdict recorded, p95", percentile(whole, 0.95) * 1e3, "ms"),
            row("line / zxing-cpp, p50", percentile(whole, 0.5) / percentile(alone, 0.5), "ratio", "<= 1.3"),
            row("line / zxing-cpp, p95", percentile(whole, 0.95) / percentile(alone, 0.95), "ratio", "<= 1.3"),
            row("line / zxing-cpp, sum", sum(whole) / sum(alone), "ratio", "<= 1.3"),
            row("JPEG frames: unpack + zxing-cpp alone, p50", percentile(jpeg_alone, 0.5) * 1e3, "ms"),
            row("JPEG frames: frame to verdict recorded, p50", percentile(jpeg_whole, 0.5) * 1e3, "ms"),
            row("JPEG frames: line / alone, p50", percentile(jpeg_whole, 0.5) / percentile(jpeg_alone, 0.5), "ratio"),
            row("JPEG frames: line / alone, p95", percentile(jpeg_whole, 0.95) / percentile(jpeg_alone, 0.95), "ratio"),
        ],
    }


def _read(picture: np.ndarray | bytes) -> None:
    if isinstance(picture, bytes):
        picture = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    read(picture)


def _frame(picture: np.ndarray | bytes) -> Frame:
    if isinstance(picture, bytes):
        return Frame(time.monotonic_ns(), 0, encoded=picture)
    return Frame(time.monotonic_ns(), 0, pixels=picture)


def _measure(
    pictures: Sequence[np.ndarray | bytes], decoder: Decoder, line: Line
) -> tuple[list[float], list[float], list[float]]:
    alone, whole, decoded = [], [], []
    for turn in range(TURNS + 1):
        for pixels in pictures:
            start = time.perf_counter()
            _read(pixels)
            middle = time.perf_counter()
            reading = decoder.read(_frame(pixels), Want.NOTHING)
            seen = time.perf_counter()
            line.present(reading.symbols)
            end = time.perf_counter()
            if turn:  # the first turn warms both
                alone.append(middle - start)
                decoded.append(seen - middle)
                whole.append(end - middle)
        line.rest()
    return sorted(alone), sorted(whole), sorted(decoded)
