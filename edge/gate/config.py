"""Reading `gate.toml`: every key known, typed and in range, or a sentence that names the file, the key and the fix."""

import difflib
import tomllib
import types
import typing
from dataclasses import Field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

from edge.disk import bounded
from edge.errors import ConfigError
from edge.model.settings import Settings

SCHEMA: Final = 1
_MAX_BYTES: Final = 1 << 20
_CHOICES: Final = {
    "place.direction": ("entry", "exit"),
    "web.language": ("zh", "en"),
    "web.sound": ("off", "neutral", "verdict"),
}
_RANGES: Final[dict[str, tuple[float, float]]] = {
    "scanner.width": (160, 7680),
    "scanner.height": (120, 4320),
    "scanner.fps": (1, 60),
    "scanner.exposure_us": (0, 1_000_000),
    "scanner.focus": (-1, 10_000),
    "scanner.same_code_s": (0, 60),
    "scanner.watchdog_s": (0.2, 60),
    "scanner.retry_ms": (0, 1000),
    "scanner.second_engine_every": (0, 1000),
    "trust.refresh_s": (5, 86_400),
    "sync.push_after_s": (0.2, 86_400),
    "sync.push_at": (1, 500),
    "sync.timeout_s": (1, 120),
    "web.port": (1, 65_535),
}
_KINDS: Final[dict[type, str]] = {
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}
_REGION_DIGITS: Final = 6
_OF_FILES: Final = ("folder", "video")
"""Kinds of source whose target is a path, and not a device or an address."""


def load_settings(path: Path) -> Settings:
    """Return the settings in a `gate.toml`; relative paths in it count from its folder.

    Raises:
        ConfigError: The file cannot be read, is no TOML, or a key is unknown, of another type or out of range.
    """
    try:
        document = tomllib.loads(bounded.read(path, _MAX_BYTES).decode())
    except FileNotFoundError:
        raise ConfigError(
            f"There is no configuration {path}.", "Copy firmware-config/gate.toml there and edit it."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {_short(error)}.", "Check the file and its permissions.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no valid TOML: {error}.", "Correct that line.") from error
    if document.get("schema") != SCHEMA:
        raise ConfigError(f"{path} does not say schema = {SCHEMA}.", f"Begin the file with: schema = {SCHEMA}")
    settings: Settings = _table(document, Settings, (path, ""))
    return _anchored(settings, path.resolve().parent)


def _anchored(settings: Settings, folder: Path) -> Settings:
    def at(name: str) -> str:
        return str(folder / name) if name else ""

    scanner = settings.scanner
    return replace(
        settings,
        state=str(folder / settings.state),
        trust=replace(settings.trust, ca_file=at(settings.trust.ca_file)),
        sync=replace(settings.sync, ca_file=at(settings.sync.ca_file)),
        scanner=replace(
            scanner,
            sources=tuple(_source(spec, folder) for spec in scanner.sources),
            code_keys_file=at(scanner.code_keys_file),
        ),
        staff=replace(settings.staff, pin_file=at(settings.staff.pin_file)),
    )


def _source(spec: str, folder: Path) -> str:
    kind, _, target = spec.partition(":")
    return f"{kind}:{folder / target}" if kind in _OF_FILES and target else spec


def _table(document: dict[str, Any], kind: type[Any], where: tuple[Path, str]) -> Any:
    path, prefix = where
    known: dict[str, Field[Any]] = {key.name: key for key in fields(kind)}
    for name in document:
        if name not in known:
            raise ConfigError(f"{path}: the key {prefix}{name} is unknown.", _nearest(name, prefix, known))
    hints = typing.get_type_hints(kind)
    values = {name: _value(value, hints[name], (path, f"{prefix}{name}")) for name, value in document.items()}
    return kind(**values)


def _nearest(name: str, prefix: str, known: dict[str, Field[Any]]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {prefix}{close[0]}?"
    return "Known keys here: " + ", ".join(sorted(known)) + "."


def _value(value: Any, hint: Any, where: tuple[Path, str]) -> Any:
    path, name = where
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: {name} is a table.", f"Write it as [{name}].")
        return _table(value, typing.cast("type[Any]", hint), (path, f"{name}."))
    value = _typed(value, hint, where)
    _in_range(value, where)
    return value


def _typed(value: Any, hint: Any, where: tuple[Path, str]) -> Any:
    path, name = where
    if isinstance(hint, types.GenericAlias):
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{path}: {name} is a list of texts.", f'Write {name} = ["..."].')
        return tuple(value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigError(
            f"{path}: {name} is {_KINDS[hint]}, not {_KINDS.get(type(value), type(value).__name__)}.",
            "See docs/technician.md, Settings.",
        )
    return value


def _in_range(value: Any, where: tuple[Path, str]) -> None:
    path, name = where
    choices = _CHOICES.get(name)
    if choices is not None and value not in choices:
        raise ConfigError(f"{path}: {name} is one of: {', '.join(choices)}.", "Choose one of them.")
    low, high = _RANGES.get(name, (float("-inf"), float("inf")))
    if isinstance(value, int | float) and not low <= value <= high:
        raise ConfigError(f"{path}: {name} lies between {low:g} and {high:g}.", "Choose a number in that range.")
    if name == "place.region" and not (len(value) == _REGION_DIGITS and value.isascii() and value.isdigit()):
        raise ConfigError(f"{path}: {name} is a GB/T 2260 code of six digits.", 'Write it in quotes: region = "610100"')


def _short(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    return getattr(error, "strerror", None) or type(error).__name__
