"""What `edge trust status` and `edge trust explain` say, as JSON and as lines for people."""

from dataclasses import asdict
from typing import Any, Final

from edge.model.moment import Moment
from edge.model.trust import TrustSnapshot
from edge.trust.chain import Chain, RoleShown, roles_of
from edge.trust.changes import Changes
from edge.trust.fields import iso
from edge.trust.view import View
from edge.words.catalogue import duration, label

_MOST_PATHS: Final = 6


def status(view: View, snapshot: TrustSnapshot, changes: Changes | None, now: int) -> dict[str, Any]:
    """Return the state of a gate's trust as JSON would hold it."""
    snapshot = snapshot.at(Moment(now * 1000))
    versions, policy, roles = snapshot.versions, snapshot.policy, roles_of(view)
    following = policy.following
    first = min(roles, key=lambda role: role.expires_at)
    targets = [found.target for found in view.listing.found.values()]
    return {
        "band": str(snapshot.band(now)),
        "age_s": int(snapshot.age_s(now)),
        "issued_at": iso(snapshot.issued_at),
        "stale_at": iso(snapshot.issued_at + policy.stale_after_s),
        "too_old_at": iso(snapshot.issued_at + policy.too_old_after_s),
        "next_expiry": iso(first.expires_at),
        "next_expiry_role": first.name,
        "versions": {
            "root": versions.root,
            "timestamp": versions.timestamp,
            "snapshot": versions.snapshot,
            "targets": versions.targets,
        },
        "roles": [_role(role, now) for role in roles],
        "withheld": sorted(view.withheld),
        "metadata_bytes": sum(role.size for role in roles),
        "files": len(targets),
        "file_bytes": sum(target.length for target in targets),
        "changes": changes and {**asdict(changes), "at": iso(changes.at)},
        "policy_version": policy.version,
        "policy_ends_at": iso(snapshot.ends_at),
        "policy_ended": now >= snapshot.ends_at,
        "policy_next": following and {"version": following.version, "effective_at": iso(following.effective_at)},
        "sunset": iso(snapshot.sunset) if snapshot.sunset is not None else None,
        "issuers": {
            issuer.id: {
                "names": dict(issuer.names),
                "keys": sorted(kid.hex() for owner, kid in snapshot.keys if owner == issuer.id),
                "status_lists": sorted(number for owner, number in snapshot.status_lists if owner == issuer.id),
            }
            for issuer in snapshot.issuers.values()
        },
        "hubs": sorted(snapshot.hub_keys),
        "auditor": snapshot.auditor_key is not None,
    }


def _role(role: RoleShown, now: int) -> dict[str, Any]:
    return {
        "name": role.name,
        "version": role.version,
        "expires_at": iso(role.expires_at),
        "expired": now >= role.expires_at,
        "signed_by": list(role.signed_by),
        "threshold": role.threshold,
        "keys": role.keys,
        "bytes": role.size,
    }


_BANDS: Final = {
    "fresh": "fresh",
    "stale": "stale: passes that depend on revocation are referred. Refresh it",
    "too_old": "too old: nothing is accepted. Refresh it: edge trust refresh --from ADDRESS",
}


def status_lines(told: dict[str, Any]) -> str:
    """Return the state of a gate's trust as lines for a technician."""
    ends = "ENDED" if told["policy_ended"] else "ends"
    age = duration("en", told["age_s"])
    lines = [
        f"trust    {_BANDS[told['band']]}",
        f"age      {age} (issued {told['issued_at']}; stale {told['stale_at']}, too old {told['too_old_at']})",
        f"version  {', '.join(f'{role} {version}' for role, version in told['versions'].items())}",
        f"expiry   {told['next_expiry']}, {told['next_expiry_role']} (its signers publish before)",
        f"size     {told['metadata_bytes']} bytes of metadata, {told['files']} files of {told['file_bytes']} bytes",
        f"policy   version {told['policy_version']}, {ends} {told['policy_ends_at']}",
    ]
    if told["policy_next"]:
        lines.append(
            f"next     policy version {told['policy_next']['version']} from {told['policy_next']['effective_at']}"
        )
    if told["sunset"]:
        lines.append(f"sunset   {told['sunset']}: no policy runs longer without a new root")
    for role in told["roles"]:
        ids = role["signed_by"]
        by = f"{len(ids)} of {role['keys']} keys, {role['threshold']} needed ({', '.join(ids)})"
        state = "EXPIRED" if role["expired"] else "until"
        lines.append(f"role     {role['name']} {role['version']}: {by}, {state} {role['expires_at']}")
    lines += [f"missing  {name}: came expired, its issuers are left out" for name in told["withheld"]]
    for id_, issuer in told["issuers"].items():
        names = issuer["names"]
        lines.append(f"issuer   {id_:6} {names['zh']} {names['en']}: keys {', '.join(issuer['keys']) or 'none'}")
    lines.append(f"hubs     {', '.join(told['hubs']) or 'none'}")
    return "\n".join(lines + _changed(told["changes"]))


