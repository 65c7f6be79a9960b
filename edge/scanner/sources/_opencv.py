"""OpenCV for the sources that need it, loaded when the first of them is opened and told to be quiet."""

import importlib
import os
from functools import cache
from typing import Any

from edge.errors import LibraryMissing


@cache
def opencv() -> Any:
    """Return the module `cv2`.

    Raises:
        LibraryMissing: It is not installed or does not load here.
    """
    # Its V4L2 reader waits ten seconds for a frame unless it is told otherwise before it loads.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "2")
    # A camera that is away is a finding, not a line on the terminal every half second.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # Over UDP a lost packet is a torn picture, and a firewall more to open. Nobody asks for the stream's rate: to
    # measure it FFmpeg would hold back its first twenty frames.
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|fpsprobesize;0")
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as missing:
        raise LibraryMissing(
            f"OpenCV does not load: {missing}.", "python3 -m pip install opencv-python-headless"
        ) from missing
    cv2.setNumThreads(1)
    return cv2
