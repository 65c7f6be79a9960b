"""Every form of a status list keeps the same promises: equal contents, equal answers, and no answer past the end."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.codec.roaring import SPAN
from edge.model.trust import Status, StatusList
from edge.trust import status_list
from edge.trust.list_state import PLANES
from edge.trust.parted_list import open_list
from tests.simulators.lists import ListAuthor

SIZE = 200_000
"""Three containers and a bit, so that their borders lie within."""

Maker = Callable[[int, Mapping[int, Status]], StatusList]


def packed(size: int, statuses: Mapping[int, Status]) -> StatusList:
    """A Token Status List, through its file."""
    return status_list.parse(status_list.build(size, 2, {index: int(value) for index, value in statuses.items()}), "x")


def parted(size: int, statuses: Mapping[int, Status]) -> StatusList:
    """A list in parts, as its base says it."""
    author = ListAuthor(size)
    author.change(*(sorted(i for i, value in statuses.items() if value is plane) for plane in PLANES))
    return open_list(author.state, author.parts)


def grown(size: int, statuses: Mapping[int, Status]) -> StatusList:
    """A list in parts that became so by a delta an entry."""
    author = ListAuthor(size)
    for index, value in statuses.items():
        author.change(*([index] if value is plane else [] for plane in PLANES))
    return open_list(author.state, author.parts)


FORMS: list[Maker] = [packed, parted, grown]


@pytest.mark.parametrize("make", FORMS)
def test_every_small_list_is_answered_entry_by_entry(make: Maker) -> None:
    """All lists of four entries and three statuses, walked."""
    for number in range(3**4):
        statuses = {index: Status(number // 3**index % 3) for index in range(4)}
        flagged = {index: value for index, value in statuses.items() if value}

        assert list(statuses.values()) == [make(4, flagged).status(index) for index in range(4)]


@given(st.dictionaries(st.integers(0, SIZE - 1), st.sampled_from([Status.INVALID, Status.SUSPENDED]), max_size=40))
def test_every_form_gives_the_same_answers(statuses: dict[int, Status]) -> None:
    """Sparse sets: at each entry and beside it."""
    lists = [make(SIZE, statuses) for make in FORMS]
    asked = {near for index in statuses for near in (index - 1, index, index + 1)} | {0, SIZE - 1, SIZE, -1}

    for index in asked:
        expected = statuses.get(index, Status.VALID) if 0 <= index < SIZE else None
        assert [expected] * len(FORMS) == [found.status(index) for found in lists]


@given(st.integers(1, 9), st.integers(0, 8))
def test_dense_lists_give_the_same_answers(step: int, first: int) -> None:
    """Every n-th entry of a container and a half: arrays, bitmaps and what becomes of one when it fills."""
    statuses = dict.fromkeys(range(first, 100_000, step), Status.INVALID)
    lists = [make(SIZE, statuses) for make in (packed, parted)]

    for index in [*range(40), *range(65_500, 65_580), *range(99_980, 100_020), SIZE - 1]:
        assert [statuses.get(index, Status.VALID)] * 2 == [found.status(index) for found in lists]


@pytest.mark.parametrize("make", FORMS)
def test_past_either_end_is_no_answer(make: Maker) -> None:
    """An index outside of the list is None, never "valid"."""
    found = make(8, {7: Status.INVALID})

    assert [found.status(index) for index in (7, 8, 1 << 40, -1)] == [Status.INVALID, None, None, None]


def test_a_list_of_several_spans_counts_on_through_them() -> None:
    """The last entry of a span, the first of the next, and the last of a span that is not full."""
    size = 2 * SPAN + 5
    flagged = {SPAN - 1: Status.INVALID, SPAN: Status.SUSPENDED, size - 1: Status.INVALID}

    found = parted(size, flagged)

    for index in (0, SPAN - 2, SPAN - 1, SPAN, SPAN + 1, size - 2, size - 1):
        assert flagged.get(index, Status.VALID) == found.status(index)
    assert found.status(size) is None
