"""When trust is refreshed, and what the sync part needs to know of it. How it is verified is left to `edge.trust`."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edge.errors import EdgeError, TransportError, TrustError, TrustMissing, TrustRefused
from edge.trust.fetchers import HttpFetcher
from edge.trust.store import TrustStore

UNREACHABLE_CAP_S: Final = 30.0
REFUSED_CAP_S: Final = 300.0
_MOST_DOUBLINGS: Final = 10


@dataclass(frozen=True, slots=True)
class Believed:
    """What of the trust in force concerns sync.

    Attributes:
        digest: Digest of the snapshot, empty where there is none.
        versions: Version of the timestamp and of the policy.
        issued_at: Signed issue time, Unix seconds, 0 where there is none.
        hub_keys: Receipt keys by key id (hex).
    """

    digest: bytes = b""
    versions: tuple[int, int] = (0, 0)
    issued_at: int = 0
    hub_keys: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class View:
    """What was read of the trust store, and when it has to be read again.

    Attributes:
        generation: The store's number for it, -1 before the first look.
        believed: What it says.
    """

    generation: int = -1
    believed: Believed = field(default_factory=Believed)


def look(folder: Path, before: View) -> View:
    """Return what the store in `folder` says now, read again only where it changed.

    What was believed stays where the store cannot be read: the scanner part tells people so. Blocks for as long as
    verifying it takes.
    """
    store = TrustStore(folder)
    try:
        generation = store.generation()
        if generation == before.generation:
            return before
        snapshot = store.load()
    except TrustMissing:
        return View()
    except TrustError:
        return before
    found = Believed(
        snapshot.digest,
        (snapshot.versions.timestamp, snapshot.policy.version),
        snapshot.issued_at,
        MappingProxyType(dict(snapshot.hub_keys)),
    )
    return View(generation, found)


def refresh(folder: Path, url: str, timeout_s: float, now: int) -> EdgeError | None:
    """Refresh the store in `folder`; return what went wrong, or None. What was in force stays where anything does."""
    try:
        with closing(HttpFetcher(url, timeout_s)) as fetcher:
            TrustStore(folder).refresh(fetcher, now)
    except EdgeError as error:
        return error
    return None


class Schedule:
    """When to refresh: times and results, nothing else.

    Args:
        every_s: Seconds between refreshes while the mirror answers.
        random: Uniform numbers in [0, 1).
    """

    def __init__(self, every_s: float, random: Callable[[], float]) -> None:
        self._every_s = every_s
        self._random = random
        self._due_at = float("-inf")
        self._failures = 0

    def is_due(self, now: float) -> bool:
        """Whether to refresh at `now`."""
        return now >= self._due_at

    def on_result(self, now: float, error: EdgeError | None) -> None:
        """A refresh ended."""
        if error is None:
            self._failures = 0
            # Never in step with the other gates of the city.
            self._due_at = now + self._every_s * (0.9 + 0.1 * self._random())
            return
        self._failures += 1
        cap_s = UNREACHABLE_CAP_S if isinstance(error, TransportError) else REFUSED_CAP_S
        most = min(cap_s, 2.0 ** min(self._failures, _MOST_DOUBLINGS), self._every_s)
        self._due_at = now + max(1.0, most * self._random())

    def on_link_returned(self, now: float) -> None:
        """The hub is there again: so is the mirror, probably."""
        self._failures = 0
        self._due_at = now


def is_refusal(error: EdgeError | None) -> bool:
    """Whether somebody offered trust that does not verify, which people should hear of."""
    return isinstance(error, TrustRefused)
