"""Strict, bounded CBOR: the one deterministic form of RFC 8949, 4.2.1, and nothing else.

Decoding accepts integers, byte and text strings, arrays, maps, booleans and null. Everything a second encoder could
have written differently is refused: non-minimal arguments, indefinite lengths, unsorted or repeated map keys, tags,
floats, trailing bytes. So equal values have equal bytes, and every parser of this project sees the same ones.

What the values mean is left to `edge.credentials` and `edge.ledger`.
"""

from collections.abc import Callable
from typing import Any, Final

from edge.errors import EncodingRefused

MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 4096

_UINT, _NINT, _BYTES, _TEXT, _ARRAY, _MAP = range(6)
_NEGATIVE: Final = 0x20
_UINT32: Final = 0x1A
# Bytes of an argument, and the least it may be: anything below has a shorter form (RFC 8949, 4.2.1).
_ARGUMENT: Final = {24: (1, 24), 25: (2, 1 << 8), 26: (4, 1 << 16), 27: (8, 1 << 32)}
_SIMPLE: Final = {0xF4: False, 0xF5: True, 0xF6: None}
_KEYS: Final = frozenset((int, str, bytes))


def decode(data: bytes, *, max_items: int = MAX_ITEMS) -> Any:
    """Return the value that `data` is the deterministic encoding of.

    Args:
        data: The whole encoding.
        max_items: Most elements of arrays and maps together.

    Raises:
        EncodingRefused: `data` is no deterministic CBOR, has trailing bytes or exceeds a bound.
    """
    value, end = decode_first(data, max_items=max_items)
    if end != len(data):
        raise EncodingRefused("bytes follow the CBOR item")
    return value


def decode_first(data: bytes, start: int = 0, *, max_items: int = MAX_ITEMS) -> tuple[Any, int]:
    """Return the first value at `start` and the offset behind it; a CBOR sequence (RFC 8742) is read with it.

    Raises:
        EncodingRefused: There is no deterministic CBOR item at `start`, or it exceeds a bound.
    """
    try:
        return _item(data, start, 0, [max_items])
    except IndexError:
        raise EncodingRefused("the CBOR item is cut short") from None
    except UnicodeDecodeError:
        raise EncodingRefused("a CBOR text string is not UTF-8") from None


def _item(data: bytes, pos: int, depth: int, budget: list[int]) -> tuple[Any, int]:
    lead = data[pos]
    if lead < 24:
        return lead, pos + 1
    return _READERS[lead >> 5](data, pos, depth, budget)


def _integer(data: bytes, pos: int, _depth: int, _budget: list[int]) -> tuple[int, int]:
    argument, end = read_head(data, pos)
    return (-1 - argument if data[pos] >= _NEGATIVE else argument), end


def _string(data: bytes, pos: int, _depth: int, _budget: list[int]) -> tuple[bytes | str, int]:
    argument, begin = read_head(data, pos)
    end = begin + argument
    if end > len(data):
        raise EncodingRefused("a CBOR string is longer than the data")
    return (data[begin:end] if data[pos] >> 5 == _BYTES else data[begin:end].decode()), end


def _simple(data: bytes, pos: int, _depth: int, _budget: list[int]) -> tuple[bool | None, int]:
    lead = data[pos]
    if lead not in _SIMPLE:
        raise EncodingRefused("a CBOR tag, float or simple value is not admitted")
    return _SIMPLE[lead], pos + 1


def byte_string_end(data: bytes, start: int) -> tuple[int, int]:
    """Return where the content of the byte string at `start` begins and ends.

    Raises:
        EncodingRefused: No byte string in its shortest form stands there whole.
    """
    if start >= len(data) or data[start] >> 5 != _BYTES:
        raise EncodingRefused("a CBOR byte string is missing")
    argument, begin = read_head(data, start)
    end = begin + argument
    if end > len(data):
        raise EncodingRefused("a CBOR string is longer than the data")
    return begin, end


def read_head(data: bytes, pos: int) -> tuple[int, int]:
    """Return the argument of the item at `pos`, and the offset behind its head.

    Raises:
        EncodingRefused: It is cut short, reserved, of indefinite length or not in its shortest form.
        IndexError: Nothing stands at `pos`.
    """
    info = data[pos] & 31
    if info < 24:
        return info, pos + 1
    if info > 27:
        raise EncodingRefused("indefinite lengths and reserved arguments are not admitted")
    width, least = _ARGUMENT[info]
    begin = pos + 1
    end = begin + width
    if end > len(data):
        raise EncodingRefused("the CBOR item is cut short")
    argument = int.from_bytes(data[begin:end])
    if argument < least:
        raise EncodingRefused("a CBOR argument is not in its shortest form")
    return argument, end


