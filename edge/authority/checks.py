"""Whether what an authority wants to publish could be loaded by a gate, and agrees with itself."""

from collections.abc import Iterator, Mapping

from edge.authority import policies, registries
from edge.authority.lists import read_back
from edge.authority.roles import Roles
from edge.errors import PublicationError, TrustError
from edge.model.trust import IssuerKey, TrustSnapshot, TrustVersions
from edge.trust import anchors, paths, snapshot
from edge.trust.fields import Document
from edge.trust.snapshot import Provenance


def check(files: Mapping[str, bytes], now: int, roles: Roles | None = None) -> TrustSnapshot:
    """Load files as a gate would and check that they agree with each other; return what a gate would decide by.

    Args:
        files: The target files, by path.
        now: Unix seconds.
        roles: The authority's roles, whose keys nobody else may use.

    Raises:
        PublicationError: They do not; the message names the row.
    """
    try:
        small = {path: files[path] for path in files if paths.list_file_of(path) is None}
        trust = snapshot.build(Provenance(TrustVersions(1, 1, 1, 1), b"", now, now, now), small, read_back(files))
    except TrustError as error:
        raise PublicationError(error.message, "Correct it under sources/ and publish again.") from error
    _check_registry(trust)
    registries.check(trust)
    _check_keys(trust)
    _check_usage(trust, roles)
    policies.check(trust, schema=Document(files[paths.POLICY], paths.POLICY).schema, now=now)
    for area in trust.policy.listed_areas:
        if not _is_known_prefix(area, trust):
            raise _wrong(paths.POLICY, f"lists area {area}, which is not in {paths.REGIONS}")
    for rule in trust.policy.live:
        if rule.issuer and rule.issuer not in trust.issuers:
            raise _wrong(paths.POLICY, f"wants passes of issuer {rule.issuer} live, which is not in {paths.ISSUERS}")
    for path in files:
        issuer = paths.keys_of(path) or paths.anchors_of(path)
        if issuer is not None and issuer not in trust.issuers:
            raise _wrong(path, f"stands for an issuer that is not in {paths.ISSUERS}")
    _check_anchors(files)
    return trust


def _check_anchors(files: Mapping[str, bytes]) -> None:
    """Foreign keys of every format, admitted or not, with the lists of hashes they are looked up in."""
    looked_up: set[tuple[str, int]] = set()
    for path in files:
        issuer = paths.anchors_of(path)
        if issuer is None:
            continue
        for anchor in anchors.anchors(Document(files[path], path), issuer):
            looked_up |= {(issuer, number) for number in anchor.hash_lists}
    published = {found[1:3] for found in map(paths.list_file_of, files) if found and found[0] is paths.ListFile.HASHES}
    for place in sorted(looked_up - published):
        raise _wrong(paths.anchors_path(place[0]), f"names list of hashes {place[1]}, which is not there")
    for issuer, number in sorted(published - looked_up):
        if paths.anchors_path(issuer) in files:
            raise _wrong(paths.anchors_path(issuer), f"leaves out list of hashes {number}: nobody would look in it")


def _check_registry(trust: TrustSnapshot) -> None:
    for issuer in trust.issuers.values():
        if issuer.region and not trust.region_name(issuer.region):
            raise _wrong(paths.ISSUERS, f"gives {issuer.id} region {issuer.region}, which is not in {paths.REGIONS}")
    for rows in trust.matrix.values():
        if rows[0].issuer not in trust.issuers:
            raise _wrong(paths.MATRIX, f"names issuer {rows[0].issuer}, which is not in {paths.ISSUERS}")


def _check_keys(trust: TrustSnapshot) -> None:
    for key, path, name in _keys(trust):
        if (key.issuer, key.status_list) not in trust.status_lists:
            raise _wrong(path, f"gives {name} status list {key.status_list}, which the ledger does not have")
        for prefix in key.regions:
            if not _is_known_prefix(prefix, trust):
                raise _wrong(path, f"lets {name} speak of {prefix}, which is not in {paths.REGIONS}")


def _check_usage(trust: TrustSnapshot, roles: Roles | None) -> None:
    """A stolen issuer's or hub's key must not sign metadata; `edge.trust.keyusage` holds the other uses apart."""
    signing = roles.by_name.values() if roles else ()
    used = {holder.public: f"key {holder.name} of role {role.name}" for role in signing for holder in role.holders}
    for public in trust.hub_keys.values():
        if public in used:
            raise _wrong(paths.HUBS, f"has a hub with {used[public]}")
    for key, path, name in _keys(trust):
        if key.public in used:
            raise _wrong(path, f"has {name}, which is {used[key.public]}")


def _keys(trust: TrustSnapshot) -> Iterator[tuple[IssuerKey, str, str]]:
    for keys in trust.keys.values():
        for key in keys:
            yield key, paths.keys_path(key.issuer), f"key {key.key_id.hex()}"


def _is_known_prefix(prefix: str, trust: TrustSnapshot) -> bool:
    return prefix == "" or any(str(code).startswith(prefix) for code in trust.regions)


def _wrong(path: str, what: str) -> PublicationError:
    return PublicationError(f"{path} {what}.", f"Correct sources/{path} and publish again.")
