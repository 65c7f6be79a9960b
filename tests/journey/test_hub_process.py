"""The hub as people run it: `edge hub ...` as processes, many gates at once, killed and started again."""

import json
import os
import random
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import cv2
import pytest
import zxingcpp
from click.testing import CliRunner

from edge.cli.hub import hub as hub_command
from edge.errors import EdgeError
from edge.hub import client, folder, inspection, projection
from edge.hub.client import Query, Source
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.hub.roster import Place
from edge.hub.store import Store
from edge.ledger import enrolment, wire
from edge.ledger.device import fingerprint
from edge.model.scan import Receipt
from tests.simulators.hub_gates import ROOT, Clock, Device, begin, enrol, opened
from tests.simulators.hub_server import Caller, HubProcess, serving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a hub begins."""
    return tmp_path / "hub"


def edge(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run `edge` and return what it said."""
    command = [sys.executable, "-m", "edge", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, **environ}, check=False
    )


def gates_of(path: Path, count: int) -> list[Device]:
    """Return enrolled gates of a hub that does not serve."""
    desk = Desk(path)
    hub = Hub.open(path)
    made = [Device(number) for number in range(1, count + 1)]
    for one in made:
        enrol(hub, desk, one, lane=str(one.number))
    hub.close()
    return made


def pulled(url: str, path: Path, limit: int = 10_000) -> list[dict[str, object]]:
    """Return the whole ledger as it is pulled."""
    source = Source(url, client.read_token(path / folder.OPERATOR))
    lines: list[bytes] = []
    while page := client.fetch(source, Query(json.loads(lines[-1])["hub_seq"] if lines else 0, limit)).lines:
        lines += page
    return [json.loads(line) for line in lines]


@pytest.fixture
def running(path: Path) -> Iterator[HubProcess]:
    """A hub process."""
    begin(path, Clock(), url="http://127.0.0.1:8090")
    process = HubProcess(path)
    yield process
    if process.process.poll() is None:
        process.kill()


def test_a_technician_begins_serves_invites_and_pulls(path: Path, tmp_path: Path) -> None:
    """From an empty folder to scans in a file, by the commands of the guide."""
    (tmp_path / "1.root.json").write_bytes(ROOT)
    init = edge("hub", "init", path, "--url", "http://127.0.0.1:8090", "--root", tmp_path / "1.root.json", "--json")
    assert re.fullmatch("[0-9a-f]{64}", json.loads(init.stdout)["key"])
    running = HubProcess(path)

    invite = edge("hub", "invite", path, "--site", "北站", "--lane", "3", "--png", tmp_path / "code.png", "--json")
    code = json.loads(invite.stdout)["code"]
    assert json.loads(invite.stdout)["fingerprint"] == fingerprint(bytes.fromhex(json.loads(init.stdout)["key"]))
    read = zxingcpp.read_barcode(cv2.imread(str(tmp_path / "code.png")))
    assert read is not None
    assert read.text == code

    gate = Device()
    gate.scan(25)
    with Caller(running.url) as caller:
        answer = caller.post(wire.ENROL, gate.request(code)).body
        key = bytes.fromhex(json.loads(init.stdout)["key"])
        assert enrolment.open_answer(answer, key).root == ROOT
        assert isinstance(opened(caller.post(wire.BATCHES, gate.batch(1, 25)).body, key)[0], Receipt)

    out = tmp_path / "scans.ndjson"
    first = edge("hub", "pull", "--hub", running.url, "--dir", path, "--after", "20", "--out", out)
    again = edge("hub", "pull", "--hub", running.url, "--dir", path, "--out", out)
    assert "go on with --after 25" in again.stderr, first.stderr
    assert [json.loads(line)["hub_seq"] for line in out.read_text().splitlines()] == [21, 22, 23, 24, 25]

    listed = json.loads(edge("hub", "gates", path, "--json").stdout)
    assert [(one["site"], one["held"]) for one in listed] == [("北站", 25)]
    assert "holds" not in edge("hub", "check", path).stderr
    code, said = running.stop()
    assert code == 0
    assert "everything it answered is on the disk" in said


