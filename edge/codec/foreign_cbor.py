"""CBOR as other systems write it: bounded and unambiguous, but not in the one deterministic form of our own.

Real issuers use indefinite lengths, leave maps unsorted and tag times. Those are taken; whatever two readers could read
differently, or one could choke on, is refused: repeated map keys, trailing bytes, arguments longer than needed, floats
that are not finite, reserved arguments, tags nobody asked for. Whose bytes these are is left to `edge.credentials`.
"""

import math
import struct
from typing import Any, Final

from edge.codec.cbor import MAX_DEPTH, MAX_ITEMS, read_argument
from edge.errors import EncodingRefused

_BYTES, _TEXT, _ARRAY, _MAP, _TAG, _OTHER = range(2, 8)
_BREAK: Final = 0xFF
_INDEFINITE: Final = 31
_PLAIN: Final = {0xF4: False, 0xF5: True, 0xF6: None, 0xF7: None}
_FLOATS: Final = {0xF9: (">e", 2), 0xFA: (">f", 4), 0xFB: (">d", 8)}
_DATE_TAGS: Final = frozenset((0, 1, 1004))
"""A text or a number that is a time (RFC 8949, 3.4; RFC 8943): the value counts, the tag says nothing more."""
_KEYS: Final = frozenset((int, str))
_SHORT_TEXT: Final = 0x60
_LONG_TEXT: Final = 0x78
"""Lead bytes of the texts below 24 bytes, which stand in one byte."""


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
        if lead < 24:
            return lead, pos + 1
        major, argument, pos = lead >> 5, lead & 31, pos + 1
        if major == _OTHER:
            return self._other(lead, pos)
        if argument >= 24:
            if argument == _INDEFINITE:
                return self._indefinite(major, pos, depth)
            argument, pos = read_argument(self._data, pos, argument)
        if major <= 1:
            return (-1 - argument if major else argument), pos
        if major <= _TEXT:
            return self._string(major, pos, pos + argument)
        return self._nested(major, argument, pos, depth)

    def _nested(self, major: int, count: int, pos: int, depth: int) -> tuple[Any, int]:
        if depth >= MAX_DEPTH:
            raise EncodingRefused("the CBOR item nests too deeply")
        if major == _TAG:
            if count not in self._tags:
                raise EncodingRefused("a CBOR tag is not admitted")
            return self.item(pos, depth + 1)
        self._spend(count)
        return (self._array if major == _ARRAY else self._map)(pos, count, depth + 1)

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise EncodingRefused("the CBOR item has too many elements")

    def _string(self, major: int, pos: int, end: int) -> tuple[bytes | str, int]:
        if end > len(self._data):
            raise EncodingRefused("a CBOR string is longer than the data")
        found = self._data[pos:end]
        return (found if major == _BYTES else found.decode()), end

    def _array(self, pos: int, count: int, depth: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        for _ in range(count):
            value, pos = self.item(pos, depth)
            items.append(value)
        return items, pos

    def _map(self, pos: int, count: int, depth: int) -> tuple[dict[Any, Any], int]:
        pairs: dict[Any, Any] = {}
        for _ in range(count):
            pos = self._pair(pairs, pos, depth)
        return pairs, pos

    def _pair(self, pairs: dict[Any, Any], pos: int, depth: int) -> int:
        # Most of a certificate is short texts: they are read where they stand, a call for each is what costs. One that
        # is cut short ends behind the data, where the next item is looked for in vain, or `decode` finds no end.
        data = self._data
        lead = data[pos]
        if _SHORT_TEXT <= lead < _LONG_TEXT:
            end = pos + lead - _SHORT_TEXT + 1
            key: Any = data[pos + 1 : end].decode()
        else:
            key, end = self.item(pos, depth)
            if type(key) not in _KEYS:
                raise EncodingRefused("a CBOR map key is of another type")
        if key in pairs:
            raise EncodingRefused("a CBOR map key is repeated")
        lead = data[end]
        if _SHORT_TEXT <= lead < _LONG_TEXT:
            pos = end + lead - _SHORT_TEXT + 1
            pairs[key] = data[end + 1 : pos].decode()
            return pos
        pairs[key], pos = self.item(end, depth)
        return pos

    def _indefinite(self, major: int, pos: int, depth: int) -> tuple[Any, int]:
        if depth >= MAX_DEPTH or not _BYTES <= major <= _MAP:
            raise EncodingRefused("an indefinite length does not belong here")
        if major <= _TEXT:
            return self._chunks(major, pos)
        items: list[Any] = []
        pairs: dict[Any, Any] = {}
        while self._data[pos] != _BREAK:
            self._spend(1)
            if major == _MAP:
                pos = self._pair(pairs, pos, depth + 1)
            else:
                value, pos = self.item(pos, depth + 1)
                items.append(value)
        return (pairs if major == _MAP else items), pos + 1

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

    def _other(self, lead: int, pos: int) -> tuple[Any, int]:
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
