"""How somebody steps up, holds a code to the camera and goes: poses over time, and their projection.

Everything follows from a seed and the time since the person appeared; drawing is left to `edge.demo.stage`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge.demo.carriers import SHEET
from edge.demo.showing import ENTER_S, LEAVE_S

_RAISE_AFTER_S: Final = 0.12
_FOCAL: Final = 1500.0
_PIVOT: Final = (SHEET[0] / 2, 310.0)
_HELD_AT: Final = (806.0, 352.0)
_STANDS_AT: Final = (214, 62)
_OUTSIDE: Final = 900.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a carrier is.

    Attributes:
        x: Of its pivot in the frame, pixels.
        y: The same.
        scale: Frame pixels for one of the texture.
        roll: Turn in the picture's plane, radians.
        pitch: Tilt towards the camera, radians.
        yaw: Turn about the upright axis, radians.
    """

    x: float
    y: float
    scale: float
    roll: float
    pitch: float
    yaw: float

    def corners(self) -> npt.NDArray[np.float32]:
        """Return where the texture's corners lie in the frame, clockwise from the upper left; float32, 4x2."""
        width, height = SHEET
        flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64) - _PIVOT
        points = np.column_stack([flat * self.scale, np.zeros(4)]) @ _turn(self.roll, self.pitch, self.yaw).T
        near = _FOCAL / (_FOCAL + points[:, 2])
        return np.asarray(points[:, :2] * near[:, None] + (self.x, self.y), np.float32)


def _turn(roll: float, pitch: float, yaw: float) -> npt.NDArray[np.float64]:
    cos_r, sin_r, cos_p, sin_p, cos_y, sin_y = (f(angle) for angle in (roll, pitch, yaw) for f in (np.cos, np.sin))
    about_z = np.array([(cos_r, -sin_r, 0), (sin_r, cos_r, 0), (0, 0, 1)])
    about_x = np.array([(1, 0, 0), (0, cos_p, -sin_p), (0, sin_p, cos_p)])
    about_y = np.array([(cos_y, 0, sin_y), (0, 1, 0), (-sin_y, 0, cos_y)])
    return np.asarray(about_y @ about_x @ about_z)


class Path:
    """The way of one person and what they hold.

    Args:
        seed: Everything about it follows from this.
        hold_s: How long the code is held still, as far as a hand is still, seconds.
    """

    def __init__(self, seed: int, hold_s: float) -> None:
        rng = np.random.default_rng(seed)
        self.duration_s = ENTER_S + hold_s + LEAVE_S
        self._held = Pose(
            _HELD_AT[0] + rng.uniform(-36, 36),
            _HELD_AT[1] + rng.uniform(-18, 26),
            rng.uniform(0.88, 0.98),
            rng.normal(0, 0.05),
            rng.uniform(-0.30, 0.16),
            rng.uniform(-0.34, 0.26),
        )
        self._side = -1 if rng.random() < 0.5 else 1  # noqa: PLR2004  # from the left or the right
        self._stand = (_STANDS_AT[0] + rng.uniform(-24, 24), _STANDS_AT[1] + rng.uniform(-14, 34))
        self._tremor = rng.uniform(0.7, 2.4, 6)
        self._phase = rng.uniform(0, 2 * np.pi, 6)
        self._unrest = rng.uniform(0.6, 1.8)
        self._settles_s = rng.uniform(0.08, 0.26)
        self._hunts_at = rng.uniform(0.5, max(0.6, hold_s - 0.3))
        self._hunting = rng.uniform(-4, 9)

    def person_at(self, at_s: float) -> tuple[int, int] | None:
        """Return the upper left corner of the person, or None where nobody is."""
        if not 0 <= at_s < self.duration_s:
            return None
        away = self._away(at_s)
        sway = 2.0 * np.sin(2.1 * at_s + self._phase[0])
        bob = 7.0 * abs(np.sin(9 * at_s)) * min(1.0, abs(away) * 3)
        return int(self._stand[0] + away * _OUTSIDE + sway), int(self._stand[1] + bob)

    def _away(self, at_s: float) -> float:
        if at_s < ENTER_S:
            return float(self._side * (1 - _ease(at_s / ENTER_S)))
        left_s = self.duration_s - at_s
        return float(-self._side * (1 - _ease(left_s / LEAVE_S))) if left_s < LEAVE_S else 0.0

    def carrier_at(self, at_s: float) -> Pose | None:
        """Return the pose of what is held up, or None where nothing is."""
        if not _RAISE_AFTER_S <= at_s < self.duration_s:
            return None
        raised = _ease((at_s - _RAISE_AFTER_S) / (ENTER_S - _RAISE_AFTER_S))
        left_s = self.duration_s - at_s
        lowered = 1 - _ease(left_s / LEAVE_S) if left_s < LEAVE_S else 0.0
        shake = np.sin(2 * np.pi * self._tremor * at_s + self._phase) * self._unrest
        away = self._away(at_s)
        held = self._held
        return Pose(
            held.x + 0.55 * away * _OUTSIDE + 4.0 * shake[0],
            held.y + 560 * (1 - raised) + 520 * lowered + 3.2 * shake[1],
            held.scale * (0.86 + 0.14 * raised) * (1 + 0.012 * shake[2]),
            held.roll + 0.5 * (1 - raised) + 0.3 * lowered + 0.012 * shake[3],
            held.pitch - 0.4 * (1 - raised) + 0.02 * shake[4],
            held.yaw + 0.03 * shake[5],
        )

    def defocus_at(self, at_s: float) -> int:
        """Return the blur of what is held up, pixels: the lens comes from the hall to the near, and hunts once more."""
        since = at_s - ENTER_S
        settling = 8.0 * np.exp(-max(0.0, since) / self._settles_s)
        hunting = max(0.0, self._hunting) * np.exp(-(((since - self._hunts_at) / 0.11) ** 2))
        return round(float(settling + hunting))


def _ease(part: float) -> float:
    part = min(1.0, max(0.0, part))
    return part * part * (3 - 2 * part)
