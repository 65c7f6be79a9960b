"""What time it is, from unsigned clocks between signed bounds (docs/adr/0023-trusted-time.md)."""

import json
from dataclasses import replace

import pytest

from edge.gate.clock import ASK_ANEW_S, FILE, Clock, Readings, boot_id, read_rtc
from edge.gate.timekeeper import AGREE_MS, AWAY_MS, Reading, Timekeeper
from edge.model.moment import ClockQuality
from tests.simulators.machine import Machine
from tests.simulators.world import DAY, ISSUED, NOW, TRUST

FLOOR, RTC, SYNCED, DOUBTFUL = ClockQuality.FLOOR, ClockQuality.RTC, ClockQuality.SYNCED, ClockQuality.DOUBTFUL
YEARS = 3653 * DAY


def told(clock, trust=TRUST):
    """The time in seconds and its quality."""
    found = clock.moment(trust)
    return found.unix_s, found.quality


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine(NOW, synced=True), (NOW, SYNCED)),
        (Machine(NOW), (NOW, RTC)),
        (Machine(0), (ISSUED, FLOOR)),
        (Machine(ISSUED - 400 * DAY), (ISSUED, FLOOR)),
        (Machine(NOW + YEARS), (ISSUED, DOUBTFUL)),
        (Machine(NOW + YEARS, synced=True), (ISSUED, DOUBTFUL)),
        (Machine(0, rtc_s=NOW), (NOW, RTC)),
        (Machine(NOW - 1000, rtc_s=NOW), (NOW, RTC)),
        (Machine(NOW, rtc_s=0), (NOW, RTC)),
        (Machine(NOW, rtc_s=4_070_908_800), (NOW, RTC)),
        (Machine(0, rtc_s=0), (ISSUED, FLOOR)),
        (Machine(0, rtc_s=4_070_908_800), (ISSUED, FLOOR)),
        (Machine(NOW, synced=True, rtc_s=NOW + 200 * DAY), (NOW, SYNCED)),
    ],
)
def test_a_start_takes_the_latest_clock_that_can_be_true(machine, expected):
    """Right, 1970, 400 days back, ten years ahead; with a battery-backed clock that is right, at 1970 or at 2099."""
    assert told(machine.clock()) == expected


def test_a_little_disagreement_with_the_authority_is_none():
    """A clock a minute behind the signed issue time stands at it and keeps its quality."""
    assert told(Machine(ISSUED - 60, synced=True).clock()) == (ISSUED, SYNCED)


def test_at_the_floor_time_goes_on_with_the_steady_count():
    """A gate that believes it is 1970 is two hours later after two hours."""
    machine = Machine(0)
    clock = machine.clock()
    clock.moment(TRUST)
    machine.pass_s(7200)

    assert ISSUED + 7190 < clock.moment(TRUST).unix_s <= ISSUED + 7200


@pytest.mark.parametrize("synced", [True, False])
@pytest.mark.parametrize("step", [-NOW, YEARS, -400 * DAY])
def test_a_clock_that_jumps_to_where_it_cannot_be_is_led_on_without(synced, step):
    """To 1970, ten years ahead or 400 days back in mid-shift: the steady count leads on, as if nothing had happened."""
    machine = Machine(NOW, synced=synced)
    clock = machine.clock()
    clock.moment(TRUST)
    machine.pass_s(60)
    machine.step_s(step)

    assert told(clock) == (NOW + 60, RTC)
    machine.pass_s(3600)
    assert told(clock) == (NOW + 3660, RTC)


@pytest.mark.parametrize("step", [-3000, 20 * DAY])
def test_a_jump_between_two_times_that_both_could_be_is_doubted(step):
    """Without a time service nobody can tell which was wrong: it is said so, and the old time goes on."""
    machine = Machine(NOW + 6000)
    clock = machine.clock()
    clock.moment(TRUST)
    machine.step_s(step)

    assert told(clock) == (NOW + 6000, DOUBTFUL)
    machine.step_s(-step)
    assert told(clock) == (NOW + 6000, RTC)


