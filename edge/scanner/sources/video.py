"""A video file, `video:FILE`: every frame once, in order."""

import time
from pathlib import Path
from typing import Any

from edge.errors import SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources._opencv import opencv
from edge.scanner.sources.base import Frame

_STEP = "Try an MP4 or AVI file."


class Video:
    """An open video file.

    Args:
        capture: OpenCV's capture.
        source: Number of the source.
    """

    is_live = False

    def __init__(self, capture: Any, source: int) -> None:
        self._capture = capture
        self._source = source
        self.is_finished = False

    def read(self) -> Frame | None:
        """Return the next frame, None after the last; does not wait."""
        if self.is_finished:
            return None
        good, image = self._capture.read()
        if not good or image is None:
            self.is_finished = True
            return None
        return Frame(time.monotonic_ns(), self._source, pixels=image)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


def open_source(target: str, source: int, _settings: ScannerSettings) -> Video:
    """Open a video file.

    Raises:
        SourceError: It is not there or not a video this machine can read.
        LibraryMissing: OpenCV does not load.
    """
    path = Path(target)
    if not path.is_file():
        raise SourceError(f"There is no video file {path}.", "Check `sources` in gate.toml.", cause="no_file")
    cv2 = opencv()
    try:
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        opened = capture.isOpened()
    except cv2.error as broken:
        raise SourceError(f"{path} cannot be read as a video.", _STEP, cause="no_file") from broken
    if not opened:
        capture.release()
        raise SourceError(f"{path} is not a video this machine can read.", _STEP, cause="no_file")
    return Video(capture, source)
