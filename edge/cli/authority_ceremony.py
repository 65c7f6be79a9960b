"""`edge authority request|sign|collect|discard|status|new-key|protect`: a change on its way between desks."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.errors import PublicationError

if TYPE_CHECKING:
    from edge.authority.authority import Authority
    from edge.authority.ceremony import Examined
    from edge.authority.changes import Change
    from edge.authority.keys import Passphrase

FOLDER: Final = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PASSPHRASE: Final = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    help="File with the passphrase (/dev/fd/3 for a descriptor).  [default: ask]",
)
_MAX_PASSPHRASE: Final = 1024
_MAX_FILE: Final = 5 << 20
_LANGUAGES: Final = ("zh", "en")


def now() -> int:
    """Return this machine's clock, Unix seconds."""
    return int(time.time())  # noqa: TID251  # an authority's own clock, read once a command


def opened(folder: Path) -> "Authority":
    """Return the authority in `folder`."""
    from edge.authority.authority import Authority

    return Authority.open(folder)


def read(path: Path, most: int) -> bytes:
    """Return a file a person has named, within bounds."""
    try:
        with click.open_file(str(path), "rb") as file:
            data: bytes = file.read(most + 1)
    except OSError as error:
        raise PublicationError(f"{path} cannot be read: {error.strerror}.", "Check its name.") from error
    if len(data) > most:
        raise PublicationError(f"{path} is longer than {most} bytes.", "Check that it is the file you mean.")
    return data


def asked(file: Path | None) -> "Passphrase | None":
    """Return how a passphrase is come by: from a file, from whoever sits there, or not at all."""
    if file is not None:
        found = read(file, _MAX_PASSPHRASE).rstrip(b"\r\n")
        return lambda _: found
    if not sys.stdin.isatty():
        return None
    return lambda name: str(click.prompt(f"Passphrase of {name}", hide_input=True, err=True)).encode()


def new_passphrase(file: Path | None, *, may_be_none: bool = True) -> bytes | None:
    """Return the passphrase for keys that are to be made, or None for none."""
    if file is not None:
        return read(file, _MAX_PASSPHRASE).rstrip(b"\r\n")
    if may_be_none:
        return None
    return str(click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)).encode()


def _tell(changes: "list[Change]") -> None:
    for language in _LANGUAGES:
        for change in changes:
            click.echo(change.said(language))
        click.echo("")


def _as_json(changes: "list[Change]") -> list[dict[str, Any]]:
    return [
        {"kind": change.kind, **change.values, **{code: change.said(code) for code in _LANGUAGES}} for change in changes
    ]


@click.command()
@FOLDER
@click.option("--out", type=click.Path(path_type=Path), help="Copy the request here, onto a stick.")
@JSON
def request(folder: Path, out: Path | None, as_json: bool) -> None:  # noqa: FBT001  # click passes options by name
    """Ask for signatures: write what the next publication must have signed, and show what changes.

    It waits in DIR/pending until enough keys have signed; a new request takes the place of the one before.
    """
    from edge.authority.changes import changes
    from edge.authority.request import request as make

    asked_ = make(opened(folder), now())
    if out is not None:
        _write(out, asked_.file.read_bytes())
    found = changes(asked_.examined)
    missing: list[dict[str, Any]] = [
        {"role": draft.role, "needs": [need.threshold for need in draft.needs]} for draft in asked_.examined.drafts
    ]
    if as_json:
        told = {"request": str(out or asked_.file), "roles": missing, "changes": _as_json(found)}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    _tell(found)
    for row in missing:
        click.echo(f"{row['role']} needs {_needed(row['needs'])}")
    click.echo(f"Next, at each desk: edge authority sign {out or asked_.file} --key KEYFILE")


def _needed(thresholds: list[int]) -> str:
    if len(thresholds) == 1:
        return f"{thresholds[0]} signatures"
    return f"{thresholds[0]} signatures of the keys it has now and {thresholds[1]} of those it will have"


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    from edge.disk import durable

    try:
        durable.write(path, data, mode=mode)
    except OSError as error:
        raise PublicationError(f"{path} cannot be written: {error.strerror}.", "Check the folder.") from error


