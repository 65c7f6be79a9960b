"""The board, the routes and the server: who may ask, what is kept and for how long, how it starts and ends."""

import base64
import gzip
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from flask import Flask
from flask.testing import FlaskClient

from edge.errors import ConfigError, PortInUse, Unreachable
from edge.kiosk.app import Preview, checked_command, create_app
from edge.kiosk.board import Board
from edge.kiosk.drawing import svg
from edge.kiosk.fanout import MAX_CLIENTS, Fanout, Listener
from edge.kiosk.guard import HEADERS, allowed_hosts, host_name
from edge.kiosk.link_file import Link
from edge.kiosk.serve import serve
from edge.model.settings import Settings, StaffSettings, WebSettings
from tests.simulators.gate_socket import accept, refer, reject, standing

TOKEN = "the-token"
JUNK = ({}, {"type": "moon"}, {"type": "verdict"}, {"type": "state"}, {"type": "state", "gate": 7})
FOREIGN = ("evil.example", "127.0.0.1.evil.example", "", "127.0.0.2", "0.0.0.0", "[::2]", "localhost.evil")
MODULES = {"/static/paint.js", "/static/draw.js", "/static/sound.js"}
STATIC = Path(__file__).parents[2] / "edge" / "kiosk" / "static"
JPEG = b"\xff\xd8\xff\xe0 a picture"


HERE, THERE = "1" * 32, "2" * 32
"""Names of pages."""


class Clock:
    """A monotonic clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeGate:
    """A scanner part that answers from memory, or is away."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] | None = {"ok": True, "seq": 900}

    def ask(self, command: Mapping[str, Any], timeout_s: float = 2.0) -> dict[str, Any]:
        """Return what the test set."""
        self.asked.append(dict(command))
        if self.answer is None:
            raise Unreachable("away")
        return self.answer


class Bench:
    """A board with one page listening."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.fanout = Fanout()
        self.link = Link("online", 0, 3)
        self.board = Board(self.fanout, lambda: self.link, TOKEN, self.clock)
        self.page: Listener = self.open(HERE)

    def open(self, page: str | None = "") -> Listener:
        """Admit a page."""
        listener = self.board.listen(lambda: False, page)
        assert listener is not None
        return listener

    def show(self, message: dict[str, Any]) -> str:
        """Let a verdict come and return its name."""
        self.board.on_message(message)
        return str(self.told()[-1]["id"])

    def told(self) -> list[dict[str, Any]]:
        """Return what the page was told since the last look."""
        messages = []
        while text := self.page.get(0):
            messages.append(json.loads(text))
        return messages


@pytest.fixture
def bench() -> Bench:
    """A board whose page has read its snapshot and the gate's state."""
    made = Bench()
    made.board.on_message(standing())
    made.told()
    return made


@pytest.fixture
def far() -> FakeGate:
    """The scanner part behind the routes."""
    return FakeGate()


@pytest.fixture
def board() -> Board:
    """What every page must show."""
    return Board(Fanout(), Link, TOKEN)


@pytest.fixture
def app(far: FakeGate, board: Board) -> Flask:
    """The application of a gate with a PIN."""
    settings = Settings(staff=StaffSettings(pin_file="pin"))
    return create_app(settings, far, fanout=board._fanout, board=board, token=TOKEN)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser on the gate itself."""
    app.testing = True
    return app.test_client()


def post(client: FlaskClient, body: object, **headers: str) -> Any:
    """Post a command as the page does; `headers` replace or add."""
    host = "127.0.0.1:8080"
    sent = {"Host": host, "X-Edge-Token": TOKEN, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/command", data=json.dumps(body), content_type="application/json", headers=sent | named)


def fetch(client: FlaskClient, path: str) -> bytes:
    """Return a whole file and let it go."""
    with client.get(path) as answer:
        assert answer.status_code == 200
        return answer.data


def test_a_verdict_goes_to_the_page_once(bench: Bench) -> None:
    """Each verdict of the scanner part is one event with a name of its own."""
    bench.board.on_message(accept(482))
    bench.board.on_message(accept(482))

    told = bench.told()

    assert [event["type"] for event in told] == ["verdict", "verdict"]
    assert told[0]["id"] != told[1]["id"]
    assert told[0]["number"] == "A7F3-000482"


def test_a_verdict_still_showing_comes_with_the_snapshot(bench: Bench) -> None:
    """A page that is reloaded shows the accept for the rest of its time, and not after."""
    bench.board.on_message(accept(482))
    bench.clock.now += 3.75
    within = bench.board.snapshot()
    bench.clock.now += 0.25
    after = bench.board.snapshot()

    assert (within["verdict"]["seq"], within["age_ms"]) == (482, 3750)
    assert after["verdict"] is None


def test_a_holder_is_forgotten_when_the_time_is_over(bench: Bench) -> None:
    """After an accept's time nothing of the holder is left on the board."""
    bench.board.on_message(accept(482))
    bench.clock.now += 4
    bench.board.pulse()

    assert bench.board._showing is None
    assert "张" not in json.dumps(bench.board.snapshot(), ensure_ascii=False)


