"""RTSP through FFmpeg against a server that speaks it, and against some that do not."""

import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from edge.errors import SourceError
from edge.model.finding import Severity
from edge.model.settings import ScannerSettings
from edge.scanner.scanner import Scanner
from edge.scanner.sources._film import MESSAGE, Film, Said
from edge.scanner.sources._rtsp import RtspStream
from edge.scanner.sources.url import open_source
from edge.scanner.sources.video import open_source as open_film
from tests.simulators.mjpeg import AnsweringServer, Script, scene
from tests.simulators.rtsp import RtspServer
from tests.unit.test_scanner import _codes, _next_code, _until

SETTINGS = ScannerSettings()


def _cause_of_loss(server: RtspServer, change: str) -> tuple[str, float]:
    """Read a frame, change the server, and return why and after how long the stream is lost."""
    stream = open_source(server.url, 0, SETTINGS)
    first = stream.read()
    if change == "close":
        server.close()
    else:
        setattr(server, change, True)
    begun = time.monotonic()
    with pytest.raises(SourceError) as error:
        [stream.read() for _ in range(200)]
    stream.close()

    assert first is not None
    assert error.value.next_step
    return error.value.cause, time.monotonic() - begun


@pytest.mark.parametrize(("change", "cause"), [("is_frozen", "stalled"), ("is_cut", "stalled"), ("close", "lost")])
def test_a_stream_that_stops_is_lost_in_time(change: str, cause: str):
    """Silence, a picture broken off in the middle and a hang-up each end the stream within a few seconds."""
    with RtspServer(scene("FIRST")) as server:
        found, took_s = _cause_of_loss(server, change)

    assert found == cause
    assert took_s < 6


def test_a_lost_stream_is_said_and_read_again_by_itself():
    """A camera taken away is a finding until it is back."""
    with RtspServer(scene("BEFORE")) as camera:
        scanner = Scanner(ScannerSettings(sources=(f"url:{camera.url}",), fps=60, second_engine_every=0))
        scanner.start()
        try:
            before = _next_code(scanner, 8)
            camera.close()
            _until(scanner, lambda: _codes(scanner) == {"camera.lost": Severity.STOP}, 5)
            with RtspServer(scene("AFTER"), port=camera.port):
                after = _next_code(scanner, 8)
                left = _codes(scanner)
        finally:
            scanner.close()

    assert (before, after, left) == (b"BEFORE", b"AFTER", {})


def _film_children() -> set[int]:
    """Return the processes below this one that unpack a film."""
    lists = [path.read_text().split() for path in Path("/proc/self/task").glob("*/children")]
    below = {int(pid) for pids in lists for pid in pids}
    return {pid for pid in below if b"_film_child" in Path(f"/proc/{pid}/cmdline").read_bytes()}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_child_that_dies_or_stops_costs_frames_and_is_counted(how: signal.Signals):
    """The gate goes on without what unpacks the stream, says so meanwhile, and reads again within three seconds."""
    with RtspServer(scene("BEFORE")) as camera:
        scanner = Scanner(ScannerSettings(sources=(f"url:{camera.url}",), fps=60, second_engine_every=0))
        scanner.start()
        try:
            before = _next_code(scanner, 8)
            camera.show(scene("AFTER"))
            (child,) = _film_children()
            os.kill(child, how)
            _until(scanner, lambda: "camera.lost" in _codes(scanner), 2.5)
            after = _next_code(scanner, 8)
            left = {finding.code: finding.params for finding in scanner.findings()}
            again = _film_children()
        finally:
            scanner.close()

    assert (before, after) == (b"BEFORE", b"AFTER")
    assert left == {"scanner.child_restarted": {"count": 1}}
    assert len(again - {child}) == 1
    assert _film_children() == set()


