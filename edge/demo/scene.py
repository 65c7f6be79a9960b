"""The entrance of a station as the gate's camera sees it: glass front, lamps, floor, signs, people far away.

All of it is drawn, none is photographed; it is out of focus because the camera looks at what is held up to it.
"""

import cv2
import numpy as np

from edge.demo.paint import Canvas, Picture, Plane, Sprite, clouds, letter, paste, picture

WIDTH, HEIGHT = 1280, 720
_HORIZON = 330
_BLUR = 4.6
_WALKERS = 4


def entrance(rng: np.random.Generator) -> Picture:
    """Return the empty scene, 720x1280."""
    sheet = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    _glass_front(sheet, rng)
    _ceiling(sheet)
    _floor(sheet, rng)
    _pillars(sheet)
    _signs(sheet)
    _barriers(sheet)
    soft = cv2.GaussianBlur(sheet, (0, 0), _BLUR)
    bloom = cv2.GaussianBlur(np.maximum(sheet - 205, 0), (0, 0), 38)
    return picture((soft + 1.1 * bloom) * _vignette()[:, :, None])


def _glass_front(sheet: Plane, rng: np.random.Generator) -> None:
    rows = np.linspace(0, 1, _HORIZON + 20)[:, None, None]
    sheet[: _HORIZON + 20] = np.array([222, 206, 186]) * (1 - rows) + np.array([238, 232, 224]) * rows
    for _ in range(14):  # the town outside, pale in the daylight
        left, wide, tall = int(rng.integers(0, WIDTH)), int(rng.integers(40, 120)), int(rng.integers(50, 190))
        tone = float(rng.uniform(168, 206))
        cv2.rectangle(sheet, (left, _HORIZON - tall), (left + wide, _HORIZON + 20), (tone + 14, tone + 4, tone - 6), -1)
    cv2.rectangle(sheet, (0, _HORIZON - 26), (WIDTH, _HORIZON + 22), (150, 172, 168), -1)
    for x in range(-20, WIDTH + 60, 92):
        cv2.line(sheet, (x, 60), (x, _HORIZON + 20), (96, 92, 88), 7)
    for y in (150, 236):
        cv2.line(sheet, (0, y), (WIDTH, y), (112, 108, 104), 6)


def _ceiling(sheet: Plane) -> None:
    cv2.fillPoly(sheet, [np.array([(0, 0), (WIDTH, 0), (WIDTH, 84), (900, 128), (380, 128), (0, 84)])], (92, 90, 90))
    for side in (-1, 1):
        for lane, near in ((150, 470), (330, 980)):
            far_x, near_x = 640 + side * lane, 640 + side * near
            cv2.line(sheet, (far_x, 122), (near_x, -30), (255, 252, 246), 9)
    cv2.line(sheet, (0, 86), (380, 128), (70, 68, 68), 5)
    cv2.line(sheet, (WIDTH, 86), (900, 128), (70, 68, 68), 5)


