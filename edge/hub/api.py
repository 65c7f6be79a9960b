"""What machines ask the hub over HTTP: gates post, operations pull. Paths and types are in `edge.ledger.wire`.

Answers to gates are signed (COSE) or a signed receipt in a CBOR list; every refusal is JSON with a code, a sentence and
a next step. A gate lets go of nothing without a signature of ours, so none of the refusals can lose a scan.
"""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any, Final

from flask import Blueprint, Response, jsonify, request

from edge.errors import ConfigError
from edge.hub import access, asking, documents, guard, pull, statement, token_queries
from edge.hub.admission import BEATS_AT_ONCE, Admission
from edge.hub.coverage import bounds
from edge.hub.declined import Declined
from edge.hub.export import NUMBERS
from edge.hub.forms import FORMS
from edge.hub.front import Front
from edge.hub.hub import Hub
from edge.hub.spool import PIECE, Making
from edge.ledger import wire

STATUS: Final = "/v1/status"
PULLS_AT_ONCE: Final = 6

_NO_TOKEN: Final = Declined(401, "no_token", "A pull needs a token.", "Send Authorization: Bearer TOKEN.")
_WRONG_TOKEN: Final = Declined(401, "wrong_token", "The token is not one of this hub's.", "Check the token file.")
_WRONG_ROLE: Final = Declined(403, "wrong_role", "This role does not pull scans.", "Use an operator or auditor token.")
_TOO_OFTEN: Final = Declined(429, "too_often", "Too many wrong tokens from this address.", "Wait, then try again.")
_TOO_FAST: Final = Declined(429, "too_fast", "This token asks too often.", "Wait a second; ask for larger pages.")
_FULL: Final = Declined(503, "full", "The hub has as much to do as it may take on.", "Come back in your slot.")
_PUT_AWAY: Final = Declined(404, "put_away", "This export is put away, or the day grew.", "Ask for the export anew.")
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
        routes.get(wire.EXPORT)(self.export)
        routes.get(f"{wire.EXPORT}/<key>/<day>/<name>")(self.exported)
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
        return self._admitted(self._scans)

    def _scans(self, reader: access.Reader, peer: str) -> Response:
        wanted = asking.parse(request.args)
        if isinstance(wanted, Declined):
            return guard.declined(wanted)
        form, asked = wanted
        page = self._hub.page(reader, peer, asked)
        response = Response(FORMS[form].page(page), content_type=FORMS[form].content_type)
        for name, value in ((wire.CURSOR, page.cursor), (wire.TOP, page.top), (wire.ROWS, len(page.rows))):
            response.headers[name] = str(value)
        return response

    def gates(self) -> Response:
        """Say how every gate is."""
        return self._document("gates", documents.gates)

    def incidents(self) -> Response:
        """Say what went wrong and is not dealt with."""
        return self._document("incidents", documents.opened)

    def coverage(self, day: str) -> Response:
        """Say for every gate whether its scans of a day are here, signed."""
        try:
            bounds(day)
        except ConfigError as bad:
            return guard.declined(Declined(400, "bad_request", bad.message, bad.next_step))
        return self._document(f"coverage {day}", lambda hub, connection: documents.covered(hub, connection, day))

    def export(self) -> Response:
        """Hand out the manifest of an export, or say how far its making is."""
        return self._admitted(self._export)

    def _export(self, reader: access.Reader, peer: str) -> Response:
        wanted = asking.parse_export(request.args)
        if isinstance(wanted, Declined):
            return guard.declined(wanted)
        try:
            found = self._hub.spool.ask(*wanted)
        except ConfigError as bad:
            # Of a day on which nothing came, or of the hub's disk: waiting helps neither.
            return guard.declined(Declined(400, "bad_request", bad.message, bad.next_step))
        if isinstance(found, Declined):
            return guard.declined(found)
        if isinstance(found, Making):
            response = jsonify(asdict(found))
            response.status_code = 202
            response.headers["Retry-After"] = "1"
            return response
        asked = pull.exported_as(*wanted)
        self._hub.handed(reader, peer, pull.Read(asked, found.summary.scans, 0, found.summary.last))
        response = Response(found.manifest, content_type="application/json")
        response.headers[wire.EXPORTED] = found.key
        return response

    def exported(self, key: str, day: str, name: str) -> Response:
        """Hand out a piece of a file of an export."""
        return self._admitted(lambda reader, peer: self._exported(reader, peer, (key, day, name)))

    def _exported(self, reader: access.Reader, peer: str, asked: tuple[str, str, str]) -> Response:
        begin = request.args.get("from", "0")
        if not asking.CURSOR.fullmatch(begin):
            return guard.declined(Declined(400, "bad_request", "from is a whole number of bytes.", "Ask from=0."))
        path = self._hub.spool.file(*asked)
        if path is None:
            return guard.declined(_PUT_AWAY)
        _, day, name = asked
        first, last = (int(number) for number in NUMBERS.findall(name))
        self._hub.handed(reader, peer, pull.Read(f"export {day}/{name}", last - first + 1, first - 1, last))
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(int(begin))
                piece = file.read(PIECE)
        except OSError:
            return guard.declined(_PUT_AWAY)
        response = Response(piece, content_type="application/octet-stream")
        response.headers[wire.SIZE] = str(size)
        return response

    def token_queries(self) -> Response:
        """Say who asked which scans were of one pass, and how often for which purpose."""
        return self._document("token queries", documents.queries)

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

    def _document(self, what: str, tell: Callable[[Hub, sqlite3.Connection], documents.Told]) -> Response:
        return self._answered(lambda reader, peer: self._hub.tell(reader, peer, what, partial(tell, self._hub)))

    def _answered(self, act: Callable[[access.Reader, str], Any]) -> Response:
        """Let somebody who pulls do something, in his turn; answers bytes as they are, else JSON or the refusal."""

        def answer(reader: access.Reader, peer: str) -> Response:
            told = act(reader, peer)
            if isinstance(told, Declined):
                return guard.declined(told)
            text = told if isinstance(told, bytes) else statement.canonical(told)
            return Response(text, content_type="application/json")

        return self._admitted(answer)

    def _admitted(self, answer: Callable[[access.Reader, str], Response]) -> Response:
        """Return the answer to a reader who may ask now, or why there is none."""
        peer = guard.peer_of(request)
        reader = _reader(self._hub)
        if isinstance(reader, Declined):
            return self._turned_away(reader, peer)
        if not self._pace.take(reader):
            return guard.declined(_TOO_FAST, retry_after_s=1)
        with self._pulls.entered() as slot_s:
            return guard.declined(_FULL, retry_after_s=slot_s) if slot_s else answer(reader, peer)

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
