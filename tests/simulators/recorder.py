"""A gate's log or a hub under load, as a process whose acknowledgements are seen outside it; and what is left of it.

`python -m tests.simulators.recorder gate FOLDER` writes entries with the production code and prints the number of each
once it was acknowledged. `left_in` opens what a power cut left and compares it, byte by byte, with what was written:
everything follows from an entry's number.
"""

import argparse
import mmap
import os
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from edge.errors import LogUnwritable
from edge.hub import inspection
from edge.hub.desk import Desk
from edge.hub.folder import CONFIG
from edge.hub.hub import Hub
from edge.hub.store import Store
from edge.ledger import facts
from edge.model.moment import Moment
from edge.model.scan import EntryType, Receipt
from edge.scanlog.log import ScanLog
from edge.scanlog.retention import Retention
from tests.simulators import ledger
from tests.simulators.hub_gates import Clock, Device, begin, enrol, post

SECTOR = 4096
MARK = b"acknowledged by recorder"
BATCH = 5
Acknowledge = Callable[[int], None]


def gate(folder: Path, acknowledge: Acknowledge, count: int, *, is_weak: bool) -> None:
    """Append to a scan log, erase, purge and checkpoint in between, and acknowledge each entry.

    Args:
        folder: Where the log is made.
        acknowledge: Told the number of every entry once `append` returned.
        count: Entries.
        is_weak: Commit without a sync: the control that must lose.
    """
    log = ScanLog.open(folder / "scans.db")
    rule = Retention(ledger.GATE, ledger.HUB_KEYS, retention_s=0)
    if is_weak:
        log._db.execute("PRAGMA synchronous = NORMAL").fetchall()
    while log.head.seq < count:
        at = log.head.seq
        seq = log.append(ledger.scan(at), token=ledger.token(at), sealed=bytes(at % 300)).seq
        acknowledge(seq)
        _pace(is_weak=is_weak)
        if seq % 7 == 0:
            log.checkpoint()
        # Both warm the write-ahead log anew, which ends with a full sync.
        if not is_weak and seq % 97 == 0:
            log.erase_tokens(ledger.START_MS + (seq - 40) * 1000)
        if not is_weak and seq % 211 == 0:
            log.purge([ledger.receipt(log.head)], rule, Moment(ledger.START_MS + (seq - 120) * 1000), key=ledger.DEVICE)
    log.close()


def hub(folder: Path, acknowledge: Acknowledge, count: int, *, is_weak: bool) -> None:
    """Take in batches of one gate and acknowledge the last entry of each receipt; arguments as `gate`."""
    at = begin(folder / "hub", Clock())
    opened = Hub.open(folder / "hub", clock=Clock())
    one = Device()
    enrol(opened, at, one)
    if is_weak:
        opened.writer.do(_weaken)
    last = 0
    while last < count:
        one.scan(BATCH)
        (answer,) = post(opened, [one.batch(last + 1, last + BATCH)])
        assert isinstance(answer, Receipt), answer
        last = answer.last
        acknowledge(last)
        _pace(is_weak=is_weak)
    opened.close()


def _pace(*, is_weak: bool) -> None:
    # Without a sync to wait for, a small disk would be full in a second.
    time.sleep(0.002 if is_weak else 0)


def _weaken(connection: sqlite3.Connection) -> None:
    # The level cannot change inside the writer's transaction.
    connection.execute("ROLLBACK")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("SAVEPOINT one")


RECORDERS = {"gate": gate, "hub": hub}


def left_in_log(folder: Path) -> int:
    """Return the number of the last entry of the log that was left; every entry is the one that was written.

    Raises:
        EdgeError: It does not open or verify.
    """
    if not (folder / "scans.db").exists():
        return 0
    with closing(ScanLog.open(folder / "scans.db")) as log:
        head = log.verify()
        for entry in log.entries(1, head.seq):
            stated = facts.decode(entry.body)
            assert stated.type is EntryType.PURGE or stated == ledger.scan(entry.seq - 1), entry.seq
        assert log.append(ledger.scan(head.seq)).seq == head.seq + 1
    return head.seq


def left_in_hub(folder: Path) -> int:
    """Return the last entry that the hub that was left holds of the gate; its ledger verifies and goes on.

    Raises:
        EdgeError: It does not open or verify.
    """
    # A hub is one from its last file on.
    if not (folder / "hub" / CONFIG).exists() or not _gates(folder / "hub"):
        return 0
    report = inspection.inspect(Store(folder / "hub" / "hub.db"))
    assert report.problems == ()
    opened = Hub.open(folder / "hub", clock=Clock())
    one = Device()
    one.scan(report.entries + BATCH)
    (answer,) = post(opened, [one.batch(report.entries + 1, report.entries + BATCH)])
    opened.close()
    assert isinstance(answer, Receipt), answer
    return report.entries


def _gates(folder: Path) -> int:
    return len(Desk(folder).gates())


LEFT = {"gate": left_in_log, "hub": left_in_hub}


class Marker:
    """Acknowledges into a block of a disk, past every cache of this machine, and on standard output.

    Without a sync of its own, which would flush the disk on the recorder's behalf and hide a commit that did not.

    Args:
        place: Device and byte offset, as `/dev/vda:16777216`; empty for standard output alone.
    """

    def __init__(self, place: str) -> None:
        device, _, offset = place.rpartition(":")
        self._offset = int(offset or 0)
        self._device = os.open(device, os.O_WRONLY | os.O_DIRECT) if device else None
        self._block = mmap.mmap(-1, SECTOR)

    def __call__(self, seq: int) -> None:
        """Acknowledge one entry."""
        if self._device is not None:
            self._block[:] = (MARK + seq.to_bytes(8, "big")).ljust(SECTOR, b"\0")
            os.pwritev(self._device, [self._block], self._offset)
        sys.stdout.write(f"{seq}\n")
        sys.stdout.flush()


def main() -> None:
    """Record until `--count` entries are acknowledged."""
    asked = argparse.ArgumentParser()
    asked.add_argument("what", choices=RECORDERS)
    asked.add_argument("folder", type=Path)
    asked.add_argument("--count", type=int, default=1_000_000)
    asked.add_argument("--weak", action="store_true")
    asked.add_argument("--marker", default="")
    given = asked.parse_args()
    try:
        RECORDERS[given.what](given.folder, Marker(given.marker), given.count, is_weak=given.weak)
    except LogUnwritable as full:
        sys.exit(str(full))


if __name__ == "__main__":
    main()
