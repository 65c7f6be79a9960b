"""The commands of `edge authority` about its lists: revoking one pass or millions, reserves for desks, hashes."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.cli.authority_ceremony import FOLDER, now, opened
from edge.errors import PublicationError

if TYPE_CHECKING:
    from edge.authority.authority import Authority
    from edge.authority.revocation import Progress
    from edge.model.trust import Status

_ISSUER = click.option("--issuer", required=True, help="Issuer id.")
_LIST = click.option("--list", "number", type=int, help="Number of the status list, where the issuer has several.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_KINDS: Final = ("signature", "identifier", "country_and_identifier")
_DIGEST_CHARS: Final = 64


@click.command()
@FOLDER
@_ISSUER
@click.option("--index", type=int, help="The pass's index, as `issue` printed it.")
@click.option("--from", "file", metavar="FILE|-", help="Many passes: an index a line. Run it again if it was cut off.")
@_LIST
@click.option("--suspend", is_flag=True, help="Suspend for a while instead of revoking.")
@click.option("--restore", "--undo", "restore", is_flag=True, help="Take a suspension or a revocation back.")
@click.option("--reason", default="", help="Why; kept for good. Needed to take a revocation back. Nothing personal.")
@_JSON
def revoke(folder: Path, issuer: str, index: int | None, file: str | None, **given: Any) -> None:
    """Revoke, suspend or restore passes. Gates know after the next publish and their next refresh."""
    from edge.model.trust import Status

    if given["suspend"] and given["restore"]:
        raise click.UsageError("name either --suspend or --restore")
    if (index is None) == (file is None):
        raise click.UsageError("name either --index or --from")
    status = Status.SUSPENDED if given["suspend"] else Status.VALID if given["restore"] else Status.INVALID
    if file is not None:
        _mark_many(folder, issuer, file, status, given)
        return
    from edge.authority.revocation import set_status

    place = set_status(
        opened(folder), issuer, index or 0, status, now(), number=given["number"], reason=given["reason"]
    )
    if given["as_json"]:
        click.echo(json.dumps({"status": status.name.lower(), "list": place.number, "index": place.index}))
        return
    click.echo(f"{_done(status)}: issuer {issuer}, list {place.number}, index {place.index}")
    click.echo(f"Next: edge authority publish {folder}")


def _done(status: "Status") -> str:
    return {"INVALID": "revoked", "SUSPENDED": "suspended", "VALID": "restored"}[status.name]


def _mark_many(folder: Path, issuer: str, file: str, status: "Status", given: dict[str, Any]) -> None:
    from edge.authority.marks import Marking
    from edge.authority.revocation import Progress, set_statuses

    authority = opened(folder)
    place = issuer, _number(authority, issuer, given["number"])
    marking = Marking(status, now(), given["reason"])
    found = Progress(0, 0, 0, 0, ())
    try:
        with click.open_file(file, "r", encoding="utf-8", errors="replace") as lines:
            for step in _with_progress(set_statuses(authority, place, lines, marking)):
                found = step
    except OSError as error:
        raise PublicationError(f"{file} cannot be read: {error.strerror}.", "Check its name.") from error
    if found.refused:
        shown = ", ".join(str(index) for index in found.unknown)
        click.echo(f"edge: {found.refused} indices were never issued in this list: {shown}, ...", err=True)
    if given["as_json"]:
        told = {"status": status.name.lower(), "list": place[1], "lines": found.total}
        click.echo(json.dumps({**told, "changed": found.changed, "refused": found.refused}))
    else:
        click.echo(f"{_done(status)}: {found.changed} of {found.total} passes of issuer {issuer}, list {place[1]}")
        click.echo(f"Next: edge authority publish {folder}")
    raise SystemExit(1 if found.refused else 0)


def _number(authority: "Authority", issuer: str, number: int | None) -> int:
    numbers = [found for owner, found in authority.ledger.lists() if owner == issuer]
    if number is None and len(numbers) > 1:
        raise PublicationError(f"Issuer {issuer} has {len(numbers)} lists.", "Name the list with --list NUMBER.")
    if not numbers or number not in {None, *numbers}:
        raise PublicationError(f"Issuer {issuer} has no such status list.", "Check the issuer and the list.")
    return numbers[0] if number is None else number


def _with_progress(steps: "Iterable[Progress]") -> "Iterable[Progress]":
    for step in steps:
        if sys.stderr.isatty():
            click.echo(f"\r{step.done} of {step.total}", nl=False, err=True)
        yield step
    if sys.stderr.isatty():
        click.echo("\r", nl=False, err=True)


@click.command()
@FOLDER
@_ISSUER
@_LIST
@click.option("--index", type=int, required=True, help="The pass's index.")
@_JSON
def history(folder: Path, issuer: str, number: int | None, index: int, as_json: bool) -> None:  # noqa: FBT001
    """Tell every change of a pass's status: when, from what to what, and why."""
    from edge.authority.ledger import Index
    from edge.trust.fields import iso

    authority = opened(folder)
    place = Index(issuer, _number(authority, issuer, number), index)
    changes = list(authority.ledger.history(place))
    if not changes and not as_json:
        click.echo(f"No change of index {index} of issuer {issuer}, list {place.number}, is on record.", err=True)
    for change in changes:
        if as_json:
            told = {"at": iso(change.at), "was": change.was.name.lower(), "now": change.now.name.lower()}
            click.echo(json.dumps({**told, "reason": change.reason}, ensure_ascii=False))
        else:
            click.echo(f"{iso(change.at)}  {change.was.name.lower()} -> {change.now.name.lower()}  {change.reason}")


