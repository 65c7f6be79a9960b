"""People who are planted on purpose, and every form in which a file could hold what tells of them.

The file of planted identities is JSON lines: `{"label": "person 3, name", "text": "..."}`, or `"hex"` or `"base64"` for
bytes. The label is what a report says instead; what it stands for never leaves this module but as a needle.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from edge.codec import base45
from edge.errors import ConfigError

LEAST: Final = 4
"""Shortest needle, bytes: anything shorter stands by chance in every megabyte."""
LONGEST: Final = 48
"""A longer needle is searched for in pieces, so that a fragment of a code is found too."""
PIECE: Final = 16
_DULL: Final = 5
"""A piece of fewer different bytes than this is no trace of anybody."""
_MAX_FILE: Final = 256 << 20
_FEW_BITS: Final = 33
_WAYS: Final = frozenset(("text", "hex", "base64"))
_FORM: Final = 'Write a line for each: {"label": "person 1, name", "text": "..."}'


@dataclass(frozen=True, slots=True)
class Planted:
    """Something that must not be found.

    Attributes:
        label: What a report calls it.
        value: Its bytes; of a text, UTF-8.
        is_text: Whether it is a text.
    """

    label: str
    value: bytes = field(repr=False)
    is_text: bool


def load(path: Path) -> tuple[Planted, ...]:
    """Return what a file of planted identities names.

    Raises:
        ConfigError: It cannot be read, a line is none, or something is too short to be told from chance.
    """
    try:
        with path.open("rb") as opened:
            content = opened.read(_MAX_FILE + 1)
    except OSError as failed:
        raise ConfigError(
            f"{path} cannot be read: {failed.strerror}.", "Name the file of planted identities."
        ) from failed
    if len(content) > _MAX_FILE:
        raise ConfigError(f"{path} is larger than {_MAX_FILE >> 20} MiB.", "Plant fewer people.")
    found = []
    for number, line in enumerate(content.splitlines(), 1):
        if line.strip():
            try:
                found.append(_one(json.loads(line)))
            except (ValueError, KeyError, TypeError, RecursionError) as bad:
                # The line itself is an identity: it is not repeated.
                raise ConfigError(f"{path}, line {number}: it is no planted identity.", _FORM) from bad
            if len(found[-1].value) < LEAST:
                raise ConfigError(
                    f"{path}, line {number}: {len(found[-1].value)} bytes stand by chance in every file.",
                    f"Plant something of at least {LEAST} bytes.",
                )
    if not found:
        raise ConfigError(f"{path} names nobody.", _FORM)
    return tuple(found)


def _one(row: dict[str, Any]) -> Planted:
    label = row["label"]
    (way,) = row.keys() - {"label"}
    if not isinstance(label, str) or not label.isprintable() or way not in _WAYS or not isinstance(row[way], str):
        raise ValueError
    if way == "text":
        return Planted(label, row[way].encode(), is_text=True)
    return Planted(label, bytes.fromhex(row[way]) if way == "hex" else _from_base64(row[way]), is_text=False)


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as bad:
        raise ValueError from bad


def forms(planted: Planted) -> Iterator[tuple[str, bytes]]:
    """Give each form with its name; those that are too short for it are left out."""
    for name, needle in _forms(planted):
        if len(needle) >= LEAST:
            yield name, needle


def _forms(planted: Planted) -> Iterator[tuple[str, bytes]]:
    value = planted.value
    yield "plain", value
    yield "hex", value.hex().encode()
    yield "HEX", value.hex().upper().encode()
    yield from _base64(value)
    yield from (("base45", base45.encode(value[start : start + (len(value) - start) // 2 * 2])) for start in (0, 1))
    yield "escaped bytes", repr(value)[2:-1].encode()
    yield "list of numbers", ", ".join(map(str, value)).encode()
    yield "list of numbers", ",".join(map(str, value)).encode()
    if planted.is_text:
        yield from _of_text(value.decode())


def _base64(value: bytes) -> Iterator[tuple[str, bytes]]:
    for before in range(3):
        # What stands before shifts the groups of six bits; characters that hold a neighbour's bits are left out.
        begin, end = -(-before * 8 // 6), (before + len(value)) * 8 // 6
        padded = bytes(before) + value
        yield "base64", base64.b64encode(padded)[begin:end]
        yield "base64url", base64.urlsafe_b64encode(padded)[begin:end]


def _of_text(text: str) -> Iterator[tuple[str, bytes]]:
    yield "UTF-16", text.encode("utf-16-le")
    yield "UTF-16", text.encode("utf-16-be")
    escaped = json.dumps(text)[1:-1]
    yield "JSON", escaped.encode()
    if not text.isascii():
        yield "JSON", "".join(f"\\u{unit:04X}" for unit in _units(text)).encode()
        yield "in an address", quote(text, safe="").encode()
        yield "in an address", quote(text, safe="").lower().encode()
        with suppress(UnicodeEncodeError):
            yield "GB 18030", text.encode("gb18030")
    if text.isdigit() and text.isascii():
        yield from _of_digits(text)


def _units(text: str) -> Iterator[int]:
    data = text.encode("utf-16-be")
    return (int.from_bytes(data[start : start + 2]) for start in range(0, len(data), 2))


def _of_digits(text: str) -> Iterator[tuple[str, bytes]]:
    if len(text) % 2 == 0:
        yield "packed digits", bytes.fromhex(text)
    number = int(text)
    if number.bit_length() >= _FEW_BITS:
        size = (number.bit_length() + 7) // 8
        yield "number", number.to_bytes(size, "big")
        yield "number", number.to_bytes(size, "little")


def needles(planted: tuple[Planted, ...]) -> dict[bytes, tuple[str, str]]:
    """Return every needle with the label and the form it stands for.

    A piece that two different values share (the head of every code of one issuer) tells of neither and is left out.
    """
    found: dict[bytes, tuple[str, str]] = {}
    owners: dict[bytes, bytes] = {}
    shared: set[bytes] = set()
    for one in planted:
        for name, needle in forms(one):
            if len(needle) <= LONGEST:
                found.setdefault(needle, (one.label, name))
                continue
            for start in range(0, len(needle) - PIECE + 1, PIECE):
                piece = needle[start : start + PIECE]
                if len(set(piece)) < _DULL or owners.setdefault(piece, one.value) != one.value:
                    shared.add(piece)
                else:
                    found.setdefault(piece, (one.label, name))
    return {needle: stands for needle, stands in found.items() if needle not in shared}
