"""Where in a frame a code may be: regions with many edges in both directions.

One cheap measure on a frame at half its size; the regions it names are what retries look at. It names too many rather
than too few: that there is no code in a region is found out by those who look.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[Any]

_CELL = 16
"""Side of the cells edges are counted in, pixels of the frame: a few modules."""

_FRAME_SIDE = 1280
"""Pictures with a longer side are looked at in this size: their codes have more pixels, not more edges."""

_DENSE = 3
_LEAST = 1.1
"""A square of this many cells a side has edges in each of them where a code is: in 156 of 159 gate frames that only a
retry reads it is above 1.1. Corners and crossings of lines are not dense."""

_WINDOW, _SHARE = 5, 0.35
"""A region is where the mean of this many cells is above this share of its peak."""

_MARGIN = 24
_WHOLE = 480 * 480
"""A picture of fewer pixels is one region."""


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a frame, pixels: from (x0, y0) to before (x1, y1)."""

    x0: int
    y0: int
    x1: int
    y1: int

    def of(self, grey: Pixels) -> Pixels:
        """Return the region's pixels; they stay the frame's."""
        return grey[self.y0 : self.y1, self.x0 : self.x1]

    @property
    def area(self) -> int:
        """Pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


def edges_of(grey: Pixels) -> Floats:
    """Return how many edges each cell of a frame has, in the direction in which it has fewer, above the usual.

    Args:
        grey: uint8, HxW; not `is_small`.

    Returns:
        float32, hxw cells: the mean difference of neighbouring pixels of the halved frame; 0 where it is no more than
        in half of all cells, which is noise. A picture larger than a frame is taken as one of a frame's size.
    """
    height, width = grey.shape
    step = 2 * max(1.0, max(height, width) / _FRAME_SIDE)
    half = cv2.resize(grey, (int(width / step), int(height / step)), interpolation=cv2.INTER_AREA)
    cells = (half.shape[1] * 2 // _CELL, half.shape[0] * 2 // _CELL)
    across, down = (
        cv2.resize(cv2.absdiff(one, other).astype(np.float32), cells, interpolation=cv2.INTER_AREA)
        for one, other in ((half[:, 1:], half[:, :-1]), (half[1:], half[:-1]))
    )
    fewer = np.minimum(across, down)
    return np.asarray(np.maximum(fewer - np.median(fewer), 0))


def regions_of(grey: Pixels, edges: Floats, *, most: int) -> list[Region]:
    """Return the regions in which a code may be, likeliest first; empty where nothing looks like one.

    Args:
        grey: uint8, HxW.
        edges: What `edges_of` returned of it.
        most: Regions named at most.
    """
    height, width = grey.shape
    across, down = width / edges.shape[1], height / edges.shape[0]
    margin = _MARGIN * max(1.0, max(height, width) / _FRAME_SIDE)
    found: list[Region] = []
    dense = cv2.morphologyEx(edges, cv2.MORPH_OPEN, np.ones((_DENSE, _DENSE), np.uint8))
    spread = cv2.blur(edges, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)
    while len(found) < most:
        _, peak, _, (x, y) = cv2.minMaxLoc(dense)
        if peak < _LEAST:
            break
        level = _SHARE * spread[y, x]
        _, labels, boxes, _ = cv2.connectedComponentsWithStats((spread > level).astype(np.uint8), connectivity=4)
        mine = labels == labels[y, x]
        left, top, wide, high = (int(side) for side in boxes[labels[y, x]][:4])
        dense[mine], spread[mine] = 0, 0
        x0, y0 = max(0, int(left * across - margin)), max(0, int(top * down - margin))
        x1, y1 = int((left + wide) * across + margin), int((top + high) * down + margin)
        found.append(Region(x0, y0, min(width, x1), min(height, y1)))
    return found


def is_small(grey: Pixels) -> bool:
    """Return whether a picture is one region as it is."""
    return grey.size < _WHOLE or min(grey.shape) < 4 * _CELL