@pytest.mark.parametrize("elsewhere", [True, False], ids=["another port", "the same port"])
def test_a_second_hub_of_a_folder_is_refused_and_the_first_goes_on(
    running: HubProcess, path: Path, *, elsewhere: bool
) -> None:
    """Two writers of one ledger would number the same entries: the folder and the process are named, no port counts."""
    port = "0" if elsewhere else running.url.rpartition(":")[2]

    second = edge("hub", "serve", path, "--port", port)

    assert second.returncode == 3
    assert f"A hub serves {path} already (process {running.process.pid})" in second.stderr
    assert f"kill {running.process.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    with Caller(running.url) as caller:
        assert caller.get("/v1/status").json["status"] == "ok"


def test_a_hub_that_was_killed_keeps_nobody_out(running: HubProcess, path: Path) -> None:
    """The next one serves at once: nothing has to be removed by hand."""
    running.kill()

    again = HubProcess(path)

    assert again.stop()[0] == 0


def test_the_token_is_taken_from_a_file_and_never_shown(running: HubProcess, path: Path) -> None:
    """Not in the arguments, not in messages, not in the hub's log."""
    token = (path / folder.OPERATOR).read_text().strip()

    by_environ = edge("hub", "pull", "--hub", running.url, EDGE_HUB_TOKEN_FILE=str(path / folder.OPERATOR))
    (path / "wrong").write_text(token[:-1])
    refused = edge("hub", "pull", "--hub", running.url, "--token-file", path / "wrong")
    _, logged = running.stop()

    assert (by_environ.returncode, refused.returncode) == (0, 1)
    assert "token" in refused.stderr
    assert token[:-1] not in by_environ.stdout + by_environ.stderr + refused.stderr + logged


def test_an_unreachable_hub_is_one_sentence_and_a_next_step(path: Path) -> None:
    """No traceback."""
    begin(path, Clock(), url="http://127.0.0.1:9")

    said = edge("hub", "pull", "--dir", path)

    assert said.returncode == 1
    assert "The hub at http://127.0.0.1:9 does not answer." in said.stderr
    assert "edge hub serve" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_port_in_use_is_one_sentence_and_a_next_step(running: HubProcess, tmp_path: Path) -> None:
    """A hub of another folder is told so, and the hub that has the port goes on."""
    port = running.url.rsplit(":", 1)[1]
    begin(tmp_path / "another", Clock())

    said = edge("hub", "serve", tmp_path / "another", "--port", port)

    assert said.returncode != 0
    assert f"listens at 127.0.0.1:{port} already" in said.stderr
    assert "Traceback" not in said.stderr
    with Caller(running.url) as caller:
        assert caller.get("/v1/status").status == 200


@pytest.mark.parametrize(
    "arguments",
    [
        ("init", "{}", "--url", "nonsense"),
        ("init", "/proc/hub", "--url", "http://h:1"),
        ("init", "{}/hub.toml/x", "--url", "http://h:1"),
        ("init", "{}", "--url", "http://h:1"),
        ("init", "{}/new", "--url", "http://h:1", "--root", "/dev/null"),
        ("invite", "/nowhere", "--site", "a", "--lane", "b"),
        ("invite", "{}", "--site", "a", "--lane", "b", "--valid-hours", "9999"),
        ("invite", "{}", "--site", "a", "--lane", "b", "--png", "/nowhere/x.png"),
        ("retire", "{}", "abcdef"),
        ("incidents", "{}", "--resolve", "7"),
        ("pull", "--hub", "http://127.0.0.1:9"),
        ("pull", "--hub", "http://127.0.0.1:9", "--token-file", "/nowhere"),
        ("pull", "--hub", "file:///etc/passwd", "--dir", "{}"),
        ("pull", "--dir", "{}", "--out", "/nowhere/x"),
        ("pull", "--dir", "{}", "--follow", "--limit", "3"),
        ("serve", "/nowhere"),
        ("serve", "{}", "--host", "192.0.2.1"),
        ("check", "/nowhere"),
    ],
)
def test_a_mistake_is_answered_with_the_next_step(path: Path, arguments: tuple[str, ...]) -> None:
    """Never with a traceback, never with success."""
    begin(path, Clock(), url="http://127.0.0.1:9")

    said = CliRunner().invoke(hub_command, [one.format(path) for one in arguments])

    # `edge` prints an EdgeError as its sentence and next step; a SystemExit is click's own word on wrong usage.
    assert isinstance(said.exception, EdgeError | SystemExit)
    assert said.exit_code != 0
    assert said.output or (isinstance(said.exception, EdgeError) and said.exception.next_step)