@click.command("reserve")
@FOLDER
@_ISSUER
@_LIST
@click.option("--count", type=click.IntRange(1, 1 << 31), required=True, help="How many indices.")
@click.option("--desk", required=True, help="What the desk is called, in the ledger and in its file.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The desk's file; it belongs to one desk.")
def reserve(folder: Path, issuer: str, number: int | None, count: int, desk: str, out: Path) -> None:
    """Set indices aside for a desk that issues without a link; nobody else is ever given one of them."""
    from edge.authority import desk as desks
    from edge.disk import durable

    if out.exists():
        raise PublicationError(f"{out} is there already.", "Name a new file: two desks never share one.")
    authority = opened(folder)
    found = desks.reserve(authority, (issuer, _number(authority, issuer, number)), count, desk, now())
    try:
        durable.write(out, found.encode(), mode=0o600)
    except OSError as error:
        raise PublicationError(
            f"{out} cannot be written: {error.strerror}.", "What was set aside stays so; reserve again elsewhere."
        ) from error
    click.echo(f"{count} indices of issuer {issuer}, list {found.number}, are {desk}'s: {out}")
    click.echo(f"At the desk: edge authority draw {out} --count 1")


@click.command("draw")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="How many.")
@_JSON
def draw(file: Path, count: int, as_json: bool) -> None:  # noqa: FBT001
    """Draw indices at a desk, at random and none twice; what is printed is used up."""
    from edge.authority import desk

    for index in desk.draw(file, count):
        place = {"issuer": index.issuer, "list": index.number, "index": index.index}
        click.echo(json.dumps(place) if as_json else str(index.index))


@click.command("set-hashes")
@FOLDER
@_ISSUER
@click.option("--list", "number", type=click.IntRange(1, 999_999), default=1, show_default=True, help="Its number.")
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What of a credential is hashed.")
@click.option("--width", type=click.IntRange(8, 32), default=16, show_default=True, help="Bytes kept of each hash.")
@click.option("--from", "file", metavar="FILE|-", required=True, help="SHA-256 in hexadecimal, one a line.")
def set_hashes(folder: Path, issuer: str, number: int, file: str, **given: Any) -> None:
    """Put a list of revoked foreign credentials in place of the last; gates know after the next publish."""
    from edge.authority.lists import put_hashes
    from edge.model.credential import HashKind

    kind = HashKind[given["kind"].upper()]
    try:
        with click.open_file(file, "r", encoding="ascii", errors="replace") as lines:
            count = put_hashes(opened(folder), (issuer, number), kind, given["width"], _digests(lines), now=now())
    except OSError as error:
        raise PublicationError(f"{file} cannot be read: {error.strerror}.", "Check its name.") from error
    click.echo(f"{count} hashes of issuer {issuer}, list {number}")
    click.echo(f"Next: edge authority publish {folder}")


def _digests(lines: Iterable[str]) -> Iterable[bytes]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        try:
            digest = bytes.fromhex(text) if len(text) == _DIGEST_CHARS else b""
        except ValueError:
            digest = b""
        if not digest:
            raise PublicationError(f"Line {number} is no SHA-256 in hexadecimal; nothing was changed.")
        yield digest


COMMANDS: Final = (revoke, history, reserve, draw, set_hashes)
