"""`edge demo`: a gate at work, with people, an outage, and a comparison at the end."""

from pathlib import Path

import click

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--seconds", type=click.FloatRange(5, 86_400), help="How long people come. Without it: until Ctrl-C.")
@click.option("--headless", is_flag=True, help="Print plain lines instead of a live table; needs --seconds.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder for summary.json, made where missing."
)
@click.option(
    "--offline-seconds",
    type=click.FloatRange(0, 3600),
    help="How long hub and authority are dead.  [default: a quarter of --seconds, else 20 s every two minutes]",
)
@click.option("--port", type=_PORT, default=8080, show_default=True, help="The gate's page; a free one if 0 or taken.")
@click.option("--hub-port", type=_PORT, default=8090, show_default=True, help="The hub; a free one if taken.")
@click.option("--authority-port", type=_PORT, default=8091, show_default=True, help="The trust publication; likewise.")
@click.option("--keep", is_flag=True, help="Keep the folder with everything: keys, logs, databases.")
@click.option("--seed", type=int, default=1, show_default=True, help="Who comes, and how they hold their codes.")
def demo(*, seconds: float | None, headless: bool, out: Path | None, keep: bool, seed: int, **asked: float) -> None:
    """See a gate at work: people pass, the hub dies, comes back, and everything adds up.

    Starts an authority, a hub and a gate on this machine and shows people to the gate's camera: valid passes of seven
    systems, expired, revoked, forged and foreign codes. In the middle hub and authority are killed; the gate goes on.
    At the end every verdict is compared with what it must be, and the gate's log with the hub's.

    A run of 40 seconds or more shows every kind of case. The exit code is 0 if everything adds up.
    """
    from edge.demo.run import Options, main
    from edge.demo.station import Ports

    if headless and seconds is None:
        raise click.UsageError("--headless needs --seconds N")
    main(
        Options(
            seconds=seconds,
            offline_s=asked["offline_seconds"],
            seed=seed,
            is_headless=headless,
            out=out,
            is_kept=keep,
            ports=Ports(int(asked["port"]), int(asked["hub_port"]), int(asked["authority_port"])),
        )
    )
