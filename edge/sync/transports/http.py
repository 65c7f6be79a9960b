"""The hub over HTTP or HTTPS: one connection, kept open and watched, with bounds on size and total time.

Between messages TCP keepalive finds a hub whose machine or network is gone within ten seconds, without a request; a hub
that only closed the idle connection is connected to again. Redirects are not followed and no proxy is asked: both are
how a captive portal answers in the hub's name.
"""

import errno
import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

from edge.disk import ca_file
from edge.errors import AnswerRefused, ConfigError, Unreachable
from edge.ledger import wire
from edge.model.settings import SyncSettings
from edge.sync.transport import Answer, Question

_CHUNK: Final = 64 << 10
_KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    # First probe after 2 s of silence, then every 2 s, three unanswered ones: a dead hub is known after 8 s.
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    # The same bound where something was sent and nothing acknowledged it (RFC 5482).
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 8000),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
)
_NOBODY: Final = frozenset((errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN))


class HttpTransport:
    """One hub behind HTTP; see `Transport`. One thread asks; `close` may come from another.

    Args:
        url: Address of the hub, `http://host[:port][/path]` or `https://...`.
        timeout_s: Most seconds for one exchange, from connecting to its last byte.
        authorities: PEM file of the certificates an https hub is held to; empty: those of the system.

    Raises:
        ConfigError: The address is of another form, or the file holds no certificates.
    """

    def __init__(self, url: str, timeout_s: float, *, authorities: str = "") -> None:
        parts = _split(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._context = ca_file.context(authorities, "[sync] ca_file") if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None
        self._closes = 0

    @classmethod
    def of(cls, settings: SyncSettings, enrolled_at: str) -> Self:
        """Return the way to a gate's hub: by its settings, and where these name none, where it was enrolled.

        Raises:
            ConfigError: The address is of another form, or `ca_file` holds no certificates.
        """
        return cls(settings.hub or enrolled_at, settings.timeout_s, authorities=settings.ca_file)

    def exchange(self, question: Question) -> Answer:
        """Ask and return what came back; see `Transport`.

        Raises:
            Unreachable: Nobody answered, not wholly, or not in time.
            AnswerRefused: The answer is too large.
        """
        deadline = time.monotonic() + self._timeout_s
        is_reused, closes = self._connection is not None, self._closes
        try:
            return self._ask(question, deadline)
        except Unreachable:
            # The far side may have closed the kept connection just as we wrote; a new one tells. Once, and not where
            # another thread closed it or the time is over.
            if not is_reused or closes != self._closes or time.monotonic() >= deadline:
                raise
            return self._ask(question, deadline)

    def hold(self) -> bool:
        """Keep the idle connection open; see `Transport`.

        Raises:
            Unreachable: It cannot be opened.
        """
        try:
            if self._connection is not None and _is_quiet(self._connection.sock):
                return True
        except OSError as error:
            # The kernel's probes met nobody: dialling would only wait for nobody again.
            self._drop()
            raise self._unreachable(error) from error
        self._drop()
        try:
            self._connection = self._connected(time.monotonic() + self._timeout_s)
        except (OSError, UnicodeError) as error:
            raise self._unreachable(error) from error
        return False

    def close(self) -> None:
        """Close the connection; a call under way in another thread ends as unreachable."""
        self._closes += 1
        self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            _cut(connection.sock)
            connection.close()

    def _ask(self, question: Question, deadline: float) -> Answer:
        try:
            if self._connection is None:
                self._connection = self._connected(deadline)
            connection = self._connection
            return self._answer(connection, question, deadline)
        # A host name that cannot be encoded is a UnicodeError; a socket closed by another thread an AttributeError.
        except (OSError, http.client.HTTPException, UnicodeError, AttributeError) as error:
            self._drop()
            raise self._unreachable(error) from error
        except AnswerRefused:
            self._drop()
            raise

    def _answer(self, connection: http.client.HTTPConnection, question: Question, deadline: float) -> Answer:
        # The socket's own time-out starts again with every byte; a dripping peer is cut off by this one.
        cutter = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, (connection.sock,))
        cutter.daemon = True
        cutter.start()
        headers = {"Content-Type": question.media_type, "Accept": wire.COSE_TYPE, "User-Agent": "edge-gate"}
        try:
            connection.sock.settimeout(self._timeout_s)
            # Who refuses a body unread (413) closes under our writing; the answer may stand there all the same.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", self._prefix + question.path, question.body, headers)
            response = connection.getresponse()
            body = _body(response)
        finally:
            cutter.cancel()
        if response.will_close:
            self._drop()
        media_type = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        return Answer(response.status, body, media_type, _retry_after_s(response))

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        peer = self._dialled(deadline)
        try:
            peer.settimeout(max(0.1, deadline - time.monotonic()))
            for level, option, value in _KEEPALIVE:
                peer.setsockopt(level, option, value)
            if self._context is not None:
                peer = self._wrapped(peer, self._context, deadline)
        except BaseException:
            peer.close()
            raise
        connection = http.client.HTTPConnection(self._host, self._port)
        connection.sock = peer
        # Never opened behind our back: without our bounds, and without TLS.
        connection.auto_open = 0
        return connection

    def _dialled(self, deadline: float) -> socket.socket:
        # Addresses one after the other, all within one time: a name with many dead addresses must not multiply it.
        last = OSError("the name has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("the time for connecting is over")
            peer = socket.socket(family, kind, protocol)
            peer.settimeout(min(remaining, self._timeout_s / 2))
            try:
                peer.connect(address)
            except OSError as error:
                peer.close()
                last = error
            else:
                return peer
        raise last

    def _wrapped(self, peer: socket.socket, context: ssl.SSLContext, deadline: float) -> socket.socket:
        secured = context.wrap_socket(peer, server_hostname=self._host, do_handshake_on_connect=False)
        cutter = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, (secured,))
        cutter.daemon = True
        cutter.start()
        try:
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        finally:
            cutter.cancel()
        return secured

    def _unreachable(self, error: Exception) -> Unreachable:
        if isinstance(error, ssl.SSLCertVerificationError):
            return Unreachable(
                f"The certificate of {self._host} does not verify: {error.verify_message}.",
                "Check the gate's clock, [sync] ca_file, and that no login page stands between it and the hub.",
            )
        if isinstance(error, socket.gaierror):
            return Unreachable(
                f"The name {self._host} cannot be looked up.", "Check the network, or the address of the hub."
            )
        return Unreachable(
            f"The hub at {self._host}:{self._port} did not answer.",
            "Check the network, and that the hub is running. Nothing is lost meanwhile.",
        )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_sound = False
    else:
        if is_sound and parts.username is None and not parts.query and not parts.fragment:
            return parts
    raise ConfigError(
        "The address of the hub is not of the form http://host[:port] or https://host[:port].",
        "Correct [sync] hub in gate.toml, or ask the hub for a new invitation.",
    )


