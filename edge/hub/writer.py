"""One thread that writes: what arrives together is committed together, and nobody is answered before the commit.

A durable commit costs one flush of the disk whether it holds one batch or sixty. Each piece of work runs in a
savepoint of its own, so one that fails takes nothing of its neighbours with it.
"""

import logging
import math
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from edge.errors import LogUnwritable
from edge.hub.store import Store, is_of_the_file

Work = Callable[[sqlite3.Connection], Any]
_Result = TypeVar("_Result")
_Job = tuple[Work, "Future[Any]"]

_LOG = logging.getLogger(__name__)
DEPTH: Final = 128
TOGETHER: Final = 64
"""Most pieces of work in one commit."""
TIDY_S: Final = 300.0
"""Seconds between two rounds of tidying."""
_WAIT_S: Final = 60.0
_QUIET_S: Final = 0.02
"""So long nobody wants to write before work in the background gets a turn."""
_LAG_S: Final = 30.0
"""So long may posts come first; after it the background gets a turn behind every commit."""
_LAST_S: Final = 3.0
"""So long the background may catch up before the end; the next start goes on where it was."""
_LOOK_S: Final = 1.0
"""Another process may have written: an import beside a serving hub."""


class GroupCommit:
    """The only writer of a serving hub.

    Args:
        store: The database.
        tidy: Called on the writer's connection, outside a transaction, at the start and about every `TIDY_S`.
        background: Called in a commit of its own when nobody else wants one; returns whether there is more to do.
        depth: Most pieces of work that may wait.
    """

    def __init__(
        self,
        store: Store,
        tidy: Callable[[sqlite3.Connection], None],
        *,
        background: Callable[[sqlite3.Connection], bool],
        depth: int = DEPTH,
    ) -> None:
        self._store = store
        self._tidy = tidy
        self._background = background
        self._is_behind = True
        self._level_at = time.monotonic()
        self._queue: queue.Queue[_Job | None] = queue.Queue(depth)
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] = (0, 0)
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="hub-writer", daemon=True)
        self._thread.start()

    def do(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run `work` in the next commit and return its result once that is durable; blocks.

        Raises:
            LedgerError: It could not be made durable; nothing of it was kept.
        """
        future: Future[_Result] = Future()
        if self._is_closed:
            raise LogUnwritable("The hub is stopping.", "Try again in a minute.")
        try:
            self._queue.put_nowait((work, future))
        except queue.Full:
            raise LogUnwritable("More waits for the hub's disk than it may hold.", "Try again later.") from None
        try:
            return future.result(_WAIT_S)
        except TimeoutError:
            # Whether it will still be committed is open; whoever asks again gets the same answer (idempotent).
            raise LogUnwritable("The hub's disk does not answer.", "Check the disk of the hub.") from None

    def close(self) -> None:
        """Finish what waits, fold the WAL into the database and stop; blocks."""
        if not self._is_closed:
            self._is_closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        tidied = -math.inf
        while True:
            if time.monotonic() - tidied >= TIDY_S:
                self._beside(self._tidy)
                tidied = time.monotonic()
            jobs = self._next_jobs(_QUIET_S if self._is_behind else _LOOK_S)
            if jobs is None:
                break
            self._commit(jobs)
            if not jobs or time.monotonic() - self._level_at > _LAG_S:
                self._beside(self._do_background)
            else:
                self._is_behind = True
        ends = time.monotonic() + _LAST_S
        self._is_behind = True
        while self._is_behind and time.monotonic() < ends:
            self._beside(self._do_background)
        self._beside(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
        self._drop()

    def _do_background(self, connection: sqlite3.Connection) -> None:
        # What fails is tried again after a look, not at once.
        self._is_behind = False
        connection.execute("BEGIN IMMEDIATE")
        is_behind = self._background(connection)
        connection.execute("COMMIT")
        self._is_behind = is_behind
        if not self._is_behind:
            self._level_at = time.monotonic()

    def _next_jobs(self, wait_s: float) -> list[_Job] | None:
        """Wait a while for work; None when it is time to stop."""
        try:
            first = self._queue.get(timeout=wait_s)
        except queue.Empty:
            return []
        if first is None:
            return None
        jobs = [first]
        while len(jobs) < TOGETHER:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._queue.put(None)
                break
            jobs.append(following)
        return jobs

    def _commit(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            results = [_in_savepoint(connection, work) for work, _ in jobs]
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - every waiting request must hear of it, and the thread must live
            self._drop()
            for _, future in jobs:
                future.set_exception(self._unwritable(error))
            return
        for (_, future), (result, failure) in zip(jobs, results, strict=True):
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)

    def _unwritable(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.Error) and is_of_the_file(error):
            return self._store.translated(error)
        if isinstance(error, OSError):
            return LogUnwritable(
                f"The hub's database {self._store.file} cannot be used: {error.strerror}.",
                "Restore it and start the hub again.",
            )
        return error

    def _opened(self) -> sqlite3.Connection:
        found = os.stat(self._store.file)  # noqa: PTH116 - a path that is gone must raise here
        identity = (found.st_dev, found.st_ino)
        # A database moved away under us would go on taking commits that nobody ever finds again.
        if self._connection is not None and identity != self._file:
            self._drop()
        if self._connection is None:
            self._connection = self._store.open_writer()
            self._file = identity
        return self._connection

    def _beside(self, work: Callable[[sqlite3.Connection], object]) -> None:
        try:
            work(self._opened())
        except (sqlite3.Error, OSError):
            # Tidying can wait; what gates send meets the same error and is told.
            self._drop()
        except Exception:  # noqa: BLE001
            # A damaged row must not end the one thread that takes scans in.
            _LOG.exception("tidying failed; it is tried again")
            self._drop()

    def _drop(self) -> None:
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        try:
            connection.close()
        except sqlite3.Error:
            return


def _in_savepoint(connection: sqlite3.Connection, work: Work) -> tuple[Any, Exception | None]:
    connection.execute("SAVEPOINT one")
    try:
        result = work(connection)
    except Exception as failure:  # whatever it is belongs to whoever asked; the others' work goes on
        if not connection.in_transaction or is_of_the_file(failure):
            raise
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return None, failure
    connection.execute("RELEASE one")
    return result, None
