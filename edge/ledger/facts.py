"""Facts of an entry as canonical CBOR: an integer-keyed map with absent fields left out (docs/formats.md).

The number of a key is never used again for something else; a reader keeps what it does not know in the bytes.
"""

from functools import lru_cache
from operator import attrgetter
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

_TEXTS: Final = frozenset(("reason", "format", "issuer", "note"))
_LASTING: Final = tuple(name for name in KEYS if name not in {"type", "at_ms", "duration_ms"})
"""Fields that differ little from one entry to the next; each is left out where it has its default."""
_lasting = attrgetter(*_LASTING)
_DEFAULTS: Final = _lasting(Facts(EntryType.SCAN, 0))
_MAP_HEADS: Final = tuple(bytes((0xA0 | pairs,)) for pairs in range(len(KEYS) + 1))


def encode(facts: Facts) -> bytes:
    """Return the canonical body of an entry: equal facts have equal bytes.

    Raises:
        ValueError: A number is negative: no reader would take it.
    """
    at_ms = facts.at_ms
    pairs, middle, end = _parts(_lasting(facts))
    duration = _pair(13, facts.duration_ms) if facts.duration_ms else b""
    # From February 1970 on eight bytes: the shortest form there is (RFC 8949, 4.2.1).
    time = b"\x02\x1b" + at_ms.to_bytes(8, "big") if at_ms >> 32 > 0 else _pair(2, at_ms)
    # The type as a plain number: an enum's hash is a function in Python.
    kind = _pair(1, int(facts.type))
    return b"".join((_MAP_HEADS[pairs + 2 + bool(duration)], kind, time, middle, duration, end))


# Between two passes at one gate little but the time differs: a sixth of the time of a plain encoding, which would be a
# tenth of the whole durable commit (tests/bench/record.py).
@lru_cache(maxsize=1024)
def _parts(lasting: tuple[int | str | None, ...]) -> tuple[int, bytes, bytes]:
    """Return the number of pairs that are stated, their bytes before the duration and those behind it."""
    named = zip(_LASTING, lasting, _DEFAULTS, strict=True)
    stated = [(KEYS[name], value) for name, value, default in named if value is not None and value != default]
    middle = [_pair(key, value) for key, value in stated if key < KEYS["duration_ms"]]
    end = [_pair(key, value) for key, value in stated if key > KEYS["duration_ms"]]
    return len(stated), b"".join(middle), b"".join(end)


@lru_cache(maxsize=1024)
def _pair(key: int, value: int | str) -> bytes:
    if not isinstance(value, str) and value < 0:
        raise ValueError("an entry's numbers are not negative")
    return cbor.encode(key) + cbor.encode(value if isinstance(value, str) else int(value))


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
