"""Three hundred gates come back at once, over real sockets, to a hub scaled down to 20 posts a second.

Each is the production session and client on a connection of its own, with two signed batches; the hub is
`tests.simulators.slow_hub`. The ideal is the time the posts alone take there. Writes `crowd.svg`.
"""

import random
import shutil
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from edge.errors import AnswerRefused, EdgeError
from edge.hub.hub import Hub, system_clock
from edge.ledger import device
from edge.model.settings import SyncSettings
from edge.sync import client
from edge.sync.session import Action, Demand, Session
from edge.sync.transports.http import HttpTransport
from tests.bench import curves
from tests.bench.timing import row
from tests.simulators.hub_gates import Clock, Device, begin, enrol
from tests.simulators.hub_server import HubProcess
from tests.simulators.slow_hub import AT_ONCE, EXTRA_S

GATES = 300
BATCHES = 2
SCANS = 50
FIRST_S = 8.0
"""Back-off has spread the tries of a silent hub over its cap when the hub is there again."""
_LOOK_S = 0.25
_TIMEOUT_S = 10.0
_MOST_S = 180.0


class Crowd:
    """What the gates did, counted together.

    Args:
        began: When the hub was there again, seconds of the steady clock.
    """

    def __init__(self, began: float) -> None:
        self._lock = threading.Lock()
        self.began = began
        self.receipts = self.beats = self.refusals = self.unanswered = 0
        self.curve: list[tuple[float, float]] = [(0.0, 0)]

    def note(self, what: str) -> None:
        """Count something; a receipt with its time."""
        with self._lock:
            setattr(self, what, getattr(self, what) + 1)
            if what == "receipts":
                self.curve.append((time.monotonic() - self.began, self.receipts))


def run() -> dict[str, object]:
    """Measure and return rows."""
    parent = Path("build/bench")
    parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=parent))
    try:
        crowd = _storm(path)
    finally:
        shutil.rmtree(path)
    posts = GATES * BATCHES
    ideal_s, took_s = posts * EXTRA_S / AT_ONCE, crowd.curve[-1][0]
    picture = curves.draw(
        f"receipts of {posts:,}, {GATES} gates over sockets",
        "seconds",
        {"slots of the hub": crowd.curve, "ideal": [(0.0, 0), (ideal_s, posts)]},
        {"1.25 of the ideal": 1.25 * ideal_s},
    )
    (parent / "crowd.svg").write_text(picture, "utf-8")
    worked = crowd.receipts + crowd.unanswered
    return {
        "about": f"{GATES} gates, {BATCHES} batches of {SCANS} scans each, a hub of {AT_ONCE / EXTRA_S:.0f} posts/s",
        "rows": [
            row("receipts", crowd.receipts, f"of {posts}"),
            row("ideal", ideal_s, "s"),
            row("took", took_s, "s"),
            row("total time, ideal = 1", took_s / ideal_s, "x", "<= 1.25"),
            row("goodput: posts that were not in vain", 100 * crowd.receipts / worked, "%", ">= 99.9"),
            row("posts without an answer", crowd.unanswered, "posts"),
            row("heartbeats answered", crowd.beats, "heartbeats"),
            row("sent away with a slot", crowd.refusals, "requests"),
        ],
    }


def _storm(path: Path) -> Crowd:
    desk = begin(path / "hub", Clock(system_clock()))
    gates = [Device(number) for number in range(1, GATES + 1)]
    with closing(Hub.open(path / "hub")) as hub:
        for gate in gates:
            enrol(hub, desk, gate, lane=str(gate.number))
        public = hub.home.public
    keys = {device.key_id(public).hex(): public}
    for gate in gates:
        gate.scan(BATCHES * SCANS)
    bodies = [gate.batches(SCANS) for gate in gates]
    running = HubProcess(path / "hub", module="tests.simulators.slow_hub")
    try:
        crowd = Crowd(time.monotonic())
        with ThreadPoolExecutor(GATES) as pool:
            list(pool.map(lambda pair: _come_back(crowd, running.url, *pair, keys), zip(gates, bodies, strict=True)))
    finally:
        running.stop()
    return crowd


def _come_back(crowd: Crowd, url: str, gate: Device, bodies: list[bytes], keys: Mapping[str, bytes]) -> None:
    drawn = random.Random(gate.number)
    session = Session(SyncSettings(), drawn.random, was_online=True)
    time.sleep(FIRST_S * drawn.random())
    with closing(HttpTransport(url, _TIMEOUT_S)) as transport:
        while bodies and time.monotonic() - crowd.began < _MOST_S:
            now = time.monotonic()
            step = session.next(now, Demand(SCANS * len(bodies)))
            if step.action is Action.HOLD:
                session.on_hold(now, was_open=transport.hold())
            elif step.action is Action.WAIT:
                # The part looks four times a second.
                time.sleep(min(max(step.until_s - now, 0.0), _LOOK_S) if step.until_s > now else _LOOK_S)
            else:
                _exchange(crowd, session, transport, (gate, bodies, keys), step.action)


def _exchange(
    crowd: Crowd,
    session: Session,
    transport: HttpTransport,
    sent: tuple[Device, list[bytes], Mapping[str, bytes]],
    action: Action,
) -> None:
    gate, bodies, keys = sent
    try:
        if action is Action.BEAT:
            told = client.beat(transport, gate.heartbeat(system_clock()), keys)
            session.on_watermark(time.monotonic(), heartbeat_s=told.heartbeat_s, slot_s=told.slot_s)
            crowd.note("beats")
        else:
            client.push(transport, bodies[0], keys)
            session.on_receipt(time.monotonic())
            crowd.note("receipts")
            del bodies[0]
    except AnswerRefused as refused:
        if refused.status not in client.BUSY:
            raise
        session.on_busy(time.monotonic(), refused.retry_after_s)
        crowd.note("refusals")
    except EdgeError:
        if action is Action.PUSH:
            crowd.note("unanswered")
        session.on_failure(time.monotonic())
