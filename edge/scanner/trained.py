"""The trained engine: learns from the modules that are known how this picture blurs, and so tells the others.

A code's finders, timing and alignment patterns are printed with it; what blur, motion, weak light or a shadow have made
of them they have made of every module. A linear filter is trained on them (ridge regression, as a modem trains on its
preamble) and applied to all; the bits drawn clean go to zxing-cpp, which checks and corrects them as any other code.
Of a code that stays in view, what each frame said of each module is added up.
"""

import contextlib
import math
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.scanner.engines import read_zxing
from edge.scanner.finders import find_finders, likely_corners
from edge.scanner.handover import Sighting
from edge.scanner.lattice import BORDER, SAMPLES, Field, Floats, Known, Lattice, Pixels, known_modules

_TAPS = ((8, 0.01), (4, 0.01))
"""Width of the filter in samples and how strongly it is held to the plain mean of a module."""

_DECIDED_TAPS = (6, 0.01)
_DECIDED_TURNS = 2
_DECIDED_SHARE = 0.6
_HOPELESS = 0.9
"""Mean squared error on the known modules (of 1) above which their neighbours are guesses."""

_FUSED_FRAMES = 6
_SAME_CODE = 0.45
"""Correlation of two frames' modules above which they show one code. One code's correlate by 0.85 even in noise that
hides it; codes that begin alike and share version and mask, by 0.31."""

_DRAWN_PX = 3

_MOST_PIXELS = 360_000
"""Of a region; a larger one is made smaller: what it holds has pixels to spare."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What a filter told of each module.

    Attributes:
        shades: float32, NxN: below 0 dark, above light, the further the surer.
        error: Mean squared error on the modules it was trained with.
    """

    shades: Floats
    error: float


def _trained(samples: Floats, known: npt.NDArray[np.int8], taps: int, hold: float) -> _Told:
    """Train a filter of taps x taps samples on the known modules and apply it to all."""
    n = known.shape[0]
    first = SAMPLES * BORDER - taps // 2 + 1
    last = first + SAMPLES * (n - 1) + taps
    windows = np.lib.stride_tricks.sliding_window_view(samples[first:last, first:last], (taps, taps))
    seen = windows[::SAMPLES, ::SAMPLES].reshape(n * n, taps * taps)
    shades = known.ravel()
    chosen = shades != 0
    taught, wanted = seen[chosen], shades[chosen].astype(np.float32)
    middle, level = taught.mean(0), wanted.mean()
    plain = _plain(taps)
    inner = taught - middle
    square = inner.T @ inner + hold * len(wanted) * np.eye(taps * taps, dtype=np.float32)
    weights = plain + np.linalg.solve(square, inner.T @ (wanted - level - inner @ plain))
    told = (seen - middle) @ weights + level
    rest = wanted - told[chosen]
    return _Told(told.reshape(n, n), float(rest @ rest) / len(wanted))


def _plain(taps: int) -> Floats:
    """Return the filter that takes the mean of a module's own samples."""
    weights = np.zeros((taps, taps), np.float32)
    weights[taps // 2 - 1 : taps // 2 + 1, taps // 2 - 1 : taps // 2 + 1] = 1 / SAMPLES**2
    return weights.ravel()


def _read_drawn(shades: Floats, known: Known) -> bytes:
    """Return what zxing-cpp reads of modules drawn clean; empty where they do not hold together."""
    light = np.where(known.shades != 0, known.shades > 0, shades > 0)
    drawn = np.pad(np.where(light, 255, 0).astype(np.uint8), 4, constant_values=255)
    picture = np.kron(drawn, np.ones((_DRAWN_PX, _DRAWN_PX), np.uint8))
    found = read_zxing(picture, is_drawn=True)
    return found[0].raw if len(found) == 1 else b""


class TrainedEngine:
    """Reads the code whose finders stand out most.

    It remembers the last frames' modules, so one engine belongs to one source.
    """

    def __init__(self) -> None:
        self._told: deque[tuple[int, _Told]] = deque(maxlen=_FUSED_FRAMES)
        self.has_code = False
        """Whether the last picture held what looks like a code, read or not."""

    def read(self, grey: Pixels) -> list[Sighting]:
        """Return the code of a picture, alone or with what the pictures before it showed of the same code.

        Args:
            grey: uint8, HxW.
        """
        self.has_code = False
        height, width = grey.shape
        if (scale := math.sqrt(_MOST_PIXELS / grey.size)) < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
            return [one.scaled(scale) for one in self._sightings(small)]
        return self._sightings(grey)

    def _sightings(self, grey: Pixels) -> list[Sighting]:
        with (
            np.errstate(all="ignore"),
            contextlib.suppress(np.linalg.LinAlgError),
        ):  # no code
            return self._looked_for(grey)
        return []

    def _looked_for(self, grey: Pixels) -> list[Sighting]:
        field = Field(grey)
        for corners in likely_corners(find_finders(grey)):
            lattice = field.find(corners)
            if lattice is None:
                continue
            self.has_code = True
            found = self._read(field, lattice)
            if found:
                return [found]
        return []

    def forget(self) -> None:
        """Forget the frames before: the code they showed is gone or read."""
        self._told.clear()
        self.has_code = False

    def _read(self, field: Field, lattice: Lattice) -> Sighting | None:
        known = known_modules(lattice.version)
        samples = field.samples(lattice)
        told = _trained(samples, known.shades, *_TAPS[0])
        raw = _read_drawn(told.shades, known)
        if raw:
            return _sighting(raw, lattice, "trained")
        raw = self._fused(lattice.version, told, known)
        if raw:
            return _sighting(raw, lattice, "fused")
        raw = _read_drawn(_trained(samples, known.shades, *_TAPS[1]).shades, known)
        raw = raw or (_decided(field, lattice, known, told) if told.error < _HOPELESS else b"")
        return _sighting(raw, lattice, "trained") if raw else None

    def _fused(self, version: int, told: _Told, known: Known) -> bytes:
        """Add a frame to those before it and read their sum, each weighed by how well it fits what is known."""
        if self._told and not self._is_same(version, told):
            self._told.clear()
        self._told.append((version, told))
        if len(self._told) == 1:
            return b""
        return _read_drawn(self._sum(), known)

    def _sum(self) -> Floats:
        return np.asarray(sum(one.shades / (one.error + 0.01) for _, one in self._told))

    def _is_same(self, version: int, told: _Told) -> bool:
        if self._told[-1][0] != version:
            return False
        data = known_modules(version).shades == 0
        return float(np.corrcoef(self._sum()[data], told.shades[data])[0, 1]) > _SAME_CODE


def _decided(field: Field, lattice: Lattice, known: Known, told: _Told) -> bytes:
    """Take the surest modules for known, lay the lattice and train the filter anew, and read again."""
    for _ in range(_DECIDED_TURNS):
        sureness = np.abs(told.shades)
        sure = sureness > np.quantile(sureness, 1 - _DECIDED_SHARE)
        shades = np.where(known.shades != 0, known.shades, np.where(sure, np.sign(told.shades), 0)).astype(np.int8)
        lattice = field.again(lattice, Known.of(shades))
        told = _trained(field.samples(lattice), shades, *_DECIDED_TAPS)
        raw = _read_drawn(told.shades, known)
        if raw:
            return raw
    return b""


def _sighting(raw: bytes, lattice: Lattice, engine: str) -> Sighting:
    corners = lattice.corners()
    x, y = corners.mean(0)
    side = float(np.hypot(*(corners - np.roll(corners, 1, 0)).T).mean())
    return Sighting(raw, float(x), float(y), side / lattice.modules, engine, side)
