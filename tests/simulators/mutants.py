"""Mutants of codes: what an attacker makes who knows their structure and has no key, one change after the other.

A code is taken apart into its CBOR, also that inside of byte strings; a change is made to a node, to the bytes or to
the text; it is put together again, with lengths that fit unless they are what was changed. Deterministic by seed.
"""

import base64
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edge.codec import base32, base45

UINT, NINT, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE = range(8)
_WIDTH = {24: 1, 25: 2, 26: 4, 27: 8}
_NUMBERS = (0, 1, 23, 24, 255, 256, 65535, 65536, 2**31, 2**32 - 1, 2**32, 2**53, 2**63, 2**64 - 1)
_MOST_NODES = 400


@dataclass(slots=True)
class Node:
    """One CBOR item, written as its fields say, right or wrong.

    Attributes:
        major: Major type.
        number: Argument of a number, tag or simple value.
        data: Content of a string.
        inside: Items of a container, of a tag, or of CBOR inside a byte string.
        width: Bytes of the argument, None: the shortest.
        lie: Added to the length that is written.
        is_endless: Written with indefinite length.
    """

    major: int
    number: int = 0
    data: bytes = b""
    inside: "list[Node]" = field(default_factory=list)
    width: int | None = None
    lie: int = 0
    is_endless: bool = False

    def encoded(self) -> bytes:
        """Return its bytes."""
        body = b"".join(one.encoded() for one in self.inside)
        if self.major in (BYTES, TEXT):
            body = body if self.inside else self.data
            size = len(body)
        elif self.major in (ARRAY, MAP):
            size = len(self.inside) // (2 if self.major == MAP else 1)
        else:
            return self._head(self.number) + body
        if self.is_endless:
            chunk = Node(self.major, data=body).encoded() if self.major in (BYTES, TEXT) else body
            return bytes((self.major << 5 | 31,)) + chunk + b"\xff"
        return self._head(max(0, size + self.lie)) + body

    def _head(self, number: int) -> bytes:
        number %= 2**64
        if self.width is None and number < 24:
            return bytes((self.major << 5 | number,))
        info = next(info for info, width in _WIDTH.items() if number < 256**width and width >= (self.width or 1))
        return bytes((self.major << 5 | info,)) + number.to_bytes(_WIDTH[info], "big")

    def copy(self) -> "Node":
        """Return a copy down to the leaves."""
        return replace(self, inside=[one.copy() for one in self.inside])


def read(data: bytes, at: int = 0) -> tuple[Node, int]:
    """Return the item at an offset, with the CBOR inside its byte strings, and the offset behind it.

    Raises:
        ValueError, IndexError: There is no item of definite length.
    """
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    number = info
    if info >= 24:
        width = _WIDTH.get(info)
        if width is None:
            raise ValueError("of indefinite length")
        number, at = int.from_bytes(data[at : at + width], "big"), at + width
    if major in (BYTES, TEXT):
        if at + number > len(data):
            raise ValueError("cut short")
        content = data[at : at + number]
        return Node(major, data=content, inside=_within(content) if major == BYTES else []), at + number
    if major not in (ARRAY, MAP, TAG):
        return Node(major, number), at
    inside: list[Node] = []
    for _ in range({ARRAY: number, MAP: 2 * number, TAG: 1}[major]):
        one, at = read(data, at)
        inside.append(one)
    return Node(major, number, inside=inside), at


def _within(content: bytes) -> list[Node]:
    if len(content) < 2:
        return []
    try:
        inner, end = read(content)
    except (ValueError, IndexError, RecursionError):
        return []
    return [inner] if end == len(content) and inner.major in (ARRAY, MAP) else []


@dataclass(frozen=True, slots=True)
class Original:
    """A code that is accepted, and how it is taken apart.

    Attributes:
        code: The code.
        prefix: What it begins with.
        opened: Its bytes behind the prefix.
        closed: The reverse.
    """

    code: bytes
    prefix: bytes
    opened: Callable[[bytes], bytes]
    closed: Callable[[bytes], bytes]

    def message(self) -> Node:
        """Return its CBOR."""
        return read(self.opened(self.code[len(self.prefix) :]))[0]


def plain(code: bytes) -> Original:
    """Return an original in Base45."""
    return Original(code, code[:4], base45.decode, base45.encode)


def deflated(code: bytes, prefix: int = 4) -> Original:
    """Return an original in Base45 over zlib, behind a prefix of so many characters."""
    return Original(
        code,
        code[:prefix],
        lambda text: zlib.decompress(base45.decode(text)),
        lambda raw: base45.encode(zlib.compress(raw)),
    )


def thirty_two(code: bytes, prefix: int = 8) -> Original:
    """Return an original in Base32 without padding, behind a prefix of so many characters."""
    return Original(code, code[:prefix], base32.decode, lambda raw: base64.b32encode(raw).rstrip(b"="))


