"""Reading connections that a serving hub keeps: opening one takes as long as checking a batch.

A connection that stands idle holds no lock and no state, so it keeps no checkpoint from its end. One that met an error
is closed, and one whose file is no longer the one at its path is not asked again.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from edge.hub.store import Store

IDLE: Final = 8
"""Most connections kept; each has a page cache of 2 MB at most."""
_File = tuple[int, int]


class Readers:
    """Lends read-only connections and keeps those that come back; from any thread.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._idle: list[tuple[_File | None, sqlite3.Connection]] = []
        self._is_closed = False

    @contextmanager
    def reader(self) -> Iterator[sqlite3.Connection]:
        """Give a read-only connection; what is read in one `BEGIN` is one state.

        Raises:
            LedgerError: The database cannot be read.
        """
        with self._store.errors():
            file = self._file()
            connection = self._taken(file) or self._store.open_reader()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._put_back(file, connection)

    def close(self) -> None:
        """Close what is idle; what is lent is closed when it comes back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _file(self) -> _File | None:
        """Return which file lies at the path, None where none can be found: opening it says what is wrong."""
        try:
            found = os.stat(self._store.file)  # noqa: PTH116 - as the writer asks
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _taken(self, file: _File | None) -> sqlite3.Connection | None:
        with self._lock:
            of_file = [pair for pair in self._idle if pair[0] == file and file is not None]
            stale = [pair for pair in self._idle if pair not in of_file]
            found = of_file.pop()[1] if of_file else None
            self._idle = of_file
        for _, connection in stale:
            connection.close()
        return found

    def _put_back(self, file: _File | None, connection: sqlite3.Connection) -> None:
        with self._lock:
            is_kept = not (self._is_closed or file is None or connection.in_transaction) and len(self._idle) < IDLE
            if is_kept:
                self._idle.append((file, connection))
        if not is_kept:
            connection.close()
