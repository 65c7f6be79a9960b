"""Every class of answer between a gate and a real hub process (P6): nothing lost, nothing blocked, the link said right.

The gate's session, outbox and HTTP transport are those that ship, on a clock that is moved by hand; between them and
the hub stands the fault-injecting proxy.
"""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from edge.codec import cbor
from edge.hub.hub import Hub, system_clock
from edge.ledger import receipt, wire
from edge.model.scan import Receipt
from edge.sync.session import Link
from edge.sync.transports.http import HttpTransport
from tests.simulators import fault_proxy as way
from tests.simulators.fault_proxy import Fault, FaultProxy, answering, saying, without_end
from tests.simulators.hub import AT_MS, PORTAL
from tests.simulators.hub_gates import Clock, begin
from tests.simulators.hub_server import HubProcess
from tests.simulators.real_hub import RemoteHub, enrol, held
from tests.simulators.sync_gate import SyncGate

TIMEOUT_S = 0.3
HTML = "Content-Type: text/html"
JSON = "Content-Type: application/json"
CBOR = "Content-Type: application/cbor"
STRANGER = SigningKey(bytes(range(32, 64)))


def receipt_of(signer: SigningKey, gate: bytes) -> bytes:
    """Return an answer to a post with a receipt that some key signed."""
    made = receipt.make(Receipt(gate, b"epoch-01", 9, bytes(32), 9, AT_MS, "", b""), signer)
    return cbor.encode([[1, made.wire]])


@dataclass(frozen=True)
class Case:
    """A class of answers.

    Attributes:
        fault: What happens to every request.
        link: What the link is called while it lasts.
        kinds: Kinds of batches that are parked while only posts meet it.
        arrives: Whether posts are taken in spite of it.
    """

    fault: Fault
    link: Link = Link.OFFLINE
    kinds: frozenset[str] = field(default_factory=frozenset)
    arrives: bool = False


