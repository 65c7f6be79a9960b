"""Facts of an entry as canonical CBOR: an integer-keyed map with absent fields left out (docs/formats.md).

The number of a key is never used again for something else; a reader keeps what it does not know in the bytes.
"""

from typing import Any, Final

from edge.codec import cbor
from edge.errors import EncodingRefused
from edge.model.scan import EntryType, Facts

KEYS: Final = {
    "type": 1,
    "at_ms": 2,
    "quality": 3,
    "outcome": 4,
    "reason": 5,
    "format": 6,
    "issuer": 7,
    "kind": 8,
    "status": 9,
    "region": 10,
    "trust_version": 11,
    "policy_version": 12,
    "duration_ms": 13,
    "count": 14,
    "refers_to": 15,
    "note": 16,
    "source": 17,
}
MAX_BODY: Final = 1024
"""No entry's facts are longer, bytes."""

_DEFAULTS: Final = {name: getattr(Facts(EntryType.SCAN, 0), name) for name in KEYS if name not in {"type", "at_ms"}}
_TEXTS: Final = frozenset(("reason", "format", "issuer", "note"))


def encode(facts: Facts) -> bytes:
    """Return the canonical body of an entry: equal facts have equal bytes."""
    body: dict[int, Any] = {1: int(facts.type), 2: facts.at_ms}
    for name, default in _DEFAULTS.items():
        value = getattr(facts, name)
        if value != default:
            body[KEYS[name]] = value if isinstance(value, str) else int(value)
    return cbor.encode(body)


def decode(body: bytes) -> Facts:
    """Return the facts of an entry's body; keys of a later version are passed over.

    Raises:
        EncodingRefused: It is no canonical body, or a field has another type.
    """
    if len(body) > MAX_BODY:
        raise EncodingRefused("the body of an entry is too long")
    fields = cbor.decode(body)
    if not isinstance(fields, dict):
        raise EncodingRefused("the body of an entry is not a map")
    found: dict[str, Any] = {}
    for name, key in KEYS.items():
        if key not in fields:
            continue
        value = fields[key]
        if type(value) is not (str if name in _TEXTS else int) or (type(value) is int and value < 0):
            raise EncodingRefused(f"the field {name} of an entry has another type")
        found[name] = value
    try:
        return Facts(EntryType(found.pop("type")), found.pop("at_ms"), **found)
    except (KeyError, ValueError):
        raise EncodingRefused("the body of an entry lacks its type or time") from None
