"""Whatever the far side does, nothing is lost, nothing blocks what follows, and every retry has the same bytes."""

from pathlib import Path

import pytest

from edge.errors import LedgerError
from edge.ledger import wire
from edge.model.settings import SyncSettings
from edge.sync.outbox import UNANSWERED
from edge.sync.pusher import perform
from edge.sync.session import Action, Link
from edge.sync.transport import Answer
from tests.simulators.hub import AT_MS, Fault, ModelHub
from tests.simulators.sync_gate import SyncGate

SOON = SyncSettings(push_at=5, push_after_s=10.0)


@pytest.fixture
def hub() -> ModelHub:
    """Return a hub that behaves."""
    return ModelHub()


@pytest.fixture
def gate(hub: ModelHub, tmp_path: Path) -> SyncGate:
    """Return a gate of that hub."""
    return SyncGate(hub, tmp_path / "sync.db", SOON)


def test_what_waits_at_the_start_is_pushed_once_the_hub_answers(gate: SyncGate) -> None:
    """A backlog of before the start goes as soon as the hub is there."""
    gate.log.add(1203)

    gate.run(2)

    assert gate.is_whole
    assert gate.waiting == 0
    assert [job.action for job in gate.jobs[:4]] == [Action.BEAT, Action.PUSH, Action.PUSH, Action.PUSH]


def test_a_few_entries_wait_for_company(gate: SyncGate) -> None:
    """Fewer entries than a push is worth wait, and go together after the set time."""
    gate.run(2)
    gate.log.add(2)

    gate.run(5)
    before = gate.waiting
    gate.run(6)

    assert (before, gate.waiting) == (2, 0)


def test_enough_entries_go_at_once(gate: SyncGate) -> None:
    """As many entries as a push is worth do not wait."""
    gate.run(2)
    gate.log.add(5)

    gate.run(0.5)

    assert gate.waiting == 0


@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name)
@pytest.mark.parametrize("path", [wire.BATCHES, wire.HEARTBEAT])
def test_no_single_answer_loses_or_blocks_anything(gate: SyncGate, hub: ModelHub, fault: Fault, path: str) -> None:
    """After any one failure, of a batch or a heartbeat, everything arrives once the hub behaves, and once only."""
    gate.log.add(7)
    hub.fail(fault, path=path)

    gate.run(400, until=lambda: gate.waiting == 0)

    assert gate.is_whole
    assert gate.store.batches() == []


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.TWICE], ids=lambda fault: fault.name)
def test_minutes_of_any_answer_delete_nothing(gate: SyncGate, hub: ModelHub, fault: Fault) -> None:
    """While every answer is wrong the gate keeps all; when they are right again it all arrives, soon."""
    gate.tick = 2.0
    gate.log.add(3)
    hub.always = (fault, "")
    gate.run(300)
    gate.log.add(600)
    gate.run(300)
    assert gate.waiting == 603

    gate.tick = 0.25
    hub.always = None
    gate.run(400, until=lambda: gate.waiting == 0)

    assert gate.is_whole


def test_a_silent_hub_is_not_hammered(gate: SyncGate, hub: ModelHub) -> None:
    """In an hour of silence the gate tries about every four seconds, never faster than its bound."""
    gate.log.add(7)
    hub.always = (Fault.DROP, "")

    gate.run(3600)

    assert 450 <= len(gate.jobs) <= 1800


def test_a_retry_has_the_same_bytes(gate: SyncGate, hub: ModelHub) -> None:
    """A batch whose answer was lost is sent again byte by byte, though more entries came and the process died."""
    gate.log.add(6)
    hub.fail(Fault.LOSE, Fault.BROKEN, path=wire.BATCHES)
    gate.run(5, until=lambda: len(hub.posted) >= 1)
    gate.log.add(6)
    gate.kill()

    gate.run(60, until=lambda: gate.waiting == 0)

    assert hub.posted[0] == hub.posted[1]
    assert gate.is_whole


