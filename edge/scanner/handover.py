"""What the decoder and its child say to each other: fixed structures, no pickles.

Pixels and encoded pictures lie in the shared slot; only these messages go through the socket, one message a packet.
The child reads hostile pictures, so its parent unpacks an answer as strictly as any other input. Starting the child,
time limits and what an answer means are left to `edge.scanner.decode`.
"""

import math
import struct
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag

SLOT_BYTES = 64 << 20
"""Size of the shared slot. Only pages that were written take memory."""

USUAL_BYTES = 8 << 20
"""A frame above this is rare: the pages beyond are given back once it was read."""

MAX_SYMBOLS = 64
"""Symbols of one frame that are answered, nearest the centre first, as many as one message holds."""

MAX_RAW = 7089
"""Characters of the largest QR code (ISO/IEC 18004, table 1: 40-L, numeric)."""

MAX_PREVIEW = 60_000
MAX_REPLY = 180_000
"""Below the kernel's default packet limit of 212 992 bytes."""

READY = b"ready"

_REQUEST = struct.Struct("<IBBBBBIII")
_REPLY = struct.Struct("<IBBHIIfI")
_LOOK = struct.Struct("<ffff4Hfff")
_SYMBOL = struct.Struct("<BxHfff")

_LOOKED = 0x80

_ENGINES = ("zxing", "pyzbar", "enlarged", "evened", "trained", "fused")


class Kind(IntEnum):
    """How a frame lies in the slot."""

    ENCODED = 1
    PIXELS = 2


class Want(IntFlag):
    """What is asked besides symbols."""

    NOTHING = 0
    PREVIEW = 1
    LOOK = 2
    """What the frame is like: light, contrast, focus."""
    STILL = 4
    """One picture, taken with all care; there is no next frame."""


class Status(IntEnum):
    """What became of a frame."""

    READ = 0
    UNREADABLE = 1
    """It is no picture, or a damaged one."""
    TOO_BIG = 2
    LOST = 3
    """The child died or was killed over it."""
    ABSENT = 4
    """There is no child: it does not start."""


class Notice(IntFlag):
    """What the child noticed about itself."""

    NOTHING = 0
    SECOND_MISSING = 1
    """pyzbar or libzbar0 is not installed."""
    SECOND_FAILED = 2
    """pyzbar raised on this frame."""


