"""`link.json`: what the pages show of the way to the hub, replaced whole whenever it changes (docs/architecture.md)."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from edge.model.finding import Finding
from edge.sync.session import Link

FILE: Final = "link.json"
_MAX_BYTES: Final = 64 << 10
_EVERY_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class LinkState:
    """The content of the file.

    Attributes:
        link: Whether the hub is there.
        since_ms: Since when it is so, Unix milliseconds.
        backlog: Entries that no receipt covers.
        last_push_ms: When the newest receipt came, or None.
        last_refresh_ms: When trust was last found up to date, or None.
        findings: What a person should know about it.
        clock_ahead_ms: How far the gate's clock is ahead of the hub's, milliseconds, or None.
        clock_unsure_ms: How much that may be off: half the round trip.
    """

    link: Link
    since_ms: int
    backlog: int = 0
    last_push_ms: int | None = None
    last_refresh_ms: int | None = None
    findings: tuple[Finding, ...] = ()
    clock_ahead_ms: int | None = None
    clock_unsure_ms: int | None = None


class LinkFile:
    """The file, as its one writer sees it: the sync part.

    Args:
        state: The gate's state folder.
        now_ms: The time, Unix milliseconds.
    """

    def __init__(self, state: Path, now_ms: int) -> None:
        self._path = state / FILE
        self.shown = read_link(state) or LinkState(Link.NEVER, now_ms)
        """What is shown, or was before this start."""
        self._written: LinkState | None = None
        self._written_at = float("-inf")

    def show(self, state: LinkState, now: float) -> None:
        """Show `state`; where the link is as before, it is so since before. Numbers alone wait a fifth of a second.

        Args:
            state: The content; its `since_ms` counts where the link is another one.
            now: Seconds of the steady clock.

        Raises:
            OSError: The disk is full or read-only; the old file stands.
        """
        if state.link is self.shown.link:
            state = replace(state, since_ms=self.shown.since_ms)
        self.shown = state
        before = self._written
        if state == before:
            return
        is_urgent = before is None or before.link is not state.link or before.findings != state.findings
        if is_urgent or now - self._written_at >= _EVERY_S:
            self._replace(_encoded(state))
            self._written, self._written_at = state, now

    def refreshed(self, now_ms: int) -> None:
        """Note that trust was found up to date; shown with the next `show` that carries it on."""
        self.shown = replace(self.shown, last_refresh_ms=now_ms)

    def _replace(self, content: bytes) -> None:
        staged = self._path.with_name(f".{FILE}.new")
        # Not synced: it says nothing worth a flush of the card, and is written anew at every start.
        with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644), "wb") as file:
            file.write(content)
        staged.replace(self._path)


def read_link(state: Path) -> LinkState | None:
    """Return what `link.json` says, without its findings, or None where there is none or it cannot be read."""
    try:
        with (state / FILE).open("rb") as file:
            content = json.loads(file.read(_MAX_BYTES))
        return LinkState(
            Link(content["link"]),
            int(content["since_ms"]),
            int(content["backlog"]),
            _number(content["last_push_ms"]),
            _number(content["last_refresh_ms"]),
            clock_ahead_ms=_number(content.get("clock_ahead_ms")),
            clock_unsure_ms=_number(content.get("clock_unsure_ms")),
        )
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        # A power cut may leave it empty: it holds nothing that is not found out again.
        return None


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _encoded(state: LinkState) -> bytes:
    findings = [
        {"code": found.code, "severity": str(found.severity), "params": found.params} for found in state.findings
    ]
    document = {
        "link": str(state.link),
        "since_ms": state.since_ms,
        "backlog": state.backlog,
        "last_push_ms": state.last_push_ms,
        "last_refresh_ms": state.last_refresh_ms,
        "clock_ahead_ms": state.clock_ahead_ms,
        "clock_unsure_ms": state.clock_unsure_ms,
        "findings": findings,
    }
    return json.dumps(document, ensure_ascii=False).encode()
