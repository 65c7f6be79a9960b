"""Tokens of people: named, listed, ended and revoked; what is read with them is on record."""

import re
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from edge.errors import AnswerRefused, ConfigError
from edge.hub import access, client, folder, statement
from edge.hub.client import Client, Source
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from tests.simulators.hub_gates import Clock, Device, enrol
from tests.simulators.hub_server import Caller, serving


@pytest.fixture
def url(desk: Desk, clock: Clock) -> Iterator[str]:
    """The hub, served, with one gate."""
    hub = Hub.open(desk.home.path, clock=clock)
    enrol(hub, desk, Device(), site="北站")
    with serving(hub) as address:
        yield address
    hub.close()


def status_of(url: str, token: str) -> int:
    """Return what a token gets: 200, or the refusal's status."""
    try:
        Client(Source(url, token)).gates()
    except AnswerRefused as refused:
        return refused.status
    return 200


def test_a_token_ends_by_itself(url: str, desk: Desk, clock: Clock) -> None:
    """At the millisecond, and is listed with its end."""
    token = desk.new_token("auditor", name="court", days=1)
    before = status_of(url, token)
    clock.pass_s(86_400)

    assert (before, status_of(url, token)) == (200, 401)
    assert ("court", "auditor") in [(one.name, one.role) for one in desk.tokens()]


def test_a_revoked_token_opens_nothing(url: str, desk: Desk) -> None:
    """By its name, and only that one."""
    court, police = desk.new_token("auditor", name="court"), desk.new_token("operator", name="police")

    assert (desk.revoke("court"), desk.revoke("court"), desk.revoke("")) == (1, 0, 0)
    assert (status_of(url, court), status_of(url, police)) == (401, 200)


def test_a_technician_reads_no_documents(url: str, desk: Desk) -> None:
    """Roles hold for every document."""
    assert status_of(url, desk.new_token("technician")) == 403


def test_no_token_is_listed_or_kept(desk: Desk) -> None:
    """Only the beginning of its hash."""
    token = desk.new_token("auditor", name="court")

    assert token not in repr(desk.tokens())
    assert token.encode() not in desk.home.database.read_bytes()


@pytest.mark.parametrize(("name", "days"), [("x" * 65, None), (" x", None), ("a\nb", None), ("x", 0), ("x", 99999)])
def test_impossible_terms_are_refused(desk: Desk, name: str, days: float | None) -> None:
    """With what to choose."""
    with pytest.raises(ConfigError):
        desk.new_token("auditor", name=name, days=days)


def test_documents_are_read_on_record(url: str, desk: Desk) -> None:
    """Gates, incidents and coverage, each by what it was."""
    hub = Client(Source(url, client.read_token(desk.home.path / folder.OPERATOR)))
    gates, incidents, coverage = hub.gates(), hub.incidents(), hub.coverage("2026-11-18")

    assert (gates[0]["site"], incidents) == ("北站", [])
    assert statement.opened("coverage", statement.canonical(coverage), None)["gates"][0]["site"] == "北站"
    assert [(one["what"], one["rows"]) for one in desk.pulls(10)] == [
        ("coverage 2026-11-18", 1),
        ("incidents", 0),
        ("gates", 1),
    ]
    with pytest.raises(AnswerRefused, match="no day"):
        hub.coverage("yesterday")


def logged_in(url: str, token: str) -> tuple[Caller, str]:
    """Log in to the page as from another machine; return the connection and the session's cookie."""
    caller = Caller(url)
    form = caller.get("/login")
    nonce = form.headers["Set-Cookie"].partition(";")[0]
    (hidden,) = re.findall(r'name="form" value="([0-9a-f]+)"', form.body.decode())
    body = urlencode({"form": hidden, "token": token}).encode()
    done = caller.post("/login", body, Cookie=nonce, Content_Type="application/x-www-form-urlencoded")
    assert done.status == 303
    return caller, done.headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize("how", ["revoked", "ended"])
def test_a_token_that_is_no_more_closes_its_pages(url: str, desk: Desk, clock: Clock, how: str) -> None:
    """With the next request, and no other page."""
    mine, other = desk.new_token("technician", name="mine", days=1), desk.new_token("technician", name="other")
    pages = [logged_in(url, token) for token in (mine, other)]
    before = [caller.get("/live", Cookie=cookie, Via="proxy").status for caller, cookie in pages]
    if how == "revoked":
        desk.revoke("mine")
    else:
        clock.pass_s(86_400)
    after = [caller.get("/live", Cookie=cookie, Via="proxy").status for caller, cookie in pages]
    for caller, _ in pages:
        caller.__exit__(None, None, None)

    assert (before, after) == ([200, 200], [401, 200])


def test_a_token_that_asks_too_often_waits_and_no_other_does() -> None:
    """Each has its own allowance, filled again with time."""
    ticks = [0.0]
    pace = access.Pace(lambda: ticks[0], rate=2.0, burst=3.0)
    hasty, calm = access.Reader("operator", "aaaaaaaa"), access.Reader("auditor", "bbbbbbbb")

    assert [pace.take(hasty) for _ in range(4)] == [True, True, True, False]
    assert pace.take(calm)
    ticks[0] = 1.0
    assert [pace.take(hasty) for _ in range(3)] == [True, True, False]
