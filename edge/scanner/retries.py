"""Retries: a region reworked in one way each, and read again by zxing-cpp.

Each stands here because it reads what the others do not, at a price that `python -m tests.bench scanner` prints; which
is asked when is left to `edge.scanner.ladder`.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from edge.scanner.engines import read_zxing
from edge.scanner.handover import Sighting

Pixels = npt.NDArray[np.uint8]

_MOST_PIXELS = 1_000_000
"""Of a reworked region. A region too large to be enlarged has modules large enough to be read as they are."""


def enlarged(grey: Pixels) -> Pixels:
    """Return a picture as it is: modules of two pixels, and blur, are read better when there are more of them."""
    return grey


def evened(grey: Pixels) -> Pixels:
    """Return a picture divided by its background, its edges overdone: blur, shadow, glare and weak contrast."""
    ground = cv2.blur(cv2.dilate(grey, np.ones((15, 15), np.uint8)), (31, 31))
    even = np.asarray(cv2.divide(grey, ground, scale=255), np.uint8)
    return np.asarray(cv2.addWeighted(even, 2.5, cv2.GaussianBlur(even, (0, 0), 2.0), -1.5, 0), np.uint8)


class Retry:
    """One way of reworking a region, as an engine.

    Args:
        rework: Takes and returns uint8, HxW.
        scale: How much larger the region is made before.
    """

    def __init__(self, rework: Callable[[Pixels], Pixels], scale: float) -> None:
        self._rework = rework
        self._scale = scale

    def read(self, grey: Pixels) -> list[Sighting]:
        """Return the QR codes of the reworked picture, placed as in the picture given."""
        scale = min(self._scale, math.sqrt(_MOST_PIXELS / grey.size))
        height, width = grey.shape
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        way = cv2.INTER_CUBIC if scale >= 1 else cv2.INTER_AREA
        found = read_zxing(self._rework(np.asarray(cv2.resize(grey, size, interpolation=way), np.uint8)))
        return [one.scaled(scale, self._rework.__name__) for one in found]
