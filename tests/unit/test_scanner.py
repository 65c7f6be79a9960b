"""The scanner whole: sources, slots, findings and recovery, with real pictures, sockets and processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError, SourceError
from edge.model.finding import Severity
from edge.model.settings import ScannerSettings
from edge.model.symbol import Symbol
from edge.scanner.ailments import LOOKS, is_covered
from edge.scanner.capture import Capture, CaptureState, Pace
from edge.scanner.conditions import BAD_FRAMES, RESTART_SHOWN_NS, Conditions
from edge.scanner.decode import Health, Reading
from edge.scanner.handover import Look, Status
from edge.scanner.scanner import Scanner
from edge.scanner.slots import Slots
from edge.scanner.sources import base
from edge.scanner.sources.base import Frame
from tests.simulators.mjpeg import MjpegServer, jpeg_of, scene

SECOND = 1_000_000_000
FAST = ScannerSettings(sources=(), fps=100, watchdog_s=1.0, second_engine_every=0)


@contextmanager
def _running(*sources: str, **changes: float) -> Iterator[Scanner]:
    scanner = Scanner(replace(FAST, sources=sources, **changes))
    scanner.start()
    try:
        yield scanner
    finally:
        scanner.close()


def _until(scanner: Scanner, fact: Callable[[], bool], within_s: float) -> list[bytes]:
    """Let the line run until something is so; return the codes presented meanwhile."""
    until, seen = time.monotonic() + within_s, []
    while not fact():
        assert time.monotonic() < until, f"not within {within_s} s: {scanner.findings()}"
        seen += [symbol.raw for symbol in scanner.presentations(0.05)]
    return seen


def _next_code(scanner: Scanner, within_s: float = 5.0) -> bytes:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        for symbol in scanner.presentations(0.1):
            return symbol.raw
    raise AssertionError(f"no code within {within_s} s: {scanner.findings()}")


def _codes(scanner: Scanner) -> dict[str, Severity]:
    return {finding.code: finding.severity for finding in scanner.findings()}


def _frame(number: int, source: int = 0) -> Frame:
    return Frame(number, source, encoded=b"%d" % number)


class TestSlots:
    """Which frame is read."""

    def test_the_newest_frame_wins(self):
        """Of a hundred frames put while nobody took one, only the last is there."""
        slots = Slots(1)
        for number in range(100):
            slots.put(_frame(number))

        assert slots.take(0) == _frame(99)
        assert slots.take(0) is None

    def test_sources_take_turns(self):
        """A busy camera does not keep another one's frame waiting."""
        slots = Slots(3)
        slots.put(_frame(1, 2))
        taken = []
        for number in range(4):
            slots.put(_frame(number, 0))
            slots.put(_frame(number, 1))
            frame = slots.take(0)
            assert frame is not None
            taken.append(frame.source)

        assert taken == [0, 1, 2, 0]

    def test_a_file_waits_until_its_frame_was_taken(self):
        """Every frame put after another is taken once, in order."""
        slots = Slots(1)
        writer = threading.Thread(target=lambda: [slots.put_after(_frame(number)) for number in range(20)])
        writer.start()

        taken = [slots.take(2.0) for _ in range(20)]

        writer.join()
        assert taken == [_frame(number) for number in range(20)]

    def test_close_wakes_everybody(self):
        """Neither who waits for a frame nor who waits to put one is left waiting."""
        slots = Slots(1)
        slots.put(_frame(0))
        answers: list[bool] = []
        waiting = threading.Thread(target=lambda: answers.append(slots.put_after(_frame(1))))
        waiting.start()

        slots.close()

        waiting.join(2)
        assert (answers, slots.take(5.0)) == ([False], None)

    def test_the_newest_time_is_known(self):
        """How fresh the newest frame is does not depend on anybody taking it."""
        slots = Slots(2)
        before = slots.newest_ns
        slots.put(_frame(7, 1))
        slots.put(_frame(5, 0))

        assert (before, slots.newest_ns) == (None, 7)


