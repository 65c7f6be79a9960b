"""One camera frame after the other: the entrance, who stands there, what they hold, light and noise.

Serving the frames is left to `edge.demo.camera`.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edge.demo.carriers import SHEET, paper, phone
from edge.demo.figures import look, person
from edge.demo.motion import Path, Pose
from edge.demo.paint import Picture, Sprite, paste
from edge.demo.scene import HEIGHT, WIDTH, Walkers, entrance
from edge.demo.showing import FPS, Showing

_LOOKS: Final = 14
_JPEG_QUALITY: Final = 82
_NOISE_MARGIN: Final = 128
_SCREEN_GLOW: Final = 0.72
"""A phone lights itself: in a dark hall it keeps this part of its brightness."""


@dataclass(frozen=True, slots=True)
class Dressed:
    """A showing with everything drawn that does not move."""

    showing: Showing
    person: Sprite
    carrier: Sprite
    path: Path


class Wardrobe:
    """Draws people and what they hold, ahead of their turn.

    Args:
        seed: Everything follows from this and the presentation's number.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._people: dict[int, Sprite] = {}

    def dress(self, showing: Showing) -> Dressed:
        """Return the showing, drawn."""
        which = (showing.number * 5) % _LOOKS
        who = look(np.random.default_rng([self._seed, which]), which)
        if which not in self._people:
            self._people[which] = person(who)
        draw = phone if showing.carrier == "phone" else paper
        carrier = draw(showing.raw, showing.face, who, showing.wear)
        path = Path(self._seed * 100_003 + showing.number, showing.hold_s)
        return Dressed(showing, self._people[which], carrier, path)


class Stage:
    """The camera's view.

    Args:
        seed: Everything but the codes follows from this.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([seed, 7])
        self._hall = entrance(rng)
        self._walkers = Walkers(rng)
        self._grain = _grain(rng)
        self._light = 1.0

    def frame(self, tick: int, on: Dressed | None, at_s: float) -> tuple[Picture, bool]:
        """Draw one frame.

        Args:
            tick: Number of the frame, 1/15 s each.
            on: Who is there, or None.
            at_s: Seconds since they appeared.

        Returns:
            uint8, 720x1280x3, and whether any part of a code's carrier is in it.
        """
        wanted = on.showing.light if on is not None else self._light
        self._light += max(-0.12, min(0.12, wanted - self._light))
        frame = self._hall.copy()
        self._walkers.paste(frame, tick / FPS)
        is_shown = False
        pose = None
        if on is not None:
            where = on.path.person_at(at_s)
            if where is not None:
                paste(frame, on.person, where)
            pose = on.path.carrier_at(at_s)
        if self._light < 0.99:  # noqa: PLR2004  # full light needs no pass over the frame
            cv2.convertScaleAbs(frame, dst=frame, alpha=self._light)
        if on is not None and pose is not None:
            before = on.path.carrier_at(at_s - 1 / FPS)
            is_shown = _hold_up(frame, on, (at_s, pose, before), self._glow(on))
        self._noise(frame, tick)
        return frame, is_shown

    def _glow(self, on: Dressed) -> float:
        return max(self._light, _SCREEN_GLOW) if on.showing.carrier == "phone" else self._light

    def _noise(self, frame: Picture, tick: int) -> None:
        brighter, darker = self._grain[0 if self._light > 0.7 else 1]  # noqa: PLR2004  # the sensor's gain goes up
        row, column = (tick * 37) % _NOISE_MARGIN, (tick * 61) % _NOISE_MARGIN
        cut = (slice(row, row + HEIGHT), slice(column, column + WIDTH))
        cv2.add(frame, brighter[cut], dst=frame)
        cv2.subtract(frame, darker[cut], dst=frame)


def _grain(rng: np.random.Generator) -> list[tuple[Picture, Picture]]:
    shape = (HEIGHT + _NOISE_MARGIN, WIDTH + _NOISE_MARGIN, 3)
    common = rng.standard_normal((*shape[:2], 1), np.float32)
    noise = 0.85 * common + 0.4 * rng.standard_normal(shape, np.float32)
    grains = []
    for sigma in (3.2, 6.0):
        brighter = np.asarray(np.clip(noise * sigma, 0, 255), np.uint8)
        darker = np.asarray(np.clip(-noise * sigma, 0, 255), np.uint8)
        grains.append((brighter, darker))
    return grains


def _hold_up(frame: Picture, on: Dressed, moving: tuple[float, Pose, Pose | None], glow: float) -> bool:
    at_s, pose, before = moving
    corners = pose.corners()
    low = np.maximum(np.floor(corners.min(0)).astype(int) - 2, 0)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 2, (WIDTH, HEIGHT))
    if (high <= low).any():
        return False
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    texture = np.array([(0, 0), (SHEET[0], 0), SHEET, (0, SHEET[1])], np.float32)
    bend = cv2.getPerspectiveTransform(texture, corners - low.astype(np.float32))
    colour = cv2.warpPerspective(on.carrier.colour, bend, size, flags=cv2.INTER_LINEAR)
    through = cv2.warpPerspective(
        on.carrier.shows_through, bend, size, flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255)
    )
    if glow < 0.99:  # noqa: PLR2004  # full light needs no pass
        cv2.convertScaleAbs(colour, dst=colour, alpha=glow)
    smear = _smear(pose, before, on.path.defocus_at(at_s))
    if max(smear) > 1:
        colour, through = cv2.blur(colour, smear), cv2.blur(through, smear)
    paste(frame, Sprite(np.asarray(colour, np.uint8), np.asarray(through, np.uint8)), (int(low[0]), int(low[1])))
    return True


def _smear(pose: Pose, before: Pose | None, defocus: int) -> tuple[int, int]:
    """Return the blur each way, pixels: the lens, and the carrier's way while the shutter is open, a quarter frame."""
    way = (0.0, 0.0) if before is None else (abs(pose.x - before.x) / 4, abs(pose.y - before.y) / 4)
    return 1 + defocus + int(way[0]), 1 + defocus + int(way[1])


def encoded(frame: Picture) -> bytes:
    """Return a frame as JPEG."""
    return bytes(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1])


def grey_of(frame: Picture) -> npt.NDArray[np.uint8]:
    """Return a frame's brightness, as a decoder reads it."""
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), np.uint8)
