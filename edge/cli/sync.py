"""`edge sync status|push|retry|export-usb`: how far this gate's scans have reached the hub, and sending by hand."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.cli.place import of_a_gate, settings_of

if TYPE_CHECKING:
    from edge.sync.foreground import Progress
    from edge.sync.stick import Exported, Returned

_MILLI: Final = 1000


@click.group()
def sync() -> None:
    """See how far this gate's scans have reached the hub, and send what waits."""


@sync.command()
@of_a_gate
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(config: Path | None, state: Path | None, *, as_json: bool) -> None:
    """Say whether the hub is there, what waits, what it refuses and what it last signed for.

    Only reads, beside a running gate. The exit code is 0 while nothing is refused, 1 otherwise.
    """
    from edge.sync.overview import overview

    found = overview(Path(settings_of(config, state).state)).document()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        for line in _words(found):
            click.echo(line)
    raise SystemExit(1 if found["parked"] else 0)


@sync.command()
@of_a_gate
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def push(config: Path | None, state: Path | None, *, as_json: bool) -> None:
    """Send everything that waits now, and say how far it got; works beside a running gate.

    The exit code is 0 once the hub has signed for everything, 1 otherwise.
    """
    from edge.gate.clock import now_ms
    from edge.provision import owner
    from edge.sync.foreground import push_now
    from edge.sync.store import FILE

    settings = settings_of(config, state)
    folder = Path(settings.state)
    with owner.writing(folder, f"{FILE}*"):
        done = _shown(lambda report: push_now(settings, now_ms=now_ms, report=report), quiet=as_json)
    row = {"pushed": done.pushed, "waiting": done.waiting, "parked": done.parked, "last": done.last}
    if as_json:
        click.echo(json.dumps(row))
    else:
        click.echo(f"{done.pushed} entries pushed; {done.waiting} wait, {done.parked} of them refused by the hub.")
    if done.failure is not None:
        raise done.failure
    raise SystemExit(1 if done.waiting else 0)


@sync.command()
@of_a_gate
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def retry(config: Path | None, state: Path | None, *, as_json: bool) -> None:
    """Offer the hub at once what it refused before, and say what it still refuses.

    The gate does so by itself every few minutes, when the link returns and after an update; nothing refused is ever
    deleted. The exit code is 0 once nothing is refused any more, 1 otherwise.
    """
    from edge.gate.clock import now_ms
    from edge.provision import owner
    from edge.sync.foreground import push_now
    from edge.sync.overview import overview
    from edge.sync.store import FILE

    settings = settings_of(config, state)
    folder = Path(settings.state)
    before = len(overview(folder).parked)
    with owner.writing(folder, f"{FILE}*"):
        done = _shown(lambda report: push_now(settings, now_ms=now_ms, report=report), quiet=as_json)
    left = overview(folder).document()["parked"]
    if as_json:
        click.echo(json.dumps({"refused_before": before, "pushed": done.pushed, "parked": left}, ensure_ascii=False))
    else:
        click.echo(f"{before} batches were refused before, {len(left)} are now; {done.pushed} entries pushed.")
        for batch in left:
            click.echo(_parked(batch))
    if done.failure is not None:
        raise done.failure
    raise SystemExit(1 if left else 0)


