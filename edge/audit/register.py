"""The register of fields: every field that gate, hub and authority store or send, as `register.json` beside this file.

One line a field: what it says, its class, how long it is kept and who reads it. `docs/privacy-register.md` is made from
it, and `tests/unit/test_audit_register.py` holds it to the tables and messages there really are. Whether what is said
of a field is true is left to whoever reads the code; that none is missing is not.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

SCHEMA: Final = 1
WHERE: Final = ("gate", "wire", "hub", "copy", "authority")
_TITLES: Final = {
    "gate": "On the gate",
    "wire": "Between gate and hub, and in people's hands",
    "hub": "On the hub",
    "copy": "What is pulled, exported and told",
    "authority": "At the authority",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field and what may become of it.

    Attributes:
        name: Column, attribute or key; a dot leads into what it holds.
        says: What it says.
        kind: Its class, one of `Register.classes`.
        retention: How long it is kept, one of `Register.retention`.
        readers: Who may see it, of `Register.readers`; nobody where empty.
    """

    name: str
    says: str
    kind: str
    retention: str
    readers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A table, message or file, with all its fields.

    Attributes:
        name: As `hub.db: scans`.
        where: One of `WHERE`.
        what: What it is.
        fields: Every field of it.
    """

    name: str
    where: str
    what: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Register:
    """All records, and the words they are classified in.

    Attributes:
        classes: Meaning by class.
        retention: Meaning by retention.
        readers: Where somebody reads, by reader.
        records: Every table, message and file.
    """

    classes: Mapping[str, str]
    retention: Mapping[str, str]
    readers: Mapping[str, str]
    records: tuple[Record, ...]


def text() -> str:
    """Return the register as it is kept, JSON."""
    return resources.files("edge.audit").joinpath("register.json").read_text(encoding="utf-8")


def load(content: str | None = None) -> Register:
    """Return the register.

    Args:
        content: JSON in the form of `register.json`, which is taken where there is none.

    Raises:
        ValueError: It is of another form, or a field is not classified in its words.
    """
    try:
        found = json.loads(text() if content is None else content, object_pairs_hook=_once)
        if found["schema"] != SCHEMA:
            raise ValueError("the register is of another form")
        records = tuple(_record(one) for one in found["records"])
        register = Register(found["classes"], found["retention"], found["readers"], records)
    except (KeyError, TypeError) as bad:
        raise ValueError(f"the register lacks {bad}") from bad
    for record in records:
        for field in record.fields:
            _check(register, record, field)
    return register


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON whose names are all different: the second of two would hide the first."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a name stands twice among {', '.join(name for name, _ in pairs)}")
    return found


def _record(row: dict[str, Any]) -> Record:
    fields = tuple(
        Field(name, one["says"], one["class"], one["retention"], tuple(one["readers"]))
        for name, one in row["fields"].items()
    )
    return Record(row["name"], row["where"], row["what"], fields)


def _check(register: Register, record: Record, field: Field) -> None:
    is_classified = field.kind in register.classes and field.retention in register.retention
    if record.where not in WHERE or not (is_classified and field.says and set(field.readers) <= set(register.readers)):
        raise ValueError(f"{record.name}, {field.name} is not classified in the words of the register")


def markdown(register: Register) -> str:
    """Return the register as the document `docs/privacy-register.md`."""
    return "\n".join(_lines(register)) + "\n"


def _lines(register: Register) -> Iterator[str]:
    count = sum(len(record.fields) for record in register.records)
    yield "# Register of fields"
    yield ""
    yield f"Every field that is stored or sent: {count} in {len(register.records)} records. Made from"
    yield "`edge/audit/register.json` by `edge audit register --format markdown`; what it means for people is told in"
    yield "[What is stored, and why](privacy.md)."
    for title, words in (("Class", register.classes), ("Kept", register.retention), ("Readers", register.readers)):
        yield from ("", f"| {title.lower()} | |", "|---|---|")
        yield from (f"| *{name}* | {meaning} |" for name, meaning in words.items())
    for where in WHERE:
        yield from ("", f"## {_TITLES[where]}")
        for record in register.records:
            if record.where == where:
                yield from ("", f"### {record.what}: `{record.name}`", "")
                yield from _table(record)


def _table(record: Record) -> Iterator[str]:
    yield "| field | what it says | class | kept | readers |"
    yield "|---|---|---|---|---|"
    for field in record.fields:
        readers = ", ".join(field.readers) or "nobody"
        yield f"| `{field.name}` | {field.says} | {field.kind} | {field.retention} | {readers} |"
