"""The register of fields is held to what there is: tables as they are made, messages and documents as they are sent.

A column, an attribute or a key that nobody classified fails here, and so does one that is registered and gone.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlite_utils import Database

from edge.audit import register
from edge.authority import ledger_schema
from edge.cli.main import edge
from edge.gate.clock import Clock
from edge.hub import courier, documents, fleet, folder, incidents, pull, schema, webhook
from edge.hub.export import Task
from edge.hub.forms import FORMS
from edge.hub.hub import Hub
from edge.hub.pull import Asked
from edge.identity import identity
from edge.ledger import destruction, enrolment, facts, slip, timecode
from edge.model.scan import BatchHeader, EntryType, Facts, Receipt
from edge.scanlog import schema as scanlog
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from edge.sync import link
from edge.sync.health import health_of
from edge.sync.store import SyncStore
from edge.trust import database as trust
from tests.simulators.hub import ModelHub
from tests.simulators.hub_gates import Clock as HubClock
from tests.simulators.hub_gates import Device, begin, enrol, post
from tests.simulators.sync_gate import SyncGate

DOCUMENT = Path(__file__).parents[2] / "docs" / "privacy-register.md"
KEPT = {record.name: record for record in register.load().records}
Found = dict[str, set[str]]


def kept(prefix: str) -> Found:
    """Return the registered fields of each record whose name begins so."""
    return {name: {field.name for field in one.fields} for name, one in KEPT.items() if name.startswith(prefix)}


def tables(connection: sqlite3.Connection, prefix: str) -> Found:
    """Return the columns of each table there is."""
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    return {
        f"{prefix}{name}": {row[1] for row in connection.execute(f"PRAGMA table_info('{name}')")} for (name,) in names
    }


def keys(value: Any, path: str = "", leaves: tuple[str, ...] = ()) -> set[str]:
    """Return the keys of a JSON document, a dot leading inwards; a list is as its members."""
    if isinstance(value, list):
        return set().union(*(keys(one, path, leaves) for one in value)) if value else {path} - {""}
    if not isinstance(value, dict) or path in leaves:
        return {path} - {""}
    inner = {f"{path}.{name}" if path else name: one for name, one in value.items()}
    return set().union(*(keys(one, name, leaves) for name, one in inner.items()))


def attributes(kind: type) -> set[str]:
    """Return the attributes of a dataclass."""
    return {field.name for field in dataclasses.fields(kind)}


def test_every_field_is_classified_and_no_word_is_idle() -> None:
    """Class, retention and readers are words the register explains, and it explains none that nobody uses."""
    found = register.load()
    fields = [field for record in found.records for field in record.fields]

    assert {field.kind for field in fields} == set(found.classes)
    assert {field.retention for field in fields} == set(found.retention)
    assert {reader for field in fields for reader in field.readers} == set(found.readers)
    assert len({record.name for record in found.records}) == len(found.records)


def test_what_joins_two_scans_is_kept_short_and_nobody_reads_it_at_a_gate() -> None:
    """A linkable field of gate, wire or hub goes after 48 hours or with the receipt; a secret has no reader outside."""
    for record in KEPT.values():
        for field in record.fields:
            if field.kind == "linkable" and record.where != "authority":
                assert field.retention in {"tokens", "receipt"}, (record.name, field.name)
                assert set(field.readers) <= {"operations", "auditor"}, (record.name, field.name)
            if field.kind == "sealed":
                assert field.readers == ("auditor",), (record.name, field.name)
            if field.kind in {"linkable", "sealed", "secret"}:
                assert record.where != "copy", (record.name, field.name)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"class": "linkable"', '"class": "harmless"', 1),
        lambda text: text.replace('"retention": "tokens"', '"retention": "a while"', 1),
        lambda text: text.replace('"readers": ["staff", ', '"readers": ["everybody", ', 1),
        lambda text: text.replace('"says": "when it was decided"', '"says": ""', 1),
        lambda text: text.replace('"class": "fact", ', "", 1),
        lambda text: text.replace('"where": "hub"', '"where": "cloud"', 1),
        lambda text: text.replace('"schema": 1', '"schema": 2', 1),
        lambda text: text.replace('"token": {', '"head": {', 1),
        lambda text: text[:-9],
    ],
)
def test_a_field_that_is_not_classified_is_refused(change: Callable[[str], str]) -> None:
    """Another word, none, another form, a name twice, a file that breaks off."""
    changed = change(register.text())
    assert changed != register.text()

    with pytest.raises(ValueError, match=r"."):
        register.load(changed)


def test_the_document_is_made_from_the_register() -> None:
    """`docs/privacy-register.md` is what the command prints."""
    printed = CliRunner().invoke(edge, ["audit", "register"], catch_exceptions=False).output

    assert DOCUMENT.read_text(encoding="utf-8") == printed
    assert json.loads(CliRunner().invoke(edge, ["audit", "register", "--format", "json"]).output)["schema"] == 1


def test_every_column_of_a_gate_is_registered(tmp_path: Path) -> None:
    """Of the scan log, the sync part's database and the trust store, as they are made."""
    ScanLog.open(tmp_path / "scans.db").close()
    SyncStore(tmp_path / "sync.db").close()
    trust.Database(tmp_path / "trust.db").create({})

    for name in ("scans.db", "sync.db", "trust.db"):
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            assert tables(connection, f"{name}: ") == kept(name), name
    assert attributes(scanlog.Meta) <= kept("scans.db: meta")["scans.db: meta"]