def test_what_is_handed_out_is_for_its_owner_only(path: Path, tmp_path: Path) -> None:
    """Codes, pictures of codes and tokens are written with mode 0600."""
    begin(path, Clock())
    out, png, token = tmp_path / "code", tmp_path / "code.png", tmp_path / "token"

    edge("hub", "invite", path, "--site", "a", "--lane", "b", "--out", out, "--png", png)
    edge("hub", "token", "make", path, "--role", "auditor", "--out", token)

    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in (out, png, token)}


def test_pulls_during_posts_are_the_ledger(path: Path) -> None:
    """Eight gates post at once while four readers go on from their cursors: each has every entry once, in order."""
    begin(path, Clock())
    gates = gates_of(path, 8)
    for one in gates:
        one.scan(300)
    hub = Hub.open(path)
    is_over = threading.Event()
    # A token for each: none may ask so often that the others have no turn, and the client waits when it is told to.
    readers_tokens = {limit: Desk(path).new_token("operator") for limit in (7, 50, 333, 10_000)}

    def send(url: str, one: Device) -> int:
        with Caller(url) as caller:
            answers = [
                opened(caller.post(wire.BATCHES, piece).body, hub.home.public)[0]
                for piece in one.batches(one.number + 3)
            ]
        return sum(isinstance(answer, Receipt) for answer in answers)

    def follow(url: str, limit: int) -> list[int]:
        reader = client.Client(Source(url, readers_tokens[limit]))
        seqs: list[int] = []
        while True:
            was_over = is_over.is_set()
            asked = Query(seqs[-1] if seqs else 0, limit)
            lines = [line for page in reader.pages(asked) for line in page.lines]
            seqs += [json.loads(line)["hub_seq"] for line in lines]
            if was_over and not lines:
                return seqs

    with serving(hub) as url, ThreadPoolExecutor(12) as pool:
        readers = [pool.submit(follow, url, limit) for limit in readers_tokens]
        receipts = sum(pool.map(lambda one: send(url, one), gates))
        is_over.set()
        read = [reader.result() for reader in readers]
        whole = pulled(url, path)
    hub.close()

    assert receipts == sum(len(one.batches(one.number + 3)) for one in gates)
    assert read == [list(range(1, 2401))] * 4
    for one in gates:
        assert [line["seq"] for line in whole if line["gate"] == one.gate.hex()] == list(range(1, 301))
    assert inspection.inspect(Store(path / folder.DATABASE)).problems == ()


def kill_rounds(path: Path, rounds: int) -> int:
    """Kill a hub in the middle of posts, again and again; return how many receipts were checked."""
    begin(path, Clock())
    gates = gates_of(path, 3)
    key = Desk(path).home.public
    receipts: dict[int, Receipt] = {}
    checked = 0
    dice = random.Random(7)

    def send(url: str, one: Device, is_over: threading.Event) -> None:
        held = receipts.get(one.number)
        at = 1 if held is None else held.last + 1
        try:
            with Caller(url, timeout_s=5) as caller:
                while not is_over.is_set():
                    if len(one.entries) < at + 19:
                        one.scan(1000)
                    answer = opened(caller.post(wire.BATCHES, one.batch(at, at + 19)).body, key)[0]
                    assert isinstance(answer, Receipt), answer
                    receipts[one.number] = answer
                    at = answer.last + 1
        except (OSError, HTTPException):
            return

    for _ in range(rounds):
        running = HubProcess(path)
        is_over = threading.Event()
        senders = [threading.Thread(target=send, args=(running.url, one, is_over)) for one in gates]
        for sender in senders:
            sender.start()
        time.sleep(dice.uniform(0.05, 0.25))
        running.kill()
        is_over.set()
        for sender in senders:
            sender.join()
        with Store(path / folder.DATABASE).writing() as connection:
            while projection.step(connection):
                pass
            for one in gates:
                if (receipt := receipts.get(one.number)) is None:
                    continue
                rows = connection.execute(
                    "SELECT count(*), max(s.hub_seq) FILTER (WHERE seq = ?) FROM scans AS s "
                    "JOIN logs AS l ON l.id = s.log JOIN gates AS g ON g.id = l.gate WHERE g.gate = ? AND seq <= ?",
                    (receipt.last, one.gate, receipt.last),
                ).fetchone()
                assert rows == (receipt.last, receipt.hub_seq)
                checked += 1
    assert inspection.inspect(Store(path / folder.DATABASE)).problems == ()
    return checked


