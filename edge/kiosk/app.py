"""The gate's pages as a Flask application: the staff page, its events, preview, commands and the shift report.

It decides nothing and records nothing: verdicts come from the scanner part, commands go to it. Which hosts and origins
may ask is `edge.kiosk.guard`'s word.
"""

import base64
import binascii
import gzip
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from flask import Flask, Response, abort, jsonify, render_template, request
from werkzeug.exceptions import HTTPException

from edge.errors import Unreachable
from edge.kiosk import guard
from edge.kiosk.board import Board, idents_of
from edge.kiosk.drawing import svg
from edge.kiosk.fanout import MAX_CLIENTS, Fanout, Listener
from edge.kiosk.link_file import Link
from edge.kiosk.report import shift_report
from edge.kiosk.view import asked_of, code_of, section
from edge.model.settings import Settings
from edge.words.catalogue import NOTES, label, languages, reason_words

_BEAT_S = 5.0
_PREVIEW_S = 0.2
_MAX_BODY = 8 * 1024
_MAX_PIN = 64
_PIN_WAIT_S = 20.0
"""An argon2id check takes seconds on a small board, on purpose."""

_PAGE = re.compile(r"[0-9a-f]{32}\Z")
"""The name a page gives itself: nobody else can guess it, so nobody else speaks for it."""

_NUMBER = re.compile(r"[1-9][0-9]{0,15}\Z", re.ASCII)
_SLIP = re.compile(r"HS1:[0-9A-Z $%*+./:-]{1,1600}\Z")
_MAX_NUMBER = 32
_PIN_COMMANDS = frozenset({"override"})


class Asker(Protocol):
    """Whoever carries a command to the scanner part."""

    def ask(self, command: Mapping[str, Any], timeout_s: float = 2.0) -> dict[str, Any]:
        """Return its answer.

        Raises:
            Unreachable: It gave none.
        """


@dataclass
class Desk:
    """What the routes share.

    Attributes:
        settings: The gate's settings.
        board: What every page must show.
        fanout: The open pages.
        gate: The way to the scanner part.
        token: The secret that a command must carry.
    """

    settings: Settings
    board: Board
    fanout: Fanout
    gate: Asker
    token: str
    preview: "Preview" = field(init=False)

    def __post_init__(self) -> None:
        self.preview = Preview(self.gate)


class Preview:
    """The newest picture, asked of the scanner part at most five times a second however many pages look.

    Args:
        gate: The way to the scanner part.
        clock: Monotonic seconds.
    """

    def __init__(self, gate: Asker, clock: Callable[[], float] = time.monotonic) -> None:
        self._gate = gate
        self._clock = clock
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._jpeg: bytes | None = None

    def picture(self) -> bytes | None:
        """Return a JPEG, or None where there is none."""
        with self._lock:
            if self._clock() - self._at >= _PREVIEW_S:
                self._jpeg = self._ask()
                self._at = self._clock()
            return self._jpeg

    def _ask(self) -> bytes | None:
        try:
            encoded = self._gate.ask({"cmd": "preview"}, timeout_s=1.0).get("jpeg")
            jpeg = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
        except (Unreachable, binascii.Error, ValueError):
            return None
        return jpeg if jpeg.startswith(b"\xff\xd8") else None


def create_app(
    settings: Settings,
    gate: Asker,
    *,
    fanout: Fanout | None = None,
    board: Board | None = None,
    token: str = "",
) -> Flask:
    """Make the application.

    Args:
        settings: The gate's settings.
        gate: The way to the scanner part.
        fanout: The open pages; its own where none is given.
        board: What every page must show; an empty one where none is given.
        token: The secret that a command must carry; made here where none is given.
    """
    token = token or secrets.token_urlsafe(24)
    fanout = fanout or Fanout()
    desk = Desk(settings, board or Board(fanout, Link, token), fanout, gate, token)
    app = Flask("edge.kiosk")
    app.config["MAX_CONTENT_LENGTH"] = _MAX_BODY
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    _guard(app, desk)
    app.add_url_rule("/", "gate", lambda: _gate_page(desk))
    app.add_url_rule("/report", "report", lambda: _report_page(desk))
    app.add_url_rule("/events", "events", lambda: _events(desk))
    app.add_url_rule("/preview.jpg", "preview", lambda: _preview(desk))
    app.add_url_rule("/slip.svg", "slip", lambda: _slip(desk))
    app.add_url_rule("/asks.svg", "asks", lambda: _asks(desk))
    app.add_url_rule("/command", "command", lambda: _command(desk), methods=["POST"])
    app.add_url_rule("/healthz", "healthz", lambda: _healthz(desk))
    return app


