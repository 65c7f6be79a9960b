"""The hub over real HTTP: roles, pages of scans, refusals, hostile headers, and a disk that fails."""

import contextlib
import json
import os
import random
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.codec import cbor
from edge.errors import AnswerRefused, ConfigError, PortInUse, SetupError, TransportError
from edge.hub import client, folder, store
from edge.hub.client import Client, Query, Source
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.hub.outfile import OutFile, Progress
from edge.hub.roster import Place
from edge.hub.serve import listen
from edge.ledger import wire
from edge.model.scan import EntryType, Facts, Receipt
from tests.simulators.hub_gates import START_MS, Clock, Device, enrol, fact, opened, post
from tests.simulators.hub_server import Caller, serving


@pytest.fixture
def gate(hub: Hub, desk: Desk) -> Device:
    """An enrolled gate."""
    made = Device()
    enrol(hub, desk, made, site="北站", lane="3")
    return made


@pytest.fixture
def url(hub: Hub) -> Iterator[str]:
    """The address of the hub, served."""
    with serving(hub) as address:
        yield address


@pytest.fixture
def caller(url: str) -> Iterator[Caller]:
    """A connection to it."""
    with Caller(url) as made:
        yield made


@pytest.fixture
def token(desk: Desk) -> str:
    """The operator's token."""
    return client.read_token(desk.home.path / folder.OPERATOR)


def bearer(token: str) -> str:
    """Return the header that brings a token."""
    return f"Bearer {token}"


# Gates


def test_gates_are_answered_in_the_types_of_the_protocol(caller: Caller, hub: Hub, gate: Device, desk: Desk) -> None:
    """Enrolment and heartbeat in COSE, batches in CBOR, refusals in JSON with a next step."""
    gate.scan(2)
    newcomer = Device(5)
    invitation = desk.invite(Place("北站", "9", 0), 24).code

    enrolled = caller.post(wire.ENROL, newcomer.request(invitation))
    beat = caller.post(wire.HEARTBEAT, gate.heartbeat(START_MS))
    batch = caller.post(wire.BATCHES, gate.batch(1, 2))
    refusal = caller.post(wire.HEARTBEAT, Device(9).heartbeat(START_MS))

    assert (enrolled.status, enrolled.headers["Content-Type"]) == (200, wire.COSE_TYPE)
    assert (beat.status, beat.headers["Content-Type"]) == (200, wire.COSE_TYPE)
    assert (batch.status, batch.headers["Content-Type"]) == (200, wire.CBOR_TYPE)
    assert isinstance(opened(batch.body, hub.home.public)[0], Receipt)
    assert (403, {"code", "message", "next_step"}) == (refusal.status, set(refusal.json))


@pytest.mark.parametrize("path", [wire.ENROL, wire.HEARTBEAT, wire.BATCHES])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "TRACE"])
def test_other_methods_are_refused(caller: Caller, method: str, path: str) -> None:
    """With what is allowed."""
    answer = caller.ask(method, path)

    assert (answer.status, "POST" in answer.headers["Allow"]) == (405, True)


@pytest.mark.parametrize(("path", "most"), [(wire.ENROL, wire.MAX_SIGNED), (wire.HEARTBEAT, wire.MAX_SIGNED)])
def test_a_message_too_large_is_refused(caller: Caller, path: str, most: int) -> None:
    """Before it is parsed."""
    assert caller.post(path, bytes(most + 1)).status == 413


def test_a_post_beyond_the_bound_is_refused(url: str) -> None:
    """Eight megabytes and one byte: refused while it is sent, without being kept."""
    with Caller(url) as caller, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        assert caller.post(wire.BATCHES, bytes(wire.MAX_POST + 1)).status == 413


