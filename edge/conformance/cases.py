"""Reading a folder of public conformance cases: `cases.jsonl`, and the JSON of signature suites, as they are published.

A case is known by its members, never by the name of its file or folder. What is right is left to the adapters.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.errors import ConfigError

LINES: Final = "cases.jsonl"
_MAX_FILE: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Case:
    """One case.

    Attributes:
        id: Its id, as its suite names it.
        members: What the suite says of it.
        folder: Where it stands, for files that belong to all of its cases.
    """

    id: str
    members: Mapping[str, Any]
    folder: Path

    def beside(self, name: str) -> bytes:
        """Return a file that stands beside the cases.

        Raises:
            ConfigError: It cannot be read.
        """
        return _read(self.folder / name)


def folders(folder: Path) -> list[Path]:
    """Return the folders of cases in `folder`: itself, or those right below it.

    Raises:
        ConfigError: It is no folder, or holds no cases.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder.", "Name a folder of cases (tests/conformance/README.md).")
    found = [one for one in (folder, *sorted(folder.iterdir())) if one.is_dir() and (_lines(one) or _suites(one))]
    if not found:
        raise ConfigError(f"{folder} holds no cases.", f"Each folder of a format has a {LINES}.")
    return found


def load(folder: Path) -> Iterator[Case]:
    """Yield the cases of one folder.

    Raises:
        ConfigError: A file cannot be read, or a line is no case.
    """
    for path in _lines(folder):
        for number, line in enumerate(_read(path).splitlines(), 1):
            if line.strip():
                members = _json(line, f"{path} line {number}")
                yield Case(str(members.get("id", number)), members, folder)
    for path in _suites(folder):
        yield from _suite(path)


def _lines(folder: Path) -> list[Path]:
    return [folder / LINES] if (folder / LINES).is_file() else []


def _suites(folder: Path) -> list[Path]:
    return [] if _lines(folder) else sorted(folder.glob("*.json"))


def _suite(path: Path) -> Iterator[Case]:
    """Yield a case for each test of a file in the form of Wycheproof: groups that share a key."""
    document = _json(_read(path), str(path))
    groups = document.get("testGroups")
    for group in groups if isinstance(groups, list) else ():
        shared = {name: value for name, value in group.items() if name != "tests"}
        for test in group.get("tests", ()):
            members = {"algorithm": document.get("algorithm"), **shared, **test}
            yield Case(f"{path.stem}/{test.get('tcId')}", members, path.parent)


def _json(data: bytes, place: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place} is no JSON.", "Copy the suite again.") from error
    return found if isinstance(found, dict) else {"rows": found}


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", "Copy the suite again.") from error
