"""`edge trust status|refresh`: what this gate believes, how old it is, and bringing it up to date by hand."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from edge.model.trust import TrustSnapshot
    from edge.trust.fetchers import Fetcher
    from edge.trust.snapshot import Provenance

STATE: Final = "/var/lib/edge"
_TRUST = click.option(
    "--trust", "folder", type=click.Path(path_type=Path), help=f"The gate's trust folder.  [default: {STATE}/trust]"
)
_CONFIG = click.option("--config", type=click.Path(path_type=Path), help="The gate's settings, to find its folder.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _now() -> int:
    return int(time.time())  # noqa: TID251  # a technician's command, outside the gate's processes


@click.group()
def trust() -> None:
    """See what this gate believes, and refresh it."""


def _store_folder(folder: Path | None, config: Path | None) -> Path:
    if folder is not None and config is not None:
        raise click.UsageError("name either --trust or --config")
    if folder is not None:
        return folder
    if config is None:
        return Path(STATE) / "trust"
    from edge.gate.config import load_settings

    return Path(load_settings(config).state) / "trust"


@trust.command()
@_TRUST
@_CONFIG
@_JSON
def status(folder: Path | None, config: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Verify what this gate keeps, offline, and say how old it is.

    The exit code is 0 while the trust data is fresh and its policy in force, 1 otherwise.
    """
    from edge.trust.store import TrustStore

    store = TrustStore(_store_folder(folder, config))
    snapshot, provenance, now = store.load(), store.provenance(), _now()
    told = _status(snapshot, provenance, now)
    click.echo(json.dumps(told, ensure_ascii=False) if as_json else _words(told))
    raise SystemExit(0 if told["band"] == "fresh" and not told["policy_ended"] else 1)


def _status(snapshot: "TrustSnapshot", provenance: "Provenance", now: int) -> dict[str, Any]:
    from edge.trust.fields import iso

    versions, policy = snapshot.versions, snapshot.policy
    return {
        "band": str(snapshot.band(now)),
        "age_s": int(snapshot.age_s(now)),
        "issued_at": iso(snapshot.issued_at),
        "next_expiry": iso(provenance.next_expiry),
        "versions": {
            "root": versions.root,
            "timestamp": versions.timestamp,
            "snapshot": versions.snapshot,
            "targets": versions.targets,
        },
        "policy_version": policy.version,
        "policy_ends_at": iso(snapshot.ends_at),
        "policy_ended": now >= snapshot.ends_at,
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


_BANDS: Final = {
    "fresh": "fresh",
    "stale": "stale: passes that depend on revocation are referred. Refresh it",
    "too_old": "too old: nothing is accepted. Refresh it: edge trust refresh --from ADDRESS",
}


def _words(told: dict[str, Any]) -> str:
    versions = ", ".join(f"{role} {version}" for role, version in told["versions"].items())
    ends = "ENDED" if told["policy_ended"] else "ends"
    lines = [
        f"trust    {_BANDS[told['band']]}",
        f"age      {_span(told['age_s'])} (issued {told['issued_at']})",
        f"version  {versions}",
        f"expiry   {told['next_expiry']} (the authority publishes before)",
        f"policy   version {told['policy_version']}, {ends} {told['policy_ends_at']}",
    ]
    for id_, issuer in told["issuers"].items():
        names = issuer["names"]
        lines.append(f"issuer   {id_:6} {names['zh']} {names['en']}: keys {', '.join(issuer['keys']) or 'none'}")
    lines.append(f"hubs     {', '.join(told['hubs']) or 'none'}")
    return "\n".join(lines)


def _span(seconds: int) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


@trust.command()
@_TRUST
@_CONFIG
@click.option(
    "--from", "source", required=True, metavar="URL|DIR", help="The publication: an address, a folder or a stick."
)
@_JSON
def refresh(folder: Path | None, config: Path | None, source: str, as_json: bool) -> None:  # noqa: FBT001
    """Bring the trust data up to date from an address, a folder or a stick; the same rules hold for each."""
    from edge.trust.store import TrustStore

    store = TrustStore(_store_folder(folder, config))
    with _fetcher(source) as fetcher:
        result = store.refresh(fetcher, _now())
    versions = result.versions
    if as_json:
        told = {"changed": result.changed, "timestamp": versions.timestamp, "targets": versions.targets}
        click.echo(json.dumps({**told, "root": versions.root, "fetched": result.fetched}))
        return
    done = (
        f"now timestamp {versions.timestamp}" if result.changed else f"nothing new since timestamp {versions.timestamp}"
    )
    click.echo(f"{done}, targets {versions.targets}; {result.fetched} files fetched")


@contextmanager
def _fetcher(source: str) -> "Iterator[Fetcher]":
    from edge.trust.fetchers import FolderFetcher, HttpFetcher
    from edge.trust.opening import publication_of

    if "://" not in source:
        folder = Path(source)
        yield FolderFetcher(publication_of(folder) or folder)
        return
    fetcher = HttpFetcher(source)
    try:
        yield fetcher
    finally:
        fetcher.close()