def test_an_unacknowledged_red_survives_every_reload(bench: Bench) -> None:
    """A reload does not wipe a red: it stays in the snapshot until somebody acknowledges it."""
    bench.board.on_message(reject(482))
    bench.clock.now += 3600
    kept = bench.board.snapshot()["open"]
    bench.board.acknowledge([kept[0]["id"]])

    assert [entry["seq"] for entry in kept] == [482]
    assert bench.board.snapshot()["open"] == []


def test_an_acknowledgement_is_told_to_every_page(bench: Bench) -> None:
    """Two screens of one gate agree; one that was acknowledged already is not told again."""
    bench.board.on_message(refer(482))
    ident = bench.told()[0]["id"]
    bench.board.acknowledge([ident, "unknown"])
    bench.board.acknowledge([ident])

    assert bench.told() == [{"type": "ack", "ids": [ident]}]
    assert bench.board.snapshot()["verdict"] is None


def test_the_list_of_unacknowledged_verdicts_is_bounded(bench: Bench) -> None:
    """An hour of foreign codes nobody acknowledges takes no memory."""
    for seq in range(1, 500):
        bench.board.on_message(reject(seq))
        bench.told()

    assert len(bench.board.snapshot()["open"]) == 50
    assert bench.board.snapshot()["open"][-1]["seq"] == 499


def test_half_of_two_codes_is_never_a_green_after_a_reload(bench: Bench) -> None:
    """A page that opens in the middle of two codes gets neither accept."""
    bench.board.on_message(accept(482, together=2))

    assert bench.board.snapshot()["verdict"] is None


def test_an_accept_that_no_page_showed_is_named_once(bench: Bench) -> None:
    """The only page says so: the gate may take it back, and whoever opens a page later sees an amber, not a green."""
    ident = bench.show(accept(482))
    named = bench.board.not_shown([ident], HERE)
    again = bench.board.not_shown([ident], HERE)
    left = bench.board.snapshot()

    assert (named, again) == ([482], [])
    assert left["verdict"] is None
    assert [(entry["id"], entry["outcome"]) for entry in left["open"]] == [(ident, "refer")]
    assert "张" not in json.dumps(left, ensure_ascii=False)


def test_an_accept_that_another_page_may_have_shown_stands(bench: Bench) -> None:
    """Two pages were handed it: one that was late says nothing about the other, and only both free the pass."""
    bench.open(THERE)
    ident = bench.show(accept(482))

    assert bench.board.not_shown([ident], HERE) == []
    assert bench.board.not_shown([ident], HERE) == []
    assert bench.board.not_shown([ident], THERE) == [482]


def test_a_page_that_was_loaded_again_never_speaks_for_what_it_was_before(bench: Bench) -> None:
    """It may have been green before the reload: the new page was not handed it, or shows it now."""
    ident = bench.show(accept(482))
    bench.board._fanout.leave(bench.page)
    bench.clock.now += 1
    bench.open(THERE)

    assert bench.board.not_shown([ident], THERE) == []
    assert bench.board.not_shown([ident], "3" * 32) == []
    assert bench.board.not_shown([ident], HERE) == [482]  # only where the first lives on and says so too


