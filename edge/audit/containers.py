"""What bytes may stand inside other bytes: compressed streams, batches with packed parts, databases.

Each is known by the bytes it begins with and opened from there; a beginning that is none opens nothing. What is
inside is searched like a file of its own (`edge.audit.search`).
"""

import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import zstandard

from edge.audit.pages import MAGIC as SQLITE
from edge.audit.pages import WAL_MAGICS
from edge.audit.source import Source
from edge.codec import cbor
from edge.errors import BatchRefused, EncodingRefused
from edge.ledger import batch, columns, packing

_PIECE: Final = 1 << 20
_WINDOW: Final = 1 << 27
"""Largest window of a zstd frame, bytes: what reading one may cost in memory."""
_LZMA_MEMORY: Final = 1 << 27
_SIGNED: Final = b"\x84\x4d\xa2\x01\x27\x04\x48"
"""How a COSE_Sign1 begins whose header says EdDSA and a key id of 8 bytes (`edge.codec.cose`)."""
_ZIP_HEAD: Final = 30
_DEFLATED: Final = 8

Pieces = Callable[[Source, int], Iterator[bytes]]


@dataclass(frozen=True, slots=True)
class Found:
    """Something that stands inside.

    Attributes:
        name: What it is.
        at: Where it begins.
        pieces: Gives what is inside, piece by piece; stops where it is damaged.
    """

    name: str
    at: int
    pieces: Iterator[bytes] = field(repr=False)


def _zstd(source: Source, at: int) -> Iterator[bytes]:
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompressobj()
    with suppress(zstandard.ZstdError):
        while not reader.eof and (piece := source.read(at, _PIECE)):
            yield reader.decompress(piece)
            at += len(piece)


def _gzip(source: Source, at: int) -> Iterator[bytes]:
    yield from _deflated(source, at, zlib.MAX_WBITS | 16)


def _zip(source: Source, at: int) -> Iterator[bytes]:
    head = source.read(at, _ZIP_HEAD)
    if len(head) == _ZIP_HEAD and int.from_bytes(head[8:10], "little") == _DEFLATED:
        behind = sum(int.from_bytes(head[start : start + 2], "little") for start in (26, 28))
        yield from _deflated(source, at + _ZIP_HEAD + behind, -zlib.MAX_WBITS)


def _deflated(source: Source, at: int, bits: int) -> Iterator[bytes]:
    reader = zlib.decompressobj(bits)
    rest = b""
    with suppress(zlib.error):
        while not reader.eof:
            if not rest:
                rest = source.read(at, _PIECE)
                at += len(rest)
            if not rest:
                return
            yield reader.decompress(rest, _PIECE)
            rest = reader.unconsumed_tail


def _xz(source: Source, at: int) -> Iterator[bytes]:
    reader = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
    with suppress(lzma.LZMAError):
        while not reader.eof:
            piece = source.read(at, _PIECE) if reader.needs_input else b""
            at += len(piece)
            if not piece and reader.needs_input:
                return
            yield reader.decompress(piece, _PIECE)


_STREAMS: Final[tuple[tuple[str, bytes, Pieces], ...]] = (
    ("zstd", b"\x28\xb5\x2f\xfd", _zstd),
    ("gzip", b"\x1f\x8b\x08", _gzip),
    ("xz", b"\xfd7zXZ\x00", _xz),
    ("zip", b"PK\x03\x04", _zip),
)
DATABASES: Final = (SQLITE, *WAL_MAGICS)
SECTOR: Final = 512


def streams(source: Source, data: bytes, start: int, end: int) -> Iterator[Found]:
    """Give the compressed streams and batches that begin in a stretch.

    Args:
        source: What the stretch is of.
        data: The stretch and some bytes behind it.
        start: Where it begins.
        end: Up to where in `data` something may begin.
    """
    for name, magic, pieces in _STREAMS:
        for at in _places(data, magic, end):
            yield Found(name, start + at, pieces(source, start + at))
    # The signed header stands behind the head of a list of three and the head of a string of one or two bytes.
    for at in _places(data, _SIGNED, len(data)):
        for before, lead in ((3, b"\x83\x58"), (4, b"\x83\x59")):
            if 0 <= at - before < end and data.startswith(lead, at - before):
                begin = start + at - before
                yield from _parts(begin, source.read(begin, batch.MAX_WIRE))


def databases(data: bytes, start: int, end: int) -> Iterator[int]:
    """Give where databases and write-ahead logs may begin in a stretch: only at the beginning of a sector."""
    for magic in DATABASES:
        yield from (start + at for at in _places(data, magic, end) if (start + at) % SECTOR == 0)


def _places(data: bytes, magic: bytes, end: int) -> Iterator[int]:
    at = data.find(magic)
    while 0 <= at < end:
        yield at
        at = data.find(magic, at + 1)


def _parts(begin: int, data: bytes) -> Iterator[Found]:
    """Give what is packed in a batch."""
    try:
        item, size = cbor.decode_first(data)
        header, _ = batch.header_of(data[:size])
    except (EncodingRefused, BatchRefused):
        return
    for name, part in (("facts of a batch", item[1]), ("private part of a batch", item[2])):
        content = unpacked(part)
        if content:
            yield Found(name, begin, iter((content,)))
            # The columns hold differences and each text once: a value may stand whole only in the entries.
            with suppress(EncodingRefused):
                yield Found(f"{name}, entries", begin, iter((b"".join(columns.decode(content, header.count)),)))


def unpacked(part: bytes) -> bytes:
    """Return what is packed in a part of a batch that stands alone; no bytes where it is none or is not compressed."""
    if not part or part[0] not in {packing.ZSTD, packing.DICTIONARY_1}:
        return b""
    try:
        return packing.unpack(part)
    except EncodingRefused:
        return b""
