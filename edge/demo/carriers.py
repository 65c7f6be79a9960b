"""What people hold up: a phone with its lit screen, or a sheet of paper, each with one QR code on it.

The whole carrier with the hand around it is one flat texture; `edge.demo.camera` turns and moves it in space.
"""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
import segno

from edge.demo.figures import Look, fingers, grip
from edge.demo.paint import Canvas, Picture, Plane, Sprite, clouds, letter, rounded
from edge.demo.showing import Colour, Face, Wear

SHEET: Final = (560, 860)
"""Width and height of a texture, pixels; the carrier stands in its middle upper part."""
_PHONE: Final = (140, 40, 420, 620)
_PAPER: Final = (80, 40, 480, 600)
_QUIET: Final = 4
"""Modules of the quiet zone (ISO/IEC 18004, 9.1)."""


def code(raw: bytes, side: int, ink: Colour) -> Plane:
    """Return a QR code with its quiet zone.

    Args:
        raw: What stands in it.
        side: Width of the result, pixels.
        ink: Colour of the dark modules.

    Returns:
        float32, side x side x 3.
    """
    modules = np.array(segno.make(_content(raw), error="m", micro=False, boost_error=False).matrix, np.uint8)
    dark = np.kron(np.pad(modules & 1, _QUIET), np.ones((8, 8), np.uint8)).astype(np.float32)
    cover = cv2.resize(dark, (side, side), interpolation=cv2.INTER_AREA)[:, :, None]
    return np.asarray(255.0 + (np.array(ink, np.float32) - 255.0) * cover, np.float32)


def _content(raw: bytes) -> str | bytes:
    # As text, segno takes the alphanumeric mode where it can, as issuers do: fewer modules for the same pass.
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        return raw


