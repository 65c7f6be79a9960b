"""Brushes of the simulated camera: sprites with soft edges, round shading, lettering, noise.

What is drawn with them is left to `edge.demo.scene` (the place), `edge.demo.figures` (people) and `edge.demo.carriers`
(phones and paper). Pictures are uint8, HxWx3, blue-green-red.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.demo.showing import Colour

Picture = npt.NDArray[np.uint8]
Plane = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]

_LIGHT = (-0.42, -0.62, 0.66)
"""Where the light of the hall comes from: left, above and in front of the person."""


@dataclass(frozen=True, slots=True)
class Sprite:
    """A cut-out to lay on a frame.

    Attributes:
        colour: uint8, HxWx3, already multiplied by its coverage.
        shows_through: uint8, HxWx3, what of the ground remains: 255 all, 0 nothing.
    """

    colour: Picture
    shows_through: Picture

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.colour.shape[1], self.colour.shape[0]


def picture(array: Any) -> Picture:
    """Return an array as 8-bit, clipped to 0..255."""
    return np.asarray(np.clip(array, 0, 255), np.uint8)


def sprite(colour: Plane, cover: Plane) -> Sprite:
    """Make a sprite.

    Args:
        colour: float32, HxWx3, 0..255, not multiplied.
        cover: float32, HxW, 0..1.
    """
    spread = cover[:, :, None]
    return Sprite(picture(colour * spread), picture(np.repeat(255.0 * (1.0 - spread), 3, axis=2)))


def paste(frame: Picture, cut: Sprite, at: tuple[int, int]) -> None:
    """Lay a sprite on a frame, its upper left corner at (x, y); what lies outside the frame is cut off."""
    height, width = frame.shape[:2]
    left, top = max(0, at[0]), max(0, at[1])
    right, bottom = min(width, at[0] + cut.size[0]), min(height, at[1] + cut.size[1])
    if left >= right or top >= bottom:
        return
    inside = (slice(top - at[1], bottom - at[1]), slice(left - at[0], right - at[0]))
    ground = frame[top:bottom, left:right]
    dimmed = cv2.multiply(ground, cut.shows_through[inside], scale=1 / 255.0)
    cv2.add(dimmed, cut.colour[inside], dst=ground)


def round_shade(mask: Picture, radius: float) -> Plane:
    """Return the brightness of a shape as if it bulged towards the camera.

    Args:
        mask: uint8, HxW, 255 inside.
        radius: How far from its edge the shape is curved, pixels.

    Returns:
        float32, HxW, about 0.45 to 1.15.
    """
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    flat = np.clip(depth / radius, 0, 1)
    height = cv2.GaussianBlur(np.asarray(radius * np.sqrt(1 - (1 - flat) ** 2), np.float32), (0, 0), radius / 5)
    slope_x, slope_y = (
        cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 8),
        cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 8),
    )
    facing = _LIGHT[2] - slope_x * _LIGHT[0] - slope_y * _LIGHT[1]
    return np.asarray(0.45 + 0.75 * np.clip(facing / np.sqrt(1 + slope_x**2 + slope_y**2), 0, 1), np.float32)


class Canvas:
    """A transparent sheet that shapes are painted on.

    Args:
        width: Pixels.
        height: Pixels.
        origin: Pixel that shapes count their points from.
    """

    def __init__(self, width: int, height: int, *, origin: tuple[int, int] = (0, 0)) -> None:
        self._origin = origin
        self.colour = np.zeros((height, width, 3), np.float32)
        self.cover = np.zeros((height, width), np.float32)

    def mask(self) -> Picture:
        """Return an empty mask of the sheet's size."""
        return np.zeros(self.cover.shape, np.uint8)

    def lay(self, mask: Picture, colour: Colour, *, radius: float = 0.0, soft: float = 0.8) -> None:
        """Paint a shape.

        Args:
            mask: uint8, HxW, 255 inside.
            colour: Blue, green, red.
            radius: How round it is shaded, pixels; 0 is flat.
            soft: Softness of its edge, pixels.
        """
        box = _bounds(mask, margin=int(radius / 2 + 4 * soft) + 3)
        if box is None:
            return
        inside = np.ascontiguousarray(mask[box])
        ink: Any = np.array(colour, np.float32)
        if radius > 0:
            ink = ink * round_shade(inside, radius)[:, :, None]
        cover = cv2.GaussianBlur(inside, (0, 0), soft).astype(np.float32)[:, :, None] / 255.0
        self.colour[box] = self.colour[box] * (1 - cover) + ink * cover
        self.cover[box] = np.maximum(self.cover[box], cover[:, :, 0])

    def _placed(self, points: npt.ArrayLike) -> npt.NDArray[np.int32]:
        return np.asarray(np.asarray(points, np.float64) + self._origin, np.int32)

    def polygon(self, points: npt.ArrayLike, colour: Colour, *, radius: float = 0.0, soft: float = 0.8) -> None:
        """Paint the polygon through the points."""
        mask = self.mask()
        cv2.fillPoly(mask, [self._placed(points)], 255, cv2.LINE_AA)
        self.lay(mask, colour, radius=radius, soft=soft)

    def ellipse(
        self, centre: tuple[float, float], half: tuple[float, float], colour: Colour, *, radius: float = 0.0
    ) -> None:
        """Paint an upright ellipse."""
        mask = self.mask()
        middle = (round(centre[0]) + self._origin[0], round(centre[1]) + self._origin[1])
        cv2.ellipse(mask, middle, (round(half[0]), round(half[1])), 0, 0, 360, 255, -1, cv2.LINE_AA)
        self.lay(mask, colour, radius=radius)

    def limb(self, points: npt.ArrayLike, thick: int, colour: Colour, *, radius: float) -> None:
        """Paint a line with round ends: a finger, an arm, a strap."""
        mask = self.mask()
        cv2.polylines(mask, [self._placed(points)], False, 255, thick, cv2.LINE_AA)
        self.lay(mask, colour, radius=radius)

    def sprite(self, blur: float = 0.0) -> Sprite:
        """Return what was painted.

        Args:
            blur: Defocus, pixels.
        """
        colour, cover = self.colour * self.cover[:, :, None], self.cover
        if blur > 0:
            colour = np.asarray(cv2.GaussianBlur(colour, (0, 0), blur), np.float32)
            cover = np.asarray(cv2.GaussianBlur(cover, (0, 0), blur), np.float32)
        through = np.repeat(255.0 * (1.0 - cover[:, :, None]), 3, axis=2)
        return Sprite(picture(colour), picture(through))


