"""How an authority stands: its roles and keys, what runs out, what waits for signatures."""

from typing import Any

from edge.authority import ceremony
from edge.authority.authority import Authority
from edge.authority.checks import check
from edge.authority.draft import Draft, Published, drafts
from edge.authority.publish import gather, versions
from edge.authority.roles import Roles
from edge.authority.signing import SignedDraft
from edge.errors import PublicationError
from edge.trust import workflow
from edge.trust.fields import iso


def overview(authority: Authority, now: int) -> dict[str, Any]:
    """Return the state of an authority, of plain values.

    Args:
        authority: The authority.
        now: Unix seconds.

    Raises:
        PublicationError: The publication or `roles.json` is damaged.
    """
    before, roles = authority.repository.published(), authority.roles()
    wanted, problem = _wanted(authority, before, roles, now)
    issued = workflow.issued_at(before.timestamp.signed) if before.timestamp else 0
    found = versions(before)
    return {
        "issued_at": iso(issued) if issued else None,
        "versions": {
            "root": found.root,
            "timestamp": found.timestamp,
            "snapshot": found.snapshot,
            "targets": found.targets,
        },
        "sunset": None if roles.sunset is None else iso(roles.sunset),
        "roles": [_role(authority, before, roles, name) for name in roles.by_name],
        "to_sign": [{"role": draft.role, "version": draft.version, "cause": str(draft.cause)} for draft in wanted],
        "pending": _pending(authority),
        "problem": problem,
        "log_entries": len(authority.repository.log.lines()),
    }


def _wanted(authority: Authority, before: Published, roles: Roles, now: int) -> tuple[tuple[Draft, ...], str]:
    try:
        files = gather(authority)
        check(files, now, roles)
        return drafts(before, roles, files, now), ""
    except PublicationError as error:
        # Told beside the rest: whoever asks how things stand needs the rest most when something is wrong.
        return (), str(error)


def _role(authority: Authority, before: Published, roles: Roles, name: str) -> dict[str, Any]:
    role = roles.by_name[name]
    online = {"snapshot": before.snapshot, "timestamp": before.timestamp}
    metadata = online[name] if name in online else before.offline(name)
    return {
        "role": name,
        "threshold": role.threshold,
        "version": metadata.signed.version if metadata else 0,
        "expires_at": iso(metadata.expires_at) if metadata else None,
        "keys": [
            {"name": holder.name, "keyid": holder.key.keyid, "kept": _kept(authority, holder.name)}
            for holder in role.holders
        ],
    }


def _kept(authority: Authority, name: str) -> str:
    if not authority.keys.has(name):
        return "elsewhere"
    try:
        return "sealed" if authority.keys.is_sealed(name) else "plain"
    except PublicationError:
        return "unreadable"


def _pending(authority: Authority) -> list[dict[str, Any]]:
    request = authority.pending.request()
    if request is None:
        return []
    return signed_so_far(authority, ceremony.examine(request).drafts)


def signed_so_far(authority: Authority, asked: tuple[Draft, ...]) -> list[dict[str, Any]]:
    """Return, for each role that was asked for, who has signed and how many are still missing.

    Raises:
        PublicationError: What was gathered cannot be read.
    """
    names = {holder.key.keyid: holder.name for role in authority.roles().by_name.values() for holder in role.holders}
    gathered = authority.pending.signatures()
    found: list[dict[str, Any]] = []
    for draft in asked:
        signed = SignedDraft(draft, gathered.get(draft.role, {}))
        who = sorted(names.get(id_, id_[:8]) for id_ in signed.signatures)
        found.append({"role": draft.role, "version": draft.version, "signed_by": who, "missing": signed.missing})
    return found
