"""What may follow a device in `sources`: `serial:/dev/ttyACM0?baud=9600&end=pause`."""

from collections.abc import Mapping

from edge.errors import SourceError

Known = Mapping[str, tuple[str, ...] | range]
"""Each option with its words, the first of which holds where none is given, or with its range of whole numbers."""


def split_options(target: str, known: Known) -> tuple[str, dict[str, str]]:
    """Return what stands before the question mark, and the options given behind it.

    Raises:
        SourceError: An option is unknown, stands twice or has a value it cannot have.
    """
    device, _, query = target.partition("?")
    found: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if name not in known or name in found or not _fits(value, known[name]):
            forms = ", ".join(f"{name}={_form(values)}" for name, values in known.items())
            raise SourceError(
                f"An option of the source {device} is not understood.", f"Known are: {forms}.", cause="option"
            )
        found[name] = value
    return device, found


def _fits(value: str, allowed: tuple[str, ...] | range) -> bool:
    if isinstance(allowed, range):
        return value.isascii() and value.isdecimal() and int(value[:20]) in allowed
    return value in allowed


def _form(allowed: tuple[str, ...] | range) -> str:
    return f"{allowed.start}..{allowed.stop - 1}" if isinstance(allowed, range) else "|".join(allowed)
