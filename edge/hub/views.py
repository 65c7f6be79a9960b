"""A table of an export, read beside the batches it was made of: does every row say what the gate signed?

A table is compared batch by batch; the first row that differs is named, and the rest of that file is not looked at: a
row that is missing makes all behind it differ.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from edge.errors import ConfigError, LibraryMissing
from edge.hub import tabular
from edge.hub.forms import FORMS
from edge.hub.pull import Page

_MAX_LINE: Final = 64 * 1024

Place = tuple[str, str]
"""Where in the file, and what does not hold."""


class View(Protocol):
    """A table that is read in step with the batches."""

    path: Path
    unchecked: str
    """Why its rows cannot be compared here; empty where they can."""

    def compare(self, page: Page | None, count: int) -> Place | None:
        """Compare the next rows with those of a batch; pass over `count` where the batch is not known."""

    def rest(self) -> Place | None:
        """Return what stands behind the last batch's rows, None where nothing does."""

    def close(self) -> None:
        """Let go of the file."""


def opened_view(path: Path) -> View:
    """Return the table in a file, by its name.

    Raises:
        OSError: It cannot be read.
    """
    return ParquetView(path) if path.suffix == ".parquet" else LineView(path)


class LineView:
    """A table of lines.

    Args:
        path: The file; its name says the form.

    Raises:
        OSError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unchecked = ""
        self._form = FORMS[path.suffix.removeprefix(".")]
        self._file = path.open("rb")
        self._line = 0
        self._is_over = False

    def compare(self, page: Page | None, count: int) -> Place | None:
        """See `View`."""
        if self._is_over:
            return None
        if not self._line and self._form.header:
            self._line = 1
            if self._file.readline(_MAX_LINE) != self._form.header:
                return self._ended("is not the header of this form")
        if page is None:
            for _ in range(count):
                self._file.readline(_MAX_LINE)
            self._line += count
            return None
        wanted = b"".join(self._form.render(page))
        found = self._file.read(len(wanted))
        if found == wanted:
            self._line += len(page.rows)
            return None
        pairs = zip(wanted.splitlines(keepends=True), [*found.splitlines(keepends=True), b""], strict=False)
        self._line += next(number for number, (one, other) in enumerate(pairs, 1) if one != other)
        return self._ended("is not what the gate signed" if found else "is missing, and what follows it")

    def rest(self) -> Place | None:
        """See `View`."""
        if self._is_over or not self._file.read(1):
            return None
        self._line += 1
        return self._ended("is in no batch")

    def close(self) -> None:
        """See `View`."""
        self._file.close()

    def _ended(self, what: str) -> Place:
        self._is_over = True
        return f"line {self._line}", what


class ParquetView:
    """A table in Parquet.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unchecked = ""
        self._rows: Iterator[dict[str, Any]] = tabular.from_parquet(path)
        self._row = 0
        self._is_over = False

    def compare(self, page: Page | None, count: int) -> Place | None:
        """See `View`."""
        wanted = [None] * count if page is None else list(map(json.loads, page.objects(page.rows)))
        for scan in wanted:
            fault = None if self._is_over else self._next(scan, is_known=page is not None)
            if fault:
                return fault
        return None

    def rest(self) -> Place | None:
        """See `View`."""
        return None if self._is_over else self._next(None, is_known=True)

    def close(self) -> None:
        """See `View`."""
        self._rows = iter(())

    def _next(self, wanted: dict[str, Any] | None, *, is_known: bool) -> Place | None:
        self._row += 1
        try:
            found = next(self._rows, None)
        except LibraryMissing as missing:
            self._is_over = True
            self.unchecked = missing.message
            return None
        except ConfigError as bad:
            return self._ended(f"cannot be read: {bad.message}")
        if found == wanted or (not is_known and found is not None):
            return None
        if wanted is None and is_known:
            return self._ended("is in no batch")
        return self._ended("is missing" if found is None else "is not what the gate signed")

    def _ended(self, what: str) -> Place:
        self._is_over = True
        return f"row {self._row}", what