BUSY = {
    "429 with a slot": answering("429 Too Many Requests", b"", "Retry-After: 3"),
    "429 without": answering("429 Too Many Requests"),
    "503 with a slot": answering("503 Service Unavailable", b"", "Retry-After: 3"),
    "503 without": answering("503 Service Unavailable", PORTAL, HTML),
    "503 for 300 years": answering("503 Service Unavailable", b"", "Retry-After: 9999999999"),
    "503 for a number without end": answering("503 Service Unavailable", b"", "Retry-After: " + "9" * 4000),
    "503 for minus five": answering("503 Service Unavailable", b"", "Retry-After: -5"),
    "503 for zero": answering("503 Service Unavailable", b"", "Retry-After: 0"),
    "503 until a date": answering(
        "503 Service Unavailable",
        b"",
        "Date: Tue, 24 Nov 2026 10:00:00 GMT",
        "Retry-After: Tue, 24 Nov 2026 10:00:04 GMT",
    ),
    "503 until a date before": answering(
        "503 Service Unavailable",
        b"",
        "Date: Tue, 24 Nov 2026 10:00:00 GMT",
        "Retry-After: Mon, 01 Jan 1990 10:00:04 GMT",
    ),
    "503 for nonsense": answering("503 Service Unavailable", b"", "Retry-After: soon"),
}
CASES = {
    "200 with a login page": Case(answering("200 OK", PORTAL, HTML)),
    "200 with nothing": Case(answering("200 OK")),
    "200 with a list of nothing": Case(answering("200 OK", b"\x80", CBOR)),
    "204": Case(answering("204 No Content")),
    "302": Case(answering("302 Found", PORTAL, HTML, "Location: http://127.0.0.1:9/login")),
    "400": Case(answering("400 Bad Request", b'{"error": 1}', JSON)),
    "401": Case(answering("401 Unauthorized", PORTAL, HTML)),
    "403": Case(answering("403 Forbidden", PORTAL, HTML)),
    "404 with a page": Case(answering("404 Not Found", PORTAL, HTML)),
    "407": Case(answering("407 Proxy Authentication Required", PORTAL, HTML)),
    "409": Case(answering("409 Conflict", b'{"code": "conflict"}', JSON)),
    "413": Case(answering("413 Content Too Large", PORTAL, HTML), kinds=frozenset(("too_large",))),
    "418 of nobody": Case(answering("418 I'm a teapot")),
    "500": Case(answering("500 Internal Server Error", PORTAL, HTML)),
    "502": Case(answering("502 Bad Gateway", PORTAL, HTML)),
    "the request is dropped": Case(way.DROP),
    "the answer is lost": Case(way.LOSE),
    "no first byte": Case(way.STALL),
    "taken, and no first byte": Case(way.STALL_AFTERWARDS),
    "silence in the middle of the body": Case(way.STALL_MID_BODY),
    "half an answer": Case(way.HALF),
    "every request twice": Case(way.TWICE, link=Link.ONLINE, arrives=True),
    "requests come late": Case(way.LATE),
    "a length too long": Case(answering("200 OK", b"\x81", CBOR, length=900)),
    "a length too short": Case(answering("200 OK", receipt_of(STRANGER, bytes(16)), CBOR, length=20)),
    "a length that is none": Case(saying(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n\x80")),
    "a body without end": Case(without_end(b"HTTP/1.1 200 OK\r\n\r\n", bytes(65536))),
    "chunks without end": Case(
        without_end(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + bytes(4096) + b"\r\n")
    ),
    "headers without end": Case(without_end(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100)),
    "one line without end": Case(without_end(b"HTTP/1.1 200 OK\r\nX: ", b"a" * 65536)),
    "a gzip bomb": Case(
        answering("200 OK", gzip.compress(bytes(100 << 20), 1)[: wire.MAX_ANSWER - 1], CBOR, "Content-Encoding: gzip")
    ),
    "no HTTP": Case(saying(b"SSH-2.0-OpenSSH_9.2\r\n")),
    "a forged receipt": Case(answering("200 OK", receipt_of(STRANGER, bytes(16)), CBOR)),
} | {name: Case(fault, link=Link.ONLINE) for name, fault in BUSY.items()}


class Site:
    """A hub process, the proxy before it, and gates with one clock each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.desk = begin(folder / "hub", Clock(system_clock()))
        self.made = 0
        self.gates: list[SyncGate] = []
        # Enrolled before the hub runs: what is tried here is what comes after.
        hub = Hub.open(folder / "hub")
        for number in range(len(CASES) + 3):
            gate = SyncGate(
                RemoteHub(self.desk, HttpTransport("http://127.0.0.1:9", TIMEOUT_S)),
                folder / f"{number}.db",
                key=SigningKey(number.to_bytes(32, "big")),
            )
            enrol(hub.enrol, self.desk, gate)
            self.gates.append(gate)
        hub.close()
        self.process = HubProcess(folder / "hub")
        self.proxy = FaultProxy(self.process.url)

    def gate(self) -> SyncGate:
        """Return a gate that is online and has three entries at the hub."""
        gate = self.gates[self.made]
        self.made += 1
        assert isinstance(gate.hub, RemoteHub)
        gate.hub.transport = HttpTransport(self.proxy.url, TIMEOUT_S)
        gate.log.add(3)
        gate.run(30, until=lambda: gate.waiting == 0)
        assert gate.session.link is Link.ONLINE
        return gate

    def is_whole(self, gate: SyncGate) -> bool:
        """Whether the hub holds exactly the gate's log."""
        return held(self.folder / "hub" / "hub.db", gate.id) == [(entry.seq, entry.head) for entry in gate.log.all]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a running site."""
    site = Site(tmp_path_factory.mktemp("site"))
    with site.proxy:
        yield site
    for gate in site.gates:
        gate.hub.close()
        gate.store.close()
    code, _ = site.process.stop()
    assert code == 0


@pytest.mark.parametrize("name", CASES)
def test_no_class_of_answers_loses_or_blocks_anything(site: Site, name: str) -> None:
    """While it lasts the gate keeps everything and says how the link is; afterwards all of it arrives, once."""
    case = CASES[name]
    gate = site.gate()
    gate.log.add(7)
    site.proxy.path, site.proxy.always = "", case.fault
    gate.run(45, until=lambda: gate.session.link is not Link.ONLINE)
    assert gate.session.link is case.link
    assert case.arrives or gate.waiting == 7

    site.proxy.path = wire.BATCHES
    # Waits that a stranger asked for are over within the bound.
    gate.run(1000, until=lambda: gate.session.link is Link.ONLINE)
    gate.run(30, until=lambda: any(kept.kind for kept in gate.store.batches()))
    assert {kept.kind for kept in gate.store.batches()} - {"", "gap", "unanswered"} == case.kinds
    assert case.arrives or gate.waiting == 7

    gate.log.add(5)
    site.proxy.heal()
    gate.run(1900, until=lambda: gate.waiting == 0)

    assert gate.waiting == 0
    assert gate.store.batches() == []
    assert gate.session.link is Link.ONLINE
    assert site.is_whole(gate)


def test_a_receipt_of_before_or_of_another_gate_lets_go_of_nothing(site: Site) -> None:
    """A true answer of our hub, given again at the wrong moment or to the wrong gate, is none."""
    gate, other = site.gate(), site.gate()
    others = site.proxy.answers[wire.BATCHES]
    gate.log.add(250)
    gate.run(30, until=lambda: gate.waiting == 0)
    own = site.proxy.answers[wire.BATCHES]
    gate.log.add(250)
    site.proxy.path = wire.BATCHES
    for replayed in (others, own):
        site.proxy.always = saying(replayed)
        gate.run(20)
        assert gate.waiting == 250
    site.proxy.heal()
    gate.run(700, until=lambda: gate.waiting == 0)

    assert site.is_whole(gate)
    assert site.is_whole(other)


def test_a_hub_that_is_gone_is_found_again(site: Site) -> None:
    """A refused connection is offline at the next look, and everything goes once somebody listens."""
    gate = site.gate()
    assert isinstance(gate.hub, RemoteHub)
    gate.hub.transport.close()
    gate.hub.transport = HttpTransport("http://127.0.0.1:9", TIMEOUT_S)
    gate.log.add(4)
    gate.run(3, until=lambda: gate.session.link is not Link.ONLINE)
    offline = gate.session.link
    gate.hub.transport = HttpTransport(site.proxy.url, TIMEOUT_S)
    gate.run(20, until=lambda: gate.waiting == 0)

    assert (offline, gate.session.link) == (Link.OFFLINE, Link.ONLINE)
    assert site.is_whole(gate)
