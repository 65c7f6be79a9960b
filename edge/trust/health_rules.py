"""`national/rules.json`, read strictly: business rules in the EU's form, and the value sets they read (ADR 0054).

Gate and authority refuse the same: what is no CertLogic, is beyond the bounds, could name a person or reads an unknown
value set, and versions that contradict each other. Which rules count for a certificate is left to `edge.policy.health`.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from edge.errors import EncodingRefused
from edge.model.credential import PassKind
from edge.model.health_rules import HealthRule, HealthRules
from edge.policy import certlogic_reads
from edge.policy.certlogic import MAX_STEPS, Expression
from edge.trust.fields import Document, Fields

MAX_RULES: Final = 2000
MAX_VALUE_SETS: Final = 100
MAX_CODES: Final = 5000
MAX_DESCRIPTION: Final = 1000
LANGUAGES: Final = ("en", "zh")
_UNKNOWN_LENGTH: Final = 8
"""How long a list of a certificate is taken to be: its groups have one entry (DCC schema 1.3.0)."""
_IDENTIFIER: Final = re.compile(r"(GR|VR|TR|RR|IR)-([A-Z]{2})-[0-9]{4}", re.ASCII)
_VERSION: Final = re.compile(r"([0-9]{1,5})\.([0-9]{1,5})\.([0-9]{1,5})", re.ASCII)
_ENGINE: Final = (1, 3, 65535)
_SCHEMA: Final = (1, 3, 65535)
_KINDS: Final[Mapping[str, PassKind | None]] = MappingProxyType(
    {
        "General": None,
        "Vaccination": PassKind.VACCINATION,
        "Test": PassKind.TEST,
        "Recovery": PassKind.RECOVERY,
    }
)
_PREFIXES: Final = MappingProxyType({"General": "GR", "Vaccination": "VR", "Test": "TR", "Recovery": "RR"})
_SET_ID: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9-]{0,63}", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def health_rules(document: Document) -> HealthRules:
    """Return the rules and value sets of `national/rules.json`.

    Raises:
        TrustError: A row is wrong, or two contradict each other.
    """
    value_sets: dict[str, list[str]] = {}
    for row in document.objects("value_sets", MAX_VALUE_SETS):
        id_, codes = value_set(row)
        if id_ in value_sets:
            raise row.fault("valueSetId", "stands twice")
        value_sets[id_] = codes
    found: dict[str, list[HealthRule]] = {}
    for row in document.objects("rules", MAX_RULES):
        read = rule(row, value_sets)
        _check_versions(row, read, found.setdefault(read.identifier, []))
    ordered = [one for _, versions in sorted(found.items()) for one in sorted(versions, key=lambda each: each.version)]
    return HealthRules(
        acceptance=_by_country(one for one in ordered if not one.is_invalidation),
        invalidation=_by_country(one for one in ordered if one.is_invalidation),
        value_sets=MappingProxyType(value_sets),
    )


def value_set(row: Fields) -> tuple[str, list[str]]:
    """Return id and codes of a value set.

    Raises:
        TrustError: The row is wrong.
    """
    id_ = row.text("valueSetId", 64)
    if not _SET_ID.fullmatch(id_):
        raise row.fault("valueSetId", "must be a name of letters, digits and hyphens")
    if not _DATE.fullmatch(row.text("valueSetDate", 10)):
        raise row.fault("valueSetDate", "must be a date such as 2026-01-31")
    return id_, list(row.texts("codes", MAX_CODES))


def rule(row: Fields, value_sets: Mapping[str, list[str]]) -> HealthRule:
    """Return one version of one rule.

    Args:
        row: The row, in the EU's form.
        value_sets: The value sets it may read.

    Raises:
        TrustError: The row is wrong.
    """
    country, kind, is_invalidation = _named(row)
    _check_engine(row)
    found = HealthRule(
        identifier=row.text("Identifier", 16),
        version=version(row, "Version"),
        country=country,
        is_invalidation=is_invalidation,
        kind=kind,
        valid_from=row.time("ValidFrom"),
        valid_to=row.time("ValidTo"),
        logic=_logic(row, value_sets),
        says=_says(row),
    )
    if found.valid_from >= found.valid_to:
        raise row.fault("ValidTo", "must be after ValidFrom")
    row.texts("AffectedFields", 100)
    return found


def version(row: Fields, name: str) -> tuple[int, int, int]:
    """Return a member that is a version of three numbers.

    Raises:
        TrustError: It is missing or something else.
    """
    found = _VERSION.fullmatch(row.text(name, 20))
    if found is None:
        raise row.fault(name, "must be a version such as 1.0.0")
    major, minor, patch = map(int, found.groups())
    return major, minor, patch


def _named(row: Fields) -> tuple[str, PassKind | None, bool]:
    """Return country, kind and type, which the identifier says too (dgc-gateway, constraints on rules)."""
    type_, certificate, country = row.text("Type"), row.text("CertificateType"), row.text("Country", 2)
    if type_ not in {"Acceptance", "Invalidation"}:
        raise row.fault("Type", "must be Acceptance or Invalidation")
    if certificate not in _KINDS:
        raise row.fault("CertificateType", f"must be one of {', '.join(_KINDS)}")
    named = _IDENTIFIER.fullmatch(row.text("Identifier", 16))
    if named is None:
        raise row.fault("Identifier", "must be written TR-DE-0001")
    prefix = "IR" if type_ == "Invalidation" else _PREFIXES[certificate]
    if named[1] != prefix or named[2] != country:
        raise row.fault("Identifier", f"must begin with {prefix}-{country} by its Type, CertificateType and Country")
    if row.has("Region"):
        # Left out, it would be asked everywhere in the country.
        raise row.fault("Region", "is not read: a rule of part of a country cannot be published")
    return country, _KINDS[certificate], type_ == "Invalidation"


def _check_engine(row: Fields) -> None:
    if row.text("Engine") != "CERTLOGIC":
        raise row.fault("Engine", "must be CERTLOGIC")
    for name, newest in (("EngineVersion", _ENGINE), ("SchemaVersion", _SCHEMA)):
        if version(row, name) > newest:
            raise row.fault(name, f"is newer than {newest[0]}.{newest[1]}, the newest that is known")


def _logic(row: Fields, value_sets: Mapping[str, list[str]]) -> Expression:
    tree = row.plain("Logic")
    try:
        found = Expression.of(tree)
    except EncodingRefused as error:
        raise row.fault("Logic", f"is refused: {error.message}") from error
    for id_ in sorted(certlogic_reads.value_sets(tree)):
        if id_ not in value_sets:
            raise row.fault("Logic", f"reads value set {id_[:64]!r}, which is not among value_sets")
    person = certlogic_reads.naming(tree)
    if person:
        raise row.fault("Logic", f"reads {person[:64]!r}, which could single out a person; revoke by a list of hashes")
    if certlogic_reads.steps(tree, lambda path: _length(path, value_sets)) > MAX_STEPS:
        raise row.fault("Logic", f"takes more than {MAX_STEPS} steps: it loops within loops")
    return found


def _length(path: str, value_sets: Mapping[str, list[str]]) -> int:
    return len(value_sets.get(path.rpartition(".")[2], ())) or _UNKNOWN_LENGTH


def _says(row: Fields) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for one in row.objects("Description", 100):
        language, text = one.text("lang", 8), one.text("desc", MAX_DESCRIPTION)
        if language in found:
            raise one.fault("lang", "stands twice")
        found[language] = text
    if "en" not in found:
        raise row.fault("Description", "must have one in English (lang en)")
    return MappingProxyType({language: found[language] for language in LANGUAGES if language in found})


def _check_versions(row: Fields, read: HealthRule, before: list[HealthRule]) -> None:
    for other in before:
        if other.version == read.version:
            raise row.fault("Version", f"stands twice of {read.identifier}: a version that was published never changes")
        older, newer = sorted((other, read), key=lambda one: one.version)
        if newer.valid_from < older.valid_from:
            # dgc-gateway: the next version begins with the last or after it; else one would come back later.
            raise row.fault("ValidFrom", f"of {newer.name} lies before that of {older.name}")
    before.append(read)


def _by_country(rules: Iterable[HealthRule]) -> Mapping[str, tuple[HealthRule, ...]]:
    found: dict[str, tuple[HealthRule, ...]] = {}
    for one in rules:
        found[one.country] = (*found.get(one.country, ()), one)
    return MappingProxyType(found)
