"""`edge hub webhook`: who is told of alarms, and whether they hear it."""

import secrets
from pathlib import Path

import click

from edge.cli import answers
from edge.errors import ConfigError, Unreachable

_DIR = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")


@click.group()
def webhook() -> None:
    """Tell other systems of new incidents and silent gates ([[webhook]] in hub.toml)."""


@webhook.command()
@_DIR
@_JSON
def test(directory: Path, *, as_json: bool) -> None:
    """Send a signed test message to every webhook of the hub in DIR, and say what they answer."""
    from edge.hub import folder, pull
    from edge.hub import webhook as hooks
    from edge.hub.hub import system_clock

    config = folder.load(directory).config
    found = hooks.load(directory)
    if not found:
        raise ConfigError("This hub has no webhooks.", "Add [[webhook]] with url and secret_file to hub.toml.")
    rows = []
    for hook in found:
        now_ms = system_clock()
        body = hooks.body_of("edge.test", pull.iso(now_ms), {"hub": config.name})
        outcome = hooks.send(hook, f"msg_test_{secrets.token_hex(8)}", body, now_ms // 1000)
        rows.append((hook.name, hook.host, outcome.is_taken, outcome.said))
    names = ("hook", "host", "is_taken", "said")
    if as_json:
        answers.print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        answers.table(names, rows)
    if not all(row[2] for row in rows):
        raise Unreachable("Not every webhook took the message.", "Check its address, its secret and its own log.")


@webhook.command("list")
@_DIR
@_JSON
def list_(directory: Path, *, as_json: bool) -> None:
    """List the newest 100 messages of the outbox, and what became of them."""
    from edge.hub import folder
    from edge.hub import webhook as hooks
    from edge.hub.desk import Desk
    from edge.hub.pull import iso

    folder.load(directory)
    hosts = {hook.name: hook.host for hook in hooks.load(directory)}
    rows = [
        (hosts.get(one.hook, one.hook), one.state, iso(one.made_ms), one.tries, one.said, one.subject)
        for one in Desk(directory).outbox(100)
    ]
    names = ("host", "state", "made", "tries", "said", "subject")
    if as_json:
        answers.print_json([dict(zip(names, row, strict=True)) for row in rows])
    else:
        answers.table(names, rows)
