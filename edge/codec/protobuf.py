"""A strict reader of flat protobuf messages: numbers and byte strings, each field once, in order (ADR 0048).

Encoders of public systems write fields in the order of their numbers; whatever else means the same is a second
spelling of the same message, and refused. Nested messages are byte strings here.
"""

from typing import Final

from edge.errors import EncodingRefused

_VARINT, _BYTES = 0, 2
_LONGEST: Final = 10
"""Bytes of a number of 64 bits (Protocol Buffers, Encoding, Base 128 Varints)."""


def decode(data: bytes) -> dict[int, int | bytes]:
    """Return the fields of a message by number: unsigned numbers below 2^64, or bytes.

    Raises:
        EncodingRefused: Another wire type, a number longer than needed, a field twice or out of order, a cut-off field.
    """
    found: dict[int, int | bytes] = {}
    pos, last = 0, 0
    while pos < len(data):
        tag, pos = _number(data, pos)
        number, wire = tag >> 3, tag & 7
        if number <= last or wire not in {_VARINT, _BYTES}:
            raise EncodingRefused("a field out of order or of another wire type")
        value, pos = _number(data, pos)
        last = number
        if wire == _VARINT:
            found[number] = value
            continue
        if value > len(data) - pos:
            raise EncodingRefused("a field is longer than the message")
        found[number] = data[pos : pos + value]
        pos += value
    return found


def _number(data: bytes, pos: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[pos : pos + _LONGEST]):
        value |= (byte & 0x7F) << (7 * place)
        if byte & 0x80:
            continue
        if (byte == 0 and place) or value >= 1 << 64:
            raise EncodingRefused("a number is longer than needed, or than 64 bits")
        return value, pos + place + 1
    raise EncodingRefused("a number is cut off or too long")