@dataclass(frozen=True, slots=True)
class Request:
    """One frame to read.

    Attributes:
        seq: Number of the request; the reply repeats it.
        kind: How it lies in the slot.
        want: What is asked besides symbols.
        source: Whose frame it is, 0 to 255.
        item: Bytes of one sample (pixels).
        channels: Samples of one pixel (pixels).
        width: Pixels.
        height: Pixels.
        length: Bytes used in the slot.
    """

    seq: int
    kind: Kind
    want: Want
    source: int
    item: int
    channels: int
    width: int
    height: int
    length: int

    def pack(self) -> bytes:
        """Return the message."""
        head = (self.seq, self.kind, self.want, self.source, self.item, self.channels)
        return _REQUEST.pack(*head, self.width, self.height, self.length)

    @classmethod
    def unpack(cls, message: bytes) -> "Request":
        """Read a message of the parent.

        Raises:
            ValueError: It is not one.
        """
        if len(message) != _REQUEST.size:
            raise ValueError("request of a wrong size")
        seq, kind, want, source, item, channels, width, height, length = _REQUEST.unpack(message)
        return cls(seq, Kind(kind), Want(want), source, item, channels, width, height, length)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One symbol as the child saw it: its bytes, centre, pixels per module and the engine that read it.

    The length of its sides, pixels, stays in the child; 0 where the engine does not say.
    """

    raw: bytes
    x: float
    y: float
    module_px: float
    engine: str
    side_px: float = field(default=0.0, compare=False)

    def scaled(self, scale: float, engine: str = "") -> "Sighting":
        """Return it as seen in a picture `scale` times smaller, by another engine if one is named."""
        x, y, module_px, side_px = (one / scale for one in (self.x, self.y, self.module_px, self.side_px))
        return Sighting(self.raw, x, y, module_px, engine or self.engine, side_px)


@dataclass(frozen=True, slots=True)
class Patch:
    """The patch of a frame that is likest to a code, read or not.

    Attributes:
        x: Left edge, pixels.
        y: Upper edge.
        width: Pixels.
        height: The same.
        clipped: Share of it that is as white as can be in spots no code has, 0 to 1.
        edge_px: Its contrast in steps from pixel to pixel: how many pixels an edge takes, or a module where edges are
            sharp.
        between: Share of its pixels between dark and light, 0 to 1: what blur and lack of pixels make of edges.
    """

    x: int
    y: int
    width: int
    height: int
    clipped: float = 0.0
    edge_px: float = 0.0
    between: float = 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a frame is like.

    Attributes:
        mean: Mean brightness, 0 to 255.
        spread: Standard deviation of the brightness.
        white: Brightness below which 98 of 100 pixels are.
        detail: How much of a rise in brightness its steepest edges take in one step, 0 to 1; 1 where that cannot be
            told: the frame is too small, or a wall.
        patch: The patch likest to a code, None where nothing is like one.
    """

    mean: float
    spread: float
    white: float = 255.0
    detail: float = 1.0
    patch: Patch | None = None

    def pack(self) -> bytes:
        """Return its part of a reply."""
        at = self.patch or Patch(0, 0, 0, 0)
        box = (at.x, at.y, at.width, at.height)
        return _LOOK.pack(self.mean, self.spread, self.white, self.detail, *box, at.clipped, at.edge_px, at.between)

    @classmethod
    def unpack(cls, message: bytes | memoryview) -> "Look":
        """Read its part of a reply.

        Raises:
            ValueError: It is not of its form, or a number is none.
        """
        if len(message) != _LOOK.size:
            raise ValueError("look of a wrong size")
        numbers = _LOOK.unpack(message)
        if not all(map(math.isfinite, numbers)):
            raise ValueError("look of no numbers")
        mean, spread, white, detail, *at = numbers
        return cls(mean, spread, white, detail, Patch(*at) if at[2] and at[3] else None)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the child found in one frame.

    Attributes:
        seq: The number of the request.
        status: What became of the frame.
        notice: What the child noticed about itself.
        width: Pixels of the decoded picture, 0 where there was none.
        height: The same.
        look: What the frame is like; None where it was not asked.
        sightings: Symbols, nearest the centre first.
        preview: A small JPEG, empty where it was not asked.
        took_ms: How long the engines took, without unpacking the picture.
    """

    seq: int
    status: Status
    notice: Notice = Notice.NOTHING
    width: int = 0
    height: int = 0
    look: Look | None = None
    sightings: tuple[Sighting, ...] = ()
    preview: bytes = b""
    took_ms: float = 0.0

    def pack(self) -> bytes:
        """Return the message, at most `MAX_REPLY` bytes."""
        preview = self.preview if len(self.preview) <= MAX_PREVIEW else b""
        look = b"" if self.look is None else self.look.pack()
        left, symbols = MAX_REPLY - _REPLY.size - len(look) - len(preview), []
        for seen in self.sightings[:MAX_SYMBOLS]:
            size = _SYMBOL.size + len(seen.raw)
            if not 0 < len(seen.raw) <= MAX_RAW or size > left:
                continue
            head = _SYMBOL.pack(_ENGINES.index(seen.engine), len(seen.raw), seen.x, seen.y, seen.module_px)
            symbols.append(head + seen.raw)
            left -= size
        # A look is there or not: its flag is the highest bit of the number of symbols.
        count = len(symbols) | (_LOOKED if look else 0)
        first = (self.seq, self.status, count, self.notice, self.width, self.height, self.took_ms, len(preview))
        out = [_REPLY.pack(*first), look, *symbols]
        return b"".join([*out, preview])

    @classmethod
    def unpack(cls, message: bytes | memoryview) -> "Reply":
        """Read a message of the child.

        Raises:
            ValueError: It is not one; the child is not to be trusted with another frame.
        """
        try:
            seq, status, count, notice, width, height, took_ms, preview = _REPLY.unpack_from(message)
            at = _REPLY.size + (_LOOK.size if count & _LOOKED else 0)
            look = Look.unpack(message[_REPLY.size : at]) if count & _LOOKED else None
            count &= ~_LOOKED
            sightings = []
            for _ in range(count):
                engine, length, x, y, module_px = _SYMBOL.unpack_from(message, at)
                at += _SYMBOL.size
                sightings.append(Sighting(bytes(message[at : at + length]), x, y, module_px, _ENGINES[engine]))
                at += length
        except (struct.error, IndexError) as broken:
            raise ValueError("reply of a wrong form") from broken
        if at + preview != len(message) or count > MAX_SYMBOLS:
            raise ValueError("reply of a wrong size")
        picture = bytes(message[at:])
        kept = tuple(sightings)
        return cls(seq, Status(status), Notice(notice), width, height, look, kept, picture, took_ms)
