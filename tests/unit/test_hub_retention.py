"""Facts go at the end of their retention, under two roles' signatures and never under one; the chain still verifies."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from nacl.signing import SigningKey

from edge.cli.hub import hub as hub_command
from edge.cli.main import edge
from edge.errors import ConfigError, LedgerError
from edge.hub import incidents, inspection, proof, rebuild, retention
from edge.hub.desk import Desk
from edge.hub.export import Task
from edge.hub.hub import Hub
from edge.hub.store import Store
from edge.ledger import batch, destruction, device
from edge.model.scan import Receipt
from tests.simulators.hub_gates import START_MS, Clock, Device, begin, enrol, post

OPERATOR, AUDITOR, STRANGER = (SigningKey(bytes(31) + bytes((number,))) for number in (1, 2, 3))
DAYS = 730
LATER_MS = START_MS + 800 * retention.DAY_MS


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Desk:
    """A hub folder with a key for each role."""
    made = begin(tmp_path / "hub", clock)
    with Store(made.home.database).writing() as connection:
        retention.add_role(connection, "operator", OPERATOR.verify_key.encode(), START_MS)
        retention.add_role(connection, "auditor", AUDITOR.verify_key.encode(), START_MS)
    return made


@pytest.fixture
def gate(hub: Hub, desk: Desk, clock: Clock) -> Device:
    """A gate whose first nine scans came on one day and the next three five days later."""
    made = Device()
    enrol(hub, desk, made)
    made.scan(12)
    post(hub, made.batches(3)[:3])
    clock.ms += 5 * retention.DAY_MS
    post(hub, [made.batch(10, 12)])
    hub.settle()
    return made


def quiet(_: int) -> None:
    """Say nothing."""


def asked(hub: Hub) -> retention.Request:
    """Ask for what came on the first day."""
    return retention.ask(hub.store, START_MS + retention.DAY_MS, DAYS, LATER_MS)


def signed(hub: Hub, *keys: SigningKey) -> retention.Request:
    """Ask and sign."""
    request = asked(hub)
    for key in keys:
        request = retention.sign(request, key)
    return request


def apply(hub: Hub, request: retention.Request) -> int:
    """Carry a request out."""
    return retention.apply(hub.store, request, quiet, LATER_MS)


def wires(hub: Hub) -> list[bytes]:
    """Return the ledger's batches."""
    with hub.store.reader() as connection:
        return [wire for (wire,) in connection.execute("SELECT wire FROM batches ORDER BY id")]


def test_two_roles_destroy_the_facts_and_the_chain_still_verifies(hub: Hub, gate: Device) -> None:
    """What came later stays; `edge hub check` follows every chain and counts what is gone."""
    assert apply(hub, signed(hub, OPERATOR, AUDITOR)) == 3

    report = inspection.inspect(hub.store)
    assert (report.problems, report.entries, report.destroyed) == ((), 12, 9)
    assert [batch.has_facts(wire) for wire in wires(hub)] == [False, False, False, True]
    with hub.store.reader() as connection:
        assert connection.execute("SELECT count(*) FROM scans WHERE outcome IS NOT NULL").fetchone() == (3,)
        assert connection.execute("SELECT count(*) FROM private").fetchone() == (1,)


def test_nothing_of_the_facts_is_left_in_the_files(hub: Hub, desk: Desk, gate: Device) -> None:
    """Not in freed pages and not in the journal."""
    files = [desk.home.database, desk.home.database.with_name("hub.db-wal")]
    with hub.store.reader() as connection:
        (wire,) = connection.execute("SELECT wire FROM batches WHERE id = 1").fetchone()
    kept = wire[-60:-35]
    assert any(kept in file.read_bytes() for file in files)

    apply(hub, signed(hub, OPERATOR, AUDITOR))

    assert not any(kept in file.read_bytes() for file in files)
    assert gate.entries


