"""What a post or a file holds: a CBOR sequence (RFC 8742) of batches, taken apart without looking into one."""

from typing import Any, Final

from edge.codec import cbor
from edge.errors import EncodingRefused

MAX_BATCHES: Final = 512
"""Most batches in one POST; the answers to more would not fit what a gate reads."""
_PARTS: Final = 3
"""Header, facts and private part (`edge.ledger.batch`)."""


def pieces(body: bytes) -> list[tuple[bytes, Any]] | None:
    """Split a CBOR sequence; a rest that is none is one piece without a value. None where there are too many."""
    found: list[tuple[bytes, Any]] = []
    at = 0
    while at < len(body):
        if len(found) == MAX_BATCHES:
            return None
        try:
            value, end = cbor.decode_first(body, at)
        except EncodingRefused:
            value, end = None, len(body)
        found.append((body[at:end], value))
        at = end
    return found


def is_batch(value: Any) -> bool:
    """Whether a CBOR item has the shape of a batch."""
    return isinstance(value, list) and len(value) == _PARTS and all(isinstance(part, bytes) for part in value)
