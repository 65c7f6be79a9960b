"""A hub set back to an old backup: what gates still hold comes again, what is lost is named, nothing stays refused."""

from pathlib import Path

import pytest
from nacl.signing import SigningKey

from edge.codec import cbor
from edge.hub import inspection
from edge.hub.desk import Desk
from edge.hub.hub import Hub
from edge.model.scan import Receipt
from tests.simulators.hub_gates import Clock, Device, begin, enrol, post
from tests.simulators.real_hub import DirectHub
from tests.simulators.real_hub import enrol as enrol_gate
from tests.simulators.sync_gate import SyncGate


@pytest.fixture
def gate(hub: Hub, desk: Desk) -> Device:
    """An enrolled gate with twenty scans, of which the hub signed for sixteen."""
    made = Device()
    enrol(hub, desk, made)
    made.scan(20)
    return made


def set_back(hub: Hub, last: int) -> None:
    """Take from the hub what it got behind an entry, as an old backup does."""
    with hub.store.writing() as connection:
        for table in ("private", "scans", "tallies", "flow"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - fixed names
        connection.execute("DELETE FROM batches WHERE last > ?", (last,))
        connection.execute(
            "UPDATE logs SET (last, head, hub_seq) = "
            "(SELECT last, head, hub_last FROM batches WHERE log = logs.id ORDER BY last DESC LIMIT 1)"
        )
        connection.execute("UPDATE projected SET batch = 0, hub_seq = 0")


def receipt_for(hub: Hub, gate: Device, *, purged: int) -> Receipt:
    """Let the hub take sixteen entries in, be set back to four, and return its receipt for all sixteen."""
    receipts = post(hub, gate.batches(4)[:4])
    set_back(hub, 4)
    found = receipts[-1]
    assert isinstance(found, Receipt)
    assert found.last == 16 > purged
    return found


def lacks(desk: Desk) -> dict[str, int]:
    """Return what the open incident says is missing."""
    return next((dict(one.params) for one in desk.incidents(9, is_open=True) if one.kind == "hub_behind"), {})


def test_what_goes_on_after_the_hole_is_ledger_once_the_hubs_own_receipt_was_shown(
    hub: Hub, desk: Desk, gate: Device
) -> None:
    """Before, it is a gap; afterwards it follows, and what is missing is named with its evidence."""
    shown = receipt_for(hub, gate, purged=10)
    assert post(hub, [gate.batch(11, 20)]) == ["gap"]

    answer = post(hub, [cbor.encode(shown.wire)])[0]
    after = post(hub, [gate.batch(11, 20)])[0]

    assert isinstance(answer, Receipt)
    assert answer.last == 4
    assert isinstance(after, Receipt)
    assert after.last == 20
    assert lacks(desk) == {"held": 4, "seq": 16, "first": 5, "last": 10}
    assert {one.kind: one.evidence for one in desk.incidents(9, is_open=False)}["hub_behind"] == 1


def test_the_ledger_holds_with_a_hole_that_is_named(hub: Hub, gate: Device) -> None:
    """`edge hub check` counts what is missing and finds nothing wrong."""
    shown = receipt_for(hub, gate, purged=10)
    post(hub, [cbor.encode(shown.wire), gate.batch(11, 20)])
    hub.settle()

    report = inspection.inspect(hub.store)

    assert report.problems == ()
    assert report.missing == 6


def test_what_is_sent_again_whole_closes_the_incident(hub: Hub, desk: Desk, gate: Device) -> None:
    """A gate that still holds everything leaves no hole."""
    shown = receipt_for(hub, gate, purged=0)
    post(hub, [cbor.encode(shown.wire)])
    assert lacks(desk)

    post(hub, gate.batches(5))

    assert lacks(desk) == {}


def test_a_gate_cannot_skip_entries_that_no_receipt_covers(hub: Hub, gate: Device) -> None:
    """The receipt proves what the hub held, not what the gate deleted since."""
    shown = receipt_for(hub, gate, purged=0)

    answers = post(hub, [cbor.encode(shown.wire), gate.batch(18, 20)])

    assert answers[1] == "gap"


def test_another_log_behind_the_hole_is_a_fork(hub: Hub, gate: Device) -> None:
    """What the hub signed for is what has to come again."""
    shown = receipt_for(hub, gate, purged=0)
    other = gate.clone(12)
    other.scan(6, duration_ms=7)

    answers = post(hub, [cbor.encode(shown.wire), other.batch(11, 18)])

    assert answers[1] == "fork"


def test_a_receipt_of_another_hub_opens_nothing(hub: Hub, desk: Desk, gate: Device, tmp_path: Path) -> None:
    """It is refused by name, and kept."""
    elsewhere = begin(tmp_path / "other", Clock())
    other = Hub.open(elsewhere.home.path, clock=Clock())
    enrol(other, elsewhere, gate)
    foreign = post(other, gate.batches(20))[0]
    other.close()
    assert isinstance(foreign, Receipt)

    assert post(hub, [cbor.encode(foreign.wire), gate.batch(11, 20)]) == ["wrong_hub", "gap"]
    assert {one.kind for one in desk.incidents(9, is_open=False)} >= {"wrong_hub"}


def test_what_lies_in_a_hole_is_kept_as_evidence_when_it_turns_up(hub: Hub, gate: Device) -> None:
    """A lost batch found on a stick later is not refused as damage of the ledger."""
    shown = receipt_for(hub, gate, purged=10)
    post(hub, [cbor.encode(shown.wire), gate.batch(11, 20)])

    assert post(hub, [gate.batch(5, 8)]) == ["hub_behind"]
    assert isinstance(post(hub, [gate.batch(11, 15)])[0], Receipt)


@pytest.mark.parametrize("purged", [0, 3, 8, 10])
def test_a_gate_shows_its_receipt_by_itself_and_sends_what_it_still_holds(
    hub: Hub, desk: Desk, tmp_path: Path, purged: int
) -> None:
    """Afterwards the hub holds everything up to the newest entry but what nobody holds any more."""
    way = DirectHub(hub)
    gate = SyncGate(way, tmp_path / "sync.db")
    enrol_gate(hub.enrol, desk, gate)
    gate.log.add(6)
    gate.run(600, lambda: gate.waiting == 0)
    with hub.store.reader() as connection:
        (held,) = connection.execute("SELECT last FROM logs").fetchone()
    gate.log.add(6)
    gate.run(600, lambda: gate.waiting == 0)
    set_back(hub, held)
    gate.log.purged = purged
    gate.log.add(3)

    gate.run(1200)

    with hub.store.reader() as connection:
        seqs = [
            seq
            for first, last in connection.execute("SELECT first, last FROM batches ORDER BY first")
            for seq in range(first, last + 1)
        ]
    assert sorted(set(seqs)) == [*range(1, held + 1), *range(max(held, purged) + 1, 16)]
    assert gate.waiting == 0
    if purged > held:
        assert (lacks(desk)["first"], lacks(desk)["last"]) == (held + 1, purged)
    else:
        assert lacks(desk) == {}


def test_a_batch_cut_before_the_loss_waits_for_what_it_follows(hub: Hub, desk: Desk, tmp_path: Path) -> None:
    """A gate that purged nothing shows no receipt: there would be a hole where it still has the entries."""
    gate = SyncGate(DirectHub(hub), tmp_path / "sync.db")
    enrol_gate(hub.enrol, desk, gate)
    for _ in range(2):
        gate.log.add(6)
        gate.run(600, lambda: gate.waiting == 0)
    gate.log.add(3)
    assert gate.outbox.next() is not None
    with hub.store.reader() as connection:
        (first,) = connection.execute("SELECT min(last) FROM batches").fetchone()
    set_back(hub, first)

    gate.run(1200, lambda: gate.waiting == 0)

    with hub.store.reader() as connection:
        spans = connection.execute("SELECT first, last FROM batches ORDER BY first").fetchall()
    assert sorted({seq for begin, end in spans for seq in range(begin, end + 1)}) == list(range(1, 16))
    assert lacks(desk) == {}


def test_a_receipt_for_the_key_a_gate_had_before_is_not_shown(hub: Hub, desk: Desk, tmp_path: Path) -> None:
    """The hub would ask of it what became of another gate's log."""
    former = SyncGate(DirectHub(hub), tmp_path / "sync.db")
    enrol_gate(hub.enrol, desk, former)
    former.log.add(6)
    former.run(600, lambda: former.waiting == 0)
    former.store.close()
    gate = SyncGate(DirectHub(hub), tmp_path / "sync.db", key=SigningKey(b"n" * 32))
    gate.log = former.log
    gate.log.purged = 4
    gate.start()
    enrol_gate(hub.enrol, desk, gate)
    gate.log.add(1)

    gate.run(1200)

    assert gate.outbox.shown == b""
    assert [one for one in desk.incidents(9, is_open=True) if one.kind == "hub_behind"] == []
