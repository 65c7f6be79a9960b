"""The HTTP way to the hub, over real loopback sockets: bounded in time and size, believing nothing, losing nothing."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.errors import AnswerRefused, BatchRefused, ConfigError, EdgeError, ReceiptRefused, Unreachable
from edge.ledger import batch, chain, device, enrolment, wire
from edge.ledger.batch import Cut
from edge.ledger.enrolment import Heartbeat
from edge.sync import client
from edge.sync.transport import Question
from edge.sync.transports.http import HttpTransport
from tests.simulators.hub import AT_MS, Fault, HubServer, ModelHub, listening_to_nobody, wait_until
from tests.simulators.sync_gate import KEY, MemoryLog

TIMEOUT_S = 1.0
GATE = device.gate_id(KEY.verify_key.encode())


@pytest.fixture
def server() -> Iterator[HubServer]:
    """Return a running hub that knows the gate."""
    hub = ModelHub()
    hub.gates[GATE] = KEY.verify_key.encode()
    with HubServer(hub) as server:
        yield server


@pytest.fixture
def way(server: HubServer) -> Iterator[HttpTransport]:
    """Return a transport to it."""
    way = HttpTransport(server.url, TIMEOUT_S)
    yield way
    way.close()


@contextmanager
def way_to(url: str) -> Iterator[HttpTransport]:
    """Give a transport and close it."""
    with closing(HttpTransport(url, TIMEOUT_S)) as way:
        yield way


def heartbeat() -> bytes:
    """Return a heartbeat of a gate with an empty log."""
    return enrolment.make_heartbeat(Heartbeat(GATE, bytes(8), 0, chain.GENESIS, AT_MS), KEY)


def a_batch() -> bytes:
    """Return a batch of five entries."""
    log = MemoryLog()
    log.add(5)
    return batch.make(log.all, Cut(GATE, log.epoch, chain.GENESIS), KEY)


def test_a_batch_is_answered_with_a_receipt(way: HttpTransport, server: HubServer) -> None:
    """What the hub took it signs for."""
    assert client.push(way, a_batch(), server.hub.keys).last == 5


def test_one_connection_carries_everything(way: HttpTransport, server: HubServer) -> None:
    """Heartbeats and batches use the connection that is there."""
    for _ in range(3):
        client.beat(way, heartbeat(), server.hub.keys)
        client.push(way, a_batch(), server.hub.keys)

    assert server.connections == 1


EXPECTED: dict[Fault, type[EdgeError]] = {
    Fault.DROP: Unreachable,
    Fault.LOSE: Unreachable,
    Fault.HALF: Unreachable,
    Fault.STALL: Unreachable,
    Fault.DRIP: Unreachable,
    Fault.HUGE: AnswerRefused,
    Fault.PORTAL: ReceiptRefused,
    Fault.REDIRECT: AnswerRefused,
    Fault.HTML_404: AnswerRefused,
    Fault.BAD_REQUEST: AnswerRefused,
    Fault.UNAUTHORISED: AnswerRefused,
    Fault.FORBIDDEN: AnswerRefused,
    Fault.TOO_LARGE: BatchRefused,
    Fault.BUSY_429: AnswerRefused,
    Fault.BROKEN: AnswerRefused,
    Fault.BUSY: AnswerRefused,
    Fault.BUSY_SILENT: AnswerRefused,
    Fault.OTHER_KEY: ReceiptRefused,
    Fault.REFUSE: BatchRefused,
    Fault.UNKNOWN_GATE: BatchRefused,
}


@pytest.mark.parametrize("fault", EXPECTED, ids=lambda fault: fault.name)
def test_every_wrong_answer_is_an_error_in_bounded_time(server: HubServer, fault: Fault) -> None:
    """Whatever comes back instead of a receipt is one of our errors, within the time-out, and the next try works."""
    server.hub.always = (fault, "")
    way = HttpTransport(server.url, TIMEOUT_S)
    began = time.monotonic()

    with pytest.raises(EXPECTED[fault]) as met:
        client.push(way, a_batch(), server.hub.keys)

    assert type(met.value) is EXPECTED[fault]
    assert time.monotonic() - began < TIMEOUT_S + 1
    server.hub.always = None
    assert client.push(way, a_batch(), server.hub.keys).last == 5
    way.close()


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.BUSY_429])
def test_a_slot_is_read_from_the_header(way: HttpTransport, server: HubServer, fault: Fault) -> None:
    """Retry-After in seconds comes back with the error."""
    server.hub.retry_after_s = 77
    server.hub.fail(fault)

    with pytest.raises(AnswerRefused) as met:
        client.beat(way, heartbeat(), server.hub.keys)

    assert met.value.retry_after_s == 77


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("Retry-After: 12", 12.0),
        ("Date: Tue, 17 Nov 2026 10:00:00 GMT\r\nRetry-After: Tue, 17 Nov 2026 10:00:30 GMT", 30.0),
        ("Retry-After: Tue, 17 Nov 2026 10:00:30 GMT", None),
        ("Retry-After: soon", None),
        ("Date: Tue, 17 Nov 2026 10:00:00 GMT\r\nRetry-After: Tue, 17 Nov 99999999999 10:00:30 GMT", None),
        ("Date: Tue, 17 Nov 2026 10:00:00 -0000\r\nRetry-After: Tue, 17 Nov 2026 10:00:30 GMT", None),
        ("Retry-After: -5", None),
        ("Retry-After: 99999999999999999999", 999999999.0),
        ("X-Nothing: 1", None),
    ],
)
def test_a_retry_after_of_any_form_is_read_or_passed_over(headers: str, expected: float | None) -> None:
    """A date counts from the answer's own date, never from our clock; nonsense is no header."""
    busy = f"HTTP/1.1 503 Busy\r\n{headers}\r\nContent-Length: 0\r\n\r\n".encode()
    with raw_server(busy) as url, way_to(url) as way:
        answer = way.exchange(Question(wire.HEARTBEAT, b"x", wire.COSE_TYPE))

    assert answer.retry_after_s == expected


