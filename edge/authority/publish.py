"""Sources and ledger become a signed publication. Run it after every change, and daily: it renews the signed time.

Everything is read back by the gate's own reader before anything is signed: what could not be loaded is not published.
What is signed by too few is not published either; `edge.authority.request` gathers the others' signatures.
"""

import json
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from edge.authority import signing
from edge.authority.authority import Authority
from edge.authority.checks import check
from edge.authority.draft import DAY, RENEW, Cause, Published, drafts, listed_after, refuse_outdated
from edge.authority.keys import Passphrase
from edge.authority.lists import gather_lists, large_changes
from edge.authority.roles import Roles
from edge.authority.signing import SignedDraft
from edge.errors import PublicationError
from edge.model.trust import TrustSnapshot, TrustVersions
from edge.trust import paths, workflow
from edge.trust.fields import iso

_NATIONAL: Final = (
    paths.POLICY,
    paths.MATRIX,
    paths.ISSUERS,
    paths.REGIONS,
    paths.VENUES,
    paths.CODES,
    paths.HUBS,
    paths.AUDITOR,
    paths.RULES,
)
_OPTIONAL: Final = frozenset((paths.CODES, paths.RULES))
"""Documents that an authority need not have."""


_IDLE_S: Final = 30 * DAY
"""How long past its root's expiry an authority may have been idle before its clock is doubted."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What was published.

    Attributes:
        versions: Versions of the metadata in force now.
        targets: Number of target files.
        changed: Paths of the targets that are new or other than before.
        signed: Offline roles that have a new version.
        issued_at: The signed issue time, Unix seconds.
        warnings: What the authority should do soon, a sentence each.
    """

    versions: TrustVersions
    targets: int
    changed: tuple[str, ...]
    signed: tuple[str, ...]
    issued_at: int
    warnings: tuple[str, ...]


def publish(
    authority: Authority, now: int, *, passphrase: Passphrase | None = None, newest: int | None = None
) -> Publication:
    """Sign and write the publication; gates see it with their next refresh.

    Args:
        authority: The authority.
        now: Unix seconds.
        passphrase: Asks for the passphrase of a sealed key, where its signature is needed; None where nobody can.
        newest: Latest time believed, Unix seconds; None for a month past the root in force.

    Raises:
        PublicationError: A source could not be loaded by a gate (the message names file, row and member), a change is
            signed by too few, a key is missing, this machine's clock is behind the last publication or far ahead of
            it, or the folder cannot be written.
    """
    with authority.locked():
        _recover(authority)
        files, roles = gather(authority), authority.roles()
        trust = check(files, now, roles)
        before = authority.repository.published()
        _check_clock(before, now, newest)
        wanted = authority.pending.match(drafts(before, roles, files, now))
        refuse_outdated(wanted, now)
        gathered = authority.pending.signatures()
        signed = signing.sign_here(wanted, authority.keys, passphrase, gathered)
        met = signing.refuse_unmet(signed, now, _expiries(before))
        _write(authority, before, met, files, now)
        found = authority.repository.published()
        authority.pending.clear()
    listed, was = found.listed(), before.listed()
    changed = tuple(sorted(path for path, digest in listed.items() if was.get(path) != digest))
    warnings = (
        *_warnings(signed, before),
        *_sunset_warning(roles, trust),
        *_large_changes(authority, roles),
        *_former(authority),
    )
    return Publication(versions(found), len(listed), changed, tuple(one.draft.role for one in met), now, warnings)


def renew(authority: Authority, now: int) -> Publication:
    """Sign the time anew, and the snapshot where it runs out: all that a machine with the two online keys may do.

    Args:
        authority: The folder: `publication/`, and `keys/` with the two online keys; nothing else is read.
        now: Unix seconds.

    Raises:
        PublicationError: Nothing was ever published, a key is missing, the clock is behind, or the folder cannot be
            written.
    """
    with authority.locked():
        _recover(authority)
        before = authority.repository.published()
        if before.targets is None:
            raise PublicationError(f"{authority.folder} has published nothing yet.", "Publish first.")
        _check_clock(before, now, None)
        _write(authority, before, (), {}, now)
        found = authority.repository.published()
    return Publication(versions(found), len(found.listed()), (), (), now, expiring(found, now))


def _recover(authority: Authority) -> None:
    try:
        authority.repository.recover()
    except OSError as error:
        raise _unwritable(authority, error) from error