@pytest.mark.parametrize("keys", [(), (OPERATOR,), (AUDITOR,), (OPERATOR, OPERATOR)])
def test_one_signature_destroys_nothing(hub: Hub, gate: Device, keys: tuple[SigningKey, ...]) -> None:
    """Neither role alone, not twice, and not none."""
    before = wires(hub)

    with pytest.raises(LedgerError):
        apply(hub, signed(hub, *keys))

    assert wires(hub) == before
    assert gate.entries


def test_a_key_that_is_not_named_cannot_sign(hub: Hub, gate: Device) -> None:
    """And one key cannot hold both roles."""
    with pytest.raises(ConfigError):
        signed(hub, STRANGER)
    with hub.store.writing() as connection, pytest.raises(ConfigError, match="already"):
        retention.add_role(connection, "auditor", OPERATOR.verify_key.encode(), START_MS)
    assert gate.entries


def test_a_request_that_was_changed_after_it_was_signed_destroys_nothing(hub: Hub, gate: Device) -> None:
    """Each signer's word is over the very entries he read."""
    request = signed(hub, OPERATOR, AUDITOR)
    (span,) = request.stated.spans
    longer = replace(request.stated, spans=(replace(span, last=12, head=gate.head(12)),))

    with pytest.raises(LedgerError):
        apply(hub, replace(request, stated=longer))

    assert all(map(batch.has_facts, wires(hub)))


def test_nothing_is_asked_for_before_its_retention_is_over(hub: Hub, gate: Device) -> None:
    """`facts_days` holds, whoever asks."""
    with pytest.raises(ConfigError, match="730 days"):
        retention.ask(hub.store, LATER_MS, DAYS, LATER_MS)
    assert gate.entries


def test_it_goes_on_where_it_broke_off(hub: Hub, gate: Device) -> None:
    """The same request again does the rest, and then nothing more."""
    request = signed(hub, OPERATOR, AUDITOR)
    with hub.store.writing() as connection:
        retention._destroy(connection, 1)

    assert apply(hub, request) == 3
    assert apply(hub, request) == 3
    assert inspection.inspect(hub.store).problems == ()
    assert gate.entries


def test_facts_that_went_without_a_certificate_are_named(hub: Hub, gate: Device) -> None:
    """Somebody who edits the database is found."""
    with hub.store.writing() as connection:
        retention._destroy(connection, 2)

    (problem,) = inspection.inspect(hub.store).problems

    assert "batch 2: has lost its facts, and no certificate says so" in problem
    assert gate.entries


def test_an_export_made_before_loses_the_facts_and_still_verifies(hub: Hub, desk: Desk, gate: Device) -> None:
    """The same command into the same folder writes the day anew, and whoever verifies it counts what is gone."""
    task = Task(desk.home.path.parent / "out", views=("csv",))
    desk.export_ledger(task, lambda *_: None)
    assert gate.gate.hex() in next(task.out.glob("*/scans-*-000000000000009.csv")).read_text()
    apply(hub, signed(hub, OPERATOR, AUDITOR))

    assert desk.export_ledger(task, lambda *_: None).written == 1

    assert gate.gate.hex() not in next(task.out.glob("*/scans-*-000000000000009.csv")).read_text()
    report = proof.verify(task.out, {device.key_id(desk.home.public).hex(): desk.home.public}, lambda *_: None)
    assert (report.faults, report.destroyed, report.batches) == ([], 3, 1)
    assert desk.export_ledger(task, lambda *_: None).written == 0


def test_a_rebuild_gives_destroyed_entries_rows_without_facts(hub: Hub, gate: Device) -> None:
    """The rows count like the ledger."""
    apply(hub, signed(hub, OPERATOR, AUDITOR))

    assert rebuild.rebuild(hub.store, lambda *_: None) == 12
    assert inspection.inspect(hub.store).problems == ()
    assert gate.entries


def test_the_gate_goes_on_and_what_it_repeats_is_answered(hub: Hub, desk: Desk, gate: Device) -> None:
    """A repetition is a success, a new cut of it that starts between is refused by name, and the next is taken in."""
    apply(hub, signed(hub, OPERATOR, AUDITOR))
    gate.scan(2)

    answers = post(hub, [gate.batch(1, 3), gate.batch(1, 6), gate.batch(2, 4), gate.batch(13, 14)])

    assert [one if isinstance(one, str) else one.last for one in answers] == [3, 6, "destroyed", 14]
    assert isinstance(answers[0], Receipt)
    assert [one.kind for one in desk.incidents(9, is_open=True)] == ["destroyed"]


