"""`edge hub import`, `check` and `rebuild`: what is done to the ledger by hand, beside a hub that may be serving."""

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.errors import LedgerError, LogDamaged

if TYPE_CHECKING:
    from edge.hub.imports import Import, OfGate, Summary

_DIR = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")
_TELL_S: Final = 0.2
_NAME: Final = 40


@click.command("import")
@_DIR
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--receipts",
    type=click.Path(path_type=Path, file_okay=False),
    help="Stick or folder for receipts of batches that lie in no gate's own folder.",
)
@_JSON
def import_(directory: Path, paths: tuple[str, ...], receipts: Path | None, *, as_json: bool) -> None:
    """Take in the scans on sticks: PATH is a stick's root, a folder, a .batches file, or - for standard input.

    Works beside a serving hub, and as often as you like: what is held already is not written again. Receipts are
    written back to the stick; carry it to its gates again, and they let go of what the hub holds.
    """
    from edge.hub.hub import Hub
    from edge.hub.imports import Import

    opened = Hub.beside(directory)
    work = Import(opened, _Bar(), receipts=receipts)
    try:
        try:
            _take(work, paths)
        finally:
            # Also where it broke off: what was taken in before is held.
            work.write_receipts()
            _show(work.summary, as_json=as_json)
    finally:
        opened.close()
    if not work.summary.is_whole:
        raise LedgerError(
            "Not everything was taken in; nothing of it is lost at the gates.",
            f"See why: edge hub incidents {directory}",
        )


@click.command()
@_DIR
@_JSON
def check(directory: Path, *, as_json: bool) -> None:
    """Verify the whole ledger: every signature, chain and row."""
    from edge.hub import folder, inspection
    from edge.hub.store import Store

    store = Store(folder.load(directory).database)
    store.migrate()
    report = inspection.inspect(store)
    if as_json:
        told = {"batches": report.batches, "entries": report.entries, "problems": list(report.problems)}
        told |= {"missing": report.missing, "destroyed": report.destroyed}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        click.echo(f"{report.entries} entries in {report.batches} batches")
        if report.destroyed:
            click.echo(f"{report.destroyed} of them without facts: destroyed under certificates of two roles")
        if report.missing:
            click.echo(f"{report.missing} entries that this hub signed for were lost with a backup (hub_behind)")
        for problem in report.problems:
            click.echo(problem, err=True)
    if report.problems:
        raise LogDamaged(
            f"The ledger in {directory} does not hold in {len(report.problems)} places.",
            "Keep hub.db as it is, restore the last backup; gates keep what was not receipted.",
        )


@click.command()
@_DIR
def rebuild(directory: Path) -> None:
    """Make the rows that are pulled again from the signed batches; works while the hub serves.

    What broke off goes on with the same command.
    """
    from edge.hub import folder
    from edge.hub.rebuild import rebuild as make_again
    from edge.hub.store import Store

    store = Store(folder.load(directory).database)
    store.migrate()
    rows = make_again(store, _tell_rows)
    click.echo(f"{rows} rows made again from the ledger.")


def _tell_rows(reached: int, newest: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{reached} of {newest} entries", nl=reached == newest, err=True)


def _take(work: "Import", paths: tuple[str, ...]) -> None:
    for path in paths:
        if path == "-":
            work.take_stream(sys.stdin.buffer, "standard input")
        else:
            work.take_path(Path(path))


class _Bar:
    """Says how far it is, on a terminal, a few times a second."""

    def __init__(self) -> None:
        self._said = 0.0
        self._is_wanted = sys.stderr.isatty()

    def __call__(self, name: str, size: int, batches: int) -> None:
        if self._is_wanted and time.monotonic() - self._said > _TELL_S:
            self._said = time.monotonic()
            shown = _printable(name[-_NAME:])
            click.echo(f"\r\033[K{size / 1e6:.1f} MB, {batches} batches  {shown}", nl=False, err=True)


def _show(summary: "Summary", *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_plain(summary), ensure_ascii=False, indent=2))
        return
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    click.echo(f"{summary.files} files, {summary.size} bytes")
    for gate, found in sorted(summary.gates.items()):
        click.echo(f"gate {gate.hex()[:8]}: {_of_gate(found)}")
    for (name, kind), count in summary.unreadable.items():
        click.echo(f"{_printable(name)}: {count} pieces not taken ({kind})", err=True)
    for name, why in summary.skipped:
        click.echo(f"{_printable(name)}: not read: {why}", err=True)
    for file in summary.receipts:
        click.echo(f"receipts: {_printable(str(file))}")
    for name, why in summary.unwritten.items():
        click.echo(f"Warning: no receipts for {_printable(name)}: {why}", err=True)


def _of_gate(found: "OfGate") -> str:
    parts = [f"{found.taken} batches taken ({found.entries} entries)", f"{found.held} held already"]
    if found.held_back:
        parts.append(f"{found.held_back} held back until what is missing before them arrives")
    parts += [f"{count} quarantined ({kind})" for kind, count in found.refused.items()]
    return ", ".join(parts)


def _plain(summary: "Summary") -> dict[str, Any]:
    return {
        "files": summary.files,
        "bytes": summary.size,
        "gates": [
            {
                "gate": gate.hex(),
                "taken": found.taken,
                "entries": found.entries,
                "held": found.held,
                "held_back": found.held_back,
                "quarantined": dict(found.refused),
            }
            for gate, found in sorted(summary.gates.items())
        ],
        "unreadable": [
            {"file": name, "kind": kind, "pieces": count} for (name, kind), count in summary.unreadable.items()
        ],
        "skipped": [{"file": name, "why": why} for name, why in summary.skipped],
        "receipts": [str(file) for file in summary.receipts],
        "unwritten": [{"place": name, "why": why} for name, why in summary.unwritten.items()],
    }


def _printable(text: str) -> str:
    """Return a name from a stranger's stick with nothing in it that moves the cursor."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
