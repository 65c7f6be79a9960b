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
from edge.model.scan import Facts
from edge.scanlog.connection import PAGE_BYTES, WAL_BYTES
from edge.scanlog.log import _INSERT, ScanLog
from tests.bench.timing import median_ratio, percentile, row
from tests.simulators.ledger import scan, token

ROUNDS = 2000
OPENED = 15
DUE = 250


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
            lambda: inserted._db.execute(_INSERT, (next(numbers), 1_795_000_000_000, body, head, private, None)),
        ],
        ROUNDS,
    )
    if log.verify().seq != ROUNDS:
        raise RuntimeError("the log does not hold what was measured")
    log.close()
    inserted.close()
    return figures, len(ready)


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
        disk = file_system(folder)
    finally:
        shutil.rmtree(folder)
    return {
        "about": f"entries of {size} bytes on {disk}, {ROUNDS} rounds, {PAGE_BYTES} B pages, {WAL_BYTES >> 10} KiB WAL",
        "rows": [
            row("ready bytes to a bare file + fdatasync, p50", percentile(bare, 0.5) * 1e6, "us"),
            row("an entry encoded and chained to a bare file + fdatasync, p50", percentile(chained, 0.5) * 1e6, "us"),
            row("ScanLog.append, p50", percentile(appended, 0.5) * 1e6, "us"),
            row("ScanLog.append, p99", percentile(appended, 0.99) * 1e6, "us"),
            row("bare file, encoded and chained, p99", percentile(chained, 0.99) * 1e6, "us"),
            row(
                "throughput: append / the same entry to a bare file", median_ratio(chained, appended), "ratio", ">= 0.9"
            ),
            row("throughput: append / ready bytes to a bare file", median_ratio(bare, appended), "ratio"),
            row("throughput: the INSERT alone / ready bytes to a bare file", median_ratio(bare, inserted), "ratio"),
            row("means: append / the same entry to a bare file", mean_ratio(chained, appended), "ratio"),
            row("cold: opening a log, p50", percentile(once["open"], 0.5) * 1e3, "ms"),
            row("cold: first commit after opening, p50", percentile(once["first"], 0.5) * 1e6, "us"),
            row("cold: bare file / first commit", median_ratio(chained, once["first"]), "ratio"),
            row(f"WAL checkpoint of {DUE} entries, p50", percentile(once["checkpoint"], 0.5) * 1e3, "ms"),
            row("first commit after a WAL checkpoint, p50", percentile(once["after"], 0.5) * 1e6, "us"),
        ],
    }


def mean_ratio(upper: list[float], lower: list[float]) -> float:
    return statistics.fmean(upper) / statistics.fmean(lower)
