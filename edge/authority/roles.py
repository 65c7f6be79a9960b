"""Who may sign what: every role of an authority with its keys, threshold and paths, kept in `roles.json`.

What stands here is made true by the next publication: rotating a key, setting the sunset or co-signing a delta edits
this file, and the ceremony of `edge.authority.request` has it signed by those it concerns. Private keys are left to
`edge.authority.keys`, the metadata that follows from it to `edge.authority.draft`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # documented there
from tuf.api.metadata import Root  # type: ignore[attr-defined]  # documented there, without `__all__`

from edge.codec.ed25519 import refuse_weak_point
from edge.errors import EncodingRefused, PublicationError, TrustError
from edge.trust.fields import SCHEMA, Document, Fields, iso

DELEGATED: Final = True
"""Whether a new authority delegates to provinces. One line to turn once every gate in the field follows delegations."""
ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
TOP_LEVEL: Final = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
ONLINE: Final = (SNAPSHOT, TIMESTAMP)
"""Roles that a machine signs every day, with keys that have no passphrase."""
NATIONAL_ISSUERS: Final = "national-issuers"
ROOT_KEYS, ROOT_THRESHOLD = 5, 3
ROLE_KEYS, ROLE_THRESHOLD = 3, 2
_PROVINCE: Final = re.compile(r"province-([0-9]{2})")
_PREFECTURE: Final = re.compile(r"prefecture-([0-9]{4})")
_KEY_NAME: Final = re.compile(r"[a-z][a-z0-9.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Holder:
    """A key of a role.

    Attributes:
        name: What people call it (`root-2`), also the name of its file in `keys/`.
        public: Ed25519 public key, 32 bytes.
    """

    name: str
    public: bytes

    @property
    def key(self) -> SSlibKey:
        """The key as TUF metadata writes it."""
        return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(self.public))


@dataclass(frozen=True, slots=True)
class Role:
    """A role.

    Attributes:
        name: Its name in the metadata.
        threshold: How many of its keys must sign.
        holders: Its keys.
    """

    name: str
    threshold: int
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of an authority.

    Attributes:
        by_name: Each role by its name.
        sunset: Until when policies may run, Unix seconds; None where the root sets no bound.
        cosigned: Deltas that the national role has approved, target path and SHA-256 in hexadecimal.
    """

    by_name: Mapping[str, Role]
    sunset: int | None = None
    cosigned: tuple[tuple[str, str], ...] = ()

    @property
    def delegated(self) -> tuple[str, ...]:
        """The delegated roles, prefectures before what contains them, so that the first that fits carries a path."""
        return tuple(sorted((name for name in self.by_name if name not in TOP_LEVEL), key=_depth))

    def children(self, name: str) -> tuple[str, ...]:
        """Return the roles that `name` delegates to."""
        return tuple(sorted(child for child in self.by_name if parent_of(child, self.by_name) == name))

    def carrier(self, issuer: str) -> str:
        """Return the role that signs for an issuer: its prefecture's, its province's, or a national one."""
        for name in self.delegated:
            digits = region_of(name)
            if issuer.startswith(digits) if digits else not issuer.isdigit():
                return name
        return TARGETS

    def holder(self, key_name: str) -> tuple[Role, Holder]:
        """Return the role and key of a name.

        Raises:
            PublicationError: There is no such key.
        """
        for role in self.by_name.values():
            for holder in role.holders:
                if holder.name == key_name:
                    return role, holder
        names = (holder.name for role in self.by_name.values() for holder in role.holders)
        now = {name.partition(".")[0]: f"In its place is {name}." for name in names}
        raise PublicationError(f"There is no key {key_name}.", now.get(key_name, "See: edge authority status DIR"))

    def with_role(self, role: Role) -> "Roles":
        """Return the roles with one added or replaced."""
        return replace(self, by_name=MappingProxyType({**self.by_name, role.name: role}))


def _depth(name: str) -> tuple[int, str]:
    return -len(region_of(name)), name


def region_of(name: str) -> str:
    """Return the GB/T 2260 digits a delegated role speaks for; none for national ones."""
    found = _PROVINCE.fullmatch(name) or _PREFECTURE.fullmatch(name)
    return found[1] if found else ""


def parent_of(name: str, names: Iterable[str]) -> str | None:
    """Return the role that delegates to `name`, or None for a top-level one."""
    if name in TOP_LEVEL:
        return None
    found = _PREFECTURE.fullmatch(name)
    return f"province-{found[1][:2]}" if found and f"province-{found[1][:2]}" in names else TARGETS


def paths_of(name: str, national_issuers: Iterable[str]) -> list[str]:
    """Return the path patterns of a delegated role (ADR 0004): a `*` of TUF does not cross a `/`."""
    digits = region_of(name)
    folders = [f"issuers/{digits}*"] if digits else [f"issuers/{issuer}" for issuer in sorted(national_issuers)]
    return [pattern for folder in folders for pattern in (f"{folder}/*", f"{folder}/status/*")]