def test_a_refused_batch_is_parked_and_the_later_ones_go_on(gate: SyncGate, hub: ModelHub) -> None:
    """A refusal of one batch keeps its bytes with the reason; the next batch is offered all the same."""
    hub.always = (Fault.REFUSE, wire.BATCHES)
    gate.log.add(6)
    gate.run(1)
    hub.always = None
    gate.log.add(6)
    gate.run(12)

    parked = gate.store.batches()
    assert [(kept.first, kept.kind) for kept in parked] == [(1, "malformed"), (7, "gap")]
    assert gate.waiting == 12
    assert len(hub.early) == 1


def test_parked_batches_are_tried_again_in_their_order(gate: SyncGate, hub: ModelHub) -> None:
    """Once the hub takes the refused batch, those that only waited for it follow at once, and nothing is left."""
    hub.always = (Fault.REFUSE, wire.BATCHES)
    gate.log.add(6)
    gate.run(1)
    hub.always = None
    gate.log.add(6)
    gate.run(400, until=lambda: gate.waiting == 0)

    assert gate.is_whole
    assert gate.store.batches() == []
    assert gate.pusher.findings() == []


def test_a_parked_batch_is_said(gate: SyncGate, hub: ModelHub) -> None:
    """People read which kind of refusal began it."""
    hub.fail(Fault.REFUSE, path=wire.BATCHES)
    gate.log.add(6)

    gate.run(1)

    (finding,) = gate.pusher.findings()
    assert finding.code == "hub.refused"
    assert finding.params["kind"] == "malformed"
    assert finding.params["seq"] == 1


def test_an_unknown_gate_parks_nothing(gate: SyncGate, hub: ModelHub) -> None:
    """A hub that does not know the gate says nothing about its batches: they wait, the finding tells why."""
    gate.log.add(6)
    hub.always = (Fault.UNKNOWN_GATE, "")

    gate.run(300)

    assert gate.store.batches() == []
    assert gate.pusher.findings()[0].params["kind"] == "unknown_gate"
    assert gate.waiting == 6
    assert len(gate.jobs) < 40


def test_a_poisoned_batch_does_not_block_the_later_ones(gate: SyncGate, hub: ModelHub) -> None:
    """A batch at which the hub fails each time, while it answers everything else, lets the others past."""
    hub.poisoned = {1}
    gate.log.add(6)
    gate.run(60)
    gate.log.add(6)
    gate.run(60)

    assert gate.store.batches()[0].kind == UNANSWERED
    assert len(hub.early) == 1, "the later batch reached the hub, which keeps it until the first one comes"

    hub.poisoned = set()
    gate.run(400, until=lambda: gate.waiting == 0)

    assert gate.is_whole


def test_a_hub_that_fails_at_every_batch_sees_no_gap_afterwards(gate: SyncGate, hub: ModelHub) -> None:
    """When all pushes fail and heartbeats do not, the oldest is always first again: no false alarm of a gap."""
    hub.always = (Fault.BROKEN, wire.BATCHES)
    for _ in range(20):
        gate.log.add(6)
        gate.run(30)

    hub.always = None
    gate.run(400, until=lambda: gate.waiting == 0)

    assert gate.is_whole
    assert hub.evidence == []


def test_a_hub_that_lost_its_newest_entries_is_sent_them_again(gate: SyncGate, hub: ModelHub) -> None:
    """A hub restored from a backup says so in its watermark, and gets what it lost."""
    gate.log.add(20)
    gate.run(2)
    head = gate.log.head
    assert head is not None
    del hub.logs[gate.id, head.epoch].entries[8:]

    gate.log.add(5)
    gate.run(60)

    assert gate.is_whole
    assert gate.waiting == 0
    assert gate.store.batches() == []


def test_a_lost_sync_db_begins_at_what_the_hub_says(gate: SyncGate, hub: ModelHub) -> None:
    """Without `sync.db` nothing is sent twice: the hub's signed word tells where to go on."""
    gate.log.add(20)
    gate.run(2)
    sent = len(hub.posted)
    gate.store.close()
    for part in gate.path.parent.glob("sync.db*"):
        part.unlink()
    gate.start()

    gate.log.add(5)
    gate.run(12)

    assert gate.is_whole
    assert len(hub.posted) == sent + 1


