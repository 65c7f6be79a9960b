"""Credential formats as plug-ins: found through the entry points `edge.credentials`, built-ins like strangers."""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Final

from edge.credentials.format import Format, OpensCodes
from edge.errors import SetupError
from edge.model.code_key import CodeKey

GROUP: Final = "edge.credentials"
_FIRST: Final = "hp1"
"""Tried before all others: most codes at a gate are national passes."""


def load_formats(keys: Sequence[CodeKey] = ()) -> tuple[Format, ...]:
    """Return every installed format, the national pass first, then by name.

    Args:
        keys: What encrypted codes are opened with.

    Raises:
        SetupError: There is none, or one cannot be loaded.
    """
    found = sorted(entry_points(group=GROUP), key=lambda point: (point.name != _FIRST, point.name))
    formats = []
    for point in found:
        try:
            formats.append(point.load())
        except (ImportError, AttributeError) as error:
            raise SetupError(
                f"The credential format {point.name} ({point.value}) cannot be loaded: {error}.",
                "Reinstall or remove the package that brings it.",
            ) from error
    if not formats:
        raise SetupError(
            "No credential format is installed.", "Reinstall edge: ./firmware-config/setup.sh edge --version"
        )
    return tuple(one.holding(keys) if keys and isinstance(one, OpensCodes) else one for one in formats)
