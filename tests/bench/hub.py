"""The hub under load: signed batches over HTTP against the same bytes written with SQLite alone, and one scan a post.

The scans are drawn (`tests.simulators.traffic`), so a batch of 500 has the seven kilobytes that a busy gate's has. The
figure of a kind is the median of rounds that take turns with those of the other kinds; who sends runs beside the hub.
"""

import os
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from edge.hub import writer
from edge.hub.desk import Desk
from edge.hub.hub import Hub, system_clock
from edge.ledger import batch, wire
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators.drawn_gates import drawn
from tests.simulators.hub_gates import Clock, Device, begin, enrol
from tests.simulators.hub_server import Caller, HubProcess

GATES = 8
BATCHES = 16
"""Of each gate in a round."""
SCANS = 500
AT_ONCE = 8
POSTS = 40
"""Posts of one scan of each gate in a round."""
ROUNDS = 6


@dataclass
class Kind:
    """One way to send scans.

    Attributes:
        gates: Who sends.
        scans: Scans in a batch.
        at_once: Batches in a post.
        posts: Posts of each gate in a round.
        seconds: What each round took.
        cpu: Seconds of a core that the hub spent in each.
        answers: Seconds to each answer.
    """

    gates: list[Device]
    scans: int
    at_once: int
    posts: int
    seconds: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    bodies: list[list[bytes]] = field(default_factory=list)

    @property
    def batches(self) -> int:
        """Batches of all gates in a round."""
        return len(self.gates) * self.posts * self.at_once

    def cut(self) -> None:
        """Sign every post of every round before the clock starts."""
        for gate in self.gates:
            batches = gate.batches(self.scans)
            self.bodies.append(
                [b"".join(batches[at : at + self.at_once]) for at in range(0, len(batches), self.at_once)]
            )

    def of_round(self, number: int) -> list[list[bytes]]:
        """Return the posts of each gate in a round."""
        return [bodies[number * self.posts : (number + 1) * self.posts] for bodies in self.bodies]

    def send(self, hub: HubProcess, number: int) -> None:
        """Send a round, every gate on a connection of its own, and note what it took."""
        spent, began = _cpu_s(hub.process.pid), time.perf_counter()
        with ThreadPoolExecutor(len(self.gates)) as pool:
            for answers in pool.map(lambda bodies: _send(hub.url, bodies), self.of_round(number)):
                self.answers += answers
        self.seconds.append(time.perf_counter() - began)
        self.cpu.append(_cpu_s(hub.process.pid) - spent)

    def rate(self) -> float:
        """Return batches a second in the median round."""
        return self.batches / statistics.median(self.seconds)

    def cpu_each(self) -> float:
        """Return the seconds of a core that the hub spends on a batch, its rows in the background in it."""
        return statistics.median(self.cpu) / self.batches


def run() -> dict[str, object]:
    """Measure and return rows."""
    parent = Path("build/bench")
    parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=parent))
    try:
        rows = _over_http(path / "http") + _group_commit(path / "group")
    finally:
        shutil.rmtree(path)
    about = f"{GATES} gates send, {SCANS} drawn scans a batch, one hub process, {ROUNDS} rounds, WAL synchronous=FULL"
    return {"about": about, "rows": rows}


