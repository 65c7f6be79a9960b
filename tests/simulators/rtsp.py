"""A camera on the network that speaks RTSP: MJPEG over RTP over the RTSP connection (RFC 2326, 10.12; RFC 2435).

The client is FFmpeg itself. It can be frozen, cut in the middle of a picture, closed and opened again on its port, and
have each of its packets changed.
"""

import contextlib
import re
import socket
import struct
import time
from collections.abc import Callable

import cv2
import numpy as np

from tests.simulators.mjpeg import AnsweringServer, Pixels

_PART = 1400


def rtp_jpeg(pixels: Pixels, sequence: int, at_90khz: int) -> list[bytes]:
    """Return the RTP packets of one picture, RFC 2435 type 1 (4:2:0) with its own quantisation tables.

    Args:
        pixels: uint8, HxW, sides multiples of 16 and at most 2040.
        sequence: Number of the first packet.
        at_90khz: Time of the picture.
    """
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR))[1].tobytes()
    tables, at = b"", 2
    while jpeg[at + 1] != 0xDA:
        size = int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] == 0xDB:
            segment = jpeg[at + 4 : at + 2 + size]
            tables += b"".join(segment[one + 1 : one + 65] for one in range(0, len(segment), 65))
        at += 2 + size
    scan = jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") : -2]
    packets = []
    for offset in range(0, len(scan), _PART):
        is_last = offset + _PART >= len(scan)
        head = struct.pack(
            ">BBHII", 0x80, 26 | (0x80 if is_last else 0), (sequence + len(packets)) & 0xFFFF, at_90khz, 7
        )
        head += struct.pack(
            ">B3sBBBB", 0, offset.to_bytes(3, "big"), 1, 255, pixels.shape[1] // 8, pixels.shape[0] // 8
        )
        if offset == 0:
            head += struct.pack(">BBH", 0, 0, len(tables)) + tables
        packets.append(head + scan[offset : offset + _PART])
    return packets


class RtspServer(AnsweringServer):
    """A camera: sends the picture last shown, fifteen times a second.

    Args:
        pixels: The first picture, uint8, HxW.
        port: 0 takes a free one.
    """

    def __init__(self, pixels: Pixels, port: int = 0) -> None:
        self._pixels = pixels
        self.is_frozen = False
        self.is_cut = False
        self.mangle: Callable[[bytes], bytes] = bytes
        super().__init__(self._play, port)

    @property
    def url(self) -> str:
        """Address of the stream."""
        return f"rtsp://127.0.0.1:{self.port}/stream"

    def show(self, pixels: Pixels) -> None:
        """Show another picture from now on."""
        self._pixels = pixels

    def _serve(self, link: socket.socket) -> None:
        with contextlib.suppress(OSError), link:
            request = b""
            while got := link.recv(4096):
                request += got
                while b"\r\n\r\n" in request:
                    head, _, request = request.partition(b"\r\n\r\n")
                    if self._answer(link, head.decode("latin-1")):
                        self._script(link)
                        return

    def _answer(self, link: socket.socket, head: str) -> bool:
        method = head.split(" ", 1)[0]
        number = re.search(r"(?i)cseq:\s*(\d+)", head)
        fields, body = {"CSeq": number[1] if number else "0", "Session": "1"}, ""
        if method == "OPTIONS":
            fields["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:track0\r\n"
            )
            fields |= {"Content-Type": "application/sdp", "Content-Length": str(len(body))}
        elif method == "SETUP":
            fields["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1"
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        link.sendall(f"RTSP/1.0 200 OK\r\n{lines}\r\n{body}".encode())
        return method == "PLAY"

    def _play(self, link: socket.socket) -> None:
        sequence, number = 0, 0
        while not self.is_closed:
            if not self.is_frozen:
                packets = rtp_jpeg(np.asarray(self._pixels), sequence, number * 6000)
                for packet in packets[: len(packets) // 2] if self.is_cut else packets:
                    sent = self.mangle(packet)
                    link.sendall(b"$\0" + struct.pack(">H", len(sent)) + sent)
                self.is_frozen = self.is_cut
                sequence, number = sequence + len(packets), number + 1
            time.sleep(1 / 15)
