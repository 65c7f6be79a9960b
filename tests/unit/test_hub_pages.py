"""The hub's page: who may see it, in which words, and nothing hostile in it."""

import json
import re
from http.cookies import SimpleCookie
from importlib import resources
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from edge.hub import folder, incidents
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.hub.serve import create_app
from edge.hub.wording import LANGUAGES
from edge.model.scan import EntryType, Facts
from tests.simulators.hub_gates import START_MS, Clock, Device, begin, enrol, post

REMOTE = {"REMOTE_ADDR": "192.0.2.7"}
HERE = {"Host": "127.0.0.1:8090"}


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Desk:
    """A hub folder."""
    return begin(tmp_path / "hub", clock, url="http://127.0.0.1:8090")


@pytest.fixture
def browser(hub: Hub) -> FlaskClient:
    """A browser."""
    return create_app(hub).test_client()


def page(browser: FlaskClient, path: str = "/?lang=en") -> str:
    """Return a page as somebody on the hub's machine sees it."""
    answer = browser.get(path, headers=HERE)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def words(text: str) -> str:
    """Return a page's text without its tags, spaces made one."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def test_the_page_shows_gates_and_scans(hub: Hub, desk: Desk, browser: FlaskClient) -> None:
    """Place, device, backlog, what is held, trust, and the newest entries in words."""
    gate = Device()
    enrol(hub, desk, gate, site="北站", lane="3")
    gate.scan(5)
    post(hub, [gate.batch(1, 3)])
    hub.heartbeat(gate.heartbeat(START_MS + 200, trust_version=12, trust_age_s=720))

    text = words(page(browser))

    assert f"Online 北站 · 3 {gate.gate.hex()[:8]} 0 s 2 3 v12 12 min +0.2 s" in text
    assert "REJECT Pass revoked 6101 北站 · 3" in text
    assert "1 / 1" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_incident_and_type_has_words(
    hub: Hub, desk: Desk, browser: FlaskClient, clock: Clock, language: str
) -> None:
    """No key is missing where the page first meets a state, an incident or a kind of entry."""
    gate = Device()
    enrol(hub, desk, gate)
    gate.append(*(Facts(kind, START_MS, count=3) for kind in EntryType), b"\xff")
    post(hub, [gate.batch(1, len(gate.entries))])
    with hub.store.writing() as connection:
        for kind in incidents.KINDS:
            numbers = {"seq": 4, "held": 9, "first": 5, "last": 6, "km": 900, "minutes": 20, "gates": 7}
            incidents.note(connection, gate.gate, kind, START_MS, numbers)
    clock.pass_s(86_400)
    for number, lane in enumerate("abcd", start=2):
        enrol(hub, desk, Device(number), lane=lane)
    hub.heartbeat(Device(2).heartbeat(clock.ms, trust_age_s=90_000))
    hub.heartbeat(Device(3).heartbeat(clock.ms + 60_000))
    desk.retire(Device(4).gate.hex())

    text = page(browser, f"/?lang={language}")

    assert "{" not in words(text)
    assert {"silent", "stale", "clock", "retired", "waiting"} == {one.state for one in desk.gates()}


def test_both_languages_have_the_same_labels() -> None:
    """And the same placeholders in each."""
    labels = json.loads(resources.files("edge.hub").joinpath("labels.json").read_text(encoding="utf-8"))

    places = {
        language: {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in texts.items()}
        for language, texts in labels.items()
    }

    assert set(LANGUAGES) == set(labels)
    assert places["zh"] == places["en"]


def test_every_type_of_entry_has_a_label() -> None:
    """The page names whatever a gate of this release writes."""
    labels = json.loads(resources.files("edge.hub").joinpath("labels.json").read_text(encoding="utf-8"))

    assert {f"type.{kind.name.lower()}" for kind in EntryType} <= labels["en"].keys()


def test_every_label_is_used() -> None:
    """A label that no page shows is dead."""
    labels = json.loads(resources.files("edge.hub").joinpath("labels.json").read_text(encoding="utf-8"))
    root = resources.files("edge.hub")
    sources = [root.joinpath("pages.py").read_text(encoding="utf-8")]
    sources += [file.read_text(encoding="utf-8") for file in root.joinpath("templates").iterdir()]
    built = ("state.", "incident.", "outcome.", "type.", "tls.", "cover.state.", "cover.why.")

    dead = [
        key
        for key in labels["en"]
        if not key.startswith(built) and not any(f'"{key}"' in s or f"'{key}'" in s for s in sources)
    ]

    assert dead == []


@pytest.mark.parametrize(
    ("query", "accepted", "language"),
    [
        ("", "", "zh-CN"),
        ("", "en-GB,en;q=0.9", "en"),
        ("", "fr,zh;q=0.5", "zh-CN"),
        ("?lang=zh", "en", "zh-CN"),
        ("?lang=en", "zh", "en"),
        ("?lang=../../etc", "en", "en"),
    ],
)
def test_the_language_is_the_one_asked_for(browser: FlaskClient, query: str, accepted: str, language: str) -> None:
    """By address, else by the browser, else Chinese."""
    answer = browser.get(f"/{query}", headers=HERE | {"Accept-Language": accepted})

    assert f'<html lang="{language}">' in answer.get_data(as_text=True)


def test_hostile_texts_are_text(hub: Hub, desk: Desk, browser: FlaskClient) -> None:
    """Whatever a technician typed or a gate wrote stays text on the page."""
    gate = Device()
    hostile = "<script>alert(1)</script>'\"&{{7*7}}"
    enrol(hub, desk, gate, site=hostile, lane='"><img src=x onerror=alert(1)>')
    gate.append(
        Facts(EntryType.SCAN, START_MS, outcome=3, reason=hostile, issuer=hostile, format=hostile, note=hostile)
    )
    post(hub, [gate.batch(1, 1)])
    hub.heartbeat(gate.heartbeat(START_MS, trust_version=1, **{hostile[:32]: hostile}))

    text = page(browser)

    assert "<script>alert" not in text
    assert "<img" not in text
    assert "49" not in words(text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_nothing_foreign_is_loaded(browser: FlaskClient) -> None:
    """No address of another host, no style or script inside the page, and a policy that would refuse them."""
    answer = browser.get("/?lang=en", headers=HERE)
    text = answer.get_data(as_text=True)

    assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert not re.findall(r"(?:src|href|action)=\"(?:https?:)?//", text)
    assert not re.findall(r"\sstyle=|\son\w+=|<style|<script(?! src)", text)


@pytest.mark.parametrize("path", ["/", "/live", "/login", "/v1/status", "/v1/scans", "/nowhere", "/static/hub.css"])
def test_every_answer_carries_the_safe_headers(browser: FlaskClient, path: str) -> None:
    """Also refusals, and files."""
    with browser.get(path, headers=HERE) as answer:
        found = [answer.headers[name] for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy")]

    assert found == ["nosniff", "DENY", "no-referrer"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost@evil.example", "a b"]
)
def test_a_foreign_host_name_is_refused(browser: FlaskClient, host: str) -> None:
    """A page of another site that resolves to this machine reads nothing (DNS rebinding)."""
    answer = browser.get("/", headers={"Host": host})

    assert (answer.status_code, answer.get_json()["code"]) == (421, "host")


def test_a_hub_with_a_public_address_asks_everybody(tmp_path: Path, clock: Clock) -> None:
    """A proxy on this machine may say nothing of whom it speaks for: there nobody is let in without a token."""
    desk = begin(tmp_path / "public", clock, url="https://hub.example")
    hub = Hub.open(desk.home.path, clock=clock)
    answer = create_app(hub).test_client().get("/", headers={"Host": "localhost"})
    hub.close()

    assert answer.status_code == 302


@pytest.mark.parametrize("host", ["localhost:8090", "127.0.0.1", "[::1]:8090", "LOCALHOST"])
def test_this_machine_needs_no_login(browser: FlaskClient, host: str) -> None:
    """By any of its own names."""
    assert browser.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("environ", "headers"),
    [
        (REMOTE, {"Host": "192.0.2.1:8090"}),
        (REMOTE, {"Host": "192.0.2.1"}),
        (REMOTE, {"Host": "localhost"}),
        ({"REMOTE_ADDR": "127.0.0.1"}, {"Host": "192.0.2.1:8090"}),
        ({"REMOTE_ADDR": "127.0.0.1"}, {"Host": "localhost", "X-Forwarded-For": "192.0.2.9"}),
        ({"REMOTE_ADDR": "127.0.0.1"}, {"Host": "localhost", "Forwarded": "for=127.0.0.1"}),
        ({"REMOTE_ADDR": "127.0.0.1"}, {"Host": "localhost", "Via": "1.1 proxy"}),
    ],
)
def test_others_are_asked_for_a_token(browser: FlaskClient, environ: dict[str, str], headers: dict[str, str]) -> None:
    """From another machine, or through a proxy on this one, the page is behind a login."""
    answer = browser.get("/", headers=headers, environ_overrides=environ)

    assert (answer.status_code, answer.headers["Location"]) == (302, "/login?lang=zh")
    assert browser.get("/live", headers=headers, environ_overrides=environ).status_code == 401


def entered(browser: FlaskClient, token: str, form: str | None = None) -> tuple[int, SimpleCookie]:
    """Log in from another machine; return status and cookies."""
    headers = {"Host": "192.0.2.1"}
    shown = browser.get("/login?lang=en", headers=headers, environ_overrides=REMOTE).get_data(as_text=True)
    field = re.search(r'name="form" value="(\w+)"', shown)
    assert field is not None
    sent = {"token": token, "form": field[1] if form is None else form}
    answer = browser.post("/login?lang=en", data=sent, headers=headers, environ_overrides=REMOTE)
    return answer.status_code, SimpleCookie("; ".join(answer.headers.getlist("Set-Cookie")))


@pytest.mark.parametrize("role", ["operator", "auditor", "technician"])
def test_a_token_of_any_role_opens_the_page(browser: FlaskClient, desk: Desk, role: str) -> None:
    """For some hours, by a cookie that scripts and other sites cannot use, until log-out."""
    status, cookies = entered(browser, desk.new_token(role))

    assert status == 303
    assert (cookies["edge_hub"]["httponly"], cookies["edge_hub"]["samesite"]) == (True, "Strict")
    headers = {"Host": "192.0.2.1"}
    assert browser.get("/", headers=headers, environ_overrides=REMOTE).status_code == 200
    browser.post("/logout", headers=headers, environ_overrides=REMOTE)
    assert browser.get("/", headers=headers, environ_overrides=REMOTE).status_code == 302


def test_a_session_ends_at_the_hub_not_only_in_the_browser(browser: FlaskClient, desk: Desk) -> None:
    """A cookie copied before log-out opens nothing after it."""
    _, cookies = entered(browser, desk.new_token("operator"))
    copied = {"Host": "192.0.2.1", "Cookie": f"edge_hub={cookies['edge_hub'].value}"}
    browser.post("/logout", headers={"Host": "192.0.2.1"}, environ_overrides=REMOTE)

    assert browser.get("/", headers=copied, environ_overrides=REMOTE).status_code == 302


def test_a_wrong_token_opens_nothing(browser: FlaskClient) -> None:
    """And after ten the address waits."""
    statuses = [entered(browser, f"wrong{n}")[0] for n in range(12)]

    assert statuses == [403] * 10 + [429] * 2
    assert browser.get("/", headers={"Host": "192.0.2.1"}, environ_overrides=REMOTE).status_code == 302


@pytest.mark.parametrize("form", ["", "0" * 64, "é"])
def test_another_sites_form_logs_nobody_in(browser: FlaskClient, desk: Desk, form: str) -> None:
    """The form must be one we served to this browser."""
    token = (desk.home.path / folder.OPERATOR).read_text().strip()

    status, cookies = entered(browser, token, form)

    assert status == 400
    assert "edge_hub" not in cookies


def test_the_cookie_stays_on_tls_where_the_hub_is(tmp_path: Path, clock: Clock) -> None:
    """Secure, if the hub's address is https."""
    desk = begin(tmp_path / "tls", clock, url="https://hub.example")
    hub = Hub.open(desk.home.path, clock=clock)

    _, cookies = entered(create_app(hub).test_client(), desk.new_token("operator"))
    hub.close()

    assert cookies["edge_hub"]["secure"]


def test_a_hub_without_a_trust_root_says_so(tmp_path: Path, clock: Clock) -> None:
    """Gates enrolled now would get none."""
    desk = begin(tmp_path / "bare", clock, root=b"")
    hub = Hub.open(desk.home.path, clock=clock)

    text = page(create_app(hub).test_client())
    hub.close()

    assert "no trust root" in text


def test_two_hundred_gates_are_shown_and_the_rest_counted(hub: Hub, browser: FlaskClient) -> None:
    """The page stays light; the one that wants a look most comes first."""
    with hub.store.writing() as connection:
        connection.execute(
            "INSERT INTO places(id, gate, site, lane, region, since_ms) VALUES (1, x'00', 's', 'l', 0, 0)"
        )
        for number in range(250):
            key = number.to_bytes(32, "big")
            contact = START_MS - 600_000 * (number == 249)
            connection.execute(
                "INSERT INTO gates(gate, key_id, public, place, enrolled_ms, contact_ms) VALUES (?, ?, ?, 1, 0, ?)",
                (key[-16:], key[-8:], key, contact),
            )

    text = words(page(browser))

    assert "50 more: edge hub gates DIR" in text
    assert text.index("Silent") < text.index("Not heard of yet")
