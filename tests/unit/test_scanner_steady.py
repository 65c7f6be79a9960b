"""The steady rule: one code held up is one presentation."""

import random

from edge.model.symbol import Symbol
from edge.scanner.steady import MAX_CODES, Steady

SECOND = 1_000_000_000
FRAME = SECOND // 15


def _seen(steady: Steady, now_ns: int, *codes: bytes) -> list[bytes]:
    return [symbol.raw for symbol in steady.presentations([Symbol(code) for code in codes], now_ns)]


def test_a_code_held_for_forty_frames_is_one_presentation():
    """Forty frames of one code are one presentation."""
    steady = Steady(3.0)

    presented = [code for n in range(40) for code in _seen(steady, n * FRAME, b"ann")]

    assert presented == [b"ann"]


def test_a_code_held_for_a_minute_is_one_presentation():
    """The time counts from the last sight, not the first: a code held on is never a second scan."""
    steady = Steady(3.0)

    presented = [code for n in range(60 * 15) for code in _seen(steady, n * FRAME, b"ann")]

    assert presented == [b"ann"]


def test_a_code_lost_for_a_moment_is_the_same_presentation():
    """A hand that shakes, 2.9 seconds without the code, does not make a second scan."""
    steady = Steady(3.0)
    _seen(steady, 0, b"ann")

    assert _seen(steady, int(2.9 * SECOND), b"ann") == []


def test_a_code_that_comes_back_later_is_presented_again():
    """After three seconds out of sight it is a new presentation; what that means is the repeat rule's business."""
    steady = Steady(3.0)
    _seen(steady, 0, b"ann")

    assert _seen(steady, 3 * SECOND, b"ann") == [b"ann"]


def test_two_people_in_quick_succession_are_two():
    """The next person's code is answered at once, and the first one's return within three seconds is not."""
    steady = Steady(3.0)

    presented = [_seen(steady, 0, b"ann"), _seen(steady, FRAME, b"bob"), _seen(steady, 2 * FRAME, b"ann")]

    assert presented == [[b"ann"], [b"bob"], []]


def test_two_codes_in_one_frame_are_both_answered_in_order():
    """Both codes of a frame are presented, in the order they were given."""
    assert _seen(Steady(3.0), 0, b"near", b"far") == [b"near", b"far"]


def test_the_same_code_twice_in_a_frame_is_once():
    """A phone and its reflection are one presentation."""
    assert _seen(Steady(3.0), 0, b"ann", b"ann") == [b"ann"]


def test_codes_that_differ_in_their_last_byte_are_two():
    """Nothing short of the same bytes is the same code."""
    assert _seen(Steady(3.0), 0, b"ann\x00", b"ann\x01") == [b"ann\x00", b"ann\x01"]


def test_frames_out_of_order_do_not_present_again():
    """A second camera's frame taken a little earlier changes nothing."""
    steady = Steady(3.0)
    _seen(steady, 10 * SECOND, b"ann")

    assert _seen(steady, 9 * SECOND, b"ann") == []
    assert _seen(steady, 12 * SECOND, b"ann") == []


def test_random_codes_take_a_bounded_memory():
    """Somebody who cycles codes at fifteen a second is forgotten three seconds later, and never fills the memory."""
    steady = Steady(3.0)
    chance = random.Random(5)

    for n in range(15 * 60):
        _seen(steady, n * FRAME, *(chance.randbytes(20) for _ in range(16)))

    assert len(steady) <= 16 * 15 * 3 + 16

    _seen(steady, 0, *(chance.randbytes(20) for _ in range(3 * MAX_CODES)))

    assert len(steady) == MAX_CODES
