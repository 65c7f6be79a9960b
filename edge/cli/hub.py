"""`edge hub`: begin and serve a hub, invite gates, pull scans, look after the fleet."""

import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import hub_ledger
from edge.errors import ConfigError, EdgeError, TransportError

if TYPE_CHECKING:
    from edge.hub.client import OutFile, Source
    from edge.hub.fleet import GateState
    from edge.hub.incidents import Incident

_DIR = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")
_TOKEN_FILE_ENV = "EDGE_HUB_TOKEN_FILE"  # noqa: S105 - the name of a variable that names a file
_POLL_S = 2.0
_RETRY_S = 10.0
_SHOW_ANEW_S = 5.0


@click.group()
def hub() -> None:
    """Receive the scans of many gates, and hand them to central operations."""


for command in (hub_ledger.import_, hub_ledger.check, hub_ledger.rebuild):
    hub.add_command(command)


@hub.command()
@_DIR
@click.option("--url", required=True, help="Address under which gates reach this hub, e.g. https://hub.example:8090")
@click.option("--name", default="edge", show_default=True, help="Name on the hub's page.")
@click.option("--trust-url", default="", help="Address of the trust publication or a mirror of it.")
@click.option("--root", type=click.Path(path_type=Path, dir_okay=False), help="The authority's first root metadata.")
@click.option("--region", type=int, default=0, help="GB/T 2260 code new gates stand in, e.g. 610100.")
@_JSON
def init(directory: Path, root: Path | None, *, as_json: bool, **settings: Any) -> None:
    """Make a hub in DIR: its keys, database and operator token.

    Afterwards publish its receipt key: edge authority add-hub AUTHORITY --key HEX
    """
    from edge.hub import desk, folder
    from edge.hub.folder import HubConfig

    made = desk.begin(directory, HubConfig(**settings), root=folder.checked_root(root) if root else b"")
    # It holds tokens for 48 hours; SQLite gives its other files the same mode.
    (directory / folder.DATABASE).chmod(0o600)
    key = made.public.hex()
    if as_json:
        _print_json({"key": key, "url": made.config.url, "operator_token_file": str(directory / folder.OPERATOR)})
        return
    click.echo(f"Receipt key:     {key}")
    click.echo(f"Operator token:  {directory / folder.OPERATOR} (a secret)")
    click.echo(f"Publish the key: edge authority add-hub AUTHORITY --key {key}")
    click.echo(f"Start the hub:   edge hub serve {directory}")
    _warn_without_root(directory, has_root=bool(root))


@hub.command()
@_DIR
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="Port; 0 for a free one.")
def serve(directory: Path, host: str, port: int) -> None:
    """Serve the hub in DIR until it is told to stop (Ctrl-C or SIGTERM)."""
    import logging

    from edge.hub.hub import Hub
    from edge.hub.serve import serve as serve_hub

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    opened = Hub.open(directory)
    try:
        _warn_without_root(directory, has_root=bool(opened.home.root()))
        serve_hub(opened, host, port, lambda address: click.echo(f"Hub {opened.config.name!r} listens at {address}"))
    finally:
        opened.close()
    click.echo("Hub stopped; everything it answered is on the disk.")


@hub.command()
@_DIR
@click.option("--site", required=True, help="Name of the place, e.g. '西安北站'.")
@click.option("--lane", required=True, help="Name of the lane, e.g. '3'.")
@click.option("--region", type=int, help="GB/T 2260 code of the place; the hub's own if not given.")
@click.option("--valid-hours", type=float, default=24.0, show_default=True, help="How long it may be used, up to 720.")
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a QR code for a screen.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the text to a file.")
@_JSON
def invite(directory: Path, png: Path | None, out: Path | None, *, as_json: bool, **asked: Any) -> None:
    """Make a one-time code that lets one new gate join; works while the hub serves.

    The gate takes it by: edge provision enroll CODE|IMAGE
    """
    from edge.hub.desk import Desk
    from edge.hub.pull import iso
    from edge.hub.roster import Place
    from edge.ledger.device import fingerprint

    desk = Desk(directory)
    region = desk.home.config.region if asked["region"] is None else asked["region"]
    made = desk.invite(Place(asked["site"], asked["lane"], region), asked["valid_hours"])
    if out:
        _write_secret(out, made.code.encode() + b"\n")
    if png:
        _write_secret(png, _qr(made.code))
    until = iso(made.expires_ms)
    if as_json:
        place = {"site": made.place.site, "lane": made.place.lane, "region": made.place.region}
        hub_is = {"hub_url": desk.home.config.url, "fingerprint": fingerprint(desk.home.public)}
        _print_json({"code": made.code, "expires_at": until, **hub_is, **place})
        return
    click.echo(made.code)
    click.echo(f"For one gate at {made.place.site} · {made.place.lane}, until {until}.", err=True)
    click.echo(f"Fingerprint of this hub, to compare at the gate: {fingerprint(desk.home.public)}", err=True)
    _warn_without_root(directory, has_root=made.has_root)


