"""`edge hub pull, audit, token`: what central operations read, and who may."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from edge.cli import answers, hub_source
from edge.cli.hub_webhook import webhook
from edge.errors import ConfigError, EdgeError, LogDamaged, TransportError

if TYPE_CHECKING:
    from edge.hub.client import Fetched, Query, Source
    from edge.hub.outfile import OutFile, ParquetFolder
    from edge.hub.proof import Report

_DIR = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")
_POLL_S = 2.0
_KEY_BYTES = 32
_EVERY = 20
_RETRY_S = 10.0
_FILTERS: Final = ("gate", "site", "outcome", "reason", "type", "since", "before")
_FORMATS: Final = ("ndjson", "csv", "cloudevents", "parquet")


@click.command()
@hub_source.HUB
@hub_source.TOKEN_FILE
@hub_source.CA_FILE
@hub_source.HERE
@click.option("--after", type=click.IntRange(0), help="Cursor to go on behind; with --out where that ends, else 0.")
@click.option("--until", type=click.IntRange(1), help="Last hub_seq wanted.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="ndjson", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Append to a file (parquet: a folder); else print.")
@click.option("--limit", type=click.IntRange(1), help="Most lines to pull; all there are if not given.")
@click.option("--follow", is_flag=True, help="Wait for new scans until Ctrl-C.")
@click.option("--gate", help="Only of this gate: its id in hex, or the beginning of it.")
@click.option("--site", help="Only of this site.")
@click.option("--outcome", help="Only accept, refer, reject or none.")
@click.option("--reason", help="Only with this reason code.")
@click.option("--type", help="Only entries of this type, e.g. scan.")
@click.option("--since", help="Only entries whose gate's time is not before, e.g. 2026-11-24T08:00:00Z.")
@click.option("--before", help="Only entries whose gate's time is before.")
def pull(url: str | None, out: Path | None, *, follow: bool, **asked: Any) -> None:
    """Pull scans after a cursor, a line a scan; the cursor is the last line's hub_seq.

    The same command again goes on where the last one ended, whatever broke off in between. Times only filter: a gate
    may come back after weeks with old entries.
    """
    from contextlib import ExitStack

    from edge.hub.client import Query

    if follow and not (asked["limit"] is None and asked["until"] is None):
        raise click.UsageError("--follow has no end, so it takes no --limit and no --until.")
    if asked["form"] == "parquet" and out is None:
        raise click.UsageError("Parquet goes to a folder: give --out FOLDER.")
    source = hub_source.of(url, asked)
    with ExitStack() as stack:
        sink = _sink(out, asked["form"]) if out else None
        if sink:
            stack.enter_context(sink)
        query = Query(
            after=asked["after"] if asked["after"] is not None else (sink.last if sink else 0),
            limit=asked["limit"],
            until=asked["until"],
            form="ndjson" if asked["form"] == "parquet" else asked["form"],
            filters={name: asked[name] for name in _FILTERS if asked[name] is not None},
        )
        _pull_all(source, query, sink, follow=follow)


def _sink(out: Path, form: str) -> "OutFile | ParquetFolder":
    from edge.hub.outfile import OutFile, ParquetFolder

    return ParquetFolder(out) if form == "parquet" else OutFile(out, form)


@click.command()
@_DIR
@_JSON
def audit(directory: Path, *, as_json: bool) -> None:
    """Show who pulled what, the newest first."""
    from edge.hub.desk import Desk

    found = Desk(directory).pulls(1000)
    if as_json:
        answers.print_json(found)
        return
    names = ("at", "what", "role", "token", "peer", "after", "rows", "last", "times")
    answers.table(names, [tuple(one[name] for name in names) for one in found])


@click.group()
def token() -> None:
    """Say who may read: operators and auditors pull, technicians see the page."""


@token.command()
@_DIR
@click.option("--role", required=True, type=click.Choice(["operator", "auditor", "technician"]))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write it to.")
@click.option("--name", default="", help="What to call it in lists, e.g. who gets it.")
@click.option("--valid-days", type=float, help="How long it is valid; for ever if not given.")
def make(directory: Path, role: str, out: Path, name: str, valid_days: float | None) -> None:
    """Make a token for somebody."""
    from edge.hub.desk import Desk

    made = Desk(directory).new_token(role, name=name, days=valid_days)
    answers.write_secret(out, made.encode() + b"\n")
    click.echo(f"A token for the role {role} is in {out}. The hub keeps only its hash.")


@token.command("list")
@_DIR
@_JSON
def list_(directory: Path, *, as_json: bool) -> None:
    """List the tokens that were handed out, by name and the beginning of their hash, never themselves."""
    from edge.hub.desk import Desk
    from edge.hub.pull import iso

    found = [
        (one.token, one.name, one.role, iso(one.created_ms), iso(one.expires_ms), iso(one.revoked_ms))
        for one in Desk(directory).tokens()
    ]
    names = ("token", "name", "role", "created", "expires", "revoked")
    if as_json:
        answers.print_json([dict(zip(names, row, strict=True)) for row in found])
    else:
        answers.table(names, found)


@token.command()
@_DIR
@click.argument("named", metavar="NAME")
def revoke(directory: Path, named: str) -> None:
    """Let nobody in any more by the tokens called NAME, or the one whose hash begins with those eight characters."""
    from edge.hub.desk import Desk

    count = Desk(directory).revoke(named)
    if not count:
        raise ConfigError(f"No valid token is called {named!r}.", f"See them: edge hub token list {directory}")
    click.echo(f"{count} tokens revoked; pages that are logged in with them are closed.")


@click.command()
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@hub_source.HUB
@hub_source.TOKEN_FILE
@hub_source.CA_FILE
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for the export.")
@click.option("--day", "days", multiple=True, help="Only this day of receipt (UTC), e.g. 2026-11-24; again for more.")
@click.option("--view", "views", multiple=True, type=click.Choice(["ndjson", "csv", "parquet"]), help="Tables to make.")
@_JSON
def export(
    directory: Path | None,
    out: Path,
    days: tuple[str, ...],
    views: tuple[str, ...],
    *,
    url: str | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Write the ledger of the hub in DIR, or at --hub, to a folder that anybody can verify (edge hub verify FOLDER).

    Signed batches as the gates sent them, without private parts, tables of the same scans by day, and a manifest the
    hub signs. The same command goes on where it broke off, and adds what is new.
    """
    from edge.hub import export as exports
    from edge.hub.client import Client
    from edge.hub.coverage import bounds
    from edge.hub.desk import Desk
    from edge.hub.remote_export import RemoteExport

    for day in days:
        bounds(day)
    task = exports.Task(out, days, views or exports.DEFAULT_VIEWS)
    if url is None and directory is not None:
        made = Desk(directory).export_ledger(task, _tell_batches)
    else:
        made = RemoteExport(Client(hub_source.of(url, asked | {"directory": directory})), task, _tell_remote).run()
    if as_json:
        answers.print_json(answers.fields_of(made))
        return
    click.echo(f"{made.scans} scans in {made.batches} batches of {made.days} days, {made.written} days written.")
    click.echo(f"Check it: edge hub verify {out}")