PLANTED = "spoof.planted"


@pytest.fixture
def fork(hub: Hub, gate: Device) -> Device:
    """The gate's clone: two scans of another past came on the first day, one with a mark that is searched for later."""
    twin = gate.clone(3)
    twin.scan(3, reason=PLANTED)
    with hub.store.writing() as connection:
        for kind, wire in (("fork", twin.batch(4, 5)), ("gap", gate.batch(11, 12)), ("fork", twin.batch(4, 6))):
            header = batch.header_of(wire)[0]
            exhibit = incidents.Exhibit(wire, header.epoch, header.first)
            incidents.note(connection, gate.gate, kind, START_MS, {})
            incidents.keep(connection, gate.gate, kind, START_MS, exhibit)
    return twin


def of_evidence(hub: Hub, before_ms: int = START_MS + retention.DAY_MS) -> retention.Request:
    """Ask for the evidence of the first day, signed by both."""
    request = retention.ask(hub.store, before_ms, DAYS, LATER_MS, what=destruction.EVIDENCE)
    return retention.sign(retention.sign(request, OPERATOR), AUDITOR)


def evidence(hub: Hub) -> list[tuple[str, bytes, bytes]]:
    """Return kind, hash and bytes of the evidence."""
    with hub.store.reader() as connection:
        return connection.execute("SELECT kind, digest, wire FROM evidence ORDER BY id").fetchall()


def searched(folder: Path, planted: Path) -> Result:
    """Search a folder for what was planted."""
    return CliRunner().invoke(edge, ["audit", "privacy", str(folder), "--plant", str(planted)])


def test_facts_in_evidence_go_under_two_signatures_and_are_found_nowhere(
    hub: Hub, desk: Desk, fork: Device, tmp_path: Path
) -> None:
    """Hash, kind and incident stay; what is left proves which head the device signed."""
    planted = tmp_path / "planted.jsonl"
    planted.write_text(json.dumps({"label": "planted", "text": PLANTED}) + "\n")
    before, found_before = evidence(hub), searched(desk.home.path, planted)
    assert found_before.exit_code == 1
    assert "planted" in found_before.output

    assert apply(hub, of_evidence(hub)) == 3

    after = evidence(hub)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert not any(batch.has_facts(wire) for _, _, wire in after)
    assert batch.open_header(after[0][2], fork.public).head == fork.head(5)
    assert {one.kind: one.count for one in desk.incidents(9, is_open=True)} == {"fork": 2, "gap": 1}
    assert searched(desk.home.path, planted).exit_code == 0
    assert inspection.inspect(hub.store).problems == ()


@pytest.mark.parametrize("keys", [(), (OPERATOR,), (AUDITOR, AUDITOR)])
def test_evidence_does_not_go_under_one_signature(hub: Hub, fork: Device, keys: tuple[SigningKey, ...]) -> None:
    """Nor before its retention is over, nor what came later."""
    before = evidence(hub)
    request = retention.ask(hub.store, START_MS + retention.DAY_MS, DAYS, LATER_MS, what=destruction.EVIDENCE)
    for key in keys:
        request = retention.sign(request, key)

    with pytest.raises(LedgerError):
        apply(hub, request)
    with pytest.raises(ConfigError, match="730 days"):
        of_evidence(hub, LATER_MS)
    with pytest.raises(ConfigError, match="No facts"):
        of_evidence(hub, START_MS)

    assert evidence(hub) == before
    assert fork.entries