def test_a_connection_that_the_hub_closed_is_opened_again(way: HttpTransport, server: HubServer) -> None:
    """An idle connection closed at the far side costs a new connection and no failed exchange."""
    client.beat(way, heartbeat(), server.hub.keys)
    server.drop_connections()

    client.beat(way, heartbeat(), server.hub.keys)

    assert server.connections == 2


def test_an_idle_connection_that_stands_is_left_alone(way: HttpTransport, server: HubServer) -> None:
    """Looking after the idle connection sends nothing."""
    client.beat(way, heartbeat(), server.hub.keys)

    assert [way.hold() for _ in range(3)] == [True, True, True]
    assert server.connections == 1
    assert len(server.hub.beats) == 1


def test_an_idle_connection_that_was_closed_is_opened_without_a_message(way: HttpTransport, server: HubServer) -> None:
    """A hub that closes idle connections is not asked anything for it."""
    client.beat(way, heartbeat(), server.hub.keys)
    server.drop_connections()
    wait_until(lambda: not way.hold(), 2)

    assert way.hold()
    assert len(server.hub.beats) == 1


def test_a_dead_hub_is_noticed_on_the_idle_connection(way: HttpTransport, server: HubServer) -> None:
    """Without a message, a hub whose process died is known to be gone."""
    client.beat(way, heartbeat(), server.hub.keys)
    server.kill()

    with pytest.raises(Unreachable):
        wait_until(lambda: not way.hold(), 2)


def test_keepalive_finds_a_vanished_hub_within_ten_seconds(way: HttpTransport, server: HubServer) -> None:
    """The kernel asks after 2 s and gives up three probes, two seconds apart, later; unacknowledged data as soon."""
    client.beat(way, heartbeat(), server.hub.keys)
    assert way._connection is not None
    peer = way._connection.sock

    def option(name: int) -> int:
        return int(peer.getsockopt(socket.IPPROTO_TCP, name))

    assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert option(socket.TCP_KEEPIDLE) + option(socket.TCP_KEEPINTVL) * option(socket.TCP_KEEPCNT) < 10
    assert option(socket.TCP_USER_TIMEOUT) < 10_000


