"""What every frame source promises, asked of each of them in the same words."""

import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError, LibraryMissing, SetupError, SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources import base, picamera
from edge.scanner.sources.base import Frame, Source, label, opener, split_spec
from edge.scanner.sources.camera import configure, frame_of
from tests.simulators.hand_scanner import HandScanner, accept_grab
from tests.simulators.mjpeg import MjpegServer, jpeg_of, scene
from tests.simulators.rtsp import RtspServer

SETTINGS = ScannerSettings(sources=("folder:x",), fps=30)
FRAMES = 4

needs_camera = pytest.mark.skipif(not Path("/dev/video0").exists(), reason="no camera at /dev/video0")
KINDS = ["folder", "video", "url", "rtsp", "hid", "serial", "stdin", "picamera", "stranger"]
KINDS_HERE = [*KINDS, pytest.param("camera", marks=needs_camera)]

PICAMERA2 = """
import time
import numpy as np

class Picamera2:
    plugged = True
    camera_controls = {"FrameDurationLimits": (1, 2, 3), "AeEnable": (0, 1, 1), "ExposureTime": (1, 2, 3)}
    def __init__(self, number):
        if number > 0:
            raise IndexError("list index out of range")
        self.controls, self.size, self.started, self.closed = {}, None, False, 0
        Picamera2.last = self
    def create_video_configuration(self, main):
        return main
    def configure(self, configuration):
        assert configuration["format"] == "YUV420"
        self.size = configuration["size"]
    def set_controls(self, controls):
        self.controls = controls
    def start(self):
        self.started = True
    def capture_array(self, name):
        assert self.started and name == "main"
        time.sleep(0.01 if Picamera2.plugged else 3600)
        width, height = self.size
        return np.full((height * 3 // 2, width), 77, np.uint8)
    def close(self):
        self.closed += 1
"""

STRANGER = """
import time
from edge.errors import SourceError
from edge.scanner.sources.base import Frame

class Stranger:
    is_live = False
    is_finished = False
    def __init__(self, count, source):
        self.left, self.source = count, source
    def read(self):
        if self.left == 0:
            self.is_finished = True
            return None
        self.left -= 1
        return Frame(time.monotonic_ns(), self.source, encoded=b"picture")
    def close(self):
        pass

def open_source(target, source, settings):
    if not target.isdecimal():
        raise SourceError("There is no such stranger.", "Write a number.", cause="missing")
    return Stranger(int(target), source)
"""


def _folder(path: Path) -> str:
    for number in range(FRAMES):
        (path / f"frame{number * 6}.jpg").write_bytes(jpeg_of(scene(f"PICTURE {number}")))
    (path / "notes.txt").write_text("not a picture")
    return str(path)


def _video(path: Path) -> str:
    file = path / "people.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 15.0, (640, 480))
    for number in range(FRAMES):
        writer.write(cv2.cvtColor(scene(f"FILM {number}", size=(640, 480)), cv2.COLOR_GRAY2BGR))
    writer.release()
    return str(file)


def _stranger(path: Path) -> str:
    (path / "edge_stranger.py").write_text(STRANGER)
    info = path / "edge_stranger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: edge-stranger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edge.sources]\nstranger = edge_stranger:open_source\n")
    return str(FRAMES)


def _picamera(path: Path) -> str:
    (path / "picamera2.py").write_text(PICAMERA2)
    return "0"


