"""The holder's page: the code, drawn anew every few seconds, and a field for the digits a gate asks. Loopback only."""

import socket
from collections.abc import Callable
from typing import Final

from flask import Flask, Response, abort, render_template, request
from waitress.server import create_server

from edge.errors import PortInUse, WalletError
from edge.kiosk import guard
from edge.kiosk.drawing import svg
from edge.wallet.wallet import Wallet
from edge.words.catalogue import label, languages

HOST: Final = "127.0.0.1"


def create_app(wallet: Wallet, now_s: Callable[[], int], *, every_s: int, language: str, digits: str = "") -> Flask:
    """Make the application.

    Args:
        wallet: Whose code is shown.
        now_s: The clock, Unix seconds.
        every_s: Seconds from one drawing to the next.
        language: What the page is written in.
        digits: What a gate asks, where it is known already.
    """
    app = Flask("edge.wallet")

    def check() -> None:
        is_ours = guard.host_name(request.headers.get("Host", "")) in guard.allowed_hosts(HOST)
        if not is_ours or (request.path != "/" and not guard.is_same_site(dict(request.headers))):
            abort(403)

    def finish(response: Response) -> Response:
        for name, value in guard.HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def page() -> str:
        return render_template(
            "wallet.html",
            spoken=languages()[language],
            say=lambda key: label(language, key),
            config={"every": every_s, "digits": digits},
        )

    def code() -> Response:
        try:
            shown = wallet.shown(now_s(), request.args.get("digits", ""))
        except WalletError as error:
            return Response(f"{error}\n", 409, content_type="text/plain; charset=utf-8")
        return Response(svg(shown), content_type="image/svg+xml")

    app.before_request(check)
    app.after_request(finish)
    app.add_url_rule("/", "page", page)
    app.add_url_rule("/code.svg", "code", code)
    return app


def bind(port: int) -> socket.socket:
    """Return a socket that listens on loopback; port 0 takes a free one.

    Raises:
        PortInUse: Somebody listens there.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortInUse(
            f"The page cannot be served on {HOST}:{port}: {error.strerror}.", "Name another with --port, or 0."
        ) from error
    return listener


def serve(app: Flask, listener: socket.socket) -> None:
    """Serve until the process is told to end."""
    server = create_server(app, sockets=[listener], threads=2, ident="", clear_untrusted_proxy_headers=True)
    try:
        server.run()
    finally:
        server.close()
