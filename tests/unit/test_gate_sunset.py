"""A policy ends by itself: the gate stops, erases the keys that could link people, says so, and pushes what is left."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from nacl.signing import SigningKey

from edge.gate.line import Line, Trusted
from edge.gate.sightings import Memory
from edge.gate.sunset import DEVICE_KEPT_S, Sunset
from edge.identity import daykeys
from edge.identity.daykeys import load_day_keys, save_day_keys
from edge.identity.identity import ENROLMENT_FILE, KEY_FILE, Enrolment, make_identity, save_enrolment
from edge.ledger import device, facts, receipt
from edge.ledger.tokens import DayKey
from edge.model.finding import Severity
from edge.model.scan import EntryType, Receipt
from edge.model.symbol import Symbol
from edge.policy.decide import decide
from edge.scanlog.log import ScanLog
from edge.sync.store import Mark, SyncStore
from edge.verify.verify import verify
from tests.simulators import world
from tests.simulators.machine import Machine
from tests.simulators.world import DAY, ISSUED, NOW, at, make_pass, person

END = ISSUED + 10 * DAY
TRUST = replace(world.TRUST, policy=replace(world.POLICY, ends_at=END))
HUB = SigningKey(b"h" * 32)
HUB_KEYS = {device.key_id(HUB.verify_key.encode()).hex(): HUB.verify_key.encode()}


class Gate:
    """A gate's line and its sunset, on a machine, over real files."""

    def __init__(self, folder, machine, trust=TRUST):
        self.folder = folder
        self.machine = machine
        self.trusted = Trusted(trust)
        make_identity(folder)
        self.id = device.gate_id(make_identity(folder).verify_key.encode())
        self.enrolment = Enrolment(self.id, "s", "1", "440106", "http://h", HUB_KEYS, "http://t", 30, NOW)
        save_enrolment(folder, self.enrolment)
        save_day_keys(folder, (DayKey(NOW // DAY, b"r" * 32),))
        self.log = ScanLog.open(folder / "scans.db")
        self.events = []
        self.start()

    def start(self):
        self.clock = self.machine.clock(self.folder)
        self.memory = Memory(load_day_keys(self.folder), self.folder, window_s=300)
        self.line = Line(
            formats=world.FORMATS,
            place=world.PLACE,
            log=self.log,
            memory=self.memory,
            trusted=self.trusted,
            clock=self.clock,
            publish=self.events.append,
        )
        self.sunset = Sunset(self.folder, self.log, self.memory, enrolment=self.enrolment, record=self.line.staff)

    def tend(self):
        trust = self.trusted.snapshot
        self.sunset.tend(trust, self.clock.sure_ms(trust), self.clock.moment(trust))

    def show(self, code):
        self.line.present([Symbol(code)])
        return self.events[-1]["outcome"], self.events[-1]["reason"]

    def types(self):
        return [facts.decode(entry.body).type for entry in self.log.entries(1, 100)]

    def tokens(self):
        with closing(sqlite3.connect(f"file:{self.folder / 'scans.db'}?mode=ro", uri=True)) as other:
            return other.execute("SELECT count(*) FROM scan WHERE token IS NOT NULL").fetchone()[0]

    def receipt(self, last):
        """Let the hub sign for the log up to an entry."""
        head = self.log.head
        signed = receipt.make(
            Receipt(self.id, head.epoch, last, self.log.head_at(last), last, NOW * 1000, "", b""), HUB
        )
        store = SyncStore(self.folder / "sync.db")
        with store.writing():
            store.set_mark(head.epoch, Mark(0, bytes(32)))
        with store.writing():
            store.settle(signed, NOW * 1000)
        store.close()

    def has(self, name):
        return (self.folder / name).exists()


@pytest.fixture
def make(tmp_path):
    made = []

    def gate(machine, trust=TRUST):
        made.append(Gate(tmp_path, machine, trust))
        return made[-1]

    yield gate
    for one in made:
        one.log.close()


def ended(make):
    """A gate that learned of the end by a signed time."""
    gate = make(Machine(NOW))
    gate.show(make_pass())
    gate.trusted.snapshot = replace(TRUST, issued_at=END)
    gate.tend()
    return gate


def test_past_the_end_the_keys_go_the_entry_stays_and_nobody_is_admitted(make):
    """Key file, keys in memory and tokens in the log are gone; the log says so, once, and the page does."""
    gate = ended(make)
    gate.tend()

    assert not gate.has(daykeys.FILE)
    assert not gate.memory.has_keys
    assert gate.tokens() == 0
    assert gate.types() == [EntryType.SCAN, EntryType.SUNSET]
    assert [(one.code, one.severity) for one in gate.sunset.findings()] == [
        ("policy.ended", Severity.STOP),
        ("policy.keys_erased", Severity.INFO),
    ]
    assert gate.show(make_pass(validity=(END - 10, END + DAY))) == ("reject", "policy.ended")
    assert gate.tokens() == 0


def test_a_restart_makes_no_new_keys_and_no_second_entry(make):
    """The end is known from what is kept and signed, not from a marker."""
    gate = ended(make)
    gate.start()
    gate.tend()

    assert not gate.has(daykeys.FILE)
    assert gate.types().count(EntryType.SUNSET) == 1


@pytest.mark.parametrize("wrong", [3653 * DAY, 20 * DAY, 300 * DAY])
@pytest.mark.parametrize("synced", [True, False])
def test_no_unsigned_clock_erases_anything(make, wrong, synced):
    """Ahead from the start or by a jump, in or out of bounds, disciplined or not: every key stays where it is."""
    machine = Machine(NOW + wrong, synced=synced, rtc_s=NOW + wrong)
    gate = make(machine)
    gate.tend()
    machine.pass_s(3600)
    machine.system_ms = (NOW + 2 * wrong) * 1000
    gate.tend()

    assert gate.has(daykeys.FILE)
    assert gate.memory.has_keys
    assert EntryType.SUNSET not in gate.types()


def test_a_gate_that_hears_of_nobody_ends_by_its_own_steady_count(make):
    """Ten days of running without a network and without any clock are ten days."""
    machine = Machine(0)
    gate = make(machine)
    for _ in range(10):
        gate.tend()
        machine.pass_s(DAY)
    assert gate.has(daykeys.FILE)
    machine.pass_s(600)
    gate.tend()

    assert not gate.has(daykeys.FILE)


def test_the_roots_bound_ends_a_policy_that_would_run_longer(make):
    """Two of three cannot extend it: the earlier of both ends counts, in the verdict and for the keys."""
    trust = replace(world.TRUST, sunset=END)
    credential = world.FORMATS[0].parse(make_pass(validity=(END - 10, END + DAY)))
    moment = at(END)
    found = decide(verify(credential, trust, moment), trust, moment, place=world.PLACE)

    assert trust.policy.ends_at > END
    assert (trust.ends_at, str(found.reason)) == (END, "policy.ended")
    assert replace(trust, sunset=trust.policy.ends_at + DAY).ends_at == trust.policy.ends_at
    gate = make(Machine(NOW), replace(trust, issued_at=END))
    gate.tend()
    assert not gate.has(daykeys.FILE)


def test_an_extension_by_a_new_root_gives_the_gate_keys_of_its_own_again(make):
    """Until it is enrolled anew it makes tokens nobody else can compare; enrolment brings the region's."""
    gate = ended(make)
    gate.trusted.snapshot = replace(TRUST, issued_at=END, policy=replace(world.POLICY, ends_at=END + 90 * DAY))
    gate.tend()

    assert gate.has(daykeys.FILE)
    assert gate.memory.has_keys
    assert load_day_keys(gate.folder)[0].key != b"r" * 32
    assert gate.sunset.findings() == []
    assert gate.show(make_pass(validity=(END - 10, END + DAY - 20))) == ("accept", "ok")


class TestDeviceKey:
    """What proves the remaining backlog stays until the hub has signed for all of it."""

    @staticmethod
    def wait(gate, seconds) -> None:
        gate.machine.pass_s(seconds)
        gate.tend()

    def test_it_goes_a_week_later_once_everything_is_receipted(self, make):
        """With the enrolment; the log and the trust data stay to be looked at."""
        gate = ended(make)
        gate.receipt(2)
        self.wait(gate, DEVICE_KEPT_S + 600)

        assert not gate.has(KEY_FILE)
        assert not gate.has(ENROLMENT_FILE)
        assert gate.has("scans.db")
        gate.log.verify()

    @pytest.mark.parametrize("last", [0, 1])
    def test_it_stays_while_anything_is_not(self, make, last):
        """No receipt at all, and one that lacks the entry about the keys."""
        gate = ended(make)
        if last:
            gate.receipt(last)
        self.wait(gate, 10 * DEVICE_KEPT_S)

        assert gate.has(KEY_FILE)
        assert gate.has(ENROLMENT_FILE)

    def test_it_stays_for_a_week_whatever_is_receipted(self, make):
        """An extension that comes a day late finds an enrolled gate."""
        gate = ended(make)
        gate.receipt(2)
        self.wait(gate, DEVICE_KEPT_S - DAY)

        assert gate.has(KEY_FILE)


def test_a_disk_that_keeps_the_keys_is_said_and_tried_again(make):
    """The finding stands until they are gone; the gate stops all the same, and the entry is written then."""
    gate = make(Machine(NOW), replace(TRUST, issued_at=END))
    (gate.folder / daykeys.FILE).unlink()
    (gate.folder / daykeys.FILE).mkdir()
    gate.tend()

    assert [one.code for one in gate.sunset.findings()] == ["policy.ended", "policy.keys_left"]
    assert EntryType.SUNSET not in gate.types()
    assert gate.show(make_pass(person(index=3), validity=(END - 10, END + 60))) == ("reject", "policy.ended")
    (gate.folder / daykeys.FILE).rmdir()
    gate.tend()
    assert gate.types()[-1] is EntryType.SUNSET
    assert [one.code for one in gate.sunset.findings()] == ["policy.ended", "policy.keys_erased"]
