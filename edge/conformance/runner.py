"""Runs every case of a folder through its adapter and tells, a row a case, what was expected and what came.

Cases that contradict their own specification stand in `exemptions.json`, each with the clause; an exemption covers the
members it names and nothing else. A case that no adapter takes fails: nothing is passed over in silence.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from edge.conformance.adapters import ADAPTERS, Adapter
from edge.conformance.cases import Case, folders, load

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """One case judged.

    Attributes:
        format: Whose adapter judged it.
        id: The case's id.
        expected: What its suite says, by member.
        got: What our functions say, by member.
        exempt: The clause its label contradicts, where the difference is one of those on record; else empty.
    """

    format: str
    id: str
    expected: Mapping[str, Any]
    got: Mapping[str, Any]
    exempt: str = field(default="")

    @property
    def ok(self) -> bool:
        """Whether everything came as expected."""
        return self.differing() == set()

    def differing(self) -> set[str]:
        """Return the members that came otherwise."""
        return {name for name, value in self.expected.items() if self.got.get(name) != value}

    def told(self) -> dict[str, Any]:
        """Return it as a row of JSON."""
        return {
            "format": self.format,
            "id": self.id,
            "expected": dict(self.expected),
            "got": {name: self.got.get(name) for name in self.expected},
            "ok": self.ok,
            "exempt": self.exempt,
        }


@dataclass(frozen=True, slots=True)
class Exemption:
    """A label that contradicts its own specification.

    Attributes:
        members: What of the case's expectation is meant.
        clause: What it contradicts.
        read_at: Repository and commit in which a case was read that is in no folder at hand; else empty.
    """

    members: frozenset[str]
    clause: str
    read_at: str = ""


@lru_cache(maxsize=1)
def exemptions() -> Mapping[tuple[str, str], Exemption]:
    """Return the exemptions on record, by format and case id."""
    rows = json.loads((files("edge.conformance") / "exemptions.json").read_text(encoding="utf-8"))
    found: dict[tuple[str, str], Exemption] = {}
    for row in rows:
        exemption = Exemption(frozenset(row["members"]), row["clause"], row.get("read_at", ""))
        found |= {(row["format"], id_): exemption for id_ in row["ids"]}
    return MappingProxyType(found)


def run(folder: Path, adapters: Iterable[Adapter] = ADAPTERS) -> Iterator[Row]:
    """Yield a row for each case below `folder`.

    Raises:
        ConfigError: There are no cases, or they cannot be read.
    """
    known = tuple(adapters)
    for one in folders(folder):
        for case in load(one):
            yield judged(case, known)


def judged(case: Case, adapters: Iterable[Adapter]) -> Row:
    """Return the row of one case: of the first adapter that takes it."""
    for adapter in adapters:
        if adapter.takes(case.members):
            expected, got = adapter.judge(case)
            row = Row(adapter.format, case.id, expected, got)
            exemption = exemptions().get((row.format, row.id))
            covered = exemption is not None and row.differing() <= exemption.members
            return Row(row.format, row.id, expected, got, exemption.clause if exemption and covered else "")
    return Row(UNKNOWN, case.id, {"adapter": "any"}, {"adapter": "none takes a case of these members"})


def table(rows: Iterable[Row]) -> list[tuple[str, int, int, int]]:
    """Return per format how many cases passed, failed, and are exempt by a clause."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        word = "passed" if row.ok else "exempt" if row.exempt else "failed"
        counts.setdefault(row.format, Counter())[word] += 1
    return [(name, found["passed"], found["failed"], found["exempt"]) for name, found in sorted(counts.items())]
