"""Law 5 where the gate lives by it: nothing leaves the log unreceipted, and only after the signed retention."""

import pytest
from nacl.signing import SigningKey

from edge.gate.upkeep import Upkeep
from edge.identity.identity import Enrolment, Identity
from edge.ledger import device, receipt
from edge.model.moment import ClockQuality
from edge.model.scan import EntryType, Receipt
from edge.sync.store import Mark, SyncStore
from tests.simulators import world
from tests.simulators.world import NOW, at, make_pass, person
from tests.unit.test_gate_line import Gate

HUB = SigningKey(b"h" * 32)
STRANGER = SigningKey(b"s" * 32)
DEVICE = SigningKey(b"d" * 32)
GATE = device.gate_id(DEVICE.verify_key.encode())
WEEK = world.POLICY.retention_s


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path)
    made.show(*(make_pass(person(index=50 + number)) for number in range(5)))
    yield made
    made.log.close()


def upkeep(gate, key=HUB, *, last=4):
    """An upkeep whose sync part holds a receipt of `key` up to `last`."""
    public = HUB.verify_key.encode()
    keys = {device.key_id(public).hex(): public}
    enrolment = Enrolment(GATE, "s", "1", "440106", "http://h", keys, "http://t", 30, NOW)
    head = gate.log.head
    store = SyncStore(gate.path.with_name("sync.db"))
    with store.writing():
        store.set_mark(head.epoch, Mark(0, bytes(32)))
    signed = receipt.make(Receipt(GATE, head.epoch, last, gate.log.head_at(last), last, NOW * 1000, "", b""), key)
    with store.writing():
        store.settle(signed, NOW * 1000)
    store.close()
    return Upkeep(gate.log, gate.path.with_name("sync.db"), Identity(DEVICE, enrolment))


def left(gate):
    return [entry.seq for entry in gate.log.entries(1, 100)]


def test_receipted_entries_go_after_the_retention_and_leave_a_certificate(gate):
    """Four of five are receipted: a week later they go, the fifth stays, and the purge is an entry."""
    upkeep(gate).tend_now(world.TRUST, at(NOW + WEEK + 60))

    assert left(gate) == [5, 6]
    assert gate.facts()[-1].type is EntryType.PURGE
    gate.log.verify()


@pytest.mark.parametrize("moment", [at(NOW + WEEK - 60), at(NOW + 10 * WEEK, ClockQuality.DOUBTFUL)])
def test_nothing_goes_early_or_under_a_doubted_clock(gate, moment):
    """The retention is the policy's, counted by a clock that is believed."""
    upkeep(gate).tend_now(world.TRUST, moment)

    assert left(gate) == [1, 2, 3, 4, 5]


def test_a_strangers_receipt_lets_nothing_go(gate):
    """Somebody else's signature is no receipt."""
    upkeep(gate, STRANGER).tend_now(world.TRUST, at(NOW + WEEK + 60))

    assert left(gate) == [1, 2, 3, 4, 5]


def test_without_receipts_or_enrolment_nothing_goes(gate):
    """A gate that has never reached a hub keeps everything."""
    Upkeep(gate.log, gate.path.with_name("sync.db"), None).tend_now(world.TRUST, at(NOW + 100 * WEEK))

    assert left(gate) == [1, 2, 3, 4, 5]


def test_tokens_are_erased_after_two_days(gate):
    """What could join one day's scans is gone; the entries and their chain stay."""
    upkeep(gate).tend_now(world.TRUST, at(NOW + 3 * 86_400))

    assert [entry.token for entry in gate.log.entries(1, 100)] == [None] * 5
    gate.log.verify()


def test_a_damaged_sync_database_is_a_finding_and_lets_nothing_go(gate):
    """The scanner goes on and says so."""
    tended = upkeep(gate)
    gate.path.with_name("sync.db").write_bytes(b"no database" * 100)
    tended.tend_now(world.TRUST, at(NOW + WEEK + 60))

    assert left(gate) == [1, 2, 3, 4, 5]
    assert [finding.code for finding in tended.findings()] in ([], ["log.damaged"])
