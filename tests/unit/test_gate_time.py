"""The straight line on a machine whose clock fails: nobody is admitted wrongly, nobody is refused wrongly en masse.

Everything here is real but the machine's readings: timekeeper, policy, log, day keys and repeat rule.
"""

import pytest
from nacl.signing import SigningKey

from edge.codec import base45
from edge.gate.clock import ASK_ANEW_S
from edge.gate.line import Line, Trusted
from edge.gate.scanner_part import clock_findings, start_of_day_ms
from edge.gate.sightings import Memory
from edge.gate.tally import Tally
from edge.gate.timecodes import Taken
from edge.identity.daykeys import load_day_keys
from edge.ledger import device, facts, timecode
from edge.ledger.timecode import TimeCode
from edge.ledger.tokens import DayKey
from edge.model.moment import ClockQuality
from edge.model.scan import EntryType
from edge.model.symbol import Symbol
from edge.scanlog.log import ScanLog
from tests.simulators import world
from tests.simulators.machine import Machine
from tests.simulators.world import DAY, EXPIRES, ISSUED, NOW, make_pass, person

HUB = SigningKey(b"h" * 32)
HUB_KEYS = {device.key_id(HUB.verify_key.encode()).hex(): HUB.verify_key.encode()}
YEARS = 3653 * DAY
FAULTS = {
    "1970": -NOW,
    "ten years ahead": YEARS,
    "400 days back": -400 * DAY,
    "an hour back": -3600,
    "a month": 30 * DAY,
}
VALID = make_pass(person(index=20))
EXPIRED = make_pass(person(index=21), validity=(ISSUED - DAY, ISSUED - 100))
REVOKED = make_pass(person(index=world.REVOKED))


