"""Tokens and sealed fields of a batch as columns: `[present, tokens, sealed]`, deterministic CBOR (docs/formats.md).

`present` is null where every row has a token, else a bit a row, the first in the highest bit; `tokens` are those there
are, one behind the other; `sealed` is a map from row, counted from 0, to sealed field. One form for one list of rows.
"""

from collections.abc import Sequence
from typing import Any, Final

from edge.codec import cbor
from edge.errors import EncodingRefused
from edge.ledger.tokens import TOKEN_BYTES

MAX_SEALED: Final = 4096
_MAX_ITEMS: Final = 2048


def encode(rows: Sequence[tuple[bytes | None, bytes | None]]) -> bytes:
    """Return (token, sealed field) of each row as columns.

    A token that has not 8 bytes is damaged, for no gate writes one, and is left out: what it costs is one repetition
    that nobody sees across gates, and not a batch that no hub takes.
    """
    tokens = [token if token is not None and len(token) == TOKEN_BYTES else None for token, _ in rows]
    bits = "".join("0" if token is None else "1" for token in tokens)
    sealed = {number: field for number, (_, field) in enumerate(rows) if field is not None}
    return cbor.encode([_map(bits), b"".join(token for token in tokens if token is not None), sealed])


def decode(content: bytes, count: int) -> list[tuple[bytes | None, bytes | None]]:
    """Return (token, sealed field) of each of `count` rows.

    Raises:
        EncodingRefused: They are not the columns of `count` rows in their one form.
    """
    columns = cbor.decode(content, max_items=_MAX_ITEMS)
    if not isinstance(columns, list) or len(columns) != 3:
        raise EncodingRefused("the private columns are not three")
    present, tokens, sealed = columns
    if not isinstance(tokens, bytes) or not isinstance(sealed, dict):
        raise EncodingRefused("a private column is of another type")
    if not all(_is_sealed(row, field, count) for row, field in sealed.items()):
        raise EncodingRefused("a sealed field is none, or of no row")
    bits = _bits(present, count)
    if _map(bits) != present or len(tokens) != TOKEN_BYTES * bits.count("1"):
        raise EncodingRefused("the tokens are not those that are said to be there")
    each = (tokens[start : start + TOKEN_BYTES] for start in range(0, len(tokens), TOKEN_BYTES))
    return [(next(each) if bit == "1" else None, sealed.get(row)) for row, bit in enumerate(bits)]


def _map(bits: str) -> bytes | None:
    if "0" not in bits:
        return None
    size = (len(bits) + 7) // 8
    return int(bits.ljust(8 * size, "0"), 2).to_bytes(size, "big")


def _bits(present: Any, count: int) -> str:
    if present is None:
        return "1" * count
    if not isinstance(present, bytes) or len(present) != (count + 7) // 8:
        raise EncodingRefused("the map of tokens does not have a bit for every row")
    return f"{int.from_bytes(present, 'big'):0{8 * len(present)}b}"[:count]


def _is_sealed(row: Any, field: Any, count: int) -> bool:
    return type(row) is int and 0 <= row < count and isinstance(field, bytes) and len(field) <= MAX_SEALED