def test_a_log_that_was_set_back_is_said(gate: SyncGate) -> None:
    """A log restored from an older copy, of which the hub holds more, is a rollback in the findings."""
    gate.log.add(20)
    gate.run(2)
    del gate.log.all[10:]
    gate.kill()

    gate.run(2)

    assert gate.pusher.findings()[0].params["kind"] == "rollback"


def test_a_cloned_log_goes_to_the_hub_as_evidence(gate: SyncGate, hub: ModelHub) -> None:
    """Entries that contradict what the hub holds are sent, refused as a fork and kept: never silent, never merged."""
    gate.log.add(20)
    gate.run(2)
    del gate.log.all[10:]
    gate.log.add(15, at_ms=1)
    gate.store.close()
    for part in gate.path.parent.glob("sync.db*"):
        part.unlink()
    gate.start()

    gate.run(30)

    assert hub.evidence == ["fork"]
    assert gate.pusher.findings()[0].params["kind"] == "fork"
    assert [kept.kind for kept in gate.store.batches()] == ["fork"]
    assert len(hub.seqs(gate.id, gate.log.epoch)) == 20


def test_what_an_older_log_left_unsent_still_goes(gate: SyncGate, hub: ModelHub) -> None:
    """When the scan log begins anew, batches of the old one that were cut go first, under their own epoch."""
    gate.run(1)
    gate.log.add(6)
    hub.fail(Fault.DROP, path=wire.BATCHES)
    gate.run(0.5, until=lambda: bool(gate.store.batches()))
    old = gate.log.epoch
    gate.log = type(gate.log)()
    gate.kill()
    gate.log.add(3)

    gate.run(60, until=lambda: gate.waiting == 0)

    assert hub.seqs(gate.id, old) == [1, 2, 3, 4, 5, 6]
    assert gate.is_whole


def test_purged_entries_that_the_hub_lost_are_named(gate: SyncGate, hub: ModelHub) -> None:
    """A hub that lost what the gate no longer has gets the rest; the finding says that something is missing."""
    gate.log.add(20)
    gate.run(2)
    gate.log.purged = 10
    hub.logs.clear()
    gate.log.add(5)

    gate.run(60)

    assert gate.pusher.findings()[0].params["kind"] == "gap"
    assert gate.waiting > 0


def test_a_heartbeat_never_names_an_older_head_than_a_push_before_it(gate: SyncGate, hub: ModelHub) -> None:
    """What is recorded while it is pushed never makes the log look set back to the hub."""
    gate.run(1)
    stale = gate.outbox.standing()
    gate.log.add(9)
    gate.run(1)

    gate.session.on_network_changed(gate.now)
    job = gate.pusher.next(gate.now, AT_MS, stale)
    assert job is not None
    perform(job, hub, hub.keys)

    assert hub.beats[-1].last == 9


def test_a_log_that_was_unreadable_for_a_moment_is_not_said_for_ever(gate: SyncGate) -> None:
    """A heartbeat that could not be compared with the log is a trouble until the next one could."""
    gate.run(1)
    whole, gate.log.head_at = gate.log.head_at, unreadable  # type: ignore[method-assign]
    gate.run(40)
    troubled = gate.pusher.trouble
    gate.log.head_at = whole  # type: ignore[method-assign]
    gate.run(40)

    assert troubled is not None
    assert gate.pusher.trouble is None
    assert gate.session.link is Link.ONLINE


def unreadable(seq: int) -> bytes | None:
    """Fail as a log does that another program holds."""
    raise LedgerError("The scan log cannot be read: another program holds it.")


def test_slots_of_the_hub_are_kept(gate: SyncGate, hub: ModelHub) -> None:
    """A backlog waits for the slot the watermark gives, even if every heartbeat gives a new one."""
    hub.slot_s = 20
    hub.heartbeat_s = 5
    gate.log.add(50)

    gate.run(19)
    before = gate.waiting
    gate.run(2)

    assert (before, gate.waiting) == (50, 0)


