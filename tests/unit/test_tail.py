"""The ending of an ID document against a pass: what matches, how often it may be tried, and that it is kept nowhere."""

from dataclasses import replace
from typing import Any

import pytest

from edge.credentials.tail import is_tail_of, tail_of, tail_tag
from edge.gate.bus import Command
from edge.gate.staff import Staff
from edge.gate.tails import TRIES, TRIES_S, WITHIN_S, Compared, Tails
from edge.kiosk.app import checked_command
from edge.ledger import facts
from edge.model.credential import PassKind, TravelClaims
from edge.model.rules import Rules
from edge.model.scan import TAIL_DIFFERS, TAIL_MATCHED, EntryType
from edge.model.symbol import Symbol
from tests.simulators import world
from tests.simulators.world import make_pass, person
from tests.unit.test_gate_line import FullDisk, Gate

TAIL = "341X"
PSEUDONYM = bytes(range(6))
CHARS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
HELD = person(pseudonym=PSEUDONYM, tag=tail_tag(PSEUDONYM, TAIL), id_tail=None)
PLAIN = replace(HELD, id_tail=TAIL)
TRAVEL = TravelClaims(14, PSEUDONYM, 3, (440100,), tail_tag(PSEUDONYM, TAIL))
RULES = Rules(match_holder=frozenset({PassKind.PERSON, PassKind.TRAVEL}))


@pytest.mark.parametrize("claims", [HELD, PLAIN, TRAVEL])
def test_no_other_ending_in_one_place_matches(claims):
    """The right four characters match; each of the 140 that differ in one place does not."""
    others = [TAIL[:at] + char + TAIL[at + 1 :] for at in range(4) for char in CHARS if char != TAIL[at]]

    assert is_tail_of(claims, TAIL)
    assert [other for other in others if is_tail_of(claims, other)] == []


def test_a_plain_ending_counts_beside_the_tag():
    """Four characters that fit the tag by chance are not the document's where the pass says it plainly."""
    assert not is_tail_of(replace(HELD, id_tail="0000"), TAIL)
    assert not is_tail_of(replace(PLAIN, tag=b"\0\0\0"), TAIL)


@pytest.mark.parametrize("typed", ["", "341", "341X0", "34 1X"[:4], "３４１６", "34-6", "\x0041X", "ß41X"])
def test_what_is_no_ending_is_none(typed):
    """Four digits or capital letters, nothing else; a small x is a capital one."""
    assert tail_of(typed) is None
    assert tail_of(" 341x ") == TAIL


class Desk:
    """A gate whose policy asks staff to match the holder."""

    def __init__(self, folder, rules=RULES):
        self.gate = Gate(folder, replace(world.TRUST, policy=replace(world.TRUST.policy, rules=rules)))
        self.verdict = self.gate.line._verdict(Symbol(make_pass(HELD))).verdict
        self.now = 0.0
        self.gate.line.tails = Tails(lambda: self.now)
        self.staff = Staff(self.gate.line, None, preview=lambda: None, report=dict, slip=str)

    def ask(self, **body: Any):
        answers: list[dict[str, Any]] = []
        command = Command({"cmd": "tail", **body}, answers.append)
        self.staff.serve(command)
        return answers[0], command.body


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    assert made.gate.show(make_pass(HELD)) == [("accept", "ok")]
    yield made
    made.gate.log.close()


@pytest.mark.parametrize(("typed", "matched", "note"), [("341x", True, TAIL_MATCHED), ("3416", False, TAIL_DIFFERS)])
def test_a_comparison_is_recorded_without_what_was_typed(desk, typed, matched, note):
    """Its entry refers to the accept and says whether it agreed; the ending is in none and no longer in the command."""
    answer, left = desk.ask(seq=1, tail=typed)
    entry = desk.gate.facts()[1]

    assert answer == {"ok": True, "seq": 2, "matched": matched}
    assert (entry.type, entry.refers_to, entry.note) == (EntryType.NOTE, 1, note)
    assert "tail" not in left
    assert typed.upper().encode() not in facts.encode(entry)
    assert desk.gate.line.tally.staff == {note: 1}


def test_a_pass_is_tried_three_times_however_often_it_is_shown(desk):
    """The fourth try is not looked at, not even a right one, nor of the same pass shown anew, for ten minutes."""
    tails = desk.gate.line.tails
    tails.note(9, desk.verdict)
    wrong = [tails.compare(1, f"000{n}") for n in range(TRIES)]
    again = [tails.compare(1, TAIL), tails.compare(9, TAIL)]
    desk.now += TRIES_S
    tails.note(10, desk.verdict)

    assert wrong == [Compared.DIFFERS] * TRIES
    assert again == [Compared.TOO_MANY] * 2
    assert tails.compare(10, TAIL) is Compared.MATCHED


@pytest.mark.parametrize("seq", [0, -1, 2, 10**30, True, "1", None, 1.0])
def test_what_was_not_accepted_lately_is_not_compared(desk, seq):
    """Numbers of no accept, and things that are no numbers; and the accept itself a minute later."""
    assert desk.ask(seq=seq, tail=TAIL)[0]["code"] == "not_recent"
    desk.now += WITHIN_S
    assert desk.ask(seq=1, tail=TAIL)[0]["code"] == "not_recent"


@pytest.mark.parametrize("typed", [None, 3416, "", "341", ["3416"], "34167"])
def test_no_ending_is_no_try(desk, typed):
    """What is refused for its form is not counted."""
    assert [desk.ask(seq=1, tail=typed)[0]["code"] for _ in range(5)] == ["tail"] * 5
    assert desk.ask(seq=1, tail=TAIL)[0]["matched"] is True


def test_a_full_disk_is_said_and_no_answer_is_given(desk):
    """What cannot be recorded tells staff nothing."""
    desk.gate.line._log = FullDisk(desk.gate.log)

    assert desk.ask(seq=1, tail=TAIL)[0]["code"] == "log.unwritable"


@pytest.mark.parametrize(("rules", "has_tail"), [(RULES, True), (Rules(), False)])
def test_only_a_policy_that_asks_has_endings_compared(tmp_path, rules, has_tail):
    """The event says so to the page, and the command holds to it."""
    other = Desk(tmp_path, rules)
    other.gate.show(make_pass(HELD))
    answer, _ = other.ask(seq=1, tail=TAIL)
    other.gate.log.close()

    assert other.gate.heard.events[0]["has_tail"] is has_tail
    assert answer["ok"] is has_tail


def test_memory_of_passes_is_bounded(desk):
    """However many people pass, the oldest are let go."""
    tails = desk.gate.line.tails
    for seq in range(2, 1000):
        tails.note(seq, desk.verdict)

    assert len(tails._by_seq) <= 257
    assert (tails.compare(2, TAIL), tails.compare(999, TAIL)) == (Compared.UNKNOWN, Compared.MATCHED)


def test_no_name_stays_when_the_card_is_cleared(desk):
    """What waits for a comparison holds the pass's own mark of the document, and neither name nor year of birth."""
    (kept,) = desk.gate.line.tails._by_seq.values()

    assert (kept.claims.surname, kept.claims.name, kept.claims.birth_year) == ("", None, None)


def test_a_page_forwards_an_ending_with_its_number_alone():
    """Other fields are dropped; what is too long or no text is no command."""
    body = {"cmd": "tail", "seq": 7, "tail": "3416", "pin": "1"}

    assert checked_command(body) == {"cmd": "tail", "seq": 7, "tail": "3416"}
    assert checked_command(body | {"tail": "9" * 100}) is None
    assert checked_command(body | {"tail": 3416}) is None