@hub.command("time-code")
@_DIR
@click.option("--for", "question", required=True, metavar="QUESTION", help="The eight letters on the gate's screen.")
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), help="Write it as a picture for a phone.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="The same as SVG.")
@click.option("--show", is_flag=True, help="Draw it here; signed anew every few seconds until Ctrl-C.")
@_JSON
def time_code(directory: Path, question: str, png: Path | None, svg: Path | None, *, show: bool, as_json: bool) -> None:
    """Sign the time for one gate whose clock is wrong; show the code to its camera.

    It counts for the gate that shows QUESTION, once, within twenty minutes; this machine's clock must be right.
    """
    from edge.hub.desk import Desk
    from edge.hub.pull import iso

    desk = Desk(directory)
    code, at_ms = desk.time_code(question)
    for file, kind in ((png, "png"), (svg, "svg")):
        if file:
            _write_secret(file, _qr(code, kind))
    if show:
        _show_anew(lambda: desk.time_code(question)[0])
    elif as_json:
        _print_json({"code": code, "at": iso(at_ms), "at_ms": at_ms})
    else:
        click.echo(code)
        click.echo(f"Signed {iso(at_ms)} by this machine's clock; show it within twenty minutes.", err=True)


@hub.command()
@click.option("--hub", "url", help="Address of the hub, e.g. http://127.0.0.1:8090")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=_TOKEN_FILE_ENV,
    show_envvar=True,
    help="File with an operator or auditor token.",
)
@click.option("--dir", "directory", type=click.Path(path_type=Path, file_okay=False), help="Folder of a hub here.")
@click.option("--after", type=click.IntRange(0), help="Cursor to go on behind; with --out where the file ends, else 0.")
@click.option("--format", "form", type=click.Choice(["ndjson"]), default="ndjson", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Append to a file instead of printing.")
@click.option("--limit", type=click.IntRange(1), help="Most lines to pull; all there are if not given.")
@click.option("--follow", is_flag=True, help="Wait for new scans until Ctrl-C.")
def pull(url: str | None, after: int | None, out: Path | None, *, follow: bool, **asked: Any) -> None:
    """Pull scans after a cursor, one JSON object a line; the cursor is the last line's hub_seq.

    The same command again goes on where the last one ended, whatever broke off in between.
    """
    from contextlib import ExitStack

    from edge.hub.client import OutFile

    if follow and asked["limit"] is not None:
        raise click.UsageError("--follow has no end, so it takes no --limit.")
    source = _source(url, asked["token_file"], asked["directory"])
    with ExitStack() as stack:
        file = stack.enter_context(OutFile(out)) if out else None
        start = after if after is not None else (file.last if file else 0)
        _pull_all(source, start, asked["limit"], file, follow=follow)


@hub.command()
@_DIR
@_JSON
def gates(directory: Path, *, as_json: bool) -> None:
    """List the gates of the hub in DIR, the one that wants a look most first."""
    from edge.hub.desk import Desk

    found = Desk(directory).gates()
    if as_json:
        _print_json([{**_fields(one), "gate": one.gate.hex()} for one in found])
        return
    _table(
        ("state", "site", "lane", "gate", "contact s", "to upload", "held", "trust", "clock ms"),
        [_gate_row(one) for one in found],
    )


@hub.command()
@_DIR
@click.option("--all", "everything", is_flag=True, help="Also those that were dealt with.")
@click.option("--resolve", type=int, metavar="ID", help="Mark one as dealt with; its evidence stays.")
@click.option("--export", type=click.Path(path_type=Path, file_okay=False), help="Write the evidence to a folder.")
@_JSON
def incidents(directory: Path, *, everything: bool, resolve: int | None, export: Path | None, as_json: bool) -> None:
    """List what went wrong: forks, gaps, rollbacks, forgeries."""
    from edge.hub.desk import Desk

    desk = Desk(directory)
    if export is not None:
        click.echo(f"{desk.export(export)} batches written to {export}, as they were received.")
        return
    if resolve is not None:
        if not desk.resolve(resolve):
            raise ConfigError(f"There is no open incident {resolve}.", f"See them: edge hub incidents {directory}")
        click.echo(f"Incident {resolve} is marked as dealt with.")
        return
    found = desk.incidents(1000, is_open=not everything)
    if as_json:
        _print_json([{**_fields(one), "gate": one.gate.hex(), "params": dict(one.params)} for one in found])
        return
    _table(("id", "kind", "gate", "times", "evidence", "last", "resolved"), [_incident_row(one) for one in found])


@hub.command()
@_DIR
@click.argument("gate", metavar="GATE")
def retire(directory: Path, gate: str) -> None:
    """Take nothing more from GATE (the beginning of its id); what it sent stays."""
    from edge.hub.desk import Desk

    retired = Desk(directory).retire(gate)
    click.echo(f"Gate {retired.hex()} is retired. To use the device again, enrol it with a new invitation.")


@hub.command()
@_DIR
@_JSON
def audit(directory: Path, *, as_json: bool) -> None:
    """Show who pulled what, the newest first."""
    from edge.hub.desk import Desk

    found = Desk(directory).pulls(1000)
    if as_json:
        _print_json(found)
        return
    names = ("at", "role", "token", "peer", "after", "rows", "last", "times")
    _table(names, [tuple(one[name] for name in names) for one in found])


@hub.command()
@_DIR
@click.option("--role", required=True, type=click.Choice(["operator", "auditor", "technician"]))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="File to write it to.")
def token(directory: Path, role: str, out: Path) -> None:
    """Make a token for somebody: operators and auditors pull, technicians see the page."""
    from edge.hub.desk import Desk

    _write_secret(out, Desk(directory).new_token(role).encode() + b"\n")
    click.echo(f"A token for the role {role} is in {out}. The hub keeps only its hash.")


