"""Credential formats as plug-ins: found through the entry points `edge.credentials`, built-ins like strangers."""

from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Final

from edge.credentials.format import Format, Opening
from edge.errors import SetupError
from edge.model.content_key import ContentKey

GROUP: Final = "edge.credentials"
_FIRST: Final = "hp1"
"""Tried before all others: most codes at a gate are national passes."""


def load_formats(keys: Sequence[ContentKey] = ()) -> tuple[Format, ...]:
    """Return every installed format, the national pass first, then by name.

    Args:
        keys: Keys that open encrypted codes; each format is handed its own.

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
    return tuple(_holding(known, keys) for known in formats)


def _holding(known: Format, keys: Sequence[ContentKey]) -> Format:
    own = tuple(key for key in keys if key.format == known.name)
    return known.holding(own) if own and isinstance(known, Opening) else known
