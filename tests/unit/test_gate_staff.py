"""Staff commands: each is an entry, none says anything about a person."""

import time

import pytest
from nacl.pwhash.argon2id import MEMLIMIT_MIN, OPSLIMIT_MIN
from nacl.pwhash.argon2id import str as hash_password

from edge.errors import LedgerError
from edge.gate.bus import Command
from edge.gate.staff import Staff
from edge.model.scan import EntryType
from edge.words.catalogue import NOTES
from tests.simulators.world import make_pass
from tests.unit.test_gate_line import FullDisk, Gate


def slip_of(seq):
    """A gate that makes slips of entry 1 alone."""
    if seq != 1:
        raise LedgerError("no slip")
    return "HS1:A"


@pytest.fixture
def desk(tmp_path):
    class Desk:
        def __init__(self):
            self.gate = Gate(tmp_path)
            self.pin_file = tmp_path / "pin"
            self.pin_file.write_bytes(hash_password(b"2468", opslimit=OPSLIMIT_MIN, memlimit=MEMLIMIT_MIN))
            self.staff = Staff(
                self.gate.line, self.pin_file, preview=lambda: b"jpeg", report=lambda: {"n": 1}, slip=slip_of
            )
            self.gate.show(make_pass())

        def ask(self, **body):
            answers = []
            self.staff.serve(Command(body, answers.append))
            deadline = time.monotonic() + 5
            while not answers and time.monotonic() < deadline:
                self.staff.serve_checked()
            return answers[0]

    made = Desk()
    yield made
    made.gate.log.close()


def test_not_the_holder_is_recorded_against_the_entry(desk):
    """Staff say the person is another."""
    answer = desk.ask(cmd="not_holder", seq=1)

    assert answer == {"ok": True, "seq": 2}
    assert (desk.gate.facts()[1].type, desk.gate.facts()[1].refers_to) == (EntryType.NOT_HOLDER, 1)


def test_a_note_is_one_of_the_fixed_list(desk):
    """Free text could be about a person, so there is none."""
    assert desk.ask(cmd="note", seq=1, note=NOTES[0])["ok"]
    assert desk.ask(cmd="note", seq=1, note="Mr Zhang coughs")["code"] == "note"
    assert desk.ask(cmd="note", seq=1)["code"] == "note"


@pytest.mark.parametrize("seq", [0, -1, 2, 10**30, True, "1", None, 1.0])
def test_an_entry_that_does_not_exist_cannot_be_spoken_about(desk, seq):
    """Numbers outside the log, and things that are no numbers."""
    assert desk.ask(cmd="not_holder", seq=seq)["code"] == "seq"


def test_an_override_needs_the_pin_and_a_note(desk):
    """The right PIN records the override; the wrong one records nothing."""
    assert desk.ask(cmd="override", seq=1, pin="1111", note="supervisor_present")["code"] == "pin"
    assert desk.ask(cmd="override", seq=1, pin="2468")["code"] == "note"
    assert desk.ask(cmd="override", seq=1, pin="2468", note="supervisor_present") == {"ok": True, "seq": 2}
    assert desk.gate.facts()[1].type is EntryType.OVERRIDE


def test_the_pin_is_guessed_five_times_a_minute_at_most(desk):
    """The sixth wrong try is not even looked at."""
    codes = [desk.ask(cmd="override", seq=1, pin=str(n), note="supervisor_present")["code"] for n in range(7)]

    assert codes == ["pin"] * 5 + ["too_many"] * 2


def test_without_a_pin_file_overrides_are_off(desk):
    """No file in the settings, no override; a missing file is said."""
    assert Staff(desk.gate.line, None, preview=lambda: None, report=dict, slip=slip_of).serve is not None
    desk.staff._pin_file = None
    assert desk.ask(cmd="override", seq=1, pin="2468", note="supervisor_present")["code"] == "off"
    desk.staff._pin_file = desk.pin_file.with_name("gone")
    assert desk.ask(cmd="override", seq=1, pin="2468", note="supervisor_present")["code"] == "pin_file"


def test_what_was_just_done_can_be_undone_once(desk):
    """Undo is an entry too."""
    done = desk.ask(cmd="not_holder", seq=1)["seq"]

    assert desk.ask(cmd="undo", seq=done)["ok"]
    assert desk.ask(cmd="undo", seq=done)["code"] == "too_late"
    assert desk.gate.facts()[-1].type is EntryType.UNDO


def test_a_scan_cannot_be_undone(desk):
    """Only staff entries can."""
    assert desk.ask(cmd="undo", seq=1)["code"] == "too_late"


def test_preview_and_report_are_answered(desk):
    """The page's questions."""
    assert desk.ask(cmd="preview") == {"ok": True, "jpeg": "anBlZw=="}
    assert desk.ask(cmd="report") == {"ok": True, "report": {"n": 1}}


def test_an_accept_that_was_not_shown_is_taken_back(desk):
    """The entry is about the accept; asked by a second page the answer is the same."""
    assert desk.ask(cmd="not_shown", seq=1) == {"ok": True, "seq": 2}
    assert desk.ask(cmd="not_shown", seq=1) == {"ok": True, "seq": 2}
    assert (desk.gate.facts()[1].type, desk.gate.facts()[1].refers_to) == (EntryType.NOTE, 1)
    assert desk.gate.show(make_pass()) == [("accept", "ok")]


@pytest.mark.parametrize("seq", [0, -1, 2, 10**30, True, "1", None, 1.0, [1]])
def test_what_is_no_accept_of_the_last_half_minute_is_not_taken_back(desk, seq):
    """Numbers outside the log, and things that are no numbers; nothing is written and the pass stays a repetition."""
    assert desk.ask(cmd="not_shown", seq=seq)["code"] == "not_recent"
    assert desk.gate.log.head.seq == 1
    assert desk.gate.show(make_pass()) == [("refer", "repeat.recent")]


def test_staff_cannot_take_back_by_a_note_nor_undo_a_taking_back(desk):
    """The note is the gate's own; what was let go cannot be called back after the pass may have passed again."""
    assert desk.ask(cmd="note", seq=1, note="not_shown")["code"] == "note"
    noted = desk.ask(cmd="not_shown", seq=1)["seq"]
    assert desk.ask(cmd="undo", seq=noted)["code"] == "too_late"


def test_a_log_that_cannot_be_written_takes_nothing_back(desk):
    """The page is told, and the pass stays a repetition."""
    full = FullDisk(desk.gate.log)
    desk.gate.line._log = full

    assert desk.ask(cmd="not_shown", seq=1)["code"] == "log.unwritable"
    full.is_full = False
    assert desk.gate.show(make_pass()) == [("refer", "repeat.recent")]


@pytest.mark.parametrize("cmd", ["", "shutdown", None, 3, ["note"], {"a": 1}])
def test_an_unknown_command_is_refused(desk, cmd):
    """Whatever it is."""
    assert desk.ask(cmd=cmd)["code"] == "unknown"


@pytest.mark.parametrize("seq", [None, 0, -1, 2, "1", True, 1 << 60])
def test_a_slip_is_given_of_an_entry_that_has_one(desk, seq):
    """And whatever else is asked is answered, too."""
    assert desk.ask(cmd="slip", seq=1) == {"ok": True, "slip": "HS1:A"}
    assert desk.ask(cmd="slip", seq=seq)["code"] == "slip"
