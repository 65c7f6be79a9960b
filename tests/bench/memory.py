"""Memory that one code takes: the largest that is accepted and the worst hostile one of each format, above idle.

Each figure is of a child of its own that has read a usual code before: the peak of what Python allocates during one
verdict, and by how much the whole process grew at its highest (RSS), both in KiB. Codes are as large as the largest QR
code.
"""

import gc
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from edge.gate.formats import load_formats
from edge.model.verdict import Outcome
from edge.policy.examine import Context, examine
from tests.bench import hostile
from tests.bench.timing import row
from tests.simulators import claim169, foreign, nzcp, seals, shc, tickets, world
from tests.simulators.codes import CODES
from tests.simulators.tickets import admitting
from tests.unit import test_aadhaar, test_twoddoc

LARGEST = hostile.LARGEST
FORMATS = ("hp1", "hl1", "hcert", "shc", "nzcp", "claim169", "pretix", "vdsnc", "twoddoc", "aadhaar")
_PREFIX = {"hp1": "HP1:", "hl1": "HL1:", "hcert": "HC1:", "shc": "shc:/", "nzcp": "NZCP:/1/", "claim169": "claim169:"}
_SIZES = (16, 64, 256, 512, 1000, 1400, 1800, 2200, 2600, 3000, 4000)


def _most(made: Callable[[int], bytes]) -> bytes:
    """Return the largest of a signer's codes that still fits one symbol."""
    return list(takewhile(lambda code: len(code) <= LARGEST, (made(size) for size in _SIZES)))[-1]


def _legal() -> dict[str, list[bytes]]:
    """Return codes that are accepted: the largest, and where a format is inflated one with as much as is read."""
    claims = foreign.hcert_claims()
    holder = world.make_pass(holder=world.HOLDER)
    return {
        "hp1": [world.make_pass()],
        "hl1": [world.shown_live(holder)],
        "hcert": [
            foreign.make_hcert({**claims, 99: [0] * 4000}),
            foreign.make_hcert({**claims, 99: bytes(64_000)}),
            _most(lambda size: foreign.make_hcert({**claims, 99: hostile.random_bytes(size)})),
        ],
        "shc": [_most(lambda size: shc.make_shc({**shc.shc_claims(), "x": ["{}"] * size}))],
        "nzcp": [_most(lambda size: nzcp.make_nzcp({**nzcp.nzcp_claims(), 99: bytes(size)}))],
        "claim169": [
            claim169.make_id({**claim169.id_claims(), 99: [0] * 4000}),
            claim169.make_id({**claim169.id_claims(), 99: bytes(64_000)}),
        ],
        "pretix": [tickets.make_ticket()],
        "vdsnc": [seals.make_seal()],
        "twoddoc": [test_twoddoc.GOOD],
        "aadhaar": [test_aadhaar.GOOD],
    }


def _hostile() -> dict[str, list[bytes]]:
    """Return what is refused: bombs, nesting and counts behind each format's prefix or in its shape."""
    common = hostile.inputs()
    found = {
        format_: [raw for name, raw in common.items() if name.startswith(prefix) and "signed" not in name]
        for format_, prefix in _PREFIX.items()
    }
    found["claim169"] += [
        hostile.based(b"", hostile.bomb(inside))
        for inside in (bytes, lambda size: b"\x81" * size, lambda size: b"\x9a\x00\x10\x00\x00" + bytes(size))
    ]
    return found | hostile.shapes()


CASES: Mapping[str, Callable[[], dict[str, list[bytes]]]] = {"legal": _legal, "hostile": _hostile}


def run() -> dict[str, Any]:
    """Measure every format, legal and hostile, each code in a child of its own."""
    rows = []
    for format_ in FORMATS:
        for case in CASES:
            found = [_child(format_, case, number) for number in range(len(CASES[case]()[format_]))]
            traced = max(one["traced_kib"] for one in found)
            grown = max(one["rss_kib"] for one in found)
            target = "<= 4096" if case == "hostile" else ""
            rows.append(row(f"{format_}: worst {case} of {len(found)}, peak of Python", traced, "KiB", target))
            rows.append(row(f"{format_}: worst {case} of {len(found)}, growth of the process", grown, "KiB"))
    return {"about": f"one verdict on a code of at most {LARGEST} characters, above idle", "rows": rows}


def _child(format_: str, case: str, number: int) -> dict[str, float]:
    asked = [sys.executable, "-m", "tests.bench.memory", format_, case, str(number)]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=120)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _context() -> Context:
    anchors = [shown.anchor for name, shown in CODES.items() if name != "hcert, PS256"]
    return replace(world.context(), formats=load_formats(), trust=admitting(*anchors))


def _highest_kib() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def measure(format_: str, case: str, number: int) -> dict[str, float]:
    """Return the peaks of one code in this process, KiB.

    Raises:
        RuntimeError: A legal code is not accepted, or a hostile one is.
    """
    context = _context()
    raw = CASES[case]()[format_][number]
    for shown in CODES.values():
        examine(shown.code, context)
    examine(world.make_pass(), context)
    gc.collect()
    # Linux, proc(5): 5 sets the highest resident size back to the present one.
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _highest_kib()
    verdict = examine(raw, context)
    grown = _highest_kib() - before
    if (verdict.outcome is Outcome.ACCEPT) != (case == "legal") and not verdict.is_authentic:
        raise RuntimeError(f"{format_}, {case}, {number}: {verdict.reason}")
    del verdict
    gc.collect()
    tracemalloc.start()
    idle = tracemalloc.get_traced_memory()[0]
    examine(raw, context)
    peak = tracemalloc.get_traced_memory()[1] - idle
    tracemalloc.stop()
    return {"traced_kib": peak / 1024, "rss_kib": float(grown)}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
