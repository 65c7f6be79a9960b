"""Edits of the keys of other systems in an authority's sources. Gates see them after the next publish."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from edge.authority.authority import Authority
from edge.authority.key_sources import Found
from edge.errors import PublicationError, TrustError
from edge.model.trust import Anchor
from edge.trust import paths
from edge.trust.anchors import anchors
from edge.trust.fields import SCHEMA, Document


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose keys they are, where the registry does not know him yet.

    Attributes:
        names: Display name by language.
        outcome: What the matrix says of his credentials everywhere: `accept`, `refer` or `reject`.
    """

    names: Mapping[str, str]
    outcome: str


@dataclass(frozen=True, slots=True)
class Added:
    """What came of adding keys.

    Attributes:
        added: How many are new.
        changed: How many were there and say something else now.
        left_out: Those that could not be used.
    """

    added: int
    changed: int
    left_out: tuple[Found, ...]


def add_anchors(
    authority: Authority,
    issuer: str,
    format_: str,
    found: Iterable[Found],
    *,
    hash_lists: Iterable[int] = (),
    types: Mapping[str, str] = MappingProxyType({}),
    holder: Holder | None = None,
    skip_bad: bool = False,
) -> Added:
    """Add keys to an issuer, or change what is said of those it has.

    Args:
        authority: The authority.
        issuer: Our id of whoever holds them.
        format_: The format they sign.
        found: The keys, as `edge.authority.key_sources.read` returns them.
        hash_lists: Numbers of further lists of hashes to look their credentials up in.
        types: Kinds by further types that their credentials name; others are refused once there is one.
        holder: Puts the issuer into the registry and the matrix, if it is not there.
        skip_bad: Whether keys that cannot be used are left out instead of refusing everything.

    Raises:
        PublicationError: There is no such issuer, a key cannot be used, or the format is another; nothing is changed.
    """
    path = paths.anchors_path(issuer)
    with authority.locked():
        registry, matrix = _registered(authority, issuer, holder)
        members = _members(authority, issuer, format_)
        _add_lists(members, hash_lists)
        if types:
            named = {row["type"]: row["kind"] for row in members.get("types", ())} | dict(types)
            members["types"] = [{"type": name, "kind": kind} for name, kind in sorted(named.items())]
        done = _merged(members, [_checked(one, members, issuer) for one in found], skip_bad=skip_bad)
        authority.sources.check(path, members)
        if holder is not None:
            authority.sources.write(paths.ISSUERS, registry)
            authority.sources.write(paths.MATRIX, matrix)
        authority.sources.write(path, members)
    return done


def remove_anchors(authority: Authority, issuer: str, *, claimed: str | None, key_id: bytes | None) -> int:
    """Take keys back: gates then refuse what they have signed. Return how many went.

    Args:
        authority: The authority.
        issuer: Our id of whoever holds them.
        claimed: Only those of this claimed issuer; None: of any.
        key_id: Only those of this key id; None: of any.

    Raises:
        PublicationError: There are none of these.
    """
    path = paths.anchors_path(issuer)
    with authority.locked():
        rows = authority.sources.members(path)["anchors"] if authority.sources.has(path) else []
        kept = [row for row in rows if not _is_meant(row, claimed, key_id)]
        if len(kept) == len(rows):
            raise PublicationError(f"Issuer {issuer} has no such foreign key.", "See: edge authority anchors list DIR")
        authority.sources.write(path, {**authority.sources.members(path), "anchors": kept})
    return len(rows) - len(kept)


def require(authority: Authority, issuer: str) -> None:
    """Check that an issuer has foreign keys.

    Raises:
        PublicationError: It has none, so nobody would look its credentials up.
    """
    if not authority.sources.has(paths.anchors_path(issuer)):
        raise PublicationError(
            f"Issuer {issuer} has no foreign keys.", "Add them: edge authority anchors add DIR FILE --issuer ID ..."
        )