@click.command()
@click.argument("file", metavar="REQUEST", type=click.Path(path_type=Path))
@click.option("--key", required=True, type=click.Path(path_type=Path), help="This desk's key file.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to.  [default: beside REQUEST]")
@click.option("--root", type=click.Path(path_type=Path), help="A root this desk trusts, the first time it signs.")
@click.option("--yes", is_flag=True, help="Do not ask whether to sign.")
@PASSPHRASE
@JSON
def sign(file: Path, key: Path, out: Path | None, **given: Any) -> None:
    """Verify REQUEST, show what it changes, and sign it with this desk's key; needs nothing but the two files."""
    from edge.authority import ceremony, signing_desk
    from edge.authority.changes import changes
    from edge.authority.draft import refuse_outdated

    examined = ceremony.examine(ceremony.decode(read(file, _MAX_FILE), str(file)))
    refuse_outdated(examined.drafts, now())
    mine = signing_desk.SigningDesk(key)
    drafts = mine.signable(examined)
    found = changes(examined)
    if not given["as_json"]:
        _tell(found)
    _check_root(mine, examined, given["root"], is_quiet=given["as_json"])
    roles = ", ".join(f"{draft.role} {draft.version}" for draft in drafts)
    if not given["yes"] and not click.confirm(f"Sign {roles} with {key}?", err=True):
        raise PublicationError("Nothing was signed.")
    signatures = mine.sign(drafts, asked(given["passphrase_file"]))
    place = out or file.with_name(f"{file.stem}.{key.stem}.signatures.json")
    _write(place, ceremony.encode_signatures(signatures))
    mine.remember(examined)
    if given["as_json"]:
        told = {"signatures": str(place), "roles": [draft.role for draft in drafts], "changes": _as_json(found)}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    click.echo(f"Signed {roles}: {place}")
    click.echo("Next, at the centre: edge authority collect DIR FILE...")


def _check_root(mine: Any, examined: "Examined", root: Path | None, *, is_quiet: bool) -> None:
    from edge.authority import signing_desk

    if root is not None and read(root, _MAX_FILE) not in examined.request.roots:
        raise PublicationError(f"The request does not come from the authority of {root}.", "Do not sign it.")
    if not mine.knows(examined) and root is None and not is_quiet:
        click.echo(
            f"This desk signs for this authority for the first time: {signing_desk.fingerprint(examined)}", err=True
        )
        click.echo("Compare it with the other desks (sha256sum of metadata/1.root.json begins with it).", err=True)


@click.command()
@FOLDER
@click.argument("files", metavar="SIGNATURES...", nargs=-1, required=True, type=click.Path(path_type=Path))
@JSON
def collect(folder: Path, files: tuple[Path, ...], as_json: bool) -> None:  # noqa: FBT001
    """Add the signatures that desks have sent to the pending request; all of them must hold, or none is kept."""
    from edge.authority import ceremony
    from edge.authority.overview import overview

    authority = opened(folder)
    offered = {str(file): ceremony.decode_signatures(read(file, _MAX_FILE), str(file)) for file in files}
    with authority.locked():
        authority.pending.collect(offered)
    rows = overview(authority, now())["pending"]
    if as_json:
        click.echo(json.dumps({"pending": rows}))
        return
    _tell_pending(rows)
    if not any(row["missing"] for row in rows):
        click.echo(f"Next: edge authority publish {folder}")