def _lines(path: Path) -> Path:
    (path / "codes.txt").write_text("".join(f"CODE {number}\n" for number in range(FRAMES)))
    return path / "codes.txt"


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A target of the kind asked for, with pictures to give."""
    kind = request.getfixturevalue("kind")
    makers: dict[str, Callable[[Path], str]] = {"folder": _folder, "video": _video, "stranger": _stranger}
    makers["picamera"] = _picamera
    with contextlib.ExitStack() as open_ones:
        if kind in {"stranger", "picamera"}:
            monkeypatch.syspath_prepend(str(tmp_path))
            base._openers.cache_clear()
        if kind == "rtsp":
            yield open_ones.enter_context(RtspServer(scene("STREAM"))).url
        elif kind == "url":
            yield open_ones.enter_context(MjpegServer(jpeg_of(scene("STREAM")))).url
        elif kind == "stdin":
            monkeypatch.setattr(sys, "stdin", open_ones.enter_context(_lines(tmp_path).open()))
            yield "-"
        elif kind in {"hid", "serial"}:
            accept_grab(monkeypatch)
            yield str(open_ones.enter_context(HandScanner(tmp_path / "device")).path)
        else:
            yield makers[kind](tmp_path) if kind in makers else "0"
    base._openers.cache_clear()
    for module in ("edge_stranger", "picamera2"):
        sys.modules.pop(module, None)


@pytest.fixture
def source(kind: str, target: str) -> Iterator[Source]:
    """An open source of the kind asked for."""
    opened = opener("url" if kind == "rtsp" else kind)(target, 3, SETTINGS)
    yield opened
    opened.close()


def _some(source: Source, count: int, within_s: float = 5.0) -> list[Frame]:
    """Return so many frames; of a file or folder fewer, where it has no more."""
    until, frames = time.monotonic() + within_s, list[Frame]()
    while len(frames) < count and time.monotonic() < until:
        frame = source.read()
        if frame is not None:
            frames.append(frame)
        elif frames and not source.is_live:
            break
    return frames


@pytest.mark.parametrize("kind", KINDS_HERE)
class TestEverySource:
    def test_a_frame_carries_its_source_and_time(self, source: Source):
        """A frame says which source it came from and when it was taken."""
        before = time.monotonic_ns()

        frame = _some(source, 1)[0]

        assert frame.source == 3
        assert before <= frame.taken_ns <= time.monotonic_ns()

    def test_frames_come_in_order(self, source: Source):
        """A later frame was taken later."""
        taken = [frame.taken_ns for frame in _some(source, 3)]

        assert len(taken) == 3
        assert taken == sorted(taken)

    def test_a_file_gives_each_frame_once_and_then_is_finished(self, kind: str, source: Source):
        """A file ends after its last frame and stays ended; a live source never does, a folder waits for more."""
        count = len(_some(source, 50 if not source.is_live else 2))

        assert (source.read() is None) is not source.is_live
        assert source.is_finished is (kind in {"video", "stdin", "stranger"})
        assert count == (FRAMES if not source.is_live else 2)

    def test_close_may_come_twice(self, source: Source):
        """Closing a closed source does nothing."""
        source.close()

        assert source.close() is None


@pytest.mark.parametrize(
    ("kind", "away", "cause"),
    [
        ("folder", "/nonexistent/folder", "no_file"),
        ("folder", "/etc/hostname", "no_file"),
        ("video", "/nonexistent/film.avi", "no_file"),
        ("url", "http://127.0.0.1:9/stream.mjpg", "unreachable"),
        ("camera", "97", "missing"),
        ("camera", "/dev/nonexistent-camera", "missing"),
        ("camera", "/etc/hostname", "missing"),
        ("hid", "/dev/input/by-id/usb-nothing-event-kbd", "missing"),
        ("hid", "/etc/hostname", "missing"),
        ("hid", "/dev/null", "missing"),
        ("serial", "/dev/ttyACM97", "missing"),
        ("serial", "/etc/hostname", "missing"),
        ("serial", "/dev/null", "busy"),
        ("serial", "/dev/null?baud=31337", "option"),
        ("stdin", "file", "missing"),
        ("picamera", "first", "missing"),
    ],
)
def test_what_is_not_there_is_an_error_with_a_next_step(kind: str, away: str, cause: str):
    """Opening what is not there says so, with the next step and a stable cause."""
    with pytest.raises(SourceError) as error:
        opener(kind)(away, 0, SETTINGS)

    assert error.value.cause == cause
    assert error.value.next_step


def test_a_folder_without_pictures_is_waited_at(tmp_path: Path):
    """An empty folder is opened, and gives the picture that is put there later."""
    source = opener("folder")(str(tmp_path), 0, SETTINGS)
    before = source.read()
    (tmp_path / "late.png").write_bytes(b"late")

    assert before is None
    assert [frame.encoded for frame in _some(source, 1)] == [b"late"]


def test_a_text_is_no_video(tmp_path: Path):
    """A file that is not a video is refused when it is opened."""
    (tmp_path / "film.mp4").write_text("no film")

    with pytest.raises(SourceError, match="not a video"):
        opener("video")(str(tmp_path / "film.mp4"), 0, SETTINGS)


def test_pictures_come_in_the_order_people_count(tmp_path: Path):
    """Picture 2 comes before picture 10."""
    for name in ("p10.png", "p2.png", "p1.png"):
        (tmp_path / name).write_bytes(name.encode())
    source = opener("folder")(str(tmp_path), 0, SETTINGS)

    names = [frame.encoded for frame in _some(source, 3)]

    assert names == [b"p1.png", b"p2.png", b"p10.png"]


@pytest.mark.parametrize("spec", ["camera:", "camera"])
def test_a_source_without_a_target_is_refused_with_its_form(spec: str):
    """The kind is right, so the sentence says what is missing and not what kinds there are."""
    with pytest.raises(ConfigError, match=r"does not say what to read\. Write it as camera:"):
        split_spec(spec)


@pytest.mark.parametrize("spec", ["webcam:0", "", ":0"])
def test_an_unknown_source_is_refused_naming_the_known(spec: str):
    """A source of an unknown kind, or of none, is a configuration error that names the kinds there are."""
    with pytest.raises(ConfigError, match=r"camera:.*folder:.*url:.*video:"):
        split_spec(spec)


def test_a_plug_in_that_does_not_load_is_a_setup_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A stranger's plug-in without its module is an error of this machine, not a traceback."""
    _stranger(tmp_path)
    (tmp_path / "edge_stranger.py").unlink()
    monkeypatch.syspath_prepend(str(tmp_path))
    base._openers.cache_clear()

    try:
        with pytest.raises(SetupError, match="stranger"):
            opener("stranger")
    finally:
        base._openers.cache_clear()


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("camera:0", "camera:0"),
        ("camera:/dev/v4l/by-id/usb-cam", "camera:usb-cam"),
        ("folder:/home/somebody/pictures/", "folder:pictures"),
        ("url:http://user:secret@cam.local:8081/video?pwd=secret", "url:cam.local:8081"),
        ("url:http://[fe80::1]:8081/secret", "url:[fe80::1]:8081"),
        ("url:http://[broken/secret", "url:[broken"),
        ("url:http://user:sec/ret@cam/", "url"),
        ("serial:/dev/serial/by-id/usb-x?baud=9600", "serial:usb-x"),
    ],
)
def test_a_label_shows_no_password_or_folder(spec: str, shown: str):
    """What is shown and logged of a source holds no password, query or folder, even of a broken address."""
    assert label(spec) == shown


