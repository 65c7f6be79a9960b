"""Bytes a scan on the wire, version 2 beside version 1, and what it costs to open a batch and to cut one.

The traffic is simulated (`tests.simulators.traffic`): nothing of it is constant, and its seeds are none the dictionary
was trained on. Sequence numbers have five bytes, as those of a gate that has stood for a while.
"""

import statistics
from collections.abc import Callable
from dataclasses import replace

from edge.codec import cbor
from edge.ledger import batch, chain, device
from edge.ledger.batch import Cut
from edge.model.scan import Entry
from tests.bench.timing import alternate, median_ratio, percentile, row
from tests.simulators import former_gate, traffic
from tests.simulators.ledger import DEVICE, EPOCH, GATE, PUBLIC

FIRST = 123_457
CUT = Cut(GATE, EPOCH, chain.GENESIS, bytes(range(32)), (11_423, 12))
DRAWN = {500: 10, 50: 60, 5: 200}
TARGETS = {500: "<= 17", 50: "<= 26", 5: "<= 80"}
SEALED = 200
"""Bytes of a sealed field: a short name and number in a sealed box (48 bytes more than the text)."""
UNSEEN = 330_100
"""A city whose traffic the dictionary was not trained on."""
ROUNDS = 15

Drawn = dict[int, list[list[Entry]]]


def drawn(gate: traffic.Gate) -> Drawn:
    """Return some logs of each length."""
    return {
        count: [traffic.entries(gate, count, seed=seed, first=FIRST) for seed in range(1, many + 1)]
        for count, many in DRAWN.items()
    }


def everybody(entries: list[Entry]) -> list[Entry]:
    """Return the entries with a token each, none left out."""
    return [replace(entry, token=entry.head[:8]) for entry in entries]


def sizes(logs: list[list[Entry]], make: Callable[..., bytes]) -> tuple[float, float]:
    """Return bytes a scan of whole batches and of their facts part."""
    wires = [make(entries, CUT, DEVICE) for entries in logs]
    count = len(logs[0])
    facts = statistics.mean(len(cbor.decode(wire)[1]) for wire in wires) / count
    return statistics.mean(map(len, wires)) / count, facts


def _shape(name: str, gate: traffic.Gate) -> list[dict[str, object]]:
    rows = []
    for count, logs in drawn(gate).items():
        whole, facts = sizes([everybody(entries) for entries in logs], batch.make)
        former, former_facts = sizes([everybody(entries) for entries in logs], former_gate.make)
        as_drawn, _ = sizes(logs, batch.make)
        rows += [
            row(f"{name}, {count}: whole, a token each", whole, "B/scan", TARGETS[count]),
            row(f"{name}, {count}: whole, tokens as drawn", as_drawn, "B/scan"),
            row(f"{name}, {count}: facts alone", facts, "B/scan", "<= 9" if count == max(DRAWN) else ""),
            row(f"{name}, {count}: version 1, whole / facts", former, f"B/scan, {former_facts:.2f}"),
        ]
    return rows


def _sealed() -> list[dict[str, object]]:
    """Return what one sealed field in a batch costs; a sealed box looks like random bytes."""
    rows = []
    box = device.seal_to_device(bytes(SEALED - 48), PUBLIC)
    for count, logs in drawn(traffic.BUSY).items():
        one = [[*everybody(entries)[:-1], replace(everybody(entries)[-1], sealed=box)] for entries in logs]
        rows.append(row(f"busy, {count}: one sealed field of {SEALED} B in it", sizes(one, batch.make)[0], "B/scan"))
    return rows


def _cost() -> list[dict[str, object]]:
    logs = drawn(traffic.BUSY)[500]
    wires = [[make(entries, CUT, DEVICE) for entries in logs] for make in (former_gate.make, batch.make)]

    def opened(of: list[bytes]) -> Callable[[], object]:
        return lambda: [batch.open_batch(wire, PUBLIC) for wire in of]

    def cut(make: Callable[..., bytes]) -> Callable[[], object]:
        return lambda: [make(entries, CUT, DEVICE) for entries in logs]

    one, two = alternate([opened(of) for of in wires], ROUNDS)
    former, now = alternate([cut(former_gate.make), cut(batch.make)], 3)
    each = 1e3 / len(logs)
    return [
        row("opening 500 scans, version 2, p50", percentile(two, 0.5) * each, "ms"),
        row("opening 500 scans, version 1, p50", percentile(one, 0.5) * each, "ms"),
        row("opening: version 2 / version 1", median_ratio(two, one), "ratio", "<= 1.2"),
        row("cutting 500 scans, version 2, p50", percentile(now, 0.5) * each, "ms"),
        row("cutting 500 scans, version 1, p50", percentile(former, 0.5) * each, "ms"),
    ]


def run() -> dict[str, object]:
    """Measure and return rows."""
    unseen = replace(traffic.BUSY, region=UNSEEN, local=0.0)
    return {
        "about": "bytes a scan of signed batches of 500, 50 and 5; simulated traffic of a busy and a quiet gate",
        "rows": _shape("busy", traffic.BUSY)
        + _shape("quiet", traffic.QUIET)
        + _shape("busy, all from elsewhere", unseen)
        + _sealed()
        + _cost(),
    }
