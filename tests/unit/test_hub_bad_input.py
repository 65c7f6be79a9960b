"""Every class of bad input, over HTTP and from a stick: name, evidence, alert, words and runbook line."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from edge.codec import cbor
from edge.hub import incidents, inspection
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.hub.imports import Import
from edge.ledger import batch, device, receipt, stick, wire
from edge.model.scan import Receipt
from tests.simulators.hub_gates import START_MS, Device, enrol, post
from tests.simulators.hub_server import Caller, serving

HELD = 6
DAY_S = 86_400
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Bad:
    """One class.

    Attributes:
        name: What the issue calls it.
        kind: What the hub calls it.
        make: Makes what is sent, from a gate of which the hub holds six entries.
        is_taken: Whether the hub takes it in all the same.
        is_nobodys: Whether it can be said of no gate of ours.
        on_stick: What it is called on a stick, where only whole batches are looked at and everything else is nobody's.
    """

    name: str
    kind: str
    make: Callable[[Device], bytes]
    is_taken: bool = False
    is_nobodys: bool = False
    on_stick: str = ""


def _changed(gate: Device) -> bytes:
    whole = bytearray(gate.batch(HELD + 1, HELD + 3))
    whole[-1] ^= 1
    return bytes(whole)


def _large(gate: Device) -> bytes:
    signed = cbor.decode(gate.batch(HELD + 1, HELD + 2))[0]
    return cbor.encode([signed, bytes(batch.MAX_WIRE), b""])


def _of_another(gate: Device) -> bytes:
    """Sign a batch in another gate's name with the own key."""
    cut = batch.Cut(Device(99).gate, gate.epoch, gate.head(HELD), trust_versions=(5, 2))
    return batch.make(gate.entries[HELD : HELD + 2], cut, gate.key)


def _next_version(gate: Device) -> bytes:
    signed, facts_part, private_part = cbor.decode(gate.batch(HELD + 1, HELD + 2))
    content = cbor.decode(cbor.decode(signed)[2])
    del content[0]
    later = device.sign(batch.KIND, content | {1: 99}, gate.key)
    return cbor.encode([later, facts_part, private_part])


def _cloned(gate: Device) -> bytes:
    other = gate.clone(HELD - 3)
    other.scan(3, duration_ms=9)
    return other.batch(HELD - 2, HELD)


def _old_image(gate: Device) -> bytes:
    other = gate.clone(HELD - 1)
    other.scan(3, duration_ms=9)
    return other.batch(HELD, HELD + 2)


def _future(gate: Device) -> bytes:
    gate.entries = gate.entries[:HELD]
    gate.scan(2, at_ms=START_MS + 10 * 365 * DAY_S * 1000)
    return gate.batch(HELD + 1, HELD + 2)


def _other_hub(gate: Device) -> bytes:
    said = Receipt(gate.gate, gate.epoch, 20, gate.head(20), 20, START_MS, "", b"")
    return cbor.encode(receipt.make(said, SigningKey(bytes(31) + b"\x07")).wire)


CLASSES = [
    Bad("forged", "forged", _changed),
    Bad("truncated", "truncated", lambda gate: gate.batch(HELD + 1, HELD + 3)[:-9], is_nobodys=True),
    Bad("future-dated", "future", _future, is_taken=True),
    Bad("absurdly large", "too_large", _large, on_stick="truncated"),
    Bad("wrong device", "forged", _of_another),
    Bad("a batch of another hub's gate", "unknown_gate", lambda _: _scanned(Device(77)).batch(1, 3), is_nobodys=True),
    Bad("a receipt of another hub", "wrong_hub", _other_hub, is_nobodys=True, on_stick="malformed"),
    Bad("wrong version", "version", _next_version),
    Bad("junk", "malformed", lambda _: b"\xff\x00junk", is_nobodys=True),
    Bad("deleted entries", "gap", lambda gate: gate.batch(HELD + 3, HELD + 5)),
    Bad("a cloned card", "fork", _cloned),
    Bad("two gates with one key", "fork", _cloned),
    Bad("an old image put back", "rollback", _old_image),
]
NAMES = [bad.name for bad in CLASSES]


