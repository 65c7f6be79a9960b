"""People who stand before the camera: coat, head, hair, mask; and the hands that hold something up.

Nobody in particular is drawn. What the hands hold is left to `edge.demo.carriers`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.demo.paint import Canvas, Sprite, curve
from edge.demo.showing import Colour

FIGURE_WIDTH: Final = 660
FIGURE_HEIGHT: Final = 700
_ORIGIN: Final = (FIGURE_WIDTH // 2, 26)
"""Points of a figure count from the parting of the hair."""
_DEFOCUS: Final = 1.7

_COATS: Final[tuple[Colour, ...]] = (
    (92, 58, 38), (58, 62, 70), (46, 62, 128), (118, 120, 74), (64, 96, 72), (150, 146, 140), (70, 132, 176),
    (96, 60, 92), (44, 44, 50), (130, 96, 70),
)  # fmt: skip
_SKINS: Final[tuple[Colour, ...]] = ((150, 182, 222), (136, 170, 214), (124, 156, 200), (160, 190, 226))
_HAIRS: Final[tuple[Colour, ...]] = ((34, 32, 34), (40, 38, 44), (46, 50, 62), (148, 148, 150))
_MASKS: Final[tuple[Colour, ...]] = ((224, 206, 168), (236, 236, 234), (72, 68, 68), (226, 212, 190))
_SCARVES: Final[tuple[Colour, ...]] = ((60, 60, 170), (200, 196, 190), (110, 90, 60), (70, 120, 160))


@dataclass(frozen=True, slots=True)
class Look:
    """What one person looks like.

    Attributes:
        coat: Colour of the coat.
        skin: Colour of the skin.
        hair: Colour of the hair.
        mask: Colour of the mask.
        hair_kind: 0 short, 1 long, 2 bob, 3 cap.
        wears_glasses: Whether there are glasses.
        scarf: Colour of a scarf, or None.
        strap: Whether a bag hangs over the shoulder.
    """

    coat: Colour
    skin: Colour
    hair: Colour
    mask: Colour
    hair_kind: int
    wears_glasses: bool
    scarf: Colour | None
    strap: bool


def look(rng: np.random.Generator, number: int) -> Look:
    """Return somebody; neighbours in number differ in coat and hair."""

    def one_of(choices: tuple[Colour, ...]) -> Colour:
        return choices[int(rng.integers(len(choices)))]

    return Look(
        _COATS[number * 3 % len(_COATS)],
        one_of(_SKINS),
        one_of(_HAIRS),
        one_of(_MASKS),
        number % 4,
        bool(rng.random() < 0.4),  # noqa: PLR2004  # two of five wear glasses
        one_of(_SCARVES) if rng.random() < 0.35 else None,  # noqa: PLR2004
        bool(rng.random() < 0.35),  # noqa: PLR2004
    )


def person(who: Look) -> Sprite:
    """Return a person from the head to the waist, 700x660, slightly out of focus, face to the camera."""
    canvas = Canvas(FIGURE_WIDTH, FIGURE_HEIGHT, origin=_ORIGIN)
    if who.hair_kind == 1:
        canvas.polygon(_mirrored([(0, 26), (96, 60), (112, 170), (104, 300), (60, 330)]), who.hair, radius=40)
    _coat(canvas, who)
    _head(canvas, who)
    _hair(canvas, who)
    return canvas.sprite(blur=_DEFOCUS)


def _mirrored(half: list[tuple[float, float]]) -> npt.NDArray[np.float64]:
    """Return a closed curve from the points of its right half, x counted from the middle."""
    points = [*half, *((-x, y) for x, y in reversed(half) if x > 0)]
    return curve(points)


def _darker(colour: Colour, by: float) -> Colour:
    return int(colour[0] * by), int(colour[1] * by), int(colour[2] * by)


def _coat(canvas: Canvas, who: Look) -> None:
    for side in (-1, 1):  # the arms, behind the body
        shoulder, elbow = (side * 196, 372), (side * 268, 600)
        canvas.limb([shoulder, elbow, (side * 250, 760)], 116, _darker(who.coat, 0.92), radius=48)
    body = [(0, 262), (60, 276), (150, 312), (214, 352), (232, 440), (222, 560), (216, 700), (0, 760)]
    canvas.polygon(_mirrored([(float(x), float(y)) for x, y in body]), who.coat, radius=74)
    canvas.ellipse((0, 262), (66, 44), _darker(who.skin, 0.82), radius=20)  # the neck
    shirt = [(-62, 268), (62, 268), (6, 402), (-6, 402)]
    canvas.polygon(shirt, (206, 206, 202), radius=14)
    canvas.polygon([(-44, 250), (44, 250), (0, 318)], _darker(who.skin, 0.84), radius=10)
    for side in (-1, 1):
        lapel = [(58, 258), (92, 280), (74, 372), (8, 440), (4, 400)]
        canvas.polygon([(side * x, y) for x, y in lapel], _darker(who.coat, 1.16), radius=12)
    canvas.limb([(2, 408), (4, 760)], 5, _darker(who.coat, 0.5), radius=0)
    if who.strap:
        canvas.limb([(-150, 312), (130, 760)], 30, (38, 44, 52), radius=10)
    if who.scarf is not None:
        scarf = [(0, 236), (70, 240), (104, 274), (86, 330), (0, 348)]
        canvas.polygon(_mirrored([(float(x), float(y)) for x, y in scarf]), who.scarf, radius=26)
        canvas.limb([(34, 320), (44, 470)], 56, _darker(who.scarf, 0.94), radius=18)


def _head(canvas: Canvas, who: Look) -> None:
    for side in (-1, 1):
        canvas.ellipse((side * 84, 152), (13, 26), _darker(who.skin, 0.9), radius=10)
    face = [(0, 30), (56, 44), (84, 96), (84, 160), (66, 220), (30, 258), (0, 264)]
    canvas.polygon(_mirrored([(float(x), float(y)) for x, y in face]), who.skin, radius=58)
    for side in (-1, 1):
        x = side * 34
        canvas.ellipse((x, 134), (19, 9), (232, 234, 236), radius=0)
        canvas.ellipse((x - side * 2, 134), (9, 9), (30, 34, 44), radius=0)
        canvas.ellipse((x - side * 2 - 3, 131), (2, 2), (250, 250, 250), radius=0)
        canvas.limb([(x - 19, 132), (x, 124), (x + 19, 132)], 5, (44, 50, 66), radius=0)
        canvas.limb([(x - 24, 112), (x + side * 4, 106), (x + 24, 111)], 8, _darker(who.hair, 1.1), radius=0)
    canvas.limb([(-2, 130), (-4, 166)], 12, _darker(who.skin, 1.06), radius=5)
    mask = [(0, 158), (40, 166), (78, 172), (70, 222), (34, 268), (0, 276)]
    canvas.polygon(_mirrored([(float(x), float(y)) for x, y in mask]), who.mask, radius=44)
    for y in (196, 216, 236):
        canvas.limb([(-58, y), (0, y + 6), (58, y)], 3, _darker(who.mask, 0.86), radius=0)
    for side in (-1, 1):
        canvas.limb([(side * 74, 176), (side * 86, 150)], 4, _darker(who.mask, 0.95), radius=0)
    if who.wears_glasses:
        _glasses(canvas)


def _glasses(canvas: Canvas) -> None:
    for side in (-1, 1):
        ring = curve([(side * (38 + dx), 136 + dy) for dx, dy in ((-30, 0), (0, -24), (30, 0), (0, 24))])
        canvas.limb(np.vstack([ring, ring[:1]]), 5, (40, 38, 42), radius=0)
        canvas.limb([(side * 68, 132), (side * 86, 138)], 5, (40, 38, 42), radius=0)
    canvas.limb([(-8, 132), (8, 132)], 5, (40, 38, 42), radius=0)


def _hair(canvas: Canvas, who: Look) -> None:
    sides = {0: 118, 1: 196, 2: 206, 3: 112}[who.hair_kind]
    outer = [(0, -6), (66, 4), (100, 62), (98, sides), (82, sides)]
    inner = [(80, 104), (64, 76), (20, 64), (0, 62)]
    points = [(x, y) for x, y in outer + inner] + [(-x, y) for x, y in reversed(outer + inner) if x > 0]
    canvas.polygon(curve(points), who.hair, radius=34)
    if who.hair_kind == 3:  # noqa: PLR2004  # a cap over it
        cap = [(0, -14), (72, 0), (104, 74), (0, 84)]
        canvas.polygon(_mirrored([(float(x), float(y)) for x, y in cap]), _darker(who.coat, 0.8), radius=40)
        canvas.polygon(_mirrored([(0.0, 66.0), (84.0, 72.0), (74.0, 98.0), (0.0, 104.0)]), _darker(who.coat, 0.6))


def grip(canvas: Canvas, who: Look, *, left: int, right: int, bottom: int) -> None:
    """Paint the palm behind something that is held, and the sleeve below it; call before painting the thing.

    Args:
        canvas: The sheet.
        who: Whose hand.
        left: Left edge of the thing, pixels.
        right: Right edge.
        bottom: Lower edge.
    """
    middle = (left + right) // 2
    canvas.limb([(middle + 8, bottom + 40), (middle + 70, bottom + 330)], 170, _darker(who.coat, 0.95), radius=64)
    canvas.limb([(middle + 2, bottom - 10), (middle + 14, bottom + 52)], 112, _darker(who.skin, 0.88), radius=44)
    palm = [(left + 20, bottom - 160), (right - 10, bottom - 170), (right + 26, bottom - 40), (middle, bottom + 50)]
    canvas.polygon(curve([*palm, (left - 14, bottom - 60)]), _darker(who.skin, 0.86), radius=40)


def fingers(canvas: Canvas, who: Look, *, left: int, right: int, bottom: int) -> None:
    """Paint the thumb and fingertips that close around the thing; call after painting it."""
    for row, reach in enumerate((24, 30, 28, 20)):
        y = bottom - 196 + row * 44
        canvas.limb([(left - 12, y + 10), (left + reach, y)], 36, _darker(who.skin, 0.97), radius=17)
        canvas.ellipse((left + reach + 2, y - 1), (8, 9), _darker(who.skin, 1.12), radius=0)
    canvas.limb(
        [(right + 22, bottom - 40), (right + 18, bottom - 112), (right - 18, bottom - 172)], 46, who.skin, radius=21
    )
    canvas.ellipse((right - 21, bottom - 177), (11, 15), _darker(who.skin, 1.14), radius=0)
