"""The registries of a publication, read strictly: regions and how complete they are, venues, code sets.

Each document may state a `version`; a gate that has seen one takes none below it (`check_forward`). What they are for
is left to `edge.verify` and the screens.
"""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from edge.errors import TrustRefused
from edge.model.registries import LegalPerson, Registries, Venue
from edge.trust import paths
from edge.trust.fields import Document, Fields
from edge.trust.targets import LEAST_REGION, MAX_REGION, MAX_STATUS, issuer_id

_CODE_CHARS: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CODE_LENGTH: Final = 18
VERSIONED: Final = (paths.POLICY, paths.MATRIX, paths.ISSUERS, paths.REGIONS, paths.VENUES, paths.CODES, paths.RULES)
"""Documents whose version may not go back."""


def regions(document: Document) -> Mapping[int, Mapping[str, str]]:
    """Return the names of `national/regions.json` by GB/T 2260 code.

    Raises:
        TrustError: A row is wrong, a code stands twice, or a county says that its parts are listed.
    """
    return MappingProxyType({code: row.words("names") for code, row in _region_rows(document)})


def _region_rows(document: Document) -> list[tuple[int, Fields]]:
    found: dict[int, Fields] = {}
    for row in document.objects("regions"):
        code = row.integer("code", LEAST_REGION, MAX_REGION)
        if code in found:
            raise row.fault("code", "stands twice")
        if row.flag("complete") and code % 100:
            raise row.fault("complete", "is said of provinces and prefectures; a county has no parts here")
        found[code] = row
    return list(found.items())


def venues(document: Document) -> Mapping[bytes, Venue]:
    """Return the venues of `national/venues.json` by id.

    Raises:
        TrustError: A row is wrong or an id stands twice.
    """
    found: dict[bytes, Venue] = {}
    for row in document.objects("venues"):
        id_ = row.data("id", 1, 16)
        if id_ in found:
            raise row.fault("id", "stands twice")
        person = _legal_person(row.object("legal_person")) if row.has("legal_person") else None
        found[id_] = Venue(id_, row.integer("region", LEAST_REGION, MAX_REGION), row.text("name"), person)
    return MappingProxyType(found)


def _legal_person(fields: Fields) -> LegalPerson:
    code = fields.text("code", _CODE_LENGTH)
    if not is_credit_code(code):
        raise fields.fault("code", "is no unified social credit identifier (GB 32100-2015)")
    return LegalPerson(fields.text("name"), code)


def is_credit_code(text: str) -> bool:
    """Whether `text` is a unified social credit identifier: 18 characters, the last a check (GB 32100-2015, 4.5)."""
    if len(text) != _CODE_LENGTH or not set(text) <= set(_CODE_CHARS):
        return False
    total = sum(_CODE_CHARS.index(char) * pow(3, place, 31) for place, char in enumerate(text[:-1]))
    return _CODE_CHARS[-total % 31] == text[-1]


def statuses(document: Document) -> Mapping[tuple[str, int], Mapping[str, str]]:
    """Return the names of statuses of `national/codes.json` by (issuer, status).

    Raises:
        TrustError: A row is wrong, or an issuer or status stands twice.
    """
    found: dict[tuple[str, int], Mapping[str, str]] = {}
    issuers: set[str] = set()
    for set_ in document.objects("sets", 1000):
        issuer = issuer_id(set_, "issuer")
        if issuer in issuers:
            raise set_.fault("issuer", "stands twice")
        issuers.add(issuer)
        for row in set_.objects("codes", MAX_STATUS + 1):
            status = row.integer("status", 0, MAX_STATUS)
            if (issuer, status) in found:
                raise row.fault("status", "stands twice")
            found[issuer, status] = row.words("names")
    return MappingProxyType(found)


def read(documents: Mapping[str, Document]) -> Registries:
    """Return the registries of a publication's national documents, by path.

    Raises:
        TrustError: One of them is not of its form.
    """
    rows = _region_rows(documents[paths.REGIONS])
    codes = [f"{code:06d}" for code, _ in rows]
    return Registries(
        complete=frozenset(_prefix(code) for code, row in rows if row.flag("complete")),
        listed=frozenset(code[:length] for code in codes for length in (2, 4, 6)),
        venues=venues(documents[paths.VENUES]) if paths.VENUES in documents else MappingProxyType({}),
        statuses=statuses(documents[paths.CODES]) if paths.CODES in documents else MappingProxyType({}),
        versions=MappingProxyType({path: documents[path].version for path in VERSIONED if path in documents}),
    )


def _prefix(code: int) -> str:
    return f"{code:06d}"[: 2 if code % 10000 == 0 else 4]


def kept(versions: Mapping[str, int], signers: Iterable[str]) -> bytes:
    """Return what a store keeps of versions it has put in force.

    Args:
        versions: Version by target path.
        signers: Ids of the keys that may sign them (the targets role of root).
    """
    return json.dumps({"signers": sorted(signers), "versions": dict(versions)}, sort_keys=True).encode()


def check_forward(before: bytes | None, versions: Mapping[str, int], signers: Iterable[str]) -> None:
    """Check that no registry is older than one that was in force, or has lost its version.

    Where root names other keys for the targets than then, a version set by the old ones no longer counts: else whoever
    stole one could set it so high that nobody comes after it (TUF specification, 5.3.11).

    Args:
        before: What `kept` returned then, or None where nothing is known.
        versions: Version by target path, 0 where a document states none.
        signers: Ids of the keys that may sign them now.

    Raises:
        TrustRefused: One has gone back.
    """
    known = _known(before)
    if known.get("signers") != sorted(signers):
        return
    for path, version in known.get("versions", {}).items():
        if versions.get(path, 0) < version:
            raise TrustRefused(
                f"{path} of version {versions.get(path, 0)} was offered; this gate has had version {version} in force.",
                "Tell the authority: a version only grows.",
            )


def _known(before: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(before or b"{}")
        return found if isinstance(found, dict) and all(type(n) is int for n in found["versions"].values()) else {}
    except (ValueError, KeyError, AttributeError):
        # What it was cannot be told any more; versions of the metadata still only grow.
        return {}
