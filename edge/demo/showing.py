"""What one person shows to the camera, and how it travels to the camera's process: one JSON line each.

Plain values, so that who plans the demo need not load what draws it.
"""

import base64
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

Colour = tuple[int, int, int]
"""Blue, green, red."""

FPS: Final = 15
STREAM: Final = "/stream.mjpg"
"""Path of the camera's stream."""

ENTER_S: Final = 0.5
"""How long it takes to step up and raise the code."""
LEAVE_S: Final = 0.4
"""How long it takes to lower it and go."""


@dataclass(frozen=True, slots=True)
class Face:
    """What the carrier shows beside the code.

    Attributes:
        title: Heading, as an app or a printed form has it.
        line: A line under the code.
        tint: Colour of the heading.
        ink: Colour of the code's dark modules.
    """

    title: str
    line: str
    tint: Colour = (70, 120, 40)
    ink: Colour = (26, 24, 24)


@dataclass(frozen=True, slots=True)
class Wear:
    """What makes a code harder to read.

    Attributes:
        defocus: Blur, pixels of the carrier's texture.
        moire: Strength of the screen's grid seen by the sensor, 0 to 1.
        glare: Strength of a lamp mirrored in the screen, 0 to 1.
        creases: Strength of folds in the paper, 0 to 1.
    """

    defocus: float = 0.0
    moire: float = 0.0
    glare: float = 0.0
    creases: float = 0.0


@dataclass(frozen=True, slots=True)
class Showing:
    """What one person shows to the camera, and how.

    Attributes:
        number: Which presentation.
        raw: What stands in the QR code.
        carrier: `phone` or `paper`.
        face: What the carrier shows beside the code.
        wear: What makes it harder to read.
        light: Brightness of the hall, 0 to 1.
        hold_s: How long it is held up.
        gap_s: How long nobody is there before it.
    """

    number: int
    raw: bytes = field(repr=False)
    carrier: str
    face: Face
    wear: Wear
    light: float = 1.0
    hold_s: float = 1.2
    gap_s: float = 0.1


ENOUGH: Final = "enough"
"""The line that sends everybody away who has not come before the camera yet."""


def order(showing: Showing) -> str:
    """Return a presentation as one line for the camera's standard input."""
    return json.dumps(asdict(showing) | {"raw": base64.b64encode(showing.raw).decode()}, ensure_ascii=False)


def ordered(line: str) -> Showing:
    """Return the presentation that a line orders.

    Raises:
        ValueError: It is none; only this package writes such lines, so it is a fault.
    """
    try:
        fields: dict[str, Any] = json.loads(line)
        face = Face(**{name: _plain(value) for name, value in fields.pop("face").items()})
        wear = Wear(**fields.pop("wear"))
        return Showing(raw=base64.b64decode(fields.pop("raw")), face=face, wear=wear, **fields)
    except (KeyError, TypeError, AttributeError, ValueError) as broken:
        raise ValueError("not a presentation") from broken


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
