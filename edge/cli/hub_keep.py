"""`edge hub backup`, `restore`: what keeps the ledger, and what ends it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from edge.cli import answers

if TYPE_CHECKING:
    from edge.hub.backup import Restored

_DIR = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")


@click.command()
@_DIR
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@_JSON
def backup(directory: Path, file: Path, *, as_json: bool) -> None:
    """Write a copy of the ledger to FILE; works while the hub serves.

    No private part is in it. The keys of the folder are not: keep copies of hub.key and hub.toml apart.
    """
    from edge.hub import folder
    from edge.hub.backup import back_up
    from edge.hub.hub import system_clock

    made = back_up(folder.load(directory), file, _tell, system_clock())
    if as_json:
        answers.print_json({"file": str(file), "hub_seq": made.hub_seq, "bytes": made.size})
        return
    click.echo(f"{made.hub_seq} entries, {made.size} bytes, in {file}")


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@_DIR
@_JSON
def restore(file: Path, directory: Path, *, as_json: bool) -> None:
    """Put the backup FILE in the place of the database in DIR, which has the hub's keys; the hub must not serve.

    Gates that have receipts for more show them and send again what they still hold.
    """
    from edge.hub.backup import restore as put_back

    done = put_back(file, directory, _tell)
    if as_json:
        ahead = [{**answers.fields_of(one), "gate": one.gate.hex()} for one in done.ahead]
        told = {"made_ms": done.made_ms, "hub_seq": done.hub_seq, "entries": done.entries, "ahead": ahead}
        answers.print_json({**told, "aside": str(done.aside) if done.aside else None})
        return
    _show(done)


def _show(done: "Restored") -> None:
    from edge.hub.pull import iso

    click.echo(f"{done.entries} entries verified and put back, as of {iso(done.made_ms)}.")
    if done.aside is not None:
        click.echo(f"The former database is kept: {done.aside}")
    click.echo(f"Whoever pulled beyond hub_seq {done.hub_seq} begins there again: --after {done.hub_seq}")
    click.echo(
        "Gates retired and tokens revoked since are so no longer: do it again. Gates enrolled since enrol again."
    )
    if done.ahead:
        click.echo("These may have receipts for more; they show them and send again what they still hold:")
        rows = [(one.site, one.lane, one.gate.hex()[:8], one.held) for one in done.ahead]
        answers.table(("site", "lane", "gate", "held"), rows)


def _tell(done: int, whole: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{done} of {whole} pages", nl=done == whole, err=True)


COMMANDS: Final = (backup, restore)