def _source(url: str | None, token_file: Path | None, directory: Path | None) -> "Source":
    from edge.hub import client, folder

    if directory is not None:
        url = url or folder.load(directory).config.url
        token_file = token_file or directory / folder.OPERATOR
    if not url or token_file is None:
        raise ConfigError(
            "A pull needs the hub's address and a token file.",
            f"Give --dir DIR, or --hub URL and --token-file FILE (or {_TOKEN_FILE_ENV}).",
        )
    folder.check_url("--hub", url)
    if not client.is_private(url):
        click.echo("Warning: http:// to another machine shows the token to the network; use https://.", err=True)
    return client.Source(url, client.read_token(token_file))


def _pull_all(source: "Source", after: int, limit: int | None, file: "OutFile | None", *, follow: bool) -> None:
    import time

    from edge.hub import client

    progress = client.Progress(file.write if file else _to_stdout, _tell_progress, after)
    try:
        client.pull(source, progress, limit)
        while follow:
            try:
                time.sleep(_POLL_S)
                client.pull(source, progress, None)
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


def _to_stdout(lines: list[bytes]) -> None:
    sys.stdout.buffer.write(b"".join(lines))
    sys.stdout.buffer.flush()


def _tell(failed: EdgeError) -> None:
    click.echo(f"edge: {failed.message} Trying again.", err=True)


def _tell_progress(lines: int, cursor: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"\r{lines} lines, cursor {cursor} ", nl=False, err=True)


def _warn_without_root(directory: Path, *, has_root: bool) -> None:
    if not has_root:
        click.echo(
            "Warning: this hub has no trust root; gates enrolled now get no trust data.\n"
            f"  -> cp AUTHORITY/publication/metadata/1.root.json {directory}/root.json",
            err=True,
        )


def _qr(code: str, kind: str = "png") -> bytes:
    from io import BytesIO

    import segno

    drawn = BytesIO()
    segno.make_qr(code, error="m").save(drawn, kind=kind, scale=8, border=4, light="#fff")
    return drawn.getvalue()


def _show_anew(sign: Callable[[], str]) -> None:
    import time

    import segno

    with suppress(KeyboardInterrupt):
        while True:
            click.clear()
            segno.make_qr(sign(), error="m").terminal(border=2, compact=True)
            click.echo("Hold this to the gate's camera. Ctrl-C ends.")
            time.sleep(_SHOW_ANEW_S)


def _write_secret(file: Path, content: bytes) -> None:
    """Write a file nobody else may read; one that stands there is replaced."""
    try:
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
    except OSError as failed:
        raise ConfigError(f"{file} cannot be written: {failed.strerror}.", "Choose another file.") from failed


def _gate_row(one: "GateState") -> tuple[Any, ...]:
    said = (one.contact_s, one.backlog, one.held, one.trust_version, one.offset_ms)
    return (one.state, one.site, one.lane, one.gate.hex()[:8], *said)


def _incident_row(one: "Incident") -> tuple[Any, ...]:
    from edge.hub.pull import iso

    gate = one.gate.hex()[:8]
    return one.id, one.kind, gate, one.count, one.evidence, iso(one.last_ms), iso(one.resolved_ms)


def _fields(value: Any) -> dict[str, Any]:
    return {row.name: getattr(value, row.name) for row in fields(value)}


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _table(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print columns; rich keeps Chinese names aligned and control characters out."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*("-" if cell is None else escape(str(cell)) for cell in row))
    Console(soft_wrap=True).print(table if rows else "none")