def test_a_compressed_post_is_refused(caller: Caller, gate: Device) -> None:
    """Nothing is inflated that was not hashed and signed."""
    gate.scan(1)

    assert caller.post(wire.BATCHES, gate.batch(1, 1), Content_Encoding="gzip").status == 415


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/html; charset=\xff"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Accept": "\xe9" * 500, "Cookie": "a=b; " * 300},
        {"Range": "bytes=0-99999999999999999999"},
        {"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1"},
        {"Expect": "100-continue"},
        {"Host": "evil.example"},
    ],
)
def test_hostile_headers_change_nothing_for_a_gate(
    caller: Caller, hub: Hub, gate: Device, headers: dict[str, str]
) -> None:
    """A signed batch is taken whatever stands around it."""
    gate.scan(1)

    answer = caller.post(wire.BATCHES, gate.batch(1, 1), **headers)

    assert isinstance(opened(answer.body, hub.home.public)[0], Receipt)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n",
        b"POST /v1/batches HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /v1/batches HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"b" * 20_000 + b"\r\n\r\n",
    ],
)
def test_broken_http_harms_nobody_else(url: str, hub: Hub, gate: Device, sent: bytes) -> None:
    """Somebody who speaks no HTTP is dropped; a gate is served as before."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as stranger, contextlib.suppress(OSError):
        stranger.sendall(sent)
        stranger.shutdown(socket.SHUT_WR)
        stranger.recv(100)
    gate.scan(1)

    with Caller(url) as caller:
        answer = caller.post(wire.BATCHES, gate.batch(1, 1))

    assert isinstance(opened(answer.body, hub.home.public)[0], Receipt)


def test_slow_clients_hold_up_nobody(url: str, hub: Hub, gate: Device) -> None:
    """A hundred requests that never end take no thread from a gate."""
    host, port = url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port)), timeout=5) for _ in range(100)]
    for stranger in slow:
        stranger.sendall(b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nabc")
    gate.scan(1)
    began = time.monotonic()

    with Caller(url, timeout_s=5) as caller:
        answer = caller.post(wire.BATCHES, gate.batch(1, 1))

    assert isinstance(opened(answer.body, hub.home.public)[0], Receipt)
    assert time.monotonic() - began < 3
    for stranger in slow:
        stranger.close()


def test_a_full_hub_gives_slots_in_a_row(desk: Desk, clock: Clock) -> None:
    """Whoever finds it full is told when to come back, one after the other, and nothing of it is kept.

    Its seconds stand still: while they go by, the row moves up as fast as a busy machine can ask.
    """
    gate = Device()
    with contextlib.ExitStack() as stack:
        hub = stack.enter_context(contextlib.closing(Hub.open(desk.home.path, clock=clock, monotonic=lambda: 1000.0)))
        enrol(hub, desk, gate)
        gate.scan(1)
        caller = stack.enter_context(Caller(stack.enter_context(serving(hub))))
        with contextlib.ExitStack() as full:
            while full.enter_context(hub.admission.entered()) == 0:
                pass
            answers = [caller.post(wire.BATCHES, gate.batch(1, 1)) for _ in range(1500)]
        taken = opened(caller.post(wire.BATCHES, gate.batch(1, 1)).body, hub.home.public)[0]

    slots = [int(answer.headers["Retry-After"]) for answer in answers]
    assert {503} == {answer.status for answer in answers}
    assert slots == sorted(slots)
    assert slots[0] < slots[-1] <= 900
    assert isinstance(taken, Receipt)


# A disk that fails


def test_a_locked_database_is_answered_with_503(
    caller: Caller, hub: Hub, gate: Device, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate keeps its data and comes back; once the lock is gone it is taken."""
    monkeypatch.setattr(store, "BUSY_S", 0.2)
    hub.writer._connection = None
    gate.scan(1)
    with contextlib.closing(sqlite3.connect(desk.home.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer = caller.post(wire.BATCHES, gate.batch(1, 1))
        other.execute("ROLLBACK")

    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert isinstance(opened(caller.post(wire.BATCHES, gate.batch(1, 1)).body, hub.home.public)[0], Receipt)


def test_a_full_disk_is_answered_with_503_and_loses_nothing(caller: Caller, hub: Hub, gate: Device) -> None:
    """What was receipted stays, what did not fit is not receipted, and with room it is taken."""
    gate.scan(5)
    caller.post(wire.BATCHES, gate.batch(1, 1))
    (pages,) = hub.writer.do(lambda connection: connection.execute("PRAGMA page_count").fetchone())
    # SQLite answers as it does when the disk is full once the file may not grow any more.
    hub.writer.do(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    gate.append(*(fact(n, note=random.Random(n).randbytes(300).hex()) for n in range(300)))

    answer = caller.post(wire.BATCHES, gate.batch(2, 305))

    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert isinstance(opened(caller.post(wire.BATCHES, gate.batch(2, 305)).body, hub.home.public)[0], Receipt)
    with hub.store.reader() as connection:
        assert connection.execute("SELECT max(hub_last) FROM batches").fetchone() == (305,)


def test_a_database_moved_away_takes_nothing_more(caller: Caller, hub: Hub, gate: Device, desk: Desk) -> None:
    """Receipts for a file that nobody will find again would lose scans."""
    gate.scan(2)
    caller.post(wire.BATCHES, gate.batch(1, 1))
    moved = desk.home.path / "elsewhere.db"
    desk.home.database.rename(moved)

    answer = caller.post(wire.BATCHES, gate.batch(2, 2))

    assert answer.status == 503
    assert not desk.home.database.exists()


def test_a_damaged_database_is_answered_with_503(caller: Caller, hub: Hub, gate: Device, desk: Desk) -> None:
    """Gates are told to come back, the page says that the ledger cannot be read; no traceback either way."""
    gate.scan(2)
    caller.post(wire.BATCHES, gate.batch(1, 1))
    hub.writer.do(bool)
    with contextlib.closing(hub.store.open_writer()) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    with desk.home.database.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(desk.home.database.stat().st_size - 100))
    hub.writer._connection = None

    batch = caller.post(wire.BATCHES, gate.batch(2, 2))
    page = caller.get("/?lang=en")

    assert (batch.status, batch.json["code"]) == (503, "unavailable")
    assert (page.status, b"cannot read its ledger" in page.body) == (503, True)


# Operations


def test_pages_together_are_the_ledger(hub: Hub, gate: Device, url: str, token: str) -> None:
    """Whatever the page size, and a cursor is all one has to keep."""
    gate.scan(23)
    post(hub, gate.batches(7))
    source = Source(url, token)

    for limit in (1, 2, 5, 23, 10_000):
        seqs: list[int] = []
        while lines := client.fetch(source, Query(seqs[-1] if seqs else 0, limit)).lines:
            seqs += [json.loads(line)["hub_seq"] for line in lines]
        assert seqs == list(range(1, 24))


def test_a_line_says_everything_in_words(hub: Hub, gate: Device, url: str, token: str) -> None:
    """Names in place of numbers, times in ISO 8601, nothing where nothing is known; no token."""
    gate.append(
        fact(0, outcome=3),
        Facts(EntryType.NOTE, START_MS, quality=4, refers_to=1, note="document_checked"),
        b"\xff",
        fact(1, kind=9, quality=77, at_ms=(1 << 53) - 1),
    )
    post(hub, [gate.batch(1, 4)])

    lines = [json.loads(line) for line in client.fetch(Source(url, token), Query(0, 10)).lines]

    assert lines[0] == {
        "hub_seq": 1,
        "gate": gate.gate.hex(),
        "site": "北站",
        "lane": "3",
        "epoch": gate.epoch.hex(),
        "seq": 1,
        "at": "2026-11-18T11:06:40.000Z",
        "at_ms": START_MS,
        "clock": "synced",
        "type": "scan",
        "outcome": "reject",
        "reason": "status.revoked",
        "format": "hp1",
        "issuer": "6101",
        "kind": "person",
        "status": 0,
        "region": 610100,
        "trust_version": 5,
        "policy_version": 2,
        "duration_ms": 30,
        "count": 1,
        "refers_to": None,
        "note": None,
        "source": 0,
    }
    assert tuple(lines[1][name] for name in ("type", "outcome", "clock", "refers_to", "note")) == (
        "note",
        None,
        "doubtful",
        1,
        "document_checked",
    )
    assert tuple(lines[2][name] for name in ("type", "at", "outcome", "seq")) == ("unreadable", None, None, 3)
    assert tuple(lines[3][name] for name in ("kind", "clock", "at")) == ("unknown:9", "unknown:77", None)


def test_hostile_texts_stay_one_line_each(hub: Hub, desk: Desk, url: str, token: str) -> None:
    """Line breaks, quotes and separators in what gates say break no line and no JSON."""
    gate = Device(3)
    enrol(hub, desk, gate, site="<script>'\"&", lane="<b>")
    hostile = '"}\n{"hub_seq": 99}\r\n\u2028\x00'
    gate.append(fact(0, issuer=hostile, note=hostile))
    post(hub, [gate.batch(1, 1)])

    lines = client.fetch(Source(url, token), Query(0, 10)).lines

    assert len(lines) == 1
    assert hostile == json.loads(lines[0])["issuer"]


def test_junk_in_the_query_is_refused(caller: Caller, token: str) -> None:
    """With what would be right."""
    queries = ["after=-1", "after=x", "after=1e3", "after=%D9%A1", "after=99999999999999999999", "after=1;drop"]
    queries += ["limit=0", "limit=10001", "limit=", "limit=1.5", "format=xlsx", "from=1"]

    answers = [caller.get(f"{wire.SCANS}?{query}", Authorization=bearer(token)) for query in queries]

    assert [(answer.status, answer.json["code"]) for answer in answers] == [(400, "bad_request")] * len(queries)


def test_a_cursor_beyond_the_ledger_is_an_empty_page(caller: Caller, token: str) -> None:
    """Not an error: there may be more one day."""
    answer = caller.get(f"{wire.SCANS}?after=999999999999999", Authorization=bearer(token))

    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"", wire.NDJSON_TYPE)


def test_without_a_right_token_nothing_is_pulled(caller: Caller) -> None:
    """And the answer does not say how near one came."""
    none = ["", "Bearer", "Basic b3A6b3A="]
    wrong = ["Bearer wrong", "Bearer " + "x" * 5000, "Bearer \xe9\xff"]

    answers = [caller.get(wire.SCANS, Authorization=header) for header in none + wrong]

    assert [answer.status for answer in answers] == [401] * 6
    assert [answer.json["code"] for answer in answers] == ["no_token"] * 3 + ["wrong_token"] * 3


@pytest.mark.parametrize(("role", "status"), [("operator", 200), ("auditor", 200), ("technician", 403)])
def test_roles_decide_who_pulls(caller: Caller, desk: Desk, role: str, status: int) -> None:
    """Technicians look after gates; they do not read scans."""
    assert status == caller.get(wire.SCANS, Authorization=bearer(desk.new_token(role))).status


def test_guessing_is_slowed_and_locks_nobody_out(caller: Caller, token: str) -> None:
    """After ten wrong tokens an address waits, while the right token from there goes through."""
    answers = [caller.get(wire.SCANS, Authorization=bearer(f"wrong{n}")) for n in range(12)]

    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert caller.get(wire.SCANS, Authorization=bearer(token)).status == 200


def test_every_pull_is_on_record(hub: Hub, gate: Device, desk: Desk, caller: Caller, token: str) -> None:
    """When, in which role, by which token, from where, how many; waiting at the end is one row that counts."""
    gate.scan(5)
    post(hub, [gate.batch(1, 5)])

    for after in (0, 5, 5, 5):
        caller.get(f"{wire.SCANS}?after={after}", Authorization=bearer(token))

    waiting, first = desk.pulls(10)
    assert tuple(first[name] for name in ("role", "peer", "after", "rows", "last", "times")) == (
        "operator",
        "127.0.0.1",
        0,
        5,
        5,
        1,
    )
    assert tuple(waiting[name] for name in ("after", "rows", "times")) == (5, 0, 3)
    assert token not in json.dumps(desk.pulls(10))


def test_the_status_is_numbers_without_secrets(hub: Hub, gate: Device, caller: Caller, token: str) -> None:
    """Nobody has to log in for it, so it says nothing about places or people."""
    gate.scan(3)
    post(hub, [gate.batch(1, 2)])
    caller.post(wire.HEARTBEAT, gate.heartbeat(START_MS))

    answer = caller.get("/v1/status")

    assert tuple(
        answer.json[name] for name in ("status", "gates", "online", "backlog", "hub_seq", "incidents_open")
    ) == ("ok", 1, 1, 1, 2, 0)
    assert not {"北站", token, gate.gate.hex()} & set(answer.body.decode())


# The client


def test_a_pull_into_a_file_goes_on_where_it_ended(
    hub: Hub, gate: Device, url: str, token: str, tmp_path: Path
) -> None:
    """A line torn by a crash is cut away and fetched again; the file ends as the ledger."""
    gate.scan(9)
    post(hub, [gate.batch(1, 5)])
    out = tmp_path / "scans.ndjson"
    _pull_into(out, Source(url, token))
    whole = out.read_bytes()
    out.write_bytes(whole[:-20])
    post(hub, [gate.batch(6, 9)])

    _pull_into(out, Source(url, token))

    assert [json.loads(line)["hub_seq"] for line in out.read_bytes().splitlines()] == list(range(1, 10))
    assert out.read_bytes().startswith(whole)


def test_every_torn_end_of_a_file_is_mended(hub: Hub, gate: Device, url: str, token: str, tmp_path: Path) -> None:
    """Wherever the crash came, in every byte of the last line."""
    gate.scan(2)
    post(hub, [gate.batch(1, 2)])
    out = tmp_path / "scans.ndjson"
    _pull_into(out, Source(url, token))
    whole = out.read_bytes()

    for length in range(whole.index(b"\n") + 1, len(whole)):
        out.write_bytes(whole[:length])
        with OutFile(out) as file:
            assert file.last == whole[:length].count(b"\n")
        assert whole[: whole.rindex(b"\n", 0, length) + 1] == out.read_bytes()


@pytest.mark.parametrize("content", [b"dear diary", b"one\ntwo\n", b"one\ntwo", b'{"a": 1}\n', bytes(200_000)])
def test_somebody_elses_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """A file that holds something other than scans is refused and not a byte of it changed."""
    out = tmp_path / "diary"
    out.write_bytes(content)

    with pytest.raises(ConfigError, match="something other"):
        OutFile(out)

    assert content == out.read_bytes()


def test_two_pulls_do_not_share_a_file(tmp_path: Path) -> None:
    """The second is told so."""
    with OutFile(tmp_path / "out"), pytest.raises(ConfigError, match="in use"):
        OutFile(tmp_path / "out")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<a>\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nContent-Length: 4\r\n\r\n<a>\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{"hub_seq":0}\n',
        b'HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{"hub_seq":7',
        b'HTTP/1.1 401 No\r\nContent-Length: 80\r\n\r\n{"message": "\x1b[2Jno", "next_step": "y"}',
        b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\n[1]",
        b"nonsense\r\n\r\n",
    ],
)
def test_what_is_no_list_of_scans_is_refused(answer: bytes) -> None:
    """A captive portal, a redirect, a broken answer: one sentence, and the token goes nowhere else."""
    with _saying(answer) as url, pytest.raises(TransportError) as met:
        client.fetch(Source(url, "t"), Query(0, 10))

    assert met.value.message
    assert met.value.next_step
    assert "\x1b" not in str(met.value)