@click.command()
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path, exists=True))
@click.option("--hub-key", "hub_keys", multiple=True, metavar="HEX", help="Public key of the hub, as init printed it.")
@click.option("--trust", type=click.Path(path_type=Path, file_okay=False), help="Trust folder that names the hubs.")
@_JSON
def verify(path: Path, hub_keys: tuple[str, ...], trust: Path | None, *, as_json: bool) -> None:
    """Check an export or a coverage, with no hub and no network: signatures, chains, hashes and every row.

    Without --hub-key or --trust it says that the folder is whole and which key signed it, not whose key that is.
    """
    from edge.hub import proof

    keys = _hub_keys(hub_keys, trust)
    if path.is_file():
        report, said = proof.verify_statement(path, keys)
    else:
        report, said = proof.verify(path, keys, _tell_batches), None
    if as_json:
        told = answers.fields_of(report) | {"faults": [answers.fields_of(fault) for fault in report.faults]}
        answers.print_json({"holds": not report.count, **told})
    else:
        _tell_report(report, said)
    if report.count:
        raise LogDamaged(f"{path} does not hold in {report.count} places.", "Export it again, or ask who changed it.")


@click.command()
@click.argument("day", metavar="DAY")
@hub_source.HUB
@hub_source.TOKEN_FILE
@hub_source.CA_FILE
@hub_source.HERE
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the signed statement to a file.")
@_JSON
def coverage(day: str, url: str | None, out: Path | None, *, as_json: bool, **asked: Any) -> None:
    """Say for every gate whether its scans of DAY (UTC) are complete, outstanding or in dispute.

    The hub signs it; the file of --out is checked anywhere by: edge hub verify FILE
    """
    import json

    from edge.disk import durable
    from edge.hub import statement
    from edge.hub.client import Client
    from edge.hub.coverage import bounds
    from edge.hub.desk import Desk

    bounds(day)
    if url is None and asked["directory"] is not None:
        text = Desk(asked["directory"]).coverage(day)
    else:
        said = Client(hub_source.of(url, asked)).coverage(day)
        text = (json.dumps(said, ensure_ascii=False, indent=1) + "\n").encode()
    content = statement.opened(statement.COVERAGE, text, None)
    if out is not None:
        try:
            durable.write(out, text)
        except OSError as failed:
            raise ConfigError(f"{out} cannot be written: {failed.strerror}.", "Choose another --out.") from failed
    if as_json:
        click.echo(text.decode(), nl=False)
    else:
        _tell_coverage(content)


