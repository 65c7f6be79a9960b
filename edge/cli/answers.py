"""What commands of the hub answer with: JSON for scripts, tables for people, secrets in files of their own."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from edge.disk import durable
from edge.errors import ConfigError


def write_secret(file: Path, content: bytes) -> None:
    """Write a file nobody else may read, durably; one that stands there is replaced once the new one is whole.

    Raises:
        ConfigError: It cannot be written.
    """
    try:
        durable.write(file, content, mode=0o600)
    except OSError as failed:
        raise ConfigError(f"{file} cannot be written: {failed.strerror}.", "Choose another file.") from failed


def fields_of(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass by name."""
    return {row.name: getattr(value, row.name) for row in fields(value)}


def print_json(value: Any) -> None:
    """Print a value as JSON, for scripts."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def table(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Print columns; rich keeps Chinese names aligned and control characters out."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        drawn.add_column(name)
    for row in rows:
        drawn.add_row(*("-" if cell is None else escape(str(cell)) for cell in row))
    Console(soft_wrap=True).print(drawn if rows else "none")
