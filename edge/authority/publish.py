"""Sources and ledger become a signed publication. Run it after every change, and daily: it renews the signed time.

Everything is read back by the gate's own reader before anything is signed: what could not be loaded is not published.
"""

import json
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from edge.authority import registries
from edge.authority.authority import Authority
from edge.authority.lists import gather_lists, large_changes, read_back
from edge.authority.repository import RENEW, Published, digests
from edge.errors import PublicationError, TrustError
from edge.model.trust import IssuerKey, TrustSnapshot, TrustVersions
from edge.trust import keyusage, paths, snapshot, workflow
from edge.trust.fields import iso
from edge.trust.snapshot import Provenance

_NATIONAL: Final = (
    paths.POLICY,
    paths.MATRIX,
    paths.ISSUERS,
    paths.REGIONS,
    paths.VENUES,
    paths.CODES,
    paths.HUBS,
    paths.AUDITOR,
)


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published.

    Attributes:
        versions: Versions of the metadata in force now.
        targets: Number of target files.
        changed: Paths of the targets that are new or other than before.
        issued_at: The signed issue time, Unix seconds.
        warnings: What the authority should do soon, a sentence each.
    """

    versions: TrustVersions
    targets: int
    changed: tuple[str, ...]
    issued_at: int
    warnings: tuple[str, ...]


def publish(authority: Authority, now: int) -> Publication:
    """Sign and write the publication; gates see it with their next refresh.

    Args:
        authority: The authority.
        now: Unix seconds.

    Raises:
        PublicationError: A source could not be loaded by a gate (the message names file, row and member), a key is
            missing, this machine's clock is behind the last publication, or the folder cannot be written.
    """
    with authority.locked():
        files = gather(authority)
        before = authority.repository.published()
        check(files, now, roles=keyusage.publics(before.root.signed.keys.values()))
        _check_clock(before, now)
        try:
            warnings = _renew_root(authority, before, now) + _large_changes(authority)
            changed = _write(authority, before, files, now)
            found = authority.repository.published()
            authority.repository.prune(found)
        except OSError as error:
            raise PublicationError(
                f"{authority.publication} cannot be written: {error.strerror}.", "Check permissions and free space."
            ) from error
    return Publication(_versions(found), len(files), changed, now, warnings)


def gather(authority: Authority) -> Mapping[str, bytes]:
    """Return the files that would be published, by target path; large ones are read when they are asked for.

    Raises:
        PublicationError: A source is missing or could not be published.
    """
    found = {
        path: _compact(authority, path) for path in _NATIONAL if path != paths.CODES or authority.sources.has(path)
    }
    for issuer in authority.sources.issuers_with_keys():
        path = paths.keys_path(issuer)
        found[path] = _compact(authority, path)
    return ChainMap(found, cast("dict[str, bytes]", gather_lists(authority)))


def _compact(authority: Authority, path: str) -> bytes:
    members = authority.sources.members(path)
    return json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def check(files: Mapping[str, bytes], now: int, *, roles: frozenset[bytes] = frozenset()) -> None:
    """Load files as a gate would and check that they agree with each other.

    Args:
        files: What would be published, by target path.
        now: Unix seconds.
        roles: Public keys that sign metadata; none of them may serve another use.

    Raises:
        PublicationError: They do not; the message names the row.
    """
    try:
        small = {path: files[path] for path in files if paths.list_file_of(path) is None}
        trust = snapshot.build(
            Provenance(TrustVersions(1, 1, 1, 1), b"", now, now, now, roles=roles), small, read_back(files)
        )
    except TrustError as error:
        raise PublicationError(error.message, "Correct it under sources/ and publish again.") from error
    _check_registry(trust)
    registries.check(trust)
    _check_keys(trust)
    for area in trust.policy.listed_areas:
        if not _is_known_prefix(area, trust):
            raise _wrong(paths.POLICY, f"lists area {area}, which is not in {paths.REGIONS}")
    for path in files:
        issuer = paths.keys_of(path)
        if issuer is not None and issuer not in trust.issuers:
            raise _wrong(path, f"stands for an issuer that is not in {paths.ISSUERS}")


def _check_registry(trust: TrustSnapshot) -> None:
    for issuer in trust.issuers.values():
        if issuer.region and not trust.region_name(issuer.region):
            raise _wrong(paths.ISSUERS, f"gives {issuer.id} region {issuer.region}, which is not in {paths.REGIONS}")
    for rows in trust.matrix.values():
        if rows[0].issuer not in trust.issuers:
            raise _wrong(paths.MATRIX, f"names issuer {rows[0].issuer}, which is not in {paths.ISSUERS}")


def _check_keys(trust: TrustSnapshot) -> None:
    for key in (key for keys in trust.keys.values() for key in keys):
        path, name = paths.keys_path(key.issuer), f"key {key.key_id.hex()}"
        if (key.issuer, key.status_list) not in trust.status_lists:
            raise _wrong(path, f"gives {name} status list {key.status_list}, which the ledger does not have")
        _check_regions(key, path, name, trust)


def _check_regions(key: IssuerKey, path: str, name: str, trust: TrustSnapshot) -> None:
    for prefix in key.regions:
        if not _is_known_prefix(prefix, trust):
            raise _wrong(path, f"lets {name} speak of {prefix}, which is not in {paths.REGIONS}")
        # An issuer named by its region speaks of that region alone.
        if key.issuer.isdigit() and not prefix.startswith(key.issuer):
            raise _wrong(path, f"lets {name} speak of {prefix or 'everywhere'}, outside its own region")


def _is_known_prefix(prefix: str, trust: TrustSnapshot) -> bool:
    return prefix == "" or any(str(code).startswith(prefix) for code in trust.regions)


def _wrong(path: str, what: str) -> PublicationError:
    return PublicationError(f"{path} {what}.", f"Correct sources/{path} and publish again.")


def _check_clock(before: Published, now: int) -> None:
    last = workflow.issued_at(before.timestamp.signed) if before.timestamp else 0
    if now < last:
        raise PublicationError(
            f"This machine's clock ({iso(now)}) is behind the last publication ({iso(last)}): gates would refuse it.",
            "Set the clock and publish again.",
        )


def _renew_root(authority: Authority, before: Published, now: int) -> tuple[str, ...]:
    if before.root.expires_at - now > RENEW["root"]:
        return ()
    if authority.repository.renew_root(before.root.signed, now):
        return ()
    if before.root.expires_at <= now:
        raise PublicationError(
            f"The root expired at {iso(before.root.expires_at)} and too few root keys are here to sign the next.",
            f"Put two of the root keys back into {authority.folder / 'keys'} and publish again.",
        )
    expiry = iso(before.root.expires_at)
    return (f"The root expires at {expiry}: put two root keys into {authority.folder / 'keys'} and publish before.",)


def _large_changes(authority: Authority) -> tuple[str, ...]:
    return tuple(
        f"{path} changes more than a day's share of its list: gates hold it back until the national role signs it too."
        for path, _ in large_changes(authority)
    )


def _write(authority: Authority, before: Published, files: Mapping[str, bytes], now: int) -> tuple[str, ...]:
    """Sign what changed or runs out, the timestamp always; return the changed paths."""
    listed = {path: target.hashes["sha256"] for path, target in _targets(before).items()}
    wanted = digests(files)
    targets, snapshot_ = before.targets, before.snapshot
    if targets is None or listed != wanted or _runs_out(targets, now):
        version = targets.signed.version + 1 if targets else 1
        named = (version, authority.repository.put_targets(version, files, now))
    else:
        named = (targets.signed.version, targets.raw)
    if snapshot_ is None or named[0] != _version(targets) or _runs_out(snapshot_, now):
        version = _version(snapshot_) + 1
        pointed = (version, authority.repository.put_snapshot(version, named, now))
    else:
        pointed = (snapshot_.signed.version, snapshot_.raw)
    authority.repository.put_timestamp(_version(before.timestamp) + 1, pointed, now)
    return tuple(sorted(path for path, digest in wanted.items() if listed.get(path) != digest))


def _targets(published: Published) -> Mapping[str, Any]:
    return published.targets.signed.targets if published.targets else {}


def _version(metadata: "workflow.Verified[Any] | None") -> int:
    return metadata.signed.version if metadata else 0


def _runs_out(metadata: "workflow.Verified[Any]", now: int) -> bool:
    return metadata.expires_at - now <= RENEW[metadata.signed.type]


def _versions(published: Published) -> TrustVersions:
    return TrustVersions(
        published.root.signed.version,
        _version(published.timestamp),
        _version(published.snapshot),
        _version(published.targets),
    )
