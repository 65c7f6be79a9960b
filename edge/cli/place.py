"""Which gate of this machine a command is about: `--config` or `--state`, the same everywhere."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from edge.model.settings import Settings

CONFIG: Final = "/etc/edge/gate.toml"
STATE: Final = "/var/lib/edge"


def of_a_gate(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say which gate is meant."""
    config = click.option(
        "--config", type=click.Path(path_type=Path), help=f"The gate's settings.  [default: {CONFIG}]"
    )
    state = click.option(
        "--state", type=click.Path(path_type=Path), help="The gate's state folder, in place of --config."
    )
    return config(state(command))


def settings_of(config: Path | None, state: Path | None) -> "Settings":
    """Return the settings meant; with neither option those of the machine's gate, or its usual folder.

    Raises:
        ConfigError: The file cannot be taken.
    """
    from edge.gate.config import load_settings
    from edge.model.settings import Settings

    if state is not None:
        if config is not None:
            raise click.UsageError("name either --state or --config")
        return Settings(state=str(state))
    if config is None and not Path(CONFIG).exists() and Path(STATE).exists():
        return Settings(state=STATE)
    return load_settings(config or Path(CONFIG))


def state_of(config: Path | None, state: Path | None) -> Path:
    """Return the state folder meant.

    Raises:
        ConfigError: The settings cannot be taken.
    """
    return Path(settings_of(config, state).state)
