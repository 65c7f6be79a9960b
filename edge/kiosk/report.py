"""The shift hand-over report as one language's text, from the scanner's figures and what the pages know.

Pure. Whatever the scanner part does not tell is left out, never shown as nought.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.kiosk.view import View, code_of, count_of, scan_number, section
from edge.words.catalogue import label, reason_words

_STAFF = ("not_holder", "note", "override", "undo", "not_shown", "tail_matched", "tail_differs")
_MAX_ROWS = 40


@dataclass(frozen=True, slots=True)
class Report:
    """What the report page shows.

    Attributes:
        since_ms: Start of the shift's figures, Unix milliseconds, 0 where unknown.
        until_ms: When it was made, Unix milliseconds, 0 where unknown.
        results: Outcome, its words and its count.
        reasons: Words and count of each reason but acceptance, most frequent first.
        staff: Words and count of each kind of staff entry.
        device: Words and value of each fact about the gate.
        open: Number, outcome, words and time (Unix milliseconds) of each verdict nobody acknowledged.
        findings: What and next step of each finding.
    """

    since_ms: int
    until_ms: int
    results: tuple[tuple[str, str, int], ...]
    reasons: tuple[tuple[str, int], ...]
    staff: tuple[tuple[str, int], ...]
    device: tuple[tuple[str, str], ...]
    open: tuple[tuple[str, str, str, int], ...]
    findings: tuple[tuple[str, str], ...]


def shift_report(language: str, raw: Mapping[str, Any], state: View, open_verdicts: Sequence[View]) -> Report:
    """Put the report together.

    Args:
        language: Language code.
        raw: The scanner's answer to `report`, empty where it gave none.
        state: The state as pages show it.
        open_verdicts: What nobody has acknowledged.
    """
    counts = section(raw, "counts") or state["counts"]
    return Report(
        since_ms=count_of(raw.get("since_ms")),
        until_ms=count_of(raw.get("until_ms")) or state["at_ms"],
        results=tuple(
            (outcome, label(language, f"verdict.{outcome}"), count_of(counts.get(outcome)))
            for outcome in ("accept", "refer", "reject")
        ),
        reasons=_reasons(language, section(raw, "reasons")),
        staff=_staff(language, section(raw, "staff")),
        device=_device(language, raw, state),
        open=tuple(
            (entry["number"], label(language, f"verdict.{entry['outcome']}"), entry["title"][language], entry["at_ms"])
            for entry in open_verdicts
        ),
        findings=tuple(
            (alert["words"][language]["what"], alert["words"][language]["next"]) for alert in state["alerts"]
        ),
    )


def _reasons(language: str, raw: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    counted = [(code_of(code), count_of(count)) for code, count in list(raw.items())[:_MAX_ROWS]]
    counted.sort(key=lambda row: (-row[1], row[0]))
    return tuple((reason_words(language, code).title, count) for code, count in counted if code != "ok" and count)


def _staff(language: str, raw: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    return tuple((label(language, f"report.{kind}"), count_of(raw[kind])) for kind in _STAFF if kind in raw)


def _device(language: str, raw: Mapping[str, Any], state: View) -> tuple[tuple[str, str], ...]:
    texts = state["texts"][language]
    last = count_of(raw.get("last_seq")) or state["last_seq"]
    rows = (
        ("place", f"{texts['place']} · {texts['direction']}"),
        ("gate", state["gate"]),
        ("trust", texts["trust"]),
        ("link", texts["link"]),
        ("backlog", texts["backlog"]),
        ("last", scan_number(state["gate"], last)),
    )
    return tuple((label(language, f"report.{key}"), value or label(language, "report.none")) for key, value in rows)
