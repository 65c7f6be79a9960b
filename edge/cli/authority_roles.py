"""`edge authority rotate|delegate|sunset|cosign|upgrade|renew|audit`: who may sign what, and what has been signed."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from edge.cli.authority_ceremony import FOLDER, JSON, PASSPHRASE, new_passphrase, now, opened, read
from edge.errors import PublicationError

_TIME_FORM: Final = "%Y-%m-%dT%H:%M:%SZ"
_MAX_CHECKPOINT: Final = 64 << 10
_MAX_PUBLIC: Final = 1024
PROVINCES: Final = click.option(
    "--provinces/--no-provinces", default=None, help="Whether each province signs for itself."
)


def time_of(text: str) -> int:
    """Return Unix seconds of a time a person has typed."""
    if text.isdecimal() and len(text) < 12:  # noqa: PLR2004  # Unix seconds up to the year 5138
        return int(text)
    try:
        return int(datetime.strptime(text, _TIME_FORM).replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise click.UsageError(f"{text!r} is not a time such as 2026-11-23T08:00:00Z") from None


def is_delegated(provinces: bool | None) -> bool:  # noqa: FBT001  # as click gives it
    """Return whether provinces sign for themselves, as asked or as usual."""
    from edge.authority.roles import DELEGATED

    return DELEGATED if provinces is None else provinces


def _next(folder: Path) -> None:
    click.echo(f"Next: edge authority publish {folder}")
    click.echo(f"or, where others must sign: edge authority request {folder} --out FILE")


@click.command()
@FOLDER
@click.argument("names", metavar="KEY|ROLE...", nargs=-1, required=True)
@click.option("--public", metavar="HEX", help="The new key's public half, made elsewhere (`edge authority new-key`).")
@click.option("--public-file", type=click.Path(path_type=Path), help="A file with it, as new-key writes it.")
@PASSPHRASE
@JSON
def rotate(folder: Path, names: tuple[str, ...], public: str | None, **given: Any) -> None:
    """Put a new key in place of one that is lost, stolen or old: a key (root-2) or a whole role (province-61)."""
    from edge.authority import rotation

    if given["public_file"] is not None:
        if public is not None:
            raise click.UsageError("name either --public or --public-file")
        public = read(given["public_file"], _MAX_PUBLIC).decode(errors="replace").strip()
    half = None if public is None else _hex(public)
    passphrase = new_passphrase(given["passphrase_file"])
    rotated = rotation.rotate(opened(folder), names, public=half, passphrase=passphrase)
    rows = [{"role": one.role, "old": one.old, "new": one.new.name, "public": one.new.public.hex()} for one in rotated]
    if given["as_json"]:
        click.echo(json.dumps({"rotated": rows}))
        return
    for row in rows:
        click.echo(f"{row['role']}: {row['old']} goes, {row['new']} comes")
    _next(folder)


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise click.UsageError("--public takes hexadecimal digits") from None


@click.command()
@FOLDER
@click.argument("digits", metavar="NNNN")
@PASSPHRASE
def delegate(folder: Path, digits: str, passphrase_file: Path | None) -> None:
    """Give prefecture NNNN (GB/T 2260) a role and keys of its own under its province's."""
    from edge.authority import rotation

    role = rotation.add_prefecture(opened(folder), digits, passphrase=new_passphrase(passphrase_file))
    click.echo(f"{role.name}: {role.threshold} of {', '.join(holder.name for holder in role.holders)}")
    _next(folder)


@click.command()
@FOLDER
@click.argument("until", metavar="TIME")
def sunset(folder: Path, until: str) -> None:
    """Let policies run until TIME at most, whatever they say; it takes a new root, so the root keys must sign."""
    from edge.authority import rotation
    from edge.trust.fields import iso

    moment = time_of(until)
    before = rotation.set_sunset(opened(folder), moment, now())
    click.echo(f"policies may run until {iso(moment)} (so far: {'no bound' if before is None else iso(before)})")
    _next(folder)


@click.command()
@FOLDER
@click.argument("paths", metavar="[PATH...]", nargs=-1)
@JSON
def cosign(folder: Path, paths: tuple[str, ...], as_json: bool) -> None:  # noqa: FBT001  # click passes options by name
    """Approve, for the nation, deltas that change more than one entry in a hundred; without PATH all that wait."""
    from hashlib import sha256

    from edge.authority import rotation
    from edge.authority.lists import large_changes
    from edge.authority.publish import gather

    authority = opened(folder)
    files = gather(authority)
    paths = paths or tuple(path for path, _ in large_changes(authority))
    if not paths:
        raise PublicationError(
            "No delta that is to be published needs the nation's approval.", "Nothing is to be done."
        )
    for path in paths:
        if path not in files:
            raise PublicationError(f"{path} is not among the files to publish.", "See: edge authority request DIR")
    approved = {path: sha256(files[path]).hexdigest() for path in paths}
    rotation.cosign(authority, approved)
    if as_json:
        click.echo(json.dumps({"cosigned": [{"path": path, "sha256": approved[path]} for path in paths]}))
        return
    for path in paths:
        click.echo(f"{path} {approved[path]}")
    _next(folder)


@click.command()
@FOLDER
@PROVINCES
@PASSPHRASE
@JSON
def upgrade(folder: Path, provinces: bool | None, passphrase_file: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Give an authority of a former version the roles of this one; gates follow by the next root."""
    from edge.authority import rotation

    fresh = rotation.upgrade(
        opened(folder), now(), delegated=is_delegated(provinces), passphrase=new_passphrase(passphrase_file)
    )
    if as_json:
        click.echo(json.dumps({"roles": list(fresh)}))
        return
    click.echo(f"new keys for: {', '.join(fresh)}" if fresh else "This authority has all its roles.")
    _next(folder)


@click.command()
@FOLDER
@JSON
def renew(folder: Path, as_json: bool) -> None:  # noqa: FBT001
    """Renew the signed time alone; DIR needs publication/ and the two online keys in keys/, nothing else. Run daily."""
    from edge.authority.authority import Authority
    from edge.authority.publish import renew as sign

    done = sign(Authority(folder), now())
    for warning in done.warnings:
        click.echo(f"edge: {warning}", err=True)
    told = {"timestamp": done.versions.timestamp, "snapshot": done.versions.snapshot, "warnings": list(done.warnings)}
    click.echo(json.dumps(told) if as_json else f"renewed as timestamp {done.versions.timestamp}")


@click.command()
@FOLDER
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), help="An older checkpoint that the log must still begin with."
)
@JSON
def audit(folder: Path, checkpoint: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Verify every publication ever made, offline, from a copy of the publication (or an authority) in DIR."""
    from edge.authority.audit import audit as verify
    from edge.trust.opening import publication_of

    older = None if checkpoint is None else read(checkpoint, _MAX_CHECKPOINT)
    found = verify(publication_of(folder) or folder, older)
    if as_json:
        click.echo(json.dumps(found.told(), ensure_ascii=False))
    else:
        click.echo(found.summary)
    raise SystemExit(0 if found.holds else 1)


COMMANDS: Final[tuple[click.Command, ...]] = (rotate, delegate, sunset, cosign, upgrade, renew, audit)