def _is_quiet(peer: socket.socket | None) -> bool:
    """Return whether an idle connection still stands: nothing to read, and not closed.

    Raises:
        OSError: Nobody is there any more, as keepalive found.
    """
    if peer is None:
        return False
    timeout = peer.gettimeout()
    try:
        peer.settimeout(0)
        peer.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        # TLS reads its own messages (session tickets) and then wants more: quiet.
        return True
    except ConnectionError:
        return False
    except OSError as error:
        if error.errno in _NOBODY:
            raise
        return False
    finally:
        with suppress(OSError):
            peer.settimeout(timeout)
    # Closed by the far side, or something nobody asked for: not to be used again either way.
    return False


def _cut(peer: socket.socket | None) -> None:
    # The plain shutdown: an SSLSocket's own would first drop its TLS state under the feet of the reading thread.
    if peer is not None:
        with suppress(OSError):
            socket.socket.shutdown(peer, socket.SHUT_RDWR)


def _body(response: http.client.HTTPResponse) -> bytes:
    received = bytearray()
    while len(received) <= wire.MAX_ANSWER:
        chunk = response.read(min(_CHUNK, wire.MAX_ANSWER + 1 - len(received)))
        if not chunk:
            if response.length:
                raise http.client.IncompleteRead(bytes(received), response.length)
            return bytes(received)
        received += chunk
    raise AnswerRefused(
        f"The answer is larger than {wire.MAX_ANSWER} bytes.",
        "Check that the address is the hub's, and that no login page answers for it.",
        status=response.status,
    )


def _retry_after_s(response: http.client.HTTPResponse) -> float | None:
    """Return the wait the far side asks for (RFC 9110, 10.2.3), a date counted from its own `Date`, or None."""
    value = (response.getheader("Retry-After") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    at, since = _date(value), _date(response.getheader("Date") or "")
    # Our own clock may be years off: only the far side's own two times are set against each other.
    return max(0.0, (at - since).total_seconds()) if at is not None and since is not None else None


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else None
