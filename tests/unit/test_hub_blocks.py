"""A page read in blocks: every line is looked at, whichever block it ends in, and only whole ones count."""

import io
import json

import pytest

from edge.errors import AnswerRefused
from edge.hub.client import MAX_LINE, PAGE, Query, _lines


def lines(first: int, last: int, fill: int = 300) -> list[bytes]:
    """Return lines of scans of a length, in order."""
    return [
        json.dumps({"hub_seq": number, "note": "x" * fill}, separators=(",", ":")).encode() + b"\n"
        for number in range(first, last + 1)
    ]


def test_lines_come_back_whole_across_blocks() -> None:
    """A page is some blocks long, and no block ends where a line does."""
    sent = lines(1, 3000)

    assert _lines(io.BytesIO(b"".join(sent)), Query()) == sent


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_last_line_that_broke_off_does_not_count(cut: int) -> None:
    """The whole ones before it do; it is asked for again."""
    sent = lines(1, 2, fill=20)

    assert _lines(io.BytesIO(b"".join(sent)[:-cut]), Query()) == sent[:1]


def test_an_answer_of_which_no_line_is_whole_is_refused() -> None:
    """Nothing was got, and whoever asked hears of it."""
    with pytest.raises(AnswerRefused, match="broke off"):
        _lines(io.BytesIO(lines(1, 1)[0][:-1]), Query())


@pytest.mark.parametrize("order", [(2, 1), (1, 1), (5, 7, 6)])
def test_lines_out_of_order_are_refused(order: tuple[int, ...]) -> None:
    """Also where each is one of the hub's."""
    sent = b"".join(lines(number, number)[0] for number in order)

    with pytest.raises(AnswerRefused, match="out of order"):
        _lines(io.BytesIO(sent), Query())


def test_lines_before_the_cursor_are_refused() -> None:
    """A page begins behind what was asked for."""
    with pytest.raises(AnswerRefused, match="out of order"):
        _lines(io.BytesIO(b"".join(lines(3, 4))), Query(after=3))


@pytest.mark.parametrize("foreign", [b"\n", b"<html>\n", b'{"hub_seq":0,"at":1}\n', b'{"hub_seq":"9"}\n'])
def test_a_line_that_is_none_of_a_hub_is_refused(foreign: bytes) -> None:
    """Wherever it stands among good ones."""
    sent = lines(1, 2)

    with pytest.raises(AnswerRefused, match="not a hub's"):
        _lines(io.BytesIO(sent[0] + foreign + sent[1]), Query())


def test_an_endless_line_is_not_read_to_its_end() -> None:
    """What came whole before it counts, and memory stays bounded."""
    endless = io.BytesIO(lines(1, 1)[0] + b"x" * (64 * MAX_LINE))

    assert _lines(endless, Query()) == lines(1, 1)
    assert endless.tell() < 32 * MAX_LINE


def test_an_endless_page_is_not_read_to_its_end() -> None:
    """One line more than a page shows that it is none, and is all that is kept of the rest."""
    endless = io.BytesIO(b"".join(lines(1, 4 * PAGE, fill=60)))

    assert len(_lines(endless, Query())) == PAGE + 1
    assert endless.tell() < len(endless.getvalue()) / 2