class TestPace:
    """Frames at a rate."""

    @staticmethod
    def _taken(interval_ms: list[int], fps: int) -> int:
        pace, now, taken = Pace(fps), 10 * SECOND, 0
        for step in interval_ms:
            now += step * 1_000_000
            if pace.wait_ns(now) == 0:
                pace.count(now)
                taken += 1
        return taken

    def test_a_camera_at_the_rate_loses_no_frame_to_its_jitter(self):
        """Fifteen frames a second that come a little early or late are all taken."""
        assert self._taken([60, 74] * 75, fps=15) == 150

    @pytest.mark.parametrize("interval_ms", [10, 16, 33, 50])
    def test_a_faster_camera_is_held_to_the_rate(self, interval_ms: int):
        """Ten seconds of a faster camera give fifteen frames a second, and one in twenty more at most."""
        assert 135 <= self._taken([interval_ms] * (10_000 // interval_ms), fps=15) <= 158

    def test_a_pause_is_not_made_up_for(self):
        """After an hour away frames come at the rate, not in a burst."""
        assert self._taken([3_600_000] + [10] * 100, fps=15) <= 17


class TestConditions:
    """States and readings to findings."""

    WELL = Health()
    HERE = CaptureState(0, "camera:0", "", is_finished=False)
    AWAY = CaptureState(0, "camera:0", "lost", is_finished=False)

    def _found(self, *readings: Reading, state: CaptureState = HERE, health: Health = WELL) -> dict[str, Severity]:
        conditions = Conditions(1)
        for reading in readings:
            conditions.note(0, reading)
        return {one.code: one.severity for one in conditions.findings([state], health, 5 * SECOND)}

    def test_nothing_wrong_is_no_finding(self):
        """A camera that sees something gives no finding."""
        assert self._found(*[Reading(Status.READ, look=Look(120, 40))] * 9) == {}

    def test_a_lost_camera_stops_a_gate_that_has_no_other(self):
        """The only camera lost is a stop, with its name and cause."""
        found = Conditions(1).findings([self.AWAY], Health(), 0)

        assert [(one.code, one.severity, one.params) for one in found] == [
            ("camera.lost", Severity.STOP, {"source": 0, "name": "camera:0", "cause": "lost"})
        ]

    def test_a_lost_camera_is_a_warning_while_another_sees(self):
        """With another camera the gate goes on."""
        found = Conditions(2).findings([self.AWAY, replace(self.HERE, source=1)], Health(), 0)

        assert [(one.code, one.severity) for one in found] == [("camera.lost", Severity.WARNING)]

    def test_a_stalled_source_has_its_own_code(self):
        """A source that is there and gives nothing is told apart from one that is away."""
        assert self._found(state=replace(self.AWAY, cause="stalled")) == {"stream.stalled": Severity.STOP}

    def test_a_covered_camera_is_said_after_three_looks(self):
        """A moment of darkness is not a fault, three seconds of it are; frames without a look in between count not."""
        dark, unseen = Reading(Status.READ, look=Look(4, 1)), Reading(Status.READ)

        assert self._found(*[dark, unseen] * (LOOKS - 1)) == {}
        assert self._found(*[dark, unseen] * LOOKS) == {"camera.covered": Severity.WARNING}

    def test_a_code_read_shows_that_nothing_covers_the_camera(self):
        """Where a code is read, or the light comes back, the finding goes."""
        dark = Reading(Status.READ, look=Look(4, 1))
        code = Reading(Status.READ, (Symbol(b"x"),))

        assert self._found(*[dark] * 5, code) == {}
        assert self._found(*[dark] * 5, *[Reading(Status.READ, look=Look(90, 30))] * 2) == {}

    @pytest.mark.parametrize(("mean", "spread", "covered"), [
        (0, 0, True), (5, 3, True), (20, 4, True), (128, 1, True), (255, 0, True),
        (17, 9, False), (40, 4, False), (128, 6, False),
    ])  # fmt: skip
    def test_dark_or_flat_is_covered(self, mean: float, spread: float, *, covered: bool):
        """A finger or a cap is dark and flat; a dim room is not."""
        assert is_covered(mean, spread) is covered

    @pytest.mark.parametrize(
        ("status", "code"), [(Status.UNREADABLE, "stream.unreadable"), (Status.TOO_BIG, "stream.frame_too_big")]
    )
    def test_a_stream_of_what_is_no_picture_is_said(self, status: Status, code: str):
        """Five unreadable frames in a row are said, four or one good one between are not."""
        bad, good = Reading(status), Reading(Status.READ)

        assert self._found(*[bad] * BAD_FRAMES) == {code: Severity.WARNING}
        assert self._found(*[bad] * (BAD_FRAMES - 1), good, bad) == {}

    def test_a_restarted_child_is_shown_for_a_while(self):
        """A lost child is counted and shown for ten minutes."""
        health = Health(restarts=3, last_restart_ns=SECOND)
        found = [Conditions(1).findings([self.HERE], health, SECOND + ns) for ns in (0, RESTART_SHOWN_NS)]

        assert [[(one.code, one.params) for one in each] for each in found] == [
            [("scanner.child_restarted", {"count": 3})],
            [],
        ]

    def test_the_decoder_and_second_engine_are_spoken_of(self):
        """A decoder that does not start is a stop; a missing or failing second engine is not."""
        health = Health(is_absent=True, is_second_missing=True, second_failures=2)

        assert self._found(health=health) == {
            "scanner.child_absent": Severity.STOP,
            "scanner.pyzbar_missing": Severity.WARNING,
            "scanner.pyzbar_failed": Severity.INFO,
        }

    FILM = replace(HERE, name="video:film", is_live=False, is_finished=True, frames=2)
    FOLDER = replace(HERE, name="folder:in", is_live=False, is_waiting=True, frames=2)

    @staticmethod
    def _told(*states: CaptureState, read: int = 2) -> list[tuple[str, Severity, dict[str, object]]]:
        """Return what is said of sources, after some frames of the first were read and held three codes."""
        conditions = Conditions(len(states))
        for _ in range(read):
            conditions.note(0, Reading(Status.READ))
        conditions.count(0, 3)
        numbered = [replace(state, source=number) for number, state in enumerate(states)]
        return [(one.code, one.severity, one.params) for one in conditions.findings(numbered, Health(), 5 * SECOND)]

    def test_a_gate_whose_only_source_has_ended_is_stopped_and_says_what_was_read(self):
        """Nothing will come any more: how many pictures and codes there were stands beside it."""
        params = {"source": 0, "name": "video:film", "frames": 2, "codes": 3}

        assert self._told(self.FILM) == [("source.finished", Severity.STOP, params)]

    def test_a_folder_that_was_read_to_its_end_is_said(self):
        """More may come, so nothing is stopped; files that were no pictures are counted in."""
        params = {"source": 0, "name": "folder:in", "frames": 6, "codes": 3, "unread": 4}

        assert self._told(replace(self.FOLDER, left_out=4)) == [("source.waiting", Severity.WARNING, params)]

    def test_an_empty_folder_is_told_from_one_that_was_read(self):
        """Nothing was there yet."""
        assert [(code, severity) for code, severity, _ in self._told(replace(self.FOLDER, frames=0), read=0)] == [
            ("source.empty", Severity.WARNING)
        ]

    @pytest.mark.parametrize("state", [FILM, FOLDER])
    def test_the_end_is_said_only_after_the_last_frame_was_read(self, state: CaptureState):
        """A picture on its way through the decoder still counts."""
        assert self._told(state, read=1) == []

    @pytest.mark.parametrize("state", [FILM, FOLDER])
    def test_beside_a_camera_the_end_of_a_file_is_nobodys_business(self, state: CaptureState):
        """The lane goes on."""
        assert [severity for _, severity, _ in self._told(state, self.HERE)] == [Severity.INFO]

    def test_a_film_that_ended_is_no_help_to_a_gate_whose_camera_is_lost(self):
        """Both together are a stop."""
        assert {code: severity for code, severity, _ in self._told(self.FILM, self.AWAY)} == {
            "camera.lost": Severity.STOP,
            "source.finished": Severity.STOP,
        }

    def test_codes_on_standard_input_that_ended_stop_a_gate_without_another_source(self):
        """What nobody can come through any more is said as what it is."""
        ended = replace(self.HERE, is_live=False, is_reader=True, is_finished=True)

        assert self._found(state=ended) == {"source.finished": Severity.STOP}

    def test_a_folder_that_is_away_has_a_text_of_its_own(self):
        """Nobody is sent to a camera's cable."""
        assert self._found(state=replace(self.FOLDER, cause="no_file")) == {"source.missing": Severity.STOP}

    def test_a_dark_or_broken_picture_of_a_folder_covers_no_camera(self):
        """What is said of cameras is not said of files."""
        dark, bad = Reading(Status.READ, look=Look(4, 1)), Reading(Status.UNREADABLE)

        assert self._found(*[dark] * 9, *[bad] * 9, state=replace(self.FOLDER, is_waiting=False)) == {}


class TestScanner:
    """From a source to presentations."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edge.scanner.capture.WAITING_NS", SECOND)

    def test_every_picture_of_a_folder_is_presented_once_in_order(self, tmp_path: Path):
        """Each picture is read, dark on light or light on dark, in order, and then the folder waits."""
        for number in range(12):
            picture = scene(f"PERSON {number}")
            (tmp_path / f"{number}.jpg").write_bytes(jpeg_of(255 - picture if number % 3 else picture))

        with _running(f"folder:{tmp_path}") as scanner:
            codes = _until(scanner, lambda: "source.waiting" in _codes(scanner), 10)
            codes += [symbol.raw for symbol in scanner.presentations(0.2)]
            (finding,) = scanner.findings()

        assert codes == [b"PERSON %d" % number for number in range(12)]
        assert (finding.severity, finding.params["frames"], finding.params["codes"]) == (Severity.WARNING, 12, 12)

    def test_a_picture_put_into_the_folder_later_is_read(self, tmp_path: Path):
        """A folder that is empty at first says so, and every picture that comes is read once."""
        with _running(f"folder:{tmp_path}") as scanner:
            _until(scanner, lambda: "source.empty" in _codes(scanner), 10)
            (tmp_path / "one.jpg").write_bytes(jpeg_of(scene("ONE")))
            first = _next_code(scanner)
            _until(scanner, lambda: "source.waiting" in _codes(scanner), 10)
            (tmp_path / "two.jpg").write_bytes(jpeg_of(scene("TWO")))
            second = _next_code(scanner)
            more = _until(scanner, lambda: "source.waiting" in _codes(scanner), 10)

        assert (first, second, more) == (b"ONE", b"TWO", [])

    def test_a_stick_that_is_pulled_out_is_said_and_goes_on_where_it_was(self, tmp_path: Path):
        """The folder away is a stop with a text of its own; back, only its new pictures are read."""
        stick, drawer = tmp_path / "stick", tmp_path / "drawer"
        stick.mkdir()
        (stick / "one.jpg").write_bytes(jpeg_of(scene("ONE")))
        with _running(f"folder:{stick}") as scanner:
            first = _next_code(scanner)
            stick.rename(drawer)
            away = _until(scanner, lambda: _codes(scanner) == {"source.missing": Severity.STOP}, 10)
            (drawer / "two.jpg").write_bytes(jpeg_of(scene("TWO")))
            drawer.rename(stick)
            back = _until(scanner, lambda: "source.waiting" in _codes(scanner), 10)
            (finding,) = scanner.findings()

        assert (first, away, back) == (b"ONE", [], [b"TWO"])
        assert finding.params["frames"] == 2

    def test_what_is_no_picture_is_left_out_named_and_counted(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        """Junk, nothing, a folder, a pipe and a link to itself stop nothing; the first five are named."""
        for number in range(3):
            (tmp_path / f"{number}.jpg").write_bytes(jpeg_of(scene(f"GOOD {number}")))
        (tmp_path / "a junk\x1b[2J\n.jpg").write_bytes(b"no picture")
        (tmp_path / "b empty.jpg").touch()
        (tmp_path / "c folder.jpg").mkdir()
        (tmp_path / "d loop.jpg").symlink_to("d loop.jpg")
        os.mkfifo(tmp_path / "e pipe.jpg")
        for number in range(20):
            (tmp_path / f"f{number}.jpg").touch()

        with _running(f"folder:{tmp_path}") as scanner:
            codes = _until(scanner, lambda: "source.waiting" in _codes(scanner), 10)
            (finding,) = scanner.findings()

        assert codes == [b"GOOD 0", b"GOOD 1", b"GOOD 2"]
        assert {key: finding.params[key] for key in ("frames", "codes", "unread")} == {
            "frames": 28,
            "codes": 3,
            "unread": 25,
        }
        assert sum("cannot be read" in line or "is no picture" in line for line in caplog.messages) == 5
        assert "only counted" in caplog.text
        assert [line for line in caplog.messages if not line.isprintable()] == []

    def test_a_large_picture_is_read_and_a_huge_one_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture):
        """A picture of 20 megapixels gives its code; one of 36 is named with the limit."""
        for name, height in (("large", 3648), ("too large", 6600)):
            picture = np.full((height, 5472), 255, np.uint8)
            picture[1000:1720, 2000:3280] = scene(name.upper())
            cv2.imwrite(str(tmp_path / f"{name}.jpg"), picture)

        with _running(f"folder:{tmp_path}", watchdog_s=20.0) as scanner:
            codes = _until(scanner, lambda: "source.waiting" in _codes(scanner), 60)
            (finding,) = scanner.findings()

        assert (codes, finding.params["unread"]) == ([b"LARGE"], 1)
        assert "too large.jpg" in caplog.text

    def test_a_film_of_one_code_is_one_presentation(self, tmp_path: Path):
        """Forty frames of a film in which one code is held up are one presentation."""
        writer = cv2.VideoWriter(str(tmp_path / "f.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 15, (640, 480))
        for _ in range(40):
            writer.write(cv2.cvtColor(scene("HELD", size=(640, 480)), cv2.COLOR_GRAY2BGR))
        writer.release()

        with _running(f"video:{tmp_path / 'f.avi'}") as scanner:
            codes = _until(scanner, lambda: "source.finished" in _codes(scanner), 10)
            (finding,) = scanner.findings()

        assert codes == [b"HELD"]
        assert (finding.severity, finding.params["frames"], finding.params["codes"]) == (Severity.STOP, 40, 1)

    def test_a_decoder_that_is_slow_to_start_loses_no_picture(self, tmp_path: Path):
        """Frames wait for the decoder, the line does not wait longer than it asked to."""
        for number in range(3):
            (tmp_path / f"{number}.jpg").write_bytes(jpeg_of(scene(f"EARLY {number}")))
        scanner = Scanner(replace(FAST, sources=(f"folder:{tmp_path}",)))
        scanner.start()
        child = scanner._decoder.child_pid
        assert child is not None
        os.kill(child, signal.SIGSTOP)
        began = time.monotonic()
        early = scanner.presentations(0.2)
        waited_s = time.monotonic() - began
        os.kill(child, signal.SIGCONT)

        codes = [_next_code(scanner) for _ in range(3)]

        scanner.close()
        assert (early, codes) == ([], [b"EARLY 0", b"EARLY 1", b"EARLY 2"])
        assert waited_s < 0.6

    def test_a_file_is_paced(self, tmp_path: Path):
        """Pictures come at the configured rate: the seven still to come take more than a quarter of a second."""
        for number in range(10):
            (tmp_path / f"{number}.jpg").write_bytes(jpeg_of(scene(f"PACED {number}", size=(320, 240), module_px=5)))
        with _running(f"folder:{tmp_path}", fps=20) as scanner:
            _next_code(scanner)
            began = time.monotonic()
            for _ in range(7):
                _next_code(scanner)
            took_s = time.monotonic() - began

        assert 0.25 < took_s < 2

    def test_a_stream_is_read_and_two_people_are_two(self):
        """What the camera shows is presented, each person once."""
        with MjpegServer(jpeg_of(scene("ANN"))) as camera, _running(f"url:{camera.url}") as scanner:
            first = _next_code(scanner)
            camera.show(jpeg_of(scene("BOB")))
            second = _next_code(scanner)
            camera.show(jpeg_of(scene("ANN")))
            third = [symbol for _ in range(10) for symbol in scanner.presentations(0.1)]

        assert (first, second, third) == (b"ANN", b"BOB", [])

    def test_two_sources_are_both_read(self):
        """Two cameras at one gate are both answered, each symbol with its source."""
        seen: dict[bytes, int] = {}
        with (
            MjpegServer(jpeg_of(scene("IN"))) as one,
            MjpegServer(jpeg_of(scene("OUT"))) as two,
            _running(f"url:{one.url}", f"url:{two.url}") as scanner,
        ):
            until = time.monotonic() + 5
            while len(seen) < 2 and time.monotonic() < until:
                seen |= {symbol.raw: symbol.source for symbol in scanner.presentations(0.1)}

        assert seen == {b"IN": 0, b"OUT": 1}

    def test_a_lost_stream_is_said_and_back_within_three_seconds(self):
        """A camera taken away is a finding until it is back, and it is back by itself."""
        with MjpegServer(jpeg_of(scene("BEFORE"))) as camera:
            port = camera.port
            with _running(f"url:{camera.url}") as scanner:
                assert _next_code(scanner) == b"BEFORE"
                camera.close()
                _until(scanner, lambda: _codes(scanner) == {"camera.lost": Severity.STOP}, 3)
                with MjpegServer(jpeg_of(scene("AFTER")), port=port):
                    began = time.monotonic()
                    code = _next_code(scanner)
                    took_s = time.monotonic() - began
                    codes = _codes(scanner)

        assert (code, codes) == (b"AFTER", {})
        assert took_s < 3

    def test_a_source_away_at_the_start_is_a_finding_and_opens_later(self, tmp_path: Path):
        """A camera plugged in after the gate was started is taken."""
        folder = tmp_path / "later"
        with _running(f"folder:{folder}") as scanner:
            _until(scanner, lambda: "source.missing" in _codes(scanner), 3)
            folder.mkdir()
            (folder / "a.jpg").write_bytes(jpeg_of(scene("LATER")))

            assert _next_code(scanner) == b"LATER"

    def test_after_a_hang_the_newest_frame_is_read(self):
        """A decoder that hangs costs one frame; the next one read is of now, not of the queue's past."""
        with MjpegServer(jpeg_of(scene()), fps=50) as camera, _running(f"url:{camera.url}") as scanner:
            _until(scanner, lambda: (scanner.frame_age_ms() or 1e9) < 1e9, 5)
            _until(scanner, lambda: scanner._decoder._is_ready, 5)
            assert scanner._decoder.child_pid is not None
            os.kill(scanner._decoder.child_pid, signal.SIGSTOP)
            began = time.monotonic()
            scanner.presentations(1.0)
            hung_s = time.monotonic() - began
            camera.show(jpeg_of(scene("NOW")))
            code = _next_code(scanner)
            codes = _codes(scanner)

        assert 0.9 < hung_s < 2.5
        assert code == b"NOW"
        assert codes == {"scanner.child_restarted": Severity.WARNING}

    def test_a_frozen_stream_is_said(self):
        """A camera that keeps the line and sends nothing is a finding."""
        with MjpegServer(jpeg_of(scene("X"))) as camera, _running(f"url:{camera.url}") as scanner:
            _next_code(scanner)
            camera.freeze()

            _until(scanner, lambda: _codes(scanner) == {"stream.stalled": Severity.STOP}, 5)

    def test_a_stream_of_junk_is_said_and_read_again_when_it_is_over(self):
        """Parts that are no pictures are a finding, not an exception."""
        with MjpegServer(b"<html>") as camera, _running(f"url:{camera.url}") as scanner:
            _until(scanner, lambda: "stream.unreadable" in _codes(scanner), 5)
            camera.show(jpeg_of(scene("GOOD")))

            assert _next_code(scanner) == b"GOOD"
            assert _codes(scanner) == {}

    def test_a_covered_camera_is_said(self, monkeypatch: pytest.MonkeyPatch):
        """A black picture that stays is a finding, and light ends it."""
        monkeypatch.setattr("edge.scanner.scanner.LOOK_NS", SECOND // 20)
        with (
            MjpegServer(jpeg_of(np.full((720, 1280), 6, np.uint8))) as camera,
            _running(f"url:{camera.url}") as scanner,
        ):
            _until(scanner, lambda: _codes(scanner) == {"camera.covered": Severity.WARNING}, 5)
            camera.show(jpeg_of(scene()))
            _until(scanner, lambda: _codes(scanner) == {}, 5)

    def test_a_preview_is_made_only_when_asked_and_not_when_stale(self, monkeypatch: pytest.MonkeyPatch):
        """The first question starts it, then there is a quarter-scale JPEG, and none when frames have stopped."""
        monkeypatch.setattr("edge.scanner.scanner.PREVIEW_STALE_NS", SECOND // 2)
        with MjpegServer(jpeg_of(scene("PREVIEW"))) as camera, _running(f"url:{camera.url}") as scanner:
            _next_code(scanner)
            first = scanner.preview()
            _until(scanner, lambda: scanner.preview() is not None, 5)
            jpeg = scanner.preview()
            time.sleep(0.6)
            stale = scanner.preview()

        assert (first, stale) == (None, None)
        assert jpeg is not None
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (180, 320, 3)

    def test_previews_are_made_five_times_a_second_at_most(self):
        """However often it is asked, the decoder makes five previews a second."""
        with MjpegServer(jpeg_of(scene("MANY")), fps=60) as camera, _running(f"url:{camera.url}") as scanner:
            _until(scanner, lambda: scanner.preview() is not None, 5)
            made, until = set(), time.monotonic() + 1.0
            while time.monotonic() < until:
                scanner.presentations(0.05)
                scanner.preview()
                made.add(scanner._preview[0])

        assert 3 <= len(made) <= 6

    def test_the_age_of_the_newest_frame_is_known(self):
        """Nobody has to take a frame for its age to be known."""
        with MjpegServer(jpeg_of(scene("AGE"))) as camera, _running(f"url:{camera.url}") as scanner:
            before = scanner.frame_age_ms()
            _next_code(scanner)
            time.sleep(0.2)
            age = scanner.frame_age_ms()

        assert before is None
        assert age is not None
        assert 0 <= age < 500

    def test_a_stranger_that_raises_is_a_finding(self, monkeypatch: pytest.MonkeyPatch):
        """A plug-in that raises what is not ours does not end its thread: it is said and tried again."""
        opened: list[int] = []

        class Broken:
            is_live = True
            is_finished = False

            def read(self) -> Frame | None:
                raise ZeroDivisionError

            def close(self) -> None:
                opened.append(1)

        class Point:
            @staticmethod
            def load() -> Callable[..., Broken]:
                return lambda *_: Broken()

        monkeypatch.setattr(base, "_openers", lambda: {"broken": Point})
        monkeypatch.setattr("edge.scanner.capture.RETRY_S", 0.02)
        slots = Slots(1)
        capture = Capture("broken:x", 0, FAST, slots)
        capture.start()
        until = time.monotonic() + 3
        while len(opened) < 3 and time.monotonic() < until:
            time.sleep(0.01)
        state = capture.state(time.monotonic_ns())
        capture.stop()
        capture.join(2)

        assert (state.cause, len(opened) >= 3) == ("failed", True)

    @staticmethod
    def _captured(script: list[object], monkeypatch: pytest.MonkeyPatch) -> tuple[list[bytes], CaptureState, int]:
        """Run a file source that gives, says or raises what a script says; return frames, state and times opened."""
        opened: list[int] = []

        class Scripted:
            is_live = False
            is_finished = False

            def read(self) -> Frame | None:
                step = script.pop(0) if script else None
                self.is_finished = not script
                if isinstance(step, Exception):
                    raise step
                return Frame(1, 0, encoded=step) if isinstance(step, bytes) else None

            def close(self) -> None:
                """Nothing to let go of."""

        class Point:
            @staticmethod
            def load() -> Callable[..., Scripted]:
                return lambda *_: opened.append(1) or Scripted()

        monkeypatch.setattr(base, "_openers", lambda: {"scripted": Point})
        monkeypatch.setattr("edge.scanner.capture.RETRY_S", 0.01)
        slots, frames = Slots(1), list[bytes]()
        capture = Capture("scripted:x", 0, FAST, slots)
        capture.start()
        until = time.monotonic() + 5
        while (frame := slots.take(0.02)) is not None or not capture.state(0).is_finished:
            assert time.monotonic() < until
            frames += [frame.encoded or b""] if frame is not None else []
        capture.stop()
        capture.join(2)
        return frames, capture.state(time.monotonic_ns()), len(opened)

    def test_a_file_source_that_fails_for_a_moment_goes_on_where_it_was(self, monkeypatch: pytest.MonkeyPatch):
        """It is asked again, not opened anew, for it alone knows what it has delivered."""
        lost = SourceError("The share is away.", "Wait.", cause="no_file")
        frames, state, opened = self._captured([b"a", lost, lost, b"b", None, b"c"], monkeypatch)

        assert (frames, opened, state.cause, state.frames) == ([b"a", b"b", b"c"], 1, "", 3)

    def test_a_picture_that_is_none_is_left_out_at_once(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ):
        """The next one is delivered, and how many there were is known."""
        bad = [SourceError(f"{number} is none.", "Remove it.", cause="not_a_picture") for number in range(9)]
        frames, state, _ = self._captured([b"a", *bad, b"b"], monkeypatch)

        assert (frames, state.left_out, state.cause) == ([b"a", b"b"], 9, "")
        assert len(caplog.messages) == 5

    def test_a_broken_plug_in_of_files_is_not_begun_again(self, monkeypatch: pytest.MonkeyPatch):
        """Its frames would be delivered twice."""
        frames, state, opened = self._captured([b"a", ZeroDivisionError(), b"a"], monkeypatch)

        assert (frames, opened, state.is_finished, state.cause) == ([b"a"], 1, True, "failed")

    def test_what_is_wrong_with_a_source_is_said_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ):
        """The path and what to do stand in the messages, and not again at every attempt."""
        monkeypatch.setattr("edge.scanner.capture.RETRY_S", 0.01)
        folder = tmp_path / "away"
        with _running(f"folder:{folder}") as scanner:
            _until(scanner, lambda: "source.missing" in _codes(scanner), 3)
            for _ in range(5):
                scanner.presentations(0.05)

        assert [str(folder) in line for line in caplog.messages] == [True]

    def test_an_unknown_source_is_refused_at_once(self):
        """A wrong `sources` in gate.toml is an error before anything starts."""
        with pytest.raises(ConfigError):
            Scanner(replace(FAST, sources=("usbcam:0",)))

    def test_a_closed_scanner_answers_nothing_and_closes_in_time(self):
        """Closing ends threads and processes within a few seconds, and asking afterwards is harmless."""
        with MjpegServer(jpeg_of(scene("CLOSE"))) as camera:
            scanner = Scanner(replace(FAST, sources=(f"url:{camera.url}",)))
            scanner.start()
            _next_code(scanner)
            began = time.monotonic()

            scanner.close()
            scanner.close()

        assert scanner.presentations(1.0) == []
        assert time.monotonic() - began < 3
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("capture-")]

    def test_a_scanner_that_was_never_started_closes(self):
        """Closing without a start does nothing wrong."""
        assert Scanner(replace(FAST, sources=("camera:0",))).close() is None


def test_importing_the_scanner_loads_no_decoder():
    """The part that only moves frames starts without OpenCV, numpy, zxing-cpp or pyzbar."""
    script = (
        "import sys, edge.scanner.scanner, edge.scanner.still, edge.scanner.sources.url; "
        "print([name for name in ('cv2', 'numpy', 'pyzbar', 'zxingcpp', 'multiprocessing') if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout

    assert loaded.strip() == "[]"