@sync.command("export-usb")
@click.argument("stick", type=click.Path(path_type=Path))
@of_a_gate
@click.option("--limit-mb", type=click.IntRange(1), default=1024, show_default=True, help="Most megabytes of scans.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def export_usb(stick: Path, config: Path | None, state: Path | None, *, limit_mb: int, as_json: bool) -> None:
    """Write the scans that wait to STICK, a mounted USB stick, and take the hub's receipts from it.

    At the hub: edge hub import STICK. It may be stopped and run again; nothing leaves the gate because of it. The exit
    code is 0 once everything that waits is on the stick and its receipts hold, 1 otherwise.
    """
    from edge.gate.clock import now_ms
    from edge.provision import owner
    from edge.sync.carrier import carry
    from edge.sync.store import FILE

    folder = Path(settings_of(config, state).state)
    with owner.writing(folder, f"{FILE}*"), _entries("written") as tell:
        done = carry(folder, stick, limit_mb=limit_mb, now_ms=now_ms, tell=tell)
    back, out = done.returned, done.exported
    if as_json:
        refused = [{"kind": kind, "message": message} for kind, message in back.refused]
        receipts = {"taken": back.taken, "freed": back.freed, "refused": refused}
        click.echo(json.dumps({**asdict(out), "receipts": receipts, "error": done.error and str(done.error)}))
    else:
        for line in _carried(stick, back, out):
            click.echo(line)
    if done.error is not None:
        raise done.error
    raise SystemExit(1 if out.left or not back.is_clean else 0)


def _carried(stick: Path, back: "Returned", out: "Exported") -> list[str]:
    lines = [f"receipt refused, {kind}: {message}" for kind, message in back.refused]
    if back.taken:
        lines.append(f"receipts      {back.taken} taken from the stick: {back.freed} more entries are at the hub")
    lines.append(f"{stick} carries {out.entries} entries in {out.files} files, {out.written} of them written now")
    if out.left:
        lines.append(f"{out.left} entries more wait and are not on it: raise --limit-mb, or bring the stick back")
    if not os.path.ismount(stick):
        lines.append(f"note: {stick} is no mount point; is the stick mounted there?")
    if out.entries:
        lines.append("Unmount it before you pull it out. At the hub: edge hub import STICK. Then bring it back.")
    return lines


@contextmanager
def _entries(what: str) -> "Iterator[Callable[[int, int], None]]":
    """Show how many entries have gone by, to a person who watches."""
    shown = sys.stderr.isatty()

    def tell(done: int, of: int) -> None:
        if shown:
            click.echo(f"\r{what}: {done} of {of} entries ", nl=done >= of, err=True)

    yield tell


def _shown(work: Callable[[Callable[["Progress"], None]], "Progress"], *, quiet: bool) -> "Progress":
    """Do `work` behind a bar on standard error, where a person looks on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        return work(lambda _: None)
    with Bar(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console) as bar:
        task = bar.add_task("pushing", total=None)

        def report(done: "Progress") -> None:
            bar.update(task, total=done.pushed + done.waiting, completed=done.pushed)

        return work(report)


def _words(found: dict[str, Any]) -> list[str]:
    lines = [f"link          {found['link']}{_since(found['since_ms'])}"]
    lines.append(f"backlog       {found['backlog']} of {found['recorded']} entries are not at the hub yet")
    receipt = found["receipt"]
    if receipt is None:
        lines.append("receipt       none yet")
    else:
        lines.append(
            f"receipt       up to entry {receipt['last']}, signed {_time(receipt['at_ms'])} by {receipt['key_id']}"
        )
    lines.append(f"last push     {_time(found['last_push_ms'])}")
    lines.append(f"last refresh  {_time(found['last_refresh_ms'])}")
    if found["clock_ahead_ms"] is not None:
        ahead, unsure = found["clock_ahead_ms"], found["clock_unsure_ms"]
        lines.append(f"clock         {ahead / _MILLI:+.1f} s against the hub's, within {unsure / _MILLI:.1f} s")
    lines += [_parked(batch) for batch in found["parked"]]
    return lines


def _parked(batch: dict[str, Any]) -> str:
    said = f": {batch['message']}" if batch["message"] else ""
    return (
        f"refused       entries {batch['first']} to {batch['last']}, {batch['kind']}{said} "
        f"({batch['tries']} times, last {_time(batch['at_ms'])})"
    )


def _since(at_ms: int | None) -> str:
    return "" if at_ms is None else f" since {_time(at_ms)}"


def _time(at_ms: int | None) -> str:
    if at_ms is None:
        return "never"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms / _MILLI))
