"""Live passes at a gate: the digits it asks, and one person with a phone that draws its code anew."""

from dataclasses import replace

import pytest

from edge.credentials.hl1 import is_nonce
from edge.gate.nonces import Nonces
from edge.model.live import LiveRule
from edge.model.symbol import Symbol
from tests.simulators import world
from tests.simulators.world import NOW, TRUST, at, make_pass, person, shown_live
from tests.unit.test_gate_line import Gate

BOUND = make_pass(holder=world.HOLDER)
RULE = LiveRule("44", frozenset({world.PassKind.PERSON}), "reject", "accept", nonce=True)
ASKING = replace(TRUST, policy=replace(TRUST.policy, live=(RULE,)))


class Seconds:
    """A steady clock a test sets."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def gate(tmp_path):
    made = Gate(tmp_path)
    yield made
    made.log.close()


def test_a_gate_asks_nothing_where_its_policy_demands_nothing():
    """Neither without trust nor under rules that want no digits."""
    plain = replace(TRUST, policy=replace(TRUST.policy, live=(replace(RULE, nonce=False),)))

    assert [Nonces().accepted(trust) for trust in (None, TRUST, plain)] == [(), (), ()]


def test_digits_change_every_window_and_those_before_still_count():
    """At any time at most two are accepted, none older than two windows."""
    seconds, drawn = Seconds(), iter([b"11111111", b"22222222", b"33333333", b"44444444"])
    nonces = Nonces(seconds, lambda: next(drawn))

    found = []
    for later in (0.0, 29.9, 30.0, 59.9, 60.0, 500.0):
        seconds.now = 100.0 + later
        found.append(nonces.accepted(ASKING))

    assert found == [
        (b"11111111",),
        (b"11111111",),
        (b"22222222", b"11111111"),
        (b"22222222", b"11111111"),
        (b"33333333", b"22222222"),
        (b"44444444",),
    ]


def test_digits_are_what_a_phone_may_answer():
    """Eight digits, leading noughts kept, and no two alike."""
    found = {Nonces().text(ASKING) for _ in range(50)}

    assert all(is_nonce(digits.encode()) for digits in found)
    assert len(found) == 50


def test_the_gate_takes_its_own_digits_and_no_others(tmp_path):
    """What it shows now is accepted, what another gate showed is refused by the policy's word."""
    gate = Gate(tmp_path, ASKING)
    asked = gate.line.nonces.text(ASKING).encode()
    other = make_pass(person(index=9), holder=world.HOLDER)

    assert gate.show(shown_live(BOUND, NOW, b"00000000" if asked != b"00000000" else b"1" * 8)) == [
        ("reject", "live.nonce")
    ]
    assert gate.show(BOUND) == [("reject", "live.missing")]
    assert gate.show(shown_live(BOUND, NOW, asked)) == [("accept", "ok")]
    assert gate.show(shown_live(other, NOW - 4000, asked)) == [("accept", "ok")]
    gate.log.close()


def hold_up(gate, code):
    """Show a code as the scanner does: new, and in view."""
    before = len(gate.heard.events)
    symbols = [Symbol(code)]
    gate.line.present(symbols, symbols)
    return [(event["outcome"], event["reason"]) for event in gate.heard.events[before:]]


def test_a_code_that_a_phone_draws_anew_is_the_same_presentation(gate):
    """One person, one verdict, one entry, however long the phone is held up."""
    assert hold_up(gate, shown_live(BOUND, NOW)) == [("accept", "ok")]
    assert [hold_up(gate, shown_live(BOUND, NOW + later)) for later in (5, 10, 15)] == [[], [], []]
    assert gate.log.head.seq == 1


def test_a_pass_that_was_away_is_a_repetition(gate, monkeypatch):
    """Somebody else with the same phone a little later is referred."""
    monkeypatch.setattr("edge.gate.drawings.HELD_NS", -1)
    hold_up(gate, shown_live(BOUND, NOW))

    assert hold_up(gate, shown_live(BOUND, NOW + 5)) == [("refer", "repeat.recent")]


def test_a_stale_code_that_becomes_fresh_is_news(gate):
    """A phone that wakes up is answered anew."""
    assert hold_up(gate, shown_live(BOUND, NOW - 99)) == [("refer", "live.stale")]
    assert hold_up(gate, shown_live(BOUND, NOW - 98)) == []
    assert hold_up(gate, shown_live(BOUND, NOW)) == [("accept", "ok")]


def test_an_accept_that_was_taken_back_is_news(gate):
    """Nobody was shown the green: the next drawing is answered."""
    hold_up(gate, shown_live(BOUND, NOW))
    gate.line.take_back(1)

    assert hold_up(gate, shown_live(BOUND, NOW + 5)) == [("accept", "ok")]


def test_a_drawing_that_goes_on_takes_nobodys_green_away(gate):
    """Two phones at once: the first one's next drawing beside the second's first."""
    hold_up(gate, shown_live(BOUND, NOW))
    second = make_pass(person(index=9), holder=world.HOLDER)
    symbols = [Symbol(shown_live(BOUND, NOW + 5)), Symbol(shown_live(second, NOW + 5))]
    gate.line.present(symbols, symbols)

    assert [event["reason"] for event in gate.heard.events] == ["ok", "ok"]


def test_a_yellow_that_goes_on_lets_nobody_pass_beside_it(gate):
    """Its next drawing still stands beside the accomplice's green."""
    yellow = make_pass(person(status=1), holder=world.HOLDER)
    hold_up(gate, shown_live(yellow, NOW))
    symbols = [Symbol(shown_live(yellow, NOW + 5)), Symbol(make_pass(person(index=9)))]
    gate.line.present(symbols, symbols)

    assert [event["reason"] for event in gate.heard.events] == ["health.yellow", "presentation.several"]


def test_a_copy_beside_the_phone_admits_nobody(gate):
    """The pass alone, taken out of the picture of a live code, is another presentation."""
    hold_up(gate, shown_live(BOUND, NOW))
    gate.clock.now = at(NOW + 20)

    assert hold_up(gate, BOUND) == [("refer", "live.missing")]
