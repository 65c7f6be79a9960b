"""Verified targets become one immutable `TrustSnapshot`.

Nothing is verified here: `edge.trust.store` hands over bytes whose hashes a threshold of keys has signed.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, TypeVar

from edge.errors import TrustError
from edge.model.health_rules import HealthRules
from edge.model.trust import Anchor, IssuerKey, StatusList, TrustSnapshot, TrustVersions
from edge.trust import anchors, coherence, health_rules, keyusage, paths, policies, registries, status_list, targets
from edge.trust.fields import Document
from edge.trust.large_lists import NO_LISTS, Cosigned, OpenedLists

_NO_RULES: Final = HealthRules()
_NO_HUBS: Final[Mapping[str, bytes]] = MappingProxyType({})
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
    cosigned: Cosigned = frozenset()
    roles: frozenset[bytes] = frozenset()


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
    documents = {path: Document(files[path], path) for path in paths.NATIONAL if path in files}
    issuers = targets.issuers(documents[paths.ISSUERS])
    keys = _keys(files, issuers)
    hub_keys = targets.hub_keys(documents[paths.HUBS]) if paths.HUBS in documents else _NO_HUBS
    auditor = targets.auditor(documents[paths.AUDITOR]) if paths.AUDITOR in documents else None
    policy = policies.policy(documents[paths.POLICY])
    formats = policy.formats | (policy.following.formats if policy.following is not None else frozenset())
    foreign = _anchors(files, issuers, formats)
    keyusage.check_uses(keys, hub_keys.values(), auditor=auditor, roles=provenance.roles, anchors=foreign)
    found = TrustSnapshot(
        versions=provenance.versions,
        digest=provenance.digest,
        issued_at=provenance.issued_at,
        newest_expiry=provenance.newest_expiry,
        issuers=issuers,
        keys=keys,
        status_lists=_status_lists(files, issuers, large.status_lists),
        matrix=targets.matrix(documents[paths.MATRIX]),
        policy=policy,
        regions=registries.regions(documents[paths.REGIONS]),
        hub_keys=hub_keys,
        auditor_key=auditor,
        sunset=provenance.sunset,
        registries=registries.read(documents),
        hash_lists=MappingProxyType(_of_issuers(large.hash_lists, issuers)),
        held_back=large.held_back,
        anchors=anchors.by_place(foreign),
        health_rules=health_rules.health_rules(documents[paths.RULES]) if paths.RULES in documents else _NO_RULES,
    )
    coherence.check(found)
    if policy.following is None:
        return found
    successor = replace(found, policy=policy.following)
    coherence.check(successor)
    return replace(found, successor=successor)


def _keys(files: Mapping[str, bytes], issuers: Container[str]) -> Mapping[tuple[str, bytes], tuple[IssuerKey, ...]]:
    found: dict[tuple[str, bytes], tuple[IssuerKey, ...]] = {}
    for path, data in files.items():
        issuer = paths.keys_of(path)
        # An issuer that is not in the registry has left it: its keys say nothing.
        if issuer is not None and issuer in issuers:
            for key in targets.keys(Document(data, path), issuer):
                found[issuer, key.key_id] = (*found.get((issuer, key.key_id), ()), key)
    return MappingProxyType(found)


def _anchors(files: Mapping[str, bytes], issuers: Container[str], formats: frozenset[str]) -> tuple[Anchor, ...]:
    found: list[Anchor] = []
    for path, data in files.items():
        issuer = paths.anchors_of(path)
        if issuer is None or issuer not in issuers:
            continue
        document = Document(data, path)
        # Keys of a format that is not admitted cost a gate nothing.
        if anchors.format_of(document) in formats:
            found += anchors.anchors(document, issuer)
    return tuple(found)


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
