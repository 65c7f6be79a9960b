"""Scenes in which every retry has failed: an empty lane with a poster in it is not looked at fifteen times a second.

A frame is compared by a few thousand of its pixels; anything the size of a code that comes into view is a new scene.
zxing-cpp reads every frame all the same: what is saved here are the retries and the search for light-on-dark codes.
"""

from collections import deque

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Signed = npt.NDArray[np.int16]

_STEP = 16
_REMEMBERED = 8
"""Scenes: several cameras share none, but a gate's lamp or door makes two of one."""

_AGAIN_FRAMES = 64
"""An exhausted scene is looked at again after this many frames: what has come may be as faint as the noise."""

_NOISE, _MOST_NOISE = 4.0, 16.0
_LEAST_STEP = 6.0
_LEAST_PLACES = 8
"""A pixel has changed when it has by six grey levels more than four times what half of all have; a scene, when more
than eight pixels have, or half of all by more than noise can. The smallest code that is read covers forty of them."""


class Scenes:
    """Remembers the last scenes of one source that were looked at in vain, in both polarities and by every retry."""

    def __init__(self) -> None:
        self._exhausted: deque[Signed] = deque(maxlen=_REMEMBERED)
        self._current: Signed | None = None
        self._is_looked = False
        self._made, self._needed = 0, 1
        self._waited = 0

    def is_exhausted(self, grey: Pixels) -> bool:
        """Take note of a frame; return whether there is nothing more to look for in it.

        Args:
            grey: uint8, HxW.
        """
        sample = grey[_STEP // 2 :: _STEP, _STEP // 2 :: _STEP].astype(np.int16)
        if any(_is_same(sample, scene) for scene in self._exhausted):
            self._waited += 1
            return self._waited % _AGAIN_FRAMES != 0
        if self._current is None or not _is_same(sample, self._current):
            self._current, self._is_looked, self._made, self._needed = sample, False, 0, 1
        return False

    def add_look(self) -> None:
        """Take note that the negative of the frame asked about last was read in vain."""
        self._is_looked = True
        self._settle()

    def add_vain(self, made: int, *, of: int) -> None:
        """Take note of retries made in vain on the frame asked about last.

        Args:
            made: How many.
            of: How many there are in all for this frame.
        """
        self._made, self._needed = self._made + made, of
        self._settle()

    def _settle(self) -> None:
        if self._current is not None and self._is_looked and self._made >= self._needed:
            self._exhausted.append(self._current)
            self._current = None


def _is_same(sample: Signed, scene: Signed) -> bool:
    if sample.shape != scene.shape:
        return False
    if sample.size == 0:
        return True
    change = np.abs(sample - scene).ravel()
    middle = float(np.partition(change, change.size // 2)[change.size // 2])
    if middle > _MOST_NOISE:
        return False
    return int(np.count_nonzero(change > _NOISE * middle + _LEAST_STEP)) <= _LEAST_PLACES