def test_a_page_that_opens_late_is_a_witness_too(bench: Bench) -> None:
    """The snapshot handed it the green: what the first page says is not enough any more."""
    ident = bench.show(accept(482))
    bench.clock.now += 3
    bench.open(THERE)

    assert bench.board.not_shown([ident], HERE) == []


def test_a_page_without_a_name_may_have_shown_anything(bench: Bench) -> None:
    """Whoever listens and does not say what he is counts as a page that shows; an empty name speaks for nobody."""
    bench.open()
    ident = bench.show(accept(482))

    assert bench.board.not_shown([ident], HERE) == []
    assert bench.board.not_shown([ident], "") == []


def test_whoever_only_watches_is_no_witness(bench: Bench) -> None:
    """The shift report and the demo paint no verdicts."""
    bench.open(None)
    ident = bench.show(accept(482))

    assert bench.board.not_shown([ident], HERE) == [482]


def test_a_page_that_is_gone_by_then_is_no_witness(bench: Bench) -> None:
    """Closed before the verdict came, it cannot have shown it, though its stream still stands in the list."""
    bench.board.listen(lambda: True, THERE)
    ident = bench.show(accept(482))

    assert bench.board.not_shown([ident], HERE) == [482]


def test_a_page_that_reads_too_slowly_is_no_witness_of_what_it_was_not_given(bench: Bench) -> None:
    """Its stream was cut before: of what was in it nothing is known, of what comes after it knows nothing."""
    slow = bench.open(THERE)
    idents = [bench.show(accept(seq)) for seq in range(1, 66)]

    assert slow.is_dropped
    assert bench.board.not_shown(idents[-1:], HERE) == [65]
    assert bench.board.not_shown(idents[10:11], HERE) == []


@pytest.mark.parametrize("message", [refer(482), reject(482)])
def test_only_an_accept_can_have_been_missed(bench: Bench, message: dict[str, Any]) -> None:
    """What a page says of a refer or a reject is nothing to the gate."""
    assert bench.board.not_shown([bench.show(message), "unknown"], HERE) == []


def test_what_pages_may_have_shown_is_bounded(bench: Bench) -> None:
    """An hour of people takes no memory; of one long ago nobody speaks any more."""
    idents = [bench.show(accept(seq)) for seq in range(1, 500)]

    assert len(bench.board._witnesses._handed) == 64
    assert bench.board.not_shown(idents[:1], HERE) == []


def test_the_state_is_a_heartbeat_and_no_flood(bench: Bench) -> None:
    """An unchanged state is told every four seconds, however often the scanner part repeats it."""
    told = []
    for _ in range(80):
        bench.clock.now += 0.1
        bench.board.on_message(standing())
        bench.board.pulse()
        told += bench.told()

    assert [event["type"] for event in told] == ["state", "state"]


def test_a_change_of_the_link_is_told_at_the_next_pulse(bench: Bench) -> None:
    """Offline is on the page a second after `link.json` says so."""
    bench.link = Link("offline", 0, 9)
    bench.board.pulse()

    told = bench.told()

    assert [event["link"] for event in told] == ["offline"]
    assert told[0]["texts"]["zh"]["backlog"] == "9 条待上传"


def test_a_scanner_part_that_left_takes_its_state_along(bench: Bench) -> None:
    """Without it the page is told that nothing is known, not the last good state."""
    bench.board.on_connection(False)

    assert [event["connected"] for event in bench.told()] == [False]


@pytest.mark.parametrize(
    "junk", [{}, {"type": "moon"}, {"type": "verdict"}, {"type": "state"}, {"type": "state", "gate": 7}]
)
def test_no_message_stops_the_board(bench: Bench, junk: dict[str, Any]) -> None:
    """Whatever is in a message, the next verdict is shown."""
    bench.board.on_message(junk)
    bench.told()
    bench.board.on_message(accept(482))

    assert bench.told()[-1]["outcome"] == "accept"


def test_a_page_too_many_is_a_finding(bench: Bench) -> None:
    """Turning a page away is said on the others, and no longer once a minute has passed."""
    for _ in range(MAX_CLIENTS):
        bench.board.listen(lambda: False)
    told = bench.told()
    bench.clock.now += 61
    bench.board.pulse()

    assert told[-1]["alerts"][0]["code"] == "web.clients_full"
    assert bench.told()[-1]["alerts"] == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080"])
