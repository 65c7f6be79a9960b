"""MJPEG over HTTP: what cameras really send is read, and no answer takes long, much or the thread."""

import random
import socket
import time

import pytest

from edge.errors import SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources import url
from edge.scanner.sources._multipart import MAX_PART, Parts, boundary_of
from edge.scanner.sources.url import Stream, open_source
from tests.simulators.mjpeg import BOUNDARY, AnsweringServer, MjpegServer, Script, part, stream_head

SETTINGS = ScannerSettings()
PICTURE = b"\xff\xd8" + bytes(range(200)) + b"\xff\xd9"


def _fed(data: bytes, step: int = 1 << 20, boundary: bytes = BOUNDARY.encode()) -> list[bytes]:
    parts = Parts(boundary)
    return [one for at in range(0, len(data), step) for one in parts.feed(data[at : at + step])]


class TestParts:
    """The cutter alone."""

    @pytest.mark.parametrize("step", [1, 2, 7, 64, 100_000])
    def test_parts_come_out_whole_however_they_arrive(self, step: int):
        """The cut of the network does not matter: byte by byte or all at once."""
        stream = part(PICTURE) + part(PICTURE[:50] + b"\xff\xd9") + part(PICTURE)

        assert _fed(stream, step) == [PICTURE, PICTURE[:50] + b"\xff\xd9", PICTURE]

    def test_a_part_with_its_length_does_not_wait_for_the_next(self):
        """A picture is there as soon as its last byte is."""
        assert _fed(part(PICTURE)) == [PICTURE]

    @pytest.mark.parametrize("step", [1, 33, 100_000])
    def test_parts_without_a_length_end_at_the_boundary(self, step: int):
        """Without a length a picture ends where the next one begins."""
        stream = b"".join(part(PICTURE, length=None) for _ in range(3))

        assert _fed(stream, step) == [PICTURE, PICTURE]

    @pytest.mark.parametrize("wrong", [10, 150, 203, 205, 230, 500])
    def test_a_wrong_length_costs_a_picture_and_not_the_stream(self, wrong: int):
        """After a length that is not true, pictures are cut at the boundary."""
        stream = b"".join(part(PICTURE, length=wrong) for _ in range(12))

        assert [one[: len(PICTURE)] for one in _fed(stream)[-5:]] == [PICTURE] * 5

    def test_a_camera_that_announces_its_dashes_is_read(self):
        """A boundary announced with its dashes, and sent with or without more of them, is found."""
        boundary = boundary_of('multipart/x-mixed-replace; boundary="--myboundary"')

        plain = part(PICTURE, boundary="myboundary") * 2
        dashed = part(PICTURE, boundary="--myboundary", length=None) * 2

        assert _fed(plain, boundary=boundary) == [PICTURE, PICTURE]
        assert _fed(dashed, boundary=boundary) == [PICTURE]

    def test_bare_line_feeds_are_read(self):
        """Headers that end in line feeds alone are headers."""
        stream = b"--" + BOUNDARY.encode() + b"\nContent-Length: %d\n\n" % len(PICTURE) + PICTURE + b"\n"

        assert _fed(stream * 2) == [PICTURE, PICTURE]

    def test_the_closing_boundary_ends_the_stream(self):
        """After the closing boundary nothing is read."""
        parts = Parts(BOUNDARY.encode())

        got = parts.feed(part(PICTURE) + f"--{BOUNDARY}--\r\n".encode() + part(PICTURE))

        assert (got, parts.is_ended) == ([PICTURE], True)

    def test_an_empty_part_is_no_picture(self):
        """A part of no bytes is passed over."""
        assert _fed(part(b"") + part(PICTURE)) == [PICTURE]

    @pytest.mark.parametrize(
        "endless",
        [
            b"x" * 65536,
            f"--{BOUNDARY}\r\n".encode() + b"A: b\r\n" * 10_000,
            f"--{BOUNDARY}\r\n\r\n".encode() + b"x" * 65536,
            part(PICTURE, length=MAX_PART + 1),
            part(PICTURE, length=10**30),
        ],
    )
    def test_what_never_ends_is_refused_within_bounds(self, endless: bytes):
        """Junk, headers or a picture without an end are refused at some 8 MiB, and a length beyond it at once."""
        parts = Parts(BOUNDARY.encode())
        most = endless + b"x" * (MAX_PART + 65536)

        with pytest.raises(SourceError) as error:
            [parts.feed(most[at : at + 65536]) for at in range(0, len(most), 65536)]

        assert error.value.cause == "not_a_stream"

    def test_random_bytes_raise_nothing_but_ours(self):
        """Whatever is fed, parts or our own error come out."""
        chance = random.Random(11)
        pieces = [
            f"--{BOUNDARY}".encode(),
            b"--",
            b"\r\n\r\n",
            b"\n",
            b"Content-Length: ",
            b"9",
            b"-1",
            b"\xff\xd8",
            b":",
        ]

        for _ in range(3000):
            stream = b"".join(chance.choice([*pieces, chance.randbytes(3)]) for _ in range(chance.randrange(30)))

            assert all(_fed(stream, chance.randrange(1, 9)))

    @pytest.mark.parametrize(
        "content_type",
        ["", "text/html", "image/jpeg", "multipart/x-mixed-replace", "multipart/mixed; boundary=", "\x00" * 99,
         "multipart/x-mixed-replace; boundary=" + "x" * 71, "multipart/x-mixed-replace; boundary=--",
         "multipart/x-mixed-replace; boundary=ü"],
    )  # fmt: skip
    def test_what_is_no_stream_is_refused_with_a_next_step(self, content_type: str):
        """An answer of another type is refused, saying what to give instead."""
        with pytest.raises(SourceError) as error:
            boundary_of(content_type)

        assert error.value.next_step
        assert "\x00" not in str(error.value)


