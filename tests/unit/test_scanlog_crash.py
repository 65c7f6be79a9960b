"""kill -9 in the middle of an append: what was acknowledged is there afterwards, and the chain holds."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge.ledger import facts
from edge.model.scan import EntryType
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader

WRITER = """
import pathlib, sys
from edge.scanlog.log import ScanLog
from edge.scanlog.retention import Retention
from edge.model.moment import Moment
from tests.simulators.ledger import DEVICE, GATE, HUB_KEYS, START_MS, receipt, scan, token

log = ScanLog.open(pathlib.Path(sys.argv[1]))
rule = Retention(GATE, HUB_KEYS, retention_s=0)
while True:
    seq = log.append(scan(log.head.seq), token=token(log.head.seq), sealed=bytes(log.head.seq % 3000)).seq
    sys.stdout.write(f"{seq}\\n")
    sys.stdout.flush()
    if seq % 40 == 0:
        log.erase_tokens(START_MS + (seq - 20) * 1000)
    if seq % 90 == 0:
        log.purge([receipt(log.head)], rule, Moment(START_MS + (seq - 60) * 1000), key=DEVICE)
    if seq % 7 == 0:
        log.checkpoint()
"""


def killed_after(path: Path, acknowledgements: int, extra_bytes: int) -> int:
    """Let a process append, kill it somewhere behind that many acknowledgements, and return the last it gave."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    last = 0
    for _ in range(acknowledgements):
        last = int(writer.stdout.readline())
    # Some microseconds of work, so that the kill falls anywhere in the next append and not always at its start.
    for _ in range(extra_bytes):
        random.random()
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    whole_lines = rest.split("\n")[:-1]
    return int(whole_lines[-1]) if whole_lines else last


def kill_again_and_again(folder: Path, rounds: int) -> int:
    """Kill the writer of one log in every round, and check each time what it had acknowledged."""
    path = folder / "scans.db"
    chosen = random.Random(11)
    for _ in range(rounds):
        acknowledged = killed_after(path, chosen.randint(1, 60), chosen.randint(0, 4000))
        read = ScanLogReader(path).verify()
        log = ScanLog.open(path)
        head = log.verify()

        assert head.seq >= acknowledged
        assert head == read
        log.close()
    return head.seq


def test_nothing_acknowledged_is_lost_when_the_gate_is_killed(tmp_path: Path) -> None:
    """Twenty kills on one log, between and in appends, erasures, purges and checkpoints."""
    assert kill_again_and_again(tmp_path, 20) > 200

    reader = ScanLogReader(tmp_path / "scans.db")
    assert any(facts.decode(entry.body).type is EntryType.PURGE for entry in reader.entries(1, 10_000))


@pytest.mark.crash
@pytest.mark.timeout(7200)
def test_nothing_acknowledged_is_lost_in_a_thousand_kills(tmp_path: Path) -> None:
    """The same, a thousand times."""
    print(f"1000 kills, {kill_again_and_again(tmp_path, 1000)} entries, nothing acknowledged lost, every chain whole")