def test_the_gates_own_addresses_are_served(client: FlaskClient, host: str) -> None:
    """Loopback by any of its names opens the page."""
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.2", "0.0.0.0", "[::2]", "localhost.evil"]
)
@pytest.mark.parametrize("path", ["/", "/events", "/preview.jpg", "/static/page.js", "/report", "/healthz"])
def test_no_other_name_is_served(client: FlaskClient, host: str, path: str) -> None:
    """A web site that rebinds its name to this machine is told nothing."""
    answer = client.get(path, headers={"Host": host})

    assert answer.status_code == 421
    assert TOKEN.encode() not in answer.data


def test_the_configured_address_is_served_too() -> None:
    """An address named in the settings is one of the gate's own; a v6 one stands in brackets."""
    assert "192.168.1.5" in allowed_hosts("192.168.1.5")
    assert host_name("[FE80::1]:8080") in allowed_hosts("fe80::1")


@pytest.mark.parametrize("path", ["/", "/report", "/healthz", "/nothing", "/static/page.js", "/preview.jpg"])
def test_every_answer_carries_the_guards(client: FlaskClient, path: str) -> None:
    """Policy, framing, sniffing and referrer are settled on every answer, errors included."""
    with client.get(path) as answer:
        headers = answer.headers

    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers.get("Server") is None


@pytest.mark.parametrize("path", ["/", "/report"])
def test_pages_ask_nothing_of_another_host_and_run_nothing_inline(client: FlaskClient, path: str) -> None:
    """No foreign address, no inline script, style or handler: the content policy has nothing to stop."""
    html = client.get(path).text
    scripts = re.findall(r"<script([^>]*)>([^<]*)</script>", html)

    assert not re.findall(r"(?:src|href|action)=[\"'](?:https?:)?//", html)
    assert all("src=" in attributes or 'type="application/json"' in attributes for attributes, _ in scripts)
    assert not re.findall(r"\son[a-z]+=|\sstyle=|<style|javascript:", html)


