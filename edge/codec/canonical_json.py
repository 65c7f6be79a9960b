"""The canonical form of JSON that is signed (RFC 8785), for values without fractions (ADR 0048).

Numbers are integers that every reader holds exactly; so the one hard part, writing fractions as ECMAScript does, never
comes up: what has one is refused. Reading is left to `edge.codec.foreign_json`.
"""

import json
from typing import Any, Final

from edge.errors import EncodingRefused

_MAX_INTEGER: Final = (1 << 53) - 1


def encode(value: Any) -> bytes:
    """Return the canonical form (RFC 8785, 3.2) of plain data.

    Raises:
        EncodingRefused: A number is no integer within 2^53 (RFC 7493, 2.2), or a text has half of a character.
    """
    try:
        return json.dumps(_sorted(value), ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        raise EncodingRefused("a text has half of a character") from None


def _sorted(value: Any) -> Any:
    if type(value) is float or (type(value) is int and abs(value) > _MAX_INTEGER):
        raise EncodingRefused("a number is no integer within 2^53")
    # RFC 8785, 3.2.3: by UTF-16 code units, which is not the order of Python's texts.
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return {name: _sorted(value[name]) for name in names}
    return [_sorted(one) for one in value] if isinstance(value, list) else value
