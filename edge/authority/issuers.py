"""Edits of an authority's sources: issuers and their keys, hubs, the policy. Gates see them after the next publish."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nacl.signing import SigningKey

from edge.authority.authority import Authority
from edge.authority.keys import key_id
from edge.authority.ledger import LIST_SIZE
from edge.authority.profiles import IssuerProfile, KeyProfile
from edge.codec.ed25519 import refuse_weak_point
from edge.errors import EncodingRefused, PublicationError
from edge.ledger import device
from edge.model.trust import Policy
from edge.trust import paths, policies
from edge.trust.fields import SCHEMA, iso

_DAY: Final = 86400
_OURS: Final = frozenset({"schema", "version", "next", "effective_at"})
_LIFETIME_S: Final = 730 * _DAY
_BEFORE_S: Final = _DAY
"""A new key may have signed from a day ago on: clocks of issuers and gates differ."""


@dataclass(frozen=True, slots=True)
class AddedKey:
    """A key that was made.

    Attributes:
        issuer: Issuer id.
        key_id: Its key id.
        public: Its public key.
        kinds: Kinds of pass it may sign.
        status_list: Number of its status list.
    """

    issuer: str
    key_id: bytes
    public: bytes
    kinds: tuple[str, ...]
    status_list: int


def key_name(issuer: str, kid: bytes) -> str:
    """Return the name of an issuer's private key in `keys/`."""
    return f"issuer-{issuer}-{kid.hex()}"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """The public half of a key that an issuer keeps itself.

    Attributes:
        public: Ed25519 public key, 32 bytes, or SM2's 04||x||y.
        key_id: The key id its passes name, 1 to 8 bytes; None for the first bytes of its SHA-256.
        algorithm: `EdDSA` or `SM2`.
    """

    public: bytes
    key_id: bytes | None = None
    algorithm: str = "EdDSA"


def add_issuer(
    authority: Authority,
    profile: IssuerProfile,
    now: int,
    *,
    valid_from: int | None = None,
    foreign: ForeignKey | None = None,
) -> list[AddedKey]:
    """Add an issuer with its keys, status lists and rows of the matrix.

    Args:
        authority: The authority.
        profile: The issuer.
        now: Unix seconds.
        valid_from: From when its keys may have signed, Unix seconds; a day ago unless given.
        foreign: Its key, where it keeps the private half itself; the profile then has one key.

    Raises:
        PublicationError: There is such an issuer, or it could not be published; nothing is changed.
    """
    with authority.locked():
        registry = authority.sources.members(paths.ISSUERS)
        if any(row["id"] == profile.id for row in registry["issuers"]):
            raise PublicationError(
                f"There is already an issuer {profile.id}.",
                f"For another key of it: edge authority add-key {authority.folder} --issuer {profile.id}",
            )
        registry["issuers"].append({"id": profile.id, "names": dict(profile.names), "region": profile.region})
        matrix = authority.sources.members(paths.MATRIX)
        matrix["rows"] += [row.row(profile.id) for row in profile.statuses]
        # Checked before a key is made, so that a slip leaves nothing behind.
        for path, members in ((paths.ISSUERS, registry), (paths.MATRIX, matrix)):
            authority.sources.check(path, members)
        since = now - _BEFORE_S if valid_from is None else valid_from
        added = _add_keys(authority, profile.id, profile.keys, since, foreign)
        authority.sources.write(paths.MATRIX, matrix)
        authority.sources.write(paths.ISSUERS, registry)
    return added


def add_key(
    authority: Authority,
    issuer: str,
    key: KeyProfile,
    now: int,
    *,
    valid_from: int | None = None,
    foreign: ForeignKey | None = None,
    list_size: int = LIST_SIZE,
) -> AddedKey:
    """Give an issuer one more key with a status list of its own; the older ones stay until they run out.

    Args:
        authority: The authority.
        issuer: Issuer id.
        key: What the key may sign.
        now: Unix seconds.
        valid_from: From when it may have signed, Unix seconds; a day ago by default.
        foreign: The key, where the issuer keeps the private half itself; else one is made.
        list_size: Entries of its status list.

    Raises:
        PublicationError: There is no such issuer, or the key could not be published.
    """
    with authority.locked():
        if issuer not in authority.sources.value(paths.ISSUERS):
            raise PublicationError(f"There is no issuer {issuer}.", "Add it: edge authority add-issuer DIR --id ...")
        since = now - _BEFORE_S if valid_from is None else valid_from
        return _add_keys(authority, issuer, (key,), since, foreign, list_size=list_size)[0]


def revoke_key(authority: Authority, issuer: str, kid: bytes) -> None:
    """Take an issuer's key back: gates then refuse every pass it has signed. Its status list stays.

    Args:
        authority: The authority.
        issuer: Issuer id.
        kid: The key's id; every key of the issuer that has it goes.

    Raises:
        PublicationError: The issuer has no such key.
    """
    with authority.locked():
        path = paths.keys_path(issuer)
        known = issuer in authority.sources.value(paths.ISSUERS) and (authority.sources.folder / path).exists()
        members = authority.sources.members(path) if known else {"keys": []}
        kept = [row for row in members["keys"] if row["kid"] != kid.hex()]
        if len(kept) == len(members["keys"]):
            raise PublicationError(f"Issuer {issuer} has no key {kid.hex()}.", f"See sources/{path}.")
        authority.sources.write(path, {**members, "keys": kept})