def _guard(app: Flask, desk: Desk) -> None:
    hosts = guard.allowed_hosts(desk.settings.web.host)

    def check() -> None:
        if guard.host_name(request.headers.get("Host", "")) not in hosts:
            abort(421, label(_language(desk), "error.host"))
        # Opening the page from a link elsewhere is fine; its data and commands belong to the page alone.
        if request.path not in ("/", "/report") and not guard.is_same_site(dict(request.headers)):
            abort(403, label(_language(desk), "error.origin"))

    def finish(response: Response) -> Response:
        for name, value in guard.HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def explain(error: HTTPException) -> Response:
        keys = {404: "error.not_found", 405: "error.command", 413: "error.size", 400: "error.command"}
        code = error.code or 500
        said = error.description if code in (403, 421) and error.description else ""
        text = said or label(_language(desk), keys.get(code, "error.fault"))
        return Response(f"{text}\n", code, content_type="text/plain; charset=utf-8")

    app.before_request(check)
    app.after_request(finish)
    app.register_error_handler(HTTPException, explain)


def _language(desk: Desk) -> str:
    asked = request.args.get("lang", "")
    return next((code for code in (asked, desk.settings.web.language) if code in languages()), "en")


def _gate_page(desk: Desk) -> Response:
    language = _language(desk)
    web = desk.settings.web
    config = {
        "language": language,
        "asked": request.args.get("lang") in languages(),
        "languages": {
            code: {
                "name": spoken.name,
                "short": spoken.short,
                "locale": spoken.locale,
                "direction": spoken.direction,
                "other": spoken.other,
                "labels": {key: text for key, text in spoken.labels.items() if not key.startswith(_SERVER_ONLY)},
                "notHolder": _not_holder(code),
            }
            for code, spoken in languages().items()
        },
        "sound": web.sound if web.sound in ("off", "neutral", "verdict") else "neutral",
        "slips": web.slips,
        "notes": NOTES,
        "override": bool(desk.settings.staff.pin_file),
        "token": desk.token,
    }
    page = render_template("gate.html", spoken=languages()[language], say=_sayer(language), config=config)
    return _page(page)


_SERVER_ONLY = ("report.", "error.", "unit.", "place.", "kind.", "health.", "family.", "link.", "backlog")
"""Labels no script of the gate page says."""


def _not_holder(language: str) -> dict[str, str]:
    words = reason_words(language, "staff.not_holder")
    return {"title": words.title, "detail": words.detail, "next": words.next_step}


def _sayer(language: str) -> Callable[..., str]:
    def say(key: str, **params: str | float) -> str:
        return label(language, key, **params)

    return say