class Gate:
    """A line over a real log, on a machine."""

    def __init__(self, folder, machine):
        self.folder = folder
        self.machine = machine
        self.log = ScanLog.open(folder / "scans.db")
        self.events = []
        self.start()

    def start(self):
        self.clock = self.machine.clock(self.folder)
        keys = load_day_keys(self.folder) or (DayKey(NOW // DAY, bytes(32)),)
        self.memory = Memory(keys, self.folder, window_s=300)
        self.line = Line(
            formats=world.FORMATS,
            place=world.PLACE,
            log=self.log,
            memory=self.memory,
            trusted=Trusted(world.TRUST),
            clock=self.clock,
            publish=self.events.append,
            hub_keys=HUB_KEYS,
        )

    def show(self, code):
        before = len(self.events)
        self.line.present([Symbol(code)])
        return self.events[-1]["outcome"], self.events[-1]["reason"] if len(self.events) > before else ""

    def facts(self):
        return [facts.decode(entry.body) for entry in self.log.entries(1, 1000)]

    def quality(self):
        return self.clock.moment(world.TRUST).quality


@pytest.fixture
def make(tmp_path):
    made = []

    def gate(machine):
        made.append(Gate(tmp_path, machine))
        return made[-1]

    yield gate
    for one in made:
        one.log.close()


@pytest.mark.parametrize("synced", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_in_mid_shift_a_clock_fault_admits_and_refuses_nobody_wrongly(make, fault, synced):
    """The valid pass or are looked at, the expired are not admitted, the revoked are refused: as before the fault."""
    machine = Machine(NOW, synced=synced)
    gate = make(machine)
    assert gate.show(VALID) == ("accept", "ok")
    machine.pass_s(400)
    machine.step_s(FAULTS[fault])

    assert gate.show(VALID) in [("accept", "ok"), ("refer", "clock.doubtful")]
    assert gate.show(EXPIRED) in [("reject", "time.expired"), ("refer", "clock.doubtful")]
    assert gate.show(REVOKED) == ("reject", "status.revoked")


@pytest.mark.parametrize("wakes_at", [0, ISSUED - 400 * DAY, NOW + YEARS, NOW])
def test_from_the_start_a_clock_fault_admits_and_refuses_nobody_wrongly(make, wakes_at):
    """A gate that boots with a wrong clock: at the floor the valid pass, ten years ahead all are looked at."""
    gate = make(Machine(wakes_at))

    assert gate.show(VALID) in [("accept", "ok"), ("refer", "clock.doubtful")]
    assert gate.show(EXPIRED) in [("reject", "time.expired"), ("refer", "clock.doubtful")]
    assert gate.show(REVOKED) == ("reject", "status.revoked")


def test_a_clock_that_jumps_about_all_day_refuses_no_valid_pass(make):
    """A fault every minute, each in turn, for twelve hours: the valid pass or are looked at, in order of time."""
    machine = Machine(NOW, synced=True)
    gate = make(machine)
    gate.show(VALID)
    steps = list(FAULTS.values())
    found = set()
    for minute in range(720):
        machine.step_s(steps[minute % len(steps)])
        machine.pass_s(60)
        code = make_pass(person(index=100 + minute), validity=(NOW + 60 * minute, NOW + 60 * minute + DAY))
        found.add(gate.show(code))

    assert found <= {("accept", "ok"), ("refer", "clock.doubtful")}
    times = [entry.at_ms for entry in gate.facts()]
    assert times == sorted(times)
    assert NOW * 1000 <= times[0] <= times[-1] <= (NOW + 43_300) * 1000


def test_an_expired_pass_stays_expired_when_the_clock_is_set_back_in_mid_shift(make):
    """Setting the clock back to when a pass was valid admits nobody."""
    machine = Machine(EXPIRES + 3600)
    gate = make(machine)
    assert gate.show(VALID) == ("reject", "time.expired")
    machine.step_s(-7200)

    assert gate.show(VALID) == ("refer", "clock.doubtful")


def test_a_pass_of_today_is_not_refused_as_not_yet_valid_after_the_clock_was_set_back(make):
    """A clock in doubt cannot tell that either."""
    machine = Machine(NOW + 10 * DAY)
    gate = make(machine)
    gate.show(VALID)
    machine.step_s(-9 * DAY)
    fresh = make_pass(person(index=33), validity=(NOW + 10 * DAY, NOW + 11 * DAY))
    later = make_pass(person(index=34), validity=(NOW + 12 * DAY, NOW + 13 * DAY))

    assert gate.show(fresh) == ("refer", "clock.doubtful")
    assert gate.show(later) == ("refer", "clock.doubtful")


@pytest.mark.parametrize("fault", FAULTS)
def test_the_repeat_rule_holds_across_a_clock_fault(make, fault):
    """Who was admitted a minute before the jump is not admitted again after it; after the window he is."""
    machine = Machine(NOW, synced=True)
    gate = make(machine)
    gate.show(VALID)
    machine.pass_s(60)
    machine.step_s(FAULTS[fault])

    assert gate.show(VALID) == ("refer", "repeat.recent")
    machine.pass_s(300)
    assert gate.show(VALID) == ("accept", "ok")


@pytest.mark.parametrize(("ahead_s", "is_known"), [(3600, True), (20 * DAY, False)])
def test_an_admission_from_a_future_that_was_none_sends_nobody_to_the_desk(make, ahead_s, is_known):
    """Put right by an hour it still counts as just now; by weeks the time of it is not known at all."""
    gate = make(Machine(NOW))
    then = world.at(NOW + ahead_s)
    gate.memory.admit(gate.memory.token(b"somebody", then), then)

    assert (gate.memory.seen(b"somebody", world.at(NOW)) is not None) is is_known


@pytest.mark.parametrize("synced", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_clock_fault_uses_up_the_day_keys_or_loses_the_shifts_counts(make, fault, synced):
    """Today's key is today's after the fault, and the tally still counts what was before it."""
    machine = Machine(NOW, synced=synced)
    gate = make(machine)
    gate.show(VALID)
    token = gate.memory.token(b"anybody", gate.clock.moment(world.TRUST))
    machine.step_s(FAULTS[fault])
    moment = gate.clock.moment(world.TRUST)

    assert gate.memory.token(b"anybody", moment) == token
    again = Tally()
    again.load(gate.log, start_of_day_ms(moment))
    assert again.outcomes["accept"] == 1


def test_a_restart_after_a_power_cut_at_the_floor_still_refuses_what_expired_before(make):
    """A gate without any clock that ran two days knows after a power cut that a pass of the first day is over."""
    machine = Machine(0)
    gate = make(machine)
    assert gate.show(VALID) == ("accept", "ok")
    machine.pass_s(2 * DAY)
    gate.clock.keep_if_due()
    machine.cut_power(3600, wakes_at=0)
    gate.start()

    assert gate.quality() is ClockQuality.FLOOR
    assert gate.show(VALID) == ("reject", "time.expired")


class TestTimeCode:
    """A hub's answer, shown to the camera."""

    @staticmethod
    def code(gate, at_s, key=HUB) -> bytes:
        return timecode.make(TimeCode(gate.clock.challenge().nonce, at_s * 1000), key).encode()

    def test_it_restores_the_clock_and_is_an_entry_of_its_own(self, make):
        """Before it everybody is looked at, after it the valid pass; the entry's time is the first by it."""
        gate = make(Machine(NOW + YEARS))
        assert gate.show(VALID) == ("refer", "clock.doubtful")
        gate.line.present([Symbol(self.code(gate, NOW))])

        assert gate.show(VALID) == ("accept", "ok")
        entry = gate.facts()[1]
        assert (entry.type, entry.reason, entry.outcome) == (EntryType.TIME_CODE, "clock.set", 0)
        assert (entry.at_ms, entry.quality) == (NOW * 1000, ClockQuality.SYNCED)
        assert [finding.code for finding in gate.line.findings()] == ["clock.set"]

    def test_shown_again_it_is_refused_and_recorded_like_any_strangers_code(self, make):
        """A picture of yesterday sets nothing back."""
        machine = Machine(NOW + YEARS)
        gate = make(machine)
        code = self.code(gate, NOW)
        gate.line.present([Symbol(code)])
        machine.pass_s(3600)

        assert gate.show(code) == ("reject", "clock.code_refused")
        assert gate.clock.moment(world.TRUST).unix_s >= NOW + 3599
        assert gate.facts()[-1].reason == "clock.code_refused"

    def test_held_up_for_a_while_it_is_one_code(self, make):
        """Whoever keeps it before the camera is not told that it is a replay."""
        machine = Machine(NOW + YEARS)
        gate = make(machine)
        code = self.code(gate, NOW)
        for _ in range(3):
            gate.line.present([Symbol(code)])
            machine.pass_s(10)

        assert [entry.type for entry in gate.facts()] == [EntryType.TIME_CODE]
        assert gate.events == []

    def test_strangers_and_other_kinds_of_message_set_nothing(self, make):
        """Another key, another kind of message by the right key, and noise."""
        gate = make(Machine(NOW + YEARS))
        nonce = gate.clock.challenge().nonce
        receipt = device.sign("receipt", {1: nonce, 2: NOW * 1000}, HUB)
        forgeries = [
            self.code(gate, NOW, SigningKey(b"x" * 32)),
            b"HT1:" + base45.encode(receipt),
            b"HT1:",
            b"HT1:" + b"\xff" * 300,
        ]

        assert {gate.show(code) for code in forgeries} == {("reject", "clock.code_refused")}
        assert gate.quality() is ClockQuality.DOUBTFUL

    def test_every_one_byte_change_of_a_code_is_refused(self, make):
        """Walked: each character by every other of the alphabet, and each cut."""
        gate = make(Machine(NOW + YEARS))
        code = self.code(gate, NOW)
        changed = {
            code[:place] + bytes((other,)) + code[place + 1 :]
            for place in range(len(code))
            for other in base45.ALPHABET
            if other != code[place]
        } | {code[:length] for length in range(len(code))}
        taken = {gate.line.timecodes.take(one, world.TRUST) for one in changed}

        assert taken == {Taken.REFUSED}
        assert gate.line.timecodes.take(code, world.TRUST) is Taken.SET

    def test_an_answer_to_a_question_of_long_ago_is_refused(self, make):
        """Whoever keeps a code for half an hour shows an old time."""
        machine = Machine(NOW + YEARS)
        gate = make(machine)
        code = self.code(gate, NOW)
        machine.pass_s(2 * ASK_ANEW_S)

        assert gate.show(code) == ("reject", "clock.code_refused")

    def test_a_pass_issued_while_the_code_was_on_its_way_is_admitted(self, make):
        """The time of a code may be minutes late, never early: what was issued in between is valid."""
        machine = Machine(0)
        gate = make(machine)
        code = self.code(gate, NOW)
        machine.pass_s(500)
        gate.line.present([Symbol(code)])
        fresh = make_pass(person(index=44), validity=(NOW + 400, NOW + DAY))
        tomorrow = make_pass(person(index=45), validity=(NOW + 4000, NOW + DAY))

        assert gate.show(fresh) == ("accept", "ok")
        assert gate.show(tomorrow) == ("reject", "time.not_yet_valid")

    def test_the_screen_shows_the_question_only_where_somebody_can_answer(self, make):
        """Eight letters beside the finding; none without a hub's key."""
        gate = make(Machine(0))
        question = gate.line.timecodes.question(world.TRUST)

        assert len(question) == 8
        assert clock_findings(ClockQuality.FLOOR, question)[0].params == {"question": question}
        gate.line.timecodes.hub_keys = {}
        assert gate.line.timecodes.question(world.TRUST) == ""
        assert clock_findings(ClockQuality.FLOOR)[0].params == {}
