"""When trust is refreshed, and what the sync part needs to know of it. How it is verified is left to `edge.trust`."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

from edge.errors import (
    EdgeError,
    TransportError,
    TrustError,
    TrustExpired,
    TrustMissing,
    TrustOlder,
    TrustRefused,
    Unreachable,
)
from edge.model.finding import Finding
from edge.trust.fetchers import FolderFetcher, HttpFetcher, Way
from edge.trust.opening import TIMESTAMP, publication_of
from edge.trust.store import TrustStore
from edge.trust.workflow import LIMITS

UNREACHABLE_CAP_S: Final = 30.0
REFUSED_CAP_S: Final = 300.0
_MOST_DOUBLINGS: Final = 10


@dataclass(frozen=True, slots=True)
class Believed:
    """What of the trust in force concerns sync.

    Attributes:
        digest: Digest of the snapshot, empty where there is none.
        versions: Version of the timestamp and of the policy.
        following: Version of the policy that follows and from when it holds, Unix seconds; (0, 0) where none does.
        issued_at: Signed issue time, Unix seconds, 0 where there is none.
        newest_expiry: Latest expiry of what was signed, Unix seconds, 0 where there is none.
        hub_keys: Receipt keys by key id (hex).
    """

    digest: bytes = b""
    versions: tuple[int, int] = (0, 0)
    issued_at: int = 0
    newest_expiry: int = 0
    hub_keys: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    following: tuple[int, int] = (0, 0)

    def versions_at(self, now: int) -> tuple[int, int]:
        """Return the version of the timestamp and of the policy in force at `now`, Unix seconds."""
        version, effective_at = self.following
        return (self.versions[0], version) if version and now >= effective_at else self.versions

    def refresh_at(self, now: int) -> int:
        """Return the time to judge an update by: a clock past everything signed is doubted (ADR 23).

        Else a gate whose clock is years ahead would call every fresh update expired, and never be told otherwise. What
        it takes then is still newer than all it had: the floors see to that.

        Args:
            now: The system clock, Unix seconds.
        """
        return self.issued_at if self.newest_expiry and now > self.newest_expiry else now


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
    next_ = snapshot.policy.following
    found = Believed(
        snapshot.digest,
        (snapshot.versions.timestamp, snapshot.policy.version),
        snapshot.issued_at,
        snapshot.newest_expiry,
        MappingProxyType(dict(snapshot.hub_keys)),
        (0, 0) if next_ is None else (next_.version, next_.effective_at),
    )
    return View(generation, found)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a refresh ended.

    Attributes:
        error: What went wrong, or None.
        withheld: Delegated roles that came expired: their issuers are not in the view in force.
        outlived: Delegated roles that have run out since they were verified, and still count for a while.
        is_stick: Whether a stick was read, and not a mirror.
    """

    error: EdgeError | None = None
    withheld: frozenset[str] = frozenset()
    outlived: frozenset[str] = frozenset()
    is_stick: bool = False


def refresh(folder: Path, url: str, way: Way, now: int) -> Outcome:
    """Refresh the store in `folder`; what was in force stays where anything goes wrong. Blocks."""
    try:
        with closing(HttpFetcher(url, way)) as fetcher:
            result = TrustStore(folder).refresh(fetcher, now)
            return Outcome(withheld=result.withheld, outlived=result.outlived)
    except EdgeError as error:
        return Outcome(error)


@dataclass(frozen=True, slots=True)
class Stick:
    """What was last seen of the update stick.

    Attributes:
        timestamp: Its timestamp file, empty while no stick with a publication is there.
        outcome: How taking trust from it ended.
    """

    timestamp: bytes = b""
    outcome: Outcome = field(default_factory=Outcome)


def try_stick(folder: Path, mount: Path, before: Stick, now: int) -> Stick:
    """Take trust from the stick mounted at `mount`, once for each publication that is put in. Blocks."""
    publication = publication_of(mount)
    if publication is None:
        return Stick()
    fetcher, timestamp = FolderFetcher(publication), b""
    try:
        timestamp = fetcher.fetch(TIMESTAMP, LIMITS.timestamp)
        if timestamp == before.timestamp:
            return before
        result = TrustStore(folder).refresh(fetcher, now)
        return Stick(timestamp, Outcome(withheld=result.withheld, outlived=result.outlived, is_stick=True))
    except TransportError as error:
        # Being copied to, or failing: looked at again, and said meanwhile.
        return Stick(b"", Outcome(error, is_stick=True))
    except EdgeError as error:
        return Stick(timestamp, Outcome(error, is_stick=True))


def findings(outcome: Outcome, *, is_online: bool) -> list[Finding]:
    """Return what people should hear of how a refresh ended.

    Args:
        outcome: How it ended.
        is_online: Whether the hub answers: without it a login page is a likelier cause than a tampered mirror, and with
            it an old stick that was left in place concerns nobody.
    """
    found = []
    if outcome.withheld:
        found.append(Finding("trust.withheld", params={"roles": ", ".join(sorted(outcome.withheld))}))
    if outcome.outlived:
        found.append(Finding("trust.outlived", params={"roles": ", ".join(sorted(outcome.outlived))}))
    if outcome.error is None:
        return found
    code = _code(outcome)
    if code and _is_said(code, outcome, is_online=is_online):
        found.append(Finding(code, params={"message": str(outcome.error)}))
    return found


def _is_said(code: str, outcome: Outcome, *, is_online: bool) -> bool:
    if code == _OLD_STICK:
        return not is_online
    return is_online or outcome.is_stick or code == _UNKEPT


_UNKEPT: Final = "trust.unkept"
_OLD_STICK: Final = "trust.stick_old"


def _code(outcome: Outcome) -> str:
    error = outcome.error
    if isinstance(error, TrustOlder) and outcome.is_stick:
        return _OLD_STICK
    if isinstance(error, TrustExpired):
        return "trust.expired"
    if isinstance(error, TrustRefused):
        return "trust.refused"
    if isinstance(error, TransportError):
        # Nobody there is what the link already says.
        mirror = "" if isinstance(error, Unreachable) else "trust.mirror"
        return "trust.stick" if outcome.is_stick else mirror
    # A full disk, a busy store, a damaged floor: this machine's own trouble.
    return _UNKEPT


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
