"""The records of an SQLite database as its pages hold them: live, freed and of earlier commits, reading bytes only.

SQLite itself shows one state, and may write beside what it reads. Here every page of the file and every frame of a
write-ahead log that looks like a leaf is read for itself, and what goes on in overflow pages is put together (SQLite
file format, 1.5, 1.6 and 4). A page that looks like a leaf by chance gives records of nonsense, which harm nobody.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"SQLite format 3\x00"
WAL_MAGICS: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
MAX_PAYLOAD: Final = 16 << 20
"""A longer record is not put together: its pages are searched one by one only."""
_WAL_HEAD: Final = 32
_FRAME_HEAD: Final = 24
_INDEX_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 10, 13
_SIZES: Final = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 7: 8, 8: 0, 9: 0}
_FIRST_TEXT: Final = 12

Read = Callable[[int, int], bytes]
"""Gives so many bytes at an offset, fewer at the end."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a page holds it.

    Attributes:
        offset: Where its page begins.
        page: The page's number.
        payload: All of it.
        is_spread: Whether part of it lies in overflow pages.
    """

    offset: int
    page: int
    payload: bytes
    is_spread: bool

    def blobs(self) -> Iterator[bytes]:
        """Give the texts and blobs in it; as many as can be read."""
        size, at = _varint(self.payload, 0)
        value = size
        while at < min(size, len(self.payload)):
            kind, at = _varint(self.payload, at)
            length = (kind - _FIRST_TEXT) // 2 if kind >= _FIRST_TEXT else _SIZES.get(kind, 0)
            if kind >= _FIRST_TEXT and length:
                yield self.payload[value : value + length]
            value += length


@dataclass(frozen=True, slots=True)
class _Page:
    offset: int
    number: int
    content: bytes
    usable: int


class Database:
    """A database file, or a write-ahead log beside one.

    Args:
        read: Reads the database.
        wal: Reads its write-ahead log, None where there is none.
    """

    def __init__(self, read: Read, wal: Read | None = None) -> None:
        self._read = read
        self._wal = wal
        self._newest: dict[int, int] = {}

    def records(self) -> Iterator[Record]:
        """Give the records of every page."""
        head = self._read(0, 100)
        size = _page_size(int.from_bytes(head[16:18]))
        if head[:16] != MAGIC or not size:
            return
        usable = size - head[20]

        def page_of(number: int) -> bytes:
            return self._read((number - 1) * size, size)

        number = 1
        while content := page_of(number):
            yield from _records(_Page((number - 1) * size, number, content, usable), page_of)
            number += 1

    def logged(self) -> Iterator[Record]:
        """Give the records of every frame of the write-ahead log; pages it has not are the database's."""
        if self._wal is None:
            return
        size = _page_size(int.from_bytes(self._wal(8, 4)))
        if self._wal(0, 4) not in WAL_MAGICS or not size:
            return
        usable = size - (self._read(20, 1) or b"\0")[0]
        places: dict[int, int] = {}
        start = _WAL_HEAD
        while True:
            end = self._note_commit(start, size, places)
            if end == start:
                return

            def page_of(number: int) -> bytes:
                if number in places and self._wal is not None:
                    return self._wal(places[number], size)
                return self._read((number - 1) * size, size)

            for at in range(start, end, _FRAME_HEAD + size):
                number = int.from_bytes(self._wal(at, 4))
                content = self._wal(at + _FRAME_HEAD, size)
                yield from _records(_Page(at + _FRAME_HEAD, number, content, usable), page_of)
            start = end

    def _note_commit(self, start: int, size: int, places: dict[int, int]) -> int:
        """Note where the pages of the next commit lie, and return its end; that of the log where none is whole."""
        at = start
        while self._wal is not None:
            head = self._wal(at, _FRAME_HEAD)
            if len(head) < _FRAME_HEAD:
                break
            places[int.from_bytes(head[:4])] = at + _FRAME_HEAD
            at += _FRAME_HEAD + size
            if int.from_bytes(head[4:8]):
                break
        return at


def _page_size(stated: int) -> int:
    """Return the size of a page, 0 where none is stated."""
    size = 65536 if stated == 1 else stated
    return size if 512 <= size <= 65536 and not size & (size - 1) else 0  # noqa: PLR2004 - file format, 1.3.2


def _records(page: _Page, page_of: Callable[[int], bytes]) -> Iterator[Record]:
    content = page.content
    begin = 100 if page.number == 1 else 0
    kind = content[begin] if len(content) > begin + 12 else 0
    if kind not in {_INDEX_INTERIOR, _INDEX_LEAF, _TABLE_LEAF}:
        return
    cells = int.from_bytes(content[begin + 3 : begin + 5])
    pointers = begin + (12 if kind == _INDEX_INTERIOR else 8)
    for cell in range(min(cells, (len(content) - pointers) // 2)):
        at = int.from_bytes(content[pointers + 2 * cell : pointers + 2 * cell + 2])
        found = _payload(page, kind, at, page_of)
        if found is not None:
            yield Record(page.offset, page.number, *found)


def _payload(page: _Page, kind: int, at: int, page_of: Callable[[int], bytes]) -> tuple[bytes, bool] | None:
    content, usable = page.content, page.usable
    if kind == _INDEX_INTERIOR:
        at += 4
    size, at = _varint(content, at)
    if kind == _TABLE_LEAF:
        _, at = _varint(content, at)
    local = _local(size, usable, is_table=kind == _TABLE_LEAF)
    if not size or at + local > len(content) or size > MAX_PAYLOAD:
        return None
    if local == size:
        return content[at : at + size], False
    pieces, held = [content[at : at + local]], local
    following = int.from_bytes(content[at + local : at + local + 4])
    seen = 0
    while following and held < size and seen <= size // (usable - 4) + 1:
        overflow = page_of(following)
        if len(overflow) < usable:
            break
        pieces.append(overflow[4 : min(usable, 4 + size - held)])
        held += len(pieces[-1])
        following = int.from_bytes(overflow[:4])
        seen += 1
    return b"".join(pieces), True


def _local(size: int, usable: int, *, is_table: bool) -> int:
    """Return how much of a payload lies in its own page (file format, 1.5)."""
    most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return size
    least = (usable - 12) * 32 // 255 - 23
    wanted = least + (size - least) % (usable - 4)
    return wanted if wanted <= most else least


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at an offset and the offset behind it (file format, 1.6); 0 where the data end."""
    number = 0
    for place in range(at, min(at + 9, len(data))):
        if place == at + 8:
            return number << 8 | data[place], place + 1
        number = number << 7 | data[place] & 0x7F
        if data[place] < 0x80:  # noqa: PLR2004 - the highest bit
            return number, place + 1
    return 0, at + 9
