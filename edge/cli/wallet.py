"""`edge wallet`: the reference holder of live passes (docs/live-passes.md), for people who write a phone app."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

_FOLDER: Final = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))


@click.group()
def wallet() -> None:
    """Hold a live pass: a key that never leaves DIR, a pass bound to it, a code signed as it is shown."""


@wallet.command()
@_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def new(folder: Path, as_json: bool) -> None:  # noqa: FBT001  # click passes options by name
    """Make a holder key in DIR and print what the issuer needs: its public half."""
    import json

    from edge.wallet.wallet import Wallet

    public = Wallet.new(folder).public.hex()
    if as_json:
        click.echo(json.dumps({"holder_key": public}))
        return
    click.echo(public)
    click.echo(f"The private key is in {folder} and stays there. Give the issuer the public key above:", err=True)
    click.echo(f"  edge authority issue DIR --issuer ID --holder-key {public} ...", err=True)
    click.echo(f"then take the pass in: edge wallet pass {folder} CODE", err=True)


@wallet.command("pass")
@_FOLDER
@click.argument("given", metavar="CODE|FILE|-")
def take(folder: Path, given: str) -> None:
    """Take in the pass that was issued for this wallet: its text, a text file, a picture, or - for standard input."""
    import sys

    from edge.wallet.wallet import Wallet, read_pass

    code = sys.stdin.buffer.read(4096).strip() if given == "-" else read_pass(given)
    Wallet.open(folder).keep(code)
    click.echo(f"The pass is in {folder}. Show it: edge wallet show {folder}")


@wallet.command()
@_FOLDER
@click.option("--nonce", "digits", default="", metavar="DIGITS", help="The eight digits that the gate's screen shows.")
@click.option("--terminal", is_flag=True, help="Draw the code in the terminal instead of a page.")
@click.option("--text", "as_text", is_flag=True, help="Print the code's text once and end.")
@click.option("--every", "every_s", type=click.IntRange(1, 60), default=5, show_default=True, help="Seconds a code.")
@click.option("--port", type=click.IntRange(0, 65535), default=8093, show_default=True, help="0 takes a free one.")
@click.option("--language", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Of the page.")
def show(folder: Path, digits: str, every_s: int, port: int, *, terminal: bool, as_text: bool, language: str) -> None:
    """Show the pass live: a page on this machine, or with --terminal here, until Ctrl-C."""
    from edge.gate.clock import now_ms
    from edge.wallet.wallet import Wallet, digits_of

    opened = Wallet.open(folder)
    asked = digits_of(digits).decode("ascii")
    first = opened.shown(now_ms() // 1000, asked)
    if as_text:
        click.echo(first)
        return
    if terminal:
        _in_terminal(lambda: opened.shown(now_ms() // 1000, asked), every_s)
        return
    from edge.wallet import page

    listener = page.bind(port)
    app = page.create_app(opened, lambda: now_ms() // 1000, every_s=every_s, language=language, digits=asked)
    click.echo(f"The pass is shown at http://{page.HOST}:{listener.getsockname()[1]} (Ctrl-C ends)")
    page.serve(app, listener)


def _in_terminal(shown: Callable[[], str], every_s: int) -> None:
    import time

    from edge.kiosk.drawing import symbol

    while True:
        # From the top left, so that the old code does not scroll: a screen shows one at a time.
        click.echo("\x1b[2J\x1b[H", nl=False)
        symbol(shown()).terminal(border=2, compact=True)
        click.echo(f"Drawn anew every {every_s} s; Ctrl-C ends.")
        time.sleep(every_s)
