"""The day's counts: what the page shows and the report hands over."""

from edge.gate.tally import Tally
from edge.model.scan import RESUMED, EntryType, Facts
from tests.simulators.world import NOW, at, make_pass, person
from tests.unit.test_gate_line import Gate


def test_a_restart_in_mid_shift_counts_on(tmp_path):
    """What the log holds of today is what was counted before, strangers' codes included."""
    gate = Gate(tmp_path)
    gate.clock.now = at(NOW - 90_000)
    gate.show(make_pass(validity=(NOW - 91_000, NOW - 80_000)))
    gate.line.tally.clear()
    gate.clock.now = at(NOW)
    for code in (make_pass(), make_pass(person(status=10)), *[b"https://example.com"] * 30):
        gate.show(code)
    gate.line.staff(Facts(EntryType.NOT_HOLDER, 0, refers_to=2))
    gate.line.end()
    again = Tally()
    again.load(gate.log, (NOW - 3600) * 1000)

    assert again.outcomes == gate.line.tally.outcomes == {"accept": 1, "refer": 0, "reject": 31}
    assert again.reasons == gate.line.tally.reasons
    assert again.staff == {"not_holder": 1}
    gate.log.close()


def test_what_the_gate_notes_itself_is_no_note_of_staff(tmp_path):
    """An accept that was not shown has a count of its own, an end of an outage none; a restart counts the same."""
    gate = Gate(tmp_path)
    gate.show(make_pass())
    gate.line.take_back(1)
    gate.line.staff(Facts(EntryType.NOTE, 0, note=RESUMED))
    gate.line.staff(Facts(EntryType.NOTE, 0, refers_to=1, note="other"))
    again = Tally()
    again.load(gate.log, (NOW - 3600) * 1000)

    assert gate.line.tally.staff == again.staff == {"not_shown": 1, "note": 1}
    gate.log.close()


def test_a_verdict_that_is_only_counted_names_no_entry(tmp_path):
    """Nobody can note something about another person's entry by way of a stranger's code."""
    gate = Gate(tmp_path)
    gate.show(*[b"https://example.com"] * 30)

    assert {event["seq"] for event in gate.heard.events[-15:]} == {0}
    gate.log.close()
