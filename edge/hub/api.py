"""What machines ask the hub over HTTP: gates post, operations pull. Paths and types are in `edge.ledger.wire`.

Answers to gates are signed (COSE) or a signed receipt in a CBOR list; every refusal is JSON with a code, a sentence and
a next step. A gate lets go of nothing without a signature of ours, so none of the refusals can lose a scan.
"""

import re
from typing import Final

from flask import Blueprint, Response, jsonify, request

from edge.hub import access, guard, pull
from edge.hub.admission import BEATS_AT_ONCE, Admission
from edge.hub.hub import Declined, Hub
from edge.ledger import wire

STATUS: Final = "/v1/status"
PULLS_AT_ONCE: Final = 6
_CURSOR: Final = re.compile(r"[0-9]{1,15}", re.ASCII)

_NO_TOKEN: Final = Declined(401, "no_token", "A pull needs a token.", "Send Authorization: Bearer TOKEN.")
_WRONG_TOKEN: Final = Declined(401, "wrong_token", "The token is not one of this hub's.", "Check the token file.")
_WRONG_ROLE: Final = Declined(403, "wrong_role", "This role does not pull scans.", "Use an operator or auditor token.")
_TOO_OFTEN: Final = Declined(429, "too_often", "Too many wrong tokens from this address.", "Wait, then try again.")
_FULL: Final = Declined(503, "full", "The hub has as much to do as it may take on.", "Come back in your slot.")
_ENCODED: Final = Declined(415, "encoded", "Compressed bodies are not read.", "Send the body as it is.")
_TOO_LARGE: Final = Declined(413, "too_large", "The body is larger than this message may be.", "Send less at once.")


class Api:
    """The routes of a hub for machines.

    Args:
        hub: An open hub.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._patience = access.Patience(hub.monotonic)
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
        asked = _asked()
        if isinstance(asked, Declined):
            return guard.declined(asked)
        with self._pulls.entered() as slot_s:
            if slot_s:
                return guard.declined(_FULL, retry_after_s=slot_s)
            page = self._hub.page(reader, peer, *asked)
        return Response(page.lines(), content_type=wire.NDJSON_TYPE)

    def status(self) -> Response:
        """Say how the hub is."""
        return jsonify(self._hub.status())

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
    with hub.store.reader() as connection:
        reader = access.find(connection, token)
    if reader is None:
        return _WRONG_TOKEN
    return reader if reader.role in access.PULLERS else _WRONG_ROLE


def _asked() -> tuple[int, int] | Declined:
    """Return cursor and page size of a pull."""
    known = {"after", "limit", "format"}
    if not set(request.args) <= known:
        return _bad("There is a parameter a pull does not have.", "Use after, limit and format.")
    if request.args.get("format", "ndjson") != "ndjson":
        return _bad("Only format=ndjson is served.", "Ask for format=ndjson.")
    after, limit = request.args.get("after", "0"), request.args.get("limit", str(pull.DEFAULT))
    if not (_CURSOR.fullmatch(after) and _CURSOR.fullmatch(limit)):
        return _bad("after and limit are whole numbers.", "Pass the hub_seq of the last line you have.")
    if not 1 <= int(limit) <= pull.MOST:
        return _bad(f"limit is between 1 and {pull.MOST}.", "Ask for less at once.")
    return int(after), int(limit)


def _bad(message: str, next_step: str) -> Declined:
    return Declined(400, "bad_request", message, next_step)
