"""A camera on a Raspberry Pi's ribbon cable, `picamera:0`: libcamera through picamera2, where that is installed.

Its brightness plane is taken as it comes (YUV420), so that nothing is encoded only to be decoded again. picamera2 comes
with Raspberry Pi OS and from nowhere else, so it is looked for among Debian's packages as well. Written to picamera2's
documentation and tried against a stand-in: no Raspberry Pi has run it yet.
"""

import importlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from edge.errors import LibraryMissing, SourceError
from edge.model.finding import Finding
from edge.model.settings import ScannerSettings
from edge.scanner.sources.base import Frame

if TYPE_CHECKING:
    import numpy.typing as npt

WAIT_S = 2.0
SYSTEM_PACKAGES = "/usr/lib/python3/dist-packages"
_LIST = "`rpicam-hello --list-cameras` lists the cameras of this machine."
_APT = "sudo apt-get install python3-picamera2"


class Device(Protocol):
    """What is used of picamera2's `Picamera2`."""

    camera_controls: dict[str, Any]

    def create_video_configuration(self, **options: Any) -> Any:
        """Return a configuration."""

    def configure(self, configuration: Any) -> Any:
        """Take it up."""

    def set_controls(self, controls: dict[str, Any]) -> None:
        """Set controls by their libcamera names."""

    def start(self) -> None:
        """Begin to take frames."""

    def capture_array(self, name: str) -> "npt.NDArray[Any]":
        """Wait for the next frame."""

    def close(self) -> None:
        """Let go of the camera."""


class PiCamera:
    """An open camera.

    Args:
        device: picamera2's camera, started.
        height: Rows of brightness in its arrays; colour follows below.
        source: Number of the source.
        notes: What it refused.
    """

    is_live = True
    is_finished = False

    def __init__(self, device: Device, height: int, source: int, notes: tuple[Finding, ...]) -> None:
        self._device = device
        self._height = height
        self._source = source
        self._notes = notes
        self._asked = threading.Event()
        self._given = threading.Event()
        self._image: npt.NDArray[Any] | None = None
        self._is_closed = False
        # `capture_array` waits for ever for a camera whose cable came off: it waits in a thread of its own.
        threading.Thread(target=self._serve, name=f"picamera-{source}", daemon=True).start()

    def _serve(self) -> None:
        while self._asked.wait() and not self._is_closed:
            self._asked.clear()
            try:
                self._image = self._device.capture_array("main")
            except Exception:  # noqa: BLE001 - whatever libcamera raises, the camera is lost; `read` says so
                self._image = None
            self._given.set()

    def read(self) -> Frame | None:
        """Wait for the next frame, at most two seconds.

        Raises:
            SourceError: The camera gives nothing.
        """
        self._given.clear()
        self._asked.set()
        if not self._given.wait(WAIT_S):
            raise SourceError("The camera gives no frames.", f"Check its ribbon cable. {_LIST}", cause="stalled")
        image = self._image
        if image is None or image.ndim != 2 or image.shape[0] < self._height:  # noqa: PLR2004
            raise SourceError("The camera gives no frames.", f"Check its ribbon cable. {_LIST}", cause="lost")
        return Frame(time.monotonic_ns(), self._source, pixels=image[: self._height], notes=self._notes)

    def close(self) -> None:
        """Let go of the camera."""
        if not self._is_closed:
            self._is_closed = True
            self._asked.set()
            self._device.close()


def _picamera2() -> Any:
    try:
        return importlib.import_module("picamera2")
    except ImportError:
        # Behind everything else, so that only what is found nowhere else comes from there.
        sys.path.append(SYSTEM_PACKAGES)
    try:
        return importlib.import_module("picamera2")
    except (ImportError, ValueError) as missing:  # ValueError: built for another numpy
        raise LibraryMissing("picamera2 is not installed, or not for this Python.", _APT) from missing
    finally:
        sys.path.remove(SYSTEM_PACKAGES)


def controls_of(settings: ScannerSettings, known: dict[str, Any]) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Return what is asked of a camera by libcamera's names, and what it has no control for.

    Args:
        settings: Rate, exposure and focus.
        known: Names of the controls the camera has.
    """
    frame_us = 1_000_000 // settings.fps
    asked: dict[str, Any] = {"FrameDurationLimits": (frame_us, frame_us)}
    if settings.exposure_us:
        asked |= {"AeEnable": False, "ExposureTime": settings.exposure_us}
    elif "AeEnable" in known:
        asked["AeEnable"] = True
    if settings.focus >= 0:
        # libcamera: LensPosition in dioptres; the setting is in tenths, as whole numbers are in gate.toml.
        asked |= {"AfMode": 0, "LensPosition": settings.focus / 10}
    elif "AfMode" in known:
        asked["AfMode"] = 2  # libcamera: AfModeContinuous
    refused = {"ExposureTime": "exposure_us", "LensPosition": "focus"}
    notes = [setting for name, setting in refused.items() if name in asked and name not in known]
    taken = {name: value for name, value in asked.items() if name in known}
    return taken, tuple(Finding("camera.setting_refused", params={"setting": setting}) for setting in notes)


def open_source(target: str, source: int, settings: ScannerSettings) -> PiCamera:
    """Open a camera by its number among libcamera's.

    Raises:
        SourceError: It is not there, or held by another program.
        LibraryMissing: picamera2 is not installed.
    """
    if not target.isdecimal() or not target.isascii():
        raise SourceError("A camera of libcamera has a number.", "Write `picamera:0` in gate.toml.", cause="missing")
    library = _picamera2()
    try:
        device: Device = library.Picamera2(int(target))
    except Exception as missing:
        # picamera2 raises IndexError, RuntimeError and its own, by version.
        raise SourceError(f"There is no free camera {target}.", f"Plug it in. {_LIST}", cause="missing") from missing
    try:
        controls, notes = controls_of(settings, device.camera_controls)
        size = (settings.width, settings.height)
        device.configure(device.create_video_configuration(main={"size": size, "format": "YUV420"}))
        device.set_controls(controls)
        device.start()
    except Exception as refused:
        device.close()
        raise SourceError(
            f"The camera {target} does not start at {settings.width}x{settings.height}.",
            f"Lower scanner.width and scanner.height. {_LIST}",
            cause="busy",
        ) from refused
    return PiCamera(device, settings.height, source, notes)
