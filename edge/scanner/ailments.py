"""Why codes are not read, from what frames are like: dark, glaring, blurred, too small or too far.

Pure. One look tells little: what is said here is what look after look says, and it is gone as soon as a code is read.
Measuring is left to `edge.scanner.look`, the wording to `edge.words`.
"""

from dataclasses import dataclass

from edge.scanner.handover import Look, Patch

LOOKS = 3
"""Looks in a row, a second apart, before it is said: a hand before the lens or a code in motion is not a fault."""

LOOKS_AWAY = 2
"""Looks in a row without it before it is gone."""

HINT_LOOKS = 30
"""Looks in a row after which what a patch of the picture says is taken for the picture on the wall."""

_DARK_MEAN, _DARK_SPREAD = 24.0, 5.0
_FLAT_SPREAD = 2.5
"""The darkest frames with a code still read have a mean of 17 and a spread of 9; a wall has its fall of light."""


# Chosen on gate frames of three seeds, tried on two others: tests/bench/looks.py prints the table.
_DARK_WHITE = 90.0
"""Low light: 49 to 75 in the brightest parts; low contrast in good light 119 and above."""

_CLIPPED = 0.02
"""Glare over a code that is not read: 0.05 in three of four; without glare none, twice overexposed none in most."""

_UNRESOLVED_EDGE_PX, _UNRESOLVED_BETWEEN = 2.3, 0.20
"""Codes of less than two pixels a module: edges of 1.6 to 2.3 pixels, a fifth of the pixels or more between."""

_BLURRED_BETWEEN = 0.26
"""Codes out of focus or in motion that are not read: 0.27 and above; sharp ones 0.24 and below."""

_FAR, _VERY_FAR = 0.3, 0.14
"""Share of the picture's height: a code that takes less may come nearer; one that takes that little must."""

_SOFT_DETAIL = 0.08
"""Gate frames have 0.13 and above, photographs enlarged two to three times 0.085; frames blurred by 6 pixels 0.06."""

_HINTS = frozenset({"camera.glare", "code.too_far", "code.too_small", "code.blurred"})
"""What is said of a patch that looks like a code: a poster may look like one for ever."""


def ailment(look: Look, height: int) -> str:
    """Return the code of the finding that explains why nothing is read in a frame, empty where nothing does.

    Args:
        look: What the frame is like.
        height: Its height, pixels.
    """
    if is_covered(look.mean, look.spread):
        return "camera.covered"
    if look.white < _DARK_WHITE:
        return "camera.too_dark"
    found = "" if look.patch is None else _of_patch(look.patch, height)
    if not found and look.detail < _SOFT_DETAIL:
        return "camera.out_of_focus"
    return found


def _of_patch(patch: Patch, height: int) -> str:
    if patch.clipped >= _CLIPPED:
        return "camera.glare"
    side = max(patch.width, patch.height)
    if patch.between >= _UNRESOLVED_BETWEEN and (patch.edge_px < _UNRESOLVED_EDGE_PX or side < _VERY_FAR * height):
        return "code.too_far" if side < _FAR * height else "code.too_small"
    return "code.blurred" if patch.between >= _BLURRED_BETWEEN else ""


def is_covered(mean: float, spread: float) -> bool:
    """Return whether brightness of this mean and standard deviation (0 to 255) shows nothing at all."""
    return spread < _FLAT_SPREAD or (mean < _DARK_MEAN and spread < _DARK_SPREAD)


@dataclass(slots=True)
class Ailing:
    """What is wrong with the picture, once it is wrong for long enough."""

    code: str = ""
    looks: int = 0
    away: int = 0

    def clear(self) -> None:
        """A code was read: nothing is wrong."""
        self.code, self.looks, self.away = "", 0, 0

    def note(self, code: str) -> None:
        """Take note of what one look says, empty where all is well."""
        if code and code == self.code:
            self.looks, self.away = self.looks + 1, 0
            return
        self.away += 1
        if self.away >= LOOKS_AWAY or self.looks < LOOKS:
            # It was never said, or is gone: the new one begins.
            self.code, self.looks, self.away = code, int(bool(code)), 0

    @property
    def said(self) -> str:
        """The code of the finding to show; empty where there is none."""
        is_hint = self.code in _HINTS and self.looks > HINT_LOOKS
        return "" if self.looks < LOOKS or is_hint else self.code
