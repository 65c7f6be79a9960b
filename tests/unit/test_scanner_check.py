"""`edge scanner check`: what it says of good and bad sources, what it keeps to itself, and its exit codes."""

import json
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from edge.cli.scanner import scanner
from edge.errors import SetupError
from edge.model.settings import ScannerSettings
from edge.scanner import check as checking
from edge.scanner.annotate import annotated
from edge.scanner.check import Checked, check, save_picture
from edge.scanner.sources.base import Frame
from tests.simulators.hand_scanner import HandScanner
from tests.simulators.mjpeg import MjpegServer, jpeg_of, scene

CODE = "HP1:" + "6BF70T90TESTING" * 12


def _run(source: str, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(scanner, ["check", source, *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout


def _json(source: str, *options: str) -> tuple[int, dict[str, Any]]:
    code, said = _run(source, "--json", *options)
    return code, json.loads(said)


def test_a_good_camera_is_good_in_numbers():
    """A camera that reads a code in every frame is well: exit 0, with what was measured."""
    with MjpegServer(jpeg_of(scene(CODE)), fps=30) as camera:
        code, said = _json(f"url:{camera.url}", "--frames", "20")

    assert (code, said["findings"]) == (0, [])
    assert (said["frames"], said["width"], said["height"], said["decode_rate"]) == (20, 1280, 720, 1.0)
    assert said["module_px"] == pytest.approx(6, abs=0.1)
    assert said["fps"] > 5
    assert said["focus"] > 50
    assert said["codes"] == [{"length": len(CODE), "family": "hp1", "engine": "zxing"}]


def test_what_is_said_in_words_ends_well():
    """The same for people."""
    with MjpegServer(jpeg_of(scene(CODE)), fps=30) as camera:
        code, said = _run(f"url:{camera.url}", "--frames", "5")

    assert code == 0
    assert said.rstrip().endswith("All is well.")
    assert "hp1, 184 bytes, read by zxing" in said


@pytest.mark.parametrize(
    ("draw", "finding"),
    [
        (scene, "check.no_code"),
        (lambda: cv2.GaussianBlur(scene(CODE), (0, 0), 3.5), "code.blurred"),
        (lambda: np.full((720, 1280), 4, np.uint8), "camera.covered"),
    ],
)
def test_a_bad_picture_is_a_finding_with_its_next_step(draw: Callable[[], Any], finding: str):
    """What is wrong is named, with what to do, and the exit code is 1."""
    with MjpegServer(jpeg_of(draw()), fps=30) as camera:
        code, said = _json(f"url:{camera.url}", "--frames", "6")

    assert code == 1
    assert finding in [one["code"] for one in said["findings"]]
    assert all(one["next_step"] for one in said["findings"])


def test_a_slow_camera_is_a_finding():
    """Four frames a second where fifteen are wanted are said."""
    with MjpegServer(jpeg_of(scene(CODE)), fps=4) as camera:
        code, said = _json(f"url:{camera.url}", "--frames", "6")

    assert (code, [one["code"] for one in said["findings"]]) == (1, ["camera.slow"])


def test_a_stream_of_no_pictures_is_a_finding():
    """Parts that are no pictures are said, and nothing is read in them."""
    with MjpegServer(b"<html>", fps=30) as camera:
        _, said = _json(f"url:{camera.url}", "--frames", "5")

    assert [one["code"] for one in said["findings"]] == ["stream.unreadable", "check.no_code"]


def test_a_camera_lost_while_it_is_checked_is_a_finding():
    """What was seen until then is still told."""
    with MjpegServer(jpeg_of(scene(CODE)), fps=30) as camera:
        seen: list[int] = []

        def told(count: int, _said: str) -> None:
            seen.append(count)
            if count == 3:
                camera.close()

        found = check(f"url:{camera.url}", ScannerSettings(), family=lambda _: "hp1", told=told)

    assert "camera.lost" in [one.code for one in found.findings]
    assert 3 <= found.frames < 50


def test_a_source_that_does_not_open_is_exit_3():
    """The sentence and next step stand on standard error, nothing on standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "edge", "scanner", "check", "camera:97", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("edge: There is no camera at /dev/video97.\n  -> ")


def test_a_hand_scanner_shows_length_and_family_and_no_byte_of_a_code(tmp_path: Path):
    """Three codes are enough; none of them is repeated anywhere."""
    codes = [CODE, "https://example.org/health/token", "SECRET-NOT-TO-BE-SHOWN"]
    with HandScanner(tmp_path / "tty") as device:

        def type_them() -> None:
            for text in codes:
                device.send(text.encode() + b"\r")

        typing = threading.Timer(1.0, type_them)
        typing.start()
        code, said = _json(f"serial:{device.path}")
        typing.join()

    assert (code, said["frames"], said["decode_rate"], said["findings"]) == (0, 0, None, [])
    assert [one["length"] for one in said["codes"]] == [len(text) for text in codes]
    assert said["codes"][0] == {"length": len(CODE), "family": "hp1", "engine": "serial"}
    assert "SECRET" not in json.dumps(said)


def test_a_scanner_nobody_uses_is_told_to_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without a code the check ends by itself and says what to do."""
    monkeypatch.setattr(checking, "_WAIT_S", 0.6)
    with HandScanner(tmp_path / "tty") as device:
        code, said = _json(f"serial:{device.path}")

    assert (code, [one["code"] for one in said["findings"]]) == (1, ["check.no_code"])


class TestPicture:
    """The annotated picture."""

    def test_it_shows_the_frame_and_is_its_owners_alone(self, tmp_path: Path):
        """A PNG of the frame with a strip of text below, readable by nobody else: it shows somebody's code."""
        target = tmp_path / "seen.png"
        with MjpegServer(jpeg_of(scene(CODE)), fps=30) as camera:
            _run(f"url:{camera.url}", "--frames", "4", "--save", str(target))

        picture = cv2.imread(str(target))
        assert picture is not None
        assert (picture.shape[1], picture.shape[0] > 720) == (1280, True)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        greens = ((picture[:, :, 1] > 150) & (picture[:, :, 0] < 100) & (picture[:, :, 2] < 100)).sum()
        assert greens > 500

    def test_frames_of_pixels_are_drawn_as_well(self, tmp_path: Path):
        """A film gives pixels, not JPEG."""
        writer = cv2.VideoWriter(str(tmp_path / "f.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 15, (640, 480))
        for _ in range(3):
            writer.write(cv2.cvtColor(scene("FILM", size=(640, 480)), cv2.COLOR_GRAY2BGR))
        writer.release()

        code, _ = _run(f"video:{tmp_path / 'f.avi'}", "--save", str(tmp_path / "seen.png"))

        assert code == 0
        assert cv2.imread(str(tmp_path / "seen.png")) is not None

    @pytest.mark.parametrize("frame", [None, Frame(0, 0, encoded=b"no picture"), Frame(0, 0, encoded=b"")])
    def test_what_cannot_be_drawn_is_an_error_and_no_file(self, frame: Frame | None, tmp_path: Path):
        """No frame, or one that is no picture, leaves nothing behind."""
        target = tmp_path / "none.png"

        with pytest.raises(SetupError):
            save_picture(Checked("x", picture=frame, marks={"patch": None, "symbols": []}), [], target)

        assert not target.exists()

    @pytest.mark.parametrize("shape", [(1, 1), (3, 5000), (5000, 3), (200, 200)])
    def test_every_size_is_drawn(self, shape: tuple[int, int]):
        """Marks at and beyond the edges of the smallest frames are drawn without an error."""
        marks = {
            "patch": [0, 0, shape[1], shape[0]],
            "symbols": [{"centre": [9999.0, -5.0], "module_px": 2.5, "engine": "zxing"}],
            "lines": ["focus 99", "摄像头"],
        }

        assert annotated(np.zeros((*shape, 3), np.uint8), marks).shape[1] == shape[1]