def remove_issuer(authority: Authority, issuer: str) -> None:
    """Take an issuer out of the registry and the matrix, with its keys: gates then know nobody of that name.

    Its status lists stay in the ledger, so that no index of theirs is ever given again.

    Args:
        authority: The authority.
        issuer: Issuer id.

    Raises:
        PublicationError: There is no such issuer, or the file system refuses.
    """
    with authority.locked():
        registry, matrix = authority.sources.members(paths.ISSUERS), authority.sources.members(paths.MATRIX)
        kept = [row for row in registry["issuers"] if row["id"] != issuer]
        if len(kept) == len(registry["issuers"]):
            raise PublicationError(f"There is no issuer {issuer}.", f"See sources/{paths.ISSUERS}.")
        authority.sources.remove(paths.keys_path(issuer))
        rows = [row for row in matrix["rows"] if row["issuer"] != issuer]
        authority.sources.write(paths.MATRIX, {**matrix, "rows": rows})
        authority.sources.write(paths.ISSUERS, {**registry, "issuers": kept})


def _add_keys(
    authority: Authority,
    issuer: str,
    keys: tuple[KeyProfile, ...],
    valid_from: int,
    foreign: ForeignKey | None,
    *,
    list_size: int = LIST_SIZE,
) -> list[AddedKey]:
    path = paths.keys_path(issuer)
    has_keys = (authority.sources.folder / path).exists()
    members: dict[str, Any] = (
        authority.sources.members(path) if has_keys else {"schema": SCHEMA, "issuer": issuer, "keys": []}
    )
    made: list[tuple[AddedKey, SigningKey | None]] = []
    for profile in keys if foreign is None else keys[:1]:
        key = SigningKey.generate() if foreign is None else None
        public = bytes(key.verify_key) if key is not None else foreign.public if foreign else b""
        kid = (foreign.key_id if foreign else None) or key_id(public)
        added = AddedKey(issuer, kid, public, profile.kinds, authority.ledger.next_list(issuer) + len(made))
        members["keys"].append(_key_row(added, profile, valid_from, foreign.algorithm if foreign else "EdDSA"))
        made.append((added, key))
    authority.sources.check(path, members)
    for added, key in made:
        authority.ledger.add_list(issuer, list_size, is_foreign=key is None)
        if key is not None:
            authority.keys.keep(key_name(issuer, added.key_id), key)
    authority.sources.write(path, members)
    return [added for added, _ in made]


def _key_row(added: AddedKey, profile: KeyProfile, valid_from: int, algorithm: str) -> dict[str, Any]:
    return {
        "kid": added.key_id.hex(),
        "alg": algorithm,
        "public": added.public.hex(),
        "kinds": list(profile.kinds),
        "regions": list(profile.regions),
        "max_validity_s": profile.max_validity_s,
        "not_before": iso(valid_from),
        "not_after": iso(valid_from + _LIFETIME_S),
        "status_list": added.status_list,
    }


def add_hub(authority: Authority, public: bytes, name: str) -> bytes:
    """Name a hub's receipt key, so that every gate knows whose receipts count; return its key id.

    Raises:
        PublicationError: The key is weak or known already.
    """
    try:
        refuse_weak_point(public)
    except EncodingRefused as error:
        raise PublicationError(f"The hub's key is refused: {error.message}.", "Copy it from the hub again.") from error
    with authority.locked():
        hubs = authority.sources.members(paths.HUBS)
        kid = device.key_id(public)
        if any(row["key_id"] == kid.hex() for row in hubs["hubs"]):
            raise PublicationError("This hub is named already.")
        hubs["hubs"].append({"key_id": kid.hex(), "public": public.hex(), "name": name})
        authority.sources.write(paths.HUBS, hubs)
    return kid


def set_policy(authority: Authority, members: Mapping[str, Any], now: int, *, effective_at: int | None = None) -> int:
    """Put another policy in place, now or from a time on, and return its version, one above the last.

    Args:
        authority: The authority.
        members: The policy's JSON; its schema, version, `next` and `effective_at` do not count.
        now: Unix seconds.
        effective_at: Unix seconds from which it holds; until then gates keep the one in force. None: at once.

    Raises:
        PublicationError: It is not of the form, contradicts itself, or ends in the past.
    """
    with authority.locked():
        before: Policy = authority.sources.value(paths.POLICY)
        version = max(before.version, before.following.version if before.following else 0) + 1
        # Schema, version and time are ours to set; everything else must stand in the file.
        wanted = {name: value for name, value in members.items() if name not in _OURS}
        wanted = {"schema": policies.least_schema(wanted), "version": version, **wanted}
        if effective_at is not None:
            if effective_at <= now:
                raise PublicationError("The policy would take effect in the past.", "Leave out --effective-at.")
            following = {name: value for name, value in wanted.items() if name != "schema"}
            current = _in_force(authority.sources.members(paths.POLICY), before, now)
            following["effective_at"] = iso(effective_at)
            wanted = {**current, "next": following}
            wanted["schema"] = policies.least_schema(wanted)
        policy: Policy = authority.sources.check(paths.POLICY, wanted)
        if (policy.following or policy).ends_at <= now:
            raise PublicationError("The policy ends in the past: no gate would admit under it.", "Correct ends_at.")
        authority.sources.write(paths.POLICY, wanted)
    return version


def _in_force(members: Mapping[str, Any], before: Policy, now: int) -> dict[str, Any]:
    """Return the source of the policy in force, which may have followed another by itself."""
    following = before.following
    found = members["next"] if following is not None and following.effective_at <= now else members
    return {name: value for name, value in found.items() if name not in {"next", "effective_at"}}
