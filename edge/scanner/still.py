"""One picture file to its codes, for a person at a terminal: `edge verify photo.jpg`.

The picture is read in a child of its own, with the same walls around it as a frame of a camera, and without a hurry.
"""

import time
from typing import Self

from edge.errors import SourceError
from edge.model.symbol import Symbol
from edge.scanner.decode import Decoder, Limits
from edge.scanner.handover import Status, Want
from edge.scanner.sources.base import Frame

LIMITS = Limits(watchdog_s=20.0, pixels=64 << 20, memory=1 << 30)

_STEP = "Give a PNG or JPEG picture, or the code itself as text."
_WRONG = {
    Status.UNREADABLE: ("This is not a picture, or a damaged one.", _STEP),
    Status.TOO_BIG: ("The picture is too big: 64 megapixels or 64 MiB are read at most.", "Make it smaller."),
    Status.LOST: ("The picture could not be read: the decoder ended over it.", "Take it again, as PNG or JPEG."),
    Status.ABSENT: ("The decoder does not start.", "`python3 -m edge.scanner.child` says why."),
}


class StillReader:
    """Reads pictures one after another in one child.

    Use it as a context manager.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(LIMITS, second_engine_every=1)

    def __enter__(self) -> Self:
        self._decoder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.close()

    def read(self, data: bytes) -> list[Symbol]:
        """Return the QR codes of a picture, nearest the centre first; empty where there is none.

        Args:
            data: The picture file's bytes.

        Raises:
            SourceError: It is no picture, or none that can be read safely.
        """
        reading = self._decoder.read(Frame(time.monotonic_ns(), 0, encoded=data), Want.STILL)
        if reading.status in _WRONG:
            message, step = _WRONG[reading.status]
            raise SourceError(message, step, cause="not_a_picture")
        return list(reading.symbols)


def read_image(data: bytes) -> list[Symbol]:
    """Return the QR codes of one picture, nearest the centre first; empty where there is none.

    Args:
        data: The picture file's bytes.

    Raises:
        SourceError: It is no picture, or none that can be read safely.
        LibraryMissing: A decoder is not installed.
    """
    with StillReader() as reader:
        return reader.read(data)