def _floor(sheet: Plane, rng: np.random.Generator) -> None:
    top = _HORIZON + 20
    depth = np.linspace(0, 1, HEIGHT - top)[:, None]
    shine = np.exp(-(((np.arange(WIDTH)[None, :] - 640) / (180 + 420 * depth)) ** 2))
    tone = 188 - 66 * depth + 44 * shine * (1 - 0.6 * depth) + 4 * clouds(rng, WIDTH, HEIGHT - top, 60)
    sheet[top:] = tone[:, :, None] * np.array([0.98, 1.0, 1.01])
    for x in range(-2400, 3700, 170):
        cv2.line(sheet, (640 + (x - 640) // 9, top), (x, HEIGHT), (128, 130, 132), 2, cv2.LINE_AA)
    for step in range(1, 12):
        y = int(top + (HEIGHT - top) * (step / 11) ** 2.1)
        cv2.line(sheet, (0, y), (WIDTH, y), (132, 134, 136), 2)
    for x in range(-20, WIDTH + 60, 92):  # the mullions mirrored in the polished stone
        cv2.line(sheet, (x, top), (640 + int((x - 640) * 1.25), top + 110), (150, 150, 150), 5)


def _pillars(sheet: Plane) -> None:
    for left, right, foot in ((60, 158, 470), (1128, 1226, 470), (396, 432, 372), (852, 888, 372)):
        across = np.linspace(-1, 1, right - left)[None, :, None]
        tone = 196 - 62 * np.abs(across + 0.25) ** 1.6
        sheet[70:foot, left:right] = tone * np.array([0.97, 0.99, 1.0])


def _signs(sheet: Plane) -> None:
    cv2.rectangle(sheet, (462, 96), (824, 166), (124, 66, 20), -1)
    letter(sheet, "进站口 Entrance", (482, 144), 38, (250, 246, 240), weight=600)
    cv2.rectangle(sheet, (926, 150), (1118, 262), (26, 24, 24), -1)
    for row, text in enumerate(("G87 北京西 14:20", "D1966 成都东 14:32", "G363 兰州西 14:41")):
        letter(sheet, text, (938, 182 + row * 34), 17, (60, 176, 250), weight=500)
    cv2.rectangle(sheet, (196, 176), (340, 232), (84, 132, 16), -1)
    letter(sheet, "出口 Exit", (206, 216), 28, (244, 250, 246), weight=600)


def _barriers(sheet: Plane) -> None:
    for left, wide in ((-40, 190), (1130, 190), (262, 62), (956, 62)):
        near = wide > 100  # noqa: PLR2004  # the two beside the lane against the two behind
        top, foot = (430, HEIGHT) if near else (352, 428)
        across = np.linspace(0, 1, wide)[None, :, None]
        tone = 176 - 70 * across if left < WIDTH // 2 else 106 + 70 * across
        shown = slice(max(0, left), min(WIDTH, left + wide))
        sheet[top:foot, shown] = tone[:, max(0, -left) : max(0, -left) + shown.stop - shown.start]
        cv2.rectangle(sheet, (left, top), (left + wide, top + 12), (214, 216, 214), -1)
        cv2.circle(sheet, (left + wide // 2, top + 46 if near else top + 18), 17 if near else 6, (120, 214, 60), -1)


def _vignette() -> Plane:
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    return np.asarray(1.0 - 0.24 * np.clip(x**2 * 0.7 + y**2 * 0.5, 0, 1) ** 1.4, np.float32)


class Walkers:
    """People far behind who cross the hall and are never looked at.

    Args:
        rng: Where their looks come from.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._cuts = [_walker(rng) for _ in range(_WALKERS)]
        self._from = rng.uniform(0, WIDTH + 200, _WALKERS)
        self._speed = rng.uniform(12, 42, _WALKERS) * rng.choice([-1.0, 1.0], _WALKERS)

    def paste(self, frame: Picture, at_s: float) -> None:
        """Lay them on a frame where they are at a time, seconds."""
        for number, cut in enumerate(self._cuts):
            x = (self._from[number] + self._speed[number] * at_s) % (WIDTH + 200) - 100
            bob = 1.5 * np.sin(at_s * 7 + number)
            paste(frame, cut, (int(x), int(_HORIZON - 70 + 9 * number + bob)))


def _walker(rng: np.random.Generator) -> Sprite:
    canvas = Canvas(84, 190)
    coat = tuple(int(tone) for tone in rng.integers(50, 150, 3))
    dark = (48, 46, 52)
    canvas.limb([(36, 120), (30, 172)], 13, dark, radius=6)
    canvas.limb([(46, 120), (54, 172)], 13, dark, radius=6)
    canvas.ellipse((42, 84), (22, 44), (coat[0], coat[1], coat[2]), radius=16)
    canvas.ellipse((42, 30), (11, 14), (150, 176, 208), radius=8)
    canvas.ellipse((42, 24), (12, 10), (40, 38, 40), radius=6)
    return canvas.sprite(blur=2.6)