def test_a_stream_with_a_password_is_refused():
    """A password has no place in gate.toml, and the refusal does not repeat it."""
    with pytest.raises(SourceError) as error:
        opener("url")("http://user:hunter2@127.0.0.1:9/s", 0, SETTINGS)

    assert error.value.cause == "denied"
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("address", ["ftp://cam/x", "http://", "http://[broken/", "nothing", "http://cam:99999/x"])
def test_a_wrong_address_is_refused(address: str):
    """What is no address of a stream is refused with the form it should have."""
    with pytest.raises(SourceError, match="url:http"):
        opener("url")(address, 0, SETTINGS)


class TestWhatACameraGives:
    """The arrays OpenCV gives in each of its modes."""

    def test_the_bytes_of_a_jpeg_are_passed_on_without_the_rest_of_the_buffer(self):
        """A JPEG in a longer buffer is cut to its end and not decoded."""
        jpeg = jpeg_of(scene("CAMERA"))
        buffer = np.frombuffer(jpeg + bytes(1000), np.uint8)[None, :]

        assert frame_of(buffer, taken_ns=1, source=0).encoded == jpeg

    def test_the_brightness_of_yuyv_is_taken(self):
        """Of brightness and colour, brightness is kept."""
        image = np.dstack([np.full((4, 6), 7, np.uint8), np.full((4, 6), 200, np.uint8)])

        pixels = frame_of(image, taken_ns=1, source=0).pixels

        assert pixels is not None
        assert (pixels.shape, int(pixels.max())) == ((4, 6), 7)

    def test_colour_is_passed_on(self):
        """Three channels stay three."""
        image = np.zeros((4, 6, 3), np.uint8)

        assert frame_of(image, taken_ns=1, source=0).pixels is image


class Control:
    """A camera as OpenCV's V4L2 shows it: what it does not know it refuses, sizes it rounds."""

    def __init__(self, *, known: frozenset[int], sizes: tuple[int, int], is_jpeg: bool = True) -> None:
        self.values: dict[int, float] = {}
        self.known = known | {cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FPS}
        self.known |= {cv2.CAP_PROP_FOURCC, cv2.CAP_PROP_CONVERT_RGB} if is_jpeg else set()
        self.sizes = {cv2.CAP_PROP_FRAME_WIDTH: sizes[0], cv2.CAP_PROP_FRAME_HEIGHT: sizes[1]}

    def set(self, prop: int, value: float) -> bool:
        if prop in self.known:
            self.values[prop] = self.sizes.get(prop, value)
        return prop in self.known

    def get(self, prop: int) -> float:
        return self.values.get(prop, 0)


