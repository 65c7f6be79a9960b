"""The hub's page: gates, incidents, flow and the latest entries, in zh and en, renewed every few seconds.

On this machine it needs no login; from another it asks for an operator or technician token. It shows nothing personal,
for the ledger holds nothing personal. Everything gates and technicians typed is escaped by the templates.
"""

import logging
import secrets
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from edge.errors import ConfigError, LedgerError
from edge.hub import access, coverage, fleet, guard, incidents, pull
from edge.hub.declined import Declined
from edge.hub.front import Front
from edge.hub.hub import Hub
from edge.hub.wording import LANGUAGES, Wording, chosen
from edge.model.verdict import Outcome
from edge.words import catalogue

GATES_SHOWN: Final = 200
INCIDENTS_SHOWN: Final = 12
SCANS_SHOWN: Final = 18
VERSIONS_SHOWN: Final = 4
PAGE: Final = "page"
"""Role, in the audit, of whoever looks at a page."""
_SHORT: Final = 8
_LOG: Final = logging.getLogger("edge.hub")


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of the bar of trust versions: percent of its length, and its label."""

    start: float
    width: float
    label: str
    rank: int


@dataclass(frozen=True, slots=True)
class Column:
    """One hour of the chart: heights of its three parts in percent of the tallest hour."""

    accept: float
    refer: float
    reject: float


class Pages:
    """The routes of a hub for people.

    Args:
        hub: An open hub.
        front: How it stands to the network.
    """

    def __init__(self, hub: Hub, front: Front) -> None:
        self._hub = hub
        self._front = front
        self._sessions = access.Sessions(hub.monotonic)
        self._patience = access.Patience(hub.monotonic)

    def blueprint(self) -> Blueprint:
        """Return the routes, to register in an application."""
        routes = Blueprint("pages", __name__)
        routes.before_request(self.check_name)
        routes.get("/")(self.index)
        routes.get("/live")(self.live)
        routes.get("/coverage")(self.yesterday)
        routes.get("/coverage/<day>")(self.coverage)
        routes.get("/login")(self.login)
        routes.post("/login")(self.enter)
        routes.post("/logout")(self.leave)
        routes.register_error_handler(LedgerError, self.trouble)
        return routes

    def check_name(self) -> Response | None:
        """Refuse a Host header that is none of ours."""
        if guard.is_our_name(request, self._hub):
            return None
        return guard.declined(Declined(421, "host", _wording()("host"), self._hub.config.url))

    def index(self) -> AnyResponse:
        """Show the page, or the way to the login."""
        if not guard.may_see(request, self._hub, self._sessions):
            return redirect(url_for("pages.login", lang=_wording().language))
        is_remote = not guard.is_from_here(request, self._hub)
        return make_response(render_template("hub.html", **self._live(), is_remote=is_remote))

    def live(self) -> Response:
        """Show the part of the page that is renewed."""
        if not guard.may_see(request, self._hub, self._sessions):
            return guard.declined(Declined(401, "login", "Log in first.", "/login"))
        return make_response(render_template("live.html", **self._live()))

    def yesterday(self) -> AnyResponse:
        """Show the way to the last day that is over."""
        day = f"{datetime.fromtimestamp(self._hub.clock() / 1000, UTC) - timedelta(days=1):%Y-%m-%d}"
        return redirect(url_for("pages.coverage", day=day, lang=_wording().language))

    def coverage(self, day: str) -> AnyResponse:
        """Show for every gate whether its scans of a day are here; on record like the signed statement."""
        if not guard.may_see(request, self._hub, self._sessions):
            return redirect(url_for("pages.login", lang=_wording().language))
        try:
            begin_ms, end_ms = coverage.bounds(day)
        except ConfigError:
            return redirect(url_for("pages.yesterday", lang=_wording().language))
        token = self._sessions.token_hash(request.cookies.get(guard.COOKIE, "")) or b""
        self._hub.settle()
        with self._hub.readers.reader() as connection:
            said = coverage.of_day(connection, day, self._hub.clock())
        seen = pull.Read(f"coverage {day}", len(said["gates"]))
        self._hub.handed(access.Reader(PAGE, token.hex()[:_SHORT]), guard.peer_of(request), seen)
        return make_response(render_template("coverage.html", **_covered(said, self._hub, (begin_ms, end_ms))))

    def login(self) -> Response:
        """Show the form that asks for a token."""
        return self._form(200, "")

    def enter(self) -> AnyResponse:
        """Begin a session for a right token."""
        nonce = request.cookies.get(guard.FORM_COOKIE, "")
        if not self._sessions.is_form(nonce, request.form.get("form", "")):
            return self._form(400, _wording()("login.again"))
        token = request.form.get("token", "").strip()
        with self._hub.readers.reader() as connection:
            reader = access.find(connection, token, self._hub.clock())
        if reader is None:
            return self._refused(guard.peer_of(request))
        response = redirect(url_for("pages.index", lang=_wording().language), 303)
        is_secure = guard.is_secure(request, self._hub)
        secret = self._sessions.begin(token)
        response.set_cookie(
            guard.COOKIE, secret, httponly=True, samesite="Strict", secure=is_secure, max_age=access.SESSION_S
        )
        return response

    def leave(self) -> AnyResponse:
        """End a session; its cookie is SameSite=Strict, so no other site can log anybody out."""
        self._sessions.end(request.cookies.get(guard.COOKIE, ""))
        response = redirect(url_for("pages.login", lang=_wording().language), 303)
        response.delete_cookie(guard.COOKIE)
        return response

    def trouble(self, error: LedgerError) -> Response:
        """Say that the ledger cannot be read."""
        _LOG.error("%s", error)
        page = render_template("trouble.html", words=_wording(), name=self._hub.config.name)
        response = make_response(page, 503)
        response.headers["Retry-After"] = "60"
        return response

    def _live(self) -> dict[str, Any]:
        certificate = self._front.certificate
        found = certificate.finding() if certificate is not None else None
        notices = [_wording()(f"tls.{found.code}", date=found.expires)] if found else []
        return {**_live(self._hub), "notices": notices}

    def _form(self, status: int, problem: str) -> Response:
        nonce = secrets.token_urlsafe(16)
        form = self._sessions.form_token(nonce)
        response = make_response(render_template("login.html", words=_wording(), form=form, problem=problem), status)
        is_secure = guard.is_secure(request, self._hub)
        response.set_cookie(guard.FORM_COOKIE, nonce, httponly=True, samesite="Strict", secure=is_secure, max_age=3600)
        return response

    def _refused(self, peer: str) -> Response:
        wait_s = self._patience.wait_s(peer)
        if wait_s:
            return self._form(429, _wording()("login.wait", n=wait_s))
        self._patience.failed(peer)
        return self._form(403, _wording()("login.wrong"))


def _wording() -> Wording:
    return chosen(request.args.get("lang", ""), request.accept_languages.best_match(LANGUAGES))


def _covered(said: dict[str, Any], hub: Hub, times: tuple[int, int]) -> dict[str, Any]:
    """Return everything the page of a day shows."""
    begin_ms, end_ms = times
    gates = sorted(said["gates"], key=lambda gate: (coverage.STATES[::-1].index(gate["state"]), gate["site"]))
    return {
        "words": _wording(),
        "name": hub.config.name,
        "said": said,
        "gates": gates[:GATES_SHOWN],
        "gates_more": len(gates) - GATES_SHOWN,
        "states": coverage.STATES,
        "before": _day_of(begin_ms - 1),
        "after": _day_of(end_ms) if end_ms <= hub.clock() else "",
        "short": _SHORT,
    }


def _day_of(unix_ms: int) -> str:
    return (pull.iso(unix_ms) or "")[:10]


def _live(hub: Hub) -> dict[str, Any]:
    """Return everything the templates show, from now."""
    words = _wording()
    now_ms = hub.clock()
    with suppress(LedgerError):
        hub.settle()
    with hub.readers.reader() as connection:
        seen = fleet.overview(connection, now_ms, hub.silent_s)
        opened = incidents.listed(connection, most=INCIDENTS_SHOWN, is_open=True)
        opened_all = incidents.count_open(connection)
        scans = pull.newest(connection, SCANS_SHOWN)
    active = [one for one in seen.gates if one.state != "retired"]
    slices, newest = _adoption(words, active)
    return {
        "words": words,
        "name": hub.config.name,
        "at": pull.iso(now_ms),
        "has_root": bool(hub.home.root()),
        "gates": seen.gates[:GATES_SHOWN],
        "gates_more": len(seen.gates) - GATES_SHOWN,
        "kpi": _kpi(words, seen, active, newest, opened_all),
        "incidents": [_incident(words, one, seen, now_ms) for one in opened],
        "incidents_more": opened_all - len(opened),
        "slices": slices,
        "columns": _columns(seen.flow),
        "peak": max(sum(hour.values()) for hour in seen.flow),
        "scans": [{**scan, "words": _reason(words, scan["reason"])} for scan in scans],
        "age": lambda seconds: catalogue.duration(words.language, seconds),
        "short": lambda gate: gate.hex()[:_SHORT],
        "newest": newest[0],
    }


def _kpi(
    words: Wording,
    seen: fleet.Overview,
    active: list[fleet.GateState],
    newest: tuple[int | None, int],
    opened: int,
) -> list[tuple[str, str, str, str]]:
    """Return label, value, note and tone of each figure at the top."""
    online = sum(one.state in fleet.PRESENT for one in active)
    backlog = sum(one.backlog or 0 for one in active)
    checks = sum(seen.tallies.values())
    version, share = newest
    parts = [100 * seen.tallies.get(int(outcome), 0) / (checks or 1) for outcome in (Outcome.REJECT, Outcome.REFER)]
    return [
        (
            words("kpi.online"),
            f"{online:,} / {len(active):,}",
            words("kpi.online.of", n=len(active)),
            _tone(online, active),
        ),
        (words("kpi.backlog"), f"{backlog:,}", words("kpi.backlog.note"), ""),
        (
            words("kpi.trust"),
            "—" if version is None else f"v{version}",
            "" if version is None else words("kpi.trust.share", n=share),
            "",
        ),
        (words("kpi.held"), f"{seen.held:,}", words("kpi.held.note"), ""),
        (words("kpi.refused"), f"{parts[0]:.1f} / {parts[1]:.1f} %", words("kpi.refused.note", n=checks), ""),
        (
            words("kpi.incidents"),
            f"{opened:,}",
            words("kpi.incidents.note" if opened else "kpi.incidents.none"),
            "bad" if opened else "",
        ),
    ]


def _tone(online: int, active: list[fleet.GateState]) -> str:
    return "bad" if online < len(active) else ""


def _adoption(words: Wording, active: list[fleet.GateState]) -> tuple[list[Slice], tuple[int | None, int]]:
    """Return the bar of trust versions, the newest first, and the newest with its share in whole percent."""
    counts = Counter(one.trust_version for one in active if one.trust_version is not None)
    total = sum(counts.values())
    slices: list[Slice] = []
    start = 0.0
    for rank, (version, count) in enumerate(sorted(counts.items(), reverse=True)[:VERSIONS_SHOWN]):
        width = 100 * count / total
        slices.append(Slice(start, width, words("adoption.version", version=str(version), n=count), rank))
        start += width
    newest = max(counts, default=None)
    return slices, (newest, 0 if newest is None else 100 * counts[newest] // total)


def _columns(flow: tuple[Mapping[int, int], ...]) -> list[Column]:
    tallest = max(1, *(sum(hour.values()) for hour in flow))
    return [Column(*(100 * hour.get(int(outcome), 0) / tallest for outcome in Outcome)) for hour in flow]


def _incident(words: Wording, one: incidents.Incident, seen: fleet.Overview, now_ms: int) -> dict[str, Any]:
    places = {gate.gate: f"{gate.site} · {gate.lane}" for gate in seen.gates}
    ago = catalogue.duration(words.language, (now_ms - one.last_ms) / 1000)
    return {
        "is_severe": one.kind in incidents.SEVERE,
        "where": places.get(one.gate, words("incidents.nobody")),
        "gate": one.gate.hex()[:_SHORT],
        "what": words(f"incident.{one.kind}", **one.params),
        "count": one.count,
        "evidence": one.evidence,
        "ago": ago,
        "id": one.id,
    }


def _reason(words: Wording, reason: str | None) -> str:
    return catalogue.reason_words(words.language, reason).title if reason else ""
