"""Gates as a hub meets them: a device key, a chained log and signed messages, without a gate's database or camera."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from edge.codec import cbor
from edge.hub import desk
from edge.hub.declined import Declined
from edge.hub.desk import Desk
from edge.hub.folder import HubConfig
from edge.hub.hub import Hub
from edge.hub.roster import Place
from edge.ledger import batch, chain, device, enrolment, facts, receipt
from edge.model.scan import Entry, EntryType, Facts, Receipt

START_MS = 1_795_000_000_000
EPOCH = b"epoch-01"
REASONS = {1: "ok", 2: "status.stale", 3: "status.revoked"}
ROOT = b'{"signed": {"_type": "root", "version": 1}, "signatures": []}'


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, unix_ms: int = START_MS) -> None:
        self.ms = unix_ms

    def __call__(self) -> int:
        """Return Unix milliseconds."""
        return self.ms

    def pass_s(self, seconds: float) -> None:
        """Let time go by."""
        self.ms += int(seconds * 1000)


def fact(number: int, *, outcome: int = 1, at_ms: int | None = None, **changes: Any) -> Facts:
    """Return the facts of the `number`th scan of a gate."""
    values: dict[str, Any] = {
        "outcome": outcome,
        "reason": REASONS[outcome],
        "format": "hp1",
        "issuer": "6101",
        "kind": 0,
        "status": 0,
        "region": 610100,
        "trust_version": 5,
        "policy_version": 2,
        "duration_ms": 30 + number % 7,
    }
    return Facts(EntryType.SCAN, START_MS + number * 1000 if at_ms is None else at_ms, **(values | changes))


class Device:
    """One gate's device.

    Args:
        number: Which; the key follows from it.
        epoch: The log's epoch.
    """

    def __init__(self, number: int = 1, epoch: bytes = EPOCH) -> None:
        self.number = number
        self.key = SigningKey(number.to_bytes(32, "big"))
        self.public = self.key.verify_key.encode()
        self.gate = device.gate_id(self.public)
        self.epoch = epoch
        self.entries: list[Entry] = []

    def head(self, last: int | None = None) -> bytes:
        """Return the chain hash at an entry, by default the newest."""
        at = len(self.entries) if last is None else last
        return self.entries[at - 1].head if at else chain.GENESIS

    def append(self, *found: Facts | bytes, sealed: bytes | None = None) -> None:
        """Add entries; bytes are taken as a body."""
        for one in found:
            body = one if isinstance(one, bytes) else facts.encode(one)
            seq = len(self.entries) + 1
            self.entries.append(Entry(seq, body, chain.next_head(self.head(), body), seq.to_bytes(8, "big"), sealed))

    def scan(self, count: int, **changes: Any) -> None:
        """Add ordinary scans."""
        first = len(self.entries)
        self.append(*(fact(first + n, outcome=1 + (first + n) % 3, **changes) for n in range(count)))

    def batch(self, first: int, last: int) -> bytes:
        """Return entries `first` to `last` as a signed batch."""
        cut = batch.Cut(self.gate, self.epoch, self.head(first - 1), trust_versions=(5, 2))
        return batch.make(self.entries[first - 1 : last], cut, self.key)

    def batches(self, size: int, *, first: int = 1) -> list[bytes]:
        """Return everything from an entry on as batches of `size`."""
        last = len(self.entries)
        return [self.batch(start, min(start + size - 1, last)) for start in range(first, last + 1, size)]

    def heartbeat(self, at_ms: int, *, last: int | None = None, **health: int | str) -> bytes:
        """Return a signed heartbeat."""
        seq = len(self.entries) if last is None else last
        beat = enrolment.Heartbeat(self.gate, self.epoch, seq, self.head(seq), at_ms, health)
        return enrolment.make_heartbeat(beat, self.key)

    def request(self, code: str, at_ms: int = START_MS) -> bytes:
        """Return the request for enrolment that an invitation asks for."""
        token = enrolment.open_invitation(code.encode()).token
        return enrolment.make_request(enrolment.EnrolmentRequest(token, self.public, at_ms), self.key)

    def clone(self, last: int) -> "Device":
        """Return the same device as it stood at an entry: a copied card."""
        other = Device(self.number, self.epoch)
        other.entries = self.entries[:last]
        return other


def begin(path: Path, clock: Clock, *, url: str = "http://127.0.0.1:8090", root: bytes = ROOT) -> Desk:
    """Make a hub folder and return its desk."""
    desk.begin(path, HubConfig(url, trust_url="http://127.0.0.1:8091"), root=root, clock=clock)
    return Desk(path, clock=clock)


def enrol(hub: Hub, at: Desk, gate: Device, *, site: str = "North", lane: str = "1") -> None:
    """Make a device one of the hub's gates."""
    answer = hub.enrol(gate.request(at.invite(Place(site, lane, 610100), 24).code))
    assert isinstance(answer, bytes)


def post(hub: Hub, wires: Sequence[bytes]) -> list[Receipt | str]:
    """Post batches; return for each the verified receipt, or the kind of its refusal."""
    answer = hub.take(b"".join(wires))
    assert not isinstance(answer, Declined)
    return opened(answer, hub.home.public)


def opened(answer: bytes, public: bytes) -> list[Receipt | str]:
    """Return what an answer to a post says, receipts verified under the hub's key."""
    keys = {device.key_id(public).hex(): public}
    items = cbor.decode(answer)
    return [receipt.open_receipt(item[1], keys) if item[0] == 1 else str(item[1]) for item in items]
