"""What every frame source promises, asked of each of them in the same words."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError, SetupError, SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources import base
from edge.scanner.sources.base import Frame, Source, label, opener, split_spec
from edge.scanner.sources.camera import frame_of
from tests.simulators.mjpeg import MjpegServer, jpeg_of, scene

SETTINGS = ScannerSettings(sources=("folder:x",), fps=30)
FRAMES = 4

needs_camera = pytest.mark.skipif(not Path("/dev/video0").exists(), reason="no camera at /dev/video0")
KINDS = ["folder", "video", "url", "stranger", pytest.param("camera", marks=needs_camera)]

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


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A target of the kind asked for, with pictures to give."""
    kind = request.getfixturevalue("kind")
    makers: dict[str, Callable[[Path], str]] = {"folder": _folder, "video": _video, "stranger": _stranger}
    with contextlib.ExitStack() as open_ones:
        if kind == "stranger":
            monkeypatch.syspath_prepend(str(tmp_path))
            base._openers.cache_clear()
        if kind == "url":
            yield open_ones.enter_context(MjpegServer(jpeg_of(scene("STREAM")))).url
        else:
            yield makers[kind](tmp_path) if kind in makers else "0"
    base._openers.cache_clear()
    sys.modules.pop("edge_stranger", None)


@pytest.fixture
def source(kind: str, target: str) -> Iterator[Source]:
    """An open source of the kind asked for."""
    opened = opener(kind)(target, 3, SETTINGS)
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


@pytest.mark.parametrize("kind", KINDS)
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
        assert source.is_finished is (kind in {"video", "stranger"})
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


@pytest.mark.parametrize("spec", ["webcam:0", "camera:", "camera", "", ":0"])
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


def test_a_frame_is_bytes_or_pixels():
    """A frame of neither, or of both, does not construct."""
    with pytest.raises(ValueError):
        Frame(0, 0)
    with pytest.raises(ValueError):
        Frame(0, 0, encoded=b"x", pixels=np.zeros((1, 1), np.uint8))
