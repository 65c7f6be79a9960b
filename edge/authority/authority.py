"""An authority as a folder: keys, sources, ledger and publication, made once and then edited.

    keys/          private keys that are here, mode 0600 in a folder of 0700
    roles.json     who may sign what
    sources/       what is edited, of the same form and path as it is published
    publication/   what is published: plain files for any web server, mirror or stick
    pending/       a change on its way between desks: what is to be signed, and who has
    ledger.db      issued indices and their status; nothing about persons
    lists/         what large lists are made of, by hash

What can be done with it stands in `issuers`, `publish`, `issue` and `revocation`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources import files
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from nacl.public import PrivateKey
from nacl.signing import SigningKey

from edge.authority import roles as role_names
from edge.authority import signing
from edge.authority.draft import Cause, Draft, need_of_root, root_of
from edge.authority.keys import AUDITOR, KeyFolder
from edge.authority.ledger import Ledger
from edge.authority.pending import Pending
from edge.authority.repository import Repository
from edge.authority.roles import DELEGATED, NATIONAL_ISSUERS, ONLINE, ROOT, TOP_LEVEL, Holder, Role, Roles
from edge.authority.sealed import Seal
from edge.authority.sources import Sources
from edge.disk import durable, turn
from edge.errors import PublicationError
from edge.trust import paths
from edge.trust.fields import SCHEMA, iso

PURPOSE: Final = MappingProxyType({"zh": "卫生检疫查验", "en": "Health checkpoint screening"})
_DAY: Final = 86400
_LOCK: Final = ".lock"
_LEDGER: Final = "ledger.db"
_ROLES: Final = "roles.json"
_MOST_LOOKED_AT: Final = 100
_PROVINCE: Final = 10000
"""GB/T 2260: a province-level code ends in four zeros."""
SUNSET_S: Final = 365 * _DAY
"""How long policies may run under a new root, unless the root keys extend it."""


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
        self.pending = Pending(folder / "pending")
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
            raise PublicationError(f"{folder} holds no authority.", _elsewhere(folder))
        return cls(folder)

    @property
    def has_roles(self) -> bool:
        """Whether `roles.json` is there; an authority of the former version has none."""
        return (self.folder / _ROLES).exists()

    def roles(self) -> Roles:
        """Return who may sign what; of an authority of the former version, what its root says.

        Raises:
            PublicationError: `roles.json` cannot be read or is wrong, or the publication is damaged.
        """
        if not self.has_roles:
            return role_names.of_root(self.repository.published().root.signed)
        try:
            return role_names.decode((self.folder / _ROLES).read_bytes())
        except OSError as error:
            raise PublicationError(
                f"{self.folder / _ROLES} cannot be read: {error.strerror}.", "Restore it from a backup."
            ) from error

    def put_roles(self, roles: Roles) -> None:
        """Put other roles in place; gates follow with the next publication.

        Raises:
            PublicationError: They could not be published, or the file system refuses.
        """
        role_names.check(roles)
        try:
            durable.write(self.folder / _ROLES, role_names.encode(roles))
        except OSError as error:
            raise PublicationError(
                f"{self.folder / _ROLES} cannot be written: {error.strerror}.", "Make room, or check permissions."
            ) from error

    def new_role(self, name: str, seal: Seal | None = None) -> Role:
        """Make the keys of a new role, sealed unless a machine signs with them; return the role.

        Raises:
            PublicationError: There are such keys already.
            OSError: The file system refuses.
        """
        count, threshold = role_names.standard(name)
        names = role_names.key_names(name, count)
        return Role(name, threshold, tuple(self.new_key(key, None if name in ONLINE else seal) for key in names))

    def new_key(self, name: str, seal: Seal | None = None) -> Holder:
        """Make a key in `keys/` and return its public half.

        Raises:
            PublicationError: There is one of this name.
            OSError: The file system refuses.
        """
        key = SigningKey.generate()
        self.keys.keep(name, key, seal)
        return Holder(name, bytes(key.verify_key))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the authority against a second writer.

        Raises:
            PublicationError: Somebody else holds it, or the folder cannot be written.
        """
        try:
            lock = turn.take(self.folder / _LOCK)
        except BlockingIOError as error:
            raise PublicationError(f"Another command is at work in {self.folder}.", "Try again in a moment.") from error
        except OSError as error:
            raise PublicationError(
                f"{self.folder} cannot be written: {error.strerror}.", "Run as the authority's user."
            ) from error
        with lock:
            yield


