"""A publication onto a USB stick: the same tree as over HTTP, whole or recognisably torn.

Targets go first and the timestamp last, each file synced: a stick that is pulled out too early either carries what it
carried before, or is refused at the gate for a file that is missing. Taking trust from a stick is a refresh like any
other (`edge.trust.fetchers.FolderFetcher`): a stick changes no rule.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from edge.disk import durable
from edge.errors import AnswerRefused, TransportError, TrustError
from edge.trust import workflow
from edge.trust.fetchers import Fetcher
from edge.trust.publication import StorePublication, root_path
from edge.trust.store import TrustStore
from edge.trust.workflow import LIMITS

Tell = Callable[[int, int], None]
"""Called as files go by: how many so far, how many bytes."""

_ELSE: Final = "Use another stick, or make room on it; the command goes on where it stopped."
_HEX_CHARS: Final = 64


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export did.

    Attributes:
        files: Files of the publication.
        size: Their bytes together.
        written: Files that had to be written; the others were there already.
    """

    files: int
    size: int
    written: int


class Told:
    """A fetcher that tells how far it has come.

    Args:
        inner: Fetches.
        tell: Is told.
    """

    def __init__(self, inner: Fetcher, tell: Tell) -> None:
        self._inner = inner
        self._tell = tell
        self._files = self._size = 0

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Return one file; see `Fetcher`.

        Raises:
            TransportError: The far side failed.
        """
        data = self._inner.fetch(path, max_bytes)
        self._files += 1
        self._size += len(data)
        self._tell(self._files, self._size)
        return data


def gathered(source: Fetcher, scratch: Path, now: int) -> StorePublication:
    """Return a publication after verifying it as a new gate would, from its first root on.

    Args:
        source: Holds it.
        scratch: An empty folder to gather it in.
        now: The system clock, Unix seconds.

    Raises:
        TrustRefused: It does not verify or has expired.
        TransportError: It cannot be read.
        TrustError: The folder cannot be written.
    """
    store = TrustStore.init(scratch, _first_root(source))
    store.refresh(source, now)
    return store.publication()


def _first_root(source: Fetcher) -> bytes:
    # A stick that a gate wrote may begin with a later root.
    error: TransportError | None = None
    for version in range(1, LIMITS.rotations + 1):
        try:
            return source.fetch(root_path(version), LIMITS.root)
        except AnswerRefused as refused:
            error = error or refused
    raise error or AnswerRefused("There is no root in the publication.", _ELSE)


def export(publication: StorePublication, into: Path, *, now: int, tell: Tell) -> Exported:
    """Write a publication to a folder.

    Args:
        publication: Verified.
        into: The folder, on a stick; made where it is missing.
        now: The system clock, Unix seconds.
        tell: Told as files are written.

    Raises:
        TrustExpired: No gate would take it any more.
        TrustDamaged: A file of the source is cut short or altered.
        TrustError: The stick cannot be written; what is on it already is not written again.
    """
    workflow.check_freeze(publication.timestamp, now)
    files = size = written = 0
    for path in publication.addresses():
        place = into / unquote(path)
        try:
            length, is_new = _put(place, into, lambda path=path: publication.fetch(path, 1 << 30))  # type: ignore[misc]
        except OSError as error:
            raise TrustError(f"{into} cannot be written: {error.strerror}.", _ELSE) from error
        files, size, written = files + 1, size + length, written + is_new
        tell(files, size)
    return Exported(files, size, written)


def _put(place: Path, into: Path, read: Callable[[], bytes]) -> tuple[int, bool]:
    place.parent.mkdir(parents=True, exist_ok=True)
    # A link on the stick must not lead a command of this machine's owner elsewhere.
    if not place.parent.resolve().is_relative_to(into.resolve()):
        raise TrustError(f"{place.parent} leads out of {into}.", "Use a freshly formatted stick.")
    size = _whole(place)
    if size is not None:
        return size, False
    data = read()
    if not place.is_symlink() and place.is_file() and place.read_bytes() == data:
        return len(data), False
    # FAT knows no permissions.
    durable.write(place, data, mode=None)
    return len(data), True


def _whole(place: Path) -> int | None:
    """Return the size of a target that is there already: its name begins with its hash."""
    digest, dot, _ = place.name.partition(".")
    if len(digest) != _HEX_CHARS or not dot or place.is_symlink() or not place.is_file():
        return None
    found, size = sha256(), 0
    with place.open("rb") as file:
        while chunk := file.read(1 << 20):
            found.update(chunk)
            size += len(chunk)
    return size if found.hexdigest() == digest else None
