"""One target of any TUF repository into a folder: the whole client workflow, for tools and the conformance suite.

A gate does not use it: what a gate needs is its view (`edge.trust.refresh`).
"""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.disk import durable
from edge.errors import AnswerRefused, TrustError, TrustMissing, TrustRefused
from edge.trust.delegations import search
from edge.trust.fetchers import Fetcher
from edge.trust.floors import Floors
from edge.trust.records import Records
from edge.trust.update import Update

MAX_BYTES: Final = 256 << 20
_MAX_NAME: Final = 255
_ELSE: Final = "Nothing was kept of it. Check the address."


def refresh(records_: Records, fetcher: Fetcher, now: int) -> Floors:
    """Bring top-level metadata up to date; return the floors afterwards.

    Args:
        records_: What is kept between runs.
        fetcher: Where the update comes from.
        now: The system clock, Unix seconds.

    Raises:
        TrustRefused: What was offered does not verify, is expired or older.
        TransportError: The fetcher failed.
        TrustError: The records are missing, damaged or cannot be written.
    """
    update = Update(records_, fetcher, now)
    update.top()
    return update.floors


def download(path: str, into: Path, update: Update, fetcher: Fetcher) -> Path:
    """Fetch the target `path` into the folder `into`, unless it is there already; return the file.

    Args:
        path: The target path.
        into: A folder; the file is named for the whole path, percent-encoded, so that it cannot leave it.
        update: A fresh update; its metadata is brought up to date first.
        fetcher: Where the file comes from.

    Raises:
        TrustRefused: Metadata or file do not verify.
        TrustMissing: No role that may lists the target.
        TransportError: The fetcher failed.
        TrustError: Something cannot be written.
    """
    place = place_of(path, into)
    try:
        top = update.top()
        found = search(path, top.targets, update.delegated)
    finally:
        update.flush()
    if found is None:
        raise TrustMissing(f"The repository has no target {path}.", "Check its name.")
    if type(found.target.length) is not int or found.target.length > MAX_BYTES:
        raise TrustRefused(f"{path} is longer than {MAX_BYTES} bytes.", _ELSE)
    if not _is_there(place, found.target):
        is_prefixed = bool(top.root.signed.consistent_snapshot)
        put(place, _fetched(found.target, fetcher, is_prefixed=is_prefixed))
    return place


def place_of(path: str, into: Path) -> Path:
    """Return the file of the target `path` in the folder `into`: its whole path, percent-encoded.

    Raises:
        TrustRefused: The name cannot be that of a file.
    """
    name = quote(path, safe="")
    if name in {"", ".", ".."} or len(name) > _MAX_NAME:
        raise TrustRefused("A target of that name cannot be kept as a file.", "Check its name.")
    return into / name


def _is_there(place: Path, target: TargetFile) -> bool:
    try:
        with place.open("rb") as file:
            target.verify_length_and_hashes(file.read(target.length + 1))
    except (OSError, LengthOrHashMismatchError):
        return False
    return True


def _fetched(target: TargetFile, fetcher: Fetcher, *, is_prefixed: bool) -> bytes:
    # 5.7.3: any of the hashes in front of the file's name.
    name = target.get_prefixed_paths()[0] if is_prefixed else target.path
    try:
        data = fetcher.fetch(f"targets/{quote(name)}", target.length)
        target.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise TrustRefused(f"{target.path} is not the file that was signed for.", _ELSE) from error
    return data


def put(place: Path, data: bytes) -> None:
    """Write a verified target, whole or not at all.

    Raises:
        TrustError: The file system refuses.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        durable.write(place, data)
    except OSError as error:
        raise TrustError(f"{place} cannot be written: {error.strerror}.", "Check free space.") from error


class TwoAddresses:
    """A repository whose metadata and targets have an address each.

    Args:
        metadata: Holds the metadata.
        targets: Holds the targets, or None where none are asked for.
    """

    def __init__(self, metadata: Fetcher, targets: Fetcher | None) -> None:
        self._parts = {"metadata": metadata, "targets": targets}

    def fetch(self, path: str, max_bytes: int) -> bytes:
        """Return one file; see `Fetcher`.

        Raises:
            TransportError: The far side failed.
        """
        part, _, rest = path.partition("/")
        fetcher = self._parts.get(part)
        if fetcher is None:
            raise AnswerRefused(f"No address was given for {part}.", "Name it.", status=404)
        return fetcher.fetch(rest, max_bytes)