def _send(*chunks: bytes, then_s: float = 0.0, pause_s: float = 0.0) -> Script:
    def script(link: socket.socket) -> None:
        for chunk in chunks:
            link.sendall(chunk)
            time.sleep(pause_s)
        time.sleep(then_s)

    return script


def _drip(data: bytes) -> Script:
    def script(link: socket.socket) -> None:
        for byte in data:
            link.sendall(bytes([byte]))
            time.sleep(0.05)

    return script


def _flood(chunk: bytes) -> Script:
    def script(link: socket.socket) -> None:
        while True:
            link.sendall(chunk)

    return script


OK = b"HTTP/1.0 200 OK\r\n"
ANSWERS: list[tuple[str, Script, str]] = [
    ("a page of HTML", _send(OK + b"Content-Type: text/html\r\n\r\n<html>Log in to the WLAN</html>"), "not_a_stream"),
    ("one picture", _send(OK + b"Content-Type: image/jpeg\r\n\r\n" + PICTURE), "not_a_stream"),
    ("a redirect", _send(b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n"), "not_a_stream"),
    ("a question for a password", _send(b"HTTP/1.1 401 Unauthorized\r\n\r\n"), "denied"),
    ("not found", _send(b"HTTP/1.1 404 Not Found\r\n\r\n"), "not_a_stream"),
    ("chunks", _send(stream_head()[:-2] + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"), "not_a_stream"),
    ("another protocol", _send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "not_a_stream"),
    ("random bytes", _send(random.Random(3).randbytes(5000) + b"\r\n\r\n"), "not_a_stream"),
    ("an endless header", _flood(b"X-Header: endless\r\n" * 100), "not_a_stream"),
    ("an endless line", _flood(b"x" * 4096), "not_a_stream"),
    ("nothing", _send(), "lost"),
    ("half a header", _send(OK), "lost"),
    ("silence", _send(then_s=8), "stalled"),
    ("a header drop by drop", _drip(stream_head() * 20), "stalled"),
]


@pytest.mark.parametrize(("script", "cause"), [(s, c) for _, s, c in ANSWERS], ids=[name for name, _, _ in ANSWERS])
def test_a_hostile_answer_is_an_error_in_time(script: Script, cause: str, monkeypatch: pytest.MonkeyPatch):
    """Whatever answers instead of a camera, opening says so when the time for an answer is over."""
    monkeypatch.setattr(url, "ANSWER_S", 1.0)
    began = time.monotonic()

    with AnsweringServer(script) as server, pytest.raises(SourceError) as error:
        open_source(server.url, 0, SETTINGS)

    assert error.value.cause == cause
    assert error.value.next_step
    assert time.monotonic() - began < 2.5


def _until_lost(stream: Stream) -> tuple[str, float]:
    began = time.monotonic()
    with pytest.raises(SourceError) as error:
        [stream.read() for _ in range(100)]
    stream.close()
    return error.value.cause, time.monotonic() - began


def test_a_stream_that_falls_silent_has_stalled():
    """A camera that keeps the connection and sends nothing is lost after two seconds."""
    with MjpegServer(PICTURE) as server:
        stream = open_source(server.url, 0, SETTINGS)
        assert stream.read() is not None
        server.freeze()

        cause, took_s = _until_lost(stream)

    assert cause == "stalled"
    assert took_s < 4


def test_a_stream_that_drips_has_stalled(monkeypatch: pytest.MonkeyPatch):
    """A camera that sends a byte now and then, and never a picture, is lost when a picture's time is over."""
    monkeypatch.setattr(url, "PART_S", 1.5)
    with AnsweringServer(_send(stream_head() + part(PICTURE, length=5000), *[b"x"] * 200, pause_s=0.05)) as server:
        stream = open_source(server.url, 0, SETTINGS)

        cause, took_s = _until_lost(stream)

    assert cause == "stalled"
    assert 1 < took_s < 4


def test_a_stream_that_ends_is_lost():
    """A camera that hangs up is lost, and the pictures before it were read."""
    with AnsweringServer(_send(stream_head(), part(PICTURE), then_s=0.1)) as server:
        stream = open_source(server.url, 4, SETTINGS)
        frame = stream.read()

        cause, _ = _until_lost(stream)

    assert frame is not None
    assert (frame.encoded, frame.source, cause) == (PICTURE, 4, "lost")


def test_of_many_pictures_at_once_the_newest_is_read():
    """Pictures that piled up in the network are passed over."""
    pictures = b"".join(part(b"\xff\xd8" + bytes([n]) + b"\xff\xd9") for n in range(30))
    with AnsweringServer(_send(stream_head() + pictures, then_s=1)) as server:
        stream = open_source(server.url, 0, SETTINGS)
        time.sleep(0.2)
        frames = [stream.read() for _ in range(2)]
        stream.close()

    newest = [frame.encoded for frame in frames if frame is not None][-1]
    assert newest == b"\xff\xd8" + bytes([29]) + b"\xff\xd9"


def test_no_picture_yet_is_none_in_half_a_second():
    """Reading waits half a second and says that there is nothing yet."""
    with AnsweringServer(_send(stream_head(), then_s=3)) as server:
        stream = open_source(server.url, 0, SETTINGS)
        began = time.monotonic()

        frame = stream.read()

        took_s = time.monotonic() - began
        stream.close()
    assert frame is None
    assert 0.3 < took_s < 1.2