def test_whole_lines_before_a_break_are_kept() -> None:
    """A connection that breaks in the third line has given two."""
    said = b'HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n{"hub_seq":1}\n{"hub_seq":2}\n{"hub'

    with _saying(said) as url:
        lines = client.fetch(Source(url, "t"), Query(0, 10)).lines

    assert lines == [b'{"hub_seq":1}\n', b'{"hub_seq":2}\n']


def test_a_line_without_an_end_is_not_read_without_one() -> None:
    """Memory is bounded whatever is sent."""
    said = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n\r\n" + b"1" * (2 * client.MAX_LINE)

    with _saying(said) as url, pytest.raises(AnswerRefused):
        client.fetch(Source(url, "t"), Query(0, 10))


def test_a_port_in_use_is_said_with_another() -> None:
    """One sentence and the way out."""
    with contextlib.closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(PortInUse, match=f"127.0.0.1:{port}") as met:
            listen("127.0.0.1", port)

    assert "--port" in met.value.next_step


def test_an_address_that_is_not_ours_is_said() -> None:
    """As a mistake of set-up."""
    with pytest.raises(SetupError, match=r"192\.0\.2\.1"):
        listen("192.0.2.1", 0)


def test_one_bad_request_of_many_at_once_spoils_no_other(hub: Hub, desk: Desk, url: str) -> None:
    """What fails inside a shared commit fails alone."""
    gates = [Device(n) for n in range(20, 28)]
    for one in gates:
        enrol(hub, desk, one, lane=str(one.number))
        one.scan(3)
    twins = [one.clone(0) for one in gates]
    for twin in twins:
        twin.scan(3, issuer="4403")
    results: dict[int, list[Receipt | str]] = {}

    def send(one: Device) -> None:
        with Caller(url) as caller:
            body = one.batch(1, 3) + twins[one.number - 20].batch(1, 3) + b"\xff"
            results[one.number] = opened(caller.post(wire.BATCHES, body).body, hub.home.public)

    threads = [threading.Thread(target=send, args=(one,)) for one in gates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(results) == 8
    for answers in results.values():
        assert isinstance(answers[0], Receipt)
        assert answers[1:] == ["fork", "malformed"]


def test_a_message_in_an_answer_is_short(hub: Hub, gate: Device) -> None:
    """What a gate has to read stays within its bound, however many batches were refused."""
    answer = hub.take(b"\x00" * 512)

    assert isinstance(answer, bytes)
    assert len(answer) < wire.MAX_ANSWER
    assert len(cbor.decode(answer)) == 512


def _pull_into(out: Path, source: Source) -> None:
    with OutFile(out) as file:
        progress = Progress(file.take, lambda _lines, _cursor, _top: None, file.last)
        for page in Client(source).pages(Query(file.last)):
            progress.take(page)


@contextlib.contextmanager
def _saying(answer: bytes) -> Iterator[str]:
    """Answer one request with fixed bytes and hang up."""
    with contextlib.closing(listen("127.0.0.1", 0)) as listening:

        def run() -> None:
            peer, _ = listening.accept()
            with peer:
                peer.recv(65536)
                with contextlib.suppress(OSError):
                    peer.sendall(answer)
                    peer.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=run)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(10)
