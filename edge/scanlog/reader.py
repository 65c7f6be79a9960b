"""The scan log as other processes see it: the web part, sync and `edge scans` read it while the scanner part writes.

A connection lasts for one question: so a reader holds back no WAL checkpoint, may be used from any thread, and meets a
log that was moved aside as a new one.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlite_utils import Database

from edge.errors import SetupError
from edge.ledger import chain
from edge.ledger.destruction import Destruction
from edge.model.scan import Entry, Head
from edge.scanlog import rows
from edge.scanlog.connection import connect_reader
from edge.scanlog.schema import Meta, check_known, check_tables, read_meta

_Answer = TypeVar("_Answer")


class ScanLogReader:
    """Reads a scan log that another process writes.

    Every question raises `LogDamaged` where the log does not verify, `LedgerError` where it cannot be read now, and
    `SetupError` where a newer program made it. A log that does not exist yet is empty.

    Args:
        path: The log's file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def head(self) -> Head | None:
        """Where the log stands, or None where there is none yet."""
        return self._ask(rows.head_of, None)

    @property
    def first(self) -> int:
        """Number of the oldest entry that is left: 1 until something was purged."""
        return self._ask(lambda _, meta: meta.purged_seq + 1, 1)

    def head_at(self, seq: int) -> bytes | None:
        """Return the chain hash at an entry (32 zero bytes before the first), or None where the log lacks it."""
        return self._ask(lambda db, meta: rows.head_at(db, meta, seq), None if seq else chain.GENESIS)

    def entries(self, first: int, limit: int) -> list[Entry]:
        """Return at most `limit` entries from number `first` on, oldest first, checked to follow each other."""
        return self._ask(lambda db, meta: rows.entries(db, meta, first, limit), [])

    def latest(self, count: int) -> list[Entry]:
        """Return the newest `count` entries, newest first."""
        return self._ask(lambda db, meta: rows.latest(db, meta, count), [])

    def counts(self, since_ms: int) -> dict[str, int]:
        """Return how many presentations were answered `accept`, `refer` and `reject` since a moment."""
        return self._ask(lambda db, _: rows.counts(db, since_ms), rows.no_counts())

    def certificates(self) -> list[Destruction]:
        """Return what this gate signed for when rows went, oldest first, verified."""
        return self._ask(rows.certificates, [])

    def verify(self, progress: Callable[[int], None] = lambda _: None) -> Head:
        """Walk the whole chain and return where it stands.

        Args:
            progress: Told the number of the last entry that holds, every thousand entries.

        Raises:
            SetupError: There is no log.
            LogDamaged: It names the first entry that does not hold.
        """

        def walked(db: Database, meta: Meta) -> Head:
            check_tables(db, meta, self._path)
            return rows.walk(db, meta, progress)

        found = self._ask(walked, None)
        if found is None:
            raise SetupError(f"There is no scan log at {self._path}.", "Name the gate's state folder with --state.")
        return found

    def _ask(self, question: Callable[[Database, Meta], _Answer], nothing: _Answer) -> _Answer:
        with connect_reader(self._path) as db:
            meta = read_meta(db, self._path) if db is not None else None
            if db is None or meta is None:
                return nothing
            check_known(meta, self._path)
            return question(db, meta)
