"""Lines of `edge.scanlog.lines` as CSV (RFC 4180) that no spreadsheet takes for a formula."""

from collections.abc import Mapping
from typing import Any, Final

FIELDS: Final = (
    *("epoch", "seq", "at", "at_ms", "clock", "type", "outcome", "reason", "format", "issuer", "kind", "status"),
    *("region", "trust_version", "policy_version", "duration_ms", "count", "refers_to", "note", "source"),
    *("body", "head"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_BREAKS: Final = str.maketrans("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029", " " * 10)


def header() -> str:
    """Return the first line, without its line end."""
    return ",".join(FIELDS)


def csv_line(shown: Mapping[str, Any]) -> str:
    """Return one entry, without its line end; what is not stated is an empty cell."""
    return ",".join(_cell(shown.get(name)) for name in FIELDS)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, str) and text.startswith(_FORMULA):
        text = f"'{text}"
    text = text.translate(_BREAKS)
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"') else text
