"""Edits of `roles.json`: other keys for a role, a prefecture's own role, the sunset, the approval of a large delta.

Each is made true by the next publication, once those have signed whom it concerns: a root key by the root keys, a
province's key by the targets keys. Gates follow by themselves.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from edge.authority import roles as role_names
from edge.authority.authority import SUNSET_S, Authority, delegated_roles
from edge.authority.roles import DELEGATED, ROOT, TARGETS, Holder, Role, Roles
from edge.authority.sealed import Seal
from edge.errors import PublicationError

_PREFECTURE: Final = re.compile(r"[0-9]{4}")


@dataclass(frozen=True, slots=True)
class Rotated:
    """A key that takes another's place.

    Attributes:
        role: Whose key.
        old: The name of the key that goes.
        new: The key that comes.
    """

    role: str
    old: str
    new: Holder


def rotate(
    authority: Authority, names: tuple[str, ...], *, public: bytes | None = None, passphrase: bytes | None = None
) -> list[Rotated]:
    """Put new keys in place of lost, stolen or merely old ones; the old ones count until the next publication.

    Args:
        authority: The authority.
        names: Keys (`root-2`) or whole roles (`province-61`).
        public: The new key's public half, where its private half was made at another desk; `names` is one key then.
        passphrase: What seals keys that are made here; those of the online roles are never sealed.

    Raises:
        PublicationError: There is no such key or role, or the new key is weak or has a use already; nothing is changed.
    """
    with authority.locked():
        roles = _own_roles(authority)
        wanted = [key for name in names for key in _keys_of(roles, name)]
        if public is not None and len(wanted) != 1:
            raise PublicationError("A public key takes the place of one key.", "Name one key, such as root-2.")
        seal = None if passphrase is None else Seal.new(passphrase)
        rotated: list[Rotated] = []
        for old in dict.fromkeys(wanted):
            role, _ = roles.holder(old)
            name = role_names.next_name(old)
            if public is None:
                new = authority.new_key(name, None if role.name in role_names.ONLINE else seal)
            else:
                new = Holder(name, public)
            holders = tuple(new if holder.name == old else holder for holder in role.holders)
            roles = roles.with_role(replace(role, holders=holders))
            rotated.append(Rotated(role.name, old, new))
        authority.put_roles(roles)
    return rotated


def _own_roles(authority: Authority) -> Roles:
    if not authority.has_roles:
        raise PublicationError(
            f"{authority.folder} is an authority of the former form.", f"Run: edge authority upgrade {authority.folder}"
        )
    return authority.roles()


def _keys_of(roles: Roles, name: str) -> list[str]:
    if name in roles.by_name and not any(holder.name == name for holder in roles.by_name[name].holders):
        return [holder.name for holder in roles.by_name[name].holders]
    if name in roles.by_name:
        return [name]
    # An online role whose key has been rotated before: `timestamp` still means its key.
    return [roles.holder(name)[1].name]


def add_prefecture(authority: Authority, digits: str, *, passphrase: bytes | None = None) -> Role:
    """Give a prefecture a role of its own under its province's.

    Args:
        authority: The authority.
        digits: The four digits of its GB/T 2260 code.
        passphrase: What seals its keys.

    Raises:
        PublicationError: There is one, its province has none, or it is no prefecture.
    """
    name = f"prefecture-{digits}"
    with authority.locked():
        roles = _own_roles(authority)
        if not _PREFECTURE.fullmatch(digits) or f"province-{digits[:2]}" not in roles.by_name:
            raise PublicationError(f"{digits} is no prefecture of a province with a role.", "Give the four digits.")
        if name in roles.by_name:
            raise PublicationError(
                f"There is already a role {name}.", f"For other keys: edge authority rotate DIR {name}"
            )
        role = authority.new_role(name, None if passphrase is None else Seal.new(passphrase))
        authority.put_roles(roles.with_role(role))
    return role


def set_sunset(authority: Authority, until: int, now: int) -> int | None:
    """Set until when policies may run, whatever they say themselves; return what stood there.

    Args:
        authority: The authority.
        until: Unix seconds.
        now: Unix seconds.

    Raises:
        PublicationError: It lies in the past.
    """
    with authority.locked():
        roles = _own_roles(authority)
        if until <= now:
            raise PublicationError("The sunset lies in the past: every gate would stop.", "Give a later time.")
        authority.put_roles(replace(roles, sunset=until))
    return roles.sunset


def cosign(authority: Authority, files: Mapping[str, str]) -> None:
    """Approve files that need the nation's signature beside their own role's.

    Args:
        authority: The authority.
        files: SHA-256 in hexadecimal by target path, as they would be published now.

    Raises:
        PublicationError: The authority is of the former form.
    """
    with authority.locked():
        roles = _own_roles(authority)
        # An approval is of one content: a later one of the same path takes its place.
        kept = tuple((path, digest) for path, digest in roles.cosigned if path not in files)
        authority.put_roles(replace(roles, cosigned=(*kept, *sorted(files.items()))))


def upgrade(
    authority: Authority, now: int, *, delegated: bool = DELEGATED, passphrase: bytes | None = None
) -> tuple[str, ...]:
    """Give an authority of the former form the roles of this one; gates follow by the next root. Return what is new.

    The former root keys stay and get two more beside them; the single targets key goes. An authority that has its roles
    already gets the delegated ones it lacks.

    Args:
        authority: The authority.
        now: Unix seconds.
        delegated: Whether each province signs for itself.
        passphrase: What seals the keys that are made.

    Raises:
        PublicationError: The publication is damaged, or the folder cannot be written.
    """
    seal = None if passphrase is None else Seal.new(passphrase)
    with authority.locked():
        before = authority.roles()
        found = dict(before.by_name)
        sunset = before.sunset
        if not authority.has_roles:
            root = found[ROOT].holders
            names = role_names.key_names(ROOT, role_names.ROOT_KEYS)[len(root) :]
            more = tuple(authority.new_key(name, seal) for name in names)
            found[ROOT] = Role(ROOT, role_names.ROOT_THRESHOLD, (*root, *more))
            found[TARGETS] = authority.new_role(TARGETS, seal)
            sunset = now + SUNSET_S
        for name in delegated_roles() if delegated else ():
            if name not in found:
                found[name] = authority.new_role(name, seal)
        authority.put_roles(Roles(MappingProxyType(found), sunset, before.cosigned))
    fresh = [name for name in found if name not in before.by_name or found[name] != before.by_name[name]]
    return tuple(fresh)
