"""Passes that count together: what the line holds between two of them, and what ends the wait."""

from dataclasses import replace

import pytest

from edge.errors import LogUnwritable
from edge.gate.combination import Combination
from edge.model.credential import PassKind, TravelClaims
from edge.model.rules import Condition, Rules
from edge.model.scan import EntryType
from tests.simulators import world
from tests.simulators.world import NOW, at, make_pass, person
from tests.unit.test_gate_line import FullDisk, Gate

BOTH = Rules(conditions=(Condition((PassKind.PERSON, PassKind.TRAVEL), 2),), condition_window_s=60)
TRUST = replace(world.TRUST, policy=world.POLICY.under(BOTH))
PENDING = ("refer", "condition.pending")
ACCEPT = ("accept", "ok")


class Steady:
    """A count of seconds that a test sets."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path, TRUST)
    made.steady = Steady()
    made.line._combination = Combination(made.steady)
    yield made
    made.log.close()


def travel(number=1, **changes):
    claims = TravelClaims(14, number.to_bytes(6, "big"), 9, (110000,), b"abc")
    return make_pass(replace(claims, **changes), PassKind.TRAVEL)


def test_the_first_pass_waits_and_the_second_completes_it(gate):
    """Each is an entry of its own; the page is told what is still wanted."""
    assert gate.show(make_pass()) == [PENDING]
    assert gate.heard.events[-1]["details"] == {"wanted_kinds": "travel", "missing": 1}
    assert gate.show(travel()) == [ACCEPT]
    assert [(one.type, one.outcome) for one in gate.facts()] == [(EntryType.SCAN, 2), (EntryType.SCAN, 1)]


def test_the_order_does_not_matter(gate):
    """A travel pass may come first."""
    assert gate.show(travel()) == [PENDING]
    assert gate.show(make_pass()) == [ACCEPT]


def test_both_may_be_held_up_at_once(gate):
    """Two codes on one sheet of paper: a pass that waits hinders nobody."""
    assert gate.show(make_pass(), travel()) == [PENDING, ACCEPT]


def test_the_wait_ends_with_its_window(gate):
    """It counts from the first pass, by the steady count, whatever the clock does."""
    gate.show(make_pass())
    gate.steady.now_s = 60.0
    gate.clock.now = at(NOW - 3600)
    assert gate.show(travel()) == [ACCEPT]

    gate.show(make_pass(person(index=8)))
    gate.steady.now_s += 60.1
    assert gate.show(travel(2)) == [PENDING]


def test_a_combination_is_used_up_by_its_accept(gate):
    """The next travel pass finds nobody waiting."""
    gate.show(make_pass())
    assert gate.show(travel()) == [ACCEPT]
    assert gate.show(travel(2)) == [PENDING]


def test_neither_pass_of_a_combination_works_twice(gate):
    """Both are remembered as admitted: a second holder with a travel pass of his own is referred."""
    gate.show(make_pass())
    gate.show(travel())

    assert gate.show(make_pass()) == [("refer", "repeat.recent")]
    assert gate.show(travel()) == [("refer", "repeat.recent")]


def test_taking_an_accept_back_frees_both_passes(gate):
    """A green nobody saw admitted nobody, with either pass."""
    gate.show(make_pass())
    gate.show(travel())
    gate.line.take_back(gate.heard.events[-1]["seq"])

    assert gate.show(make_pass()) == [PENDING]
    assert gate.show(travel()) == [ACCEPT]


@pytest.mark.parametrize(
    "between",
    [
        make_pass(person(status=10)),
        make_pass(person(status=1)),
        travel(regions=(610104,)),
        make_pass(person(index=world.REVOKED)),
    ],
)
def test_an_authentic_refusal_in_between_ends_the_wait(gate, between):
    """Whoever shows a red or a listed area is not completed by somebody else's paper."""
    gate.show(make_pass())
    gate.show(between)

    assert gate.show(travel(3)) == [PENDING]


def test_what_nobody_signed_does_not_end_the_wait(gate):
    """A poster behind the person is no answer of his."""
    gate.show(make_pass())
    gate.show(b"https://example.com")

    assert gate.show(travel()) == [ACCEPT]


def test_a_second_person_begins_anew(gate):
    """A pass of a kind that waits already belongs to the next person."""
    gate.show(make_pass())
    gate.show(make_pass(person(index=8)))

    assert len(gate.line._combination.held(60)) == 1


def test_a_first_pass_that_could_not_be_recorded_counts_for_nothing(gate):
    """Recorded, then shown: an accept rests on entries that are on disk."""
    full = FullDisk(gate.log)
    gate.line._log = full
    gate.show(make_pass())
    full.is_full = False

    assert gate.show(travel()) == [("refer", "log.unwritable")]


def test_a_disk_that_is_full_at_the_second_pass_admits_nobody(gate):
    """The second entry is as durable as the first or there is no green."""
    gate.show(make_pass())

    class Full:
        def append(self, *args, **options):
            raise LogUnwritable("the disk is full")

    gate.line._log = Full()
    assert gate.show(travel()) == [("refer", "log.unwritable")]


def test_without_conditions_nothing_is_held(tmp_path):
    """A policy without combinations keeps no state in the line."""
    plain = Gate(tmp_path)
    plain.show(make_pass())

    assert plain.line._combination.held(600) == ()
    plain.log.close()
