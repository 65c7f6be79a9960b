"""The hub as a web application and as a process: Flask under waitress, one process, one writer.

Slow and silent clients cost waitress a buffer, never a thread: requests are read whole before the application sees
them, answers are handed over whole. What is answered is left to `edge.hub.api` and `edge.hub.pages`.
"""

import contextlib
import errno
import logging
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from flask import Flask, Response, request
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from werkzeug.exceptions import HTTPException

from edge.errors import EdgeError, LedgerError, PortInUse, SetupError
from edge.hub import api, courier, documentation, guard, pages
from edge.hub.channel import RECORD, Channel, TlsChannel
from edge.hub.declined import Declined
from edge.hub.front import Front
from edge.hub.hub import SILENT_BEATS, Hub
from edge.ledger import wire

THREADS: Final = 40
"""More than posts, pulls and a few pages at once, so that a refusal is always quick."""
IDLE_S: Final = 180
"""An idle connection lives for some heartbeats at least: gates keep one open to notice a dead hub."""
RETRY_S: Final = 60
DRAIN_S: Final = 5.0
"""Seconds that what was begun has to end in once the hub is told to stop."""
_CONNECTIONS: Final = 4096
_BACKLOG: Final = 1024
_LOG: Final = logging.getLogger("edge.hub")


IN_THE_CLEAR: Final = Front()
"""Plain HTTP, no proxy believed."""