def test_closing_from_another_thread_ends_a_call(server: HubServer) -> None:
    """A stop does not wait for a hub that says nothing, and nothing is asked again behind its back."""
    way = HttpTransport(server.url, 30)
    client.beat(way, heartbeat(), server.hub.keys)
    server.hub.always = (Fault.STALL, "")
    ended = threading.Event()

    def ask() -> None:
        with pytest.raises(Unreachable):
            client.beat(way, heartbeat(), {})
        ended.set()

    threading.Thread(target=ask, daemon=True).start()
    wait_until(lambda: server.hub.stalled == 1, 2)
    way.close()

    assert ended.wait(2)
    assert server.connections == 1


def test_nobody_listening_is_one_sentence() -> None:
    """A refused connection says who did not answer and what to do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} did not answer") as met:
        HttpTransport(f"http://127.0.0.1:{port}", TIMEOUT_S).hold()

    assert met.value.next_step


def test_a_deaf_server_costs_no_more_than_the_time_out() -> None:
    """A listener that accepts and never answers is given up in time."""
    with listening_to_nobody() as url:
        began = time.monotonic()
        with pytest.raises(Unreachable):
            HttpTransport(url, 0.5).exchange(Question(wire.HEARTBEAT, b"x", wire.COSE_TYPE))

    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    "url",
    ["", "hub", "ftp://hub", "http://", "http://u:p@hub", "http://hub:0", "http://hub:99999", "http://h/?q", "//h"],
)
def test_an_address_of_another_form_is_refused(url: str) -> None:
    """What is no address of a hub is met at once, with the setting to correct."""
    with pytest.raises(ConfigError, match="address of the hub"):
        HttpTransport(url, TIMEOUT_S)


def test_a_hub_below_a_path_is_reached(server: HubServer) -> None:
    """A hub may lie behind a proxy's path."""
    way = HttpTransport(f"{server.url}/edge/", TIMEOUT_S)

    assert way.exchange(Question("/v1/none", b"", wire.COSE_TYPE)).status == 404
    way.close()


def make_certificate(folder: Path) -> None:
    """Write a certificate for localhost that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=36500))
    certificate = builder.sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "key.pem").write_bytes(pem)


def test_a_receipt_over_tls_counts_only_under_a_certificate_that_verifies(tmp_path: Path) -> None:
    """A TLS server nobody vouches for is not the hub: nothing is sent to it."""
    make_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    seen: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        peer, _ = listening.accept()
        try:
            with context.wrap_socket(peer, server_side=True) as secured:
                seen.append(secured.recv(100))
        except OSError:
            peer.close()

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        way = HttpTransport(f"https://localhost:{listening.getsockname()[1]}", TIMEOUT_S)
        with pytest.raises(Unreachable, match="certificate"):
            way.exchange(Question(wire.HEARTBEAT, b"secret", wire.COSE_TYPE))
        thread.join(3)

    assert not any(seen)


@contextmanager
def raw_server(answer: bytes) -> Iterator[str]:
    """Give the address of a server that answers one request with these bytes and hangs up."""

    def serve() -> None:
        peer, _ = listening.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(2)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x01\x02\x03" * 100,
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_bytes_that_are_no_http_are_no_answer(answer: bytes) -> None:
    """Anything may listen at an address; what it says is an error of ours or an answer nobody signed."""
    with raw_server(answer) as url, way_to(url) as way, pytest.raises((Unreachable, ReceiptRefused)):
        client.beat(way, heartbeat(), {})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"\x81\x80",
        b"\x82\x82\x01\x40\x82\x01\x40",
        b"\x81\x82\x01\x60",
        b"\x81\x83\x00\x61a\x40",
        b"\xff",
    ],
)
def test_a_list_of_another_shape_is_no_receipt(content: bytes) -> None:
    """200 with the wrong list inside is neither a receipt nor a refusal."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/cbor\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    with raw_server(head + content) as url, way_to(url) as way, pytest.raises(ReceiptRefused):
        client.push(way, a_batch(), {})


def test_words_of_a_stranger_are_cut_to_plain_ones() -> None:
    """A refusal's text goes to a screen: control characters and endless sentences do not."""
    body = b'{"code": "unknown_gate", "message": "\\u001b[31m' + b"x" * 5000 + b'", "next_step": ""}'
    head = f"HTTP/1.1 403 No\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    with raw_server(head + body) as url, way_to(url) as way, pytest.raises(BatchRefused) as met:
        client.beat(way, heartbeat(), {})

    assert "\x1b" not in met.value.message
    assert len(met.value.message) <= 200