def test_every_column_of_hub_and_authority_is_registered() -> None:
    """As the migrations of this release make them."""
    hub = Database(memory=True)
    schema.MIGRATIONS.apply(hub)
    authority = sqlite3.connect(":memory:")
    ledger_schema.bring_up(authority)

    assert tables(hub.conn, "hub.db: ") == kept("hub.db")
    assert tables(authority, "ledger.db: ") == kept("ledger.db")
    hub.close()
    authority.close()


def test_every_field_of_a_message_is_registered() -> None:
    """What travels between gate and hub, in a technician's or a holder's hand."""
    found = {
        "entry": attributes(Facts),
        "batch: header": attributes(BatchHeader),
        "batch: parts": {"facts", "private.tokens", "private.sealed"},
        "receipt": attributes(Receipt),
        "heartbeat": attributes(enrolment.Heartbeat),
        "watermark": attributes(enrolment.Watermark),
        "invitation": attributes(enrolment.Invitation),
        "enrolment: request": attributes(enrolment.EnrolmentRequest),
        "enrolment: answer": attributes(enrolment.EnrolmentAnswer),
        "destruction certificate": attributes(destruction.Destruction),
        "slip": attributes(slip.Slip),
        "time code": attributes(timecode.TimeCode),
    }

    assert found == {name: fields for name, fields in kept("").items() if name in found}
    assert set(facts.KEYS) == found["entry"]
    assert {name for name, one in KEPT.items() if one.where == "wire"} == {*found, "heartbeat: health"} - {"entry"}


def test_every_number_of_a_heartbeat_is_registered(tmp_path: Path) -> None:
    """What the sync part finds out about the machine, its backlog, its clock and its trust data."""
    log = ScanLog.open(tmp_path / "scans.db")
    log.append(Facts(EntryType.SCAN, 1, duration_ms=30))
    log.close()
    (tmp_path / "thermal_zone0").mkdir()
    (tmp_path / "thermal_zone0" / "temp").write_text("48000")
    machine = health_of(tmp_path, ScanLogReader(tmp_path / "scans.db"), thermal=tmp_path)
    hub = ModelHub()
    gate = SyncGate(hub, tmp_path / "sync.db")
    gate.run(100)
    gate.store.close()
    pushed = {name for beat in hub.beats for name in beat.health}

    # The service adds these two once trust data are there (`edge.sync.service`).
    assert {*machine, *pushed, "trust_version", "trust_age_s"} == kept("heartbeat: health")["heartbeat: health"]


