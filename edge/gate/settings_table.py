"""Every key of gate.toml as a row: the one list that `edge gate settings` and docs/technician.md are made from."""

import json
from dataclasses import fields, is_dataclass
from typing import Any

from edge.model.settings import Settings, doc_of


def rows(settings: Settings) -> list[tuple[str, Any, str]]:
    """Return (key, value, what it means) of every setting, in the file's order."""
    return _rows(settings, "")


def _rows(table: Any, prefix: str) -> list[tuple[str, Any, str]]:
    found: list[tuple[str, Any, str]] = []
    for key in fields(table):
        value = getattr(table, key.name)
        if is_dataclass(value):
            found += _rows(value, f"{prefix}{key.name}.")
        else:
            found.append((f"{prefix}{key.name}", list(value) if isinstance(value, tuple) else value, doc_of(key)))
    return found


def markdown(settings: Settings) -> str:
    """Return the rows as a Markdown table of keys, defaults and meanings."""
    lines = ["| key | default | meaning |", "|---|---|---|"]
    for key, value, doc in rows(settings):
        # JSON writes texts, numbers, lists of texts and truth values as TOML does.
        lines.append(f"| `{key}` | `{json.dumps(value, ensure_ascii=False)}` | {doc} |")
    return "\n".join(lines) + "\n"
