"""A hub that misbehaves on request: a small true ledger, and the ways in which it and the network before it can fail.

`ModelHub` is the ledger; it is a `Transport`, so a gate's session talks to it without a socket. `HubServer` puts it
behind a real loopback HTTP server, with failures only a socket can have.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from nacl.signing import SigningKey

from edge.codec import cbor
from edge.errors import BatchRefused, LedgerError, Unreachable
from edge.ledger import batch, chain, device, enrolment, receipt, wire
from edge.ledger.enrolment import EnrolmentAnswer, Invitation, Watermark
from edge.ledger.tokens import DayKey
from edge.model.scan import Entry, Receipt
from edge.sync.transport import Answer, Question

AT_MS = 1_795_000_000_000
PORTAL = b"<!doctype html><title>Welcome</title><form>Please accept the terms of the airport</form>"


class Fault(Enum):
    """What goes wrong with one exchange."""

    DROP = "the request never arrives"
    LOSE = "the hub takes it, the answer is lost"
    HALF = "the hub takes it, half the answer arrives"
    STALL = "nothing is ever answered"
    DRIP = "the answer comes a byte at a time"
    TWICE = "the request arrives twice"
    HUGE = "the answer has no end"
    PORTAL = "200 with a login page"
    REDIRECT = "302 to a login page"
    HTML_404 = "404 with a page"
    BAD_REQUEST = "400"
    UNAUTHORISED = "401"
    FORBIDDEN = "403"
    TOO_LARGE = "413"
    BUSY_429 = "429 with Retry-After"
    BROKEN = "500"
    BUSY = "503 with Retry-After"
    BUSY_SILENT = "503 without a header"
    OTHER_KEY = "signed by another hub"
    OTHER_GATE = "a true receipt for another gate"
    OTHER_EPOCH = "a true receipt for another log"
    OTHER_HEAD = "a true receipt for a head that is not the log's"
    SHORT = "a true receipt that does not cover the batch"
    REFUSE = "the hub refuses the batch in words of the protocol"
    UNKNOWN_GATE = "the hub does not know the gate"


_STATUS = {
    Fault.REDIRECT: 302,
    Fault.HTML_404: 404,
    Fault.BAD_REQUEST: 400,
    Fault.UNAUTHORISED: 401,
    Fault.FORBIDDEN: 403,
    Fault.TOO_LARGE: 413,
    Fault.BROKEN: 500,
}
ON_THE_WIRE = frozenset((Fault.STALL, Fault.DRIP, Fault.HALF, Fault.HUGE))
"""Faults of bytes and time; `HubServer` makes them, the model alone only loses the answer."""


@dataclass
class Log:
    """One log as the hub holds it."""

    entries: list[Entry] = field(default_factory=list)

    def head(self, last: int) -> bytes:
        """Return the chain hash at an entry that is held."""
        return self.entries[last - 1].head if last else chain.GENESIS


class ModelHub:
    """A hub in memory that follows the rules of the real one.

    Args:
        key: Its signing key.
    """

    def __init__(self, key: SigningKey | None = None) -> None:
        self.key = key or SigningKey.generate()
        self.public = self.key.verify_key.encode()
        self.keys = {device.key_id(self.public).hex(): self.public}
        self.gates: dict[bytes, bytes] = {}
        self.logs: dict[tuple[bytes, bytes], Log] = {}
        self.early: list[tuple[bytes, bytes]] = []
        self.evidence: list[str] = []
        self.posted: list[bytes] = []
        self.beats: list[enrolment.Heartbeat] = []
        self.faults: deque[tuple[Fault, str]] = deque()
        self.always: tuple[Fault, str] | None = None
        self.poisoned: set[int] = set()
        """First sequence numbers of batches that meet a 500, whatever else happens."""
        self.stalled = 0
        self.retry_after_s = 1
        self.heartbeat_s = 30
        self.slot_s = 0
        self.root = b""
        self.trust_url = ""
        self.seed = DayKey(20_000, bytes(range(32)))
        self.invitations: dict[bytes, tuple[str, str, int]] = {}
        self.used: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    # A Transport

    def exchange(self, question: Question) -> Answer:
        """Answer, or fail as asked; faults of the wire lose the answer."""
        fault = self.fault_for(question.path)
        if fault in {Fault.DROP, Fault.STALL}:
            raise Unreachable("the model dropped the request")
        answer = self.answer(question.path, question.body, fault)
        if fault is Fault.LOSE or fault in ON_THE_WIRE:
            raise Unreachable("the model lost the answer")
        return answer

    def hold(self) -> bool:
        """Always there."""
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    # What tests ask for

    def fail(self, *faults: Fault, path: str = "") -> None:
        """Let the next exchanges (of `path`, or any) fail like this, one after the other."""
        self.faults.extend((fault, path) for fault in faults)

    def invite(self, url: str, *, expires_at: int = AT_MS // 1000 + 900, issued_at: int = AT_MS // 1000) -> str:
        """Return the code of a fresh invitation."""
        token = bytes([len(self.invitations) + 1]) * 16
        self.invitations[token] = ("North gate", "3", 610100)
        made = Invitation(url, self.public, token, "North gate", "3", 610100, issued_at, expires_at)
        return enrolment.make_invitation(made, self.key)

    def seqs(self, gate: bytes, epoch: bytes) -> list[int]:
        """Return the numbers of the entries held of a log, in order."""
        found = self.logs.get((gate, epoch))
        return [entry.seq for entry in found.entries] if found else []

    def head(self, gate: bytes, epoch: bytes) -> bytes:
        """Return the chain hash at the newest entry held of a log."""
        found = self.logs.get((gate, epoch), Log())
        return found.head(len(found.entries))

    # The hub

    def fault_for(self, path: str) -> Fault | None:
        """Return the fault of this exchange, and take it from the list."""
        with self._lock:
            if self.faults and path.startswith(self.faults[0][1]):
                return self.faults.popleft()[0]
        if self.always is not None and path.startswith(self.always[1]):
            return self.always[0]
        return None

    def answer(self, path: str, body: bytes, fault: Fault | None = None) -> Answer:
        """Return the answer to one message; a fault of another kind than the wire's shows in it."""
        with self._lock:
            if fault is not None and (spoilt := self._spoilt(path, fault)) is not None:
                return spoilt
            for _ in range(2 if fault is Fault.TWICE else 1):
                answer = self._taken(path, body, fault)
        return answer

    def _spoilt(self, path: str, fault: Fault) -> Answer | None:
        if fault is Fault.PORTAL:
            return Answer(200, PORTAL, "text/html")
        if fault in _STATUS:
            return Answer(_STATUS[fault], PORTAL, "text/html")
        if fault in {Fault.BUSY, Fault.BUSY_429}:
            return Answer(429 if fault is Fault.BUSY_429 else 503, b"", "", float(self.retry_after_s))
        if fault is Fault.BUSY_SILENT:
            return Answer(503, b"")
        if fault is Fault.UNKNOWN_GATE:
            body = b'{"code": "unknown_gate", "message": "This hub does not know the gate.", "next_step": "Enrol it."}'
            return Answer(403, body, "application/json")
        if fault is Fault.REFUSE and path == wire.BATCHES:
            return Answer(200, cbor.encode([[0, "malformed", "this hub does not like it"]]), wire.CBOR_TYPE)
        return None

    def _taken(self, path: str, body: bytes, fault: Fault | None) -> Answer:
        if path == wire.HEARTBEAT:
            return self._heartbeat(body, fault)
        if path == wire.BATCHES:
            return self._batch(body, fault)
        if path == wire.ENROL:
            return self._enrol(body)
        return Answer(404, b"{}", "application/json")

    def _heartbeat(self, body: bytes, fault: Fault | None) -> Answer:
        public = next((key for key in self.gates.values() if device.key_id(key) == device.signer_of(body)), None)
        if public is None:
            return self._spoilt(wire.HEARTBEAT, Fault.UNKNOWN_GATE) or Answer(500, b"")
        beat = enrolment.open_heartbeat(body, public)
        self.beats.append(beat)
        held = self.logs.get((beat.gate, beat.epoch), Log())
        last = len(held.entries)
        mark = Watermark(beat.gate, beat.epoch, last, held.head(last), AT_MS, self.heartbeat_s, self.slot_s)
        if fault is Fault.OTHER_GATE:
            mark = replace(mark, gate=bytes(16))
        if fault is Fault.OTHER_EPOCH:
            mark = replace(mark, epoch=b"another!")
        return Answer(200, enrolment.make_watermark(mark, self._signer(fault)), wire.COSE_TYPE)

    def _batch(self, body: bytes, fault: Fault | None) -> Answer:
        self.posted.append(body)
        try:
            header, named = batch.header_of(body)
            if header.first in self.poisoned:
                return Answer(500, PORTAL, "text/html")
            held = self._receive(body, named)
        except BatchRefused as refused:
            self.evidence.append(refused.kind)
            return Answer(200, cbor.encode([[0, refused.kind, refused.message]]), wire.CBOR_TYPE)
        signed = receipt.make(_spoilt_receipt(held, fault), self._signer(fault))
        return Answer(200, cbor.encode([[1, signed.wire]]), wire.CBOR_TYPE)

    def _receive(self, body: bytes, named: bytes) -> Receipt:
        public = next((key for key in self.gates.values() if device.key_id(key) == named), None)
        if public is None:
            raise BatchRefused("unknown_gate", "This hub does not know the gate.")
        opened = batch.open_batch(body, public)
        header = opened.header
        log = self.logs.setdefault((header.gate, header.epoch), Log())
        if header.first > len(log.entries) + 1:
            self.early.append((header.gate, body))
            raise BatchRefused("gap", f"entries before {header.first} are missing")
        if log.head(header.first - 1) != header.previous_head:
            raise BatchRefused("fork", "another log led up to it")
        for entry in opened.entries:
            if entry.seq <= len(log.entries):
                if log.head(entry.seq) != entry.head:
                    raise BatchRefused("fork", "another entry stands there")
            else:
                log.entries.append(entry)
        return Receipt(header.gate, header.epoch, header.last, header.head, len(log.entries), AT_MS, "", b"")

    def _enrol(self, body: bytes) -> Answer:
        try:
            asked = enrolment.open_request(body)
        except LedgerError:
            return _declined(400, "malformed", "This is no request for enrolment.", "Update the gate.")
        place = self.invitations.get(asked.token)
        if place is None:
            return _declined(403, "unknown", "This hub made no such invitation.", "Ask for one: edge hub invite")
        if self.used.setdefault(asked.token, asked.public) != asked.public:
            return _declined(409, "used", "The invitation was used before.", "Ask for a new one: edge hub invite")
        gate = device.gate_id(asked.public)
        self.gates[gate] = asked.public
        answer = EnrolmentAnswer(
            gate=gate,
            site=place[0],
            lane=place[1],
            region=place[2],
            trust_url=self.trust_url,
            root=self.root,
            sealed_seed=enrolment.seal_seed(self.seed, asked.public),
            hub_keys=(self.public,),
            heartbeat_s=self.heartbeat_s,
            at_ms=AT_MS,
        )
        return Answer(200, enrolment.make_answer(answer, self.key), wire.COSE_TYPE)

    def _signer(self, fault: Fault | None) -> SigningKey:
        return SigningKey(bytes(31) + b"x") if fault is Fault.OTHER_KEY else self.key