def _bounds(mask: Picture, margin: int) -> tuple[slice, slice] | None:
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return None
    rows = slice(max(0, top - margin), min(mask.shape[0], top + height + margin))
    return rows, slice(max(0, left - margin), min(mask.shape[1], left + width + margin))


def curve(points: npt.ArrayLike, steps: int = 12) -> npt.NDArray[np.float64]:
    """Return a closed Catmull-Rom curve through the points, as a polygon of `steps` points for each."""
    knots = np.asarray(points, np.float64)
    before, after, beyond = np.roll(knots, 1, 0), np.roll(knots, -1, 0), np.roll(knots, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    a, b, c, d = before[:, None], knots[:, None], after[:, None], beyond[:, None]
    bend = 2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    return np.asarray(bend / 2).reshape(-1, 2)


def rounded(mask: Picture, box: Box, radius: int) -> None:
    """Fill a rectangle with round corners in a mask.

    Args:
        mask: uint8, HxW, changed in place.
        box: Left, top, right, bottom.
        radius: Of the corners, pixels.
    """
    left, top, right, bottom = box
    cv2.rectangle(mask, (left + radius, top), (right - radius, bottom), 255, -1)
    cv2.rectangle(mask, (left, top + radius), (right, bottom - radius), 255, -1)
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)


_FACE = cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None


def letter(sheet: Plane, text: str, at: tuple[int, int], size: int, colour: Colour, *, weight: int = 400) -> None:
    """Write a line of text, Chinese or Latin, its baseline beginning at `at`.

    OpenCV brings a face with Chinese characters since version 5; before that a bar stands for the line.

    Args:
        sheet: float32, HxWx3, changed in place.
        text: What to write.
        at: Where its baseline begins, pixels.
        size: Height of the letters, pixels.
        colour: Blue, green, red.
        weight: 300 light to 800 bold.
    """
    ink = np.zeros(sheet.shape[:2], np.uint8)
    if _FACE is not None:
        cv2.putText(ink, text, at, (255,), _FACE, size, weight=weight)
    else:
        width = size * len(text) * 2 // 3
        cv2.rectangle(ink, (at[0], at[1] - size * 2 // 3), (at[0] + width, at[1]), 255, -1)
    box = _bounds(ink, margin=0)
    if box is not None:
        cover = ink[box].astype(np.float32)[:, :, None] / 255
        sheet[box] += (np.array(colour, np.float32) - sheet[box]) * cover


def clouds(rng: np.random.Generator, width: int, height: int, cell: int) -> Plane:
    """Return smooth noise, float32, HxW, about -1 to 1, with hills `cell` pixels wide."""
    coarse = rng.standard_normal((height // cell + 3, width // cell + 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
