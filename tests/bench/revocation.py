"""Revocation lists of 1, 10 and 100 million entries of 10^9: look-up, loading, memory, files, and a day's delta.

Each list is opened and changed in a process of its own, as a gate's parts do it, and memory is read from that process:
all of its anonymous memory, interpreter and libraries included, its peak sampled every two milliseconds. Beside it
stand the information bound and what CRoaring, a plain bitmap and a Python set take. `revocation_picture` draws it.
"""

import json
import math
import random
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from pathlib import Path
from typing import Any

from tuf.api.metadata import TargetFile

from edge.codec import roaring
from edge.codec.roaring import SPAN
from edge.model.trust import Status
from edge.trust import large_lists, list_state, paths
from edge.trust.fetchers import FolderFetcher
from edge.trust.list_book import ListBook
from edge.trust.list_state import ListDelta, ListState
from edge.trust.list_update import ListUpdate
from edge.trust.part_files import PartFiles
from edge.trust.parted_list import open_list
from tests.bench.timing import alternate, median_ratio, percentile, row

UNIVERSE = 1_000_000_000
COUNTS = (1_000_000, 10_000_000, 100_000_000)
PLACE = ("44", 1)
URI = paths.status_uri(*PLACE)
ASKED = 20_000
NOW = 1_795_000_000
DAY = 86_400
MEGA = 1_000_000


def run() -> dict[str, Any]:
    """Measure every size and return rows."""
    rows: list[dict[str, object]] = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory(prefix="edge-bench-") as folder:
            rows += _size(Path(folder), count)
    return {"about": f"lists over {UNIVERSE:,} entries, questions at random, half of them hits", "rows": rows}


def _size(folder: Path, count: int) -> list[dict[str, object]]:
    made = _child("make", folder, count)
    gate = _child("open", folder, count)
    sync = _child("sync", folder, count)
    rivals = _child("rivals", folder, count)
    name = f"{count // MEGA}M"
    bound = information_bound(UNIVERSE, count) / 8 / MEGA
    largest = count == COUNTS[-1]
    return [
        row(f"{name}: files", made["bytes"] / MEGA, "MB"),
        row(f"{name}: information bound", bound, "MB"),
        row(f"{name}: files / bound", made["bytes"] / MEGA / bound, "ratio"),
        row(f"{name}: look-up, p50", gate["lookup_us"], "us", "<= 5" if largest else ""),
        row(f"{name}: look-up in a process that opened it just now, p50", gate["first_us"], "us"),
        row(f"{name}: opening it, sealed", gate["open_ms"], "ms"),
        row(f"{name}: opening it, hashed", gate["hashed_ms"], "ms"),
        row(f"{name}: anonymous memory of a process before it opens a list", gate["before"] / MEGA, "MB"),
        row(f"{name}: the same with the list open", gate["anon"] / MEGA, "MB"),
        row(
            f"{name}: its peak while the next is swapped in",
            gate["peak"] / MEGA,
            "MB",
            "<= 40" if largest else "",
        ),
        row(f"{name}: mapped pages after the questions", gate["mapped"] / MEGA, "MB"),
        row(f"{name}: delta of a day (0.1 %)", made["delta"] / 1e3, "kB", "<= 40" if count == 10 * MEGA else ""),
        row(f"{name}: sync part, the delta taken in", sync["delta_s"], "s"),
        row(f"{name}: sync part, anonymous peak by delta", sync["delta_peak"] / MEGA, "MB", "<= 40" if largest else ""),
        row(f"{name}: sync part, base fetched from a stick, checked, kept", sync["base_s"], "s"),
        row(f"{name}: sync part, anonymous peak by base", sync["base_peak"] / MEGA, "MB", "<= 40" if largest else ""),
        *(row(f"{name}: {what}", value, unit) for what, value, unit in rivals["rows"]),
        row(f"{name}: look-up / CRoaring in memory", gate["lookup_us"] / rivals["croaring_us"], "ratio"),
        row(f"{name}: look-up / plain bitmap in memory", gate["lookup_us"] / rivals["bitmap_us"], "ratio"),
    ]


def information_bound(universe: int, count: int) -> float:
    """Return the bits that tell a set of `count` of `universe` apart: log2 of the binomial coefficient."""
    logs = math.lgamma(universe + 1) - math.lgamma(count + 1) - math.lgamma(universe - count + 1)
    return logs / math.log(2)


