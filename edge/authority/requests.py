"""Requests for passes as JSON objects, so that personal fields need not stand on a command line.

The members are those of the command's options: `surname`, `id_tail`, `birth_year`, `name`, ...
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from edge.authority.issue import PassRequest
from edge.codec.ed25519 import refuse_weak_point
from edge.errors import EncodingRefused, PublicationError
from edge.model.credential import NATIONAL_KINDS

MAX_LINE: Final = 16384
_KINDS: Final = {kind.name.lower(): kind for kind in NATIONAL_KINDS}
_HOLDER_KEY: Final = "holder_key"
_WHOLE: Final = ("status", "region", "birth_year", "days", "issued_at")
_TEXTS: Final = ("issuer", "surname", "id_tail", "name", "venue_name")
_BYTES: Final = ("venue_id", _HOLDER_KEY)
_MEMBERS: Final = frozenset((*_WHOLE, *_TEXTS, *_BYTES, "kind", "valid_hours", "visited", "shows_id_tail"))
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")


def parse(text: str) -> dict[str, Any]:
    """Return the members of a request written as a JSON object.

    Raises:
        PublicationError: It is no JSON object, or has a member that is not known; no value is repeated in the message.
    """
    try:
        members = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PublicationError("The request is not JSON.") from error
    if not isinstance(members, dict):
        raise PublicationError("The request is not a JSON object.")
    unknown = sorted(set(members) - _MEMBERS)
    if unknown:
        raise PublicationError(
            f"The request has a member {unknown[0][:40]!r} that is not known.", f"Known: {', '.join(sorted(_MEMBERS))}."
        )
    return {name: value for name, value in members.items() if value is not None}


def request(members: Mapping[str, Any], now: int) -> PassRequest:
    """Return the request with these members; what is not given has its default.

    Args:
        members: As `parse` gives them.
        now: Issue time where none is given, Unix seconds.

    Raises:
        PublicationError: A member is of another type; the message names it without its value.
    """
    values: dict[str, Any] = {"issued_at": now}
    for name in members:
        if name not in _MEMBERS:
            raise PublicationError(f"The request has a member {name[:40]!r} that is not known.")
        key, value = _value(name, members[name])
        values[key] = value
    if not values.get("issuer"):
        raise PublicationError("The request names no issuer.", "Add --issuer ID or the member issuer.")
    return PassRequest(**values)


def _value(name: str, value: Any) -> tuple[str, Any]:
    if name in _WHOLE and type(value) is int and abs(value) < 1 << 53:
        return name, value
    if name in _TEXTS and type(value) is str:
        return name, value
    if name in _BYTES and type(value) is str and _HEX.fullmatch(value):
        return name, _checked(name, bytes.fromhex(value))
    if name == "shows_id_tail" and type(value) is bool:
        return name, value
    return _composed(name, value)


def _checked(name: str, value: bytes) -> bytes:
    if name == _HOLDER_KEY:
        try:
            # Under a weak key anybody's signature may hold: a pass bound to it would be bound to nobody.
            refuse_weak_point(value)
        except EncodingRefused as error:
            raise PublicationError(
                f"The request's holder_key is refused: {error.message}.", "Take the one that `edge wallet new` printed."
            ) from error
    return value


def _composed(name: str, value: Any) -> tuple[str, Any]:
    if name == "kind" and type(value) is str and value in _KINDS:
        return name, _KINDS[value]
    if name == "valid_hours" and type(value) in {int, float} and 0 < value < 1 << 20:
        return "valid_s", int(value * 3600)
    if name == "visited" and isinstance(value, list) and all(type(code) is int for code in value):
        return name, tuple(value)
    raise PublicationError(f"The request's {name} is not of its type.", "See: edge authority issue --help")
