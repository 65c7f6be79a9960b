"""The hub under load: signed batches taken in over HTTP, group commit against a commit for each post, scans pulled."""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edge.hub import client, folder, writer
from edge.hub.client import Client, Query, Source
from edge.hub.desk import Desk
from edge.hub.hub import Hub, system_clock
from edge.ledger import wire
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators.hub_gates import Clock, Device, begin, enrol
from tests.simulators.hub_server import Caller, HubProcess

GATES = 8
BATCHES = 24
SCANS = 500
POSTS = 40
ROUNDS = 5


def run() -> dict[str, object]:
    """Measure and return rows."""
    with tempfile.TemporaryDirectory() as name:
        whole = _over_http(Path(name) / "http")
        grouped = _group_commit(Path(name) / "group")
    return {
        "about": f"{GATES} gates, batches of {SCANS} signed scans, one hub process, WAL synchronous=FULL",
        "rows": whole + grouped,
    }


def _over_http(path: Path) -> list[dict[str, object]]:
    begin(path, Clock(system_clock()))
    gates = _enrolled(path)
    for one in gates:
        one.scan(BATCHES * SCANS)
    posts = {one.number: one.batches(SCANS) for one in gates}
    running = HubProcess(path)
    try:
        taken: list[float] = []
        began = time.perf_counter()
        with ThreadPoolExecutor(GATES) as pool:
            for figures in pool.map(lambda one: _send(running.url, posts[one.number]), gates):
                taken += figures
        spent = time.perf_counter() - began
        taken.sort()
        pulled, pull_s = _pull(running.url, path)
    finally:
        running.stop()
    total = GATES * BATCHES
    assert pulled == total * SCANS
    return [
        row("batches taken in", total / spent, "batches/s"),
        row("scans taken in", total * SCANS / spent, "scans/s"),
        row("answer to a batch, p50", percentile(taken, 0.5) * 1e3, "ms"),
        row("answer to a batch, p99", percentile(taken, 0.99) * 1e3, "ms"),
        row("pulled as NDJSON, on record", pulled / pull_s, "rows/s"),
    ]


def _group_commit(path: Path) -> list[dict[str, object]]:
    begin(path, Clock(system_clock()))
    gates = _enrolled(path)
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


def _enrolled(path: Path) -> list[Device]:
    desk, hub = Desk(path), Hub.open(path)
    gates = [Device(number) for number in range(1, GATES + 1)]
    for one in gates:
        enrol(hub, desk, one, lane=str(one.number))
    hub.close()
    return gates


def _send(url: str, pieces: list[bytes]) -> list[float]:
    taken = []
    with Caller(url) as caller:
        for piece in pieces:
            began = time.perf_counter()
            assert caller.post(wire.BATCHES, piece).status == 200
            taken.append(time.perf_counter() - began)
    return taken


def _take_singly(hub: Hub, gate: Device) -> None:
    for _ in range(POSTS):
        gate.scan(1)
        hub.take(gate.batch(len(gate.entries), len(gate.entries)))


def _pull(url: str, path: Path) -> tuple[int, float]:
    source = Source(url, client.read_token(path / folder.OPERATOR))
    began = time.perf_counter()
    count = sum(len(page.lines) for page in Client(source).pages(Query()))
    return count, time.perf_counter() - began
