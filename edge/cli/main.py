"""The `edge` command: one file per noun, imported only when that noun is used, so that a gate starts fast.

An `EdgeError` ends a command with its sentence and next step on standard error, never a traceback.
"""

import difflib
import importlib
import os
import sys
from importlib.metadata import version
from typing import Final

import click

from edge.errors import EdgeError, LogDamaged, SetupError

NOUNS: Final = {
    "audit": ("edge.cli.audit", "Show what is kept about people, and look whether it is so."),
    "authority": ("edge.cli.authority", "Keep a national trust root: issuers, passes, revocations, publication."),
    "completion": ("edge.cli.completion", "Print the completion script of your shell."),
    "demo": ("edge.cli.demo", "See a gate at work: people pass, the hub dies, comes back, and everything adds up."),
    "gate": ("edge.cli.gate", "Run a gate and show its settings."),
    "hub": ("edge.cli.hub", "Run the centre: receive scans, invite gates, pull the log."),
    "policy": ("edge.cli.policy", "Say what a policy admits, try codes under a draft, compare two."),
    "provision": ("edge.cli.provision", "Give this device its key and enrol it at a hub."),
    "scanner": ("edge.cli.scanner", "Try out cameras and hand scanners, and measure what is read."),
    "scans": ("edge.cli.scans", "Look at this gate's scan log and verify it."),
    "sync": ("edge.cli.sync", "See how far this gate's scans have reached the hub."),
    "trust": ("edge.cli.trust", "See what this gate believes, and refresh it."),
    "verify": ("edge.cli.verify", "Give the verdict on codes, pictures or files, offline."),
    "wallet": ("edge.cli.wallet", "Be a holder: a key of your own, a pass bound to it, a code that is always fresh."),
}
SETUP_EXIT: Final = 3
"""What a person must put right first (configuration, port, library, a damaged log): trying again does not help."""
_FAILED: Final = 1


class Nouns(click.Group):
    """The nouns as commands, each imported when it is first asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return every noun."""
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a noun's command, or None where there is no such noun."""
        if cmd_name not in NOUNS:
            return None
        command: click.Command = getattr(importlib.import_module(NOUNS[cmd_name][0]), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command asked for; a misspelt one is answered with the nearest."""
        if args and args[0] not in NOUNS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], NOUNS, n=1)
            hint = f" Did you mean `edge {close[0]}`?" if close else ""
            ctx.fail(f"there is no command `{args[0]}`.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of nouns without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in NOUNS.items()])


@click.group(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("edge"), prog_name="edge")
def edge() -> None:
    """Verify health and travel passes at a gate, with or without a network."""


def main() -> None:
    """Run the command line and exit."""
    try:
        edge(standalone_mode=True)
    except EdgeError as error:
        click.echo(f"edge: {error.message}", err=True)
        if error.next_step:
            click.echo(f"  -> {error.next_step}", err=True)
        sys.exit(SETUP_EXIT if isinstance(error, SetupError | LogDamaged) else _FAILED)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            named = error.filename or "The output"
            click.echo(f"edge: {named} cannot be used: {error.strerror or type(error).__name__}.", err=True)
            click.echo("  -> Make room, or check the name and its permissions; then run the command again.", err=True)
        # The reader left (`| head`), or the disk is full: nothing can be flushed there at the end, either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_FAILED)
