"""What the demo shows in a terminal: a live table, or plain lines where there is no terminal.

Only what the demo itself knows about its invented people is printed; no code is.
"""

import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, Self

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

_COLOURS: Final = {"accept": "green", "refer": "yellow", "reject": "red"}
_SIGNS: Final = {"accept": "●", "refer": "▲", "reject": "■"}
_FEWEST_ROWS: Final = 4
_FRAME_LINES: Final = 5
_WIDE: Final = 112
"""Columns from which on the expected verdict is written out; below, its sign stands for it."""


_AGAIN: Final = "accept ok"


class Judged(StrEnum):
    """How an answer compares with what was expected."""

    WAITING = ""
    RIGHT = "ok"
    OPEN = "again"
    """The comparison with the log at the end decides."""
    WRONG = "WRONG"


@dataclass(slots=True)
class Row:
    """One presentation on the table.

    Attributes:
        number: Which one.
        at_ms: When it came, Unix milliseconds.
        person: Who.
        shows: What they show.
        expected: What must be recorded.
        recorded: What was, empty so far.
        took_ms: Frame taken to verdict recorded, or None.
        link: The gate's link when it was answered.
        backlog: Entries that waited then.
        is_repeat: It shows again what was shown before.
    """

    number: int
    at_ms: int
    person: str
    shows: str
    expected: str
    recorded: str = ""
    took_ms: float | None = None
    link: str = ""
    backlog: int = 0
    is_repeat: bool = False

    @property
    def judged(self) -> Judged:
        """What can be said of its answer without the gate's log."""
        if not self.recorded:
            return Judged.WAITING
        if self.recorded == self.expected:
            return Judged.RIGHT
        # The first green may have come too late to be shown, and was taken back: that stands in the log alone.
        is_open = self.is_repeat and self.recorded == _AGAIN
        return Judged.OPEN if is_open else Judged.WRONG


@dataclass(slots=True)
class Standing:
    """The line below the table.

    Attributes:
        link: The gate's link.
        backlog: Entries that wait.
        is_dead: Whether hub and authority are killed.
        counts: Verdicts so far by outcome.
        wrong: Verdicts that were not as expected.
    """

    link: str = "never"
    backlog: int = 0
    is_dead: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    wrong: int = 0

    def line(self) -> str:
        """Return it in words."""
        what = "hub and authority are DEAD (killed), the gate goes on" if self.is_dead else "hub and authority run"
        counted = ", ".join(f"{self.counts[outcome]} {outcome}" for outcome in _COLOURS)
        return f"{what}; link {self.link}, {self.backlog} to upload; {counted}; {self.wrong} wrong"


class Display(Protocol):
    """Where the demo's progress is shown.

    Promises: no method raises for any text; all are called from one thread.
    """

    def say(self, text: str) -> None:
        """Show a line that stays."""

    def row(self, row: Row) -> None:
        """Show a presentation that has come or has been answered; called again with the same row."""

    def standing(self, standing: Standing) -> None:
        """Show how things stand."""


class Lines:
    """Plain lines, for a log or a pipe.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._was_dead = False
        self._link = ""

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def row(self, row: Row) -> None:
        """Print an answered presentation."""
        if row.recorded:
            took = "" if row.took_ms is None else f"{row.took_ms:.0f} ms"
            not_so = {Judged.WRONG: f" (expected {row.expected})", Judged.OPEN: " (or its first green was taken back)"}
            shown = f"{_padded(row.shows, 46)} {row.recorded}{not_so.get(row.judged, '')}"
            self.say(
                f"{_clock(row.at_ms)} {row.judged:<5} {_padded(row.person, 8)}{shown}  {took} {row.link} {row.backlog}"
            )

    def standing(self, standing: Standing) -> None:
        """Print what changed: hub and authority, and the link."""
        if standing.is_dead != self._was_dead or standing.link != self._link:
            self._was_dead, self._link = standing.is_dead, standing.link
            self.say(f"-- {standing.line()}")


def _clock(at_ms: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at_ms / 1000))


def _padded(text: str, width: int) -> str:
    """Return a text filled up to a width in terminal cells; a Chinese character takes two."""
    return text + " " * max(0, width - cell_len(text))


class LiveTable:
    """A table that changes in place, as long as the terminal is high.

    Args:
        console: The terminal.
        head: Lines above it: where to look and what to type; printed once, so that they can be copied.
    """

    def __init__(self, console: Console, head: Sequence[str]) -> None:
        self._console = console
        self._head = head
        width, height = console.size
        taken = sum(-(-max(1, cell_len(line)) // width) for line in head) + _FRAME_LINES
        self._rows: deque[Row] = deque(maxlen=max(_FEWEST_ROWS, height - taken))
        self._standing = Standing()
        self._live = Live(console=console, refresh_per_second=6, get_renderable=self._render)

    def __enter__(self) -> Self:
        for line in self._head:
            self.say(line)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print a line above the table."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def row(self, row: Row) -> None:
        """Show a presentation."""
        if not self._rows or all(shown is not row for shown in self._rows):
            self._rows.append(row)

    def standing(self, standing: Standing) -> None:
        """Show how things stand."""
        self._standing = standing

    def _render(self) -> Group:
        style = "bold white on red" if self._standing.is_dead else "dim"
        return Group(self._table(), Text(self._standing.line(), style=style))

    def _table(self) -> Table:
        is_narrow = self._console.size.width < _WIDE
        table = Table(expand=True, pad_edge=False, header_style="dim underline", box=None, padding=(0, 1, 0, 0))
        for name in ("time", "person", "shows", "must" if is_narrow else "expected", "recorded"):
            table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=1 if name == "shows" else None)
        table.add_column("ms", justify="right", no_wrap=True)
        table.add_column("link", no_wrap=True)
        table.add_column("wait" if is_narrow else "backlog", justify="right", no_wrap=True)
        for row in self._rows:
            took = "" if row.took_ms is None else f"{row.took_ms:.0f}"
            expected, answered = _verdict(row.expected), _verdict(row.recorded)
            if row.judged is Judged.WRONG:
                answered.stylize("bold white on red")
                answered.append(" WRONG", style="bold white on red")
            elif row.judged is Judged.OPEN:
                answered.append(" again", style="dim")
            if is_narrow:
                expected = expected[:1]
            backlog = str(row.backlog) if row.recorded else ""
            table.add_row(_clock(row.at_ms), row.person, row.shows, expected, answered, took, row.link, backlog)
        return table


def _verdict(text: str) -> Text:
    outcome, _, reason = text.partition(" ")
    if outcome not in _COLOURS:
        return Text(text or "…", style="dim")
    shown = outcome if reason == "ok" else reason
    return Text(f"{_SIGNS[outcome]} {shown}", style=_COLOURS[outcome])
