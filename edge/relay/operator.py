"""The way out to an operator: one POST over HTTP or HTTPS, within its budget as a whole, to nobody else.

No redirect is followed and no proxy asked: both are how a captive portal answers in the operator's name. Nothing that
comes back is believed here; its size and its time are bounded.
"""

import http.client
import json
import socket
import ssl
import threading
import time
from base64 import b64encode
from contextlib import suppress
from hashlib import sha256
from hmac import compare_digest
from typing import Final
from urllib.parse import SplitResult, urlsplit

from edge.errors import AnswerRefused, Unreachable
from edge.relay.question import Question
from edge.verify.relayed import MAX_ANSWER

_OK: Final = 200
_MEDIA: Final = "application/cose"


def ask(question: Question) -> bytes:
    """Ask the operator and return what came back, at most 1,024 bytes.

    Raises:
        Unreachable: Nobody answered within the budget.
        AnswerRefused: Somebody else answered, or something else came back.
    """
    ends_at = time.monotonic() + question.budget_ms / 1000
    try:
        parts = urlsplit(question.url)
        connection = _connected(parts, question, ends_at)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable() from error
    # The socket's own time-out starts again with every byte; a dripping peer is cut off by this one.
    cutter = threading.Timer(max(0.0, ends_at - time.monotonic()), _cut, (connection.sock,))
    cutter.daemon = True
    cutter.start()
    try:
        return _answer(connection, parts, question)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _unreachable() from error
    finally:
        cutter.cancel()
        connection.close()


def _connected(parts: SplitResult, question: Question, ends_at: float) -> http.client.HTTPConnection:
    left_s = max(0.01, ends_at - time.monotonic())
    if parts.scheme == "http":
        plain = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=left_s)
        plain.connect()
        return plain
    context = ssl.create_default_context()
    if question.certificate:
        # The policy names the one certificate: whoever else vouches for the name says nothing.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(str(parts.hostname), parts.port, timeout=left_s, context=context)
    connection.connect()
    shown = connection.sock.getpeercert(binary_form=True) or b""
    if question.certificate and not compare_digest(sha256(shown).digest(), question.certificate):
        connection.close()
        raise AnswerRefused("The operator's certificate is not the one the policy names.", "Tell the authority.")
    return connection


def _answer(connection: http.client.HTTPConnection, parts: SplitResult, question: Question) -> bytes:
    body = {
        "schema": 1,
        "family": question.family,
        "nonce": question.nonce.hex(),
        "token": b64encode(question.token).decode(),
    }
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Content-Type": "application/json", "Accept": _MEDIA, "User-Agent": "edge-gate"}
    connection.request("POST", path, json.dumps(body), headers)
    with connection.getresponse() as response:
        if response.status != _OK:
            raise AnswerRefused(f"The operator answered with HTTP {response.status}.", "", status=response.status)
        data = response.read(MAX_ANSWER + 1)
    if len(data) > MAX_ANSWER:
        raise AnswerRefused(f"The operator's answer is longer than {MAX_ANSWER} bytes.", "")
    if response.length:
        # Cut off in the middle: what came is no answer.
        raise http.client.IncompleteRead(data, response.length)
    return data


def _unreachable() -> Unreachable:
    return Unreachable("The operator did not answer in time.", "People go to the staffed desk now.")


def _cut(peer: socket.socket) -> None:
    with suppress(OSError):
        peer.shutdown(socket.SHUT_RDWR)
