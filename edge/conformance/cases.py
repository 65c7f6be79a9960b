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
_SHARED: Final = ("algorithm",)
"""What a suite says once for all of its cases."""


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
    """Return the folders of cases in `folder`: itself, and those below it.

    Raises:
        ConfigError: It is no folder, or holds no cases.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder.", "Name a folder of cases (tests/conformance/README.md).")
    found = [one for one in (folder, *sorted(folder.rglob("*"))) if one.is_dir() and (_lines(one) or _suites(one))]
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


_GROUPED: Final = (("testGroups", "tests"), ("cases", "assertions"))
"""Names under which suites keep groups and the cases in them: those of Wycheproof, and of CertLogic."""


def _suite(path: Path) -> Iterator[Case]:
    """Yield a case for each row of a list, for each case of a group, with what the group shares, or the one case."""
    document = _json(_read(path), str(path))
    if isinstance(document.get("rows"), list):
        for number, row in enumerate(document["rows"]):
            if isinstance(row, dict):
                yield Case(f"{path.stem}/{row.get('id', number)}", row, path.parent)
    elif any(isinstance(document.get(name), list) for name, _ in _GROUPED):
        yield from _grouped(path, document)
    elif isinstance(document.get("id"), str):
        yield Case(document["id"], document, path.parent)


def _grouped(path: Path, document: Mapping[str, Any]) -> Iterator[Case]:
    shared = {name: document[name] for name in _SHARED if name in document}
    for of_groups, of_cases in _GROUPED:
        groups = document.get(of_groups)
        for place, group in enumerate(groups if isinstance(groups, list) else ()):
            if not isinstance(group, dict) or not all(isinstance(case, dict) for case in group.get(of_cases, ())):
                raise ConfigError(f"{path} holds a group that is none.", "Copy the suite again.")
            if of_cases not in group:
                # A group without cases of its own is one.
                yield Case(f"{path.stem}/{place}", {**shared, **group}, path.parent)
            rest = {name: value for name, value in group.items() if name != of_cases}
            for number, case in enumerate(group.get(of_cases, ())):
                own = case.get("tcId", f"{place}.{number}")
                yield Case(f"{path.stem}/{own}", {**shared, **rest, **case}, path.parent)


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
