"""Edits of an authority's registries: regions, venues, names of statuses. Each is the next version of its document.

Every row is read back by the gate's own reader before it is written. Gates see it after the next publish.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from edge.authority.authority import Authority
from edge.authority.profiles import IssuerProfile
from edge.errors import PublicationError
from edge.model.registries import Registries, Venue
from edge.model.trust import TrustSnapshot
from edge.trust import paths, registries
from edge.trust.fields import SCHEMA, Document

Rows = list[dict[str, Any]]
_ROWS: Final = {paths.REGIONS: "regions", paths.VENUES: "venues", paths.CODES: "sets"}


def current(authority: Authority) -> Registries:
    """Return the registries as they would be published.

    Raises:
        PublicationError: One of them could not be published.
    """
    found = {path: authority.sources.read(path) for path in _ROWS if authority.sources.has(path)}
    for path in found:
        authority.sources.value(path)
    return registries.read({path: Document(data, path) for path, data in found.items()})


def set_region(authority: Authority, code: int, names: Mapping[str, str] | None, *, is_complete: bool | None) -> int:
    """Add a region or change it; return the new version of the document.

    Args:
        authority: The authority.
        code: GB/T 2260 code, six digits.
        names: Its names, `zh` and `en`; None keeps those it has.
        is_complete: Whether all its parts are listed, so that gates refuse any other; None keeps what was said.

    Raises:
        PublicationError: It is new and has no name, or could not be published.
    """

    def change(rows: Rows) -> None:
        row = next((row for row in rows if row["code"] == code), None)
        if row is None:
            if names is None:
                raise PublicationError(
                    f"Region {code} is not listed yet.", "Give it its names: --name-zh and --name-en."
                )
            row = {"code": code}
            rows.append(row)
        if names is not None:
            row["names"] = dict(names)
        if is_complete is not None:
            row["complete"] = is_complete
        rows.sort(key=lambda one: one["code"])

    return _edited(authority, paths.REGIONS, change)


def set_venue(authority: Authority, venue: Venue) -> int:
    """Register a venue, or change it; return the new version of the document.

    From the first registered venue on gates refuse the passes of every other.

    Raises:
        PublicationError: It could not be published.
    """
    person = venue.legal_person
    wanted = {"id": venue.id.hex(), "region": venue.region, "name": venue.name} | (
        {} if person is None else {"legal_person": {"name": person.name, "code": person.code}}
    )

    def change(rows: Rows) -> None:
        rows[:] = [*(row for row in rows if row["id"] != venue.id.hex()), wanted]

    return _edited(authority, paths.VENUES, change)


def remove_venue(authority: Authority, id_: bytes) -> int:
    """Strike a venue off; return the new version of the document.

    Raises:
        PublicationError: It is not registered.
    """

    def change(rows: Rows) -> None:
        left = [row for row in rows if row["id"] != id_.hex()]
        if len(left) == len(rows):
            raise PublicationError(
                f"There is no venue {id_.hex()}.", f"See them: edge authority venue list {authority.folder}"
            )
        rows[:] = left

    return _edited(authority, paths.VENUES, change)


def set_status_names(authority: Authority, issuer: str, names: Mapping[int, Mapping[str, str]]) -> int:
    """Name statuses of an issuer, those it has besides kept; return the new version of the document.

    Args:
        authority: The authority.
        issuer: Issuer id.
        names: Names, `zh` and `en`, by the issuer's own number.

    Raises:
        PublicationError: There is no such issuer, or a name could not be published.
    """
    if issuer not in authority.sources.value(paths.ISSUERS):
        raise PublicationError(f"There is no issuer {issuer[:16]!r}.", "Add it: edge authority add-issuer DIR --id ...")

    def change(rows: Rows) -> None:
        kept = {row["status"]: row["names"] for set_ in rows if set_["issuer"] == issuer for row in set_["codes"]}
        kept |= {status: dict(found) for status, found in names.items()}
        codes = [{"status": status, "names": kept[status]} for status in sorted(kept)]
        rows[:] = [*(set_ for set_ in rows if set_["issuer"] != issuer), {"issuer": issuer, "codes": codes}]
        rows.sort(key=lambda set_: str(set_["issuer"]))

    return _edited(authority, paths.CODES, change)


def names_of(profile: IssuerProfile) -> dict[int, Mapping[str, str]]:
    """Return what a ready profile calls its issuer's statuses."""
    return {row.status: row.meaning for row in profile.statuses if row.status is not None}


def check(trust: TrustSnapshot) -> None:
    """Check that registries agree with each other and with the issuers, before anything is signed.

    Raises:
        PublicationError: A row names a region or an issuer that is not listed.
    """
    for venue in trust.registries.venues.values():
        if not trust.region_name(venue.region) or trust.registries.lacks(venue.region):
            raise _wrong(paths.VENUES, f"puts {venue.id.hex()} into region {venue.region}, which is not listed")
    for issuer, status in trust.registries.statuses:
        if issuer not in trust.issuers:
            raise _wrong(paths.CODES, f"names status {status} of issuer {issuer}, which is not registered")


def _edited(authority: Authority, path: str, change: Callable[[Rows], None]) -> int:
    with authority.locked():
        sources = authority.sources
        empty: dict[str, Any] = {"schema": SCHEMA, _ROWS[path]: []}
        members = sources.members(path) if sources.has(path) else empty
        change(members[_ROWS[path]])
        version = int(members.get("version", 0)) + 1
        sources.write(path, {**members, "version": version})
    return version


def _wrong(path: str, what: str) -> PublicationError:
    return PublicationError(f"{path} {what}.", f"Correct sources/{path} and publish again.")
