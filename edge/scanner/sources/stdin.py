"""Codes on standard input, `stdin:-`: one a line, or with `stdin:-?end=nul` one up to each NUL byte.

For trials and for programs that read codes by other means. A line holds a code's bytes as they are; nothing is decoded.
"""

import os
import select
import sys
import time

from edge.errors import SourceError
from edge.model.settings import ScannerSettings
from edge.scanner.sources._codes import Codes, Rules
from edge.scanner.sources._options import split_options
from edge.scanner.sources.base import Frame

WAIT_S = 0.5
_READ = 4096
_ENDS = {"line": b"\n", "nul": b"\0"}


class StandardInput:
    """Standard input, open.

    Args:
        file: Its file number; closing it is left to the process.
        rules: How codes are told apart.
        source: Number of the source.
    """

    is_live = False

    def __init__(self, file: int, rules: Rules, source: int) -> None:
        self._file = file
        self._codes = Codes(rules, source)
        self._is_over = False
        self.is_finished = False

    def read(self) -> Frame | None:
        """Return the next code, a heartbeat where none came within half a second, None after the last.

        Raises:
            SourceError: Standard input cannot be read.
        """
        if not self._codes.is_waiting and not self._is_over:
            self._take()
        self.is_finished = self._is_over and not self._codes.is_waiting
        return None if self.is_finished else self._codes.frame(time.monotonic_ns())

    def _take(self) -> None:
        try:
            if not select.select([self._file], [], [], WAIT_S)[0]:
                return
            data = os.read(self._file, _READ)
        except OSError as broken:
            raise _unreadable() from broken
        if data:
            self._codes.feed(data, time.monotonic_ns())
        else:
            self._is_over = True
            self._codes.end(time.monotonic_ns())

    def close(self) -> None:
        """Deliver nothing more; the file is the process's."""
        self._is_over = True


def _unreadable() -> SourceError:
    return SourceError("Standard input cannot be read.", "Give it a file or a pipe of codes.", cause="missing")


def open_source(target: str, source: int, _settings: ScannerSettings) -> StandardInput:
    """Open standard input.

    Raises:
        SourceError: There is none, or the target is not `-`.
    """
    name, options = split_options(target, {"end": tuple(_ENDS)})
    if name != "-":
        raise SourceError("Standard input has no name.", "Write `stdin:-` in gate.toml.", cause="missing")
    try:
        file = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError) as missing:
        raise _unreadable() from missing
    rules = Rules("stdin", _ENDS[options.get("end", "line")], is_text=False, is_paced=False)
    return StandardInput(file, rules, source)
