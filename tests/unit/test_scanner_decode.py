"""Decoding in a watched child: what is read, and that no picture harms anybody but its own frame."""

import gc
import importlib
import os
import random
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import segno
import zxingcpp

from edge.errors import LibraryMissing, SourceError
from edge.scanner.decode import Decoder, Limits
from edge.scanner.engines import FirstEngine, SecondEngine
from edge.scanner.handover import MAX_REPLY, Kind, Look, Notice, Reply, Request, Sighting, Status, Want
from edge.scanner.ladder import Ladder
from edge.scanner.sources.base import Frame
from edge.scanner.still import StillReader, read_image
from tests.simulators.mjpeg import jpeg_of, scene

CORPUS = Path(os.environ.get("EDGE_CORPUS_DIR", Path(__file__).parents[3] / "shared" / "corpus"))
SHM = Path("/dev/shm")


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    """A running decoder without the second engine."""
    running = Decoder(Limits(watchdog_s=5.0), second_engine_every=0)
    running.start()
    yield running
    running.close()


def _pixels(pixels: np.ndarray[Any, Any]) -> Frame:
    return Frame(7, 2, pixels=pixels)


def _jpeg(data: bytes) -> Frame:
    return Frame(7, 2, encoded=data)


class TestWhatIsRead:
    """Symbols and what is known about them."""

    @pytest.mark.parametrize("raw", [b"HP1:HELLO", bytes(range(256)), "京A·12345 健康".encode(), b"\x00", b"7" * 7089])
    def test_the_bytes_of_a_code_are_exact(self, decoder: Decoder, raw: bytes):
        """Text, binary, Chinese and the longest code there is come out byte for byte."""
        code = segno.make(raw, micro=False, error="l", encoding=None, boost_error=False)
        rows = np.array([list(row) for row in code.matrix_iter(border=4)], np.uint8)
        picture = np.kron(255 * (1 - rows), np.ones((4, 4), np.uint8)).astype(np.uint8)

        reading = decoder.read(_pixels(picture))

        assert [symbol.raw for symbol in reading.symbols] == [raw]

    def test_a_symbol_says_where_and_when_it_was_seen(self, decoder: Decoder):
        """Centre, frame size, module size, engine, source and time are known of a symbol."""
        symbol = decoder.read(_pixels(scene("WHERE", module_px=6))).symbols[0]

        assert symbol.centre == pytest.approx((640, 360), abs=8)
        assert symbol.module_px == pytest.approx(6, abs=0.4)
        assert (symbol.frame_size, symbol.engine, symbol.source, symbol.taken_ns) == ((1280, 720), "zxing", 2, 7)

    def test_the_code_nearest_the_centre_comes_first(self, decoder: Decoder):
        """Of three codes in a row the middle one is first."""
        symbols = decoder.read(_pixels(scene("LEFT", "MIDDLE", "RIGHT"))).symbols

        assert symbols[0].raw == b"MIDDLE"
        assert {symbol.raw for symbol in symbols} == {b"LEFT", b"MIDDLE", b"RIGHT"}

    def test_a_jpeg_is_decoded_in_the_child(self, decoder: Decoder):
        """A JPEG's bytes give the same code as its pixels."""
        reading = decoder.read(_jpeg(jpeg_of(scene("JPEG"))))

        assert (reading.status, reading.symbols[0].raw, reading.size) == (Status.READ, b"JPEG", (1280, 720))

    @pytest.mark.parametrize("lay", [
        lambda grey: cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR),
        lambda grey: cv2.cvtColor(grey, cv2.COLOR_GRAY2BGRA),
        lambda grey: grey[:, :, None],
        lambda grey: np.dstack([grey, np.full_like(grey, 128)]),
        lambda grey: grey.astype(np.uint16) << 8,
        np.asfortranarray,
        lambda grey: np.kron(grey, np.ones((2, 2), np.uint8))[::2, ::2],
        lambda grey: grey[::-1],
    ])  # fmt: skip
    def test_every_layout_of_pixels_is_read(self, decoder: Decoder, lay: Callable[[Any], Any]):
        """Colour, alpha, brightness and colour, 16 bit, any order in memory, mirrored: the code is the same."""
        assert [symbol.raw for symbol in decoder.read(_pixels(lay(scene("LAYOUT")))).symbols] == [b"LAYOUT"]

    def test_a_barcode_of_another_kind_is_not_read(self, decoder: Decoder):
        """Only QR codes are codes here: a Data Matrix beside the gate is not presented."""
        picture = zxingcpp.create_barcode("OTHER", zxingcpp.BarcodeFormat.DataMatrix).to_image(scale=8)
        assert decoder.read(_pixels(np.pad(np.array(picture), 80, constant_values=255))).symbols == ()

    def test_a_look_measures_brightness(self, decoder: Decoder):
        """Mean and spread of the brightness are known where they were asked for."""
        dark = decoder.read(_pixels(np.full((720, 1280), 5, np.uint8)), Want.LOOK)
        unasked = decoder.read(_pixels(np.full((720, 1280), 5, np.uint8)))

        assert dark.look is not None
        assert (dark.look.mean, dark.look.spread) == (5.0, 0.0)
        assert unasked.look is None

    @pytest.mark.parametrize(
        ("size", "small"), [((1280, 720), (320, 180)), ((640, 480), (320, 240)), ((320, 240), (320, 240))]
    )
    @pytest.mark.parametrize("wrap", [_pixels, lambda grey: _jpeg(jpeg_of(grey))])
    def test_a_preview_is_an_exact_fraction(
        self, decoder: Decoder, size: tuple[int, int], small: tuple[int, int], wrap: Callable[[Any], Frame]
    ):
        """A preview is the frame at an exact half or quarter, and the code is read all the same."""
        reading = decoder.read(wrap(scene("LOOK", size=size, module_px=5)), Want.PREVIEW)

        picture = cv2.imdecode(np.frombuffer(reading.preview, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        assert (picture.shape[1], picture.shape[0]) == small
        assert [symbol.raw for symbol in reading.symbols] == [b"LOOK"]


JUNK: dict[str, Frame] = {
    "no bytes": _jpeg(b""),
    "one byte": _jpeg(b"\xff"),
    "a JPEG's first bytes": _jpeg(b"\xff\xd8\xff"),
    "HTML": _jpeg(b"<html>no picture</html>"),
    "random bytes": _jpeg(random.Random(1).randbytes(100_000)),
    "a JPEG's head": _jpeg(jpeg_of(scene("CUT"))[:600]),
    "no pixels": _pixels(np.zeros((0, 0), np.uint8)),
    "no width": _pixels(np.zeros((720, 0), np.uint8)),
    "no dimension": _pixels(np.array(3, np.uint8)),
    "one dimension": _pixels(np.zeros(9, np.uint8)),
    "four dimensions": _pixels(np.zeros((2, 2, 2, 2), np.uint8)),
    "five channels": _pixels(np.zeros((9, 9, 5), np.uint8)),
    "no channel": _pixels(np.zeros((9, 9, 0), np.uint8)),
    "numbers with a point": _pixels(np.zeros((9, 9), np.float32)),
    "truths": _pixels(np.zeros((9, 9), np.bool_)),
    "objects": _pixels(np.array([[None]], object)),
    "one pixel": _pixels(np.zeros((1, 1), np.uint8)),
    "one line": _pixels(np.zeros((1, 100_000), np.uint8)),
    "one pixel of a JPEG": _jpeg(jpeg_of(np.zeros((1, 1), np.uint8))),
    "a JPEG of half a frame": _jpeg(jpeg_of(scene("CUT"))[:20_000]),
    "more bytes than the slot": _jpeg(bytes((64 << 20) + 1)),
    "more pixels than the slot": _pixels(np.broadcast_to(np.zeros(1, np.uint8), (9000, 8000))),
}


@pytest.mark.parametrize("frame", JUNK.values(), ids=JUNK.keys())
@pytest.mark.parametrize("want", [Want.NOTHING, Want.LOOK | Want.PREVIEW])
def test_a_junk_frame_has_no_symbol_and_costs_no_child(decoder: Decoder, frame: Frame, want: Want):
    """What is no picture gives no symbol, raises nothing, and the child lives to read the next."""
    before = decoder.child_pid

    reading = decoder.read(frame, want)

    assert reading.symbols == ()
    assert reading.status in {Status.READ, Status.UNREADABLE, Status.TOO_BIG}
    assert [symbol.raw for symbol in decoder.read(_pixels(scene("NEXT"))).symbols] == [b"NEXT"]
    assert decoder.child_pid == before


def test_a_picture_that_claims_gigabytes_is_refused_before_it_is_unpacked(decoder: Decoder):
    """A few bytes that unpack to 65500 x 65500 pixels take no memory."""
    jpeg = bytearray(jpeg_of(np.zeros((16, 16), np.uint8)))
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 9] = (65500).to_bytes(2, "big") * 2

    assert decoder.read(_jpeg(bytes(jpeg))).status is Status.UNREADABLE


@pytest.mark.parametrize("colour", [False, True])
def test_a_frame_of_twenty_megapixels_is_read_and_its_memory_given_back(decoder: Decoder, *, colour: bool):
    """A huge frame is read, and what it took is not kept."""
    huge = scene("HUGE", size=(5472, 3648), module_px=20)
    reading = decoder.read(_pixels(cv2.cvtColor(huge, cv2.COLOR_GRAY2BGR) if colour else huge))

    usage = Path(f"/proc/{decoder.child_pid}/smaps_rollup").read_text()
    kept_kb = {line.split()[0]: int(line.split()[1]) for line in usage.splitlines()[1:]}

    assert [symbol.raw for symbol in reading.symbols] == [b"HUGE"]
    assert kept_kb["Anonymous:"] < 60_000
    assert os.fstat(decoder._slot_fd).st_blocks * 512 <= 8 << 20


def test_mutated_pictures_never_raise(decoder: Decoder):
    """JPEG, PNG, WebP and TIFF with bytes changed are read or refused, and the child survives nearly all of them."""
    chance = random.Random(2)
    small = scene("MUTATED", size=(320, 240), module_px=4)
    originals = [cv2.imencode(kind, small)[1].tobytes() for kind in (".jpg", ".png", ".webp", ".tiff")]
    before = decoder.health.restarts

    for _ in range(400):
        data = bytearray(chance.choice(originals))
        for _ in range(chance.randrange(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        assert decoder.read(_jpeg(bytes(data)), Want.PREVIEW).status in set(Status)

    assert decoder.health.restarts - before <= 2


class TestWatch:
    """The child is killed, stopped, orphaned; the gate goes on."""

    @pytest.fixture
    def own(self) -> Iterator[Decoder]:
        """A decoder with a short patience."""
        running = Decoder(Limits(watchdog_s=0.6), second_engine_every=0)
        running.start()
        while running.read(_pixels(scene("READY"))).status is not Status.READ:
            pass
        yield running
        running.close()

    @staticmethod
    def _next(own: Decoder) -> list[bytes]:
        """The codes of the next frame that is read."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            reading = own.read(_pixels(scene("AFTER")))
            if reading.status is Status.READ:
                return [symbol.raw for symbol in reading.symbols]
        return []

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
    def test_a_child_lost_costs_one_frame(self, own: Decoder, how: signal.Signals):
        """A child killed, stopped or crashed costs the frame it had, is counted, and another reads the next."""
        lost = own.child_pid
        assert lost is not None
        os.kill(lost, how)

        reading = own.read(_pixels(scene("BEFORE")))

        assert (reading.status, own.health.restarts) == (Status.LOST, 1)
        assert self._next(own) == [b"AFTER"]
        assert own.child_pid != lost
        assert not Path(f"/proc/{lost}").exists()

    def test_a_child_killed_under_load_over_and_over_never_raises(self, own: Decoder):
        """A child killed every tenth of a second while frames come costs frames, never the caller."""
        stop = threading.Event()

        def kill() -> None:
            while not stop.wait(0.1):
                pid = own.child_pid
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            own.read(_pixels(scene("LOAD")))
        stop.set()
        killer.join()

        assert own.health.restarts + own.health.is_absent >= 1
        assert self._next(own) == [b"AFTER"]

    def test_a_child_that_answers_nonsense_is_replaced(self, own: Decoder):
        """An answer of another form, as of a child taken over, is not believed: the child is replaced."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        assert own._link is not None
        own._link.close()
        own._link = ours
        theirs.send(b"\xff" * 60)

        assert own.read(_pixels(scene("NONSENSE"))).status is Status.LOST
        theirs.close()
        assert self._next(own) == [b"AFTER"]

    def test_a_child_that_does_not_start_is_said_and_tried_again(self, own: Decoder, monkeypatch: pytest.MonkeyPatch):
        """Without an interpreter that starts, frames are empty; with it again, they are read."""
        with monkeypatch.context() as without:
            without.setattr(sys, "executable", "/bin/false")
            assert own.child_pid is not None
            os.kill(own.child_pid, signal.SIGKILL)
            readings = [own.read(_pixels(scene("ABSENT"))).status for _ in range(3)]
            absent = own.health.is_absent

        time.sleep(1.1)

        assert (readings, absent) == ([Status.LOST, Status.ABSENT, Status.ABSENT], True)
        assert self._next(own) == [b"AFTER"]
        assert not own.health.is_absent

    def test_the_child_ends_with_its_parent(self, tmp_path: Path):
        """A gate that is killed leaves no decoder behind."""
        script = textwrap.dedent("""
            import time
            from edge.scanner.decode import Decoder, Limits
            decoder = Decoder(Limits(2.0), second_engine_every=0)
            decoder.start()
            print(decoder.child_pid, flush=True)
            time.sleep(60)
        """)
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            parent.kill()
        until = time.monotonic() + 5
        while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
            time.sleep(0.05)

        assert not Path(f"/proc/{pid}").exists()

    def test_nothing_is_left_after_close(self):
        """A closed decoder leaves no process, file, name in shared memory or warning."""
        before = (sorted(SHM.glob("*edge*")), len(list(Path("/proc/self/fd").iterdir())))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            own = Decoder(Limits(watchdog_s=2.0), second_engine_every=0)
            own.start()
            own.read(_pixels(scene("CLOSE")))
            pid = own.child_pid
            own.close()
            own.close()
            gc.collect()

        assert (sorted(SHM.glob("*edge*")), len(list(Path("/proc/self/fd").iterdir()))) == before
        assert not Path(f"/proc/{pid}").exists()
        assert own.read(_pixels(scene("CLOSED"))).status is Status.ABSENT

    def test_the_child_cannot_shorten_the_shared_memory(self, own: Decoder):
        """A child taken over by a picture cannot pull the memory from under the gate."""
        with pytest.raises(OSError):
            os.ftruncate(own._slot_fd, 0)

    def test_a_missing_library_is_said_before_anything_starts(self, monkeypatch: pytest.MonkeyPatch):
        """Without zxing-cpp the decoder names the package and the command."""
        monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
        own = Decoder(Limits(watchdog_s=2.0), second_engine_every=0)

        with pytest.raises(LibraryMissing, match="pip install zxing-cpp"):
            own.start()
        own.close()


class FakeZbar:
    """Stands in for pyzbar and answers what it is told."""

    ZBarSymbol = SimpleNamespace(QRCODE=64)

    def __init__(self, *answers: bytes | Exception) -> None:
        self._answers = answers
        self.asked = 0

    def decode(self, _picture: object, symbols: object) -> list[SimpleNamespace]:
        self.asked += 1
        for answer in self._answers:
            if isinstance(answer, Exception):
                raise answer
        box = SimpleNamespace(left=10, top=20, width=40, height=60)
        return [SimpleNamespace(data=answer, rect=box) for answer in self._answers]


class TestPolarity:
    """Codes printed light on dark, as phones in dark mode show them (ISO/IEC 18004, reflectance reversal)."""

    DARK = 255 - scene("DARK", module_px=6)

    @staticmethod
    def _beside(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.hstack([left, right])[:, 320:-320]

    @pytest.mark.parametrize("empty", range(3))
    def test_a_light_code_alone_is_read_at_the_latest_in_its_second_frame(self, decoder: Decoder, empty: int):
        """Whichever turn it is when the code comes, two frames are enough."""
        for _ in range(empty):
            decoder.read(_pixels(np.full((720, 1280), 128, np.uint8)))

        seen = [symbol.raw for _ in range(2) for symbol in decoder.read(_pixels(self.DARK)).symbols]

        assert b"DARK" in seen

    @pytest.mark.parametrize("held", [b"NEW", b"HELD"])
    def test_a_light_code_beside_a_dark_one_is_met_one_frame_later(self, held: bytes):
        """A code seen for the first time is answered after one look, and never hides the code beside it for long."""
        both = self._beside(scene("HELD", module_px=6), self.DARK)
        engine = FirstEngine()
        if held == b"HELD":
            engine.read(scene("HELD", module_px=6), is_still=False)

        seen = [{symbol.raw for symbol in engine.read(both, is_still=False)} for _ in range(5)]

        assert seen[0] == ({b"HELD"} if held == b"NEW" else {b"HELD", b"DARK"})
        assert [one | other for one, other in pairwise(seen)] == [{b"HELD", b"DARK"}] * 4

    def test_a_still_is_read_in_both_polarities_at_once(self):
        """A picture has no next frame."""
        both = self._beside(scene("STILL", module_px=6), self.DARK)

        assert {symbol.raw for symbol in FirstEngine().read(both, is_still=True)} == {b"STILL", b"DARK"}


class TestSecondEngine:
    """pyzbar, believed as far as it deserves."""

    GREY = np.zeros((8, 8), np.uint8)

    @staticmethod
    def _second(*answers: bytes | Exception) -> SecondEngine:
        engine = SecondEngine()
        engine._pyzbar = FakeZbar(*answers)
        return engine

    def test_plain_text_is_believed(self):
        """ASCII is taken, with its centre."""
        engine = self._second(b"HP1:OK")

        assert engine.read(self.GREY) == [Sighting(b"HP1:OK", 30.0, 50.0, 0.0, "pyzbar")]
        assert engine.notice is Notice.NOTHING

    @pytest.mark.parametrize("mangled", [b"", b"\xe4\xba\xac", b"A\xff"])
    def test_what_it_may_have_mangled_is_not(self, mangled: bytes):
        """Binary, Chinese and empty answers are dropped: their bytes are not those of the code."""
        assert self._second(mangled, b"GOOD").read(self.GREY) == self._second(b"GOOD").read(self.GREY)

    @pytest.mark.parametrize("error", [ValueError("structured append"), RuntimeError(), OSError()])
    def test_its_errors_are_counted_and_stay_inside(self, error: Exception):
        """Whatever it raises is a notice."""
        engine = self._second(error)

        assert (engine.read(self.GREY), engine.notice) == ([], Notice.SECOND_FAILED)

    def test_a_missing_library_is_a_notice(self, monkeypatch: pytest.MonkeyPatch):
        """Without libzbar0 there is a notice each time it was wanted, and no error."""

        def missing(name: str) -> None:
            raise ImportError("Unable to find zbar shared library")

        monkeypatch.setattr(importlib, "import_module", missing)
        ladder = Ladder(retry_s=0, second_every=1)
        readings = [(ladder.read_still(scene("")), ladder.take_notice()) for _ in range(2)]

        assert readings == [([], Notice.SECOND_MISSING)] * 2

    def test_the_real_one_reads_a_picture(self):
        """pyzbar, as installed, reads a clean code."""
        engine = SecondEngine()
        sightings = engine.read(scene("ZBAR"))

        assert ([seen.raw for seen in sightings], engine.notice) == ([b"ZBAR"], Notice.NOTHING)
        assert (sightings[0].x, sightings[0].y) == pytest.approx((640, 360), abs=8)


class TestHandover:
    """The messages between parent and child."""

    REPLY = Reply(
        9, Status.READ, Notice.SECOND_FAILED, 1280, 720, Look(99.5, 12.25, 200, 0.5),
        (Sighting(b"one", 1.5, 2.5, 3.5, "zxing"), Sighting(bytes(7089), 4, 5, 0, "pyzbar")), b"\xff\xd8jpeg",
    )  # fmt: skip

    def test_a_reply_comes_back_as_it_went(self):
        """Packing and unpacking a reply or a request changes nothing."""
        request = Request(7, Kind.PIXELS, Want.LOOK | Want.STILL, 255, 2, 3, 1280, 720, 5_529_600)

        assert Reply.unpack(self.REPLY.pack()) == self.REPLY
        assert Request.unpack(request.pack()) == request

    def test_every_shortened_or_changed_reply_is_read_or_refused(self):
        """No cut and no change of a byte of a reply's head raises anything but ValueError."""
        reply = Reply(9, Status.READ, sightings=(Sighting(b"one", 1.5, 2.5, 3.5, "zxing"),), preview=b"jpeg").pack()
        cut = [reply[:size] for size in range(len(reply))]
        changed = [reply[:at] + bytes([value]) + reply[at + 1 :] for at in range(len(reply)) for value in range(256)]

        for message in cut:
            with pytest.raises(ValueError):
                Reply.unpack(message)
        for message in changed:
            try:
                Reply.unpack(message)
            except ValueError:
                continue

    def test_a_crowd_of_symbols_is_cut_to_what_fits(self):
        """More than sixty-four symbols, the largest there are, or a preview of a megabyte, still make one message."""
        crowd = Reply(1, Status.READ, sightings=tuple(Sighting(bytes(70), 0, 0, 0, "zxing") for _ in range(99)))
        large = Reply(1, Status.READ, sightings=tuple(Sighting(bytes(7000), 0, 0, 0, "zxing") for _ in range(99)))
        big = Reply(1, Status.READ, preview=bytes(1 << 20))

        assert len(Reply.unpack(crowd.pack()).sightings) == 64
        assert len(Reply.unpack(large.pack()).sightings) == MAX_REPLY // 7016
        assert Reply.unpack(big.pack()).preview == b""


@pytest.fixture(scope="module")
def reader() -> Iterator[StillReader]:
    """An open reader of pictures."""
    with StillReader() as opened:
        yield opened


class TestStill:
    """One picture for a person at a terminal."""

    @pytest.mark.parametrize("kind", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"])
    def test_pictures_of_every_usual_kind_are_read(self, reader: StillReader, kind: str):
        """JPEG, PNG, WebP, BMP, TIFF and GIF are read."""
        data = cv2.imencode(kind, cv2.cvtColor(scene("STILL"), cv2.COLOR_GRAY2BGR))[1].tobytes()

        assert [symbol.raw for symbol in reader.read(data)] == [b"STILL"]

    def test_sixteen_bits_and_a_transparent_ground_are_read(self, reader: StillReader):
        """A 16-bit PNG, and black modules on transparent black, are read."""
        deep = cv2.imencode(".png", scene("DEEP").astype(np.uint16) << 8)[1].tobytes()
        grey = scene("CLEAR", module_px=8)
        clear = np.zeros((*grey.shape, 4), np.uint8)
        clear[:, :, 3] = np.where(grey < 60, 255, 0)

        assert [symbol.raw for symbol in reader.read(deep)] == [b"DEEP"]
        assert [symbol.raw for symbol in reader.read(cv2.imencode(".png", clear)[1].tobytes())] == [b"CLEAR"]

    def test_a_picture_without_a_code_is_empty(self, reader: StillReader):
        """No code is an empty answer, not an error."""
        assert reader.read(jpeg_of(scene())) == []

    @pytest.mark.parametrize("data", [b"", b"HP1:TEXT", b"\x89PNG\r\n\x1a\n", bytes(100), b"%PDF-1.7"])
    def test_what_is_no_picture_is_an_error_with_a_next_step(self, reader: StillReader, data: bytes):
        """Text, half a picture or nothing is refused in one sentence."""
        with pytest.raises(SourceError) as error:
            reader.read(data)

        assert (error.value.cause, bool(error.value.next_step)) == ("not_a_picture", True)

    def test_a_reader_of_one_picture_cleans_up(self):
        """The function for one picture reads it and leaves no process."""
        assert [symbol.raw for symbol in read_image(jpeg_of(scene("ONCE")))] == [b"ONCE"]


@pytest.mark.skipif(not (CORPUS / "negatives").exists(), reason=f"no corpus at {CORPUS} (EDGE_CORPUS_DIR)")
def test_nothing_is_read_where_there_is_no_qr_code():
    """Of photographs without a QR code, no engine reads one."""
    pictures = sorted(path for path in (CORPUS / "negatives").iterdir() if path.suffix in {".jpg", ".png"})[::4]
    with StillReader() as reader:
        read = [path.name for path in pictures if reader.read(path.read_bytes())]

    assert read == []
    assert len(pictures) > 10


@pytest.mark.skipif(not (CORPUS / "dcc-png").exists(), reason=f"no corpus at {CORPUS} (EDGE_CORPUS_DIR)")
def test_certificates_as_issued_are_read():
    """Of real certificates' renderings, nearly all are read, byte for byte."""
    pictures = sorted((CORPUS / "dcc-png").glob("*.png"))[::8]
    with StillReader() as reader:
        good = [
            {symbol.raw for symbol in reader.read(path.read_bytes())} == {Path(f"{path}.txt").read_bytes()}
            for path in pictures
        ]

    assert len(good) > 10
    assert sum(good) / len(good) >= 0.9