def _changed(changes: dict[str, Any] | None) -> list[str]:
    if changes is None:
        return ["changed  not known: the last refresh was made by an older version"]
    versions = ", ".join(
        f"{name} {'new' if old is None else old} -> {'gone' if new is None else new}"
        for name, (old, new) in changes["versions"].items()
    )
    lines = [f"changed  {changes['at']}: {versions}"]
    for word in ("added", "changed", "removed"):
        paths = changes[word]
        if paths:
            more = f" and {len(paths) - _MOST_PATHS} more" if len(paths) > _MOST_PATHS else ""
            lines.append(f"         {word}: {', '.join(paths[:_MOST_PATHS])}{more}")
    return lines


def chain(found: Chain) -> dict[str, Any]:
    """Return by whose word an issuer is believed, as JSON would hold it."""
    return {
        "issuer": found.issuer.id,
        "names": dict(found.issuer.names),
        "roles": [{**asdict(role), "expires_at": iso(role.expires_at)} for role in found.roles],
        "path": found.path,
        "sha256": found.digest,
        "keys": [
            {
                "kid": key.key_id.hex(),
                "kinds": sorted(kind.name.lower() for kind in key.kinds),
                "regions": list(key.regions),
                "max_validity_s": key.max_validity_s,
                "not_before": iso(key.not_before),
                "not_after": iso(key.not_after),
            }
            for key in found.keys
        ],
        "timestamp": found.timestamp,
        "snapshot": found.snapshot,
        "issued_at": iso(found.issued_at),
    }


def chain_lines(found: Chain, language: str) -> str:
    """Return by whose word an issuer is believed, in words."""
    name = found.issuer.names.get(language, found.issuer.id)
    lines = [label(language, "chain.title", issuer=found.issuer.id, name=name)]
    above = ""
    for number, role in enumerate(found.roles, start=1):
        signed = label(language, "chain.signed", count=len(role.signed_by), threshold=role.threshold, keys=role.keys)
        until = label(language, "chain.until", expires_at=iso(role.expires_at))
        lines.append(f"{number}. {role.name} v{role.version}: {signed} ({', '.join(role.signed_by)}); {until}")
        lines.append("   " + (label(language, "chain.named", role=above) if above else label(language, "chain.first")))
        if role.may_list:
            lines.append("   " + label(language, "chain.may", paths=", ".join(role.may_list)))
        above = role.name
    lines.append(f"{len(found.roles) + 1}. {found.path}: {label(language, 'chain.listed', role=above)}")
    lines.append(f"   sha256 {found.digest}")
    lines += [f"   {_key(key, language)}" for key in chain(found)["keys"]]
    if not found.keys:
        lines.append("   " + label(language, "chain.keys", keys="-"))
    issued = iso(found.issued_at)
    lines.append(label(language, "chain.fresh", timestamp=found.timestamp, snapshot=found.snapshot, issued_at=issued))
    return "\n".join(lines)


def _key(key: dict[str, Any], language: str) -> str:
    kinds = ", ".join(key["kinds"])
    regions = ", ".join(region or "*" for region in key["regions"])
    return label(
        language,
        "chain.key",
        kid=key["kid"],
        kinds=kinds,
        regions=regions,
        longest=duration(language, key["max_validity_s"]),
        begin=key["not_before"],
        end=key["not_after"],
    )
