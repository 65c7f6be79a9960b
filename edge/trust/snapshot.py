"""Verified targets become one immutable `TrustSnapshot`.

Nothing is verified here: `edge.trust.store` hands over bytes whose hashes a threshold of keys has signed.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edge.errors import TrustError
from edge.model.trust import IssuerKey, StatusList, TrustSnapshot, TrustVersions
from edge.trust import keyusage, paths, registries, status_list, targets
from edge.trust.fields import Document

MAX_LISTS_BYTES: Final = 64 << 20
"""All status lists of a gate together, inflated: they stay in memory."""
_NO_HUBS: Final[Mapping[str, bytes]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Provenance:
    """What the signed metadata says about a set of targets.

    Attributes:
        versions: Version of each top-level role.
        digest: SHA-256 of the snapshot metadata.
        issued_at: Signed issue time, Unix seconds, 0 where there is none.
        newest_expiry: Latest expiry among the metadata, Unix seconds.
        next_expiry: Earliest expiry among the metadata, Unix seconds.
        sunset: Until when the root lets any policy run, Unix seconds, or None where it sets no bound.
        cosigned: (path, SHA-256) of delegated files that the national role vouches for as well.
        roles: Public keys that may sign metadata: none of them may serve another use.
    """

    versions: TrustVersions
    digest: bytes
    issued_at: int
    newest_expiry: int
    next_expiry: int
    sunset: int | None = None
    cosigned: frozenset[tuple[str, str]] = frozenset()
    roles: frozenset[bytes] = frozenset()


def build(provenance: Provenance, files: Mapping[str, bytes]) -> TrustSnapshot:
    """Return the snapshot.

    Args:
        provenance: What the metadata says.
        files: The bytes of every gate target, by target path.

    Raises:
        TrustError: A target is missing or its content is not of its form.
    """
    for path in paths.REQUIRED:
        if path not in files:
            raise TrustError(f"{path} is missing from the publication.")
    documents = {path: Document(files[path], path) for path in paths.NATIONAL if path in files}
    issuers = targets.issuers(documents[paths.ISSUERS])
    keys = _keys(files, issuers)
    hub_keys = targets.hub_keys(documents[paths.HUBS]) if paths.HUBS in documents else _NO_HUBS
    auditor = targets.auditor(documents[paths.AUDITOR]) if paths.AUDITOR in documents else None
    keyusage.check_uses(keys, hub_keys.values(), auditor=auditor, roles=provenance.roles)
    return TrustSnapshot(
        versions=provenance.versions,
        digest=provenance.digest,
        issued_at=provenance.issued_at,
        newest_expiry=provenance.newest_expiry,
        issuers=issuers,
        keys=keys,
        status_lists=_status_lists(files, issuers),
        matrix=targets.matrix(documents[paths.MATRIX]),
        policy=targets.policy(documents[paths.POLICY]),
        regions=registries.regions(documents[paths.REGIONS]),
        hub_keys=hub_keys,
        auditor_key=auditor,
        sunset=provenance.sunset,
        registries=registries.read(documents),
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


def _status_lists(files: Mapping[str, bytes], issuers: Container[str]) -> Mapping[tuple[str, int], StatusList]:
    found: dict[tuple[str, int], StatusList] = {}
    for path, data in files.items():
        named = paths.status_of(path)
        if named is not None and named[0] in issuers:
            found[named] = status_list.parse(data, paths.status_uri(*named))
            if sum(len(list_.entries) for list_ in found.values()) > MAX_LISTS_BYTES:
                raise TrustError(f"The status lists together are longer than {MAX_LISTS_BYTES} bytes.")
    return MappingProxyType(found)
