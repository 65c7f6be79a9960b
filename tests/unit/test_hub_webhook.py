"""Signed webhooks: what is told once, to whom, how it is signed, and what happens where nobody takes it."""

import base64
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edge.cli.main import edge
from edge.errors import ConfigError
from edge.hub import courier, incidents, webhook
from edge.hub.courier import Courier
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.hub.webhook import Hook, Outcome
from tests.simulators.hub_gates import START_MS, Clock, Device, enrol

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
HOOK = Hook("https://alarm.example/in", b"k" * 32)


class Receiver:
    """A web server on loopback that keeps what it is sent."""

    def __init__(self) -> None:
        self.status = 204
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({name.lower(): text for name, text in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/in"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who is told."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def hub(desk: Desk, clock: Clock) -> Iterator[Hub]:
    """A hub with one gate."""
    made = Hub.open(desk.home.path, clock=clock)
    enrol(made, desk, Device(), site="北站")
    yield made
    made.close()


def configure(home: Path, url: str, *, secret: str = SECRET, mode: int = 0o600) -> None:
    """Write a webhook to hub.toml."""
    file = home / "alarm.secret"
    file.write_text(secret + "\n")
    file.chmod(mode)
    with (home / "hub.toml").open("a") as opened:
        opened.write(f'\n[[webhook]]\nurl = "{url}"\nsecret_file = "alarm.secret"\n')


def note(hub: Hub, kind: str = "fork") -> None:
    """Let something go wrong with the gate."""
    hub.writer.do(lambda connection: incidents.note(connection, Device().gate, kind, hub.clock(), {}))


class Script:
    """Takes messages with the outcomes it was given, the last of them for ever."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[tuple[str, bytes, int]] = []

    def __call__(self, _: Hook, message: str, body: bytes, unix_s: int) -> Outcome:
        self.sent.append((message, body, unix_s))
        return self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]


TAKEN = Outcome(is_taken=True, said="HTTP 204")
BROKEN = Outcome(is_taken=False, said="HTTP 500")


def verify_of_the_docs() -> Callable[..., bool]:
    """Return the function that docs/operations.md gives to receivers, as it stands there."""
    (snippet,) = re.findall(r"```python\n(.*?def is_from_the_hub.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)  # noqa: S102 - the documentation's own text
    found: Callable[..., bool] = names["is_from_the_hub"]
    return found


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the Standard Webhooks reference libraries, byte for byte."""
    hook = Hook("https://x.example", base64.b64decode(SECRET.removeprefix("whsec_")))
    made = webhook.headers(hook, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1614265330)

    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_what_is_sent_verifies_by_the_snippet_of_the_docs(hub: Hub, receiver: Receiver) -> None:
    """And with one byte changed, another id, an old time or another secret it does not."""
    configure(hub.home.path, receiver.url)
    told = Courier(hub, webhook.load(hub.home.path))
    note(hub)
    told.look()
    told.deliver()
    ((headers, body),) = receiver.got
    is_from_the_hub, now = verify_of_the_docs(), START_MS // 1000

    assert is_from_the_hub(SECRET, headers, body, now)
    assert not is_from_the_hub(SECRET, headers, body.replace(b"fork", b"fbrk"), now)
    assert not is_from_the_hub(SECRET, headers | {"webhook-id": "msg_other"}, body, now)
    assert not is_from_the_hub(SECRET, headers, body, now + 301)
    assert not is_from_the_hub("whsec_" + "A" * 32, headers, body, now)


def test_a_message_says_where_and_what_and_no_more(hub: Hub) -> None:
    """Every field is named here: none is of a presentation."""
    script = Script(TAKEN)
    told = Courier(hub, (HOOK,), send=script)
    note(hub)
    told.look()
    told.deliver()
    said = json.loads(script.sent[0][1])

    assert (said["type"], set(said)) == ("incident.opened", {"type", "timestamp", "data"})
    assert said["data"] == {
        "hub": "edge",
        "incident": 1,
        "kind": "fork",
        "is_severe": True,
        "gate": Device().gate.hex(),
        "site": "北站",
        "lane": "1",
        "first_at": "2026-11-18T11:06:40.000Z",
        "count": 1,
    }


def test_an_alarm_is_told_once_also_after_a_restart(hub: Hub, desk: Desk, clock: Clock) -> None:
    """However often it is counted; one that is opened again is another."""
    script = Script(TAKEN)
    for _ in range(3):
        note(hub)
        told = Courier(hub, (HOOK,), send=script)
        told.look()
        told.deliver()
    assert len(script.sent) == 1
    desk.resolve(1)
    note(hub)
    told.look()
    told.deliver()

    assert len(script.sent) == 2
    assert len({message for message, _, _ in script.sent}) == 2


def test_a_silent_gate_is_told_once_for_each_silence(desk: Desk, clock: Clock) -> None:
    """Not before the hub itself was up for as long: it was not there to hear."""
    ticks = [0.0]
    with opened(desk, clock, ticks) as hub:
        gate, script = Device(), Script(TAKEN)
        enrol(hub, desk, gate)
        told = Courier(hub, (HOOK,), send=script)
        clock.pass_s(3600)
        told.look()
        assert desk.outbox(10) == []
        for _ in range(2):
            ticks[0] += hub.silent_s + 1
            told.look()
            told.deliver()
        hub.heartbeat(gate.heartbeat(clock()))
        told.look()
        clock.pass_s(3600)
        told.look()
        told.deliver()

    assert [json.loads(body)["type"] for _, body, _ in script.sent] == ["gate.silent"] * 2


@contextmanager
def opened(desk: Desk, clock: Clock, ticks: list[float]) -> Iterator[Hub]:
    """Give a hub whose seconds stand until they are moved."""
    made = Hub.open(desk.home.path, clock=clock)
    made.monotonic = lambda: ticks[0]
    try:
        yield made
    finally:
        made.close()


def test_what_is_not_taken_is_tried_again_with_the_same_id(hub: Hub, clock: Clock) -> None:
    """After 5 s, then 30 s, with the time of the attempt."""
    script = Script(BROKEN, BROKEN, TAKEN)
    told = Courier(hub, (HOOK,), send=script)
    note(hub)
    told.look()
    for seconds in (0, 4, 1, 29, 1, 0):
        clock.pass_s(seconds)
        told.deliver()

    assert [unix_s - START_MS // 1000 for _, _, unix_s in script.sent] == [0, 5, 35]
    assert len({message for message, _, _ in script.sent}) == 1


def test_a_message_is_given_up_after_three_days(hub: Hub, desk: Desk, clock: Clock) -> None:
    """Some two dozen attempts in all, and the outbox says so."""
    script = Script(BROKEN)
    told = Courier(hub, (HOOK,), send=script)
    note(hub)
    told.look()
    for _ in range(4 * 24 * 12):
        told.deliver()
        clock.pass_s(300)

    assert (desk.outbox(1)[0].state, desk.outbox(1)[0].said) == ("given_up", "HTTP 500")
    assert 15 < len(script.sent) < 30


def test_a_receiver_that_is_gone_is_not_asked_again(hub: Hub, desk: Desk, clock: Clock) -> None:
    """410 says that it wants none of it."""
    script = Script(Outcome(is_taken=False, said="HTTP 410", is_final=True))
    told = Courier(hub, (HOOK,), send=script)
    note(hub)
    told.look()
    told.deliver()
    clock.pass_s(86_400)
    told.deliver()

    assert (len(script.sent), desk.outbox(1)[0].state) == (1, "given_up")


def test_one_webhook_that_is_down_holds_up_no_other(hub: Hub) -> None:
    """Each has its own messages."""
    other = Hook("https://other.example/in", b"o" * 32)
    taken: list[str] = []

    def send(hook: Hook, message: str, body: bytes, unix_s: int) -> Outcome:
        taken.append(hook.url)
        return BROKEN if hook is HOOK else TAKEN

    told = Courier(hub, (HOOK, other), send=send)
    note(hub)
    note(hub, "gap")
    told.look()
    told.deliver()

    assert taken == [HOOK.url, other.url, other.url]


def test_the_outbox_is_bounded(hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds no room is put there when there is some."""
    monkeypatch.setattr(courier, "MOST_WAITING", 2)
    told = Courier(hub, (HOOK,), send=Script(TAKEN))
    for kind in ("fork", "gap", "forged"):
        note(hub, kind)
    told.look()
    assert len(desk.outbox(10)) == 2
    told.deliver()
    told.look()

    assert len(desk.outbox(10)) == 3


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
def test_only_2xx_is_taken(receiver: Receiver, status: int) -> None:
    """A redirect is not followed: one request each."""
    receiver.status = status
    outcome = webhook.send(Hook(receiver.url, b"k" * 32), "msg_1", b"{}", 0)

    assert outcome == Outcome(is_taken=False, said=f"HTTP {status}", is_final=status == 410)
    assert len(receiver.got) == 1


def test_a_receiver_that_drips_is_cut_off() -> None:
    """The time is for all of the answer, not for each byte of it."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def drip() -> None:
            peer, _ = listening.accept()
            with peer:
                try:
                    while not done.wait(0.05):
                        peer.sendall(b"H")
                except OSError:
                    return

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        outcome = webhook.send(Hook(url, b"k" * 32), "msg_1", b"{}", 0, timeout_s=0.3)
        done.set()
        thread.join()

    assert not outcome.is_taken


def test_nobody_there_is_said_in_a_word() -> None:
    """No path of the address, which may be a secret."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcome = webhook.send(Hook(f"http://127.0.0.1:{port}/secret-path", b"k" * 32), "msg_1", b"{}", 0)

    assert (outcome.is_taken, outcome.said) == (False, "ConnectionRefusedError")


@pytest.mark.parametrize(
    "url",
    ["http://10.0.0.1/in", "ftp://x.example", "https://u:p@x.example/", "https://x.example/?a=b", "http://x.example"],
)
def test_addresses_that_are_refused(desk: Desk, url: str) -> None:
    """Only https, or http to this machine, with no user and no query."""
    configure(desk.home.path, url)
    with pytest.raises(ConfigError):
        webhook.load(desk.home.path)


@pytest.mark.parametrize(("secret", "mode"), [("whsec_AAAA", 0o600), ("whsec_!", 0o600), ("", 0o600), (SECRET, 0o644)])
def test_secrets_that_are_refused(desk: Desk, secret: str, mode: int) -> None:
    """Short, no base64, empty, or readable by others; the message does not hold it."""
    configure(desk.home.path, "https://x.example/in", secret=secret, mode=mode)
    with pytest.raises(ConfigError) as refused:
        webhook.load(desk.home.path)
    assert not secret or secret not in str(refused.value)


def test_the_commands_test_and_list(hub: Hub, receiver: Receiver) -> None:
    """`test` sends at once and fails where nobody takes it; `list` shows the outbox without secrets and paths."""
    home = str(hub.home.path)
    configure(hub.home.path, receiver.url)
    good = CliRunner().invoke(edge, ["hub", "webhook", "test", home])
    told = Courier(hub, webhook.load(hub.home.path))
    note(hub)
    told.look()
    told.deliver()
    shown = CliRunner().invoke(edge, ["hub", "webhook", "list", home, "--json"])
    receiver.status = 500
    bad = CliRunner().invoke(edge, ["hub", "webhook", "test", home])

    assert good.exit_code == 0, good.output
    assert bad.exit_code != 0
    assert [json.loads(body)["type"] for _, body in receiver.got] == ["edge.test", "incident.opened", "edge.test"]
    (row,) = json.loads(shown.output)
    assert (row["state"], row["subject"], row["host"]) == ("taken", "incident/1", receiver.url.removesuffix("/in"))
