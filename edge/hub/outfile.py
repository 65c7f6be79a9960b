"""Where a pull puts what it fetched: a file that survives a crash in any byte, or a folder of Parquet files.

The file or folder itself is the cursor: the same pull again goes on where it ends.
"""

import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from edge.disk import durable
from edge.errors import ConfigError
from edge.hub import tabular
from edge.hub.client import MAX_LINE, Fetched
from edge.hub.forms import FORMS

PART: Final = 500_000
"""Scans a Parquet file of a pull holds at most, roughly."""


class OutFile:
    """A file of lines that is only ever appended to, whole pages at a time, each on the disk before the next.

    Args:
        path: The file; made where it is missing. A last line that broke off is cut away.
        form: One of `edge.hub.forms.FORMS` that has lines.

    Raises:
        ConfigError: It cannot be written, is in use by another pull, or is no file of scans.
    """

    def __init__(self, path: Path, form: str = "ndjson") -> None:
        self.path = path
        self._form = FORMS[form]
        try:
            self._file: IO[bytes] = path.open("a+b")
        except OSError as failed:
            raise ConfigError(f"{path} cannot be written: {failed.strerror}.", "Choose another --out.") from failed
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.last = self._recover()
        except OSError as failed:
            self._file.close()
            raise ConfigError(f"{path} is in use by another pull.", "Let it end, or choose another --out.") from failed
        except ValueError as bad:
            self._file.close()
            raise ConfigError(f"{path} holds something other than scans.", "Choose another --out.") from bad

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def take(self, page: Fetched) -> None:
        """Append the page's lines and wait until they are on the disk.

        Raises:
            ConfigError: The disk is full or failing; what was written before stays whole.
        """
        try:
            if not self._file.seek(0, os.SEEK_END):
                self._file.write(self._form.header)
            self._file.write(b"".join(page.lines))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as failed:
            raise ConfigError(
                f"{self.path} cannot be written: {failed.strerror}.", "Make room and start the same command again."
            ) from failed

    def _recover(self) -> int:
        """Cut away a line that broke off and return the last whole one's cursor, 0 for an empty file."""
        size = self._file.seek(0, os.SEEK_END)
        start = max(0, size - 2 * MAX_LINE)
        self._file.seek(start)
        tail = self._file.read()
        header = b"" if start else self._form.header
        if not tail.startswith(header[: len(tail)]):
            raise ValueError
        whole = tail.rfind(b"\n") + 1
        torn = tail[whole:]
        lines = tail[len(header) : whole].splitlines()
        last = self._number(lines[-1]) if lines else 0
        if torn:
            # Somebody's other file is not ours to cut.
            if start and not whole:
                raise ValueError
            if whole >= len(header) and not self._form.is_torn(torn):
                raise ValueError
            self._file.truncate(start + whole)
        return last

    def _number(self, line: bytes) -> int:
        number = self._form.cursor_of(line)
        if not number:
            raise ValueError
        return number


class ParquetFolder:
    """A folder of Parquet files, each whole or not there, named by the hub sequence numbers it was made of.

    Args:
        path: The folder; made where it is missing.

    Raises:
        ConfigError: It cannot be written or is in use by another pull.
        LibraryMissing: DuckDB is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        tabular.check_library()
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._spool: IO[bytes] = (path / _SPOOL).open("w+b")
            fcntl.flock(self._spool, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as failed:
            raise ConfigError(f"{path} cannot be written: {failed.strerror}.", "Choose another --out.") from failed
        names = (_PART_NAME.fullmatch(file.name) for file in path.iterdir())
        self.last = max((int(found[2]) for found in names if found), default=0)
        self._cursor = self.last
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close_part()
        finally:
            self._spool.close()
            (self.path / _SPOOL).unlink(missing_ok=True)

    def take(self, page: Fetched) -> None:
        """Add a page; a file is closed when it is large enough, and at the end.

        Raises:
            ConfigError: The disk is full or failing; files that were closed stay whole.
        """
        try:
            self._spool.write(b"".join(page.lines))
        except OSError as failed:
            raise ConfigError(
                f"{self.path} cannot be written: {failed.strerror}.", "Make room and start the same command again."
            ) from failed
        self._rows += len(page.lines)
        self._cursor = page.cursor
        if self._rows >= PART:
            self._close_part()

    def _close_part(self) -> None:
        if not self._rows:
            return
        name = f"scans-{self.last + 1:015}-{self._cursor:015}.parquet"
        staged = self.path / f".{name}.staged"
        try:
            self._spool.flush()
            tabular.to_parquet(self.path / _SPOOL, staged)
            durable.sync(staged)
            staged.replace(self.path / name)
            durable.sync_folder(self.path)
            self._spool.seek(0)
            self._spool.truncate()
        except OSError as failed:
            raise ConfigError(
                f"{self.path} cannot be written: {failed.strerror}.", "Make room and start the same command again."
            ) from failed
        finally:
            staged.unlink(missing_ok=True)
        self.last, self._rows = self._cursor, 0


_SPOOL: Final = ".spool.ndjson"
_PART_NAME: Final = re.compile(r"scans-([0-9]{15})-([0-9]{15})\.parquet", re.ASCII)


class Progress:
    """How far a pull has come.

    Args:
        sink: Takes each page; what it took is not fetched again.
        say: Called after each page with scans and cursor so far, and the end of the ledger.
        after: Cursor to begin behind.
    """

    def __init__(self, sink: Callable[[Fetched], None], say: Callable[[int, int, int], None], after: int) -> None:
        self._sink = sink
        self._say = say
        self.cursor = after
        self.lines = 0

    def take(self, page: Fetched) -> None:
        """Hand a page on and move the cursor behind it."""
        if page.lines:
            self._sink(page)
        self.cursor = page.cursor
        self.lines += len(page.lines)
        self._say(self.lines, self.cursor, page.top)