def phone(raw: bytes, face: Face, who: Look, wear: Wear) -> Sprite:
    """Return a hand with a phone that shows a code, 860x560."""
    canvas = Canvas(*SHEET)
    left, top, right, bottom = _PHONE
    grip(canvas, who, left=left, right=right, bottom=bottom)
    body = canvas.mask()
    rounded(body, _PHONE, 34)
    canvas.lay(body, (40, 38, 38), radius=9)
    glass = (left + 9, top + 9, right - 9, bottom - 9)
    screen = canvas.mask()
    rounded(screen, glass, 27)
    _onto(canvas, screen, _screen(raw, face, wear, glass))
    cv2.circle(canvas.colour, ((left + right) // 2, top + 24), 6, (20, 18, 18), -1, cv2.LINE_AA)
    fingers(canvas, who, left=left, right=right, bottom=bottom)
    return canvas.sprite(blur=wear.defocus)


def _onto(canvas: Canvas, mask: Picture, content: Plane) -> None:
    cover = mask.astype(np.float32)[:, :, None] / 255.0
    canvas.colour = canvas.colour * (1 - cover) + content * cover
    canvas.cover = np.maximum(canvas.cover, cover[:, :, 0])


def _screen(raw: bytes, face: Face, wear: Wear, glass: tuple[int, int, int, int]) -> Plane:
    left, top, right, _ = glass
    sheet = np.full((SHEET[1], SHEET[0], 3), (246, 244, 243), np.float32)
    cv2.rectangle(sheet, (left, top), (right, top + 150), face.tint, -1)
    letter(sheet, "14:03", (left + 22, top + 26), 17, (250, 250, 250), weight=600)
    letter(sheet, face.title, (left + 22, top + 78), 28, (252, 252, 252), weight=600)
    card = np.zeros(sheet.shape[:2], np.uint8)
    rounded(card, (left + 6, top + 104, right - 6, top + 434), 14)
    sheet[card > 127] = 255  # noqa: PLR2004  # inside the card
    side = right - left - 16
    sheet[top + 108 : top + 108 + side, left + 8 : left + 8 + side] = code(raw, side, face.ink)
    letter(sheet, face.line, (left + 62, top + 394), 22, face.ink, weight=600)
    for row, length in enumerate((150, 120, 138)):
        y = top + 458 + row * 28
        cv2.rectangle(sheet, (left + 46, y), (left + 46 + length, y + 10), (206, 204, 202), -1)
    _light_up(sheet, wear)
    return sheet


def _light_up(sheet: Plane, wear: Wear) -> None:
    wave, band = _screen_light()
    if wear.moire > 0:
        sheet *= 1 - (wear.moire * 0.10) * wave
    if wear.glare > 0:
        sheet += (165 * wear.glare) * band
    np.clip(sheet * 0.97 + 4, 0, 255, out=sheet)


@lru_cache(maxsize=1)
def _screen_light() -> tuple[Plane, Plane]:
    """Return the moire and the mirrored lamp of a screen, at full strength."""
    y, x = np.mgrid[0 : SHEET[1], 0 : SHEET[0]].astype(np.float32)
    # The screen's pixels beat against the sensor's: slow, slanted, faintly coloured waves.
    wave = 1 + (np.sin(x * 0.31 + y * 0.07) * np.sin(y * 0.24 - x * 0.05))[:, :, None] * (1.0, 0.8, 1.1)
    slant = x * 0.8 + y * 0.55
    band = np.exp(-(((slant - 552) / 30) ** 2)) + 0.6 * np.exp(-(((slant - 628) / 12) ** 2))
    return np.asarray(wave, np.float32), np.asarray(band[:, :, None], np.float32)


def paper(raw: bytes, face: Face, who: Look, wear: Wear) -> Sprite:
    """Return a hand with a printed sheet that shows a code, 860x560."""
    canvas = Canvas(*SHEET)
    left, top, right, bottom = _PAPER
    grip(canvas, who, left=left + 60, right=right - 60, bottom=bottom)
    mask = canvas.mask()
    cv2.rectangle(mask, (left, top), (right, bottom), 255, -1)
    canvas.lay(mask, (236, 240, 242), soft=1.0)
    _onto(canvas, mask, _print(raw, face, wear))
    _thumb(canvas, who)
    cut = canvas.sprite(blur=wear.defocus)
    return _crumpled(cut, wear) if wear.creases > 0 else cut


def _thumb(canvas: Canvas, who: Look) -> None:
    skin = who.skin
    canvas.limb([(300, 690), (286, 620), (262, 566)], 58, skin, radius=26)
    canvas.ellipse((260, 562), (14, 19), (min(255, skin[0] + 20), min(255, skin[1] + 20), min(255, skin[2] + 16)))


def _print(raw: bytes, face: Face, wear: Wear) -> Plane:
    left, top, right, _ = _PAPER
    sheet = np.full((SHEET[1], SHEET[0], 3), (236, 240, 242), np.float32)
    letter(sheet, face.title, (left + 34, top + 60), 34, (40, 38, 38), weight=600)
    cv2.line(sheet, (left + 34, top + 80), (right - 34, top + 80), (60, 58, 58), 2)
    side = 300
    at = (left + (right - left - side) // 2, top + 94)
    sheet[at[1] : at[1] + side, at[0] : at[0] + side] *= code(raw, side, (34, 32, 32)) / 255
    letter(sheet, face.line, (left + 60, top + 432), 22, (52, 50, 50), weight=500)
    for row, length in enumerate((280, 240, 262)):
        y = top + 456 + row * 26
        cv2.rectangle(sheet, (left + 60, y), (left + 60 + length, y + 8), (150, 150, 150), -1)
    cv2.circle(sheet, (right - 76, top + 470), 46, (96, 92, 206), 4, cv2.LINE_AA)  # the round red seal
    letter(sheet, "★", (right - 92, top + 482), 32, (96, 92, 206))
    if wear.creases > 0:
        sheet *= _folds(wear.creases)[:, :, None]
    return sheet


def _folds(strength: float) -> Plane:
    rng = np.random.default_rng(int(strength * 1000))
    width, height = SHEET
    shade = 1 + 0.05 * strength * clouds(rng, width, height, 90)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for offset, tilt in ((_PAPER[1] + 280, 0.02), (_PAPER[1] + 400, -0.12)):
        fold = (y - offset - tilt * (x - width / 2)) / 5
        shade += strength * (-0.16 * np.exp(-(fold**2)) + 0.05 * np.tanh(fold / 6))
    upright = (x - width / 2 - 12) / 5
    shade += strength * (-0.12 * np.exp(-(upright**2)) - 0.05 * np.tanh(upright / 6))
    return np.asarray(np.clip(shade, 0.5, 1.06), np.float32)


def _crumpled(cut: Sprite, wear: Wear) -> Sprite:
    rng = np.random.default_rng(int(wear.creases * 1000) + 1)
    width, height = SHEET
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x += 1.5 * wear.creases * clouds(rng, width, height, 150)
    y += 1.5 * wear.creases * clouds(rng, width, height, 150)
    bent = [cv2.remap(part, x, y, cv2.INTER_LINEAR, borderValue=0) for part in (cut.colour, 255 - cut.shows_through)]
    return Sprite(np.asarray(bent[0], np.uint8), np.asarray(255 - bent[1], np.uint8))
