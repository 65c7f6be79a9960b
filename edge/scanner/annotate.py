"""A frame with what was found in it drawn in: `python -m edge.scanner.annotate` reads it and writes a PNG.

Standard input holds one line of JSON (`patch`, `symbols`, `lines`, `pixels`) and the frame's bytes. A process of its
own, with the walls of the decoding child around it, since any picture may stand in the frame.
"""

import json
import os
import sys
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.scanner.child import Unreadable, decoded
from edge.scanner.enclosure import confine

_MEMORY = 1 << 30
_MOST_PIXELS = str(64 << 20)
_GREEN, _AMBER, _WHITE, _BLACK = (60, 200, 60), (0, 170, 255), (245, 245, 245), (25, 25, 25)
_FONT = cv2.FONT_HERSHEY_SIMPLEX

Picture = npt.NDArray[Any]


def annotated(picture: Picture, marks: dict[str, Any]) -> Picture:
    """Return a colour picture with the patch, the codes and a strip of text below.

    Args:
        picture: uint8, HxWx3 BGR.
        marks: `patch` (x, y, width, height or None), `symbols` (each `centre`, `module_px`, `engine`) and `lines`.
    """
    size = max(0.4, max(picture.shape[:2]) / 1280)
    thick = max(1, round(2 * size))
    below = 0
    if marks["patch"]:
        x, y, width, height = marks["patch"]
        cv2.rectangle(picture, (x, y), (x + width, y + height), _GREEN if marks["symbols"] else _AMBER, thick)
        _label(picture, "code" if marks["symbols"] else "like a code, not read", (x, y - thick), size)
        below = y + height + round(30 * size)
    for symbol in marks["symbols"]:
        x, y = (round(number) for number in symbol["centre"])
        cv2.drawMarker(picture, (x, y), _GREEN, cv2.MARKER_CROSS, round(40 * size), thick)
        px = f"{symbol['module_px']:.1f} px per module" if symbol["module_px"] else "read"
        # Below the patch, so that the code itself stays to be seen.
        _label(picture, f"{px}, {symbol['engine']}", (x - round(100 * size), max(below, y + round(40 * size))), size)
    return np.vstack([picture, _strip(marks["lines"], picture.shape[1], size)])


def _label(picture: Picture, text: str, at: tuple[int, int], size: float) -> None:
    """Write on a dark ground: letters of the same text in two strengths do not lie upon each other."""
    (wide, high), rest = cv2.getTextSize(text, _FONT, 0.6 * size, max(1, round(size)))
    x = max(0, min(at[0], picture.shape[1] - wide))
    y = max(high + rest, min(at[1], picture.shape[0] - rest))
    cv2.rectangle(picture, (x, y - high - rest), (x + wide, y + rest), _BLACK, cv2.FILLED)
    cv2.putText(picture, text, (x, y), _FONT, 0.6 * size, _WHITE, max(1, round(size)), cv2.LINE_AA)


def _strip(lines: list[str], width: int, size: float) -> Picture:
    step = round(28 * size)
    strip = np.full((step * len(lines) + step // 2, width, 3), _BLACK, np.uint8)
    for number, line in enumerate(lines):
        at = (round(14 * size), step * (number + 1) - step // 4)
        # The font knows ASCII alone.
        text = line.encode("ascii", "replace").decode()
        cv2.putText(strip, text, at, _FONT, 0.6 * size, _WHITE, max(1, round(size)), cv2.LINE_AA)
    return strip


def _colour(body: bytes, form: tuple[str, list[int]] | None) -> Picture:
    if form is None:
        return decoded(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    pixels = np.frombuffer(body, np.dtype(form[0])).reshape(form[1]).copy()
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]  # noqa: PLR2004
    if channels in {1, 2}:
        grey = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, 0])  # noqa: PLR2004
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(pixels[:, :, :3])


def main() -> int:
    """Draw what standard input holds and write the PNG to standard output; 1 where it cannot be drawn."""
    confine(_MEMORY)
    cv2.setNumThreads(1)
    head, _, body = sys.stdin.buffer.read().partition(b"\n")
    marks = json.loads(head)
    try:
        picture = annotated(_colour(body, marks["pixels"]), marks)
        sys.stdout.buffer.write(cv2.imencode(".png", picture)[1].tobytes())
    except (Unreadable, ValueError, MemoryError, cv2.error):
        return 1
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", _MOST_PIXELS)
    sys.exit(main())