def _declined(status: int, code: str, message: str, next_step: str) -> Answer:
    body = f'{{"code": "{code}", "message": "{message}", "next_step": "{next_step}"}}'
    return Answer(status, body.encode(), "application/json")


def _spoilt_receipt(held: Receipt, fault: Fault | None) -> Receipt:
    changes: dict[Fault | None, dict[str, Any]] = {
        Fault.OTHER_GATE: {"gate": bytes(16)},
        Fault.OTHER_EPOCH: {"epoch": b"another!"},
        Fault.OTHER_HEAD: {"head": bytes(32)},
        Fault.SHORT: {"last": held.last - 1},
    }
    return replace(held, **changes.get(fault, {}))


class HubServer:
    """The model behind HTTP on loopback. `start`, `kill` and `start` again: the port stays the same.

    Args:
        hub: The model.
    """

    def __init__(self, hub: ModelHub) -> None:
        self.hub = hub
        self.port = 0
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        self._server = _Server(("127.0.0.1", self.port), self.hub)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def kill(self) -> None:
        """Die at once: no more answers, and every connection closed."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.cut()

    @property
    def connections(self) -> int:
        """How many connections were ever accepted."""
        return self._server.accepted if self._server is not None else 0

    def drop_connections(self) -> None:
        """Close every connection, as a proxy does with idle ones; go on listening."""
        if self._server is not None:
            self._server.cut()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.kill()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], hub: ModelHub) -> None:
        self.hub = hub
        self.accepted = 0
        self.over = threading.Event()
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.accepted += 1
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A gate that went away is nothing to print."""

    def cut(self) -> None:
        """Close every connection."""
        self.over.set()
        self.over = threading.Event()
        for peer in list(self._open):
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        hub, over = self.server.hub, self.server.over
        fault = hub.fault_for(self.path)
        if fault is Fault.DROP:
            self._hang_up()
            return
        if fault is Fault.STALL:
            hub.stalled += 1
            over.wait(30)
            self._hang_up()
            return
        answer = hub.answer(self.path, body, fault)
        if fault is Fault.LOSE:
            self._hang_up()
            return
        self._send(answer, fault, over)

    def _send(self, answer: Answer, fault: Fault | None, over: threading.Event) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type or "text/plain")
        if answer.retry_after_s is not None:
            self.send_header("Retry-After", str(int(answer.retry_after_s)))
        if answer.status == 302:
            self.send_header("Location", "http://127.0.0.1:9/login")
        body = answer.body + bytes(wire.MAX_ANSWER) if fault is Fault.HUGE else answer.body
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault is Fault.HALF:
            self.wfile.write(body[: len(body) // 2])
            self._hang_up()
        elif fault is Fault.DRIP:
            for at in range(len(body)):
                self.wfile.write(body[at : at + 1])
                self.wfile.flush()
                if over.wait(0.3):
                    return
        else:
            self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's name
        """Keep the test's output clean."""


def wait_until(fact: Any, seconds: float) -> float:
    """Poll until `fact()` is true and return how long it took; fail the test when it is not in time."""
    began = time.monotonic()
    while not fact():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.02)
    return time.monotonic() - began


@contextmanager
def listening_to_nobody() -> Iterator[str]:
    """Give an address that accepts connections and never says a word."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        yield f"http://127.0.0.1:{deaf.getsockname()[1]}"
