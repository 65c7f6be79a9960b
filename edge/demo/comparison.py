"""Does the gate's log say what everybody was shown, and does the hub hold all of the log, once? Pure values.

A presentation and an entry belong together by time: the camera knows when something was first and last in its frames,
the log knows when the gate decided. Nobody told the gate what to expect.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from edge.demo.people import Expected
from edge.model.scan import NOT_SHOWN

EARLY_MS: Final = 100
"""The camera notes a frame's time before it gives it out; the gate's clock is the same machine's."""
LATE_MS: Final = 1500
"""An answer may come this long after the code left the frames, if nobody else was there by then."""
_ACCEPTED: Final = Expected("accept", "ok")
_NUMBERS: Final = (("at_ms", 0), ("count", 1), ("refers_to", 0))
_PRESENTED: Final = frozenset({"scan", "unknown_codes"})


@dataclass(frozen=True, slots=True)
class Shown:
    """A presentation that took place.

    Attributes:
        number: Which one.
        shows: What it was, in words.
        expected: What the gate must have recorded.
        first_ms: When it was first in a frame, Unix milliseconds.
        last_ms: When it was last in one.
        repeats: Which earlier presentation it repeats, or None.
    """

    number: int
    shows: str
    expected: Expected
    first_ms: int
    last_ms: int
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry of a log, as far as it matters here.

    Attributes:
        key: Gate, epoch and sequence number.
        at_ms: When it was decided.
        type: Kind of entry (`scan`, `unknown_codes`, ...).
        outcome: `accept`, `refer`, `reject` or empty.
        reason: The reason code.
        count: For how many presentations it stands.
        refers_to: Number of the entry it is about, 0 where none.
        note: The note code, or empty.
    """

    key: tuple[str, str, int]
    at_ms: int
    type: str
    outcome: str
    reason: str
    count: int = 1
    refers_to: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A verdict that is not the expected one, or that nobody asked for.

    Attributes:
        shows: What was presented.
        expected: What should stand in the log.
        recorded: What stands there.
        seq: Number of the entry.
    """

    shows: str
    expected: str
    recorded: str
    seq: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out.

    Attributes:
        presented: How many presentations took place.
        missed: What was presented and never read, in words.
        mismatches: What was recorded wrongly or too often.
        logged: Entries in the gate's log.
        on_hub: Entries of this log on the hub.
        lost: Entries of the gate's log that the hub has not.
        duplicated: Entries that the hub has more than once.
        altered: Entries that say something else on the hub.
    """

    presented: int
    missed: tuple[str, ...]
    mismatches: tuple[Mismatch, ...]
    logged: int
    on_hub: int
    lost: tuple[int, ...]
    duplicated: tuple[int, ...]
    altered: tuple[int, ...] = field(default=())

    @property
    def decoded(self) -> int:
        """How many presentations the gate answered."""
        return self.presented - len(self.missed)


def compare(shown: Sequence[Shown], gate: Sequence[Logged], hub: Sequence[Logged]) -> Comparison:
    """Compare what was shown with the gate's log, and that log with the hub's.

    Args:
        shown: Presentations in the order they took place.
        gate: The gate's log, oldest entry first.
        hub: What the hub gave out.
    """
    missed, mismatches = _verdicts(shown, gate)
    counted = Counter(entry.key for entry in hub)
    on_hub = {entry.key: entry for entry in hub}
    return Comparison(
        presented=len(shown),
        missed=tuple(missed),
        mismatches=tuple(mismatches),
        logged=len(gate),
        on_hub=len(counted),
        lost=tuple(entry.key[2] for entry in gate if entry.key not in counted),
        duplicated=tuple(key[2] for key, times in sorted(counted.items()) if times > 1),
        altered=tuple(entry.key[2] for entry in gate if entry.key in on_hub and on_hub[entry.key] != entry),
    )


def _verdicts(shown: Sequence[Shown], gate: Iterable[Logged]) -> tuple[list[str], list[Mismatch]]:
    answers: dict[int, list[Logged]] = {one.number: [] for one in shown}
    mismatches: list[Mismatch] = []
    taken_back: dict[int, int] = {}
    for entry in gate:
        if entry.note == NOT_SHOWN:
            taken_back[entry.refers_to] = entry.key[2]
        if entry.type not in _PRESENTED:
            continue
        one = shown_at(shown, entry.at_ms)
        if one is None:
            mismatches.append(Mismatch("nobody was there", "nothing", _said(entry), entry.key[2]))
            continue
        answers[one.number] += [entry] * entry.count
    for one in shown:
        answered = answers[one.number]
        is_first = one.repeats is not None and not _stands(answers.get(one.repeats, []), answered, taken_back)
        mismatches += _wrong(one, _ACCEPTED if is_first else one.expected, answered)
    return [one.shows for one in shown if not answers[one.number]], mismatches


def _stands(first: Sequence[Logged], again: Sequence[Logged], taken_back: Mapping[int, int]) -> bool:
    """Whether the gate must remember the first showing of a code when it is shown again.

    What it did not read it takes for new; so it does what it took back by then because a page was too late to show it.
    """
    if not first:
        return False
    note = taken_back.get(first[0].key[2])
    return note is None or not again or again[0].key[2] < note


def shown_at(shown: Sequence[Shown], at_ms: int) -> Shown | None:
    """Return who was before the camera when something was decided: the latest to come who is not long gone."""
    came = [one for one in shown if one.first_ms - EARLY_MS <= at_ms]
    return came[-1] if came and at_ms <= came[-1].last_ms + LATE_MS else None


def _wrong(one: Shown, must: Expected, answers: Sequence[Logged]) -> list[Mismatch]:
    expected = f"{must.outcome} {must.reason}"
    wrong = [entry for entry in answers[:1] if _said(entry) != expected]
    found = [Mismatch(one.shows, expected, _said(entry), entry.key[2]) for entry in wrong]
    # One person is answered once: a second answer is wrong, whatever it says.
    return found + [Mismatch(one.shows, "one answer", _said(entry), entry.key[2]) for entry in answers[1:]]


def _said(entry: Logged) -> str:
    return f"{entry.outcome} {entry.reason}"


def logged(row: Mapping[str, Any], *, gate: str = "", epoch: str = "") -> Logged:
    """Return an entry from a line of the hub's or the gate's export.

    Args:
        row: The line's object.
        gate: The gate's id, where the line does not carry it.
        epoch: The log's epoch, where the line does not carry it.

    Raises:
        KeyError: It is no such line.
    """
    key = (str(row.get("gate") or gate), str(row.get("epoch") or epoch), int(row["seq"]))
    words = {name: str(row.get(name) or "") for name in ("type", "outcome", "reason", "note")}
    at_ms, count, refers_to = (int(row.get(name) or least) for name, least in _NUMBERS)
    return Logged(key, at_ms, count=count, refers_to=refers_to, **words)


def percentile(values: Sequence[float], part: float) -> float | None:
    """Return the nearest-rank percentile, or None of nothing.

    Args:
        values: In any order.
        part: 0 to 1.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)] if ordered else None