def test_a_retry_after_is_kept_and_bounded(gate: SyncGate, hub: ModelHub) -> None:
    """The gate is silent for as long as the hub asks, but a number without bounds does not silence it for ever."""
    gate.log.add(6)
    gate.run(2)
    hub.retry_after_s = 10**9
    hub.fail(Fault.BUSY)
    gate.log.add(6)
    gate.run(1)
    began, seen = gate.now, len(gate.jobs)

    gate.run(1000, until=lambda: len(gate.jobs) > seen)

    assert 890 <= gate.now - began <= 901


def test_a_stranger_who_is_always_busy_is_not_online(gate: SyncGate, hub: ModelHub) -> None:
    """A hub that only ever says 503 is not shown as there."""
    gate.run(1)
    assert gate.session.link is Link.ONLINE

    hub.always = (Fault.BUSY, "")
    gate.run(120)

    assert gate.session.link is Link.OFFLINE


def test_a_batch_never_exceeds_its_limit(gate: SyncGate, hub: ModelHub) -> None:
    """Entries with sealed fields are cut into batches that fit the wire."""
    gate.log.add(300, sealed_bytes=4096)

    gate.run(30)

    assert gate.is_whole
    assert max(map(len, hub.posted)) <= 200 * 1024
    assert len(hub.posted) > 5


class Narrow(ModelHub):
    """A hub behind something that lets no message past a size through."""

    most = 20_000
    largest = 0

    def answer(self, path: str, body: bytes, fault: Fault | None = None) -> Answer:
        """Answer what fits."""
        if len(body) > self.most:
            return Answer(413, b"<h1>too large</h1>", "text/html")
        self.largest = max(self.largest, len(body))
        return super().answer(path, body, fault)


def test_a_batch_too_large_for_the_way_goes_in_parts(tmp_path: Path) -> None:
    """After a 413 it is cut in two until it fits, later ones are cut smaller at once, and nothing is parked."""
    hub = Narrow()
    gate = SyncGate(hub, tmp_path / "sync.db")
    gate.log.add(120, sealed_bytes=1500)

    gate.run(60, until=lambda: gate.waiting == 0)
    before = len(gate.jobs)
    gate.log.add(120, sealed_bytes=1500)
    gate.run(400, until=lambda: gate.waiting == 0)

    refused = [job for job in gate.jobs[before:] if len(job.message) > hub.most]
    assert gate.is_whole
    assert gate.store.batches() == []
    assert hub.evidence == []
    assert len(refused) <= 1


def test_a_small_batch_that_meets_413_is_parked(gate: SyncGate, hub: ModelHub) -> None:
    """A thing on the way that calls everything too large does not have a batch cut into single entries."""
    gate.log.add(40)
    hub.always = (Fault.TOO_LARGE, wire.BATCHES)

    gate.run(30)

    assert [(kept.first, kept.last, kept.kind) for kept in gate.store.batches()] == [(1, 40, "too_large")]


@pytest.mark.parametrize("ahead_ms", [-10 * 365 * 86_400_000, -700, 0, 1200, 10 * 365 * 86_400_000])
@pytest.mark.parametrize("half_s", [0.0, 0.4])
def test_the_clock_is_measured_by_half_a_round_trip(
    gate: SyncGate, hub: ModelHub, ahead_ms: int, half_s: float
) -> None:
    """The gate says how far its clock is from the hub's, and how far that may be off."""
    job = gate.pusher.next(gate.now, AT_MS + ahead_ms, gate.outbox.standing())
    assert job is not None
    gate.pusher.done(job, perform(job, hub, hub.keys), gate.now + 2 * half_s, AT_MS + ahead_ms)
    offset = gate.pusher.offset
    assert offset is not None

    # The model's clock stands, so the hub's reading is at the very beginning of the exchange.
    assert offset.unsure_ms == half_s * 1000
    assert abs(offset.ahead_ms - ahead_ms) <= offset.unsure_ms


def test_the_next_heartbeat_tells_the_clock(gate: SyncGate, hub: ModelHub) -> None:
    """The hub hears how the clock stood at the heartbeat before."""
    gate.run(100)

    assert "clock_ahead_ms" not in hub.beats[0].health
    assert {"clock_ahead_ms", "clock_unsure_ms"} <= hub.beats[1].health.keys()
