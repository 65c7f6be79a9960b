"""P7 and P12: clocks ten years off, and a log of the former release that is upgraded with its backlog pending.

`vectors/former-release/scans.db` was written by the release whose schema had two steps: 60 scans of which 10 went
under a receipt, the entry about that purge, 9 scans more, tokens of the first 20 seconds erased. Nothing was pushed.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edge.ledger import batch, facts
from edge.ledger.batch import Cut
from edge.model.moment import ClockQuality, Moment
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from edge.scanlog.retention import Retention
from tests.simulators.ledger import DAY_MS, DEVICE, EPOCH, GATE, HUB_KEYS, PUBLIC, START_MS, head_at, receipt, scan

FORMER = Path(__file__).parents[1] / "vectors" / "former-release" / "scans.db"
HEAD = "0fceb7eba10360b20031bd05b940f1a8a532a11cb8a6e69e173014249b79fefb"
"""What that release said of the log's end."""
TEN_YEARS_MS = 3653 * DAY_MS
RULE = Retention(GATE, HUB_KEYS, retention_s=7 * 86_400, policy_version=4)


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """A copy of the former release's log."""
    path = tmp_path / "scans.db"
    shutil.copy(FORMER, path)
    return path


def test_a_former_log_is_read_before_it_is_upgraded(former: Path) -> None:
    """The page and the sync part may start first."""
    reader = ScanLogReader(former)

    assert reader.verify().head.hex() == HEAD
    assert (reader.first, reader.certificates()) == (11, [])


def test_a_former_log_is_upgraded_with_its_backlog(former: Path) -> None:
    """Every pending entry is as it was, byte for byte, and the chain goes on from it."""
    before = ScanLogReader(former).entries(1, 1000)

    log = ScanLog.open(former)

    assert (log.head.seq, log.head.head.hex(), log.head.epoch) == (70, HEAD, EPOCH)
    assert before == log.entries(1, 1000)
    assert [entry.seq for entry in before] == list(range(11, 71))
    assert log.append(scan(70)).seq == 71
    assert log.head == log.verify()
    log.close()


def test_the_backlog_of_a_former_log_is_sent_in_today_s_form(former: Path) -> None:
    """Cut, opened and followed as version 2: nothing of it is lost on the way."""
    log = ScanLog.open(former)
    pending = log.entries(11, 500)
    previous = log.head_at(10)

    opened = batch.open_batch(batch.make(pending, Cut(GATE, EPOCH, previous or b""), DEVICE), PUBLIC)

    assert opened.header.version == 2
    assert pending == list(opened.entries)
    log.close()


def test_certificates_begin_with_the_first_purge_after_the_upgrade(former: Path) -> None:
    """What went before has none, and what goes now is signed for from there."""
    log = ScanLog.open(former)
    assert log.purge([receipt(head_at(log, 50))], RULE, Moment(START_MS + 30 * DAY_MS), key=DEVICE) is not None

    (found,) = log.certificates()

    assert (found.spans[0].first, found.spans[0].last) == (11, 50)
    assert log.head == log.verify()
    log.close()


@pytest.mark.parametrize("off_ms", [-TEN_YEARS_MS, TEN_YEARS_MS, -START_MS])
def test_a_clock_ten_years_off_loses_and_reorders_nothing(tmp_path: Path, off_ms: int) -> None:
    """Set off in mid-shift and set right again: numbers and chain go on, and the batch says every time as it was."""
    log = ScanLog.open(tmp_path / "scans.db", epoch=EPOCH)
    stated = [replace(scan(n), at_ms=scan(n).at_ms + (off_ms if 10 <= n < 20 else 0)) for n in range(30)]
    for one in stated:
        log.append(one)

    opened = batch.open_batch(batch.make(log.entries(1, 100), Cut(GATE, EPOCH, bytes(32)), DEVICE), PUBLIC)

    assert stated == [facts.decode(entry.body) for entry in opened.entries]
    assert log.head == log.verify() == ScanLogReader(tmp_path / "scans.db").head
    log.close()


def test_a_clock_ten_years_off_lets_nothing_young_go(tmp_path: Path) -> None:
    """Ten years behind nothing goes; set right, what is old goes and no more. Ahead it is doubted, and nothing goes."""
    log = ScanLog.open(tmp_path / "scans.db", epoch=EPOCH)
    for number in range(20):
        log.append(scan(number, step_ms=DAY_MS))
    signed, now = [receipt(log.head)], Moment(START_MS + 19 * DAY_MS)

    ahead = Moment(now.unix_ms + TEN_YEARS_MS, ClockQuality.DOUBTFUL)
    assert log.purge(signed, RULE, ahead, key=DEVICE) is None
    assert log.purge(signed, RULE, Moment(now.unix_ms - TEN_YEARS_MS), key=DEVICE) is None
    stated = log.purge(signed, RULE, now, key=DEVICE)

    assert stated is not None
    assert stated.refers_to == 13
    assert log.head == log.verify()
    log.close()
