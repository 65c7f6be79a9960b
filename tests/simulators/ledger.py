"""A gate's log, its device key and its hub's key, for tests of the ledger and the scan log."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from nacl.signing import SigningKey

from edge.ledger import chain, device, facts
from edge.ledger.receipt import make
from edge.model.scan import Entry, EntryType, Facts, Head, Receipt
from edge.model.verdict import Outcome
from edge.scanlog.log import ScanLog

DEVICE = SigningKey(b"\x01" * 32)
PUBLIC = DEVICE.verify_key.encode()
GATE = device.gate_id(PUBLIC)
HUB = SigningKey(b"\x02" * 32)
HUB_PUBLIC = HUB.verify_key.encode()
HUB_KEYS = {device.key_id(HUB_PUBLIC).hex(): HUB_PUBLIC}
EPOCH = b"epoch-01"
START_MS = 1_795_000_000_000
DAY_MS = 86_400_000


def scan(number: int = 0, *, outcome: Outcome = Outcome.ACCEPT, step_ms: int = 1000) -> Facts:
    """Return the facts of an ordinary scan, the `number`th of a gate."""
    return Facts(
        EntryType.SCAN,
        START_MS + number * step_ms,
        outcome=int(outcome),
        reason="ok" if outcome is Outcome.ACCEPT else "time.expired",
        format="hp1",
        issuer="6101",
        kind=0,
        status=0,
        region=610100,
        trust_version=5,
        policy_version=2,
        duration_ms=30 + number % 7,
    )


def token(number: int) -> bytes:
    """Return the token of the `number`th person."""
    return sha256(b"person %d" % number).digest()[:8]


def fill(log: ScanLog, count: int, *, step_ms: int = 1000) -> list[Entry]:
    """Append `count` scans behind what is there."""
    first = log.head.seq
    return [log.append(scan(first + n, step_ms=step_ms), token=token(first + n)) for n in range(count)]


def filled(path: Path, count: int, *, step_ms: int = 1000) -> ScanLog:
    """Return a new log that holds `count` scans."""
    log = ScanLog.open(path, epoch=EPOCH)
    fill(log, count, step_ms=step_ms)
    return log


def entries(count: int, *, first: int = 1, previous: bytes = chain.GENESIS, sealed: bytes | None = None) -> list[Entry]:
    """Return `count` chained entries, as a log would hold them."""
    found = []
    for seq in range(first, first + count):
        body = facts.encode(scan(seq))
        previous = chain.next_head(previous, body)
        found.append(Entry(seq, body, previous, token(seq), sealed))
    return found


def receipt(head: Head, *, key: SigningKey = HUB, gate: bytes = GATE, at_ms: int = START_MS) -> bytes:
    """Return the hub's signed word that it holds a log up to `head`."""
    return make(Receipt(gate, head.epoch, head.seq, head.head, head.seq + 40, at_ms, "", b""), key).wire


def head_at(log: ScanLog, seq: int) -> Head:
    """Return the head of `log` at an entry."""
    hashed = log.head_at(seq)
    assert hashed is not None
    return replace(log.head, seq=seq, head=hashed)
