"""Somebody who cycles random codes neither fills the card nor keeps a valid pass waiting."""

import time
from pathlib import Path

import pytest

from edge.ledger import facts
from edge.model.scan import EntryType, Facts
from edge.model.verdict import Reason
from edge.scanlog.flood import BURST, FloodGate
from edge.scanlog.log import ScanLog
from tests.simulators.ledger import START_MS, scan, token

UNKNOWN, MALFORMED = Reason.ISSUER_UNKNOWN, Reason.CREDENTIAL_MALFORMED


def test_ordinary_strangers_are_written_one_by_one() -> None:
    """A payment code now and then is an entry of its own."""
    gate = FloodGate()

    assert [gate.offer(UNKNOWN, 2.0 * n) for n in range(100)] == [1] * 100
    assert gate.pending == 0


def test_a_burst_is_written_and_then_one_entry_a_second() -> None:
    """Ten at once, then one a second that counts what came since."""
    gate = FloodGate()

    at_once = [gate.offer(UNKNOWN, 100.0) for _ in range(30)]
    later = [gate.offer(UNKNOWN, 101.0), gate.offer(UNKNOWN, 101.5), gate.offer(UNKNOWN, 102.0)]

    assert at_once == [1] * BURST + [0] * 20
    assert later == [21, 0, 2]


def test_nothing_is_lost_between_the_counts() -> None:
    """What is written and what waits are together what was presented, by reason."""
    gate = FloodGate()
    written = {UNKNOWN: 0, MALFORMED: 0}
    for n in range(5000):
        reason = MALFORMED if n % 7 == 0 else UNKNOWN
        written[reason] += gate.offer(reason, n / 13)
        if n % 400 == 0 and (more := gate.flush(n / 13)) is not None:
            written[more[0]] += more[1]
    for reason, count in gate.drain():
        written[reason] += count

    assert written == {MALFORMED: 715, UNKNOWN: 4285}
    assert gate.pending == 0
    assert gate.drain() == []


def test_what_waits_is_written_when_the_flood_is_over() -> None:
    """The largest count first, and still at most one entry a second."""
    gate = FloodGate()
    for _ in range(BURST):
        gate.offer(UNKNOWN, 0.0)
    for reason in (MALFORMED, UNKNOWN, UNKNOWN):
        gate.offer(reason, 0.0)

    flushed = [gate.flush(at_s) for at_s in (0.5, 1.0, 1.5, 2.0, 3.0)]

    assert flushed == [None, (UNKNOWN, 2), None, (MALFORMED, 1), None]


def test_what_could_not_be_written_is_counted_again() -> None:
    """A full disk in the middle of a flood loses no count."""
    gate = FloodGate()
    count = gate.offer(UNKNOWN, 0.0)

    gate.put_back(UNKNOWN, count)

    assert gate.pending == 1
    assert gate.offer(UNKNOWN, 1.0) == 2


@pytest.mark.parametrize("step_s", [-5.0, 0.0])
def test_a_clock_that_stands_or_steps_back_opens_no_gate(step_s: float) -> None:
    """Without time passing nothing fills; when it passes again, one entry a second does."""
    gate = FloodGate()
    for n in range(50):
        gate.offer(UNKNOWN, 1000.0 + n * step_s)

    assert gate.pending == 50 - BURST
    assert gate.offer(UNKNOWN, 1000.0 + 50 * step_s + 1.0 - step_s) > 0


def test_memory_is_a_number_for_each_reason() -> None:
    """An hour of anything leaves no more than the reasons there are."""
    gate = FloodGate()
    for n in range(36_000):
        gate.offer(list(Reason)[n % len(Reason)], 0.0)

    assert len(gate._counted) <= len(Reason)
    assert gate.pending == 36_000 - BURST


def held(folder: Path) -> int:
    """Return the bytes of all files of the log."""
    return sum(file.stat().st_size for file in folder.iterdir())


def test_an_hour_of_random_codes_costs_less_than_a_megabyte(tmp_path: Path) -> None:
    """36 000 presentations: one entry a second, every one counted, and valid passes recorded in between at once."""
    log = ScanLog.open(tmp_path / "scans.db")
    gate = FloodGate()
    before = held(tmp_path)
    waited_s = []
    for n in range(36_000):
        now_s = n / 10
        count = gate.offer(UNKNOWN, now_s)
        if count:
            kind = EntryType.SCAN if count == 1 else EntryType.UNKNOWN_CODES
            reason = str(UNKNOWN)
            at_ms = START_MS + n * 100
            log.append(Facts(kind, at_ms, 2, 3, reason, trust_version=5, policy_version=2, duration_ms=35, count=count))
        if n % 600 == 300:
            start = time.perf_counter()
            entry = log.append(scan(n, step_ms=100), token=token(n))
            waited_s.append(time.perf_counter() - start)
            assert facts.decode(log.entries(entry.seq, 1)[0].body) == scan(n, step_ms=100)

    counted = log.counts(0)
    assert counted["reject"] + gate.pending == 36_000
    assert counted["accept"] == len(waited_s) == 60
    assert log.head.seq <= BURST + 3600 + 60
    assert held(tmp_path) - before <= 1_000_000
    assert sorted(waited_s)[len(waited_s) // 2] < 0.1
    log.close()