def test_what_was_receipted_is_there_after_kill_nine(path: Path) -> None:
    """Twenty kills in the middle of posts: every receipt's entries are in the ledger, under the number it named."""
    assert kill_rounds(path, 20) >= 40


@pytest.mark.long
def test_what_was_receipted_is_there_after_five_hundred_kills(path: Path) -> None:
    """The same, at full count."""
    assert kill_rounds(path, 500) >= 1000


def test_a_stop_in_the_middle_of_posts_answers_what_was_begun(path: Path) -> None:
    """SIGTERM: what was taken is answered, the process ends with 0, and the next start finds everything."""
    begin(path, Clock())
    (gate,) = gates_of(path, 1)
    gate.scan(40_000)
    running = HubProcess(path)
    last = 0
    stopper = threading.Timer(0.4, running.process.terminate)
    stopper.start()

    with Caller(running.url, timeout_s=10) as caller:
        try:
            while True:
                answer = opened(
                    caller.post(wire.BATCHES, gate.batch(last + 1, last + 50)).body, Desk(path).home.public
                )[0]
                assert isinstance(answer, Receipt)
                last = answer.last
        except (OSError, HTTPException):
            pass
    said, logged = running.process.communicate(timeout=20)

    assert running.process.returncode == 0, logged
    assert "stopped" in said
    assert not (path / "hub.db-wal").exists() or (path / "hub.db-wal").stat().st_size == 0
    with Store(path / folder.DATABASE).reader() as connection:
        (held,) = connection.execute("SELECT count(*) FROM scans").fetchone()
    # An answer that was lost on the way may have been kept: never the other way round.
    assert held in {last, last + 50}
    assert last > 0


def test_an_idle_connection_does_not_keep_a_hub_from_stopping(running: HubProcess) -> None:
    """Gates hold one open all day."""
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))):
        began = time.monotonic()
        code, _ = running.stop()

    assert code == 0
    assert time.monotonic() - began < 5


def test_a_command_beside_a_serving_hub_reaches_it(running: HubProcess, path: Path) -> None:
    """Invitations made, gates retired and tokens handed out while it serves are in force with the next request."""
    gate = Device()
    gate.scan(2)
    key = Desk(path).home.public
    with Caller(running.url) as caller:
        for number in range(5):
            code = Desk(path).invite(Place("a", str(number), 0), 1).code
            assert caller.post(wire.ENROL, gate.request(code)).status == 200
        assert isinstance(opened(caller.post(wire.BATCHES, gate.batch(1, 1)).body, key)[0], Receipt)

        Desk(path).retire(gate.gate.hex())

        assert opened(caller.post(wire.BATCHES, gate.batch(2, 2)).body, key) == ["unknown_gate"]
        assert caller.get(wire.SCANS, Authorization=f"Bearer {Desk(path).new_token('auditor')}").status == 200


def test_follow_waits_for_a_hub_that_is_away(path: Path, tmp_path: Path) -> None:
    """A pull that follows outlives the hub, and a new scan arrives in the file."""
    begin(path, Clock())
    (gate,) = gates_of(path, 1)
    gate.scan(2)
    running = HubProcess(path)
    out = tmp_path / "scans.ndjson"
    command = [sys.executable, "-m", "edge", "hub", "pull", "--hub", running.url, "--dir", str(path), "--follow"]
    with subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True) as following:
        wait_for(out.exists)
        with Caller(running.url) as caller:
            caller.post(wire.BATCHES, gate.batch(1, 2))

        wait_for(lambda: out.read_bytes().count(b"\n") == 2)
        following.send_signal(2)
        _, said = following.communicate(timeout=20)
    running.stop()

    assert following.returncode == 0
    assert "2 lines; go on with --after 2" in said


def wait_for(fact: object, seconds: float = 20) -> None:
    """Wait until something is so."""
    assert callable(fact)
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.05)
