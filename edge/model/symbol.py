"""One decoded code, as it came out of a frame."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Symbol:
    """The raw bytes of one QR code and where it stood.

    Attributes:
        raw: The bytes as in the symbol, never re-encoded.
        centre: Centre of the symbol in its frame, pixels (x, y); (0, 0) where there was no frame.
        frame_size: Width and height of that frame, pixels; (0, 0) where there was none.
        module_px: Pixels per module as measured, 0.0 where unknown.
        engine: What read it: `zxing`, a retry (`enlarged`, `evened`, `trained`, `fused`), `pyzbar`, or what gave it
            ready (`hid`, `serial`, `stdin`, `text`).
        source: Which configured source it came from, counted from 0.
        taken_ns: When its frame was taken, nanoseconds of the monotonic clock; 0 where there was none.
    """

    raw: bytes
    centre: tuple[float, float] = (0.0, 0.0)
    frame_size: tuple[int, int] = (0, 0)
    module_px: float = 0.0
    engine: str = "text"
    source: int = 0
    taken_ns: int = 0
