"""What a frame is like, measured once a second: enough to say why codes are not read.

Runs in the decoding child; two milliseconds on a 1280x720 frame. What the numbers mean is left to
`edge.scanner.conditions`, where the thresholds stand beside what they were chosen on.
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.scanner.handover import Look, Patch

Pixels = npt.NDArray[np.uint8]

_COARSE = 16
_CELL = 8
"""Side of the cells that detail is counted in, pixels: two to four modules of a code held up."""

_LEAST_PX = 5 * _CELL
_LEAST_STEP = 3.0
"""Brightness steps from pixel to pixel, 0 to 255, above the noise: less detail than this is no code."""

_PEAK_SHARE = 0.4
_JOINED = (7, 7)
_SQUARE, _FILL, _BALANCE = 1.9, 0.45, 0.6
"""A code seen by a camera: this oblong at most, filling this much of its box (a turned square half of it), its steps
across and down this alike. Of 91 photographs without a code 6 have such a patch."""

_RISE_PX, _LEAST_RISE = 32, 40.0

_WHITE = 250

_WHITE_AT = 98


def look_at(grey: Pixels) -> Look:
    """Return what a frame is like.

    Args:
        grey: uint8, HxW, at least one pixel.
    """
    sample = grey[::_COARSE, ::_COARSE]
    mean, spread = float(sample.mean()), float(sample.std())
    white = float(np.percentile(grey[::_CELL, ::_CELL], _WHITE_AT))
    if min(grey.shape) < _LEAST_PX:
        return Look(mean, spread, white)
    return Look(mean, spread, white, _detail(grey), patch_of(grey))


def _detail(grey: Pixels) -> float:
    """Return how much of the steepest rise within 32 pixels is taken in one step: 1 is a perfect edge.

    Within 32 pixels, since light falls off over a plain wall without an edge: there is nothing to judge by, 1 as well.
    """
    one_step, whole_rise = 0.0, 0.0
    for lines in (grey[::_CELL].astype(np.int16), grey[:, ::_CELL].T.astype(np.int16)):
        steps = np.abs(np.diff(lines))
        # Three times the usual step is noise.
        one_step = max(one_step, float(np.percentile(steps, 99.9) - 3 * np.median(steps)))
        whole_rise = max(whole_rise, float(np.percentile(np.abs(lines[:, _RISE_PX:] - lines[:, :-_RISE_PX]), 99)))
    return 1.0 if whole_rise < _LEAST_RISE else min(1.0, max(0.0, one_step) / whole_rise)


def patch_of(grey: Pixels) -> Patch | None:
    """Return the patch of a frame that is likest to a code: square, and as full of edges across as down.

    Args:
        grey: uint8, HxW, at least 40 pixels each way.
    """
    high, wide = grey.shape[0] // _CELL, grey.shape[1] // _CELL
    grey = grey[: high * _CELL, : wide * _CELL]
    across, down = (
        cv2.resize(cv2.absdiff(one, other).astype(np.float32), (wide, high), interpolation=cv2.INTER_AREA)
        for one, other in ((grey[:, 1:], grey[:, :-1]), (grey[1:], grey[:-1]))
    )
    fewer = np.minimum(across, down)
    noise = float(np.median(fewer))
    fewer = cv2.blur(np.maximum(fewer - noise, 0), (3, 3))
    _, peak, _, (x, y) = cv2.minMaxLoc(fewer)
    if peak < _LEAST_STEP:
        return None
    # Glare cuts a code in pieces: what lies close together is one patch.
    rich = cv2.morphologyEx((fewer > _PEAK_SHARE * peak).astype(np.uint8), cv2.MORPH_CLOSE, np.ones(_JOINED, np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(rich)
    left, top, columns, rows, area = (int(number) for number in boxes[labels[y, x]])
    mine = labels == labels[y, x]
    steps = [float(one[mine].mean()) - noise for one in (across, down)]
    is_square = max(columns, rows) <= _SQUARE * min(columns, rows) and area >= _FILL * columns * rows
    if not is_square or min(steps) < _BALANCE * max(steps):
        return None
    box = (left * _CELL, top * _CELL, columns * _CELL, rows * _CELL)
    framed = grey[box[1] : box[1] + box[3], box[0] : box[0] + box[2]]
    inside = mine[top : top + rows, left : left + columns].repeat(_CELL, axis=0).repeat(_CELL, axis=1)
    pixels = framed[inside]
    dark, light = (float(level) for level in np.percentile(pixels, (10, 90)))
    low, high = dark + 0.35 * (light - dark), dark + 0.65 * (light - dark)
    between = float(((pixels > low) & (pixels < high)).mean())
    return Patch(*box, _clipped(framed), float(pixels.std()) / max(sum(steps) / 2, 1.0), between)


def _clipped(framed: Pixels) -> float:
    """Return the share of a patch's middle that is white in spots no code has: an eighth of its side across and down.

    An overexposed code is white in every light module; glare swallows dark ones as well.
    """
    high, wide = framed.shape
    middle = framed[high // 10 : high - high // 10, wide // 10 : wide - wide // 10]
    spot = np.ones((max(5, min(high, wide) // 8),) * 2, np.uint8)
    return float(cv2.morphologyEx((middle >= _WHITE).astype(np.uint8), cv2.MORPH_OPEN, spot).mean())
