"""The worst codes there can be: time to a verdict and memory of hostile inputs as large as the largest symbol."""

import base64
import gc
import gzip
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from edge.codec import base45
from edge.gate.formats import load_formats
from edge.policy.examine import examine
from tests.bench.timing import row
from tests.simulators import foreign, tickets, world
from tests.simulators.claim169 import id_claims, make_id
from tests.simulators.shc import make_shc, packed, shc_claims
from tests.unit import test_aadhaar, test_twoddoc

LARGEST = 4296
ROUNDS = 30
_RANDOM = Random(1)
_MESSAGE = b"\x84\x43\xa1\x01\x26\xa0\x59\x0a\x00"
"""A COSE_Sign1 up to its payload of 2,560 bytes."""


def random_bytes(count: int) -> bytes:
    """Return bytes that nothing makes shorter, the same in every run."""
    return _RANDOM.randbytes(count)


def based(prefix: bytes, data: bytes) -> bytes:
    """Return as much of `data` as one code carries."""
    room = (LARGEST - len(prefix)) // 3 * 2
    return prefix + base45.encode(data[:room])


def bomb(inside: Callable[[int], bytes]) -> bytes:
    """Return the largest deflated content that fits one code."""
    size = 1 << 16
    while len(zlib.compress(inside(size * 2), 9)) < (LARGEST - 4) // 3 * 2 and size < 1 << 24:
        size *= 2
    return zlib.compress(inside(size), 9)


def inputs() -> dict[str, bytes]:
    """Return hostile codes by name."""
    found = {
        "nulls": bytes(LARGEST),
        "braces": b"{" * LARGEST,
        "label and brackets": b'{"label":"yss"' + b"[" * (LARGEST - 14),
        "digits": b"9" * LARGEST,
        "random bytes": random_bytes(LARGEST),
        "link": b"https://" + b"a." * ((LARGEST - 8) // 2),
    }
    claims = foreign.hcert_claims()
    found["HC1: signed, as many items as are read"] = foreign.make_hcert({**claims, 99: [0] * 4000})
    found["HC1: signed, as long as is inflated"] = foreign.make_hcert({**claims, 99: bytes(65_000)})
    items = b'"x":[' + b",".join([b"{}"] * 4000) + b"]}"
    found["shc: signed, as many items as are read"] = make_shc(packed(shc_claims())[:-1] + b"," + items)
    found["claim169: signed, as many items as are read"] = make_id({**id_claims(), 99: [0] * 4000})
    for prefix in (b"HP1:", b"HL1:", b"HC1:", b"HS1:", b"HT1:", b"NZCP:/1/", b"shc:/"):
        name = prefix.decode()
        found |= {
            f"{name} characters": prefix + b"A" * (LARGEST - len(prefix)),
            f"{name} arrays in arrays": based(prefix, b"\x81" * LARGEST),
            f"{name} array of small items": based(prefix, b"\x99\x0a\x00" + bytes(LARGEST)),
            f"{name} map of small keys": based(prefix, b"\xb9\x05\x00" + bytes(range(24)) * 200),
            f"{name} random": based(prefix, random_bytes(LARGEST)),
            f"{name} message around arrays": based(prefix, b"\x84\x43\xa1\x01\x26\xa0\x59\x0a\x00" + b"\x81" * LARGEST),
            f"{name} bomb of nulls": based(prefix, bomb(bytes)),
            f"{name} bomb of arrays": based(prefix, bomb(lambda size: b"\x81" * size)),
            f"{name} bomb of a long array": based(prefix, bomb(lambda size: b"\x9a\x00\x10\x00\x00" + bytes(size))),
            f"{name} digits": prefix + b"5" * (LARGEST - len(prefix)),
        }
    named = {f"{name}, {number}": raw for name, raws in shapes().items() for number, raw in enumerate(raws)}
    return found | named


def shapes() -> dict[str, list[bytes]]:
    """Return hostile codes of the formats that are known by their shape."""
    field = tickets.message((1, b"x"))
    tickets_ = [
        tickets.ticket_code(field * 900, bytes(64)),
        (base64.b64encode(b"\x01" + b"\xff" * 3000))[::-1],
    ]
    seals_ = [
        head + (body * LARGEST)[: LARGEST - len(head)]
        for head in (b'{"data":', b'{"data":{"hdr":', b'{"sig":[')
        for body in (b"[", b'{"a":', b"1,", b"{},", b'"\\u0000",')
    ] + [json.dumps({"data": {str(n): 0 for n in range(400)}, "sig": {}}).encode()]
    documents = [
        (test_twoddoc.header() + "L0A\x1d" * 1000).encode()[: LARGEST - 110] + b"\x1f" + b"A" * 103,
        (test_twoddoc.header().encode() + b"\x1d" * LARGEST)[:LARGEST],
    ]
    identities = [b"9" * LARGEST, *(_number_of_nulls(size) for size in (1 << 16, 1 << 18, 1 << 20, 1_700_000))]
    return {"pretix": tickets_, "vdsnc": seals_, "twoddoc": documents, "aadhaar": identities}


def _number_of_nulls(size: int) -> bytes:
    return test_aadhaar.number(gzip.compress(bytes(size), mtime=0))


def run() -> dict[str, Any]:
    """Measure each input; the slowest and the largest are told."""
    context = replace(world.context(), formats=load_formats(), trust=foreign.believing())
    examine(world.make_pass(), context)
    times, peaks = {}, {}
    for name, raw in inputs().items():
        times[name] = min(_timed(raw, context) for _ in range(ROUNDS)) * 1e3
        peaks[name] = _peak(raw, context) / 2**20
    slow, large = max(times, key=lambda name: times[name]), max(peaks, key=lambda name: peaks[name])
    return {
        "about": f"{len(times)} hostile codes of up to {LARGEST} characters, best of {ROUNDS}",
        "rows": [
            row(f"slowest: {slow}", times[slow], "ms", "<= 20"),
            row("median", sorted(times.values())[len(times) // 2], "ms"),
            row(f"most memory: {large}", peaks[large], "MiB", "<= 4"),
        ],
    }


def _timed(raw: bytes, context: Any) -> float:
    began = time.perf_counter()
    examine(raw, context)
    return time.perf_counter() - began


def _peak(raw: bytes, context: Any) -> int:
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    examine(raw, context)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - before
