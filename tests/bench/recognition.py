"""From publishing an eighth region to its first accepted pass at a running gate, by the commands that people type.

Three spans of one run: signing and writing the publication, the gate's refresh from it, and until a pass is accepted.
A gate's sync part refreshes every `trust.refresh_s` and whenever its link returns; that wait is the operator's to set.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.timing import percentile, row
from tests.simulators.running_gate import EighthRegion, RunningGate

RUNS = 5


def run() -> dict[str, Any]:
    """Let a region join five countries and return rows."""
    spans: list[list[float]] = [[], [], [], []]
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory(prefix="edge-bench-") as name:
            for found, seconds in zip(spans, _joined(Path(name)), strict=True):
                found.append(seconds)
    rows: list[dict[str, object]] = []
    for what, found in zip(("publish", "refresh", "pick-up and first accept", "together"), spans, strict=True):
        found.sort()
        rows += [row(f"{what}, p50", percentile(found, 0.5), "s"), row(f"{what}, p99", found[-1], "s")]
    return {"about": f"an eighth region joins a running gate, {RUNS} times", "rows": rows}


def _joined(folder: Path) -> tuple[float, float, float, float]:
    country = EighthRegion(folder)
    passes = country.prepare()
    with RunningGate(folder) as gate:
        if gate.show(passes.pop())["reason"] != "issuer.unknown":
            raise RuntimeError("the gate knew the region before it was published")
        marks = [time.perf_counter()]
        country.publish()
        marks.append(time.perf_counter())
        country.refresh()
        marks.append(time.perf_counter())
        if gate.show_until_accepted(passes)["outcome"] != "accept":
            raise RuntimeError("the region's passes were never accepted")
        marks.append(time.perf_counter())
    return marks[1] - marks[0], marks[2] - marks[1], marks[3] - marks[2], marks[3] - marks[0]
