"""Findings about the picture: how often one look gives the right reason, a wrong one, or speaks where nothing is wrong.

Gate frames of seeds on which the thresholds were not chosen, the codes in them read or not by zxing-cpp; the same
frames with smaller and smaller codes; photographs without a code, as they are and out of focus. A wrong reason is shown
only after three looks in a row and never while a code is read, so the figures are of single looks: the worst case.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import zxingcpp

from edge.scanner.ailments import ailment
from edge.scanner.look import look_at
from tests.bench.line import generator
from tests.bench.timing import row

SEEDS = (2101, 2102, 2103, 2104, 2105)
KINDS = ((150, "M"), (260, "M"), (370, "Q"))
SMALL_PX = (0.8, 1.0, 1.2, 1.5)
BLURRED = {"code.blurred"}
RIGHT = {
    "lowlight": {"camera.too_dark"},
    "glare": {"camera.glare"},
    "motion": BLURRED,
    "defocus": BLURRED | {"camera.out_of_focus"},
    "small": {"code.too_far", "code.too_small"},
}
"""What an unread frame of a condition should be said to be; nothing fits the others."""

Pixels = npt.NDArray[np.uint8]


def said(grey: Pixels) -> str:
    """Return what one look says."""
    return ailment(look_at(grey), grey.shape[0])


def is_read(grey: Pixels) -> bool:
    """Return whether zxing-cpp reads a code, dark on light or light on dark."""
    return bool(zxingcpp.read_barcodes(grey, formats=zxingcpp.BarcodeFormat.QRCode))


def frames() -> Iterator[tuple[str, Pixels]]:
    """Gate frames with the condition each shows; `small` where the code is too small and nothing else is wrong."""
    drawn = generator()
    backgrounds = drawn.bglist()
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        for size, level in KINDS:
            for condition in drawn.CONDS:
                for px in (2.0, 2.6, 4.0):
                    yield condition, drawn.frame(rng, drawn.payload(rng, size), level, px, condition, backgrounds)[0]
            for px in SMALL_PX:
                yield "small", drawn.frame(rng, drawn.payload(rng, size), level, px, "clean", backgrounds)[0]


def scenes() -> list[Pixels]:
    """Photographs without a code, as large as frames."""
    folder = Path(generator().__file__ or "").parent / "negatives"
    found = []
    for item in json.loads((folder / "index.json").read_text(encoding="utf-8"))["items"]:
        grey = cv2.imread(str(folder / item["image"]), cv2.IMREAD_GRAYSCALE)
        found.append(np.asarray(cv2.resize(grey, (1280, 720), interpolation=cv2.INTER_CUBIC), np.uint8))
    return found


def run() -> dict[str, Any]:
    """Count what looks say."""
    unread: dict[str, list[str]] = {}
    read: list[str] = []
    spent = [0.0, 0.0]
    for condition, grey in frames():
        begun = time.perf_counter()
        read_it = is_read(grey)
        between = time.perf_counter()
        code = said(grey)
        spent = [spent[0] + between - begun, spent[1] + time.perf_counter() - between]
        if read_it:
            read.append(code)
        else:
            unread.setdefault(condition, []).append(code)
    rows = []
    for condition, codes in unread.items():
        right = RIGHT.get(condition, set())
        if right:
            rows.append(row(f"{condition}, unread ({len(codes)}): the right reason", _share(codes, right), "of looks"))
        wrong = {code for code in codes if code} - right
        rows.append(row(f"{condition}, unread ({len(codes)}): another reason", _share(codes, wrong), "of looks"))
    spoken = {code for code in read if code}
    rows.append(row(f"codes that are read ({len(read)}): a reason, not shown", _share(read, spoken), "of looks"))
    for blur in (0, 6):
        codes = [said(np.asarray(cv2.GaussianBlur(one, (0, 0), blur), np.uint8) if blur else one) for one in scenes()]
        rows.append(
            row(f"no code, blurred by {blur} ({len(codes)}): a reason", _share(codes, set(codes) - {""}), "of scenes")
        )
    rows.append(row("a look / zxing-cpp on the same frame", spent[1] / spent[0], "ratio"))
    return {"about": f"gate frames of {len(SEEDS)} seeds, single looks", "rows": rows}


def _share(codes: list[str], wanted: set[str]) -> float:
    return sum(code in wanted for code in codes) / len(codes)
