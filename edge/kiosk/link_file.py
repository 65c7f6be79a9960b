"""What the sync part says of the link, read from `link.json`: missing, torn or foreign files are an unknown link."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAX_BYTES = 64 * 1024
_LINKS = frozenset({"online", "offline", "never"})


@dataclass(frozen=True, slots=True)
class Link:
    """The link as the sync part last wrote it.

    Attributes:
        state: `online`, `offline`, `never`, or `unknown` where the file said nothing.
        since_ms: Since when it is so, Unix milliseconds, 0 where unknown.
        backlog: Entries that wait for upload, None where unknown.
        findings: What the sync part found, as it wrote them.
    """

    state: str = "unknown"
    since_ms: int = 0
    backlog: int | None = None
    findings: tuple[object, ...] = ()


class LinkFile:
    """Reads `link.json` again only when it has changed.

    Args:
        path: Where the file lies; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._link = Link()

    def read(self) -> Link:
        """Return the link. A file that is torn keeps nothing of the one before: an old `online` is no answer."""
        try:
            stat = self._path.stat()
            stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                with self._path.open("rb") as file:
                    self._link = parse_link(file.read(_MAX_BYTES + 1))
                self._stamp = stamp
        except OSError:
            self._stamp, self._link = None, Link()
        return self._link


def parse_link(raw: bytes) -> Link:
    """Turn the bytes of `link.json` into a link; anything that is not one is unknown."""
    if len(raw) > _MAX_BYTES:
        return Link()
    try:
        value: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return Link()
    if not isinstance(value, dict):
        return Link()
    state, findings = value.get("link"), value.get("findings")
    return Link(
        state=state if isinstance(state, str) and state in _LINKS else "unknown",
        since_ms=_count(value.get("since_ms")) or 0,
        backlog=_count(value.get("backlog")),
        findings=tuple(findings[:32]) if isinstance(findings, list) else (),
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 53 else None