def test_a_film_whose_child_is_lost_is_over(tmp_path: Path):
    """A file is not begun anew after some of its frames were read: it ends with the reason."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, (1280, 720), isColor=False)
    for _ in range(3):
        writer.write(scene("FILM"))
    writer.release()
    film = open_film(str(path), 0, SETTINGS)
    first = film.read()
    (child,) = _film_children()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(SourceError) as error:
        film.read()
    film.close()

    assert first is not None
    assert (error.value.cause, film.is_finished, film.read()) == ("child_lost", True, None)


def _wild(rng: random.Random) -> Callable[[bytes], bytes]:
    """Return what changes packets at random: bytes, sizes, offsets, the end cut off."""

    def mangle(packet: bytes) -> bytes:
        changed = bytearray(packet)
        for _ in range(rng.randrange(1, 5)):
            changed[rng.randrange(len(changed) if rng.random() < 0.5 else 24)] = rng.randrange(256)
        return bytes(changed[: rng.randrange(1, len(changed))]) if rng.random() < 0.2 else bytes(changed)

    return mangle


def _read_on(url: str, until: float) -> None:
    stream = open_source(url, 0, SETTINGS)
    try:
        while time.monotonic() < until:
            stream.read()
    finally:
        stream.close()


@pytest.mark.parametrize("seed", range(4))
def test_hostile_packets_raise_nothing_and_leave_the_next_stream_whole(seed: int):
    """Whatever stands in the packets, a read gives a frame or an error of the source; then all is as before."""
    with RtspServer(scene("GOOD")) as camera:
        camera.mangle = _wild(random.Random(seed))
        until = time.monotonic() + 3
        while time.monotonic() < until:
            with contextlib.suppress(SourceError):
                _read_on(camera.url, until)
        camera.mangle = bytes
        stream = open_source(camera.url, 0, SETTINGS)
        frame = stream.read()
        stream.close()

    assert frame is not None
    assert frame.pixels is not None
    assert frame.pixels.shape[:2] == (720, 1280)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"x",
        MESSAGE.pack(9, 0, 0, 0),
        MESSAGE.pack(Said.FRAME, 0, 1, 1),
        MESSAGE.pack(Said.FRAME, 65535, 65535, 3),
        MESSAGE.pack(Said.FRAME, 720, 1280, 3) + b"more",
    ],
)
def test_a_child_taken_over_is_not_believed(message: bytes):
    """What is no message, or a frame beyond the shared memory, ends the child and nothing else."""
    with RtspServer(scene("X")) as camera:
        stream = open_source(camera.url, 0, SETTINGS)
        assert isinstance(stream, RtspStream)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stream._film._link.close()
        stream._film._link = ours
        theirs.send(message)
        with theirs, pytest.raises(SourceError) as error:
            stream.read()
        stream.close()

    assert error.value.cause == "child_lost"


def test_the_address_is_not_among_the_arguments_of_the_child():
    """A path or query may be a secret, and arguments are read by every process."""
    with RtspServer(scene("X")) as camera:
        stream = open_source(camera.url + "?token=planted", 0, SETTINGS)
        assert isinstance(stream, RtspStream)
        seen = Path(f"/proc/{stream.child_pid}/cmdline").read_bytes()
        stream.close()

    assert b"planted" not in seen
    assert b"127.0.0.1" not in seen


def test_a_child_outlives_its_parent_by_nothing():
    """When the parent's end of the socket closes, the child ends by itself."""
    film = Film("none", 0)
    film._link.close()

    assert film._child.wait(15) == 0
    film.close()


def _page(link: socket.socket) -> None:
    link.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Log in to the WLAN</html>")


def _noise(link: socket.socket) -> None:
    link.sendall(random.Random(3).randbytes(5000))


def _silence(link: socket.socket) -> None:
    link.recv(1)


def _endless(link: socket.socket) -> None:
    link.sendall(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n")
    while True:
        link.sendall(b"X-Header: endless\r\n" * 100)


@pytest.mark.parametrize("script", [_page, _noise, _silence, _endless])
def test_what_does_not_speak_rtsp_is_an_error_in_time(script: Script):
    """Whatever answers instead of a camera, opening says so when its time is over."""
    begun = time.monotonic()
    with AnsweringServer(script) as server, pytest.raises(SourceError) as error:
        open_source(f"rtsp://127.0.0.1:{server.port}/stream", 0, SETTINGS)

    assert error.value.cause == "unreachable"
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize(
    ("address", "cause"),
    [
        ("rtsp://user:hunter2@127.0.0.1:9/s", "denied"),
        ("rtsp:///stream", "missing"),
        ("rtsp://[broken/s", "missing"),
        ("rtsp://cam:99999/s", "missing"),
        ("rtsp://cam/a b", "missing"),
        ("rtsp://127.0.0.1:9/s", "unreachable"),
    ],
)
def test_a_wrong_address_is_refused_without_repeating_it(address: str, cause: str):
    """No address, or one with a password, is refused, and the refusal does not repeat it."""
    with pytest.raises(SourceError) as error:
        open_source(address, 0, SETTINGS)

    assert error.value.cause == cause
    assert error.value.next_step
    assert "hunter2" not in str(error.value)
