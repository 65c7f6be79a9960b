"""The lattice of a QR code's modules in a picture: which version it is and where each module lies.

Starts from three finder patterns. The modules whose shade the standard fixes (finders, timing, alignment) say which
version it is, where the fourth corner lies, and then, by least squares over all of them at once, the homography from
modules to pixels. What the other modules say is left to `edge.scanner.trained`.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.scanner.finders import Corners

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[Any]

SAMPLES = 2
"""Samples a module, each way, in a sampled grid."""

BORDER = 3
"""Modules of the quiet zone in a sampled grid, each side."""

_NORMAL_PX = 31
_NORMAL_SAMPLES = 23
_LEAST_VARIANCE = 4.0

_VERSION_SPREAD = 3
"""Versions tried beside the one the finders' sizes say: a size is known to a fifth."""

_RINGED = 45
"""Modules a side up to which (version 6) the quiet zone is fitted too: with it, larger codes were read less often."""

_LEAST_START = 0.25
_LEAST_FIT = 0.12
"""Share of the known modules' variance that is explained. Leaves reach 0.06."""


@dataclass(frozen=True, slots=True)
class Known:
    """The modules of a version whose shade is fixed.

    Attributes:
        shades: int8, NxN: -1 dark, 1 light, 0 not fixed.
        places: float64, Kx3: homogeneous centres, in modules, of the fixed ones and of one row of quiet zone around.
        values: float64, K: their shades.
    """

    shades: npt.NDArray[np.int8]
    places: Floats
    values: Floats

    @classmethod
    def of(cls, shades: npt.NDArray[np.int8]) -> "Known":
        """Return what a grid of shades says."""
        # The quiet zone is light on all four sides. A large code has fixed modules enough without.
        ringed = np.pad(shades, 1, constant_values=1 if len(shades) < _RINGED else 0)
        rows, columns = np.nonzero(ringed)
        places = np.stack([columns - 0.5, rows - 0.5, np.ones(len(rows))], 1)
        return cls(shades, places, ringed[rows, columns].astype(np.float64))


@dataclass(frozen=True, slots=True)
class Lattice:
    """Where a code's modules lie.

    Attributes:
        version: 1 to 40.
        homography: float64, 3x3, from modules (origin: outer corner of the top left one) to pixels.
        fit: Share of the known modules' variance it explains, at most 1.
    """

    version: int
    homography: Floats
    fit: float = 0.0

    @property
    def modules(self) -> int:
        """Modules a side (ISO/IEC 18004, 5.3.1)."""
        return 17 + 4 * self.version

    def corners(self) -> Floats:
        """Return the outer corners, float64, 4x2, pixels, clockwise from the top left."""
        n = float(self.modules)
        placed = np.asarray([(0, 0, 1), (n, 0, 1), (n, n, 1), (0, n, 1)], np.float64) @ self.homography.T
        return np.asarray(placed[:, :2] / placed[:, 2:])


def alignment_centres(version: int) -> list[int]:
    """Return the rows and columns of alignment patterns' centres (ISO/IEC 18004, annex E)."""
    if version == 1:
        return []
    count = version // 7 + 2
    step = (version * 8 + count * 3 + 5) // (count * 4 - 4) * 2
    return [6, *sorted(10 + 4 * version - number * step for number in range(count - 1))]


@cache
def known_modules(version: int) -> Known:
    """Return the modules fixed by a version (ISO/IEC 18004, 6.3.3 to 6.3.6)."""
    n = 17 + 4 * version
    shades = np.zeros((n, n), np.int8)
    for y, x in ((0, 0), (0, n - 7), (n - 7, 0)):
        shades[max(0, y - 1) : y + 8, max(0, x - 1) : x + 8] = 1
        shades[y : y + 7, x : x + 7] = _rings(7)
    timing = np.where(np.arange(8, n - 8) % 2 == 0, -1, 1)
    shades[6, 8 : n - 8] = shades[8 : n - 8, 6] = timing
    centres = alignment_centres(version)
    for y in centres:
        for x in centres:
            # Where a finder stands there is no alignment pattern.
            if (y, x) not in {(6, 6), (6, n - 7), (n - 7, 6)}:
                shades[y - 2 : y + 3, x - 2 : x + 3] = _rings(5)
    return Known.of(shades)


def _rings(side: int) -> npt.NDArray[np.int8]:
    rings = np.full((side, side), -1, np.int8)
    rings[1:-1, 1:-1] = 1
    rings[2:-2, 2:-2] = -1
    return rings