def _count(data: bytes, pos: int, depth: int, budget: list[int]) -> tuple[int, int]:
    count, pos = read_head(data, pos)
    budget[0] -= count
    if depth >= MAX_DEPTH or budget[0] < 0:
        raise EncodingRefused("the CBOR item nests too deeply or has too many elements")
    return count, pos


def _array(data: bytes, pos: int, depth: int, budget: list[int]) -> tuple[list[Any], int]:
    count, pos = _count(data, pos, depth, budget)
    items: list[Any] = []
    size = len(data)
    for _ in range(count):
        lead = data[pos]
        if lead < 24:
            items.append(lead)
            pos += 1
        elif 0x40 <= lead < 0x58 and pos + lead - 0x3F <= size:
            # A short byte string that is all there: most of a pass is these, and a call for each is what costs.
            items.append(data[pos + 1 : pos + lead - 0x3F])
            pos += lead - 0x3F
        elif 0x60 <= lead < 0x78 and pos + lead - 0x5F <= size:
            items.append(data[pos + 1 : pos + lead - 0x5F].decode())
            pos += lead - 0x5F
        elif lead < 0x20:
            value, pos = read_head(data, pos)
            items.append(value)
        else:
            value, pos = _READERS[lead >> 5](data, pos, depth + 1, budget)
            items.append(value)
    return items, pos


def _map(data: bytes, pos: int, depth: int, budget: list[int]) -> tuple[dict[Any, Any], int]:
    count, pos = _count(data, pos, depth, budget)
    pairs: dict[Any, Any] = {}
    previous = b""
    size = len(data)
    for _ in range(count):
        start = pos
        key: Any = data[pos]
        if key < 24:
            # Most keys are one byte, which is the key.
            pos += 1
        else:
            key, pos = _READERS[key >> 5](data, pos, depth + 1, budget)
        encoded = data[start:pos]
        # Bytewise ascending encodings also exclude a repeated key (RFC 8949, 4.2.1 and 5.6).
        if encoded <= previous or type(key) not in _KEYS:
            raise EncodingRefused("CBOR map keys are repeated, out of order or of another type")
        previous = encoded
        lead = data[pos]
        if lead == _UINT32 and pos + 5 <= size and int.from_bytes(data[pos + 1 : pos + 3]):
            # Times are these; a number that would fit two bytes has a shorter form, and is refused below.
            pairs[key], pos = int.from_bytes(data[pos + 1 : pos + 5]), pos + 5
        elif 0x60 <= lead < 0x78 and pos + lead - 0x5F <= size:
            pairs[key], pos = data[pos + 1 : pos + lead - 0x5F].decode(), pos + lead - 0x5F
        else:
            pairs[key], pos = _item(data, pos, depth + 1, budget)
    return pairs, pos


_READERS: Final[tuple[Callable[[bytes, int, int, list[int]], tuple[Any, int]], ...]] = (
    *(_integer, _integer, _string, _string, _array, _map),
    *(_simple, _simple),
)
"""By major type: each reads the item at an offset."""


def encode(value: Any) -> bytes:
    """Return the deterministic encoding of `value` (RFC 8949, 4.2.1).

    Args:
        value: None, bool, int, bytes, str, or lists, tuples and dicts of these; integers within 64 bits and a sign.

    Raises:
        TypeError: Another type is met.
        OverflowError: An integer does not fit.
    """
    out = bytearray()
    _write(out, value)
    return bytes(out)


def byte_string(content: bytes) -> bytes:
    """Return the encoding of a byte string."""
    out = bytearray()
    _write_head(out, _BYTES, len(content))
    out += content
    return bytes(out)


def _write(out: bytearray, value: Any) -> None:
    if value is None or isinstance(value, bool):
        out.append({None: 0xF6, False: 0xF4, True: 0xF5}[value])
    elif isinstance(value, int):
        _write_head(out, _NINT if value < 0 else _UINT, -1 - value if value < 0 else value)
    elif isinstance(value, bytes | str):
        text = value.encode() if isinstance(value, str) else value
        _write_head(out, _BYTES if text is value else _TEXT, len(text))
        out += text
    elif isinstance(value, list | tuple):
        _write_head(out, _ARRAY, len(value))
        for item in value:
            _write(out, item)
    elif isinstance(value, dict):
        _write_head(out, _MAP, len(value))
        for key, item in sorted((encode(key), encode(item)) for key, item in value.items()):
            out += key + item
    else:
        raise TypeError(f"CBOR of {type(value).__name__} is not admitted")


def _write_head(out: bytearray, major: int, argument: int) -> None:
    lead = major << 5
    if argument < 24:
        out.append(lead | argument)
        return
    for info, (width, _) in _ARGUMENT.items():
        if argument < 1 << 8 * width:
            out.append(lead | info)
            out += argument.to_bytes(width, "big")
            return
    raise OverflowError("a CBOR integer has at most 64 bits")
