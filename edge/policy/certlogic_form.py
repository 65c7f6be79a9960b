"""Is it a CertLogic expression? Each fault with the part it is in (CertLogic 1.3.2, format validation; ADR 0046).

What the expression means is left to `edge.policy.certlogic`, which takes none that has a fault.
"""

import re
from collections.abc import Callable
from typing import Any, Final

MAX_DEPTH: Final = 48
MAX_NODES: Final = 4096
MAX_TEXT: Final = 1024
MAX_INTEGER: Final = (1 << 53) - 1
"""The integers that every implementation holds exactly (RFC 8259, 6)."""
UNITS: Final = ("year", "month", "day", "hour")
ORDERS: Final = ("<", ">", "<=", ">=")
TIME_ORDERS: Final = ("before", "after", "not-after", "not-before")
_PATH: Final = re.compile(r"([^.]+(\.[^.]+)*)?\Z")

Issue = tuple[Any, str]
"""The expression at fault, and what is wrong with it."""


def issues(expression: Any) -> list[Issue]:
    """Return every fault of an expression, none if it is one; of one beyond the bounds just that."""
    fault = beyond(expression)
    return [(None, fault)] if fault else _issues(expression)


def is_integer(value: Any) -> bool:
    """Whether a value is an integer; 42.0 is one, as JSON has no other way to tell (ECMA-262, Number.isInteger)."""
    return type(value) is int or (type(value) is float and value.is_integer())


def beyond(expression: Any) -> str:
    """Return why plain data is beyond the bounds, or the empty text; nothing deep or large is descended into."""
    left, nodes = [(expression, 1)], 0
    while left:
        value, depth = left.pop()
        nodes += 1
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            return f"deeper than {MAX_DEPTH} or of more than {MAX_NODES} parts"
        if (type(value) is str and len(value) > MAX_TEXT) or (is_integer(value) and abs(value) > MAX_INTEGER):
            return f"a text of more than {MAX_TEXT} characters or an integer beyond 2^53"
        if type(value) is dict:
            left += [(part, depth + 1) for part in value.values()]
        elif type(value) is list:
            left += [(part, depth + 1) for part in value]
    return ""


def _issues(expression: Any) -> list[Issue]:
    if type(expression) in {str, bool} or is_integer(expression):
        return []
    if type(expression) is float:
        return [(expression, f"{expression} is a non-integer number")]
    if type(expression) is list:
        return _each(expression)
    if type(expression) is not dict:
        return [(expression, "invalid CertLogic expression")]
    if len(expression) != 1:
        return [(expression, f"expression object must have exactly one key, but it has {len(expression)}")]
    ((operator, values),) = expression.items()
    if operator == "var":
        return _variable(expression, values)
    if type(values) is not list:
        return [(expression, 'operation not of the form { "<operator>": [ <values...> ] }')]
    check = _CHECKS.get(operator)
    return check(expression, values) if check else [(expression, f'unrecognised operator: "{operator}"')]


def _each(values: list[Any]) -> list[Issue]:
    return [issue for value in values for issue in _issues(value)]


def _variable(expression: Any, path: Any) -> list[Issue]:
    if type(path) is not str:
        return [(expression, 'not of the form { "var": "<path>" }')]
    return [] if _PATH.match(path) else [(expression, f"data access path doesn't have a valid format: {path}")]


def _miscounted(expression: Any, values: list[Any]) -> list[Issue]:
    (operator,) = expression
    least, most, wording = _OPERANDS[operator]
    return [] if least <= len(values) <= most else [(expression, f"{wording}, but it has {len(values)}")]


def _counted(expression: Any, values: list[Any]) -> list[Issue]:
    (operator,) = expression
    return _miscounted(expression, values) + _each(values[: _OPERANDS[operator][1]])


def _not(expression: Any, values: list[Any]) -> list[Issue]:
    return _miscounted(expression, values) or _each(values)


def _plus_time(expression: Any, values: list[Any]) -> list[Issue]:
    found = _miscounted(expression, values) + _each(values[:1])
    if len(values) > 1:
        found += _amount(expression, "plusTime", "amount", values[1])
    if len(values) > 2 and values[2] not in UNITS:  # noqa: PLR2004  # the third operand
        named = ", ".join(UNITS)
        wanted = f'"unit" argument (#3) of "plusTime" must be a string equal to one of {named}'
        found.append((expression, f"{wanted}, but it is: {_spelt(values[2])}"))
    return found


def _extract(expression: Any, values: list[Any]) -> list[Issue]:
    found = _miscounted(expression, values) + _each(values[:1])
    return found + (_amount(expression, "extractFromUVCI", "index", values[1]) if len(values) > 1 else [])


def _amount(expression: Any, operator: str, name: str, value: Any) -> list[Issue]:
    if is_integer(value):
        return []
    return [(expression, f'"{name}" argument (#2) of "{operator}" must be an integer, but it is: {_spelt(value)}')]


def _spelt(value: Any) -> str:
    # As the reference implementation writes a value of JSON into a text (ECMA-262, ToString).
    if type(value) is str:
        return value
    if value is None or type(value) is bool:
        return {None: "null", True: "true", False: "false"}[value]
    if type(value) is list:
        return ",".join("" if part is None else _spelt(part) for part in value)
    return "[object Object]" if type(value) is dict else f"{value:g}"


_TWO_OR_THREE: Final = (*ORDERS, *TIME_ORDERS)
_OPERANDS: Final[dict[str, tuple[int, int, str]]] = {
    "if": (3, 3, 'an "if"-operation must have exactly 3 values/operands'),
    "and": (2, MAX_NODES, 'an "and" operation must have at least 2 operands'),
    **{name: (2, 3, f'an operation with operator "{name}" must have 2 or 3 operands') for name in _TWO_OR_THREE},
    **{name: (2, 2, f'an operation with operator "{name}" must have 2 operands') for name in ("===", "in", "+")},
    "!": (1, 1, "a !-operation (logical not/negation) must have exactly 1 operand"),
    "plusTime": (3, 3, 'a "plusTime"-operation must have exactly 3 values/operands'),
    "reduce": (3, 3, 'a "reduce"-operation must have exactly 3 values/operands'),
    "dccDateOfBirth": (1, 1, 'a "dccDateOfBirth"-operation must have exactly 1 value/operand'),
    "extractFromUVCI": (2, 2, 'an "extractFromUVCI"-operation must have exactly 2 values/operands'),
}
_CHECKS: Final[dict[str, Callable[[Any, list[Any]], list[Issue]]]] = {
    **dict.fromkeys(_OPERANDS, _counted),
    "!": _not,
    "plusTime": _plus_time,
    "extractFromUVCI": _extract,
}