def test_a_jump_away_from_a_time_services_time_is_the_jump_that_is_wrong():
    """A technician's slip after the time service was there changes nothing."""
    machine = Machine(NOW, synced=True)
    clock = machine.clock()
    clock.moment(TRUST)
    machine.step_s(20 * DAY)

    assert told(clock) == (NOW, RTC)


def test_a_time_service_ends_every_doubt_within_signed_bounds():
    """What it says between floor and newest expiry is believed at once, backwards too."""
    machine = Machine(NOW + 20 * DAY)
    clock = machine.clock()
    clock.moment(TRUST)
    machine.step_s(-20 * DAY)
    assert clock.moment(TRUST).quality is DOUBTFUL
    machine.synced = True

    assert told(clock) == (NOW, SYNCED)


def test_a_machine_without_battery_or_time_service_may_be_later_than_it_says():
    """It may have been off; with a battery, or once a time service was there, its time is its time."""
    synced = Machine(NOW, synced=True)
    clock = synced.clock()
    clock.moment(TRUST)
    synced.synced = False

    assert Machine(NOW).clock().moment(TRUST).late_ms == AWAY_MS
    assert Machine(NOW, rtc_s=0).clock().moment(TRUST).late_ms == AWAY_MS
    assert Machine(NOW, rtc_s=NOW).clock().moment(TRUST).late_ms == 0
    assert clock.moment(TRUST).late_ms == 0


def test_a_small_step_is_followed():
    """Two minutes either way is a clock being put right."""
    machine = Machine(NOW)
    clock = machine.clock()
    clock.moment(TRUST)
    machine.step_s(-AGREE_MS // 1000)

    assert told(clock) == (NOW - AGREE_MS // 1000, RTC)


def test_a_technician_who_sets_a_clock_that_was_certainly_wrong_is_believed():
    """From 1970, and from ten years ahead, to a time that can be."""
    for wrong in (0, NOW + YEARS):
        machine = Machine(wrong)
        clock = machine.clock()
        clock.moment(TRUST)
        machine.step_s(NOW - wrong)

        assert told(clock) == (NOW, RTC)


def test_newer_signed_time_overtakes_a_clock_that_was_behind():
    """A refresh that was issued after what the clock says moves time there."""
    machine = Machine(NOW)
    clock = machine.clock()
    clock.moment(TRUST)
    newer = replace(TRUST, issued_at=NOW + 5 * DAY)

    assert told(clock, newer) == (NOW + 5 * DAY, FLOOR)


def test_time_never_runs_backwards_through_every_pair_of_faults():
    """Whatever two things happen to the clock, the next moment is not before the last: all pairs are walked."""
    faults = (-NOW, YEARS, -400 * DAY, -3000, 20 * DAY, 90, -90)
    for first in faults:
        for second in faults:
            machine = Machine(NOW + 6000)
            clock = machine.clock()
            moments = []
            for step in (0, first, second):
                machine.step_s(step)
                machine.pass_s(100)
                moments.append(clock.moment(TRUST))

            assert [found.unix_ms for found in moments] == sorted(found.unix_ms for found in moments), (first, second)
            assert all(abs(found.unix_s - NOW - 6000) < 500 for found in moments), (first, second)


def test_no_unsigned_clock_raises_the_floor(tmp_path):
    """A year of every wrong clock later the kept floor is the signed time and what the machine has run since."""
    machine = Machine(NOW, synced=True, rtc_s=NOW)
    clock = machine.clock(tmp_path)
    for step in (0, 100 * DAY, YEARS, -YEARS, -100 * DAY):
        machine.step_s(step)
        clock.moment(TRUST)
        machine.pass_s(10)
    clock.keep()

    assert json.loads((tmp_path / FILE).read_bytes())["floor_ms"] == (ISSUED + 50) * 1000 - 10


def test_the_floor_survives_a_restart_and_a_power_cut(tmp_path):
    """In one boot the steady count goes on; after a power cut time is at least where it was, with no trust at all."""
    machine = Machine(0)
    clock = machine.clock(tmp_path)
    clock.moment(TRUST)
    machine.pass_s(3600)
    clock.keep_if_due()
    machine.pass_s(600)

    assert machine.clock(tmp_path).sure_ms(None) // 1000 == ISSUED + 4200 - 1
    machine.cut_power(9 * DAY, wakes_at=0)
    assert told(machine.clock(tmp_path), None) == (ISSUED + 3600 - 1, FLOOR)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 5000,
        b'{"schema": 1, "boot": 1, "steady_ms": -1, "floor_ms": 0, "code": null}',
        b'{"schema": 1, "boot": 1, "steady_ms": 1, "floor_ms": 1e400, "code": null}',
        b'{"schema": 1, "boot": 1, "steady_ms": 1, "floor_ms": 9999999999999999999, "code": null}',
        b'{"schema": 2, "boot": 1, "steady_ms": 1, "floor_ms": 1, "code": null}',
        b'{"schema": 1, "boot": 1, "steady_ms": 1, "floor_ms": 1, "code": 5}',
    ],
)
def test_a_damaged_file_keeps_no_gate_from_starting(tmp_path, content):
    """What cannot be read counts as nothing; the trust in force has a floor of its own."""
    (tmp_path / FILE).write_bytes(content)

    assert told(Machine(NOW).clock(tmp_path)) == (NOW, RTC)


