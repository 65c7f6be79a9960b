"""`edge hub token-query`: which scans of a day were of one pass, asked by one role and approved by another."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from edge.cli import answers, hub_source
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.hub.client import Client

_JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")
_ID = click.argument("number", metavar="ID", type=click.IntRange(1))
_PURPOSES: Final = ("alarm", "dispute", "fault", "order")
_MAX_TOKEN: Final = 64
_SHOWN: Final = ("id", "state", "day", "scan", "purpose", "most", "asked_role", "asked_by", "expires_at", "approved_by")
_Command = Callable[..., None]


def _asking(command: _Command) -> _Command:
    for option in (_JSON, hub_source.HERE, hub_source.CA_FILE, hub_source.TOKEN_FILE, hub_source.HUB):
        command = option(command)
    return command


@click.group("token-query")
def token_query() -> None:
    """Ask which scans of a day were of one pass, while tokens are kept (48 hours).

    One asks, somebody of the other role (operator, auditor) approves, who asked takes the answer, once. Every step is
    on record (edge hub audit DIR), and counted by purpose (edge hub token-query list).
    """


@token_query.command()
@click.argument("day", metavar="DAY")
@click.option("--scan", type=click.IntRange(1), help="hub_seq of a scan of the pass.")
@click.option("--token-stdin", is_flag=True, help="Read the pass's token of that day from standard input, in hex.")
@click.option("--purpose", required=True, type=click.Choice(_PURPOSES), help="Why; counted and published.")
@click.option("--most", type=click.IntRange(1, 500), default=50, show_default=True, help="Most scans in the answer.")
@_asking
def ask(day: str, scan: int | None, *, token_stdin: bool, purpose: str, most: int, **asked: Any) -> None:
    """Ask which scans of DAY (UTC, like 2026-11-24) were of the pass of one of its scans."""
    if (scan is None) != token_stdin:
        raise click.UsageError("Name one of --scan and --token-stdin.")
    named: dict[str, Any] = {"token": _token()} if token_stdin else {"scan": scan}
    found = _client(asked).ask_token({"day": day, "purpose": purpose, "most": most, **named})
    if asked["as_json"]:
        answers.print_json(found)
        return
    click.echo(f"Question {found['id']} waits until {found['expires_at']} for somebody of the other role:")
    click.echo(f"  edge hub token-query approve {found['id']} --hub URL --token-file FILE")


@token_query.command()
@_ID
@_asking
def approve(number: int, **asked: Any) -> None:
    """Approve question ID as the second person, of the other role; see it first (token-query list)."""
    found = _client(asked).approve_token(number)
    if asked["as_json"]:
        answers.print_json(found)
        return
    click.echo(f"Approved. Who asked takes the answer: edge hub token-query answer {number}")


@token_query.command()
@_ID
@_asking
def answer(number: int, **asked: Any) -> None:
    """Take the answer to question ID, once: the scans as JSON, a line each, as a pull has them."""
    found = _client(asked).answer_token(number)
    if asked["as_json"]:
        answers.print_json(found)
        return
    import json

    for scan in found["scans"]:
        click.echo(json.dumps(scan, ensure_ascii=False, separators=(",", ":")))
    told = f"{len(found['scans'])} of {found['found']} scans of {found['day']}"
    click.echo(f"{told}; what came to the hub before {found['kept_since']} has no token any more", err=True)


@token_query.command("list")
@_asking
def list_(**asked: Any) -> None:
    """List the questions, the newest first, and how many there were for which purpose."""
    found = _client(asked).token_queries()
    if asked["as_json"]:
        answers.print_json(found)
        return
    answers.table(_SHOWN, [tuple(one[name] for name in _SHOWN) for one in found["queries"]])
    click.echo()
    names = ("asked", "approved", "answered", "expired", "scans", "refused")
    rows = [(purpose, *(sums[name] for name in names)) for purpose, sums in found["counts"].items()]
    answers.table(("purpose", *names), rows)


def _client(asked: dict[str, Any]) -> "Client":
    from edge.hub.client import Client

    return Client(hub_source.of(asked["url"], asked))


def _token() -> str:
    text = sys.stdin.read(_MAX_TOKEN + 1).strip()
    if not text or len(text) > _MAX_TOKEN:
        raise ConfigError("Standard input holds no token.", "Give its 16 hex digits there, never on the command line.")
    return text
