"""One connection to the hub: waitress's own, with an end to requests that trickle in, in the clear or under TLS.

TLS is spoken in waitress's loop, without ever waiting for a peer: a handshake that stalls costs a buffer and no thread,
like a request that does. A server that shakes hands where it accepts stands still meanwhile (docs/adr/0050).
"""

import json
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any, Final

from waitress.channel import HTTPChannel

REQUEST_S: Final = 300
"""Most seconds from a request's first byte to its last."""
HANDSHAKE_S: Final = 10
RECORD: Final = 16 * 1024
"""Most bytes a TLS record holds (RFC 8446, 5.1). Who reads as many leaves none behind in OpenSSL, where no poll sees
them."""
_WANTS: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection that also knows when its unfinished request began."""

    begun = 0.0

    def received(self, data: bytes) -> Any:
        """Take in bytes; see waitress."""
        taken = super().received(data)
        if self.request is None:
            self.begun = 0.0
        elif not self.begun:
            self.begun = time.monotonic()
        return taken

    def is_late(self, now: float) -> bool:
        """Whether what was begun ought to have come to its end by this reading of the monotonic clock."""
        return bool(self.begun) and now - self.begun > REQUEST_S


class TlsChannel(Channel):
    """A connection under TLS; its socket is an `SSLSocket` that has not shaken hands yet."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self._opened = time.monotonic()
        self._is_shaken = False
        self._wants_to_write = False
        # The loop and the thread that answers share one TLS state, which is not made for two at once.
        self._turn = threading.RLock()
        super().__init__(*args, **keywords)

    def is_late(self, now: float) -> bool:
        """Whether the handshake, or what was begun after it, ought to be over."""
        return super().is_late(now) if self._is_shaken else now - self._opened > HANDSHAKE_S

    def writable(self) -> bool:
        """Whether there is something to write; see waitress."""
        return bool(self._wants_to_write or super().writable())

    def handle_read(self) -> None:
        """Go on with the handshake, or take in what came."""
        if self._is_shaken or self._shake():
            with suppress(_NotYet):
                super().handle_read()

    def handle_write(self) -> None:
        """Go on with the handshake, or send what waits."""
        if self._is_shaken or self.will_close or self._shake():
            super().handle_write()

    def recv(self, buffer_size: int) -> Any:
        """Return what came; see waitress."""
        try:
            with self._turn:
                return super().recv(buffer_size)
        except _WANTS:
            # Part of a record, or TLS's own words: neither is an error nor the end.
            raise _NotYet from None

    def send(self, data: bytes, do_close: bool = True) -> Any:  # noqa: FBT001, FBT002 - waitress's own signature
        """Send what goes; see waitress."""
        try:
            with self._turn:
                return super().send(data, do_close)
        except _WANTS:
            return 0

    def handle_close(self) -> None:
        """Close, and say so under TLS: a peer then knows that nothing was cut off (RFC 8446, 6.1)."""
        if self.socket is not None and self._is_shaken:
            with suppress(OSError, ValueError), self._turn:
                self.socket.unwrap()
        super().handle_close()

    def _shake(self) -> bool:
        self._wants_to_write = False
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLWantWriteError:
            self._wants_to_write = True
            return False
        except (OSError, ValueError) as failed:
            # Strangers knock at open ports all day: nothing of it is logged.
            if isinstance(failed, ssl.SSLError) and failed.reason == "HTTP_REQUEST":
                _speak_plainly(self.socket)
            self.handle_close()
            return False
        self._is_shaken = True
        return True


class _NotYet(Exception):  # noqa: N818 - no error
    """There is nothing whole to read now."""


def _speak_plainly(peer: socket.socket) -> None:
    """Answer somebody who spoke HTTP without TLS, past the TLS layer."""
    text = {
        "code": "tls_needed",
        "message": "This hub speaks HTTPS here.",
        "next_step": "Write https:// in place of http:// in the address.",
    }
    body = json.dumps(text).encode()
    head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: "
    with suppress(OSError):
        socket.socket.send(peer, f"{head}{len(body)}\r\n\r\n".encode() + body)
        socket.socket.shutdown(peer, socket.SHUT_WR)
        # What came besides is taken: closing over it would reset the connection before the answer is read.
        socket.socket.recv(peer, 1 << 16)