def _tell_coverage(said: dict[str, Any]) -> None:
    states = ", ".join(f"{count} {state}" for state, count in said["states"].items())
    click.echo(f"{said['day']}: {said['scans']} scans; {states}; made {said['made_at']}")
    rows = [
        (
            one["state"],
            one["site"],
            one["lane"],
            one["gate"][:8],
            one["scans"],
            one["missing"],
            " ".join(one["reasons"]),
        )
        for one in said["gates"]
    ]
    answers.table(("state", "site", "lane", "gate", "scans", "missing", "why"), rows)


def _hub_keys(given: tuple[str, ...], trust: Path | None) -> dict[str, bytes] | None:
    """Return the keys of trusted hubs by key id, None where nobody named any."""
    import time

    from edge.ledger import device

    found: dict[str, bytes] = {}
    if trust is not None:
        from edge.trust.opening import open_trust

        now = int(time.time())  # noqa: TID251  # a command, outside the gate's processes
        found |= open_trust(trust, now).hub_keys
    for text in given:
        try:
            public = bytes.fromhex(text)
        except ValueError:
            public = b""
        if len(public) != _KEY_BYTES:
            raise ConfigError("--hub-key is no public key of 64 hex digits.", "Copy it from edge hub init.")
        found[device.key_id(public).hex()] = public
    return found if given or trust is not None else None


def _tell_report(report: "Report", said: dict[str, Any] | None) -> None:
    if said is None:
        click.echo(f"{report.scans} scans in {report.batches} batches of {report.days} days")
    elif said:
        _tell_coverage(said)
    if report.destroyed:
        click.echo(f"{report.destroyed} batches whose facts were destroyed; their signed headers are in the chain.")
    _tell_signer(report.hub_key, is_pinned=report.is_pinned)
    for line in report.unchecked:
        click.echo(f"not compared: {line}", err=True)
    for fault in report.faults:
        click.echo(str(fault), err=True)


def _tell_signer(key: str, *, is_pinned: bool) -> None:
    if is_pinned:
        click.echo("Signed by a hub you trust.")
    else:
        click.echo(f"Signed by the key {key}; nobody said whose it is (--hub-key or --trust).", err=True)


def _tell_batches(day: str, done: int, total: int) -> None:
    if sys.stderr.isatty() and (done == total or done % _EVERY == 0):
        click.echo(f"\r{day}: {done} of {total} batches ", nl=done == total, err=True)


def _tell_remote(what: str, done: int, total: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{what}: {done} of {total} ", nl=bool(total) and done == total, err=True)


def _pull_all(source: "Source", query: "Query", sink: "OutFile | ParquetFolder | None", *, follow: bool) -> None:
    import time
    from dataclasses import replace

    from edge.hub import client
    from edge.hub.outfile import Progress

    hub = client.Client(source)
    progress = Progress(sink.take if sink else _Printed(query.form).take, _tell_progress, query.after)

    def catch_up() -> None:
        for page in hub.pages(replace(query, after=progress.cursor)):
            progress.take(page)

    try:
        catch_up()
        while follow:
            try:
                time.sleep(_POLL_S)
                catch_up()
            except TransportError as failed:
                if not client.is_passing(failed):
                    raise
                _tell(failed)
                time.sleep(getattr(failed, "retry_after_s", None) or _RETRY_S)
    except KeyboardInterrupt:
        if not follow:
            raise
    finally:
        click.echo(f"{progress.lines} lines; go on with --after {progress.cursor}", err=True)


class _Printed:
    """Standard output, with the header of the form before the first page."""

    def __init__(self, form: str) -> None:
        from edge.hub.forms import FORMS

        self._header = FORMS[form].header

    def take(self, page: "Fetched") -> None:
        sys.stdout.buffer.write(self._header + b"".join(page.lines))
        sys.stdout.buffer.flush()
        self._header = b""


def _tell(failed: EdgeError) -> None:
    click.echo(f"edge: {failed.message} Trying again.", err=True)


def _tell_progress(lines: int, cursor: int, top: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{lines} lines, cursor {cursor} of {top} ", nl=False, err=True)


COMMANDS: Final = (pull, export, verify, coverage, audit, token, webhook)
