"""The parts of a batch of version 1: zstd over CBOR lists of rows. Gates before version 2 wrote them; read for ever.

`facts = zstd(CBOR [* body])`, `private = zstd(CBOR [* [token / null, sealed / null]])`.
"""

from typing import Any, Final

import zstandard

from edge.codec import cbor
from edge.errors import EncodingRefused
from edge.ledger.columns import MAX_ROWS
from edge.ledger.facts import MAX_BODY
from edge.ledger.packing import MAX_PART
from edge.ledger.private import MAX_SEALED
from edge.ledger.tokens import TOKEN_BYTES

_ITEMS: Final = 4 * MAX_ROWS + 16


def bodies(packed: bytes) -> list[bytes]:
    """Return the bodies in a facts part.

    Raises:
        EncodingRefused: It is no packed list of bodies.
    """
    rows = _unpacked(packed)
    if any(not isinstance(row, bytes) or len(row) > MAX_BODY for row in rows):
        raise EncodingRefused("a body of the batch is not a string of bytes")
    return rows


def private(packed: bytes, count: int) -> list[tuple[bytes | None, bytes | None]]:
    """Return (token, sealed field) of each of `count` rows.

    Raises:
        EncodingRefused: It is no packed list of them.
    """
    rows = _unpacked(packed)
    if len(rows) != count or not all(_is_private(row) for row in rows):
        raise EncodingRefused("the private part of the batch does not fit its facts")
    return [(token, sealed) for token, sealed in rows]


def _unpacked(packed: bytes) -> list[Any]:
    try:
        # The size is asked first: a frame may announce terabytes, and the library would reserve them.
        if not 0 <= zstandard.frame_content_size(packed) <= MAX_PART:
            raise EncodingRefused("a part of the batch is too large or does not say its size")
        inflated = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as bad:
        raise EncodingRefused(f"a part of the batch is no zstd frame: {bad}") from bad
    rows = cbor.decode(inflated, max_items=_ITEMS)
    if not isinstance(rows, list):
        raise EncodingRefused("a part of the batch is not a list")
    return rows


def _is_private(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != 2:
        return False
    token, sealed = row
    if token is not None and not (isinstance(token, bytes) and len(token) == TOKEN_BYTES):
        return False
    return sealed is None or (isinstance(sealed, bytes) and len(sealed) <= MAX_SEALED)