def test_scripts_and_styles_name_no_other_host() -> None:
    """Nothing is loaded from anywhere else, and text is never set as markup."""
    for file in STATIC.iterdir():
        source = file.read_text(encoding="utf-8")
        assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", source)
        assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|@import|url\(", source)


def test_the_page_weighs_at_most_60_kb(client: FlaskClient) -> None:
    """The page with everything it loads, gzipped, fits 60 kB."""
    html = client.get("/").data
    assets = MODULES | {"/static/page.js", "/static/gate.css", "/static/icon.svg"}
    weights = {path: len(gzip.compress(fetch(client, path))) for path in assets} | {"/": len(gzip.compress(html))}

    assert {path for path in assets if path not in html.decode()} == MODULES  # what page.js imports
    assert sum(weights.values()) <= 60_000


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_page_speaks_the_language_that_was_asked_for(client: FlaskClient, language: str) -> None:
    """The address decides, then the settings; another language than there is falls back."""
    tag = {"zh": "zh-CN", "en": "en-GB"}[language]

    assert f'lang="{tag}"' in client.get(f"/?lang={language}").text
    assert 'lang="zh-CN"' in client.get("/?lang=tlh").text


def test_the_page_is_sent_gzipped_to_who_asks(client: FlaskClient) -> None:
    """A browser that takes gzip gets it."""
    answer = client.get("/", headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"<!doctype html>" in gzip.decompress(answer.data)


@pytest.mark.parametrize(
    ("body", "forwarded"),
    [
        ({"cmd": "not_holder", "seq": 7}, {"cmd": "not_holder", "seq": 7}),
        ({"cmd": "undo", "seq": 7, "extra": 1}, {"cmd": "undo", "seq": 7}),
        ({"cmd": "note", "seq": 7, "note": "medical"}, {"cmd": "note", "seq": 7, "note": "medical"}),
        (
            {"cmd": "override", "seq": 7, "note": "medical", "pin": "1234", "id": 9},
            {"cmd": "override", "seq": 7, "note": "medical", "pin": "1234"},
        ),
    ],
)
def test_a_command_is_forwarded_with_only_its_own_fields(
    client: FlaskClient, far: FakeGate, body: dict[str, Any], forwarded: dict[str, Any]
) -> None:
    """The scanner part gets what the command may have and nothing else."""
    answer = post(client, body)

    assert answer.json == {"ok": True, "seq": 900}
    assert far.asked == [forwarded]


@pytest.mark.parametrize(
    "body",
    [
        *({}, [], "x", None, 7, {"cmd": "preview"}, {"cmd": "report"}, {"cmd": "shutdown", "seq": 7}),
        *({"cmd": "not_holder"}, {"cmd": "not_holder", "seq": "7"}, {"cmd": "not_holder", "seq": True}),
        *({"cmd": "not_holder", "seq": 0}, {"cmd": "undo", "seq": -1}, {"cmd": "undo", "seq": 1 << 60}),
        *({"cmd": "note", "seq": 7}, {"cmd": "note", "seq": 7, "note": "he was drunk"}),
        *({"cmd": "note", "seq": 7, "note": ["medical"]}, {"cmd": ["note"], "seq": 7, "note": "medical"}),
        {"cmd": "override", "seq": 7, "note": "medical"},
        {"cmd": "override", "seq": 7, "note": "medical", "pin": ""},
        {"cmd": "override", "seq": 7, "note": "medical", "pin": "1" * 65},
        {"cmd": "override", "seq": 7, "note": "medical", "pin": 1234},
    ],
)
def test_what_is_no_command_is_refused_and_forwarded_to_nobody(
    client: FlaskClient, far: FakeGate, body: object
) -> None:
    """Free text, other types and other commands stop at the page's door with a sentence."""
    answer = post(client, body)

    assert answer.status_code == 400
    assert "刷新" in answer.text
    assert far.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Edge_Token": ""},
        {"X_Edge_Token": "the-tokem"},
        {"X_Edge_Token": "the-token "},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:8080"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_command_of_another_site_is_refused(client: FlaskClient, far: FakeGate, headers: dict[str, str]) -> None:
    """Without the token, or from another origin, nothing is recorded."""
    answer = post(client, {"cmd": "not_holder", "seq": 7}, **headers)

    assert answer.status_code == 403
    assert far.asked == []


def test_a_form_cannot_post_a_command(client: FlaskClient, far: FakeGate) -> None:
    """Only JSON that says so is read: a form of another site needs no permission for other types."""
    answer = client.post(
        "/command", data='{"cmd":"not_holder","seq":7}', content_type="text/plain", headers={"X-Edge-Token": TOKEN}
    )

    assert answer.status_code == 400
    assert far.asked == []


@pytest.mark.parametrize("path", ["/events", "/preview.jpg"])
def test_another_site_cannot_embed_what_the_camera_sees(client: FlaskClient, path: str) -> None:
    """A page elsewhere that embeds the preview or the events is refused."""
    assert client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_huge_command_is_refused(client: FlaskClient, far: FakeGate) -> None:
    """A body above the limit is not read."""
    answer = post(client, {"cmd": "note", "seq": 7, "note": "x" * 100_000})

    assert answer.status_code == 413
    assert far.asked == []


def test_deep_nesting_is_no_command(client: FlaskClient, far: FakeGate) -> None:
    """JSON made to exhaust a parser is refused as any other junk."""
    answer = client.post("/command", data="[" * 7000, content_type="application/json", headers={"X-Edge-Token": TOKEN})

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("far_answer", "answer"),
    [
        ({"ok": False, "code": "pin", "message": "<b>"}, {"ok": False, "code": "pin"}),
        ({"ok": False, "code": "<script>"}, {"ok": False, "code": "unknown"}),
        ({"ok": "true", "seq": 5}, {"ok": False, "code": "unknown"}),
        ({}, {"ok": False, "code": "unknown"}),
        (None, {"ok": False, "code": "scanner"}),
    ],
)
def test_a_refusal_reaches_the_page_as_a_code(
    client: FlaskClient, far: FakeGate, far_answer: dict[str, Any] | None, answer: dict[str, Any]
) -> None:
    """Nothing but an explicit success is one; the page says the rest in its own words."""
    far.answer = far_answer

    assert post(client, {"cmd": "undo", "seq": 7}).json == answer


def test_a_command_by_hand_carries_a_number_only_where_it_is_one_of_a_document() -> None:
    """A page may say that somebody was registered, or type a number of bounded length; nothing else goes along."""
    number = {"cmd": "manual", "way": "document", "number": "11010519491231002X"}

    assert checked_command(number | {"pin": "1", "seq": 7}) == number
    assert checked_command(number | {"way": "registration"}) == {"cmd": "manual", "way": "registration"}
    for bad in ({"way": "visa"}, {"way": ["document"]}, {"number": 1}, {"number": "1" * 33}):
        assert checked_command(number | bad) is None


def test_a_pin_is_in_no_message_of_a_refused_command() -> None:
    """A command that is refused says nothing of what it held."""
    assert checked_command({"cmd": "override", "seq": 7, "pin": "13579", "note": "no such note"}) is None


def test_what_a_page_did_not_show_is_told_to_the_scanner_part(board: Board, client: FlaskClient, far: FakeGate) -> None:
    """By the entry's number, once, and only what it is about."""
    stream = client.get(f"/events?page={HERE}", buffered=False)
    board.on_message(accept(482))
    ident = board.snapshot()["verdict"]["id"]
    body = {"cmd": "not_shown", "ids": [ident], "page": HERE, "seq": 7}

    assert [post(client, body).json for _ in range(2)] == [{"ok": True}, {"ok": True}]
    assert far.asked == [{"cmd": "not_shown", "seq": 482}]
    stream.close()


@pytest.mark.parametrize(
    ("far_answer", "code"), [(None, "scanner"), ({"ok": False, "code": "not_recent"}, "not_recent"), ({}, "unknown")]
)
def test_an_accept_that_stands_is_a_code(
    board: Board, client: FlaskClient, far: FakeGate, far_answer: dict[str, Any] | None, code: str
) -> None:
    """The scanner part may be away or refuse: then the pass stays a repetition, and the page is told."""
    far.answer = far_answer
    stream = client.get(f"/events?page={HERE}", buffered=False)
    board.on_message(accept(482))
    answer = post(client, {"cmd": "not_shown", "ids": [board.snapshot()["verdict"]["id"]], "page": HERE})

    assert answer.json == {"ok": False, "code": code}
    stream.close()


@pytest.mark.parametrize(
    "body",
    [
        *({"cmd": "not_shown"}, {"cmd": "not_shown", "ids": ["x"]}, {"cmd": "not_shown", "ids": ["x"], "page": 7}),
        *({"cmd": "not_shown", "seq": 7}, {"cmd": "not_shown", "ids": ["x"], "page": None}),
    ],
)
def test_a_page_that_names_itself_wrongly_is_refused(client: FlaskClient, far: FakeGate, body: object) -> None:
    """A page that speaks must say which it is."""
    assert post(client, body).status_code == 400
    assert far.asked == []


@pytest.mark.parametrize("ids", [None, 7, "x", ["x", 7, None], [["x"]], [""]])
def test_a_page_that_speaks_of_what_nobody_knows_changes_nothing(
    client: FlaskClient, far: FakeGate, ids: object
) -> None:
    """Another type or an unknown name takes nothing back."""
    assert post(client, {"cmd": "not_shown", "ids": ids, "page": HERE}).json == {"ok": True}
    assert far.asked == []


@pytest.mark.parametrize("name", ["", "1" * 31, "1" * 33, "G" * 32, "1" * 32 + "%0A", "A" * 32])
def test_a_name_of_another_form_is_none(board: Board, client: FlaskClient, far: FakeGate, name: str) -> None:
    """Such a page is one that may have shown anything and cannot speak."""
    stream = client.get(f"/events?page={name}", buffered=False)
    board.on_message(accept(482))
    ident = board.snapshot()["verdict"]["id"]

    assert post(client, {"cmd": "not_shown", "ids": [ident], "page": name}).json == {"ok": True}
    assert far.asked == []
    stream.close()


def test_an_acknowledgement_stays_in_the_web_part(client: FlaskClient, far: FakeGate) -> None:
    """Acknowledging is about pages: the scan log is not asked."""
    assert post(client, {"cmd": "ack", "ids": ["x", 7, None]}).json == {"ok": True}
    assert far.asked == []


@pytest.mark.parametrize(
    ("jpeg", "status"),
    [
        (base64.b64encode(JPEG).decode(), 200),
        (None, 204),
        ("!!", 204),
        (base64.b64encode(b"GIF89a").decode(), 204),
        (7, 204),
    ],
)
def test_the_preview_is_a_jpeg_or_nothing(client: FlaskClient, far: FakeGate, jpeg: object, status: int) -> None:
    """Whatever the scanner part sends, the page gets a picture or learns that there is none."""
    far.answer = {"ok": True, "jpeg": jpeg}
    answer = client.get("/preview.jpg")

    assert answer.status_code == status
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_camera_is_asked_five_times_a_second_at_most(far: FakeGate) -> None:
    """However many pages look, one picture is fetched each 200 ms."""
    clock = Clock()
    far.answer = {"ok": True, "jpeg": base64.b64encode(JPEG).decode()}
    preview = Preview(far, clock)
    for _ in range(100):
        assert preview.picture() == JPEG
        clock.now += 0.01

    assert len(far.asked) == 5


def test_a_page_too_many_is_told_why(client: FlaskClient, app: Flask) -> None:
    """The refusal is a sentence with the limit, and when to try again."""
    answers = [client.get("/events", buffered=False) for _ in range(MAX_CLIENTS + 1)]

    assert [answer.status_code for answer in answers] == [200] * MAX_CLIENTS + [503]
    assert f"上限 {MAX_CLIENTS} 个" in answers[-1].text
    assert answers[-1].headers["Retry-After"] == "5"
    for answer in answers:
        answer.close()
    assert client.get("/healthz").json["pages"] == 0


def test_asking_for_the_head_of_the_events_takes_no_place(client: FlaskClient) -> None:
    """A HEAD request has no end that would give a place back."""
    for _ in range(3 * MAX_CLIENTS):
        client.head("/events")

    assert client.get("/healthz").json["pages"] == 0


def test_the_report_is_made_without_a_scanner_part(client: FlaskClient, far: FakeGate) -> None:
    """With nobody to ask the page still opens, and says so."""
    far.answer = None
    answer = client.get("/report?lang=en")

    assert answer.status_code == 200
    assert "has not given any figures yet" in answer.text


def test_the_report_escapes_what_a_gate_was_named(client: FlaskClient, app: Flask, far: FakeGate) -> None:
    """A place named with markup is text on the report."""
    far.answer = {"ok": True, "report": {"counts": {"accept": "<b>", "reject": 3}, "reasons": {"<img>": 2}}}
    answer = client.get("/report?lang=en")

    assert "<b>0</b> ACCEPT" in answer.text.replace('<p class="accept">', "")
    assert "<img>" not in answer.text


@pytest.mark.parametrize("path", ["/nothing", "/static/../serve.py", "/static/gate.html"])
def test_an_unknown_page_is_a_sentence(client: FlaskClient, path: str) -> None:
    """A wrong address is answered with where the page is, not with a stack."""
    answer = client.get(path)

    assert answer.status_code == 404
    assert "没有这个页面" in answer.text


def test_a_port_in_use_is_one_sentence_and_the_next_step(tmp_path: Path) -> None:
    """Somebody else on the port: the error names it and the command that finds who it is."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUse) as caught:
            serve(Settings(web=WebSettings(port=port)), tmp_path)

    assert str(port) in caught.value.message
    assert "web.port" in caught.value.next_step


@pytest.mark.parametrize("web", [WebSettings(host="192.0.2.1", port=8080), WebSettings(host="no such host", port=8080)])
def test_an_address_of_another_machine_is_a_config_error(tmp_path: Path, web: WebSettings) -> None:
    """An address that cannot be served names the setting to change."""
    with pytest.raises(ConfigError, match=r"web\.host"):
        serve(Settings(web=web), tmp_path)


_RUN = """
import sys
from pathlib import Path
from edge.kiosk.serve import serve
from edge.model.settings import Settings, WebSettings
serve(Settings(web=WebSettings(port=int(sys.argv[2]))), Path(sys.argv[1]))
print("ended", flush=True)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The web part as a process, with no scanner part at all."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, str(tmp_path), str(port)], stdout=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 15
    while time.monotonic() < end:
        try:
            urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
            break
        except OSError:
            time.sleep(0.02)
    yield process, port
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_web_part_ends_when_told_with_streams_open(
    server: tuple[subprocess.Popen[str], int], number: signal.Signals
) -> None:
    """SIGTERM and SIGINT end it within two seconds though pages listen, and `serve` returns."""
    process, port = server
    streams = [urlopen(f"http://127.0.0.1:{port}/events", timeout=5) for _ in range(MAX_CLIENTS)]
    began = time.monotonic()
    process.send_signal(number)
    said, _ = process.communicate(timeout=10)
    for stream in streams:
        stream.close()

    assert (process.returncode, said) == (0, "ended\n")
    assert time.monotonic() - began < 2


def test_pages_are_served_while_every_stream_is_taken(server: tuple[subprocess.Popen[str], int]) -> None:
    """Streams and refused pages do not starve the others: twenty pages at once are answered."""
    _, port = server
    streams = [urlopen(f"http://127.0.0.1:{port}/events", timeout=5) for _ in range(MAX_CLIENTS)]
    took: list[float] = []

    def look() -> None:
        began = time.monotonic()
        urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=look) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for stream in streams:
        stream.close()

    assert len(took) == 20
    assert max(took) < 2


