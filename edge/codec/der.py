"""Walking DER that was not written for us: tags and lengths that stay within what holds them, nothing decoded (X.690).

Lenient in what real certificates get wrong (lengths longer than needed), so it decides no identity.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from edge.errors import EncodingRefused

SEQUENCE, SET, OID, BOOLEAN, OCTETS, BITS, UTC_TIME, TIME = 0x30, 0x31, 0x06, 0x01, 0x04, 0x03, 0x17, 0x18
_LENGTH_BYTES: Final = 4


class Element(NamedTuple):
    """One element of `der`: its tag, where it begins, where its content begins, where it ends."""

    tag: int
    begin: int
    start: int
    end: int

    def content(self, der: bytes) -> bytes:
        """Return its content."""
        return der[self.start : self.end]

    def whole(self, der: bytes) -> bytes:
        """Return it with its tag and length."""
        return der[self.begin : self.end]


def element(der: bytes, pos: int, end: int | None = None) -> Element:
    """Return the element that begins at `pos` and ends at or before `end`, or the end of the data.

    Raises:
        EncodingRefused: There is none, it is longer than what holds it, or of indefinite or absurd length.
    """
    most = len(der) if end is None else min(end, len(der))
    if pos + 2 > most:
        raise EncodingRefused("an element of DER is cut off")
    begin, tag, length = pos, der[pos], der[pos + 1]
    pos += 2
    if length & 0x80:
        width = length & 0x7F
        if not 1 <= width <= _LENGTH_BYTES:
            raise EncodingRefused("an indefinite or absurd length of DER")
        length = int.from_bytes(der[pos : pos + width])
        pos += width
    if pos + length > most:
        raise EncodingRefused("an element of DER is longer than what holds it")
    return Element(tag, begin, pos, pos + length)


def elements(der: bytes, pos: int, end: int) -> Iterator[Element]:
    """Yield the elements between `pos` and `end`.

    Raises:
        EncodingRefused: As `element`.
    """
    while pos < end:
        found = element(der, pos, end)
        yield found
        pos = found.end


def inside(der: bytes, outer: Element) -> list[Element]:
    """Return the elements that one holds.

    Raises:
        EncodingRefused: As `element`.
    """
    return list(elements(der, outer.start, outer.end))


def dotted(content: bytes) -> str:
    """Return an object identifier in dots; empty of no content."""
    arcs, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    if not arcs:
        return ""
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def time(der: bytes, found: Element) -> int:
    """Return a UTCTime or GeneralizedTime, Unix seconds, 0 before 1970.

    Raises:
        EncodingRefused: It is none.
    """
    if found.tag not in {UTC_TIME, TIME}:
        raise EncodingRefused("no time")
    try:
        text = found.content(der).decode("ascii")
        if found.tag == UTC_TIME:
            # RFC 5280, 4.1.2.5.1: years from 50 on are of the last century.
            text = ("19" if text[:2] >= "50" else "20") + text
        form = "%Y%m%d%H%M%S%z" if len(text) > len("202601010000Z") else "%Y%m%d%H%M%z"
        return max(0, int(datetime.strptime(text, form).astimezone(UTC).timestamp()))
    except (ValueError, OverflowError):
        raise EncodingRefused("no time") from None
