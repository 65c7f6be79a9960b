"""JSON (RFC 8259) as other systems write it: bounded and unambiguous.

White space and the order of members are as they come. What two readers could read differently, or one could choke on,
is refused: repeated members, a byte order mark, numbers that are not finite, deep nesting, too many elements.
"""

import json
import math
from typing import Any, Final, NoReturn

from edge.errors import EncodingRefused

MAX_DEPTH: Final = 32
"""FHIR nests deeper than any COSE message."""
MAX_ELEMENTS: Final = 8192
"""Arrays, objects and what follows a comma: a card in one code has some hundred."""
_NESTED: Final = frozenset((dict, list))


def decode(data: bytes) -> Any:
    """Return the value of `data`: dicts, lists, texts, ints, finite floats, booleans, None.

    Raises:
        EncodingRefused: It is no such JSON.
    """
    # Counted before anything is built, those within texts as well.
    if sum(map(data.count, (b"{", b"[", b","))) > MAX_ELEMENTS:
        raise EncodingRefused("the JSON value has too many elements")
    try:
        value = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        raise EncodingRefused("not JSON in UTF-8") from None
    _refuse_depth(value)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise EncodingRefused("a JSON member stands twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise EncodingRefused("a JSON number is not finite")
    return value


def _refuse(_: str) -> NoReturn:
    raise EncodingRefused("a JSON number is not finite")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_float=_finite, parse_constant=_refuse)


def _refuse_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            one for node in level if type(node) in _NESTED for one in (node.values() if type(node) is dict else node)
        ]
        if not level:
            return
    raise EncodingRefused("the JSON value nests too deeply")
