"""RTSP through FFmpeg against a server that speaks it, and against some that do not."""

import random
import socket
import time

import pytest

from edge.errors import SourceError
from edge.model.finding import Severity
from edge.model.settings import ScannerSettings
from edge.scanner.scanner import Scanner
from edge.scanner.sources.url import open_source
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
