"""CertLogic: bounds, meaning where implementations differ, and that nothing but an answer or a refusal ever comes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import EncodingRefused
from edge.policy.certlogic import MAX_STEPS, Expression, time_of, truth
from edge.policy.certlogic_form import MAX_DEPTH, MAX_NODES, MAX_TEXT, issues


def value(tree, data=None):
    """The value of an expression."""
    return Expression.of(tree).evaluate(data)


def nested(depth):
    """`!` around `!`."""
    tree = True
    for _ in range(depth):
        tree = {"!": [tree]}
    return tree


@pytest.mark.parametrize(
    "tree",
    [nested(MAX_DEPTH), [1] * MAX_NODES, "x" * (MAX_TEXT + 1), 1 << 53, nested(100_000), [[[]] * MAX_NODES]],
    ids=["deep", "many", "long", "large", "very deep", "wide"],
)
def test_an_expression_beyond_the_bounds_is_none(tree):
    """Depth, parts, texts and integers are bounded before anything is descended into."""
    assert issues(tree)
    with pytest.raises(EncodingRefused):
        Expression.of(tree)


def test_an_expression_within_the_bounds_is_evaluated():
    """The last depth that is allowed."""
    assert value(nested(MAX_DEPTH // 2 - 1)) in {True, False}


ALL = [0] * 200


def test_loops_within_loops_end_after_a_number_of_steps():
    """200 x 200 x 200 turns are not taken."""
    data = [ALL, ALL, ALL]
    inner = {"+": [{"var": "accumulator"}, 1]}
    for name in ("data.data.2", "data.1"):
        inner = {"reduce": [{"var": name}, inner, 0]}
    with pytest.raises(EncodingRefused, match=str(MAX_STEPS)):
        value({"reduce": [{"var": "0"}, inner, 0]}, data)


def test_looking_through_a_list_counts_every_element():
    """A long list looked through again and again ends, too."""
    data = [[1] * 1000, [0] * 1000]
    with pytest.raises(EncodingRefused, match="steps"):
        value({"reduce": [{"var": "0"}, {"in": [7, {"var": "data.1"}]}, 0]}, data)


def test_an_accumulator_cannot_grow_without_bound():
    """Neither as lists in lists nor as a number."""
    with pytest.raises(EncodingRefused, match="deeper"):
        value({"reduce": [{"var": ""}, [[], {"var": "accumulator"}], 0]}, [0] * 1000)
    with pytest.raises(EncodingRefused, match="2\\^53"):
        value({"reduce": [{"var": ""}, {"+": [{"var": "accumulator"}, {"var": "accumulator"}]}, 1]}, [0] * 100)


@pytest.mark.parametrize(
    ("tree", "data"),
    [
        ({"<": ["1", "2"]}, None),
        ({"<": [True, 2]}, None),
        ({"+": [True, 2]}, None),
        ({"+": [{"var": ""}, 2]}, 1.5),
        ({"in": [1, "1"]}, None),
        ({"reduce": ["text", 1, 0]}, None),
        ({"after": ["2021-01-01", "2020-01-01"]}, None),
        ({"if": [{"plusTime": ["2021-01-01", 0, "day"]}, 1, 2]}, None),
        ({"plusTime": [{"var": ""}, 1, "day"]}, 5),
        ({"plusTime": ["9999-12-31", 1, "day"]}, None),
        ({"plusTime": ["2021-01-01", 9007199254740991, "year"]}, None),
        ({"plusTime": ["0001-01-01", -1, "month"]}, None),
        ({"dccDateOfBirth": ["2021-01-01T00:00:00Z"]}, None),
        ({"extractFromUVCI": [5, 0]}, None),
    ],
)
def test_data_that_does_not_fit_is_refused(tree, data):
    """Types are never bent, a boolean is no number, and the calendar ends."""
    with pytest.raises(EncodingRefused):
        value(tree, data)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [(1, True, False), (0, False, False), (1, 1.0, True), ("", None, False), (None, None, True), ("a", "a", True)],
)
def test_equality_is_of_one_type(left, right, same):
    """1 is not true, and nothing is only nothing."""
    assert value({"===": [{"var": "0"}, {"var": "1"}]}, [left, right]) is same
    assert value({"in": [{"var": "0"}, {"var": "1"}]}, [left, [right]]) is same


@pytest.mark.parametrize(
    ("start", "amount", "unit", "end"),
    [
        ("2020-02-29", 1, "year", "2021-02-28"),
        ("2020-02-29", 4, "year", "2024-02-29"),
        ("2020-02-29", -1, "year", "2019-02-28"),
        ("2021-01-31", 1, "month", "2021-03-03"),
        ("2021-12-15", 1, "month", "2022-01-15"),
        ("2021-01-15", -13, "month", "2019-12-15"),
        ("2021-03-01", -1, "day", "2021-02-28"),
        ("2021-02-28T23:30:00+02:00", 3, "hour", "2021-03-01T00:30:00Z"),
        ("2021-02-28T23:30:00.12345-1", 0, "hour", "2021-03-01T00:30:00.123Z"),
        ("2024-02", 0, "day", "2024-02-29"),
        ("2024", 0, "day", "2024-12-31"),
    ],
)
def test_times_move_by_the_calendar(start, amount, unit, end):
    """Days a month has not run over; a leap day plus years is the last of February."""
    assert value({"plusTime": [start, amount, unit]}) == time_of(end)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2021-02-30",
        "2021-13",
        "0000",
        "2021-1-1",
        "2021-01-01 00:00:00",
        "2021-01-01T24:00:00Z",
        "٢٠٢١",
        "2021-01-01\n",
    ],
)
def test_a_text_that_is_no_time(text):
    """Refused, whatever a calendar elsewhere makes of it."""
    with pytest.raises(EncodingRefused):
        time_of(text)


def test_operands_behind_the_first_false_one_are_not_evaluated():
    """`and` and `if` are lazy."""
    fails = {"+": ["a", 1]}

    assert value({"and": [0, fails]}) == 0
    assert value({"if": [True, 1, fails]}) == 1


@pytest.mark.parametrize(
    ("tree", "wrong"),
    [
        ({"if": [1, 2]}, 'an "if"-operation must have exactly 3 values/operands, but it has 2'),
        ({"and": [1]}, 'an "and" operation must have at least 2 operands, but it has 1'),
        ({"<": [1]}, 'an operation with operator "<" must have 2 or 3 operands, but it has 1'),
        ({"in": [1]}, 'an operation with operator "in" must have 2 operands, but it has 1'),
        ({"!": []}, "a !-operation (logical not/negation) must have exactly 1 operand, but it has 0"),
        ({"plusTime": ["", None, "day"]}, '"amount" argument (#2) of "plusTime" must be an integer, but it is: null'),
        (
            {"plusTime": ["", 1, "week"]},
            "must be a string equal to one of year, month, day, hour, but it is: week",
        ),
        (
            {"extractFromUVCI": ["", "x"]},
            '"index" argument (#2) of "extractFromUVCI" must be an integer, but it is: x',
        ),
        ({"plusTime": ["", 1, {}]}, "but it is: [object Object]"),
        ({"plusTime": ["", 1, [1, None]]}, "but it is: 1,"),
        ({"plusTime": ["", True, "day"]}, "but it is: true"),
    ],
)
def test_a_fault_of_form_is_named_with_its_expression(tree, wrong):
    """In the words of the public validation suite."""
    ((where, message),) = issues(tree)

    assert where == tree
    assert wrong in message


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(("day", "a.0", "2021-01-01")),
    lambda part: (
        st.lists(part, max_size=3)
        | st.dictionaries(st.text(max_size=3), part, max_size=2)
        | st.builds(
            lambda name, operands: {name: operands},
            st.sampled_from(
                ("if", "and", "in", "+", "!", "===", "<", "after", "plusTime", "reduce", "extractFromUVCI")
            ),
            st.lists(part, min_size=1, max_size=3),
        )
        | st.builds(lambda path: {"var": path}, st.sampled_from(("", "a", "0", "a.0", "x.y")))
    ),
    max_leaves=12,
)


@given(PLAIN, PLAIN)
def test_anything_comes_to_an_answer_or_a_refusal(tree, data):
    """Any tree, any data: no other exception, and the truth of an answer is one or a refusal."""
    with suppress(EncodingRefused):
        truth(value(tree, data))