def _tell_pending(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        who = ", ".join(row["signed_by"]) or "nobody"
        missing = f"{row['missing']} missing" if row["missing"] else "enough"
        click.echo(f"{row['role']} {row['version']}: signed by {who}; {missing}")


@click.command()
@FOLDER
def discard(folder: Path) -> None:
    """Forget the pending request and its signatures; sources and roles stay as they are."""
    authority = opened(folder)
    with authority.locked():
        authority.pending.clear()
    click.echo("Nothing is pending.")


@click.command()
@FOLDER
@JSON
def status(folder: Path, as_json: bool) -> None:  # noqa: FBT001
    """Say how the authority stands: roles, keys here and elsewhere, what runs out, what waits for signatures."""
    from edge.authority.overview import overview

    told = overview(opened(folder), now())
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    click.echo(f"published {told['issued_at'] or 'never'}, {told['log_entries']} entries in the log")
    click.echo(f"policies may run until {told['sunset'] or 'their own end'}")
    for role in told["roles"]:
        kept = [key["kept"] for key in role["keys"]]
        counted = ", ".join(f"{kept.count(word)} {word}" for word in dict.fromkeys(kept))
        until = role["expires_at"] or "not published"
        click.echo(
            f"{role['role']:18} {role['threshold']} of {len(kept)}  v{role['version']:<5} {until:22} keys: {counted}"
        )
    for row in told["to_sign"]:
        click.echo(f"to sign: {row['role']} {row['version']} ({row['cause']})")
    _tell_pending(told["pending"])
    if told["problem"]:
        click.echo(f"edge: cannot be published as it stands: {told['problem']}", err=True)


@click.command("new-key")
@click.argument("file", metavar="KEYFILE", type=click.Path(path_type=Path))
@click.option("--plain", is_flag=True, help="Without a passphrase: for exercises.")
@PASSPHRASE
@JSON
def new_key(file: Path, plain: bool, passphrase_file: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Make a desk's own key, sealed by a passphrase, and beside it the public half (.pub) that the centre needs."""
    from nacl.signing import SigningKey

    from edge.authority import keys
    from edge.authority.sealed import Seal

    if file.exists():
        raise PublicationError(f"{file} is there already; a key is never overwritten.", "Name another file.")
    passphrase = None if plain else new_passphrase(passphrase_file, may_be_none=False)
    key = SigningKey.generate()
    try:
        keys.create(file, key, None if passphrase is None else Seal.new(passphrase))
    except FileExistsError:
        raise PublicationError(f"{file} is there already; a key is never overwritten.", "Name another file.") from None
    except OSError as error:
        raise PublicationError(f"{file} cannot be written: {error.strerror}.", "Check the folder.") from error
    public, half = bytes(key.verify_key).hex(), file.with_suffix(".pub")
    _write(half, public.encode() + b"\n")
    if as_json:
        click.echo(json.dumps({"key": str(file), "public": public, "public_file": str(half)}))
        return
    click.echo(f"The key is in {file}: back it up, apart. Its public half, for a stick, is in {half}: {public}")
    click.echo(f"Next, at the centre: edge authority rotate DIR KEYNAME --public-file {half.name}")


@click.command()
@click.argument("file", metavar="KEYFILE", type=click.Path(path_type=Path))
@click.option("--new-passphrase-file", type=click.Path(path_type=Path), help="File with it.  [default: ask]")
@click.option("--remove", is_flag=True, help="Take the passphrase away: for a machine that signs, mode 0600 stays.")
@PASSPHRASE
def protect(file: Path, new_passphrase_file: Path | None, remove: bool, passphrase_file: Path | None) -> None:  # noqa: FBT001
    """Seal a key file by a passphrase, or change or remove the one it has."""
    from edge.authority import keys
    from edge.authority.sealed import Seal

    key = keys.load(file, asked(passphrase_file))
    passphrase = None if remove else new_passphrase(new_passphrase_file, may_be_none=False)
    try:
        keys.write(file, key, None if passphrase is None else Seal.new(passphrase))
    except OSError as error:
        raise PublicationError(f"{file} cannot be written: {error.strerror}.", "Check the folder.") from error
    click.echo(f"{file} is {'plain, mode 0600' if passphrase is None else 'sealed'}.")


COMMANDS: Final[tuple[click.Command, ...]] = (request, sign, collect, discard, status, new_key, protect)
