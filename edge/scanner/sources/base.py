"""Frames and where they come from: the contract of a frame source and how one is found.

A source is a plug-in: built-ins stand in the entry-point group `edge.sources` exactly as strangers do. Reconnecting,
pacing and which frame wins are left to `edge.scanner.capture`; decoding to `edge.scanner.decode`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from edge.errors import ConfigError, SetupError
from edge.model.finding import Finding
from edge.model.settings import ScannerSettings
from edge.model.symbol import Symbol

if TYPE_CHECKING:
    import numpy.typing as npt

GROUP = "edge.sources"

MAX_ENCODED_BYTES = 64 << 20
"""A picture file above this is not read to its end; the decoder answers that it is too big."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One camera image, as bytes or as pixels, or what a hand scanner has read already.

    Attributes:
        taken_ns: When it was taken, nanoseconds of the monotonic clock.
        source: Which configured source it came from, counted from 0.
        encoded: A JPEG as the camera gave it, or the bytes of another picture file; None where there are pixels.
        pixels: uint8 or uint16, HxW grey or HxWx3 BGR, or HxWx4 BGRA; None where there are bytes. Not written to again.
        symbols: Codes that a device read by itself: never decoded again, and never overwritten by newer ones. None
            where there is a picture. Empty is a heartbeat: the device is there and nobody scanned.
        is_still: It is a picture of its own, read with all care: no frame of the same scene follows.
        name: What a person knows it by, where it is a file; empty otherwise.
        notes: What the source has to say about itself, shown for as long as frames say it.
    """

    taken_ns: int
    source: int
    encoded: bytes | None = None
    pixels: "npt.NDArray[Any] | None" = None
    is_still: bool = False
    name: str = ""
    symbols: tuple[Symbol, ...] | None = None
    notes: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if sum(held is not None for held in (self.encoded, self.pixels, self.symbols)) != 1:
            raise ValueError("a frame is either bytes, pixels or symbols")


class Source(Protocol):
    """Where frames come from.

    A source that gives symbols answers a heartbeat within its time where a camera would answer a frame: it is the sign
    of life that tells a hand scanner nobody uses from one that was unplugged.

    Attributes:
        is_live: The newest frame wins. Not live: every frame is delivered once, in order.
        is_finished: Nothing will come any more.
    """

    is_live: bool
    is_finished: bool

    def read(self) -> Frame | None:
        """Wait for the next frame, at most about three seconds; None where there is none yet or none any more.

        Raises:
            SourceError: A live source is lost: it is closed and opened anew, and never read again. One that is not live
                is asked again in a moment, for it alone knows what it has delivered; with the cause `not_a_picture` it
                left out one picture, and is asked for the next at once.
        """

    def close(self) -> None:
        """Let go of the device. Does not raise; a second time does nothing."""


Opener = Callable[[str, int, ScannerSettings], Source]
"""Opens a source: what stands after the colon, its number, the settings.

Raises SourceError with the next step where it is not there, LibraryMissing where this machine cannot read it.
"""


def split_spec(spec: str) -> tuple[str, str]:
    """Return kind and target of `kind:target`.

    Raises:
        ConfigError: There is no colon or nothing after it, or the kind is unknown.
    """
    kind, _, target = spec.partition(":")
    known = _openers()
    if kind in known and target:
        return kind, target
    if kind in known:
        raise ConfigError(f"The frame source `{spec}` does not say what to read.", f"Write it as {kind}:...")
    kinds = ", ".join(f"{name}:..." for name in sorted(known))
    raise ConfigError(f"A frame source of the kind `{kind}` is not known here.", f"Write one of {kinds}.")


def label(spec: str) -> str:
    """Return a name of a source that may be shown and logged: no password, query or folder of it."""
    kind, _, target = spec.partition(":")
    if "://" in target:
        # By hand: an address too broken to parse still has to be shown.
        host = re.split(r"[/?#]", target.partition("://")[2], maxsplit=1)[0]
        # A password with a slash in it would look like a host.
        return kind if "@" in target and "@" not in host else f"{kind}:{host.rpartition('@')[2]}"
    return f"{kind}:{target.partition('?')[0].rstrip('/').rpartition('/')[2]}"


@cache
def _openers() -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=GROUP)}


def opener(kind: str) -> Opener:
    """Return what opens sources of a kind.

    Raises:
        ConfigError: The kind is unknown.
        SetupError: Its plug-in does not load.
    """
    split_spec(f"{kind}:-")
    try:
        loaded: Opener = _openers()[kind].load()
    except (ImportError, AttributeError) as broken:
        raise SetupError(f"The frame source `{kind}` cannot be loaded: {broken}.", "Run the set-up again.") from broken
    return loaded
