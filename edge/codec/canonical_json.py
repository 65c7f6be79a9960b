"""JSON of others whose canonical form is signed: read strictly, written as RFC 8785 says, without fractions (ADR 0048).

Numbers are integers that every reader holds exactly; so the one hard part of RFC 8785, writing fractions as ECMAScript
does, never comes up: what has one is refused.
"""

import json
import re
from typing import Any, Final

from edge.errors import EncodingRefused

MAX_TEXT: Final = 16 << 10
MAX_DEPTH: Final = 12
# A text without an end takes all that is left: each byte is looked at once.
_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[][{}]', re.DOTALL)
_MAX_INTEGER: Final = (1 << 53) - 1


def decode(data: bytes) -> Any:
    """Return what JSON text holds.

    Raises:
        EncodingRefused: It is no JSON in UTF-8, too long or deep, names a member twice, or has a number that is not an
            integer within 2^53 (RFC 7493, 2.2 and 2.3).
    """
    if len(data) > MAX_TEXT or _depth(data) > MAX_DEPTH:
        raise EncodingRefused("JSON is too long or too deep")
    try:
        return json.loads(
            data.decode(), object_pairs_hook=_object, parse_float=_refuse, parse_constant=_refuse, parse_int=_integer
        )
    except (ValueError, RecursionError):
        raise EncodingRefused("not JSON") from None


def encode(value: Any) -> bytes:
    """Return the canonical form (RFC 8785, 3.2) of what `decode` returned.

    Raises:
        EncodingRefused: A text has half of a character (a lone surrogate).
    """
    try:
        return json.dumps(_sorted(value), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise EncodingRefused("a text has half of a character") from None


def _depth(data: bytes) -> int:
    """Return how deep brackets go outside of texts."""
    depth = deepest = 0
    for opening in _BRACKETS.findall(data):
        if opening in {b"[", b"{"}:
            depth += 1
            deepest = max(deepest, depth)
        elif opening in {b"]", b"}"}:
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise EncodingRefused("a member stands twice")
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > _MAX_INTEGER or text == "-0":  # digits of 2^53, and a sign
        raise EncodingRefused("an integer is beyond 2^53")
    return int(text)


def _refuse(_text: str) -> Any:
    raise EncodingRefused("a number is no integer")


def _sorted(value: Any) -> Any:
    # RFC 8785, 3.2.3: by UTF-16 code units, which is not the order of Python's texts.
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return {name: _sorted(value[name]) for name in names}
    return [_sorted(one) for one in value] if isinstance(value, list) else value
