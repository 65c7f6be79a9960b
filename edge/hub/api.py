"""What machines ask the hub over HTTP: gates post, operations pull. Paths and types are in `edge.ledger.wire`.

Answers to gates are signed (COSE) or a signed receipt in a CBOR list; every refusal is JSON with a code, a sentence and
a next step. A gate lets go of nothing without a signature of ours, so none of the refusals can lose a scan.
"""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from edge.errors import ConfigError
from edge.hub import access, asking, guard, statement, token_queries
from edge.hub.admission import BEATS_AT_ONCE, Admission
from edge.hub.coverage import bounds
from edge.hub.declined import Declined
from edge.hub.forms import FORMS
from edge.hub.front import Front
from edge.hub.hub import Hub
from edge.ledger import wire

STATUS: Final = "/v1/status"
PULLS_AT_ONCE: Final = 6

_NO_TOKEN: Final = Declined(401, "no_token", "A pull needs a token.", "Send Authorization: Bearer TOKEN.")
_WRONG_TOKEN: Final = Declined(401, "wrong_token", "The token is not one of this hub's.", "Check the token file.")
_WRONG_ROLE: Final = Declined(403, "wrong_role", "This role does not pull scans.", "Use an operator or auditor token.")
_TOO_OFTEN: Final = Declined(429, "too_often", "Too many wrong tokens from this address.", "Wait, then try again.")
_TOO_FAST: Final = Declined(429, "too_fast", "This token asks too often.", "Wait a second; ask for larger pages.")
_FULL: Final = Declined(503, "full", "The hub has as much to do as it may take on.", "Come back in your slot.")
_ENCODED: Final = Declined(415, "encoded", "Compressed bodies are not read.", "Send the body as it is.")
_TOO_LARGE: Final = Declined(413, "too_large", "The body is larger than this message may be.", "Send less at once.")


