"""The words of every reason, finding and label, in every language: pure look-ups in one JSON file a language.

Screens, the command line and the hub share them. Adding a language is adding its file; the name before `.json` is
the language. A text may hold placeholders (`{ago_s}`) and stretches that stand only where their values are known:
`shown[ {ago_s} ago| before]` says *before* where nobody gave `ago_s`. A placeholder that ends in `_s` is a time in
seconds and is written as a person would say it, one that ends in `_bytes` as a size, one that ends in `_kinds` as the
names of kinds of pass. Which words go with which
verdict, and cleaning what strangers wrote, are left to the callers.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

FALLBACK = "en"
"""What is spoken where a language is not known."""

NOTES = (
    "document_checked",
    "phone_problem",
    "code_unreadable",
    "paper_pass",
    "sent_to_desk",
    "medical",
    "minor",
    "supervisor_present",
    "other",
)
"""The fixed note codes, in the order of their number keys; each has the label `note.CODE`."""

Value = str | int | float

_STRETCH = re.compile(r"\[([^\[\]|]*)(?:\|([^\[\]]*))?\]")
_PLACE = re.compile(r"\{([a-z_]+)\}")
_MISSING = "?"
_KINDS = {
    "person": 0,
    "travel": 1,
    "venue": 2,
    "visitor": 3,
    "vaccination": 16,
    "test": 17,
    "recovery": 18,
    "health": 19,
    "identity": 20,
    "ticket": 21,
    "statement": 22,
}
"""Number of each kind of pass by its name; the numbers are those of `edge.model.credential.PassKind`."""
_SENSIBLE = 1 << 63
"""A number past this means nothing to a person and may be too long to write at all."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a screen says about a verdict.

    Attributes:
        title: What was found, a few words.
        detail: Why, one sentence.
        next_step: What staff do now.
    """

    title: str
    detail: str
    next_step: str


@dataclass(frozen=True, slots=True)
class FindingWords:
    """What a screen says about a condition of the device.

    Attributes:
        what: What is the matter, a few words.
        why: Why it matters, one sentence.
        next_step: What to do about it.
    """

    what: str
    why: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Language:
    """One file of the catalogue.

    Attributes:
        code: Name of the file without its ending (`zh`).
        name: The language's own name.
        short: Its sign on a button.
        locale: BCP 47 tag for dates and speech.
        direction: `ltr` or `rtl`.
        other: The language shown small beside it.
        reasons: Texts by reason code.
        findings: Texts by finding code.
        labels: Texts by key.
    """

    code: str
    name: str
    short: str
    locale: str
    direction: str
    other: str
    reasons: Mapping[str, Mapping[str, str]]
    findings: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, str]


def load(folder: Traversable) -> Mapping[str, Language]:
    """Read every language of a folder, by code, in alphabetical order.

    Args:
        folder: Where the `.json` files lie.

    Raises:
        ValueError: A file is not JSON.
        KeyError: A file lacks one of the four sections or a field of the first.
    """
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return MappingProxyType({file.name[:-5]: _language(file) for file in files})


@cache
def languages() -> Mapping[str, Language]:
    """Return every language of the package by code, read once."""
    return load(resources.files("edge.words"))


def reason_words(language: str, reason: str, details: Mapping[str, Value] | None = None) -> Words:
    """Say why a verdict is what it is; a reason the catalogue does not know is named by its code.

    Args:
        language: Language code; one that is not known gets `FALLBACK`.
        reason: Stable reason code.
        details: Values the sentences may mention.
    """
    spoken = _spoken(language)
    texts, values = _entry(spoken.reasons, reason, details)
    return Words(*(_fill(spoken, texts[part], values) for part in ("title", "detail", "next_step")))


def finding_words(language: str, code: str, params: Mapping[str, Value] | None = None) -> FindingWords:
    """Say what is the matter with the device; a finding the catalogue does not know is named by its code.

    Args:
        language: Language code; one that is not known gets `FALLBACK`.
        code: Stable finding code.
        params: Values the sentences may mention.
    """
    spoken = _spoken(language)
    texts, values = _entry(spoken.findings, code, params)
    return FindingWords(*(_fill(spoken, texts[part], values) for part in ("what", "why", "next_step")))


def label(language: str, key: str, **params: Value) -> str:
    """Return one label with its placeholders filled.

    Raises:
        KeyError: The catalogue has no such label; a label is named in code, never by a stranger.
    """
    spoken = _spoken(language)
    return _fill(spoken, spoken.labels[key], params)


def has_label(key: str) -> bool:
    """Whether there is such a label, for keys built from what another part said."""
    return key in _spoken(FALLBACK).labels


def placeholders(text: str) -> frozenset[str]:
    """Return the names a text mentions."""
    return frozenset(_PLACE.findall(text))


def duration(language: str, seconds: float) -> str:
    """Say a length of time in its largest fitting unit, rounded down: an age is never shown younger than a unit."""
    whole = max(0, int(seconds))
    for unit, size, least in (("d", 86400, 2), ("h", 3600, 2), ("min", 60, 1)):
        if whole >= size * least:
            return label(language, f"unit.{unit}", n=whole // size)
    return label(language, "unit.s", n=whole)


def size(language: str, count: float) -> str:
    """Say a number of bytes in megabytes or gigabytes."""
    unit, one = ("gb", 1e9) if count >= 1e9 else ("mb", 1e6)  # noqa: PLR2004 - the two powers of ten are the units
    return label(language, f"unit.{unit}", n=round(max(0.0, count) / one, 1))


def kind_names(language: str, names: str) -> str:
    """Name kinds of pass, given with commas between; one that is not known keeps the name it was given."""
    numbered = [f"kind.{_KINDS[name]}" if name in _KINDS else "" for name in names.split(",")]
    spoken = [label(language, key) if key else name for key, name in zip(numbered, names.split(","), strict=True)]
    return label(language, "list.comma").join(spoken)


def _language(file: Traversable) -> Language:
    raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    head = raw["language"]
    return Language(
        code=file.name[:-5],
        name=head["name"],
        short=head["short"],
        locale=head["locale"],
        direction=head["direction"],
        other=head["other"],
        reasons=MappingProxyType(raw["reasons"]),
        findings=MappingProxyType(raw["findings"]),
        labels=MappingProxyType(raw["labels"]),
    )


def _spoken(language: str) -> Language:
    known = languages()
    return known.get(language) or known[FALLBACK]


def _entry(
    entries: Mapping[str, Mapping[str, str]], code: str, values: Mapping[str, Value] | None
) -> tuple[Mapping[str, str], Mapping[str, Value]]:
    if code in entries and code != "unknown":
        return entries[code], values or {}
    return entries["unknown"], {"code": code}


def _fill(spoken: Language, text: str, values: Mapping[str, Value]) -> str:
    def stretch(match: re.Match[str]) -> str:
        known = placeholders(match[1]) <= values.keys()
        return match[1] if known else match[2] or ""

    # Values go in last and are never read again: a value that holds a brace or a bracket stays text.
    return _PLACE.sub(lambda match: _value(spoken, match[1], values), _STRETCH.sub(stretch, text))


def _value(spoken: Language, name: str, values: Mapping[str, Value]) -> str:
    value = values.get(name, _MISSING)
    if isinstance(value, str):
        return kind_names(spoken.code, value) if name.endswith("_kinds") else value
    if not abs(value) < _SENSIBLE:  # also true of NaN, which compares with nothing
        return _MISSING
    if name.endswith("_s"):
        return duration(spoken.code, value)
    if name.endswith("_bytes"):
        return size(spoken.code, value)
    return f"{value:,}"
