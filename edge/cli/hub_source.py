"""Which hub a command asks, and as whom: by options. A token never stands on a command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.hub.client import Source

_TOKEN_FILE_ENV = "EDGE_HUB_TOKEN_FILE"  # noqa: S105 - the name of a variable that names a file
HUB = click.option("--hub", "url", help="Address of the hub, e.g. http://127.0.0.1:8090")
TOKEN_FILE = click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar=_TOKEN_FILE_ENV,
    show_envvar=True,
    help="File with an operator or auditor token.",
)
CA_FILE = click.option(
    "--ca-file",
    type=click.Path(exists=True, dir_okay=False),
    envvar="EDGE_HUB_CA_FILE",
    show_envvar=True,
    help="Certificates (PEM) an https hub is held to.  [default: the system's]",
)
HERE = click.option(
    "--dir", "directory", type=click.Path(path_type=Path, file_okay=False), help="Folder of a hub here."
)


def of(url: str | None, asked: Mapping[str, Any]) -> "Source":
    """Return where to ask, with the token of a file or of the hub's own folder.

    Args:
        url: Address as given, or None.
        asked: The other options of this module, by name.

    Raises:
        ConfigError: There is no address or no token.
    """
    from edge.hub import client, folder

    token_file, directory = asked["token_file"], asked["directory"]
    if directory is not None:
        url = url or folder.load(directory).config.url
        token_file = token_file or directory / folder.OPERATOR
    if not url or token_file is None:
        raise ConfigError(
            "This needs the hub's address and a token file.",
            f"Give --dir DIR, or --hub URL and --token-file FILE (or {_TOKEN_FILE_ENV}).",
        )
    folder.check_url("--hub", url)
    if not client.is_private(url):
        click.echo("Warning: http:// to another machine shows the token to the network; use https://.", err=True)
    return client.Source(url, client.read_token(token_file), asked["ca_file"] or "")