class Mutator:
    """Makes mutants of some originals, without end and never twice the same way.

    Args:
        originals: What is changed; parts of one are put into another too.
        seed: Of the changes.
    """

    def __init__(self, originals: list[Original], seed: int) -> None:
        self._originals = originals
        self._messages = [one.message() for one in originals]
        self._random = random.Random(seed)
        self._changes = (
            *(self._number, self._string, self._type, self._items, self._order, self._length, self._splice),
            *(self._wrap, self._endless, self._deep),
        )

    def next(self) -> bytes:
        """Return the next mutant; by chance it may be an original again."""
        chance = self._random
        which = chance.randrange(len(self._originals))
        original, message = self._originals[which], self._messages[which]
        if chance.random() < 0.1:
            return self._in_text(original.code)
        tree = message.copy()
        for _ in range(chance.choice((1, 1, 1, 2, 3))):
            chance.choice(self._changes)(chance.choice(_nodes(tree)))
        raw = tree.encoded()
        if chance.random() < 0.15:
            raw = self._in_bytes(raw)
        text = original.prefix + original.closed(raw)
        return self._in_text(text) if chance.random() < 0.03 else text

    def _number(self, node: Node) -> None:
        chance = self._random
        way = chance.randrange(3)
        node.number = (
            chance.choice(_NUMBERS),
            node.number + chance.choice((-1, 1)),
            node.number ^ 1 << chance.randrange(64),
        )[way] % 2**64
        if node.major in (BYTES, TEXT) and node.data:
            self._string(node)

    def _string(self, node: Node) -> None:
        data, chance = node.data, self._random
        at = chance.randrange(len(data) + 1)
        node.inside = []
        node.data = chance.choice(
            (
                data[:at] + bytes((data[at] ^ 1 << chance.randrange(8),)) + data[at + 1 :] if at < len(data) else data,
                data[:at],
                data[:at] + chance.randbytes(chance.choice((1, 2, 8))) + data[at:],
                data[at:],
                data + data,
                bytes(len(data)),
                "=HYPERLINK(1)\u202e王".encode(),
            )
        )

    def _type(self, node: Node) -> None:
        node.major = self._random.randrange(8)
        node.data = node.data or node.number.to_bytes(8, "big")

    def _items(self, node: Node) -> None:
        chance, items = self._random, node.inside
        if not items:
            items.append(Node(UINT, chance.choice(_NUMBERS)))
            return
        at = chance.randrange(len(items))
        step = 2 if node.major == MAP else 1
        at -= at % step
        part = [one.copy() for one in items[at : at + step]]
        way = chance.randrange(3)
        if way == 0:
            del items[at : at + step]
        elif way == 1:
            items[at:at] = part
        else:
            items += part

    def _order(self, node: Node) -> None:
        if len(node.inside) > 1:
            one, other = self._random.sample(range(len(node.inside)), 2)
            node.inside[one], node.inside[other] = node.inside[other], node.inside[one]

    def _length(self, node: Node) -> None:
        if self._random.random() < 0.5:
            node.width = self._random.choice((1, 2, 4, 8))
        else:
            node.lie = self._random.choice((-2, -1, 1, 2, 255, 2**31, 2**63))

    def _splice(self, node: Node) -> None:
        other = self._random.choice(_nodes(self._random.choice(self._messages))).copy()
        for name in ("major", "number", "data", "inside", "width", "lie", "is_endless"):
            setattr(node, name, getattr(other, name))

    def _wrap(self, node: Node) -> None:
        inner = node.copy()
        tag = self._random.choice((0, 1, 2, 4, 18, 24, 28, 29, 35, 61, 55799))
        node.major, node.number, node.data, node.inside = TAG, tag, b"", [inner]

    def _endless(self, node: Node) -> None:
        node.is_endless = True

    def _deep(self, node: Node) -> None:
        depth = self._random.choice((15, 16, 17, 200))
        node.major, node.data, node.inside = BYTES, b"\x81" * depth + b"\x00", []

    def _in_bytes(self, raw: bytes) -> bytes:
        chance = self._random
        at = chance.randrange(len(raw) + 1)
        return chance.choice(
            (raw[:at], raw + chance.randbytes(chance.choice((1, 4))), raw[:at] + raw[at + 1 :], raw[at:])
        )

    def _in_text(self, text: bytes) -> bytes:
        chance = self._random
        at = chance.randrange(len(text))
        return chance.choice(
            (
                text[:at] + bytes((chance.randrange(256),)) + text[at + 1 :],
                text[:at] + text[at + 1 :],
                text[:at] + chance.choice((b" ", b"\n", b"0", b"\xff", b"\xef\xbb\xbf")) + text[at:],
                text[:at],
                text.swapcase(),
                text + text,
                text[:4] + text,
                text[at:] + text[:at],
            )
        )


def _nodes(tree: Node) -> list[Node]:
    found, waiting = [], [tree]
    while waiting and len(found) < _MOST_NODES:
        node = waiting.pop()
        found.append(node)
        waiting += node.inside
    return found
