"""Edits of the business rules of health certificates in an authority's sources (docs/adr/0054-rules-at-the-gate.md).

Files of rules and value sets come in the EU's form and are read back by the gate's own reader, row by row. Gates decide
by them after the next publish, where the policy names a country.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from edge.authority.authority import Authority
from edge.errors import EncodingRefused, PublicationError, TrustError
from edge.model.health_rules import HealthRules
from edge.policy.certlogic import time_of
from edge.trust import health_rules, paths
from edge.trust.fields import SCHEMA, Fields, iso, parsed

Row = dict[str, Any]
_TIMES: Final = ("ValidFrom", "ValidTo")
_EMPTY: Final[Mapping[str, Any]] = {"schema": SCHEMA, "value_sets": [], "rules": []}
_CORRECT: Final = "Correct the file, or ask whoever publishes the rules; nothing was changed."


@dataclass(frozen=True, slots=True)
class Imported:
    """What came of a file.

    Attributes:
        version: The new version of the document.
        rules: How many versions of rules are new.
        value_sets: How many value sets are new or say something else now.
        left_out: Languages of descriptions that no screen has.
    """

    version: int
    rules: int
    value_sets: int
    left_out: tuple[str, ...]


def add(authority: Authority, files: Mapping[str, bytes], countries: Collection[str] = ()) -> Imported:
    """Add the rules and value sets of files; those that are there already stay as they are.

    Args:
        authority: The authority.
        files: JSON by name: a rule, a value set, or a list of them, in the EU's form.
        countries: Only rules of these; none: of every country.

    Raises:
        PublicationError: A row could not be published, or says otherwise what was published; nothing is changed.
    """
    rows = [found for name, data in files.items() for found in _rows(name, data, countries)]
    languages = {one["lang"] for _, row in rows for one in _described(row)}
    with authority.locked():
        members = _members(authority)
        sets = _merge_sets(members, [(place, row) for place, row in rows if "valueSetId" in row])
        known = dict(health_rules.value_set(Fields(row, paths.RULES, [])) for row in members["value_sets"])
        rules = _merge_rules(members, [(place, row) for place, row in rows if "valueSetId" not in row], known)
        version = _write(authority, members)
    left_out = tuple(sorted(languages - set(health_rules.LANGUAGES)))
    return Imported(version, rules, sets, left_out)


def remove(authority: Authority, identifier: str, version: str | None) -> tuple[int, int]:
    """Take a rule out, or one version of it; return the new version of the document and how many went.

    Raises:
        PublicationError: There is no such rule.
    """
    with authority.locked():
        members = _members(authority)
        kept = [
            row for row in members["rules"] if row["Identifier"] != identifier or version not in {None, row["Version"]}
        ]
        gone = len(members["rules"]) - len(kept)
        if not gone:
            raise PublicationError(
                f"There is no rule {identifier[:16]} {version or ''}".rstrip() + ".",
                f"See them: edge authority rules list {authority.folder}",
            )
        return _write(authority, {**members, "rules": kept}), gone


def listed(authority: Authority) -> HealthRules:
    """Return the rules and value sets as they would be published.

    Raises:
        PublicationError: They could not be.
    """
    if not authority.sources.has(paths.RULES):
        return HealthRules()
    found: HealthRules = authority.sources.value(paths.RULES)
    return found


def _members(authority: Authority) -> Row:
    return authority.sources.members(paths.RULES) if authority.sources.has(paths.RULES) else dict(_EMPTY)


def _write(authority: Authority, members: Row) -> int:
    version = int(members.get("version", 0)) + 1
    authority.sources.write(paths.RULES, {**members, "version": version})
    return version


def _rows(name: str, data: bytes, countries: Collection[str]) -> Iterator[tuple[str, Row]]:
    """Yield each object of a file in the form it is published in, with its place."""
    try:
        found = parsed(data, name)
        items = found if isinstance(found, list) else [found]
        for number, item in enumerate(items):
            place = f"{name} [{number}]" if isinstance(found, list) else name
            fields = Fields(item, place, [])
            if not countries or "valueSetId" in item or item.get("Country") in countries:
                yield place, _published(fields, item)
    except TrustError as error:
        raise PublicationError(error.message, _CORRECT) from error


def _published(fields: Fields, item: Row) -> Row:
    if "valueSetId" in item:
        values = fields.plain("valueSetValues")
        if not isinstance(values, dict):
            raise fields.fault("valueSetValues", "must be an object, a member a code")
        return {"valueSetId": item["valueSetId"], "valueSetDate": item.get("valueSetDate"), "codes": sorted(values)}
    # A member that says nothing (`"Region": null`) is none.
    row = {name: value for name, value in item.items() if value is not None}
    for name in _TIMES:
        row[name] = _time(fields, name)
    row["Description"] = [_description(one) for one in fields.objects("Description", 100)]
    return row


def _time(fields: Fields, name: str) -> str:
    try:
        return iso(int(time_of(fields.text(name, 40)).timestamp()))
    except EncodingRefused as error:
        raise fields.fault(name, "must be a time such as 2026-01-31T08:00:00Z") from error


def _description(fields: Fields) -> Row:
    said = fields.plain("desc")
    # Line breaks and runs of blanks are layout; a signed text must not steer a screen.
    return {"lang": fields.text("lang", 8), "desc": " ".join(said.split()) if isinstance(said, str) else said}


def _described(row: Row) -> list[Row]:
    found: list[Row] = row.get("Description", [])
    return found


def _merge_sets(members: Row, rows: list[tuple[str, Row]]) -> int:
    kept = {row["valueSetId"]: row for row in members["value_sets"]}
    before = dict(kept)
    for place, row in rows:
        fields = Fields(row, place, [])
        _checked(fields, health_rules.value_set)
        last = kept.get(row["valueSetId"])
        if last is not None and row["valueSetDate"] < last["valueSetDate"]:
            raise PublicationError(
                f"{place}: the value set is of {row['valueSetDate']}; there is one of {last['valueSetDate']}.", _CORRECT
            )
        kept[row["valueSetId"]] = row
    members["value_sets"] = [kept[id_] for id_ in sorted(kept)]
    return sum(before.get(id_) != row for id_, row in kept.items())


def _merge_rules(members: Row, rows: list[tuple[str, Row]], value_sets: Mapping[str, list[str]]) -> int:
    kept = {(row["Identifier"], row["Version"]): row for row in members["rules"]}
    before = len(kept)
    for place, row in rows:
        fields = Fields(row, place, [])
        _checked(fields, partial(health_rules.rule, value_sets=value_sets))
        own = [one for one in row["Description"] if one["lang"] in health_rules.LANGUAGES]
        wanted, named = {**row, "Description": own}, (row["Identifier"], row["Version"])
        if kept.setdefault(named, wanted) != wanted:
            raise PublicationError(
                f"{place}: {' '.join(named)} is there and says something else: a version never changes.",
                "Give the rule its next version.",
            )
    members["rules"] = [kept[named] for named in sorted(kept)]
    return len(kept) - before


def _checked(fields: Fields, read: Callable[[Fields], object]) -> None:
    try:
        read(fields)
        for name in fields.unread:
            raise fields.fault(name, "is not a member of this form")
    except TrustError as error:
        raise PublicationError(error.message, _CORRECT) from error