def _child(what: str, folder: Path, count: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "tests.bench.revocation", what, str(folder), str(count)]
    return dict(json.loads(subprocess.run(words, check=True, capture_output=True).stdout))


# In a process of its own


class Anonymous:
    """Anonymous memory of this whole process, bytes: what it was, and its peak since."""

    def __init__(self) -> None:
        self.before = self.read("RssAnon")
        self.peak = self.before
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @staticmethod
    def read(name: str) -> int:
        """Return a line of /proc/self/status, bytes."""
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
        return 0

    def now(self) -> int:
        """Return what is used now."""
        return self.read("RssAnon")

    def _watch(self) -> None:
        while not self._stop.wait(0.002):
            self.peak = max(self.peak, self.now())

    def close(self) -> int:
        """Stop and return the peak."""
        self._stop.set()
        self._thread.join()
        return max(self.peak, self.now())


def make(folder: Path, count: int) -> dict[str, Any]:
    """Draw a list at random and write its parts, its base, and the delta of a day; lay them out as a publication."""
    import numpy as np

    parts = PartFiles(folder / "authority")
    chance = np.random.default_rng(count)
    digests: list[bytes] = []
    for span in range(list_state.spans(UNIVERSE)):
        size = list_state.span_size(UNIVERSE, span)
        drawn = np.unique(chance.integers(0, size, int(count * size / UNIVERSE), dtype=np.uint32))
        digests.append(parts.keep(roaring.encode(array("I", drawn.tobytes()))))
    planes = {Status.INVALID: tuple(digests), Status.SUSPENDED: (b"",) * len(digests)}
    state = ListState(URI, 1, UNIVERSE, UNIVERSE, planes)
    flips = array("I", np.unique(chance.integers(0, UNIVERSE, count // 1000, dtype=np.uint32)).tobytes())
    both = {Status.INVALID: flips, Status.SUSPENDED: array("I")}
    after = list_state.changed(state, both, UNIVERSE, parts)
    delta = ListDelta(URI, 2, state.digest, after.digest, UNIVERSE, both).encode()
    publication = folder / "publication"
    publication.mkdir()
    for name, data in (("base", state.encode()), ("after", after.encode()), ("delta", delta)):
        (publication / name).write_bytes(data)
    size = sum((folder / "authority" / digest.hex()).stat().st_size for digest in digests)
    return {"bytes": size, "delta": len(delta)}


def _state(folder: Path, name: str) -> ListState:
    return list_state.parse_state((folder / "publication" / name).read_bytes(), URI)


def _questions(state: ListState, parts: PartFiles) -> list[int]:
    chance = random.Random(7)
    asked = [chance.randrange(UNIVERSE) for _ in range(ASKED // 2)]
    for _ in range(ASKED // 2):
        span = chance.randrange(len(state.parts[Status.INVALID]) - 1)
        bitmap = parts.bitmap(state.parts[Status.INVALID][span])
        count, body = (0, b"")
        while not count:
            key = chance.randrange(SPAN >> 16)
            count, body = bitmap.container(key)
        lows = roaring._lows((count, body))
        asked.append(span * SPAN + (key << 16) + lows[chance.randrange(min(count, 64))])
    chance.shuffle(asked)
    return asked


def opened(folder: Path, count: int) -> dict[str, Any]:
    """Open the list as the scanner does, ask, and swap the next one in while the first is held."""
    state, after = _state(folder, "base"), _state(folder, "after")
    files = PartFiles(folder / "authority")
    start = time.perf_counter()
    open_list(state, files)
    hashed_ms = (time.perf_counter() - start) * 1e3
    asked = _questions(state, files)
    files.is_whole(after.digest)
    open_list(after, files)
    seals = files.seals([*state.digests(), *after.digests()])
    memory = Anonymous()
    start = time.perf_counter()
    first = open_list(state, PartFiles(folder / "authority", seals))
    open_ms = (time.perf_counter() - start) * 1e3
    cold = _asked(first.status, asked)
    (warm,) = alternate([lambda: [first.status(index) for index in asked]], 20)
    used, mapped = memory.now(), Anonymous.read("RssFile")
    # The first is held until the second answers, as a snapshot is.
    second = open_list(after, PartFiles(folder / "authority", seals))
    _asked(second.status, asked)
    return {
        "hashed_ms": hashed_ms,
        "open_ms": open_ms,
        "first_us": cold,
        "lookup_us": percentile(warm, 0.5) / len(asked) * 1e6,
        "before": memory.before,
        "anon": used,
        "mapped": mapped,
        "peak": memory.close(),
    }


def _asked(status: Any, asked: list[int]) -> float:
    taken = []
    for index in asked[:2000]:
        start = time.perf_counter()
        status(index)
        taken.append(time.perf_counter() - start)
    return percentile(sorted(taken), 0.5) * 1e6


def sync(folder: Path, count: int) -> dict[str, Any]:
    """Take the base in from a stick as the sync part does, then the delta of a day."""
    state = _state(folder, "base")
    stick = folder / "stick"
    stick.mkdir()
    places: dict[str, Path] = {paths.base_path(*PLACE): folder / "publication/base"}
    for span, digest in enumerate(state.parts[Status.INVALID]):
        places[paths.part_path(*PLACE, "invalid", span)] = folder / "authority" / digest.hex()
    delta = {paths.delta_path(*PLACE, 2): folder / "publication/delta"}
    kept = PartFiles(folder / "gate")
    fetcher = FolderFetcher(folder)

    def fetch(target: TargetFile) -> bytes:
        place = (places | delta)[target.path]
        data = fetcher.fetch(str(place.relative_to(folder)), target.length)
        kept.keep(data)
        return data

    found: dict[str, Any] = {}
    book = ListBook()
    for name, files, now in (("base", places, NOW), ("delta", places | delta, NOW + DAY)):
        offered = large_lists.offers({path: _target(path, place) for path, place in files.items()})
        memory = Anonymous()
        start = time.perf_counter()
        book = ListUpdate(kept, fetch, book, issued_at=now).bring(offered, now)
        found[f"{name}_s"], found[f"{name}_peak"] = time.perf_counter() - start, memory.close()
    after = _state(folder, "after")
    if book.lists[URI].state != after.digest.hex():
        raise RuntimeError(f"the delta led elsewhere: {book.lists[URI].why}")
    return found


def _target(path: str, place: Path) -> TargetFile:
    return TargetFile.from_file(path, str(place), ["sha256"])


def rivals(folder: Path, count: int) -> dict[str, Any]:
    """Load the same set into CRoaring, a plain bitmap and, where it fits, a Python set."""
    from pyroaring import BitMap

    state, files = _state(folder, "base"), PartFiles(folder / "authority")
    asked = _questions(state, files)
    memory = Anonymous()
    start = time.perf_counter()
    found = BitMap()
    for span, digest in enumerate(state.parts[Status.INVALID]):
        found |= BitMap.deserialize(bytes(files.data(digest))).shift(span * SPAN)
    croaring = [time.perf_counter() - start, memory.close() - memory.before]
    size = len(found.serialize())
    plain = bytearray(UNIVERSE // 8 + 1)
    for number in found:
        plain[number >> 3] |= 1 << (number & 7)
    in_croaring, in_plain = alternate(
        [lambda: [index in found for index in asked], lambda: [plain[i >> 3] >> (i & 7) & 1 for i in asked]], 20
    )
    rows = [
        ("CRoaring in memory: file", size / MEGA, "MB"),
        ("CRoaring in memory: peak of loading", croaring[1] / MEGA, "MB"),
        ("plain bitmap in memory", len(plain) / MEGA, "MB"),
        ("CRoaring look-up / plain bitmap", median_ratio(in_croaring, in_plain), "ratio"),
    ]
    if count <= 10 * MEGA:
        memory = Anonymous()
        naive = set(found)
        rows.append(("a Python set", (memory.close() - memory.before) / MEGA, "MB"))
        del naive
    micro = 1e6 / len(asked)
    return {
        "rows": rows,
        "croaring_us": percentile(in_croaring, 0.5) * micro,
        "bitmap_us": percentile(in_plain, 0.5) * micro,
    }


MODES = {"make": make, "open": opened, "sync": sync, "rivals": rivals}

if __name__ == "__main__":
    print(json.dumps(MODES[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))))