def key_names(role: str, count: int) -> list[str]:
    """Return the names of a new role's keys: an online role has one of its own name."""
    return [role] if role in ONLINE else [f"{role}-{number}" for number in range(1, count + 1)]


def standard(name: str) -> tuple[int, int]:
    """Return the number of keys and the threshold of a new role."""
    if name == ROOT:
        return ROOT_KEYS, ROOT_THRESHOLD
    return (1, 1) if name in ONLINE else (ROLE_KEYS, ROLE_THRESHOLD)


def next_name(name: str) -> str:
    """Return the name of the key that follows another in its place: `root-2`, `root-2.2`, `root-2.3`."""
    place, _, generation = name.partition(".")
    return f"{place}.{int(generation or 1) + 1}"


def check(roles: Roles) -> None:
    """Check that every key is sound and stands in one place only, and that every threshold can be met.

    Raises:
        PublicationError: A key is weak or has two uses, or a role could never be signed.
    """
    owners: dict[bytes, str] = {}
    names: set[str] = set()
    for role in roles.by_name.values():
        if not 1 <= role.threshold <= len(role.holders):
            raise PublicationError(f"Role {role.name} needs {role.threshold} of {len(role.holders)} keys.", _RESTORE)
        for holder in role.holders:
            try:
                refuse_weak_point(holder.public)
            except EncodingRefused as error:
                raise PublicationError(
                    f"Key {holder.name} is refused: {error.message}.", "Make another key."
                ) from error
            # One key in two roles would let one theft count twice.
            if owners.setdefault(holder.public, holder.name) != holder.name or holder.name in names:
                raise PublicationError(
                    f"Key {holder.name} of role {role.name} is also key {owners[holder.public]}.",
                    "Every place of every role has a key of its own: make another.",
                )
            names.add(holder.name)


def encode(roles: Roles) -> bytes:
    """Return `roles.json`."""
    members: dict[str, Any] = {
        "schema": SCHEMA,
        "sunset": None if roles.sunset is None else iso(roles.sunset),
        "cosigned": [{"path": path, "sha256": digest} for path, digest in roles.cosigned],
        "roles": [
            {
                "name": role.name,
                "threshold": role.threshold,
                "keys": [{"name": holder.name, "public": holder.public.hex()} for holder in role.holders],
            }
            for role in roles.by_name.values()
        ],
    }
    return json.dumps(members, ensure_ascii=False, indent=1).encode() + b"\n"


def decode(data: bytes) -> Roles:
    """Return the roles of `roles.json`, checked.

    Raises:
        PublicationError: A member is wrong, or `check` refuses them.
    """
    try:
        document = Document(data, "roles.json")
        found = Roles(
            MappingProxyType({role.name: role for role in map(_role, document.objects("roles"))}),
            document.time("sunset") if document.has("sunset") else None,
            tuple((row.text("path"), row.data("sha256", 32, 32).hex()) for row in document.objects("cosigned")),
        )
        document.refuse_unread()
    except TrustError as error:
        raise PublicationError(error.message, _RESTORE) from error
    for name in TOP_LEVEL:
        if name not in found.by_name:
            raise PublicationError(f"roles.json has no role {name}.", _RESTORE)
    check(found)
    return found


_RESTORE: Final = "Correct roles.json, or restore it from a backup."


def is_role_name(name: str) -> bool:
    """Whether `name` can name a role of ours."""
    return name in TOP_LEVEL or name == NATIONAL_ISSUERS or bool(region_of(name))


def _role(row: Fields) -> Role:
    name = row.text("name")
    if not is_role_name(name):
        raise row.fault("name", "is not a role")
    holders = tuple(map(_holder, row.objects("keys", 100)))
    return Role(name, row.integer("threshold", 1, 100), holders)


def _holder(row: Fields) -> Holder:
    name = row.text("name")
    if not _KEY_NAME.fullmatch(name):
        raise row.fault("name", "must be small letters, digits, dots and hyphens")
    return Holder(name, row.data("public", 32, 32))


def of_root(root: Root) -> Roles:
    """Return the roles of an authority that was made before there was a `roles.json`: those its root names."""
    found: dict[str, Role] = {}
    for name in TOP_LEVEL:
        role = root.roles[name]
        # The former version's names: root-1 to root-3 in the order of the root, the others by their role.
        names = key_names(name, len(role.keyids)) if name == ROOT else [name] * len(role.keyids)
        publics = [bytes.fromhex(str(root.keys[id_].keyval["public"])) for id_ in role.keyids]
        found[name] = Role(name, role.threshold, tuple(map(Holder, names, publics)))
    return Roles(MappingProxyType(found))