def _over_http(path: Path) -> list[dict[str, object]]:
    single, several = (Kind(_gates(at, BATCHES * SCANS), SCANS, n, BATCHES // n) for at, n in ((0, 1), (1, AT_ONCE)))
    scans = Kind(_gates(2, POSTS), 1, 1, POSTS)
    kinds = (single, several, scans)
    begin(path, Clock(system_clock()))
    for kind in kinds:
        _enrol(path, kind.gates)
        kind.cut()
    bare = Bare(path.with_name("bare"))
    running = HubProcess(path)
    try:
        for number in range(ROUNDS):
            for kind in kinds:
                kind.send(running, number)
            bare.write(
                [
                    (gate.public, body)
                    for gate, bodies in zip(single.gates, single.of_round(number), strict=True)
                    for body in bodies
                ]
            )
    finally:
        running.stop()
    return _rows(single, several, scans, bare)


class Bare:
    """What the same batches cost without a hub, in this process.

    Args:
        path: A folder to write in.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self._path = path
        self.seconds: dict[str, list[float]] = {"alone": [], "together": [], "signature": [], "whole": []}
        self.cpu: dict[str, list[float]] = {name: [] for name in self.seconds}

    def write(self, batches: list[tuple[bytes, bytes]]) -> None:
        """Write the batches of a round, and check them, each in its ways; seconds for one batch are noted."""
        actions: dict[str, Callable[[], object]] = {
            "alone": lambda: self._insert("alone", batches, 1),
            "together": lambda: self._insert("together", batches, GATES),
            "signature": lambda: [batch.open_header(body, public) for public, body in batches],
            "whole": lambda: [batch.open_batch(body, public) for public, body in batches],
        }
        for name, action in actions.items():
            spent, began = time.process_time(), time.perf_counter()
            action()
            self.seconds[name].append((time.perf_counter() - began) / len(batches))
            self.cpu[name].append((time.process_time() - spent) / len(batches))

    def each(self, name: str) -> float:
        """Return the median seconds for one batch."""
        return statistics.median(self.seconds[name])

    def cpu_each(self, name: str) -> float:
        """Return the median seconds of a core for one batch."""
        return statistics.median(self.cpu[name])

    def _insert(self, name: str, batches: list[tuple[bytes, bytes]], together: int) -> None:
        with closing(sqlite3.connect(self._path / f"{name}.db", isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("CREATE TABLE IF NOT EXISTS batches(id INTEGER PRIMARY KEY, wire BLOB NOT NULL)")
            for start in range(0, len(batches), together):
                connection.execute("BEGIN IMMEDIATE")
                rows = [(body,) for _, body in batches[start : start + together]]
                connection.executemany("INSERT INTO batches(wire) VALUES (?)", rows)
                connection.execute("COMMIT")


def _rows(single: Kind, several: Kind, scans: Kind, bare: Bare) -> list[dict[str, object]]:
    answers, grouped = sorted(single.answers), sorted(several.answers)
    rate, best = single.rate(), several.rate()
    return [
        row("a batch a post: taken in", rate, "batches/s"),
        row("a batch a post: scans taken in", rate * SCANS, "scans/s"),
        row("a batch a post: answer, p50", percentile(answers, 0.5) * 1e3, "ms"),
        row("a batch a post: answer, p99", percentile(answers, 0.99) * 1e3, "ms"),
        row(f"{AT_ONCE} batches a post: taken in", best, "batches/s"),
        row(f"{AT_ONCE} batches a post: answer, p50", percentile(grouped, 0.5) * 1e3, "ms"),
        row(f"{AT_ONCE} batches a post: answer, p99", percentile(grouped, 0.99) * 1e3, "ms"),
        row("a batch a post: the hub's core, rows in the background in it", single.cpu_each() * 1e6, "us/batch"),
        row(f"{AT_ONCE} batches a post: the same", several.cpu_each() * 1e6, "us/batch"),
        row("SQLite alone, a commit for each batch", 1 / bare.each("alone"), "batches/s"),
        row(f"SQLite alone, {GATES} batches a commit", 1 / bare.each("together"), "batches/s"),
        row("signature and hashes of a batch alone", bare.each("signature") * 1e6, "us"),
        row("a batch opened wholly, alone", bare.each("whole") * 1e6, "us"),
        row("a batch a post / SQLite, a commit each", rate * bare.each("alone"), "ratio", ">= 0.5"),
        row(f"a batch a post / SQLite, {GATES} a commit", rate * bare.each("together"), "ratio"),
        row(f"{AT_ONCE} batches a post / SQLite, a commit each", best * bare.each("alone"), "ratio", ">= 0.5"),
        row(f"{AT_ONCE} batches a post / SQLite, {GATES} a commit", best * bare.each("together"), "ratio"),
        row(
            "ceiling: opened wholly and written, one core",
            1 / (bare.each("whole") + bare.each("together")),
            "batches/s",
        ),
        row(
            "core: SQLite, a commit each / a batch a post",
            bare.cpu_each("alone") / single.cpu_each(),
            "ratio",
            ">= 0.5",
        ),
        row(
            f"core: SQLite, a commit each / {AT_ONCE} batches a post",
            bare.cpu_each("alone") / several.cpu_each(),
            "ratio",
        ),
        row("core: a batch opened wholly", bare.cpu_each("whole") * 1e6, "us"),
        row("core: signature and hashes", bare.cpu_each("signature") * 1e6, "us"),
        row("one scan a post", scans.rate(), "scans/s"),
        row("scans: a batch a post / one scan a post", rate * SCANS / scans.rate(), "times", ">= 5"),
    ]


def _group_commit(path: Path) -> list[dict[str, object]]:
    begin(path, Clock(system_clock()))
    gates = [Device(number) for number in range(1, GATES + 1)]
    _enrol(path, gates)
    hub = Hub.open(path)
    together = writer.TOGETHER

    def post_all(most: int) -> Callable[[], None]:
        def action() -> None:
            writer.TOGETHER = most  # type: ignore[misc]  # the one figure that differs between the two
            with ThreadPoolExecutor(GATES) as pool:
                list(pool.map(lambda one: _take_singly(hub, one), gates))

        return action

    try:
        grouped, single = alternate([post_all(together), post_all(1)], ROUNDS)
    finally:
        writer.TOGETHER = together  # type: ignore[misc]
        hub.close()
    posts = GATES * POSTS
    return [
        row("posts of one scan, committed together", posts / percentile(grouped, 0.5), "posts/s"),
        row("posts of one scan, a commit for each", posts / percentile(single, 0.5), "posts/s"),
        row("together / one by one", median_ratio(single, grouped), "times", "> 1"),
    ]


def _gates(kind: int, each: int) -> list[Device]:
    """Return the gates of a kind, with what each sends in a round, for all rounds."""
    return [drawn(GATES * kind + number, each * ROUNDS) for number in range(1, GATES + 1)]


def _enrol(path: Path, gates: list[Device]) -> None:
    hub = Hub.open(path)
    for one in gates:
        enrol(hub, Desk(path), one, lane=str(one.number))
    hub.close()


def _cpu_s(pid: int) -> float:
    """Return the seconds of a core that a process has used: what others do beside it does not count."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _send(url: str, bodies: list[bytes]) -> list[float]:
    taken = []
    with Caller(url) as caller:
        for body in bodies:
            began = time.perf_counter()
            assert caller.post(wire.BATCHES, body).status == 200
            taken.append(time.perf_counter() - began)
    return taken


def _take_singly(hub: Hub, gate: Device) -> None:
    for _ in range(POSTS):
        gate.scan(1)
        hub.take(gate.batch(len(gate.entries), len(gate.entries)))
