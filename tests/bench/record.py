"""One durable scan against what the disk itself takes to make the same bytes durable in a bare file.

The bare file is the fastest honest way to keep an entry: append, fdatasync. `ScanLog.append` besides has readers in
other processes, finds an entry by number, and survives a torn write. All are measured in turn, in one folder.
"""

import gc
import itertools
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge.ledger import chain, facts
from edge.model.moment import Moment
from edge.model.scan import Facts
from edge.scanlog.connection import PAGE_BYTES, WAL_BYTES
from edge.scanlog.log import _INSERT, ScanLog
from edge.scanlog.retention import MAX_ROWS, Retention
from tests.bench.timing import median_ratio, percentile, row
from tests.simulators.ledger import DAY_MS, DEVICE, GATE, HUB_KEYS, START_MS, receipt, scan, token

ROUNDS = 2000
OPENED = 15
DUE = 250
GROUP, GROUPS = 10, 1000
PURGED = 10


class Bare:
    """A file that bytes are appended to, each time synced."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._head = chain.GENESIS

    def append(self, ready: bytes) -> None:
        os.write(self._file, ready)
        os.fdatasync(self._file)

    def record(self, stated: Facts, private: bytes) -> None:
        """Do what the log does with an entry, and keep it here."""
        body = facts.encode(stated)
        self._head = chain.next_head(self._head, body)
        self.append(b"".join((body, self._head, private)))


def warm(folder: Path) -> tuple[list[list[float]], int]:
    """Measure commits on a warm write-ahead log beside bare appends; return the figures and the bytes of an entry."""
    log, inserted = ScanLog.open(folder / "scans.db"), ScanLog.open(folder / "inserted.db")
    bare, chained = Bare(folder / "bare"), Bare(folder / "chained")
    private = token(0)
    body = facts.encode(scan(1))
    head = chain.next_head(chain.GENESIS, body)
    ready = body + head + private
    # A new scan each time, made outside of what is measured of the log and of the bare file alike.
    scans, others = iter([scan(n) for n in range(ROUNDS)]), iter([scan(n) for n in range(ROUNDS)])
    numbers = itertools.count(1)
    figures = shuffled(
        [
            lambda: bare.append(ready),
            lambda: chained.record(next(others), private),
            lambda: log.append(next(scans), token=private),
            lambda: inserted._db.execute(_INSERT, (next(numbers), START_MS, body, head, private, None, 7, None)),
        ],
        ROUNDS,
    )
    if log.verify().seq != ROUNDS:
        raise RuntimeError("the log does not hold what was measured")
    log.close()
    inserted.close()
    return figures, len(ready)


def grouped(folder: Path) -> list[list[float]]:
    """Measure one entry, and ten that wait at once, made durable together; return seconds of each, sorted."""
    log = ScanLog.open(folder / "grouped.db")
    private = token(0)
    scans = iter([scan(number) for number in range(GROUPS * (GROUP + 1))])

    def one() -> None:
        log.append(next(scans), token=private)

    def ten() -> None:
        with log.together():
            for stated in itertools.islice(scans, GROUP):
                log.append(stated, token=private)

    figures = shuffled([one, ten], GROUPS)
    if log.verify().seq != GROUPS * (GROUP + 1):
        raise RuntimeError("the log does not hold what was measured")
    log.close()
    return figures


def removed(folder: Path) -> tuple[list[float], list[float], float]:
    """Measure purges of 2000 entries, a VACUUM of a copy, and the bytes of an entry in the database.

    The log is never vacuumed: pages that a purge frees are taken by the entries that follow. What it would cost is
    measured on a copy.
    """
    path = folder / "purged.db"
    log = ScanLog.open(path)
    for _ in range(PURGED):
        with log.together():
            for number in range(MAX_ROWS):
                log.append(scan(number), token=token(number))
    log._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    (pages,) = log._db.execute("PRAGMA page_count").fetchone()
    each = pages * PAGE_BYTES / log.head.seq
    vacuums = [
        timed(lambda number=number: log._db.execute("VACUUM INTO ?", (str(folder / f"copy{number}.db"),)))
        for number in range(3)
    ]
    signed, rule = receipt(log.head), Retention(GATE, HUB_KEYS, retention_s=0)
    moment = Moment(START_MS + DAY_MS)
    purges = [timed(lambda: log.purge([signed], rule, moment, key=DEVICE)) for _ in range(PURGED)]
    log.close()
    return sorted(purges), sorted(vacuums), each


def shuffled(actions: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Run each action once a round, in another order each time; return seconds of each, sorted.

    In a fixed order each action always pays for the same predecessor: what a file that grew leaves to the file
    system's journal made the next one 15 % slower.
    """
    order, chosen = list(range(len(actions))), random.Random(1)
    taken: list[list[float]] = [[] for _ in actions]
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            chosen.shuffle(order)
            for number in order:
                taken[number].append(timed(actions[number]))
    finally:
        gc.enable()
    return [sorted(figures) for figures in taken]


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def cold(folder: Path) -> dict[str, list[float]]:
    """Measure what is paid once: opening, the first commit after it, and a WAL checkpoint."""
    found: dict[str, list[float]] = {"open": [], "first": [], "checkpoint": [], "after": []}
    for number in range(OPENED):
        start = time.perf_counter()
        log = ScanLog.open(folder / "cold.db")
        found["open"].append(time.perf_counter() - start)
        found["first"].append(timed(lambda log=log: log.append(scan(), token=token(0))))
        for other in range(DUE):
            log.append(scan(number * DUE + other), token=token(other))
        found["checkpoint"].append(timed(log.checkpoint))
        found["after"].append(timed(lambda log=log: log.append(scan(), token=token(0))))
        log.close()
    return {name: sorted(figures) for name, figures in found.items()}


