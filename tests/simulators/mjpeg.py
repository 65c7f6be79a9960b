"""A camera on the network: a real MJPEG server on a loopback port, and servers that answer wrongly.

`MjpegServer` behaves as cameras do: it sends the picture last shown to everybody connected, can be taken away and come
back on the same port. `AnsweringServer` plays any script of bytes, for answers no camera should give.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt
import segno

Pixels = npt.NDArray[np.uint8]
Script = Callable[[socket.socket], None]

BOUNDARY = "frame-boundary"


def scene(*codes: str | bytes, size: tuple[int, int] = (1280, 720), module_px: int = 6) -> Pixels:
    """Return a grey frame, uint8 HxW, with codes side by side on a wall with a fall of light.

    Args:
        codes: Payloads; the middle of the row stands in the middle of the frame.
        size: Width and height, pixels.
        module_px: Pixels of a module.
    """
    width, height = size
    wall = np.linspace(120, 200, width, dtype=np.uint8)[None, :].repeat(height, axis=0)
    tiles = [_tile(code, module_px) for code in codes]
    x = (width - sum(tile.shape[1] + 40 for tile in tiles)) // 2 + 20
    for tile in tiles:
        y = (height - tile.shape[0]) // 2
        wall[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        x += tile.shape[1] + 40
    return wall


def _tile(code: str | bytes, module_px: int) -> Pixels:
    matrix = np.array([list(row) for row in segno.make(code, micro=False, error="m").matrix_iter(border=4)], np.uint8)
    return np.kron(255 * (1 - matrix), np.ones((module_px, module_px), np.uint8)).astype(np.uint8)


def jpeg_of(pixels: Pixels) -> bytes:
    """Return a frame as a JPEG."""
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


class AnsweringServer:
    """Accepts connections on loopback and plays a script to each.

    Args:
        script: Called with each connection in a thread of its own, after the request was read; may raise OSError.
        port: 0 takes a free one.
    """

    def __init__(self, script: Script, port: int = 0) -> None:
        self._script = script
        self._links: list[socket.socket] = []
        self._lock = threading.Lock()
        self.connections = 0
        self.is_closed = False
        self._server = socket.create_server(("127.0.0.1", port))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Address of the stream."""
        return f"http://127.0.0.1:{self.port}/stream.mjpg"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._server.accept()
                with self._lock:
                    self._links.append(link)
                    self.connections += 1
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError), link:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                got = link.recv(4096)
                if not got:
                    return
                request += got
            self._script(link)

    def close(self) -> None:
        """Hang up on everybody and stop listening."""
        self.is_closed = True
        # Waking a thread that waits in accept takes a shutdown; closing alone leaves the port listening.
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._lock:
            for link in self._links:
                with contextlib.suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MjpegServer(AnsweringServer):
    """A camera: sends the picture last shown at a rate.

    Args:
        jpeg: The first picture.
        fps: Pictures a second.
        port: 0 takes a free one.
    """

    def __init__(self, jpeg: bytes, fps: float = 30.0, port: int = 0) -> None:
        self._jpeg = jpeg
        self._pause_s = 1 / fps
        self.is_frozen = False
        super().__init__(self._stream, port)

    def show(self, jpeg: bytes) -> None:
        """Show another picture from now on."""
        self._jpeg = jpeg

    def freeze(self) -> None:
        """Keep connections open and send nothing more."""
        self.is_frozen = True

    def _stream(self, link: socket.socket) -> None:
        link.sendall(stream_head())
        while not self.is_closed:
            if not self.is_frozen:
                link.sendall(part(self._jpeg))
            time.sleep(self._pause_s)


def stream_head(boundary: str = BOUNDARY) -> bytes:
    """Return the headers of a stream."""
    return f"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary={boundary}\r\n\r\n".encode()


def part(body: bytes, *, length: int | None = -1, boundary: str = BOUNDARY) -> bytes:
    """Return one part of a stream.

    Args:
        body: The picture.
        length: What Content-Length says; -1 the truth, None nothing.
        boundary: As announced.
    """
    said = len(body) if length == -1 else length
    field = f"Content-Length: {said}\r\n" if said is not None else ""
    return f"--{boundary}\r\nContent-Type: image/jpeg\r\n{field}\r\n".encode() + body + b"\r\n"