def look_up(authority: Authority, issuer: str, numbers: Iterable[int]) -> None:
    """Let an issuer's credentials be looked up in further lists of hashes.

    Raises:
        PublicationError: It has no foreign keys, or they could not be published.
    """
    path = paths.anchors_path(issuer)
    with authority.locked():
        require(authority, issuer)
        members = authority.sources.members(path)
        _add_lists(members, numbers)
        authority.sources.write(path, members)


def list_anchors(authority: Authority) -> list[Anchor]:
    """Return every foreign key of the sources, by issuer.

    Raises:
        PublicationError: A source cannot be read.
    """
    return [anchor for path in authority.sources.anchor_paths() for anchor in authority.sources.value(path)]


def _registered(authority: Authority, issuer: str, holder: Holder | None) -> tuple[dict[str, Any], dict[str, Any]]:
    registry, matrix = authority.sources.members(paths.ISSUERS), authority.sources.members(paths.MATRIX)
    is_known = any(row["id"] == issuer for row in registry["issuers"])
    if not is_known and holder is None:
        raise PublicationError(f"There is no issuer {issuer}.", "Name it with --name-zh and --name-en.")
    if is_known and holder is not None:
        raise PublicationError(f"There is already an issuer {issuer}.", "Leave --name-zh and --name-en out.")
    if holder is not None:
        registry["issuers"].append({"id": issuer, "names": dict(holder.names), "region": 0})
        row = {"issuer": issuer, "status": None, "area": "", "health": "none", "outcome": holder.outcome}
        matrix["rows"].append(row)
        authority.sources.check(paths.ISSUERS, registry)
        authority.sources.check(paths.MATRIX, matrix)
    return registry, matrix


def _members(authority: Authority, issuer: str, format_: str) -> dict[str, Any]:
    path = paths.anchors_path(issuer)
    if not authority.sources.has(path):
        return {"schema": SCHEMA, "issuer": issuer, "format": format_, "hash_lists": [], "anchors": []}
    members = authority.sources.members(path)
    if members["format"] != format_:
        raise PublicationError(
            f"Issuer {issuer} has keys of format {members['format']}.", "Give keys of another format to another issuer."
        )
    return members


def _add_lists(members: dict[str, Any], numbers: Iterable[int]) -> None:
    listed = {row["list"] for row in members["hash_lists"]} | set(numbers)
    members["hash_lists"] = [{"list": number} for number in sorted(listed)]


def _checked(found: Found, members: Mapping[str, Any], issuer: str) -> Found:
    if found.row is None:
        return found
    # The gate's own reader says of each row by itself whether it can be used.
    alone = {**members, "anchors": [found.row], "hash_lists": []}
    try:
        usable = anchors(Document(_encoded(alone), found.place), issuer)
    except TrustError as error:
        return Found(found.place, problem=error.message)
    return found if usable else Found(found.place, problem="It is of an algorithm that is not known.")


def _merged(members: dict[str, Any], found: list[Found], *, skip_bad: bool) -> Added:
    bad = tuple(one for one in found if one.row is None)
    if bad and not skip_bad:
        raise PublicationError(
            f"{bad[0].place}: {bad[0].problem} {len(bad)} of {len(found)} keys cannot be used.",
            "Leave them out with --skip-bad, or correct the file.",
        )
    rows = {(row["claimed"], row["kid"], row["public"]): row for row in members["anchors"]}
    before = dict(rows)
    for one in found:
        if one.row is not None:
            rows[one.row["claimed"], one.row["kid"], one.row["public"]] = dict(one.row)
    members["anchors"] = list(rows.values())
    changed = sum(rows[place] != row for place, row in before.items())
    return Added(len(rows) - len(before), changed, bad)


def _is_meant(row: Mapping[str, Any], claimed: str | None, key_id: bytes | None) -> bool:
    return claimed in {None, row["claimed"]} and (key_id is None or row["kid"] == key_id.hex())


def _encoded(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members).encode()
