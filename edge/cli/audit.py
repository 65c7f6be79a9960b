"""`edge audit register|privacy|join`: show what is kept about people, and look whether it is so."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edge.cli import answers

if TYPE_CHECKING:
    from edge.audit.join import Outcome
    from edge.audit.search import Report

_FOUND: Final = 1
_UNREAD: Final = 3
_SHOWN: Final = 200


@click.group()
def audit() -> None:
    """Show what is kept about people, search for what must not be, try to join two days."""


@audit.command()
@click.option("--format", "form", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
def register(form: str) -> None:
    """Print the register: every field that is stored or sent, its class, how long it is kept, who reads it."""
    from edge.audit import register as kept

    click.echo(kept.text() if form == "json" else kept.markdown(kept.load()), nl=False)


@audit.command()
@click.argument("paths", metavar="DIR...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--plant",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='Who was planted: JSON lines like {"label": "person 1, name", "text": "..."}, or "hex" or "base64".',
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")
def privacy(paths: tuple[Path, ...], plant: Path | None, *, as_json: bool) -> None:
    """Search folders, files, disk images and devices for what must not be there; nothing is changed.

    Looked for are the planted people of --plant, in every form they could have been written in, and whatever looks like
    a raw code or an identity number. Databases with their journals, batches and compressed files are opened. A finding
    names file, offset and label, never what was found. Exit code: 0 nothing, 1 something was found, 3 nothing was
    found but a file could not be read to its end. Read an image of a running disk as root, or mounted; encrypted disks
    only mounted.
    """
    from edge.audit import planted
    from edge.audit.needles import Needles
    from edge.audit.search import Search

    needles = Needles(planted.needles(planted.load(plant)) if plant else {})
    report = Search(needles, _tell, [plant] if plant else []).run(paths)
    if as_json:
        answers.print_json(_as_json(report))
    else:
        _show(report)
    if report.found:
        sys.exit(_FOUND)
    if report.unread or report.cut.total():
        sys.exit(_UNREAD)


def _as_json(report: "Report") -> dict[str, object]:
    found = [{**answers.fields_of(one), "count": count} for one, count in report.found.values()]
    return {
        "holds": not report.found and not report.unread and not report.cut.total(),
        "found": found,
        "unread": [{"file": file, "why": why} for file, why in report.unread],
        "cut": {name: count for name, count in report.cut.items() if count},
        "files": report.files,
        "bytes": report.size,
        "inflated": report.inflated,
        "records": report.records,
        "needles": report.needles,
        "by_chance": report.chance,
    }


def _show(report: "Report") -> None:
    for one, count in list(report.found.values())[:_SHOWN]:
        inside = f", {one.inside}" if one.inside else ""
        click.echo(f"FOUND {one.label} ({one.form}): {one.file}, offset {one.offset}{inside}, {count} times")
    if len(report.found) > _SHOWN:
        click.echo(f"... and {len(report.found) - _SHOWN} further places: --json names them")
    for file, why in report.unread:
        click.echo(f"could not be read: {file}: {why}")
    for name, count in report.cut.items():
        if count:
            click.echo(f"{count} times {name} was not read to its end: it is too long")
    click.echo(
        f"{len(report.found)} places with something that must not be there; searched {report.files} files of "
        f"{report.size} bytes, {report.inflated} bytes packed inside, {report.records} records, "
        f"for {report.needles} forms and for codes and identity numbers"
    )
    if report.chance >= 0.01:  # noqa: PLR2004 - one search in a hundred
        click.echo(f"Short names: {report.chance:.2g} findings are to be expected by chance in so many random bytes.")


def _tell(done: int, whole: int, file: str) -> None:
    if sys.stderr.isatty():
        share = 100 * done // whole if whole else 100
        click.echo(f"\r\033[K{share} %  {Path(file).name[:60]}", nl=not file, err=True)


@audit.command()
@click.argument("one", metavar="A", type=click.Path(path_type=Path, exists=True))
@click.argument("other", metavar="B", type=click.Path(path_type=Path, exists=True))
@click.option("--day-a", type=click.DateTime(["%Y-%m-%d"]), help="Only this UTC day of A.")
@click.option("--day-b", type=click.DateTime(["%Y-%m-%d"]), help="Only this UTC day of B, which may be the same log.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")
def join(one: Path, other: Path, *, day_a: datetime | None, day_b: datetime | None, as_json: bool) -> None:
    """Try to say which entries of the logs A and B, of two days, are of the same pass; nothing is changed.

    A and B are a scans.db, a gate's state folder, a hub.db or a hub's folder. Every combination of what a pass carries
    is tried, alone and with each other field. Exit code 1 where a token, a sealed field or a hash joins two entries.
    """
    from edge.audit.days import Day, entries_of
    from edge.audit.join import attempt

    first, second = (
        Day(entries_of(path), None if day is None else int(day.replace(tzinfo=UTC).timestamp()) // 86_400)
        for path, day in ((one, day_a), (other, day_b))
    )
    outcome = attempt(first, second, _tell_tried)
    if as_json:
        claims = [{"fields": claim.fields, "pairs": claim.pairs} for claim in outcome.claims if claim.pairs]
        told = {"joined": outcome.joined, "alike": outcome.alike, "entries": outcome.sizes}
        answers.print_json({**told, "combinations": len(outcome.claims), "claims": claims})
    else:
        _show_outcome(outcome)
    if outcome.joined:
        sys.exit(_FOUND)


def _show_outcome(outcome: "Outcome") -> None:
    first, second = outcome.sizes
    click.echo(f"{outcome.joined} joined, of {first} and {second} entries, by {len(outcome.claims)} combinations")
    click.echo(f"{outcome.alike} pairs are alone with issuer, kind, status and area of their pass on both days")
    chance = outcome.by_chance
    if chance is not None and chance.pairs:
        fields = ", ".join(chance.fields)
        click.echo(f"Most pairs that only chance brings together: {chance.pairs} ({fields})")


def _tell_tried(done: int, whole: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{done} of {whole} combinations", nl=done == whole, err=True)
