"""`edge sync status|push`: how far this gate's scans have reached the hub, and sending what waits by hand."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.cli.place import of_a_gate, settings_of

if TYPE_CHECKING:
    from edge.sync.foreground import Progress

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