def test_pages_that_went_away_give_their_places_back(server: tuple[subprocess.Popen[str], int]) -> None:
    """Opening and closing a page thirty times in a row never meets the limit."""
    _, port = server
    for _ in range(30):
        with urlopen(f"http://127.0.0.1:{port}/events", timeout=5) as stream:
            assert stream.readline().startswith(b"data: {")


@pytest.mark.parametrize("asks", ["40718265", "00000000"])
def test_the_page_shows_what_phones_must_answer(client: FlaskClient, board: Board, asks: str) -> None:
    """Digits in the state, and the same in a code that phones read."""
    board.on_message(standing(asks=asks))

    assert board.snapshot()["state"]["asks"] == asks
    assert client.get("/asks.svg", headers={"Host": "127.0.0.1:8080"}).data == svg(f"HN1:{asks}")


@pytest.mark.parametrize(
    "asks", ["", "4071826", "407182655", "4071826x", "４０７１８２６５", None, 40718265, ["40718265"]]
)
def test_anything_but_eight_digits_is_not_shown(client: FlaskClient, board: Board, asks: object) -> None:
    """A gate that asks nothing, or a message that is damaged."""
    board.on_message(standing(asks=asks))

    assert board.snapshot()["state"]["asks"] == ""
    assert client.get("/asks.svg", headers={"Host": "127.0.0.1:8080"}).status_code == 204


def test_a_slip_is_drawn_as_the_scanner_part_signed_it(client: FlaskClient, far: FakeGate) -> None:
    """For the entry the page names, and for none that is no number."""
    far.answer = {"ok": True, "slip": "HS1:ABC"}

    assert client.get("/slip.svg?seq=482", headers={"Host": "127.0.0.1:8080"}).data == svg("HS1:ABC")
    assert far.asked == [{"cmd": "slip", "seq": 482}]
    for seq in ("", "0", "-1", "x", "9" * 17, "４"):
        assert client.get(f"/slip.svg?seq={seq}", headers={"Host": "127.0.0.1:8080"}).status_code == 400


@pytest.mark.parametrize(
    "answer", [None, {"ok": False, "code": "slip"}, {"slip": 7}, {"slip": "HP1:A"}, {"slip": "<a>"}]
)
def test_where_there_is_no_slip_the_page_is_told(
    client: FlaskClient, far: FakeGate, answer: dict[str, Any] | None
) -> None:
    """The scanner part is away, refuses, or answers something else."""
    far.answer = answer

    assert client.get("/slip.svg?seq=482", headers={"Host": "127.0.0.1:8080"}).status_code == 404