class Field:
    """A picture made ready for fitting: brightness relative to its neighbourhood, in two degrees of sharpness.

    Args:
        grey: uint8, HxW.
    """

    def __init__(self, grey: Pixels) -> None:
        self.grey = grey
        even = _normal(grey.astype(np.float32), _NORMAL_PX)
        self._soft = _Layer.of(cv2.GaussianBlur(even, (0, 0), 1.0))
        self._sharp = _Layer.of(cv2.GaussianBlur(even, (0, 0), 0.5))

    def find(self, corners: Corners) -> Lattice | None:
        """Return the lattice three finders belong to, or None where they belong to none."""
        starts = [self._start(corners, version) for version in self._versions(corners)]
        best = max(starts, key=lambda lattice: lattice.fit)
        if best.fit < _LEAST_START:
            return None
        known = known_modules(best.version)
        fitted = _fitted(self._soft, best, known, steps=8)
        return None if fitted.fit < _LEAST_FIT else _fitted(self._sharp, fitted, known, steps=4)

    def again(self, lattice: Lattice, known: Known) -> Lattice:
        """Return a lattice fitted once more, to more modules than the standard fixes."""
        return _fitted(self._sharp, lattice, known, steps=3)

    def samples(self, lattice: Lattice) -> Floats:
        """Return the picture sampled along a lattice, each sample relative to its neighbourhood.

        Returns:
            float32, MxM, M = `SAMPLES` * (modules + 2 * `BORDER`); mean 0 and deviation 1 over some modules around.
        """
        fine = 2 * SAMPLES
        side = (lattice.modules + 2 * BORDER) * fine
        shift = 0.5 / fine - BORDER
        place = np.asarray([[1 / fine, 0, shift], [0, 1 / fine, shift], [0, 0, 1]], np.float64)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        way = lattice.homography @ place
        laid = cv2.warpPerspective(self.grey, way, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        size = (side // 2, side // 2)
        return _normal(cv2.resize(laid.astype(np.float32), size, interpolation=cv2.INTER_AREA), _NORMAL_SAMPLES)

    def _versions(self, corners: Corners) -> list[int]:
        """Return the two versions whose timing patterns are seen best between the finders."""
        middle = round((corners.side_px / corners.module_px - 10) / 4)
        tried = range(max(1, min(40, middle - _VERSION_SPREAD)), min(40, max(1, middle + _VERSION_SPREAD)) + 1)
        return sorted(tried, key=lambda version: -self._timing(corners, version))[:2]

    def _timing(self, corners: Corners, version: int) -> float:
        """Return how well a version's two timing patterns correlate, each where it does best within half a module."""
        n = 17 + 4 * version
        origin, right, down = _axes(corners, n)
        along = (np.arange(8, n - 8) - 3.0)[None, :, None]
        across = np.asarray((2.6, 3.0, 3.4))[:, None, None]
        shade = np.where(np.arange(8, n - 8) % 2 == 0, -1.0, 1.0)
        rows = self._soft.at(origin + along * right + across * down)
        columns = self._soft.at(origin + along * down + across * right)
        return float(_correlation(rows, shade).max() + _correlation(columns, shade).max())

    def _start(self, corners: Corners, version: int) -> Lattice:
        """Return the best lattice among the places where the last alignment pattern may be."""
        n = 17 + 4 * version
        origin, right, down = _axes(corners, n)
        # The centre of the bottom right alignment pattern; version 1 has none, the fourth finder's place stands in.
        last = n - 3.5 if version == 1 else n - 6.5
        base = origin + (last - 3.5) * (right + down)
        offsets = _NINE if version == 1 else self._alignment(base, right, down, n)
        source = np.asarray([(3.5, 3.5), (n - 3.5, 3.5), (3.5, n - 3.5), (last, last)], np.float32)
        fixed = [origin, origin + (n - 7) * right, origin + (n - 7) * down]
        ways = [
            cv2.getPerspectiveTransform(source, np.asarray([*fixed, base + x * right + y * down], np.float32))
            for x, y in offsets
        ]
        known = known_modules(version)
        placed = np.matmul(np.stack(ways), known.places.T).swapaxes(1, 2)
        match = _correlation(self._soft.at(placed[..., :2] / placed[..., 2:]), known.values)
        best = int(match.argmax())
        return Lattice(version, np.asarray(ways[best], np.float64), float(match[best]))

    def _alignment(self, base: Floats, right: Floats, down: Floats, n: int) -> list[tuple[float, float]]:
        """Return where an alignment pattern may be, as modules from where a flat code has it."""
        reach = min(7.0, max(2.0, 0.12 * n)) + 3
        step = np.arange(-reach, reach + 0.01, 0.5)
        window = self._soft.at(base + step[None, :, None] * right + step[:, None, None] * down).astype(np.float32)
        pattern = cv2.blur(np.asarray(np.kron(_rings(5), np.ones((2, 2))), np.float32), (2, 2))
        match = cv2.matchTemplate(window, pattern, cv2.TM_CCOEFF_NORMED)
        rows, columns = np.nonzero(match >= cv2.dilate(match, np.ones((5, 5), np.uint8)))
        best = np.argsort(-match[rows, columns])[:8]
        half = (pattern.shape[0] - 1) / 2
        places = [((columns[i] + half) / 2 - reach, (rows[i] + half) / 2 - reach) for i in best]
        return [*places, (0.0, 0.0)]


_NINE = [(x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)]


def _axes(corners: Corners, n: int) -> tuple[Floats, Floats, Floats]:
    """Return the top left finder's centre and the steps of one module right and down, float64, pixels."""
    origin = np.asarray((corners.top_left.x, corners.top_left.y), np.float64)
    right = np.asarray(corners.top_left.to(corners.top_right), np.float64) / (n - 7)
    down = np.asarray(corners.top_left.to(corners.bottom_left), np.float64) / (n - 7)
    return origin, right, down


@dataclass(frozen=True, slots=True)
class _Layer:
    """A picture and its slopes, float32."""

    value: Floats
    slope_x: Floats
    slope_y: Floats

    @classmethod
    def of(cls, value: Floats) -> "_Layer":
        return cls(
            value,
            cv2.Sobel(value, cv2.CV_32F, 1, 0, scale=1 / 8),
            cv2.Sobel(value, cv2.CV_32F, 0, 1, scale=1 / 8),
        )

    def at(self, places: Floats) -> Floats:
        """Return the values at places, float64, ...x2 pixels; any shape."""
        return _taken(self.value, places)


def _taken(picture: Floats, places: Floats) -> Floats:
    shape = places.shape[:-1]
    x, y = (np.ascontiguousarray(places[..., axis].reshape(-1, shape[-1]), np.float32) for axis in (0, 1))
    values = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, np.float64).reshape(shape)


def _normal(picture: Floats, side: int) -> Floats:
    """Return a picture relative to the mean and deviation of a square around each place."""
    mean = cv2.blur(picture, (side, side))
    variance = cv2.blur(picture * picture, (side, side)) - mean * mean
    return np.asarray((picture - mean) / np.sqrt(np.maximum(variance, _LEAST_VARIANCE)), np.float32)


def _correlation(values: Floats, shades: Floats) -> Floats:
    """Return how rows of values correlate with shades, -1 to 1."""
    values = values - values.mean(-1, keepdims=True)
    shades = shades - shades.mean()
    return np.asarray(values @ shades / (np.sqrt((values**2).sum(-1) * (shades**2).sum()) + 1e-9))


def _fitted(layer: _Layer, lattice: Lattice, known: Known, *, steps: int) -> Lattice:
    """Return the lattice that explains the known modules best, by damped least squares (Gauss-Newton).

    Brightness and contrast of the picture are solved for along with the homography.
    """
    way = lattice.homography / lattice.homography[2, 2]
    shades = known.values - known.values.mean()
    total = float(shades @ shades)
    best = replace(lattice, fit=-1.0)
    for turn in range(steps + 1):
        placed = known.places @ way.T
        depth = 1 / placed[:, 2]
        places = placed[:, :2] * depth[:, None]
        values = layer.at(places)
        values -= values.mean()
        gain = float(values @ shades / (values @ values + 1e-9))
        rest = shades - gain * values
        fit = 1 - float(rest @ rest) / total
        if fit > best.fit:
            best = Lattice(lattice.version, way, fit)
        if turn == steps:
            break
        slopes = np.stack([_taken(layer.slope_x, places), _taken(layer.slope_y, places)], 1) * gain
        way = way + _step(known.places[:, :2], places, depth, slopes=slopes, rest=rest)
        if not np.isfinite(way).all():
            break
    return best


def _step(modules: Floats, places: Floats, depth: Floats, *, slopes: Floats, rest: Floats) -> Floats:
    """Return the change of the homography that takes most of the rest away, float64, 3x3."""
    x, y = modules[:, 0] * depth, modules[:, 1] * depth
    inward = -(slopes * places).sum(1)
    sx, sy = slopes[:, 0], slopes[:, 1]
    jacobian = np.stack([sx * x, sx * y, sx * depth, sy * x, sy * y, sy * depth, inward * x, inward * y], 1)
    jacobian -= jacobian.mean(0)
    scale = np.sqrt((jacobian**2).sum(0)) + 1e-9
    jacobian /= scale
    change = np.linalg.solve(jacobian.T @ jacobian + 0.01 * np.eye(8), jacobian.T @ rest) / scale
    return np.append(change, 0.0).reshape(3, 3)
