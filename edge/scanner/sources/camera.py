"""A camera on this machine, `camera:0` or `camera:/dev/v4l/by-id/...`: V4L2 through OpenCV.

The camera is asked for JPEG and its bytes are passed on as they come: decoding them is the child's business.
"""

import os
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import SourceError
from edge.model.finding import Finding
from edge.model.settings import ScannerSettings
from edge.scanner.sources._opencv import opencv
from edge.scanner.sources.base import Frame

if TYPE_CHECKING:
    import numpy.typing as npt

_LIST = "`v4l2-ctl --list-devices` lists the cameras of this machine."
_MANUAL, _APERTURE_PRIORITY = 1, 3
"""V4L2_EXPOSURE_MANUAL and V4L2_EXPOSURE_APERTURE_PRIORITY: what webcams call automatic."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"


def frame_of(image: "npt.NDArray[Any]", *, taken_ns: int, source: int) -> Frame:
    """Return the frame in what OpenCV gave.

    Args:
        image: uint8: the bytes of one JPEG (1xN or N), brightness and colour (HxWx2, YUYV), BGR (HxWx3) or grey (HxW).
        taken_ns: Monotonic nanoseconds.
        source: Number of the source.
    """
    flat = image.ndim == 1 or 1 in image.shape[:2]
    if flat and image[..., :2].tobytes()[:2] == _JPEG_START:
        data = image.tobytes()
        # The driver's buffer may be longer than the picture.
        end = data.rfind(_JPEG_END)
        return Frame(taken_ns, source, encoded=data[: end + 2] if end > 0 else data)
    if image.ndim == 3 and image.shape[2] == 2:  # noqa: PLR2004 - YUYV: every first sample is brightness
        return Frame(taken_ns, source, pixels=image[:, :, 0].copy())
    return Frame(taken_ns, source, pixels=image)


class Camera:
    """An open camera.

    Args:
        capture: OpenCV's capture.
        device: Path of the device, for messages.
        source: Number of the source.
        notes: What it refused to be set to.
    """

    is_live = True
    is_finished = False

    def __init__(self, capture: Any, device: Path, source: int, notes: tuple[Finding, ...] = ()) -> None:
        self._capture = capture
        self._device = device
        self._source = source
        self._notes = notes

    def read(self) -> Frame | None:
        """Wait for the next frame, at most two seconds.

        Raises:
            SourceError: The camera was unplugged or gives nothing.
        """
        good, image = self._capture.read()
        if not good or image is None:
            cause = "stalled" if self._device.exists() else "lost"
            raise SourceError(f"The camera {self._device} gives no frames.", f"Check its cable. {_LIST}", cause=cause)
        frame = frame_of(image, taken_ns=time.monotonic_ns(), source=self._source)
        return replace(frame, notes=self._notes) if self._notes else frame

    def close(self) -> None:
        """Let go of the device."""
        self._capture.release()


def _check(device: Path) -> None:
    """Say what is wrong with a device before OpenCV only says that it did not open."""
    try:
        mode = device.stat().st_mode
    except OSError as missing:
        raise SourceError(f"There is no camera at {device}.", f"Plug it in. {_LIST}", cause="missing") from missing
    if not stat.S_ISCHR(mode):
        raise SourceError(f"{device} is not a camera.", _LIST, cause="missing")
    if not os.access(device, os.R_OK | os.W_OK):
        raise SourceError(
            f"This user may not use the camera {device}.",
            "`sudo usermod -aG video $USER`, then log in again.",
            cause="denied",
        )


def open_source(target: str, source: int, settings: ScannerSettings) -> Camera:
    """Open a camera by its number or the path of its device.

    Raises:
        SourceError: It is not there, not ours to use, or held by another program.
        LibraryMissing: OpenCV does not load.
    """
    device = Path(f"/dev/video{target}") if target.isdecimal() else Path(target)
    _check(device)
    cv2 = opencv()
    try:
        capture = cv2.VideoCapture(str(device), cv2.CAP_V4L2)
    except cv2.error as broken:
        raise SourceError(f"The camera {device} does not open.", f"fuser -v {device}", cause="busy") from broken
    if not capture.isOpened():
        capture.release()
        raise SourceError(
            f"The camera {device} does not open: another program may hold it.", f"fuser -v {device}", cause="busy"
        )
    return Camera(capture, device, source, configure(capture, cv2, settings))


def configure(capture: Any, cv2: Any, settings: ScannerSettings) -> tuple[Finding, ...]:
    """Ask a camera for what gate.toml says; return what it refuses, which is no failure.

    Args:
        capture: OpenCV's capture, open.
        cv2: OpenCV.
        settings: Size, rate, JPEG, exposure and focus.
    """
    jpeg = cv2.VideoWriter.fourcc(*"MJPG") if settings.mjpeg else 0
    if jpeg:
        capture.set(cv2.CAP_PROP_FOURCC, jpeg)
    size = {cv2.CAP_PROP_FRAME_WIDTH: settings.width, cv2.CAP_PROP_FRAME_HEIGHT: settings.height}
    for prop, pixels in size.items():
        capture.set(prop, pixels)
    capture.set(cv2.CAP_PROP_FPS, settings.fps)
    is_jpeg = int(capture.get(cv2.CAP_PROP_FOURCC)) == jpeg
    if jpeg and is_jpeg:
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
    refused = {
        "mjpeg": bool(jpeg) and not is_jpeg,
        "width, height": any(int(capture.get(prop)) != pixels for prop, pixels in size.items()),
        "exposure_us": not _expose(capture, cv2, settings.exposure_us),
        "focus": not _focus(capture, cv2, settings.focus),
    }
    settings_refused = ", ".join(setting for setting, is_so in refused.items() if is_so)
    return (Finding("camera.setting_refused", params={"setting": settings_refused}),) if settings_refused else ()


def _expose(capture: Any, cv2: Any, exposure_us: int) -> bool:
    """Return whether the exposure is as asked; a camera that has none to set is left as it is."""
    if not exposure_us:
        capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _APERTURE_PRIORITY)
        return True
    capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL)
    # V4L2_CID_EXPOSURE_ABSOLUTE counts in 100 us.
    return bool(capture.set(cv2.CAP_PROP_EXPOSURE, max(1, exposure_us // 100)))


def _focus(capture: Any, cv2: Any, focus: int) -> bool:
    capture.set(cv2.CAP_PROP_AUTOFOCUS, int(focus < 0))
    return focus < 0 or bool(capture.set(cv2.CAP_PROP_FOCUS, focus))