def _write(
    authority: Authority, before: Published, signed: tuple[SignedDraft, ...], files: Mapping[str, bytes], now: int
) -> None:
    try:
        listed = listed_after(before, (one.draft for one in signed))
        authority.repository.put_files({path: one for path, one in listed.items() if path in files}, files)
        authority.repository.commit(before, signed, now)
        authority.repository.prune(authority.repository.published())
    except OSError as error:
        raise _unwritable(authority, error) from error


def _unwritable(authority: Authority, error: OSError) -> PublicationError:
    return PublicationError(
        f"{authority.publication} cannot be written: {error.strerror}.", "Check permissions and free space."
    )


def gather(authority: Authority) -> Mapping[str, bytes]:
    """Return the files that would be published, by target path; large ones are read when they are asked for.

    Raises:
        PublicationError: A source is missing or could not be published.
    """
    found = {
        path: _compact(authority, path) for path in _NATIONAL if path not in _OPTIONAL or authority.sources.has(path)
    }
    named = map(paths.keys_path, authority.sources.issuers_with_keys())
    for path in (*named, *authority.sources.anchor_paths()):
        found[path] = _compact(authority, path)
    return ChainMap(found, cast("dict[str, bytes]", gather_lists(authority)))


def _compact(authority: Authority, path: str) -> bytes:
    members = authority.sources.members(path)
    return json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _check_clock(before: Published, now: int, newest: int | None) -> None:
    last = workflow.issued_at(before.timestamp.signed) if before.timestamp else 0
    if now < last:
        raise PublicationError(
            f"This machine's clock ({iso(now)}) is behind the last publication ({iso(last)}): gates would refuse it.",
            "Set the clock and publish again.",
        )
    # A time signed too far ahead becomes a floor at every gate, which would then refuse each true one.
    if now > (before.root.expires_at + _IDLE_S if newest is None else newest):
        raise PublicationError(
            f"This machine's clock ({iso(now)}) is far past the root, which expired at {iso(before.root.expires_at)}.",
            "Set the clock; if it is right: edge authority publish DIR --clock-is-right",
        )


def _large_changes(authority: Authority, roles: Roles) -> tuple[str, ...]:
    return tuple(
        f"{path} changes more than a day's share of its list: gates hold it back until the nation signs it too "
        "(edge authority cosign DIR)."
        for path, digest in large_changes(authority)
        if (path, digest) not in roles.cosigned
    )


def _expiries(before: Published) -> dict[str, int]:
    names = ("root", "targets", *before.delegated)
    return {name: found.expires_at for name in names if (found := before.offline(name)) is not None}


def _warnings(signed: tuple[SignedDraft, ...], before: Published) -> tuple[str, ...]:
    expiries = _expiries(before)
    return tuple(
        f"Role {one.draft.role} expires at {iso(expiries[one.draft.role])} and too few of its keys are here: "
        "have it signed before (edge authority request DIR)."
        for one in signed
        if one.missing and one.draft.cause is Cause.RENEWED
    )


def expiring(found: Published, now: int) -> tuple[str, ...]:
    """Return a sentence for each offline role that runs out soon."""
    return tuple(
        f"Role {name} expires at {iso(expiry)}: have it signed before (edge authority request DIR)."
        for name, expiry in _expiries(found).items()
        if expiry - now <= RENEW["root" if name == "root" else "targets"]
    )


def _sunset_warning(roles: Roles, trust: TrustSnapshot) -> tuple[str, ...]:
    if roles.sunset is None or trust.policy.ends_at <= roles.sunset:
        return ()
    ends_at, sunset = iso(trust.policy.ends_at), iso(roles.sunset)
    return (f"The policy runs until {ends_at}, but the root ends every policy at {sunset} (edge authority sunset).",)


def _former(authority: Authority) -> tuple[str, ...]:
    if authority.has_roles:
        return ()
    return (f"This authority is of the former form, with fewer keys: edge authority upgrade {authority.folder}",)


def versions(published: Published) -> TrustVersions:
    """Return the versions of the top-level metadata, 0 for what is not there yet."""

    def version(metadata: "workflow.Verified[Any] | None") -> int:
        return metadata.signed.version if metadata else 0

    return TrustVersions(
        published.root.signed.version,
        version(published.timestamp),
        version(published.snapshot),
        version(published.targets),
    )