def create_app(hub: Hub, front: Front = IN_THE_CLEAR) -> Flask:
    """Return the application of an open hub."""
    app = Flask(__name__, static_folder="static", template_folder="templates")
    app.config["MAX_CONTENT_LENGTH"] = wire.MAX_POST
    app.config["MAX_FORM_MEMORY_SIZE"] = wire.MAX_SIGNED
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(api.Api(hub, front).blueprint())
    app.register_blueprint(documentation.blueprint())
    app.register_blueprint(pages.Pages(hub, front).blueprint())
    app.after_request(guard.with_headers)
    app.register_error_handler(EdgeError, _unable)
    app.register_error_handler(HTTPException, _no_such)
    app.register_error_handler(Exception, _defect)
    app.wsgi_app = front.proxies.wrapped(app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way
    return app


def _unable(error: EdgeError) -> Response:
    # 503, not 500: gates keep what they have and come back.
    _LOG.error("%s", error)
    answer = Declined(503, "unavailable", "The hub cannot read or write its ledger.", "Gates keep their scans.")
    if not isinstance(error, LedgerError):
        answer = Declined(503, "unavailable", "The hub is not set up completely.", "See the hub's own messages.")
    return guard.declined(answer, retry_after_s=RETRY_S)


def _no_such(error: HTTPException) -> Response:
    code = error.code or 500
    response = guard.declined(Declined(code, error.name.lower().replace(" ", "_"), f"{error.name}.", "See /v1/status."))
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _defect(error: Exception) -> Response:
    # The path is one of ours or a stranger's guess; query and body stay out of the log.
    _LOG.error("a defect in %s %s", request.method, request.endpoint, exc_info=error)
    return guard.declined(
        Declined(500, "defect", "The hub met a defect of its own.", "Gates keep their scans; report the hub's log.")
    )


def serve(hub: Hub, where: tuple[str, int], ready: Callable[[str], None], *, front: Front = IN_THE_CLEAR) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun; blocks. Call it in the main thread.

    Args:
        hub: An open hub; stays open.
        where: Address and port to listen at, port 0 for a free one.
        ready: Called with the address once it is listened at.
        front: TLS, and whose proxies are believed.

    Raises:
        PortInUse: Somebody else listens there.
        SetupError: The address is not one of this machine's.
        ConfigError: A webhook of `hub.toml` is not right.
    """
    listening = listen(*where)
    server = make_server(hub, listening, front)

    def stop(_signum: int, _frame: FrameType | None) -> None:
        server.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    with courier.running(hub):
        ready(address(listening, is_secure=front.certificate is not None))
        server.run()


def make_server(hub: Hub, listening: socket.socket, front: Front = IN_THE_CLEAR) -> "Server":
    """Return a waitress server for the hub on a listening socket; `run` it, `stop` it from another thread."""
    adjustments = Adjustments(
        sockets=[listening],
        threads=THREADS,
        ident=None,
        connection_limit=min(_CONNECTIONS, _open_files() // 2),
        channel_timeout=max(IDLE_S, SILENT_BEATS * hub.config.heartbeat_s),
        cleanup_interval=10,
        asyncore_use_poll=True,
        max_request_body_size=wire.MAX_POST,
        max_request_header_size=wire.MAX_SIGNED,
        backlog=_BACKLOG,
        recv_bytes=RECORD,
        url_scheme="http" if front.certificate is None else "https",
        log_socket_errors=False,
        # Whom they are believed from is for `edge.hub.proxies`; that they are there says that a proxy stands between.
        clear_untrusted_proxy_headers=False,
    )
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    where = (listening.family, listening.type, listening.proto, listening.getsockname())
    application = create_app(hub, front)
    return Server(application, front, adj=adjustments, _sock=listening, bind_socket=False, sockinfo=where)


class Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """waitress, with an end to requests that trickle in byte by byte, and a stop from outside."""

    def __init__(self, application: Any, front: Front, **keywords: Any) -> None:
        self._certificate = front.certificate
        self.channel_class = Channel if front.certificate is None else TlsChannel
        super().__init__(application, **keywords)
        self._stopping = threading.Event()
        # Re-entrant, for the signal handler runs in the thread that may hold it.
        self._trigger_lock = threading.RLock()
        self._is_over = False

    def maintenance(self, now: float) -> None:
        """Close idle connections and those that do not come to an end; look whether the certificate was renewed."""
        super().maintenance(now)
        if self._certificate is not None:
            self._certificate.look()
        for channel in self.active_channels.values():
            if channel.is_late(time.monotonic()):
                channel.will_close = True

    def accept(self) -> Any:
        """Return the next connection, under TLS where the hub has a certificate; see waitress."""
        accepted = super().accept()
        if accepted is None or self._certificate is None:
            return accepted
        peer, where = accepted
        try:
            peer.setblocking(False)
            # Hands are shaken by the channel, as far as bytes are there.
            secured = self._certificate.context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
        except (OSError, ValueError):
            peer.close()
            return None
        return secured, where

    def run(self) -> None:
        """Serve until `stop`, then answer what was begun and close every connection; blocks."""
        while not self._stopping.is_set():
            self._turn(1.0)
        self.accepting = False
        self.socket.close()
        self.del_channel()
        until = time.monotonic() + DRAIN_S
        while time.monotonic() < until and any(
            channel.requests or channel.total_outbufs_len for channel in self.active_channels.values()
        ):
            self._turn(0.05)
        self.task_dispatcher.shutdown(timeout=DRAIN_S)
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        with self._trigger_lock:
            self._is_over = True
            self.trigger.close()

    def stop(self) -> None:
        """Make `run` come to its end; from any thread or a signal handler."""
        self._stopping.set()
        self.pull_trigger()

    def pull_trigger(self) -> None:
        """Wake `run` up; a descriptor that is closed, or somebody else's by now, is not written to."""
        with self._trigger_lock:
            if not self._is_over:
                super().pull_trigger()

    def _turn(self, timeout_s: float) -> None:
        self.asyncore.loop(timeout=timeout_s, use_poll=True, map=self._map, count=1)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        PortInUse: Somebody else listens there.
        SetupError: The address is not one of this machine's, or not ours to take.
    """
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as failed:
        raise SetupError(f"{host} is no address of this machine.", "Listen at 127.0.0.1 or 0.0.0.0.") from failed
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(_BACKLOG)
    except OSError as failed:
        listening.close()
        if failed.errno == errno.EADDRINUSE:
            raise PortInUse(
                f"Something else listens at {host}:{port} already.",
                f"Stop it (ss -ltnp 'sport = :{port}' names it) or choose another: --port {port + 1}",
            ) from failed
        raise SetupError(
            f"{host}:{port} cannot be listened at: {failed.strerror}.", "Choose another: --host 127.0.0.1 --port 8090"
        ) from failed
    return listening


def address(listening: socket.socket, *, is_secure: bool = False) -> str:
    """Return the address of a listening socket as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http{'s' * is_secure}://{f'[{host}]' if ':' in host else host}:{port}"


def _open_files() -> int:
    """Raise the limit of open files as far as we may, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, min(hard, 4 * _CONNECTIONS))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
