"""`edge audit register|privacy|join`: show what is kept about people, and look whether it is so."""

import click


@click.group()
def audit() -> None:
    """Show what is kept about people, search for what must not be, try to join two days."""


@audit.command()
@click.option("--format", "form", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
def register(form: str) -> None:
    """Print the register: every field that is stored or sent, its class, how long it is kept, who reads it."""
    from edge.audit import register as kept

    click.echo(kept.text() if form == "json" else kept.markdown(kept.load()), nl=False)
