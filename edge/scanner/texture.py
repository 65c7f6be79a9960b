"""Where in a frame a code may be: regions with many edges in both directions.

One cheap measure on a frame at half its size; the regions it names are what retries look at. It names too many rather
than too few: that there is no code in a region is found out by those who look.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.scanner.handover import Sighting

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

_NEARLY, _ENOUGH = 0.35, 8.0
"""Beside a code that was read another is looked for where it is this share as dense, or as dense as that."""

_HALF_DIAGONAL = 0.75

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


def regions_of(grey: Pixels, *, most: int) -> list[Region]:
    """Return the regions in which a code may be, likeliest first; empty where nothing looks like one.

    Args:
        grey: uint8, HxW, at least one pixel.
        most: Regions named at most.
    """
    return list(Rest(grey).regions(most))


class Rest:
    """What is left of a picture when the codes that were read are taken out of it.

    Args:
        grey: uint8, HxW, at least one pixel.
    """

    def __init__(self, grey: Pixels) -> None:
        self._height, self._width = grey.shape
        self._is_small = is_small(grey)
        self._least = _LEAST
        self._read = 0
        if not self._is_small:
            edges = edges_of(grey)
            self._dense = cv2.morphologyEx(edges, cv2.MORPH_OPEN, np.ones((_DENSE, _DENSE), np.uint8))
            self._spread = cv2.blur(edges, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)

    def leave_out(self, read: Iterable[Sighting]) -> None:
        """Take symbols out; from now on what is given must be nearly as dense as they are."""
        for one in read:
            self._read += 1
            if self._is_small:
                continue
            rows, columns = self._dense.shape
            # However a code is turned, none of it is left.
            reach = one.side_px * _HALF_DIAGONAL
            x0, x1 = (max(0, int((one.x + by) * columns / self._width)) for by in (-reach, reach))
            y0, y1 = (max(0, int((one.y + by) * rows / self._height)) for by in (-reach, reach))
            part = np.s_[y0 : y1 + 1, x0 : x1 + 1]
            if self._dense[part].size:
                self._least = max(self._least, min(_NEARLY * float(self._dense[part].max()), _ENOUGH))
            self._dense[part] = self._spread[part] = 0

    def regions(self, most: int) -> Iterator[Region]:
        """Give the regions in which a further code may be, likeliest first.

        Where `leave_out` took a code from the region given last, what is left of it is given again.

        Args:
            most: Regions given at most.
        """
        if self._is_small:
            if not self._read:
                yield Region(0, 0, self._width, self._height)
            return
        for _ in range(most):
            _, peak, _, (x, y) = cv2.minMaxLoc(self._dense)
            if peak < self._least:
                return
            level = _SHARE * self._spread[y, x]
            lit = (self._spread > level).astype(np.uint8)
            _, labels, boxes, _ = cv2.connectedComponentsWithStats(lit, connectivity=4)
            mine, read = labels == labels[y, x], self._read
            yield self._region(boxes[labels[y, x]])
            if self._read == read:
                self._dense[mine] = self._spread[mine] = 0

    def _region(self, box: Floats) -> Region:
        left, top, wide, high = (int(side) for side in box[:4])
        rows, columns = self._dense.shape
        across, down = self._width / columns, self._height / rows
        margin = _MARGIN * max(1.0, max(self._height, self._width) / _FRAME_SIDE)
        x0, y0 = max(0, int(left * across - margin)), max(0, int(top * down - margin))
        x1, y1 = int((left + wide) * across + margin), int((top + high) * down + margin)
        return Region(x0, y0, min(self._width, x1), min(self._height, y1))


def is_small(grey: Pixels) -> bool:
    """Return whether a picture is one region as it is."""
    return grey.size < _WHOLE or min(grey.shape) < 4 * _CELL
