"""Runs the web part: the pages under waitress, the gate's socket, and the pulse that keeps pages alive.

Blocks until SIGTERM or SIGINT; every thread it starts has ended when it returns. Which part runs when is left to
`edge.gate`.
"""

import errno
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from waitress.server import create_server

from edge.errors import ConfigError, PortInUse, SetupError
from edge.kiosk.app import create_app
from edge.kiosk.board import Board
from edge.kiosk.fanout import MAX_STREAMS, Fanout
from edge.kiosk.link_file import LinkFile
from edge.kiosk.socket_client import GateLink
from edge.model.settings import Settings

_THREADS = MAX_STREAMS + 8
"""Streams hold a thread each; eight are left for pages, so that commands and pictures never queue behind streams."""

_PULSE_S = 1.0
_OUTBUF_BYTES = 256 * 1024
"""What a page may leave unread in the server before its stream waits; it is dropped long before."""


def serve(settings: Settings, state: Path) -> None:
    """Serve the gate's pages until the process is told to stop.

    Args:
        settings: The gate's settings.
        state: The gate's state folder; neither the socket nor `link.json` need be there yet.

    Raises:
        PortInUse: Somebody else listens at the configured address.
        ConfigError: The configured address is none of this machine.
    """
    fanout = Fanout()
    token = secrets.token_urlsafe(24)
    board = Board(fanout, LinkFile(state / "link.json").read, token)
    gate = GateLink(state / "gate.sock", on_message=board.on_message, on_connection=board.on_connection)
    server = _bind(settings, create_app(settings, gate, fanout=fanout, board=board, token=token))
    stopping = threading.Event()
    pulse = threading.Thread(target=_beat, args=(board, stopping), name="pulse", daemon=True)

    def release() -> None:
        # Whoever waits for an event or an answer lets go first: the server's end waits for its threads.
        fanout.close()
        gate.stop()

    with _stopped_by_signals(release):
        gate.start()
        pulse.start()
        try:
            server.run()
        finally:
            stopping.set()
            release()
            server.close()
            pulse.join(timeout=2 * _PULSE_S)


def _beat(board: Board, stopping: threading.Event) -> None:
    while not stopping.wait(_PULSE_S):
        board.pulse()


def _bind(settings: Settings, app: Any) -> Any:
    return create_server(
        app,
        sockets=[_listening(settings.web.host, settings.web.port)],
        threads=_THREADS,
        ident="",
        channel_request_lookahead=1,  # reads on while a stream runs, so that a closed page is noticed at once
        outbuf_high_watermark=_OUTBUF_BYTES,
        max_request_body_size=64 * 1024,
        asyncore_use_poll=True,
        clear_untrusted_proxy_headers=True,
    )


def _listening(host: str, port: int) -> socket.socket:
    """Take the address ourselves: the server would leave its socket open when it is refused."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError, OverflowError) as error:
        raise ConfigError(
            f"The pages cannot be served at {host}:{port}: that is no address.",
            "Set web.host and web.port in gate.toml.",
        ) from error
    taken = socket.socket(family, socket.SOCK_STREAM)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen()  # tells about an address in use that binding alone does not
    except OSError as error:
        taken.close()
        raise _refused(error, host, port) from error
    return taken


def _refused(error: OSError, host: str, port: int) -> SetupError:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(
            f"The pages cannot be served: another program listens at {host}:{port}.",
            f"Stop it (sudo ss -ltnp 'sport = :{port}' names it), or set web.port in gate.toml.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError(
            f"The pages cannot be served at {host}:{port}: this user may not use that port.",
            "Set web.port in gate.toml to 1024 or higher.",
        )
    return ConfigError(
        f"The pages cannot be served at {host}:{port}: {error.strerror or error}.",
        "Set web.host in gate.toml to an address of this machine.",
    )


@contextmanager
def _stopped_by_signals(release: Callable[[], None]) -> Iterator[None]:
    """End the server's loop on SIGTERM and SIGINT; outside the main thread whoever started it stops it."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        release()
        raise SystemExit

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