class TestCameraControls:
    """What is asked of a camera, and what it refuses."""

    ALL = frozenset({cv2.CAP_PROP_AUTO_EXPOSURE, cv2.CAP_PROP_EXPOSURE, cv2.CAP_PROP_AUTOFOCUS, cv2.CAP_PROP_FOCUS})

    @staticmethod
    def _refused(control: Control, **changes: Any) -> str:
        notes = configure(control, cv2, replace(SETTINGS, **changes))
        return "".join(str(note.params["setting"]) for note in notes)

    def test_a_camera_with_every_control_refuses_nothing(self):
        """Exposure goes over in 100 us and by hand, focus by hand, JPEG untouched."""
        control = Control(known=self.ALL, sizes=(1280, 720))

        assert self._refused(control, exposure_us=4000, focus=120) == ""
        assert control.values[cv2.CAP_PROP_EXPOSURE] == 40
        assert control.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1
        assert (control.values[cv2.CAP_PROP_AUTOFOCUS], control.values[cv2.CAP_PROP_FOCUS]) == (0, 120)
        assert control.values[cv2.CAP_PROP_CONVERT_RGB] == 0

    def test_defaults_put_a_camera_back_to_automatic(self):
        """What an earlier setting left in the driver is undone."""
        control = Control(known=self.ALL, sizes=(1280, 720))

        assert self._refused(control) == ""
        assert (control.values[cv2.CAP_PROP_AUTO_EXPOSURE], control.values[cv2.CAP_PROP_AUTOFOCUS]) == (3, 1)

    def test_a_plain_camera_refuses_nothing_that_was_not_asked(self):
        """Without exposure and focus controls the defaults are no finding."""
        assert self._refused(Control(known=frozenset(), sizes=(1280, 720))) == ""

    def test_what_it_refuses_is_named(self):
        """Size, JPEG, exposure and focus it does not have are one finding that names each setting."""
        control = Control(known=frozenset(), sizes=(640, 480), is_jpeg=False)

        refused = self._refused(control, exposure_us=4000, focus=3)

        assert refused == "mjpeg, width, height, exposure_us, focus"

    def test_jpeg_is_not_asked_where_it_is_switched_off(self):
        """With `mjpeg = false` the camera's own format is taken and converted."""
        control = Control(known=frozenset(), sizes=(1280, 720))

        assert self._refused(control, mjpeg=False) == ""
        assert cv2.CAP_PROP_FOURCC not in control.values
        assert cv2.CAP_PROP_CONVERT_RGB not in control.values


def test_a_frame_is_bytes_pixels_or_symbols():
    """A frame of none, or of two, does not construct."""
    with pytest.raises(ValueError):
        Frame(0, 0)
    with pytest.raises(ValueError):
        Frame(0, 0, encoded=b"x", symbols=())
    with pytest.raises(ValueError):
        Frame(0, 0, encoded=b"x", pixels=np.zeros((1, 1), np.uint8))


class TestPiCamera:
    """libcamera's camera, over a stand-in of picamera2."""

    @pytest.fixture
    def library(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        """The stand-in, as the module that is imported."""
        _picamera(tmp_path)
        monkeypatch.syspath_prepend(str(tmp_path))
        yield importlib.import_module("picamera2").Picamera2
        sys.modules.pop("picamera2", None)

    def test_the_brightness_alone_is_taken(self, library: Any):
        """Of YUV420 the rows of brightness are the frame; colour below them is left out."""
        source = opener("picamera")("0", 0, SETTINGS)
        frame = source.read()
        source.close()

        assert frame is not None
        assert frame.pixels is not None
        assert (frame.pixels.shape, int(frame.pixels[0, 0])) == ((720, 1280), 77)

    def test_a_control_it_lacks_is_said_and_not_asked(self, library: Any):
        """Focus asked of a camera with a fixed lens is a finding; exposure is set in its own unit."""
        settings = replace(SETTINGS, exposure_us=2000, focus=50)
        source = opener("picamera")("0", 0, settings)
        frame = source.read()
        source.close()

        assert library.last.controls == {"FrameDurationLimits": (33333, 33333), "AeEnable": False, "ExposureTime": 2000}
        assert frame is not None
        assert [(note.code, note.params) for note in frame.notes] == [("camera.setting_refused", {"setting": "focus"})]

    def test_a_camera_that_is_not_there_is_missing(self, library: Any):
        """What picamera2 raises by itself becomes ours."""
        with pytest.raises(SourceError) as error:
            opener("picamera")("1", 0, SETTINGS)

        assert error.value.cause == "missing"

    def test_a_cable_that_came_off_is_noticed(self, library: Any, monkeypatch: pytest.MonkeyPatch):
        """picamera2 waits for ever for a frame; the source does not."""
        monkeypatch.setattr(picamera, "WAIT_S", 0.2)
        source = opener("picamera")("0", 0, SETTINGS)
        source.read()
        monkeypatch.setattr(library, "plugged", False)

        with pytest.raises(SourceError) as error:
            [source.read() for _ in range(3)]
        source.close()

        assert error.value.cause == "stalled"

    def test_without_picamera2_the_command_is_said(self, monkeypatch: pytest.MonkeyPatch):
        """Where the library is not installed the next step is Debian's command, and the search path is as before."""
        monkeypatch.setattr(picamera, "SYSTEM_PACKAGES", "/nonexistent")
        before = list(sys.path)

        with pytest.raises(LibraryMissing) as error:
            opener("picamera")("0", 0, SETTINGS)

        assert error.value.next_step == "sudo apt-get install python3-picamera2"
        assert sys.path == before
