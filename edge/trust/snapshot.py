"""Verified targets become one immutable `TrustSnapshot`.

Nothing is verified here: `edge.trust.store` hands over bytes whose hashes a threshold of keys has signed.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

from edge.errors import TrustError
from edge.model.trust import IssuerKey, StatusList, TrustSnapshot, TrustVersions
from edge.trust import paths, status_list, targets
from edge.trust.fields import Document
from edge.trust.large_lists import NO_LISTS, Cosigned, OpenedLists

Listed = TypeVar("Listed")


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the signed metadata says about a set of targets.

    Attributes:
        versions: Version of each top-level role.
        digest: SHA-256 of the snapshot metadata.
        issued_at: Signed issue time, Unix seconds, 0 where there is none.
        newest_expiry: Latest expiry among the metadata, Unix seconds.
        next_expiry: Earliest expiry among the metadata, Unix seconds.
        cosigned: Path and SHA-256 (hexadecimal) of each large change of a list that the national role has signed too.
    """

    versions: TrustVersions
    digest: bytes
    issued_at: int
    newest_expiry: int
    next_expiry: int
    cosigned: Cosigned = frozenset()


def build(provenance: Provenance, files: Mapping[str, bytes], large: OpenedLists = NO_LISTS) -> TrustSnapshot:
    """Return the snapshot.

    Args:
        provenance: What the metadata says.
        files: The bytes of every gate target but the files of large lists, by target path.
        large: The large lists, opened.

    Raises:
        TrustError: A target is missing or its content is not of its form.
    """
    for path in paths.REQUIRED:
        if path not in files:
            raise TrustError(f"{path} is missing from the publication.")
    issuers = targets.issuers(Document(files[paths.ISSUERS], paths.ISSUERS))
    return TrustSnapshot(
        versions=provenance.versions,
        digest=provenance.digest,
        issued_at=provenance.issued_at,
        newest_expiry=provenance.newest_expiry,
        issuers=issuers,
        keys=_keys(files, issuers),
        status_lists=_status_lists(files, issuers, large.status_lists),
        matrix=targets.matrix(Document(files[paths.MATRIX], paths.MATRIX)),
        policy=targets.policy(Document(files[paths.POLICY], paths.POLICY)),
        regions=targets.regions(Document(files[paths.REGIONS], paths.REGIONS)),
        hub_keys=targets.hub_keys(Document(files[paths.HUBS], paths.HUBS))
        if paths.HUBS in files
        else MappingProxyType({}),
        auditor_key=targets.auditor(Document(files[paths.AUDITOR], paths.AUDITOR)) if paths.AUDITOR in files else None,
        hash_lists=MappingProxyType(_of_issuers(large.hash_lists, issuers)),
        held_back=large.held_back,
    )


def _keys(files: Mapping[str, bytes], issuers: Container[str]) -> Mapping[tuple[str, bytes], tuple[IssuerKey, ...]]:
    found: dict[tuple[str, bytes], tuple[IssuerKey, ...]] = {}
    for path, data in files.items():
        issuer = paths.keys_of(path)
        # An issuer that is not in the registry has left it: its keys say nothing.
        if issuer is not None and issuer in issuers:
            for key in targets.keys(Document(data, path), issuer):
                found[issuer, key.key_id] = (*found.get((issuer, key.key_id), ()), key)
    return MappingProxyType(found)


def _status_lists(
    files: Mapping[str, bytes], issuers: Container[str], large: Mapping[tuple[str, int], StatusList]
) -> Mapping[tuple[str, int], StatusList]:
    found = _of_issuers(large, issuers)
    together = 0
    for path, data in files.items():
        named = paths.status_of(path)
        if named is not None and named[0] in issuers:
            packed = status_list.parse(data, paths.status_uri(*named))
            found[named] = packed
            together += len(packed.entries)
            status_list.check_together(together)
    return MappingProxyType(found)


def _of_issuers(lists: Mapping[tuple[str, int], Listed], issuers: Container[str]) -> dict[tuple[str, int], Listed]:
    return {place: found for place, found in lists.items() if place[0] in issuers}