def _page(html: str) -> Response:
    response = Response(html, content_type="text/html; charset=utf-8")
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response.set_data(gzip.compress(html.encode(), compresslevel=6, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    return response


def _report_page(desk: Desk) -> Response:
    language = _language(desk)
    state, open_verdicts = desk.board.last_state()
    missing = ""
    try:
        raw = section(desk.gate.ask({"cmd": "report"}), "report")
    except Unreachable:
        raw, missing = {}, "report.partial" if state["at_ms"] else "report.nothing"
    report = shift_report(language, raw, state, open_verdicts)
    spoken = languages()[language]
    return _page(render_template("report.html", spoken=spoken, say=_sayer(language), report=report, missing=missing))


def _events(desk: Desk) -> Response:
    if request.method == "HEAD":  # has no body whose end would give the place back
        return Response(content_type="text/event-stream; charset=utf-8")
    is_gone: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    listener = desk.board.listen(is_gone, None if request.args.get("paints") == "no" else _page_name())
    if listener is None:
        text = label(_language(desk), "error.full", limit=MAX_CLIENTS)
        return Response(f"{text}\n", 503, {"Retry-After": "5"}, content_type="text/plain; charset=utf-8")
    response = Response(_Stream(desk.fanout, listener), content_type="text/event-stream; charset=utf-8")
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _page_name() -> str:
    name = request.args.get("page", "")
    return name if _PAGE.match(name) else ""


class _Stream:
    """The body of one page's event stream.

    A class and not a generator: the server calls `close` even where it never asked for the first piece, and a
    generator that has not begun skips its `finally`, which would keep the place taken for ever.
    """

    def __init__(self, fanout: Fanout, listener: Listener) -> None:
        self._fanout = fanout
        self._listener = listener

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        text = self._listener.get(_BEAT_S)
        if text is None:
            raise StopIteration
        # A comment is nothing to the page, and shows the server a connection that has died.
        return f"data: {text}\n\n".encode() if text else b": beat\n\n"

    def close(self) -> None:
        self._fanout.leave(self._listener)


def _preview(desk: Desk) -> Response:
    jpeg = desk.preview.picture()
    return Response(status=204) if jpeg is None else Response(jpeg, content_type="image/jpeg")


def _slip(desk: Desk) -> Response:
    seq = request.args.get("seq", "")
    if not _NUMBER.match(seq):
        abort(400)
    try:
        code = desk.gate.ask({"cmd": "slip", "seq": int(seq)}).get("slip")
    except Unreachable:
        code = None
    if not isinstance(code, str) or not _SLIP.match(code):
        text = label(_language(desk), "error.slip")
        return Response(f"{text}\n", 404, content_type="text/plain; charset=utf-8")
    return Response(svg(code), content_type="image/svg+xml")


def _asks(desk: Desk) -> Response:
    """Draw what phones must answer now; the address only keeps a browser from showing an old one."""
    asks = asked_of(desk.board.last_state()[0])
    return Response(svg(f"HN1:{asks}"), content_type="image/svg+xml") if asks else Response(status=204)


def _command(desk: Desk) -> Response:
    if not guard.is_token(request.headers.get(guard.TOKEN_HEADER), desk.token):
        abort(403, label(_language(desk), "error.origin"))
    body = _body()
    if body.get("cmd") == "ack":
        desk.board.acknowledge(idents_of(body.get("ids")))
        return jsonify(ok=True)
    if body.get("cmd") == "not_shown":
        return _not_shown(desk, body)
    command = checked_command(body)
    if command is None:
        abort(400)
    try:
        answer = desk.gate.ask(command, timeout_s=_PIN_WAIT_S if command["cmd"] in _PIN_COMMANDS else 5.0)
    except Unreachable:
        return jsonify(ok=False, code="scanner")
    if answer.get("ok") is True:
        compared = {"matched": answer["matched"] is True} if "matched" in answer else {}
        return jsonify(ok=True, seq=answer.get("seq"), **compared)
    return jsonify(ok=False, code=code_of(answer.get("code")))


def _not_shown(desk: Desk, body: Mapping[str, Any]) -> Response:
    page = body.get("page")
    if not isinstance(page, str):
        abort(400)
    code = ""
    for seq in desk.board.not_shown(idents_of(body.get("ids")), page):
        try:
            answer = desk.gate.ask({"cmd": "not_shown", "seq": seq}, timeout_s=5.0)
        except Unreachable:
            # The accepts stand: whoever shows the pass again is referred to staff.
            return jsonify(ok=False, code="scanner")
        if answer.get("ok") is not True:
            code = code_of(answer.get("code"))
    return jsonify(ok=False, code=code) if code else jsonify(ok=True)


def _body() -> Mapping[str, Any]:
    # Only JSON that says so: a form of another site cannot set this type without asking first.
    if request.mimetype != "application/json":
        abort(400)
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        abort(400)
    return body


def checked_command(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the command to forward, only with the fields it may have, or None where it is none of ours.

    Args:
        body: What a page posted.
    """
    name, seq, note, pin = body.get("cmd"), body.get("seq"), body.get("note"), body.get("pin")
    if name == "manual":
        return _by_hand(body.get("way"), body.get("number", ""))
    if type(seq) is not int or not 0 < seq < 1 << 53:
        return None
    if name in ("not_holder", "undo"):
        return {"cmd": name, "seq": seq}
    if name == "tail":
        tail = body.get("tail")
        return {"cmd": name, "seq": seq, "tail": tail} if isinstance(tail, str) and len(tail) <= _MAX_NUMBER else None
    if not isinstance(note, str) or note not in NOTES:
        return None
    if name == "note":
        return {"cmd": name, "seq": seq, "note": note}
    if name != "override" or not isinstance(pin, str) or not 1 <= len(pin) <= _MAX_PIN:
        return None
    return {"cmd": name, "seq": seq, "pin": pin, "note": note}


def _by_hand(way: object, number: object) -> dict[str, Any] | None:
    if way not in ("document", "registration") or not isinstance(number, str) or len(number) > _MAX_NUMBER:
        return None
    return {"cmd": "manual", "way": way, **({"number": number} if way == "document" else {})}


def _healthz(desk: Desk) -> Response:
    state, _ = desk.board.last_state()
    return jsonify(ok=True, scanner=state["connected"], pages=desk.fanout.count(), pages_max=MAX_CLIENTS)