def file_system(folder: Path) -> str:
    """Return what the folder's disk is: the ratio says nothing where a sync costs nothing."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    inside = [fields for fields in mounts if folder.resolve().is_relative_to(fields[1])]
    return max(inside, key=lambda fields: len(fields[1]))[2]


def run() -> dict[str, Any]:
    """Measure durable commits, warm and cold, against bare appends."""
    parent = Path("build/bench")
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=parent))
    try:
        (bare, chained, appended, inserted), size = warm(folder)
        once = cold(folder)
        one, ten = grouped(folder)
        purges, vacuums, each = removed(folder)
        disk = file_system(folder)
    finally:
        shutil.rmtree(folder)
    return {
        "latency_us": {
            "bare file, encoded and chained": spread(chained),
            "ScanLog.append": spread(appended),
            f"{GROUP} entries together": spread(ten),
            "first commit after opening": spread(once["first"]),
        },
        "about": f"entries of {size} bytes on {disk}, {ROUNDS} rounds, {PAGE_BYTES} B pages, {WAL_BYTES >> 10} KiB WAL",
        "rows": [
            row("ready bytes to a bare file + fdatasync, p50", percentile(bare, 0.5) * 1e6, "us"),
            row("an entry encoded and chained to a bare file + fdatasync, p50", percentile(chained, 0.5) * 1e6, "us"),
            row("ScanLog.append, p50", percentile(appended, 0.5) * 1e6, "us"),
            row("ScanLog.append, p99", percentile(appended, 0.99) * 1e6, "us"),
            row("bare file, encoded and chained, p99", percentile(chained, 0.99) * 1e6, "us"),
            row(
                "throughput: append / the same entry to a bare file",
                median_ratio(chained, appended),
                "ratio",
                ">= 0.93",
            ),
            row("throughput: append / ready bytes to a bare file", median_ratio(bare, appended), "ratio"),
            row("throughput: the INSERT alone / ready bytes to a bare file", median_ratio(bare, inserted), "ratio"),
            row("means: append / the same entry to a bare file", mean_ratio(chained, appended), "ratio"),
            row(f"{GROUP} entries together, p50", percentile(ten, 0.5) * 1e6, "us"),
            row(f"time: {GROUP} together / one", median_ratio(ten, one), "ratio", "<= 1.5"),
            row(f"a purge of {MAX_ROWS} entries, with its certificate, p50", percentile(purges, 0.5) * 1e3, "ms"),
            row(f"VACUUM of {PURGED * MAX_ROWS} entries into a copy, p50", percentile(vacuums, 0.5) * 1e3, "ms"),
            row("an entry in the database", each, "B"),
            row("cold: opening a log, p50", percentile(once["open"], 0.5) * 1e3, "ms"),
            row("cold: first commit after opening, p50", percentile(once["first"], 0.5) * 1e6, "us"),
            row("cold: bare file / first commit", median_ratio(chained, once["first"]), "ratio"),
            row(f"WAL checkpoint of {DUE} entries, p50", percentile(once["checkpoint"], 0.5) * 1e3, "ms"),
            row("first commit after a WAL checkpoint, p50", percentile(once["after"], 0.5) * 1e6, "us"),
        ],
    }


def spread(figures: list[float]) -> list[float]:
    """Return microseconds at every hundredth, for the plot (`tests.bench.record_picture`)."""
    return [round(percentile(figures, hundredth / 100) * 1e6, 1) for hundredth in range(1, 100)]


def mean_ratio(upper: list[float], lower: list[float]) -> float:
    return statistics.fmean(upper) / statistics.fmean(lower)