def _elsewhere(folder: Path) -> str:
    """Return what to do where a folder holds no authority: name the one it lies in, or the one that lies in it."""
    whole = folder.absolute()
    near = [*whole.parents[:2]]
    with suppress(OSError):
        near += sorted(islice(whole.iterdir(), _MOST_LOOKED_AT))
    # One that cannot be looked at is none of those meant.
    with suppress(OSError):
        for other in near:
            if (other / _LEDGER).is_file() and (other / "sources").is_dir():
                return f"Name the authority's own folder: {other}"
    return f"Make one: edge authority init {folder}"


def init(
    folder: Path,
    now: int,
    *,
    purpose: Mapping[str, str] = PURPOSE,
    delegated: bool = DELEGATED,
    passphrase: bytes | None = None,
) -> Authority:
    """Make an authority: root, role and auditor keys, default policy, regions, and an empty matrix.

    Args:
        folder: An empty or missing folder.
        now: Unix seconds.
        purpose: Why gates check at all, `zh` and `en`.
        delegated: Whether each province signs for itself, with a role and keys of its own.
        passphrase: What seals the keys of people; None leaves them as they are, for demonstrations.

    Raises:
        PublicationError: The folder holds something already, or cannot be written, or the passphrase is too short.
    """
    seal = None if passphrase is None else Seal.new(passphrase)
    authority = Authority(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_filled(folder)
        with authority.locked():
            # Once more: of two who begin at once, the second must not put its keys among the first's.
            _refuse_filled(folder)
            _fill(authority, now, purpose, (*TOP_LEVEL, *(delegated_roles() if delegated else ())), seal)
    except OSError as error:
        raise PublicationError(
            f"{folder} cannot be written: {error.strerror}.", "Make room, or name a folder of yours."
        ) from error
    return authority


def _refuse_filled(folder: Path) -> None:
    if any(path.name != _LOCK for path in folder.iterdir()):
        raise PublicationError(
            f"{folder} is not empty; an authority's keys are never overwritten.", "Name a new folder."
        )


def _fill(
    authority: Authority, now: int, purpose: Mapping[str, str], names: tuple[str, ...], seal: Seal | None
) -> None:
    auditor = PrivateKey.generate()
    roles = Roles({name: authority.new_role(name, seal) for name in names}, now + SUNSET_S)
    authority.keys.keep(AUDITOR, auditor, seal)
    _make_sources(authority.sources, bytes(auditor.public_key), default_policy(now, purpose))
    authority.put_roles(roles)
    root = root_of(roles, 1, now)
    draft = Draft(ROOT, root, (need_of_root(root, ROOT),), Cause.CHANGED)
    authority.repository.first_root(signing.sign_here((draft,), authority.keys, None, {})[0])
    # Last: a folder without a ledger is no authority, so one that was cut off is not mistaken for whole.
    authority.ledger.create()


def delegated_roles() -> list[str]:
    """Return the roles a new authority delegates to: each province, and the national issuers."""
    codes = (row["code"] for row in _regions()["regions"])
    return [*(f"province-{code // _PROVINCE}" for code in codes if code % _PROVINCE == 0), NATIONAL_ISSUERS]


def _regions() -> Any:
    return json.loads(files("edge.authority").joinpath("regions.json").read_text(encoding="utf-8"))


def _make_sources(sources: Sources, auditor: bytes, policy: Mapping[str, Any]) -> None:
    sources.write(paths.POLICY, policy)
    sources.write(paths.REGIONS, _regions())
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
        "formats": ["hp1", "hl1"],
        "kinds": ["person", "travel", "visitor"],
        "repeat_window_s": 300,
        "short_lived_s": _DAY,
        "stale_after_s": _DAY,
        "too_old_after_s": 30 * _DAY,
        "retention_s": 30 * _DAY,
        "travel_days": 14,
        "listed_areas": [],
    }
