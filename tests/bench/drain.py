"""A gate comes back with 100,000 scans: the real log, outbox, session and client against a hub process on a socket.

Writes `drain.svg` (what the hub signed for against time) and `drain-answers.svg` (how long each post took).
"""

import random
import shutil
import tempfile
import time
from contextlib import closing
from pathlib import Path

from edge.hub.hub import Hub, system_clock
from edge.ledger import device
from edge.model.settings import SyncSettings
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from edge.sync.outbox import Outbox
from edge.sync.pusher import Job, Pusher, perform
from edge.sync.session import Action, Session
from edge.sync.store import SyncStore
from edge.sync.transports.http import HttpTransport
from tests.bench import curves, record_picture
from tests.bench.timing import percentile, row
from tests.simulators import traffic
from tests.simulators.hub_gates import Clock, Device, begin, enrol
from tests.simulators.hub_server import HubProcess

SCANS = 100_000
_TOGETHER = 500
_TIMEOUT_S = 10.0
_MOST_S = 300.0


def run() -> dict[str, object]:
    """Measure and return rows."""
    parent = Path("build/bench")
    parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=parent))
    try:
        return _measured(path, parent)
    finally:
        shutil.rmtree(path)


def _measured(path: Path, parent: Path) -> dict[str, object]:
    gate = Device(1)
    with closing(ScanLog.open(path / "scans.db", epoch=gate.epoch)) as log:
        _record(log)
    desk = begin(path / "hub", Clock(system_clock()))
    with closing(Hub.open(path / "hub")) as hub:
        enrol(hub, desk, gate)
        public = hub.home.public
    running = HubProcess(path / "hub")
    try:
        with (
            closing(SyncStore(path / "sync.db")) as store,
            closing(HttpTransport(running.url, _TIMEOUT_S)) as transport,
        ):
            outbox = Outbox(store, ScanLogReader(path / "scans.db"), gate.key)
            drain = Drain(outbox, Pusher(_session(), outbox, gate.key, dict))
            drain.run(transport, {device.key_id(public).hex(): public})
    finally:
        running.stop()
    (parent / "drain.svg").write_text(
        curves.draw(f"scans of {SCANS:,} that the hub signed for", "seconds", {"one gate": drain.curve}), "utf-8"
    )
    answers = sorted(drain.pushes)
    spread = [round(percentile(answers, hundredth / 100) * 1e6, 1) for hundredth in range(1, 100)]
    cut = sorted(drain.cuts)
    cutting = [round(percentile(cut, hundredth / 100) * 1e6, 1) for hundredth in range(1, 100)]
    told = {"answer to a post of 500 scans": spread, "cutting, packing and keeping a batch": cutting}
    (parent / "drain-answers.svg").write_text(record_picture.draw(told, "batches"), "utf-8")
    took = drain.curve[-1][0]
    return {
        "about": f"{SCANS} drawn scans in the log of one gate, real client and hub process on loopback",
        "rows": [
            row("drained in", took, "s"),
            row("scans", SCANS / took, "scans/s"),
            row("requests", drain.requests, "requests"),
            row("requests a scan, 1 in", SCANS / drain.requests, "scans", ">= 200"),
            row("answer to a post, p50", percentile(answers, 0.5) * 1e3, "ms"),
            row("answer to a post, p99", percentile(answers, 0.99) * 1e3, "ms"),
            row("cutting and keeping a batch, p50", percentile(cut, 0.5) * 1e3, "ms"),
            row("cutting and keeping a batch, p99", percentile(cut, 0.99) * 1e3, "ms"),
        ],
    }


def _record(log: ScanLog) -> None:
    drawn = random.Random(1)
    facts = traffic.stated(traffic.BUSY, SCANS, seed=5)
    for _ in range(SCANS // _TOGETHER):
        with log.together():
            for _, one in zip(range(_TOGETHER), facts, strict=False):
                log.append(one, token=drawn.randbytes(8))


def _session() -> Session:
    session = Session(SyncSettings(), random.Random(1).random, was_online=True)
    session.urge()
    return session


class Drain:
    """One gate that pushes until nothing waits.

    Args:
        outbox: What it pushes.
        pusher: How.
    """

    def __init__(self, outbox: Outbox, pusher: Pusher) -> None:
        self._outbox = outbox
        self._pusher = pusher
        self.requests = 0
        self.pushes: list[float] = []
        self.cuts: list[float] = []
        self.curve: list[tuple[float, float]] = [(0.0, 0)]

    def run(self, transport: HttpTransport, keys: dict[str, bytes]) -> None:
        """Push; every exchange is timed and counted."""
        began = time.perf_counter()
        standing = self._outbox.standing()
        while standing.demand.waiting or standing.demand.needs_mark:
            asked = time.perf_counter()
            assert asked - began < _MOST_S, standing
            job = self._pusher.next(time.monotonic(), system_clock(), standing)
            if job is None:
                # The session waits; so does the part, a quarter of a second at most.
                time.sleep(0.01)
            else:
                self._exchange(job, transport, keys, asked)
            standing = self._outbox.standing()
            self.curve.append((time.perf_counter() - began, SCANS - standing.backlog))

    def _exchange(self, job: Job, transport: HttpTransport, keys: dict[str, bytes], asked: float) -> None:
        sent = time.perf_counter()
        result = perform(job, transport, keys)
        assert not isinstance(result, Exception), result
        if job.action is not Action.HOLD:
            self.requests += 1
        if job.action is Action.PUSH:
            self.cuts.append(sent - asked)
            self.pushes.append(time.perf_counter() - sent)
        self._pusher.done(job, result, time.monotonic(), system_clock())
