"""An authority as a folder: keys, sources, ledger and publication, made once and then edited.

    keys/          private keys, mode 0600 in a folder of 0700
    sources/       what is edited, of the same form and path as it is published
    publication/   what is published: plain files for any web server, mirror or stick
    ledger.db      issued indices and their status; nothing about persons
    lists/         what large lists are made of, by hash

What can be done with it stands in `issuers`, `publish`, `issue` and `revocation`.
"""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from edge.authority.keys import KeyFolder
from edge.authority.ledger import Ledger
from edge.authority.repository import ONLINE, ROOT_KEYS, Repository
from edge.authority.sources import Sources
from edge.errors import PublicationError
from edge.trust import paths
from edge.trust.fields import SCHEMA, iso

AUDITOR_KEY: Final = "auditor"
PURPOSE: Final = MappingProxyType({"zh": "卫生检疫查验", "en": "Health checkpoint screening"})
_DAY: Final = 86400
_LOCK: Final = ".lock"
_LEDGER: Final = "ledger.db"


class Authority:
    """An authority's folder, whole or about to be made.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = KeyFolder(folder / "keys")
        self.sources = Sources(folder / "sources")
        self.ledger = Ledger(folder / _LEDGER)
        self.repository = Repository(folder / "publication", self.keys)

    @property
    def publication(self) -> Path:
        """The folder to serve, mirror or copy to a stick."""
        return self.folder / "publication"

    @classmethod
    def open(cls, folder: Path) -> "Authority":
        """Return the authority in `folder`.

        Raises:
            PublicationError: There is none.
        """
        if not (folder / _LEDGER).is_file():
            raise PublicationError(f"{folder} holds no authority.", f"Make one: edge authority init {folder}")
        return cls(folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the authority against a second writer.

        Raises:
            PublicationError: Somebody else holds it, or the folder cannot be written.
        """
        try:
            lock = (self.folder / _LOCK).open("wb")
        except OSError as error:
            raise PublicationError(
                f"{self.folder} cannot be written: {error.strerror}.", "Run as the authority's user."
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PublicationError(
                    f"Another command is at work in {self.folder}.", "Try again in a moment."
                ) from error
            yield


def init(folder: Path, now: int, *, purpose: Mapping[str, str] = PURPOSE) -> Authority:
    """Make an authority: root, role and auditor keys, default policy, regions, and an empty matrix.

    Args:
        folder: An empty or missing folder.
        now: Unix seconds.
        purpose: Why gates check at all, `zh` and `en`.

    Raises:
        PublicationError: The folder holds something already, or cannot be written.
    """
    authority = Authority(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_filled(folder)
        with authority.locked():
            # Once more: of two who begin at once, the second must not put its keys among the first's.
            _refuse_filled(folder)
            _fill(authority, now, purpose)
    except OSError as error:
        raise PublicationError(f"{folder} cannot be written: {error.strerror}.", "Check permissions.") from error
    return authority


def _refuse_filled(folder: Path) -> None:
    if any(path.name != _LOCK for path in folder.iterdir()):
        raise PublicationError(
            f"{folder} is not empty; an authority's keys are never overwritten.", "Name a new folder."
        )


def _fill(authority: Authority, now: int, purpose: Mapping[str, str]) -> None:
    auditor = PrivateKey.generate()
    for name in (*ROOT_KEYS, *ONLINE):
        authority.keys.keep(name, SigningKey.generate())
    authority.keys.keep(AUDITOR_KEY, auditor)
    _make_sources(authority.sources, bytes(auditor.public_key), default_policy(now, purpose))
    authority.repository.first_root(now)
    # Last: a folder without a ledger is no authority, so one that was cut off is not mistaken for whole.
    authority.ledger.create()


def _make_sources(sources: Sources, auditor: bytes, policy: Mapping[str, Any]) -> None:
    regions = files("edge.authority").joinpath("regions.json").read_text(encoding="utf-8")
    sources.write(paths.POLICY, policy)
    sources.write(paths.REGIONS, json.loads(regions))
    sources.write(paths.AUDITOR, {"schema": SCHEMA, "public": auditor.hex()})
    for path, rows in (
        (paths.MATRIX, "rows"),
        (paths.ISSUERS, "issuers"),
        (paths.VENUES, "venues"),
        (paths.HUBS, "hubs"),
    ):
        sources.write(path, {"schema": SCHEMA, rows: []})


def default_policy(now: int, purpose: Mapping[str, str] = PURPOSE) -> dict[str, Any]:
    """Return the policy a new authority begins with; it ends after a year unless somebody extends it.

    Args:
        now: Unix seconds.
        purpose: Why gates check at all, `zh` and `en`.
    """
    return {
        "schema": SCHEMA,
        "version": 1,
        "purpose": dict(purpose),
        "ends_at": iso(now + 365 * _DAY),
        "formats": ["hp1"],
        "kinds": ["person", "travel", "visitor"],
        "repeat_window_s": 300,
        "short_lived_s": _DAY,
        "stale_after_s": _DAY,
        "too_old_after_s": 30 * _DAY,
        "retention_s": 30 * _DAY,
        "travel_days": 14,
        "listed_areas": [],
    }
