"""The demo's comparison: what counts as mismatch, missed, lost and duplicated."""

import pytest

from edge.demo.comparison import Logged, Mismatch, Shown, compare, logged, percentile, shown_at
from edge.demo.people import Expected

GREEN = Expected("accept", "ok")
RED = Expected("reject", "health.red")


def shown(number: int, expected: Expected = GREEN, *, at_s: float | None = None) -> Shown:
    first = int(1000 * (2.2 * number if at_s is None else at_s))
    return Shown(number, f"person {number}", expected, first, first + 2000)


def entry(
    seq: int, at_ms: int, outcome: str = "accept", reason: str = "ok", *, kind: str = "scan", count: int = 1
) -> Logged:
    return Logged(("gate", "epoch", seq), at_ms, kind, outcome, reason, count)


def test_right_answers_match() -> None:
    """Every person was answered as expected and the hub has it all."""
    log = [entry(1, 600), entry(2, 2900, "reject", "health.red")]
    found = compare([shown(0), shown(1, RED)], log, log)

    assert (found.presented, found.decoded, found.logged, found.on_hub) == (2, 2, 2, 2)
    assert (found.missed, found.mismatches, found.lost, found.duplicated, found.altered) == ((), (), (), (), ())


def test_wrong_answer_is_a_mismatch() -> None:
    """A red pass that was accepted stands in the comparison with both verdicts."""
    log = [entry(1, 600)]
    found = compare([shown(0, RED)], log, log)

    assert found.mismatches == (Mismatch("person 0", "reject health.red", "accept ok", 1),)


def test_unread_code_is_missed_and_no_mismatch() -> None:
    """Nobody was admitted or refused wrongly, but it is told."""
    found = compare([shown(0), shown(1)], [entry(1, 600)], [entry(1, 600)])

    assert (found.missed, found.mismatches, found.decoded) == (("person 1",), (), 1)


@pytest.mark.parametrize(("first_read", "answer"), [(True, "refer repeat.recent"), (False, "accept ok")])
def test_repeated_code_is_new_where_it_was_not_read_before(first_read: bool, answer: str) -> None:  # noqa: FBT001
    """The gate can only remember what it has read."""
    outcome, _, reason = answer.partition(" ")
    again = Shown(1, "again", Expected("refer", "repeat.recent"), 2200, 4200, repeats=0)
    log = [*([entry(1, 600)] if first_read else []), entry(2, 2900, outcome, reason)]
    found = compare([shown(0), again], log, log)

    assert found.mismatches == ()
    assert len(found.missed) == (0 if first_read else 1)


@pytest.mark.parametrize(("note_seq", "answer"), [(2, "accept ok"), (3, "refer repeat.recent")])
def test_repeated_code_is_new_where_the_first_green_was_taken_back(note_seq: int, answer: str) -> None:
    """A page told the gate that nobody was shown it: from that entry on, and not before, the code is new."""
    outcome, _, reason = answer.partition(" ")
    again = Shown(1, "again", Expected("refer", "repeat.recent"), 2200, 4200, repeats=0)
    note = Logged(("gate", "epoch", note_seq), 2800, "note", "", "", refers_to=1, note="not_shown")
    log = sorted([entry(1, 600), note, entry(5 - note_seq, 2900, outcome, reason)], key=lambda one: one.key)

    assert compare([shown(0), again], log, log).mismatches == ()


def test_repeated_code_that_passes_although_the_first_stands_is_a_mismatch() -> None:
    """Only a note about that very entry makes it new."""
    again = Shown(1, "again", Expected("refer", "repeat.recent"), 2200, 4200, repeats=0)
    note = Logged(("gate", "epoch", 2), 2800, "note", "", "", refers_to=7, note="not_shown")
    log = [entry(1, 600), note, entry(3, 2900)]

    assert [wrong.recorded for wrong in compare([shown(0), again], log, log).mismatches] == ["accept ok"]


def test_second_answer_to_one_person_is_a_mismatch() -> None:
    """One presentation is one scan."""
    log = [entry(1, 600), entry(2, 1400, "refer", "repeat.recent")]
    found = compare([shown(0)], log, log)

    assert [wrong.expected for wrong in found.mismatches] == ["one answer"]


def test_counted_entry_stands_for_as_many_answers_as_it_counts() -> None:
    """An entry that counts two presentations for one person is one too many."""
    log = [entry(1, 600, "reject", "credential.foreign", kind="unknown_codes", count=2)]
    found = compare([shown(0, Expected("reject", "credential.foreign"))], log, log)

    assert len(found.mismatches) == 1


def test_answer_to_nobody_is_a_mismatch() -> None:
    """A verdict while nobody was there comes from somewhere it must not."""
    found = compare([shown(0)], [entry(1, 600), entry(2, 60_000)], [entry(1, 600), entry(2, 60_000)])

    assert [wrong.shows for wrong in found.mismatches] == ["nobody was there"]


def test_entries_of_other_kinds_answer_nobody() -> None:
    """What staff noted is no presentation, and must still reach the hub."""
    log = [entry(1, 600), entry(2, 700, "", "", kind="note")]
    found = compare([shown(0)], log, log[:1])

    assert (found.mismatches, found.lost) == ((), (2,))


def test_entry_the_hub_lacks_is_lost() -> None:
    """Every entry of the gate is looked for by gate, epoch and number."""
    other_epoch = Logged(("gate", "older", 1), 600, "scan", "accept", "ok")
    found = compare([shown(0)], [entry(1, 600)], [other_epoch])

    assert found.lost == (1,)


def test_entry_the_hub_has_twice_is_duplicated() -> None:
    """A batch that was sent twice must not count twice."""
    log = [entry(1, 600)]
    found = compare([shown(0)], log, log + log)

    assert (found.duplicated, found.on_hub) == ((1,), 1)


def test_entry_that_says_something_else_on_the_hub_is_altered() -> None:
    """The hub's line must state what the gate's does."""
    found = compare([shown(0)], [entry(1, 600)], [entry(1, 600, "reject", "health.red")])

    assert found.altered == (1,)


@pytest.mark.parametrize(
    ("at_ms", "who"),
    [(-200, None), (-50, 0), (0, 0), (2050, 0), (2099, 0), (2150, 1), (4200, 1), (5690, 1), (5710, None)],
)
def test_answer_belongs_to_who_was_there(at_ms: int, who: int | None) -> None:
    """The latest to have come gets it, unless they are long gone."""
    one = shown_at([shown(0), shown(1)], at_ms)

    assert who == (None if one is None else one.number)


def test_line_of_an_export_is_an_entry() -> None:
    """Null words are empty, a missing count is one."""
    line = {"gate": "a7", "epoch": "e1", "seq": 3, "at_ms": 5, "type": "note", "outcome": None, "reason": None}

    assert logged(line) == Logged(("a7", "e1", 3), 5, "note", "", "")
    assert logged(line | {"refers_to": 2, "note": "not_shown"}) == Logged(
        ("a7", "e1", 3), 5, "note", "", "", refers_to=2, note="not_shown"
    )
    assert logged({"seq": 3, "at_ms": 5, "type": "scan"}, gate="a7", epoch="e1").key == ("a7", "e1", 3)


@pytest.mark.parametrize(("part", "value"), [(0.5, 20.0), (0.95, 40.0), (0.0, 10.0), (1.0, 40.0)])
def test_percentile_is_one_of_the_values(part: float, value: float) -> None:
    """Nearest rank: no figure is reported that was not measured."""
    assert percentile([40.0, 10.0, 30.0, 20.0], part) == value
    assert percentile([], part) is None
