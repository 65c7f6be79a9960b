"""Finder patterns in a grey picture: where the three corners of a QR code may be, however soft or noisy it is.

A finder pattern (ISO/IEC 18004, 6.3.3) is a dark 3x3 square in a light 5x5 in a dark 7x7 ring. It is looked for by
correlation with its own shape at several sizes: correlation sees a pattern whose edges
blur and noise have taken, where a search for runs of 1:1:3:1:1 sees none. What lies between three of them is left to
`edge.scanner.lattice`.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[Any]

_BOXES = ((5, 9, 11, 15), (7, 11, 15, 19), (7, 13, 19, 23), (9, 15, 21, 27))
"""Sides in pixels of a finder's squares and its quiet zone, of 3, 5, 7 and 9 modules, at the sizes looked for in one
layer: 1.7 to 3 pixels per module. Each further layer is half as large, and so finds twice these."""

_SIDES = 3 + 5 + 7 + 9
_MOST_PX = 24.0
_LEAST_VARIANCE = 2.0
_LEAST_MATCH = 0.38
"""A finder in noise as strong as itself correlates by 0.5; leaves reach 0.4, and are told apart by angles."""

_MOST_FINDERS = 12
_MOST_TRIPLES = 3

_MOST_SIZE_RATIO, _MOST_SIDE_RATIO, _MOST_COSINE = 1.6, 1.7, 0.5
"""How far perspective may stretch a code: sizes of its finders, its sides, and the angle between them."""


@dataclass(frozen=True, slots=True)
class Finder:
    """One finder pattern: its centre in the picture, pixels per module, and how well it matched (0 to 1)."""

    x: float
    y: float
    module_px: float
    match: float

    def to(self, other: "Finder") -> tuple[float, float]:
        """Return the way to another one, pixels."""
        return other.x - self.x, other.y - self.y


@dataclass(frozen=True, slots=True)
class Corners:
    """Three finder patterns that may belong to one code, named as they stand in the upright symbol."""

    top_left: Finder
    top_right: Finder
    bottom_left: Finder

    @property
    def module_px(self) -> float:
        """Mean pixels per module as the finders' sizes say."""
        return (self.top_left.module_px + self.top_right.module_px + self.bottom_left.module_px) / 3

    @property
    def side_px(self) -> float:
        """Mean distance of the outer finders from the one they share."""
        a = math.hypot(*self.top_left.to(self.top_right))
        return (a + math.hypot(*self.top_left.to(self.bottom_left))) / 2


def find_finders(grey: Pixels) -> list[Finder]:
    """Return the likeliest finder patterns, best first.

    Args:
        grey: uint8, HxW.
    """
    found: list[Finder] = []
    layer, scale = grey.astype(np.float32), 1
    while min(layer.shape) > 2 * _BOXES[0][3] and sum(_BOXES[0]) / _SIDES * scale <= _MOST_PX:
        soft = cv2.blur(layer, (3, 3))  # a sharp finder between two sizes matches neither
        for boxes in _BOXES:
            found += _in_layer(soft, boxes, scale)
        height, width = layer.shape
        layer = np.asarray(cv2.resize(layer, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)
        scale *= 2
    found.sort(key=lambda finder: -finder.match)
    kept: list[Finder] = []
    for one in found:
        near = 2.5 * one.module_px
        if all(math.hypot(*one.to(other)) > max(near, 2.5 * other.module_px) for other in kept):
            kept.append(one)
        if len(kept) == _MOST_FINDERS:
            break
    return kept


def _in_layer(layer: Floats, boxes: tuple[int, int, int, int], scale: int) -> list[Finder]:
    match = _match(layer, boxes)
    width = boxes[1] | 1
    peaks = (match >= cv2.dilate(match, np.ones((width, width), np.uint8))) & (match > _LEAST_MATCH)
    module_px = sum(boxes) / _SIDES * scale
    return [
        Finder((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5, module_px, float(match[y, x]))
        for y, x in zip(*np.nonzero(peaks), strict=True)
    ]


def _match(layer: Floats, boxes: tuple[int, int, int, int]) -> Floats:
    """Return how each place correlates with a finder around it, -1 to 1.

    The pattern is a sum of squares of one value each, so its correlation is a sum of box filters, whatever its size.
    """
    sums = [cv2.boxFilter(layer, cv2.CV_32F, (side, side), normalize=False) for side in boxes]
    squares = cv2.sqrBoxFilter(layer, cv2.CV_32F, (boxes[3], boxes[3]), normalize=False)
    areas = [side * side for side in boxes]
    inner, light, dark, all_of = sums
    mean = (areas[3] - 2 * areas[2] + 2 * areas[1] - 2 * areas[0]) / areas[3]
    shared = (1 - mean) * all_of - 2 * dark + 2 * light - 2 * inner
    variance = np.maximum(squares - all_of * all_of / areas[3], areas[3] * _LEAST_VARIANCE)
    return np.asarray(shared / np.sqrt(variance * (areas[3] * (1 - mean * mean))))


def likely_corners(finders: list[Finder]) -> list[Corners]:
    """Return the likeliest sets of three that make a code's corners, best first.

    Args:
        finders: What `find_finders` returned.
    """
    ranked = []
    for three in itertools.combinations(finders, 3):
        sizes = [finder.module_px for finder in three]
        if max(sizes) > _MOST_SIZE_RATIO * min(sizes):
            continue
        for turn in range(3):
            score, corners = _corners(three[turn], three[turn - 2], three[turn - 1])
            if corners is not None:
                ranked.append((score, corners))
    ranked.sort(key=lambda one: -one[0])
    return [corners for _, corners in ranked[:_MOST_TRIPLES]]


def _corners(shared: Finder, one: Finder, other: Finder) -> tuple[float, Corners | None]:
    """Return how well three finders stand in a right angle at the first, and the corners; None where they cannot."""
    (ax, ay), (bx, by) = shared.to(one), shared.to(other)
    a, b = math.hypot(ax, ay), math.hypot(bx, by)
    px = (shared.module_px + one.module_px + other.module_px) / 3
    # Version 1 has 14 modules between two finders, version 40 has 170; a size is known to a fifth.
    if min(a, b) < 12 * px or max(a, b) > 200 * px or max(a, b) > _MOST_SIDE_RATIO * min(a, b):
        return 0.0, None
    cosine, sine = (ax * bx + ay * by) / (a * b), (ax * by - ay * bx) / (a * b)
    if abs(cosine) > _MOST_COSINE:
        return 0.0, None
    score = shared.match + one.match + other.match - 0.6 * abs(cosine) - 0.5 * abs(math.log(a / b))
    sizes = [finder.module_px for finder in (shared, one, other)]
    score -= 0.3 * math.log(max(sizes) / min(sizes))
    return score, Corners(shared, one, other) if sine > 0 else Corners(shared, other, one)
