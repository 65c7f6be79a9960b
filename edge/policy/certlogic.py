"""Evaluating CertLogic, the language of the business rules of health certificates (CertLogic 1.3.2, ADR 0046).

Pure and total: an expression without faults, any plain data, and an answer or a refusal within `MAX_STEPS`. It reads no
clock; the moment of the check is part of the data a rule is given. Which rules count is left to the policy.
"""

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from edge.errors import EncodingRefused
from edge.policy.certlogic_form import MAX_INTEGER, TIME_ORDERS, beyond, is_integer, issues

MAX_STEPS: Final = 20_000
"""Parts evaluated and elements looked at, in one evaluation."""
_DATE: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?\Z", re.ASCII)
_MOMENT: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(\.\d+)?(?:Z|([+-])(\d{1,2}):?(\d{2})?)?\Z", re.ASCII
)
_PREFIX: Final = "URN:UVCI:"
_FRAGMENTS: Final = re.compile("[/#:]")
_INDEX: Final = re.compile(r"\d{1,9}\Z", re.ASCII)
_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression without faults: `Expression.of` makes it."""

    tree: Any

    @classmethod
    def of(cls, tree: Any) -> "Expression":
        """Return the expression that plain JSON data is.

        Raises:
            EncodingRefused: It is none, or beyond the bounds.
        """
        faults = issues(tree)
        if faults:
            raise EncodingRefused(f"this is no CertLogic expression: {faults[0][1]}")
        return cls(tree)

    def evaluate(self, data: Any, run: "Evaluation | None" = None) -> Any:
        """Return its value for `data`: plain data, or an aware `datetime` where it ends in a time.

        Args:
            data: Plain data.
            run: What counts the steps, where several expressions share them; else it has `MAX_STEPS` of its own.

        Raises:
            EncodingRefused: The data does not fit it (a comparison of texts, say), or it takes too many steps.
        """
        found = (run or Evaluation()).value(self.tree, data)
        # An accumulator that wraps itself grows into something nobody can print or compare.
        if beyond(found):
            raise EncodingRefused(f"the rule's answer is {beyond(found)}")
        return found


def truth(value: Any) -> bool:
    """Return whether a value counts as true; narrower than elsewhere: a time is neither (CertLogic, truthy and falsy).

    Raises:
        EncodingRefused: It counts as neither.
    """
    if isinstance(value, datetime):
        raise EncodingRefused("a time is neither true nor false")
    return bool(value)


class Evaluation:
    """One evaluation, or several that share their steps.

    Args:
        most: Steps they may take together.
    """

    def __init__(self, most: int = MAX_STEPS) -> None:
        self.most = self.left = most

    def spend(self, steps: int = 1) -> None:
        """Count some steps.

        Raises:
            EncodingRefused: There are none left.
        """
        self.left -= steps
        if self.left < 0:
            raise EncodingRefused(f"the rule takes more than {self.most} steps")

    def value(self, tree: Any, data: Any) -> Any:
        """Return the value of a tree without faults for `data`.

        Raises:
            EncodingRefused: As `Expression.evaluate`.
        """
        self.spend()
        if type(tree) is list:
            return [self.value(part, data) for part in tree]
        if type(tree) is not dict:
            return tree
        ((operator, operands),) = tree.items()
        if operator == "var":
            return _at(data, operands)
        lazy = _LAZY.get(operator)
        if lazy:
            return lazy(self, operands, data)
        values = [self.value(operand, data) for operand in operands]
        return _EAGER[operator](self, values)


def _at(data: Any, path: str) -> Any:
    for fragment in path.split(".") if path else ():
        if type(data) is list:
            index = int(fragment) if _INDEX.match(fragment) else len(data)
            data = data[index] if index < len(data) else None
        else:
            data = data.get(fragment) if isinstance(data, Mapping) else None
    return data


def _if(run: Evaluation, operands: list[Any], data: Any) -> Any:
    guard, then, otherwise = operands
    return run.value(then if truth(run.value(guard, data)) else otherwise, data)


def _and(run: Evaluation, operands: list[Any], data: Any) -> Any:
    found: Any = True
    for operand in operands:
        found = run.value(operand, data)
        if not truth(found):
            break
    return found


def _reduce(run: Evaluation, operands: list[Any], data: Any) -> Any:
    operand, each, initial = operands
    items, found = run.value(operand, data), run.value(initial, data)
    if items is None:
        return found
    if type(items) is not list:
        raise EncodingRefused('"reduce" wants a list')
    for item in items:
        found = run.value(each, {"accumulator": found, "current": item, "data": data})
    return found


def _same(left: Any, right: Any) -> bool:
    if left is right:
        return True
    if type(left) in {int, float} and type(right) in {int, float}:
        return bool(left == right)
    # Lists, objects and times are the same only as one value, as in the reference implementation.
    return type(left) is type(right) and type(left) in {str, bool} and bool(left == right)


def _in(run: Evaluation, values: list[Any]) -> bool:
    item, items = values
    if items is None:
        return False
    if type(items) is not list:
        raise EncodingRefused('"in" wants a list on its right')
    run.spend(len(items))
    return any(_same(item, one) for one in items)


def _sum(_run: Evaluation, values: list[Any]) -> int:
    left, right = _integers(values)
    if abs(left + right) > MAX_INTEGER:
        raise EncodingRefused("a sum is beyond 2^53")
    return left + right


def _integers(values: list[Any]) -> list[int]:
    if not all(is_integer(value) for value in values):
        raise EncodingRefused("numbers are compared and added as integers only")
    return [int(value) for value in values]


def _times(values: list[Any]) -> list[datetime]:
    if not all(isinstance(value, datetime) for value in values):
        raise EncodingRefused("times are compared with times only (plusTime)")
    return values


def _ordered(operator: str) -> Callable[[Evaluation, list[Any]], bool]:
    typed: Callable[[list[Any]], list[Any]] = _times if operator in TIME_ORDERS else _integers
    holds = _HOLDS[operator]

    def compare(_run: Evaluation, values: list[Any]) -> bool:
        found = typed(values)
        return all(holds(left, right) for left, right in pairwise(found))

    return compare


def _plus_time(_run: Evaluation, values: list[Any]) -> datetime:
    text, amount, unit = values
    if type(text) is not str:
        raise EncodingRefused('"plusTime" wants a text')
    try:
        return _plus(time_of(text), int(amount), unit)
    except (ValueError, OverflowError) as error:
        raise EncodingRefused("a time is beyond the calendar") from error


def time_of(text: str) -> datetime:
    """Return the time a text names; without a zone, at the zero meridian.

    Of a date it is the first moment; of a year or a month alone, that of its last day: the reading in favour of whom
    it speaks of, a person's date of birth (CertLogic 1.3.2, dccDateOfBirth and plusTime).

    Raises:
        EncodingRefused: It names none.
    """
    date, moment = _DATE.match(text), _MOMENT.match(text)
    try:
        if date:
            year, month, day = (int(part) if part else 0 for part in date.groups())
            month = month or _MONTHS
            return datetime(year, month, day or monthrange(year, month)[1], tzinfo=UTC)
        if moment:
            *parts, fraction, sign, hours, minutes = moment.groups()
            year, month, day, hour, minute, second = (int(part) for part in parts)
            found = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
            found += timedelta(milliseconds=int((fraction or ".").ljust(4, "0")[1:4]))
            away = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
            return found + away if sign == "-" else found - away
    except (ValueError, OverflowError):
        pass
    raise EncodingRefused("a text is no date or time that rules may use")


def _birth(_run: Evaluation, values: list[Any]) -> datetime:
    (text,) = values
    if type(text) is not str or not _DATE.match(text):
        raise EncodingRefused('"dccDateOfBirth" wants a date, a month or a year')
    return time_of(text)


def _plus(time: datetime, amount: int, unit: str) -> datetime:
    if unit in {"day", "hour"}:
        return time + (timedelta(days=amount) if unit == "day" else timedelta(hours=amount))
    months = time.year * _MONTHS + time.month - 1 + amount * (_MONTHS if unit == "year" else 1)
    first = time.replace(year=months // _MONTHS, month=months % _MONTHS + 1, day=1)
    found = first + timedelta(days=time.day - 1)
    # A day that the month has not runs over into the next one; a leap day plus years is the last of February.
    return found - timedelta(days=1) if unit == "year" and found.month != first.month else found


def _extract(_run: Evaluation, values: list[Any]) -> str | None:
    text, index = values
    if text is None or index < 0:
        return None
    if type(text) is not str:
        raise EncodingRefused('"extractFromUVCI" wants a text')
    fragments = _FRAGMENTS.split(text.removeprefix(_PREFIX))
    return fragments[int(index)] if index < len(fragments) else None


_HOLDS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    **dict.fromkeys(("<", "before"), lambda left, right: left < right),
    **dict.fromkeys((">", "after"), lambda left, right: left > right),
    **dict.fromkeys(("<=", "not-after"), lambda left, right: left <= right),
    **dict.fromkeys((">=", "not-before"), lambda left, right: left >= right),
}
_LAZY: Final[dict[str, Callable[[Evaluation, list[Any], Any], Any]]] = {"if": _if, "and": _and, "reduce": _reduce}
_EAGER: Final[dict[str, Callable[[Evaluation, list[Any]], Any]]] = {
    "===": lambda _, values: _same(*values),
    "!": lambda _, values: not truth(values[0]),
    "in": _in,
    "+": _sum,
    "plusTime": _plus_time,
    "dccDateOfBirth": _birth,
    "extractFromUVCI": _extract,
    **{name: _ordered(name) for name in _HOLDS},
}
