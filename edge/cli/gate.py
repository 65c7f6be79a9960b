"""`edge gate run|settings|check`: a gate, whole or one part of it."""

import signal
import threading
from pathlib import Path
from typing import Final

import click

CONFIG: Final = "/etc/edge/gate.toml"


@click.group()
def gate() -> None:
    """Run a gate and show its settings."""


@gate.command()
@click.option(
    "--config", type=click.Path(path_type=Path), default=Path(CONFIG), show_default=True, help="The gate's settings."
)
@click.option(
    "--part",
    type=click.Choice(["scanner", "web", "sync"]),
    help="Run only this part, as systemd does. Without it all three are started and kept running.",
)
def run(config: Path, part: str | None) -> None:
    """Run the gate until Ctrl-C or SIGTERM.

    It reads what `sources` in the settings names: cameras, and for trials a film or a watched folder of pictures
    (folder:DIR), of which each is read once, new ones as they come. One gate runs on a state folder: a second one ends
    with exit code 3.
    """
    from edge.gate.config import load_settings

    settings = load_settings(config)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if part is None:
        from edge.gate.claim import claim_whole
        from edge.gate.supervisor import check_port, supervise

        # Before the port: a second gate is to be told of the first, not of its page.
        claim_whole(Path(settings.state))
        check_port(settings.web)
        click.echo(f"The gate's page: http://{settings.web.host}:{settings.web.port}/   Ctrl-C ends the gate.")
        raise SystemExit(supervise(config, stop))
    from edge.gate.parts import run_part

    run_part(part, settings, stop)


@gate.command()
@click.option("--config", type=click.Path(path_type=Path), help="Check this file and show what it sets.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def settings(config: Path | None, as_json: bool) -> None:  # noqa: FBT001  # click passes options by name
    """List every key of gate.toml with its value and what it means."""
    import json

    from edge.gate.config import load_settings
    from edge.gate.settings_table import rows
    from edge.model.settings import Settings

    found = rows(load_settings(config) if config is not None else Settings())
    if as_json:
        click.echo(json.dumps([{"key": key, "value": value, "doc": doc} for key, value, doc in found], indent=1))
        return
    for key, value, doc in found:
        click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}\n    {doc}")
