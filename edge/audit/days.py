"""Two days of scans as columns of numbers, in which equal numbers mean equal values; no value is kept.

Read from a gate's log (`scans.db`, or its state folder) or a hub's (`hub.db`, or its folder) with the tokens that are
left there. What is a name or bytes becomes 8 bytes of its SHA-256; a day of a million scans takes about 180 MB.
"""

import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import BatchRefused, ConfigError, EncodingRefused
from edge.ledger import batch, facts
from edge.ledger.tokens import DAY_MS
from edge.model.scan import Entry
from edge.scanlog.reader import ScanLogReader

CARRIED: Final = ("format", "issuer", "kind", "status", "region")
"""Facts that a pass carries with it from day to day."""
FOLLOWING: Final = ("outcome", "reason")
"""Facts that follow from them, mostly."""
TIMES: Final = {"time of day, ms": 1, "time of day, s": 1000, "time of day, min": 60_000}
STATED: Final = (
    *("type", "quality", "outcome", "reason", "trust_version", "policy_version", "duration_ms", "count"),
    *("refers_to", "note", "source"),
)
"""The other facts but the time."""
LINKING: Final = ("token", "sealed", "head", "body")
"""What is bytes: an equal one on another day is no chance."""
FIELDS: Final = (*CARRIED, *LINKING, "seq", *TIMES, *STATED)

Numbers = NDArray[np.uint64]
_ABSENT: Final = 0
_PAGE: Final = 5000
_WIRES: Final = (
    "SELECT batches.wire, private.part, gates.public FROM batches JOIN logs ON logs.id = batches.log "
    "JOIN gates ON gates.id = logs.gate LEFT JOIN private ON private.batch = batches.id ORDER BY batches.id"
)
_NAME_IT: Final = "Name a scans.db, a gate's state folder, a hub.db or a hub's folder."


class Day:
    """The scans of a day.

    Args:
        entries: They; what cannot be read is left out and counted.
        day: Only those of this UTC day, counted from 1970; None takes all.
    """

    def __init__(self, entries: Iterable[Entry], day: int | None = None) -> None:
        columns = {name: array("Q") for name in FIELDS}
        self.unreadable = 0
        for entry in entries:
            try:
                stated = facts.decode(entry.body)
            except EncodingRefused:
                self.unreadable += 1
                continue
            if day is None or stated.at_ms // DAY_MS == day:
                for name, value in zip(FIELDS, _values(entry, stated), strict=True):
                    columns[name].append(value)
        self.columns: dict[str, Numbers] = {name: np.array(column, np.uint64) for name, column in columns.items()}

    def __len__(self) -> int:
        return len(self.columns["seq"])

    def rows_with(self, names: Iterable[str]) -> Numbers:
        """Return the rows in which none of the linking fields among these is absent."""
        is_there = np.ones(len(self), np.bool_)
        for name in set(names) & set(LINKING):
            is_there &= self.columns[name] != _ABSENT
        return np.flatnonzero(is_there).astype(np.uint64)


def _values(entry: Entry, stated: Any) -> Iterator[int]:
    yield from (_number(getattr(stated, name)) for name in CARRIED)
    yield from (_ABSENT if value is None else _digest(value) for value in _linking(entry))
    yield entry.seq
    yield from (stated.at_ms % DAY_MS // step for step in TIMES.values())
    yield from (_number(getattr(stated, name)) for name in STATED)


def _linking(entry: Entry) -> tuple[bytes | None, ...]:
    return entry.token, entry.sealed, entry.head, entry.body


@lru_cache(maxsize=65536)
def _number(value: str | int | None) -> int:
    if isinstance(value, int):
        return int(value) + 1
    return _ABSENT if value is None else _digest(value.encode())


def _digest(value: bytes) -> int:
    return int.from_bytes(sha256(value).digest()[:8]) | 1


def entries_of(path: Path) -> Iterator[Entry]:
    """Give the entries of a gate's or a hub's log, with the tokens that are left.

    Raises:
        ConfigError: There is none, or it cannot be read.
        LedgerError: A gate's log does not verify.
    """
    for name, read in (("scans.db", _of_gate), ("hub.db", _of_hub)):
        file = path / name if path.is_dir() else path
        if file.name == name and file.is_file():
            return read(file)
    raise ConfigError(f"{path} holds no log.", _NAME_IT)


def _of_gate(file: Path) -> Iterator[Entry]:
    reader = ScanLogReader(file)
    first = reader.first
    while entries := reader.entries(first, _PAGE):
        yield from entries
        first = entries[-1].seq + 1


def _of_hub(file: Path) -> Iterator[Entry]:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            for wire, part, public in connection.execute(_WIRES):
                yield from _entries(wire, part, public)
    except sqlite3.Error as bad:
        raise ConfigError(f"{file} cannot be read as a hub's ledger: {bad}.", _NAME_IT) from bad


def _entries(wire: bytes, part: bytes | None, public: bytes) -> tuple[Entry, ...]:
    try:
        return batch.open_batch(batch.with_private(wire, part) if part else wire, public).entries
    except BatchRefused:
        # Its facts were destroyed, or it is damaged, which `edge hub check` names.
        return ()
