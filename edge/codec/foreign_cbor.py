"""CBOR as other systems write it: bounded and unambiguous, but not in the one deterministic form of our own.

Real issuers use indefinite lengths, leave maps unsorted and tag times. Those are taken; whatever two readers could read
differently, or one could choke on, is refused: repeated map keys, trailing bytes, arguments longer than needed, floats
that are not finite, reserved arguments, tags nobody asked for. Whose bytes these are is left to `edge.credentials`.
"""

import math
import struct
from collections.abc import Callable
from typing import Any, Final

from edge.codec.cbor import MAX_DEPTH, MAX_ITEMS, read_head
from edge.errors import EncodingRefused

_BYTES: Final = 2
_NEGATIVE: Final = 0x20
_BREAK: Final = 0xFF
_INDEFINITE: Final = 31
_PLAIN: Final = {0xF4: False, 0xF5: True, 0xF6: None, 0xF7: None}
_FLOATS: Final = {0xF9: (">e", 2), 0xFA: (">f", 4), 0xFB: (">d", 8)}
_DATE_TAGS: Final = frozenset((0, 1, 1004))
"""A text or a number that is a time (RFC 8949, 3.4; RFC 8943): the value counts, the tag says nothing more."""
_KEYS: Final = frozenset((int, str))


def decode(data: bytes, *, tags: frozenset[int] = _DATE_TAGS, max_items: int = MAX_ITEMS) -> Any:
    """Return the value of `data`, tags taken off: dicts, lists, texts, bytes, ints, finite floats, booleans, None.

    Args:
        data: The whole encoding.
        tags: Tags that may stand anywhere and are taken off.
        max_items: Most elements of arrays and maps together.

    Raises:
        EncodingRefused: It is no such CBOR, has trailing bytes or exceeds a bound.
    """
    reader = _Reader(data, tags, max_items)
    try:
        value, end = reader.item(0, 0)
    except IndexError:
        raise EncodingRefused("the CBOR item is cut short") from None
    except UnicodeDecodeError:
        raise EncodingRefused("a CBOR text string is not UTF-8") from None
    if end != len(data):
        raise EncodingRefused("bytes follow the CBOR item")
    return value