def test_certainly_past_everything_signed_is_said_and_not_doubted():
    """A gate that ran past the newest expiry knows it by its steady count: trust is too old there, plainly."""
    machine = Machine(0)
    clock = machine.clock()
    clock.moment(TRUST)
    machine.pass_s(366 * DAY)

    assert clock.moment(TRUST).quality is FLOOR
    assert clock.moment(TRUST).unix_s > TRUST.newest_expiry


def test_a_steady_count_that_is_fast_cannot_push_time_past_the_truth():
    """The floor allows for 200 ppm: a month is taken for nine minutes less."""
    keeper = Timekeeper()
    keeper.raise_floor(0, 0)

    assert keeper.sure_ms(30 * DAY * 1000) == 30 * DAY * 1000 - 30 * DAY * 1000 // 5000


class TestTimeCodes:
    """A signed answer to a question of this gate restores the clock; nothing else does."""

    def asked(self, machine, tmp_path=None):
        clock = machine.clock(tmp_path)
        clock.moment(TRUST)
        return clock, clock.challenge()

    @pytest.mark.parametrize("wrong", [0, NOW + YEARS, NOW - 2000, NOW + 30 * DAY])
    def test_an_answer_restores_quality_from_any_fault(self, wrong):
        """1970, ten years ahead, a little behind, a month ahead: the signed time counts from then on."""
        machine = Machine(wrong)
        clock, question = self.asked(machine)
        machine.pass_s(180)

        assert clock.answer(question.nonce, NOW * 1000)
        assert told(clock) == (NOW, SYNCED)
        assert clock.moment(TRUST).late_ms == 180_000
        machine.pass_s(5000)
        assert told(clock) == (NOW + 5000 - 1, SYNCED)

    def test_a_clock_that_was_right_is_used_as_it_is(self):
        """Within what was signed the system clock is the finer one."""
        machine = Machine(NOW)
        clock, question = self.asked(machine)
        machine.pass_s(30)

        assert clock.answer(question.nonce, (NOW + 25) * 1000)
        assert clock.moment(TRUST).unix_ms == (NOW + 30) * 1000
        assert clock.moment(TRUST).late_ms == 0

    def test_an_answer_counts_once_and_for_its_own_question(self):
        """A replay, another gate's code, one before any question and one that came too late set nothing."""
        machine = Machine(NOW + YEARS)
        clock = machine.clock()
        clock.moment(TRUST)
        assert not clock.answer(bytes(5), NOW * 1000)
        question = clock.challenge()
        other = bytes(byte ^ 1 for byte in question.nonce)

        assert not clock.answer(other, NOW * 1000)
        assert clock.answer(question.nonce, NOW * 1000)
        assert not clock.answer(question.nonce, (NOW - DAY) * 1000)
        late = clock.challenge()
        machine.pass_s(2 * ASK_ANEW_S)
        assert not clock.answer(late.nonce, NOW * 1000)

    def test_a_question_is_shown_ten_minutes_and_answered_twenty(self):
        """So late can a signed time be at most."""
        machine = Machine(NOW + YEARS)
        clock, first = self.asked(machine)
        machine.pass_s(ASK_ANEW_S - 1)
        assert clock.challenge() == first
        machine.pass_s(1)
        assert clock.challenge() != first

        machine.pass_s(ASK_ANEW_S - 1)
        assert clock.answer(first.nonce, NOW * 1000)

    def test_an_answer_behind_what_the_authority_signed_is_refused(self):
        """A signer with a wrong clock cannot set time back before the floor."""
        clock, question = self.asked(Machine(NOW + YEARS))

        assert not clock.answer(question.nonce, (ISSUED - DAY) * 1000)
        assert clock.moment(TRUST).quality is DOUBTFUL

    def test_a_later_signed_time_ends_a_code_that_was_behind(self):
        """What the authority issued after the time of a code shows that its signer was wrong."""
        machine = Machine(NOW + YEARS)
        clock, question = self.asked(machine)
        clock.answer(question.nonce, NOW * 1000)
        newer = replace(TRUST, issued_at=NOW + DAY)

        assert told(clock, newer) == (NOW + DAY, DOUBTFUL)

    def test_a_second_answer_corrects_a_first(self):
        """A hub whose clock was a month ahead does no lasting harm: the next code is right."""
        machine = Machine(0)
        clock, question = self.asked(machine)
        clock.answer(question.nonce, (NOW + 30 * DAY) * 1000)

        assert clock.answer(clock.challenge().nonce, NOW * 1000)
        assert told(clock) == (NOW, SYNCED)

    def test_it_holds_over_a_restart_and_is_a_floor_after_a_power_cut(self, tmp_path):
        """In the same boot the steady count vouches for it; afterwards it is at least as late."""
        machine = Machine(NOW + YEARS)
        clock, question = self.asked(machine, tmp_path)
        clock.answer(question.nonce, NOW * 1000)
        machine.pass_s(100)

        assert told(machine.clock(tmp_path)) == (NOW + 100 - 1, SYNCED)
        machine.cut_power(DAY, wakes_at=0)
        assert told(machine.clock(tmp_path)) == (NOW, FLOOR)


