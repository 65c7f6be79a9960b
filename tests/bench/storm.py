"""A hundred thousand gates come back at once: total time against the ideal, and how much of the hub's work was in vain.

The simulation is `tests.simulators.storm`, with costs measured here on the hub as it ships. Writes `storm.svg`.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from edge.hub.hub import Hub, system_clock
from edge.hub.serve import create_app
from edge.ledger import wire
from tests.bench.timing import row
from tests.simulators.drawn_gates import drawn
from tests.simulators.hub_gates import Clock, begin, enrol
from tests.simulators.storm import Costs, Result, Retry, Storm

GATES = 100_000
SCANS = 500
ROUNDS = 60
HEARTBEAT_S = 2000
"""What a hub with so many gates sets: fifty heartbeats a second."""
UNTIL = {Retry.SLOTS: 3.0, Retry.BOUNDED: 0.5, Retry.JITTER: 0.25, Retry.FIXED: 0.1}
"""Times the ideal at which each is given up; the worse ones are given up early, for they never rest."""
_COLOURS = {Retry.SLOTS: "#0b5", Retry.BOUNDED: "#06c", Retry.JITTER: "#c80", Retry.FIXED: "#c40"}


def run() -> dict[str, object]:
    """Measure and return rows."""
    with tempfile.TemporaryDirectory() as name:
        costs = _costs(Path(name) / "hub")
    results = {
        retry: Storm(GATES, costs, retry, heartbeat_s=HEARTBEAT_S, until=until).run() for retry, until in UNTIL.items()
    }
    folder = Path("build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "storm.svg").write_text(draw(results), encoding="utf-8")
    slots = results[Retry.SLOTS]
    rows = [
        row("a post of 500 scans", costs.post * 1e3, "ms"),
        row("a heartbeat", costs.beat * 1e3, "ms"),
        row("a refusal", costs.refusal * 1e3, "ms"),
        row("slots: total time, ideal = 1", slots.took_s / slots.ideal_s, "x", "<= 1.25"),
        row("slots: goodput", 100 * slots.goodput, "%", ">= 99.9"),
    ]
    for retry, found in results.items():
        pace = found.done / max(found.took_s, 1e-9) * costs.post
        rows += [
            row(f"{retry.value}: gates done", found.done, f"of {GATES} after {found.took_s / found.ideal_s:.2f} ideal"),
            row(f"{retry.value}: useful share of the hub's time", 100 * pace, "%"),
            row(f"{retry.value}: posts that were in vain", 100 * (1 - found.goodput), "%"),
        ]
    return {"about": f"{GATES} simulated gates with {SCANS} scans each, one core of a hub", "rows": rows}


def _costs(path: Path) -> Costs:
    desk = begin(path, Clock(system_clock()))
    hub = Hub.open(path)
    try:
        gate = drawn(1, SCANS * ROUNDS)
        enrol(hub, desk, gate)
        posts = iter(list(gate.batches(SCANS)))
        client = create_app(hub).test_client()
        post = _median(lambda: client.post(wire.BATCHES, data=next(posts)).status_code, 200)
        beat = _median(lambda: client.post(wire.HEARTBEAT, data=gate.heartbeat(system_clock())).status_code, 200)
        with _filled(hub):
            refusal = _median(lambda: client.post(wire.BATCHES, data=b"x").status_code, 503)
    finally:
        hub.close()
    return Costs(post, beat, refusal)


def _filled(hub: Hub) -> "contextlib.ExitStack":
    stack = contextlib.ExitStack()
    while not stack.enter_context(hub.admission.entered()):
        pass
    return stack


def _median(ask: Callable[[], int], status: int) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = ask()
        taken.append(time.perf_counter() - began)
        assert found == status, found
    return sorted(taken)[ROUNDS // 2]


def draw(results: dict[Retry, Result]) -> str:
    """Return the picture: gates done against time."""
    width, height, left, top, wide, high = 720, 340, 60, 30, 620, 230
    most = 1.5
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{left}" y="18" font-weight="bold">gates with a receipt, share, against time (ideal = 1)</text>',
        f'<rect x="{left}" y="{top}" width="{wide}" height="{high}" fill="none" stroke="#999"/>',
        f'<path d="M{left} {top + high}L{left + wide / most:.0f} {top}" stroke="#888" stroke-dasharray="4"/>',
    ]
    drawn += [
        f'<text x="{left + wide * at / most:.0f}" y="{top + high + 16}" text-anchor="middle">{at:g}</text>'
        for at in (0, 0.5, 1.0, 1.25, 1.5)
    ]
    for turn, (retry, found) in enumerate(results.items()):
        points = [(0.0, 0), *found.curve, (found.took_s, found.done)]
        places = [
            (left + wide * min(most, at / found.ideal_s) / most, top + high * (1 - done / GATES)) for at, done in points
        ]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        drawn.append(f'<path d="M{path}" fill="none" stroke="{_COLOURS[retry]}" stroke-width="2"/>')
        x, y = left + 300 * (turn % 2), top + high + 40 + 18 * (turn // 2)
        drawn.append(f'<text x="{x}" y="{y}" fill="{_COLOURS[retry]}">{retry.value}</text>')
    return "\n".join((*drawn, "</svg>", ""))