def _scanned(gate: Device) -> Device:
    gate.scan(20)
    return gate


@pytest.fixture
def gate(hub: Hub, desk: Desk) -> Device:
    """An enrolled gate with twenty scans, six of them held in two batches."""
    made = _scanned(Device())
    enrol(hub, desk, made)
    post(hub, [made.batch(1, 3), made.batch(4, HELD)])
    return made


def over_http(hub: Hub, sent: bytes, _: Path) -> None:
    """Post it."""
    with serving(hub) as url, Caller(url) as caller:
        assert caller.post(wire.BATCHES, sent).status == 200


def from_stick(hub: Hub, sent: bytes, folder: Path) -> None:
    """Import it."""
    file = folder / "stick" / f"scans{stick.SUFFIX}"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(sent)
    Import(hub, lambda *_: None).take_path(file)


WAYS = [over_http, from_stick]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bad", CLASSES, ids=NAMES)
def test_every_class_has_its_name_evidence_and_alert_and_harms_nothing(
    *, hub: Hub, desk: Desk, gate: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture, way: object, bad: Bad
) -> None:
    """An incident of its kind, the bytes kept, a line in the log; the ledger stands and the gate goes on."""
    assert callable(way)
    sent = bad.make(gate)

    with caplog.at_level(logging.WARNING, "edge.hub"):
        way(hub, sent, tmp_path)

    kind = bad.on_stick if way is from_stick and bad.on_stick else bad.kind
    found = [one for one in desk.incidents(9, is_open=True) if one.kind == kind]
    is_nobodys = bad.is_nobodys or kind != bad.kind
    assert [(one.evidence, one.gate == incidents.NOBODY) for one in found] == [(1, is_nobodys)]
    assert any(one.getMessage().startswith(f"{kind}:") for one in caplog.records)
    hub.settle()
    assert inspection.inspect(hub.store).problems == ()
    after = HELD + 3 if bad.is_taken else HELD + 1
    gate.scan(after - len(gate.entries))
    assert isinstance(post(hub, [gate.batch(after, after)])[0], Receipt)


@pytest.mark.parametrize("way", WAYS)
def test_a_replayed_batch_is_answered_and_raises_no_alarm(
    hub: Hub, desk: Desk, gate: Device, tmp_path: Path, way: object
) -> None:
    """It is what a gate does whose answer got lost: nobody can tell the two apart, and neither does harm."""
    assert callable(way)
    way(hub, gate.batch(1, 3), tmp_path)

    assert desk.incidents(9, is_open=False) == []
    with hub.store.reader() as connection:
        assert connection.execute("SELECT count(*) FROM batches").fetchone() == (2,)


@pytest.mark.parametrize("bad", CLASSES, ids=NAMES)
def test_what_a_stranger_repeats_is_counted_and_kept_once(hub: Hub, desk: Desk, gate: Device, bad: Bad) -> None:
    """A thousand times the same does not fill the disk."""
    sent = bad.make(gate)

    for _ in range(5):
        hub.take(sent)

    (found,) = [one for one in desk.incidents(9, is_open=True) if one.kind == bad.kind]
    assert found.evidence == 1


@pytest.mark.parametrize("kind", incidents.KINDS)
def test_every_kind_has_words_in_both_languages_and_a_line_in_the_runbook(kind: str) -> None:
    """Whoever meets the word on the page finds what to do."""
    labels = json.loads(resources.files("edge.hub").joinpath("labels.json").read_text(encoding="utf-8"))
    runbook = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = [line for line in runbook.splitlines() if line.startswith("| `") and f"`{kind}`" in line.split("|")[1]]

    assert all(labels[language][f"incident.{kind}"] for language in ("zh", "en"))
    assert rows
    assert all(row.split("|")[3].strip() for row in rows)