class TestThisMachine:
    """The readings themselves, over real files."""

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"1795000000\n", 1_795_000_000_000),
            (b"0\n", 0),
            (b"4070908800\n", 4_070_908_800_000),
            (b"", None),
            (b"-5\n", None),
            (b"9" * 40, None),
            (b"\xff\xfe", None),
        ],
    )
    def test_a_battery_backed_clock_is_read_or_is_none(self, tmp_path, content, expected):
        """Any content of the file."""
        (tmp_path / "since_epoch").write_bytes(content)

        assert read_rtc(tmp_path / "since_epoch") == expected

    def test_a_machine_without_one_has_none(self, tmp_path):
        """A missing file, and a folder in its place."""
        assert read_rtc(tmp_path / "missing") is None
        assert read_rtc(tmp_path) is None
        assert boot_id(tmp_path / "missing") == ""

    def test_the_boot_is_known_from_the_system_or_the_service_manager(self, tmp_path, monkeypatch):
        """By the kernel's file, unless the unit says it, because a confined part does not see that file."""
        (tmp_path / "boot_id").write_text("c0ffee\n")

        assert boot_id(tmp_path / "boot_id") == "c0ffee"
        monkeypatch.setenv("EDGE_BOOT_ID", "abc123")
        assert boot_id(tmp_path / "boot_id") == "abc123"

    def test_readings_of_this_machine_agree_with_each_other(self, tmp_path):
        """Two in a row differ by less than a minute, and the file counts."""
        (tmp_path / "rtc").write_text(f"{NOW}\n")
        readings = Readings(tmp_path / "rtc")
        first, second = readings(), readings()

        assert isinstance(first, Reading)
        assert abs(second.system_ms - first.system_ms) < 60_000
        assert abs(second.rtc_ms - NOW * 1000) < 60_000

    def test_the_gates_own_clock_runs(self, tmp_path):
        """With nothing driven at all."""
        clock = Clock(tmp_path)
        first = clock.moment(None)

        assert clock.moment(None).unix_ms >= first.unix_ms