class _Reader:
    __slots__ = ("_data", "_left", "_tags")

    def __init__(self, data: bytes, tags: frozenset[int], max_items: int) -> None:
        self._data = data
        self._tags = tags
        self._left = max_items

    def item(self, pos: int, depth: int) -> tuple[Any, int]:
        lead = self._data[pos]
        return (lead, pos + 1) if lead < 24 else _READERS[lead >> 5](self, pos, depth)

    def integer(self, pos: int, _depth: int) -> tuple[int, int]:
        argument, end = read_head(self._data, pos)
        return (-1 - argument if self._data[pos] >= _NEGATIVE else argument), end

    def string(self, pos: int, _depth: int) -> tuple[bytes | str, int]:
        data = self._data
        lead = data[pos]
        if lead & 31 == _INDEFINITE:
            return self._chunks(lead >> 5, pos + 1)
        size, begin = read_head(data, pos)
        end = begin + size
        if end > len(data):
            raise EncodingRefused("a CBOR string is longer than the data")
        return (data[begin:end] if lead >> 5 == _BYTES else data[begin:end].decode()), end

    def tag(self, pos: int, depth: int) -> tuple[Any, int]:
        number, pos = read_head(self._data, pos)
        if depth >= MAX_DEPTH:
            raise EncodingRefused("the CBOR item nests too deeply")
        if number not in self._tags:
            raise EncodingRefused("a CBOR tag is not admitted")
        return self.item(pos, depth + 1)

    def array(self, pos: int, depth: int) -> tuple[list[Any], int]:
        data = self._data
        items: list[Any] = []
        if data[pos] & 31 == _INDEFINITE:
            pos = self._endless(pos, depth)
            while data[pos] != _BREAK:
                self._spend(1)
                value, pos = self.item(pos, depth + 1)
                items.append(value)
            return items, pos + 1
        count, pos = self._count(pos, depth)
        for _ in range(count):
            value, pos = self.item(pos, depth + 1)
            items.append(value)
        return items, pos

    def map(self, pos: int, depth: int) -> tuple[dict[Any, Any], int]:
        data = self._data
        pairs: dict[Any, Any] = {}
        if data[pos] & 31 == _INDEFINITE:
            pos = self._endless(pos, depth)
            while data[pos] != _BREAK:
                self._spend(1)
                pos = self._pairs(pairs, 1, pos, depth + 1)
            return pairs, pos + 1
        count, pos = self._count(pos, depth)
        return pairs, self._pairs(pairs, count, pos, depth + 1)

    def _pairs(self, pairs: dict[Any, Any], count: int, pos: int, depth: int) -> int:
        data = self._data
        for _ in range(count):
            # Most of a certificate is short texts: they are read where they stand. One that is longer than the data
            # ends behind it, and so does the whole, which `decode` refuses.
            lead = data[pos]
            if 0x60 <= lead < 0x78:
                end = pos + lead - 0x5F
                key: Any = data[pos + 1 : end].decode()
                pos = end
            else:
                key, pos = self.item(pos, depth)
            if type(key) not in _KEYS or key in pairs:
                raise EncodingRefused("a CBOR map key is repeated or of another type")
            lead = data[pos]
            if 0x60 <= lead < 0x78:
                end = pos + lead - 0x5F
                pairs[key] = data[pos + 1 : end].decode()
                pos = end
            elif lead < 24:
                pairs[key] = lead
                pos += 1
            else:
                pairs[key], pos = _READERS[lead >> 5](self, pos, depth)
        return pos

    def _endless(self, pos: int, depth: int) -> int:
        if depth >= MAX_DEPTH:
            raise EncodingRefused("the CBOR item nests too deeply")
        return pos + 1

    def _count(self, pos: int, depth: int) -> tuple[int, int]:
        count = self._data[pos] & 31
        if count < 24:
            pos += 1
        else:
            count, pos = read_head(self._data, pos)
        self._left -= count
        if self._left < 0 or depth >= MAX_DEPTH:
            raise EncodingRefused("the CBOR item nests too deeply or has too many elements")
        return count, pos

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise EncodingRefused("the CBOR item has too many elements")

    def _chunks(self, major: int, pos: int) -> tuple[bytes | str, int]:
        chunks: list[Any] = []
        while (lead := self._data[pos]) != _BREAK:
            self._spend(1)
            # RFC 8949, 3.2.3: definite strings of the same major type, each whole by itself.
            if lead >> 5 != major or lead & 31 == _INDEFINITE:
                raise EncodingRefused("a chunk of a CBOR string is of another type")
            chunk, pos = self.item(pos, MAX_DEPTH)
            chunks.append(chunk)
        return (b"" if major == _BYTES else "").join(chunks), pos + 1

    def other(self, pos: int, _depth: int) -> tuple[Any, int]:
        lead, pos = self._data[pos], pos + 1
        if lead in _FLOATS:
            form, width = _FLOATS[lead]
            if pos + width > len(self._data):
                raise EncodingRefused("the CBOR item is cut short")
            (value,) = struct.unpack_from(form, self._data, pos)
            if not math.isfinite(value):
                raise EncodingRefused("a CBOR float is not finite")
            return value, pos + width
        if lead not in _PLAIN:
            raise EncodingRefused("a CBOR simple value is not admitted")
        return _PLAIN[lead], pos


_READERS: Final[tuple[Callable[[_Reader, int, int], tuple[Any, int]], ...]] = (
    *(_Reader.integer, _Reader.integer, _Reader.string, _Reader.string),
    *(_Reader.array, _Reader.map, _Reader.tag, _Reader.other),
)
"""By major type: each reads the item at an offset."""
