"""What a signing request changes in the business rules, whole: a rule cut short would hide what is signed.

The words stand in `edge.words` under `ceremony.`; which requests are told is left to `edge.authority.changes`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from edge.policy import certlogic_reads
from edge.trust import health_rules
from edge.trust.fields import Document
from edge.words.catalogue import Value, languages

Told = tuple[str, Mapping[str, Value]]
"""A stable word for the case, and what its sentence tells."""


def told(before: bytes | None, after: bytes, path: str) -> Iterator[Told]:
    """Yield what changes from one document of rules to another: every rule and every code.

    Args:
        before: The document in force, None where there is none.
        after: The one that follows.
        path: Its path, for messages.

    Raises:
        TrustError: One of them could not be loaded by a gate.
    """
    was, becomes = (_parts(data, path) for data in (before, after))
    old, new = was[0], becomes[0]
    for id_ in sorted({*old, *new}):
        added, removed = new.get(id_, set()) - old.get(id_, set()), old.get(id_, set()) - new.get(id_, set())
        if added or removed or (id_ in old) != (id_ in new):
            listed = {"added": ", ".join(sorted(added)) or "-", "removed": ", ".join(sorted(removed)) or "-"}
            yield "codes", {"set": id_, **listed}
    for name in sorted({*was[1], *becomes[1]}):
        row = becomes[1].get(name)
        if row is None:
            yield "rule_removed", {"rule": name}
        elif row != was[1].get(name):
            yield "rule_says", {"rule": name, **_row(row)}


def _parts(data: bytes | None, path: str) -> tuple[dict[str, set[str]], dict[str, dict[str, Any]]]:
    if data is None:
        return {}, {}
    found = health_rules.health_rules(Document(data, path))
    rows = {f"{row['Identifier']} {row['Version']}": row for row in json.loads(data)["rules"]}
    return {id_: set(codes) for id_, codes in found.value_sets.items()}, rows


def _row(row: dict[str, Any]) -> dict[str, Value]:
    said = {one["lang"]: one["desc"] for one in row["Description"]}
    reads = ", ".join(sorted(set(certlogic_reads.paths(row["Logic"]))))
    return {
        **{f"line_{language}": said.get(language, said["en"]) for language in languages()},
        "from": row["ValidFrom"],
        "to": row["ValidTo"],
        "reads": _plain(reads) or "-",
        "logic": _plain(json.dumps(row["Logic"], ensure_ascii=False)),
    }


def _plain(text: str) -> str:
    # A signed text must not steer the terminal of whoever judges it.
    return "".join(char if char.isprintable() else "?" for char in text)
