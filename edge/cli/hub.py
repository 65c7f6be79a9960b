"""`edge hub`: begin and serve a hub, invite gates, look after the fleet; pulling is in `edge.cli.hub_pull`."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.cli import answers, hub_keep, hub_ledger, hub_pull, hub_query
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.hub.fleet import GateState
    from edge.hub.incidents import Incident

_DIR = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for scripts.")
_FILE = click.Path(path_type=Path, dir_okay=False)
_SHOW_ANEW_S = 5.0


@click.group()
def hub() -> None:
    """Receive the scans of many gates, and hand them to central operations."""


for command in (
    *hub_pull.COMMANDS,
    *hub_keep.COMMANDS,
    *(hub_ledger.import_, hub_ledger.check, hub_ledger.rebuild),
    hub_query.token_query,
):
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
        answers.print_json(
            {"key": key, "url": made.config.url, "operator_token_file": str(directory / folder.OPERATOR)}
        )
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
@click.option("--tls-cert", type=_FILE, help="Speak HTTPS with this certificate chain (PEM); renewals are noticed.")
@click.option("--tls-key", type=_FILE, help="The private key of --tls-cert (PEM, no passphrase).")
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Believe this proxy (or network, CIDR) who asks; again for more.",
)
def serve(directory: Path, host: str, port: int, **named: Any) -> None:
    """Serve the hub in DIR until it is told to stop (Ctrl-C or SIGTERM)."""
    import logging

    from edge.hub import front
    from edge.hub.hub import Hub
    from edge.hub.serve import serve as serve_hub

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    opened = Hub.open(directory)
    try:
        _warn_without_root(directory, has_root=bool(opened.home.root()))
        stands = front.load(directory, front.Named(**named), opened.clock)
        if stands.certificate is not None and opened.config.url.startswith("http:"):
            click.echo(f"Warning: hub.toml sends gates to {opened.config.url}, and here is HTTPS.", err=True)
        serve_hub(
            opened,
            (host, port),
            lambda address: click.echo(f"Hub {opened.config.name!r} listens at {address}"),
            front=stands,
        )
    finally:
        opened.close()
    click.echo("Hub stopped; everything it answered is on the disk.")


@hub.command()
def openapi() -> None:
    """Print what the hub answers over HTTP as OpenAPI 3.1 (JSON); a serving hub has it at /openapi.json and /docs."""
    from edge.hub.openapi import document

    answers.print_json(document())


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
        answers.write_secret(out, made.code.encode() + b"\n")
    if png:
        answers.write_secret(png, _qr(made.code))
    until = iso(made.expires_ms)
    if as_json:
        place = {"site": made.place.site, "lane": made.place.lane, "region": made.place.region}
        hub_is = {"hub_url": desk.home.config.url, "fingerprint": fingerprint(desk.home.public)}
        answers.print_json({"code": made.code, "expires_at": until, **hub_is, **place})
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
            answers.write_secret(file, _qr(code, kind))
    if show:
        _show_anew(lambda: desk.time_code(question)[0])
    elif as_json:
        answers.print_json({"code": code, "at": iso(at_ms), "at_ms": at_ms})
    else:
        click.echo(code)
        click.echo(f"Signed {iso(at_ms)} by this machine's clock; show it within twenty minutes.", err=True)


@hub.command()
@_DIR
@_JSON
def gates(directory: Path, *, as_json: bool) -> None:
    """List the gates of the hub in DIR, the one that wants a look most first."""
    from edge.hub.desk import Desk

    found = Desk(directory).gates()
    if as_json:
        answers.print_json([{**answers.fields_of(one), "gate": one.gate.hex()} for one in found])
        return
    answers.table(
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
        answers.print_json(
            [{**answers.fields_of(one), "gate": one.gate.hex(), "params": dict(one.params)} for one in found]
        )
        return
    answers.table(
        ("id", "kind", "gate", "times", "evidence", "last", "resolved"), [_incident_row(one) for one in found]
    )


@hub.command()
@_DIR
@click.argument("gate", metavar="GATE")
def retire(directory: Path, gate: str) -> None:
    """Take nothing more from GATE (the beginning of its id); what it sent stays."""
    from edge.hub.desk import Desk

    retired = Desk(directory).retire(gate)
    click.echo(f"Gate {retired.hex()} is retired. To use the device again, enrol it with a new invitation.")


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


def _gate_row(one: "GateState") -> tuple[Any, ...]:
    said = (one.contact_s, one.backlog, one.held, one.trust_version, one.offset_ms)
    return (one.state, one.site, one.lane, one.gate.hex()[:8], *said)


def _incident_row(one: "Incident") -> tuple[Any, ...]:
    from edge.hub.pull import iso

    gate = one.gate.hex()[:8]
    return one.id, one.kind, gate, one.count, one.evidence, iso(one.last_ms), iso(one.resolved_ms)