def test_every_key_of_a_gates_file_is_registered(tmp_path: Path) -> None:
    """`enrolment.json`, `clock.json` and `link.json` as they are written."""
    made = identity.Enrolment(bytes(16), "North", "1", "610100", "https://hub.example", {}, "", 30, 1)
    identity.save_enrolment(tmp_path, made)
    Clock(tmp_path)
    link.LinkFile(tmp_path, 1).show(link.LinkState(link.Link.NEVER, 1), 1.0)

    found = {name: set(json.loads((tmp_path / name).read_bytes())) for name in kept("") if name.endswith(".json")}

    assert found == {name: kept(name)[name] for name in ("enrolment.json", "clock.json", "link.json")}


class Told:
    """A hub with something of everything, and what it tells."""

    def __init__(self, path: Path) -> None:
        clock = HubClock()
        desk = begin(path / "hub", clock)
        hub = Hub.open(path / "hub", clock=clock)
        gate = Device(1)
        enrol(hub, desk, gate)
        gate.scan(6)
        post(hub, [gate.batch(1, 3), gate.batch(5, 6)])
        hub.settle()
        hub.heartbeat(gate.heartbeat(clock.ms))
        clock.pass_s(7200)
        desk.export_ledger(Task(path / "out"), lambda *_: None)
        with hub.store.reader() as connection:
            self.page = pull.read(connection, Asked(0))
            self.gates = json.loads(documents.gates(hub, connection)[0])
            self.incidents = json.loads(documents.opened(hub, connection)[0])
            self.coverage = json.loads(documents.covered(hub, connection, "2026-11-18")[0])
            self.alarms = courier.alarms(connection, clock.ms, 90, with_silent=True)
            self.audit = pull.recorded(connection, 9)
        self.files = {file.name for file in (path / "hub").iterdir()}
        self.manifest = json.loads((path / "out" / "manifest.json").read_bytes())
        (index,) = (path / "out").glob("*/index-*.json")
        self.index = json.loads(index.read_bytes())
        hub.close()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What a hub tells."""
    return Told(tmp_path_factory.mktemp("told"))


def test_every_field_of_a_pull_is_registered(told: Told) -> None:
    """Scans in every form, gates, incidents."""
    assert set(pull.FIELDS) == kept("pull: scan")["pull: scan"]
    for name, form in FORMS.items():
        text = b"".join(form.render(told.page)).splitlines()[0].decode()
        wanted = kept("pull: cloudevent" if name.startswith("cloudevents") else "pull: scan").popitem()[1]
        found = json.loads(text) if text.startswith(("{", "[")) else None
        if found:
            assert set(found[0] if isinstance(found, list) else found) == wanted, name
    assert (
        {name for one in told.gates for name in one} == kept("pull: gate")["pull: gate"] == attributes(fleet.GateState)
    )
    assert {name for one in told.incidents for name in one} == kept("pull: incident")["pull: incident"]
    assert attributes(incidents.Incident) == kept("pull: incident")["pull: incident"]


def test_every_key_of_a_document_is_registered(told: Told) -> None:
    """Manifest and index of an export, the coverage of a day, what a webhook is told."""
    inside = {"signed"}
    manifest = keys(told.manifest, leaves=("signed.gates",))
    coverage = keys(told.coverage)
    webhooks = set().union(
        *(keys(json.loads(webhook.body_of(one.kind, "", {"hub": "", **one.data}))) for one in told.alarms)
    )

    assert manifest | inside | {"signed.days"} == kept("export: manifest")["export: manifest"]
    assert keys(told.index) == kept("export: index")["export: index"]
    assert coverage | inside == kept("coverage")["coverage"]
    assert webhooks == kept("webhook")["webhook"]


def test_every_file_of_a_hub_is_registered(told: Told) -> None:
    """Of a hub that serves; SQLite's own beside the database hold what it holds."""
    found = {name.removesuffix("-wal").removesuffix("-shm") for name in told.files} | {folder.BEGUN}
    assert found == kept("hub folder")["hub folder"]
