"""An operator's service as a real HTTP server on loopback, honest or not, and what stands in its way.

Ways: `good`; `slow` (answers after the budget), `drips` (a byte at a time), `portal` (a login page for everybody),
`redirect`, `huge`, `garbage`, `silent` (closes); and answers that do not count: `other_nonce`, `other_code`,
`other_key`, `other_region`, `status_text`.
"""

import json
import ssl
import threading
import time
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from nacl.signing import SigningKey

from edge.ledger import device
from edge.verify.relayed import KIND, answer

KEY = SigningKey(b"o" * 32)
OTHER = SigningKey(b"x" * 32)


class Operator:
    """The service.

    Args:
        way: How it answers.
        status: The status it gives every code.
        certificate: PEM file of key and certificate, for HTTPS.
    """

    def __init__(self, way: str = "good", status: int = 0, certificate: Path | None = None) -> None:
        self.way = way
        self.status = status
        self.asked: list[dict[str, Any]] = []
        self.over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if certificate is None else "https"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/ask"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def body(self, nonce: bytes, token: bytes) -> bytes:
        """Return what this way of answering sends back."""
        made = {
            "portal": lambda: b"<html><title>Log in</title>" + b"green " * 50,
            "huge": lambda: answer((nonce, token), self.status, 440106, KEY) + b"\0" * 2_000_000,
            "garbage": lambda: b"\xff" * 200,
            "other_nonce": lambda: answer((bytes(16), token), self.status, 440106, KEY),
            "other_code": lambda: answer((nonce, b"another code"), self.status, 440106, KEY),
            "other_key": lambda: answer((nonce, token), self.status, 440106, OTHER),
            "other_region": lambda: answer((nonce, token), self.status, 110105, KEY),
            "status_text": lambda: device.sign(KIND, {1: nonce, 2: token[:32], 3: "green", 4: 440106}, KEY),
        }
        return made.get(self.way, lambda: answer((nonce, token), self.status, 440106, KEY))()


def _handler(operator: Operator) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operator.asked.append(asked)
            if operator.way == "silent":
                return
            if operator.way == "slow":
                operator.over.wait(5)
                return
            body = operator.body(bytes.fromhex(asked["nonce"]), b64decode(asked["token"]))
            self.send_response(302 if operator.way == "redirect" else 200)
            self.send_header("Location", operator.url)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self._send(body)

        def _send(self, body: bytes) -> None:
            step = 1 if operator.way == "drips" else len(body)
            try:
                for start in range(0, len(body), step):
                    self.wfile.write(body[start : start + step])
                    self.wfile.flush()
                    if step == 1 and operator.over.wait(0.05):
                        return
            except OSError:
                # The gate had enough.
                time.sleep(0)

    return Handler
