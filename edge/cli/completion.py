"""`edge completion SHELL`: the script that completes `edge` commands in a shell."""

import click
from click.shell_completion import get_completion_class

from edge.errors import SetupError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash:  edge completion bash >> ~/.bashrc
    zsh:   edge completion zsh >> ~/.zshrc
    fish:  edge completion fish > ~/.config/fish/completions/edge.fish
    """  # noqa: D301  # click reads the backspace
    from edge.cli.main import edge

    kind = get_completion_class(shell)
    if kind is None:
        raise SetupError(f"There is no completion for {shell}.", "Use bash, zsh or fish.")
    click.echo(kind(edge, {}, "edge", "_EDGE_COMPLETE").source())