class Api:
    """The routes of a hub for machines.

    Args:
        hub: An open hub.
        front: How it stands to the network.
    """

    def __init__(self, hub: Hub, front: Front) -> None:
        self._hub = hub
        self._front = front
        self._patience = access.Patience(hub.monotonic)
        self._pace = access.Pace(hub.monotonic)
        self._beats = Admission(hub.monotonic, at_once=BEATS_AT_ONCE)
        self._pulls = Admission(hub.monotonic, at_once=PULLS_AT_ONCE)

    def blueprint(self) -> Blueprint:
        """Return the routes, to register in an application."""
        routes = Blueprint("api", __name__)
        routes.post(wire.ENROL)(self.enrol)
        routes.post(wire.HEARTBEAT)(self.heartbeat)
        routes.post(wire.BATCHES)(self.batches)
        routes.get(wire.SCANS)(self.scans)
        routes.get(STATUS)(self.status)
        routes.get(wire.GATES)(self.gates)
        routes.get(wire.INCIDENTS)(self.incidents)
        routes.get(f"{wire.COVERAGE}/<day>")(self.coverage)
        routes.get(wire.QUERIES)(self.token_queries)
        routes.post(wire.QUERIES)(self.ask_token)
        routes.post(f"{wire.QUERIES}/<int:number>/approval")(self.approve_token)
        routes.post(f"{wire.QUERIES}/<int:number>/answer")(self.answer_token)
        return routes

    def enrol(self) -> Response:
        """Make a gate one of ours."""
        body = _body(wire.MAX_SIGNED)
        return _signed(body if isinstance(body, Declined) else self._hub.enrol(body))

    def heartbeat(self) -> Response:
        """Hear that a gate is alive, and say how far its log is held."""
        with self._beats.entered() as is_full:
            if is_full:
                return guard.declined(_FULL, retry_after_s=self._hub.admission.row_s())
            body = _body(wire.MAX_SIGNED)
            return _signed(body if isinstance(body, Declined) else self._hub.heartbeat(body))

    def batches(self) -> Response:
        """Take in batches, or name a slot to come back in."""
        with self._hub.admission.entered() as slot_s:
            if slot_s:
                return guard.declined(_FULL, retry_after_s=slot_s)
            body = _body(wire.MAX_POST)
            answer = body if isinstance(body, Declined) else self._hub.take(body)
        return _signed(answer, wire.CBOR_TYPE)

    def scans(self) -> Response:
        """Hand out a page of scans to somebody with a token for it."""
        peer = guard.peer_of(request)
        reader = _reader(self._hub)
        if isinstance(reader, Declined):
            return self._turned_away(reader, peer)
        if not self._pace.take(reader):
            return guard.declined(_TOO_FAST, retry_after_s=1)
        wanted = asking.parse(request.args)
        if isinstance(wanted, Declined):
            return guard.declined(wanted)
        form, asked = wanted
        with self._pulls.entered() as slot_s:
            if slot_s:
                return guard.declined(_FULL, retry_after_s=slot_s)
            page = self._hub.page(reader, peer, asked)
        response = Response(FORMS[form].page(page), content_type=FORMS[form].content_type)
        for name, value in ((wire.CURSOR, page.cursor), (wire.TOP, page.top), (wire.ROWS, len(page.rows))):
            response.headers[name] = str(value)
        return response

    def gates(self) -> Response:
        """Say how every gate is."""
        return self._document("gates", self._hub.told_gates)

    def incidents(self) -> Response:
        """Say what went wrong and is not dealt with."""
        return self._document("incidents", self._hub.told_incidents)

    def coverage(self, day: str) -> Response:
        """Say for every gate whether its scans of a day are here, signed."""
        try:
            bounds(day)
        except ConfigError as bad:
            return guard.declined(Declined(400, "bad_request", bad.message, bad.next_step))
        return self._document(f"coverage {day}", lambda connection: self._hub.told_coverage(connection, day))

    def token_queries(self) -> Response:
        """Say who asked which scans were of one pass, and how often for which purpose."""
        return self._document("token queries", self._hub.told_token_queries)

    def ask_token(self) -> Response:
        """File a question which scans of a day were of one pass."""
        body = _body(wire.MAX_SIGNED)
        question = body if isinstance(body, Declined) else token_queries.parse(body)
        if isinstance(question, Declined):
            return self._answered(lambda *_: question)
        return self._answered(lambda reader, peer: self._hub.ask_token(reader, peer, question))

    def approve_token(self, number: int) -> Response:
        """Approve a question, as the second of two people of two roles."""
        return self._answered(lambda reader, peer: self._hub.approve_token(reader, peer, number))

    def answer_token(self, number: int) -> Response:
        """Answer an approved question, once."""
        return self._answered(lambda reader, peer: self._hub.answer_token(reader, peer, number))

    def _document(self, what: str, tell: Callable[[sqlite3.Connection], tuple[bytes, int]]) -> Response:
        return self._answered(lambda reader, peer: self._hub.tell(reader, peer, what, tell))

    def _answered(self, act: Callable[[access.Reader, str], Any]) -> Response:
        """Let somebody who pulls do something, in his turn; answers bytes as they are, else JSON or the refusal."""
        peer = guard.peer_of(request)
        reader = _reader(self._hub)
        if isinstance(reader, Declined):
            return self._turned_away(reader, peer)
        if not self._pace.take(reader):
            return guard.declined(_TOO_FAST, retry_after_s=1)
        with self._pulls.entered() as slot_s:
            if slot_s:
                return guard.declined(_FULL, retry_after_s=slot_s)
            told = act(reader, peer)
        if isinstance(told, Declined):
            return guard.declined(told)
        return Response(told if isinstance(told, bytes) else statement.canonical(told), content_type="application/json")

    def status(self) -> Response:
        """Say how the hub is."""
        certificate = self._front.certificate
        found = certificate.finding() if certificate is not None else None
        return jsonify(self._hub.status() | {"certificate": found.code if found else "ok" if certificate else "none"})

    def _turned_away(self, why: Declined, peer: str) -> Response:
        # A right token is let in whatever else comes from its address: nobody is locked out by a neighbour's guesses.
        wait_s = self._patience.wait_s(peer)
        if wait_s:
            return guard.declined(_TOO_OFTEN, retry_after_s=wait_s)
        if why is _WRONG_TOKEN:
            self._patience.failed(peer)
        return guard.declined(why)


def _body(most: int) -> bytes | Declined:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return _ENCODED
    if (request.content_length or 0) > most:
        return _TOO_LARGE
    return request.get_data(cache=False)


def _signed(answer: bytes | Declined, content_type: str = wire.COSE_TYPE) -> Response:
    if isinstance(answer, Declined):
        return guard.declined(answer)
    return Response(answer, content_type=content_type)


def _reader(hub: Hub) -> access.Reader | Declined:
    token = guard.bearer(request)
    if not token:
        return _NO_TOKEN
    with hub.readers.reader() as connection:
        reader = access.find(connection, token, hub.clock())
    if reader is None:
        return _WRONG_TOKEN
    return reader if reader.role in access.PULLERS else _WRONG_ROLE