def test_evidence_that_came_since_stays(hub: Hub, fork: Device) -> None:
    """The same batch again, within its own retention."""
    request = of_evidence(hub)
    with hub.store.writing() as connection:
        late_ms = LATER_MS - DAYS * retention.DAY_MS
        incidents.keep(connection, fork.gate, "rollback", late_ms, incidents.Exhibit(fork.batch(4, 5)))

    assert apply(hub, request) == 3
    assert [batch.has_facts(wire) for _, _, wire in evidence(hub)] == [False, False, False, True]
    assert apply(hub, request) == 0


def test_a_certificate_about_evidence_excuses_no_gap_in_the_ledger(hub: Hub, gate: Device, fork: Device) -> None:
    """Entries of the same numbers that the ledger lost are still named."""
    apply(hub, of_evidence(hub))
    with hub.store.writing() as connection:
        retention._destroy(connection, 4)

    (problem,) = inspection.inspect(hub.store).problems

    assert "batch 4: has lost its facts, and no certificate says so" in problem
    assert gate.entries
    assert fork.entries


def test_a_batch_whose_facts_went_while_it_waited_is_sent_again(hub: Hub, desk: Desk, clock: Clock) -> None:
    """It closes no gap and blocks nothing: its gate has no receipt for it."""
    late = Device(2)
    enrol(hub, desk, late)
    late.scan(6)
    clock.ms = START_MS
    assert post(hub, [late.batch(4, 6)]) == ["gap"]
    apply(hub, of_evidence(hub))

    (first,) = post(hub, [late.batch(1, 3)])
    (again,) = post(hub, [late.batch(4, 6)])

    assert isinstance(first, Receipt)
    assert isinstance(again, Receipt)
    assert (first.last, again.last) == (3, 6)
    assert desk.incidents(9, is_open=True) == []


def run(*words: str | Path) -> Result:
    """Run a command of `edge hub`."""
    return CliRunner().invoke(hub_command, [*map(str, words)])


def test_the_commands_ask_sign_and_apply(tmp_path: Path, hub: Hub, desk: Desk, gate: Device, fork: Device) -> None:
    """Keys in files of their own, a request that can be read, and nothing goes before the second signature."""
    path, request = desk.home.path, tmp_path / "request.json"
    keys = {role: tmp_path / f"{role}.key" for role in retention.ROLES}
    for role, file in keys.items():
        assert run("role-key", path, "--role", role, "--out", file).exit_code == 0
        assert file.stat().st_mode & 0o777 == 0o600
    with hub.store.writing() as connection:
        connection.execute("UPDATE batches SET received_ms = received_ms - ?", (2000 * retention.DAY_MS,))
        connection.execute("UPDATE evidence SET received_ms = received_ms - ?", (2000 * retention.DAY_MS,))
    asked = run("destroy", path, "--before", "2024-01-01", "--out", request)
    assert "3 pieces of evidence" in asked.output
    assert json.loads(request.read_bytes())["count"] == 12
    assert "1 of 2" in run("destroy", "--sign", request, "--key", keys["operator"]).output
    early = run("destroy", path, "--apply", request)
    assert run("destroy", "--sign", request, "--key", keys["auditor"]).exit_code == 0
    (path / "spool" / "0" / "2026-11-24").mkdir(parents=True)
    done = run("destroy", path, "--apply", request)
    checked = run("check", path)

    assert isinstance(early.exception, LedgerError)
    assert "12 entries in 4 batches" in done.output
    assert (checked.exit_code, "12 of them without facts" in checked.output) == (0, True)
    assert gate.entries
    # Exports on their way to somebody hold the facts, too.
    assert not (path / "spool").exists()
    assert fork.entries


def test_the_command_asks_for_evidence_alone(tmp_path: Path, hub: Hub, desk: Desk, fork: Device) -> None:
    """And says of what it asks."""
    with hub.store.writing() as connection:
        connection.execute("UPDATE evidence SET received_ms = received_ms - ?", (2000 * retention.DAY_MS,))
    request = tmp_path / "request.json"

    asked = run("destroy", desk.home.path, "--before", "2024-01-01", "--evidence", "--out", request)

    assert "7 entries of 3 pieces of evidence" in asked.output
    assert json.loads(request.read_bytes())["what"] == "evidence"
    assert fork.entries
