"""What central operations wait for: a page made, fetched and checked, on the disk; and the bytes of a scan there.

The scans are drawn (`tests.simulators.traffic`) and lie in the tables when the clock starts. Each stage is measured
with those before it in it, in turn, on the same scans.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from edge.hub import client, folder, pull
from edge.hub.client import Client, Query, Source
from edge.hub.forms import FORMS
from edge.hub.hub import Hub, system_clock
from edge.hub.outfile import OutFile, ParquetFolder
from tests.bench.timing import alternate, percentile, row
from tests.simulators.drawn_gates import drawn
from tests.simulators.hub_gates import Clock, begin, enrol
from tests.simulators.hub_server import HubProcess

SCANS = 100_000
GATES = 4
SIZE = 500
ROUNDS = 5
PAGE = client.PAGE


def run() -> dict[str, object]:
    """Measure and return rows."""
    parent = Path("build/bench")
    parent.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=parent))
    try:
        return _measured(path)
    finally:
        shutil.rmtree(path)


def _measured(path: Path) -> dict[str, object]:
    fill(path / "hub")
    made = _made(path / "hub")
    running = HubProcess(path / "hub")
    try:
        source = Source(running.url, client.read_token(path / "hub" / folder.OPERATOR))
        forms = ("ndjson", "csv", "cloudevents")
        fetched = alternate([_fetched(source, form) for form in forms], ROUNDS)
        files = [path / form for form in forms]
        kept = alternate([_kept(source, form, path / form) for form in forms], ROUNDS)
        parquet = path / "parquet"
        (folded,) = alternate([_folded(source, parquet)], 1)
        sizes = [file.stat().st_size / SCANS for file in files]
        packed = sum(file.stat().st_size for file in parquet.iterdir()) / SCANS
    finally:
        running.stop()
    rows = [row("NDJSON: made in the hub, p50", SCANS / percentile(made, 0.5), "rows/s")]
    for form, one, other, size in zip(forms, fetched, kept, sizes, strict=True):
        target = ">= 300000" if form == "ndjson" else ""
        rows += [
            row(f"{form}: fetched over HTTP and checked, p50", SCANS / percentile(one, 0.5), "rows/s", target),
            row(f"{form}: and on the disk page by page, p50", SCANS / percentile(other, 0.5), "rows/s"),
            row(f"{form}: bytes", size, "B/scan"),
        ]
    rows += [
        row("parquet: fetched, packed, on the disk", SCANS / folded[0], "rows/s"),
        row("parquet: bytes", packed, "B/scan", "<= 21"),
    ]
    return {"about": f"{SCANS} drawn scans of {GATES} gates, pages of {PAGE}, one hub process", "rows": rows}


def fill(path: Path) -> None:
    """Make a hub that holds the scans, as rows."""
    desk = begin(path, Clock(system_clock()))
    hub = Hub.open(path)
    try:
        for number in range(1, GATES + 1):
            gate = drawn(number, SCANS // GATES)
            enrol(hub, desk, gate, lane=str(number))
            for wire in gate.batches(SIZE):
                hub.take(wire)
        hub.settle()
    finally:
        hub.close()


def _made(path: Path) -> list[float]:
    hub = Hub.open(path)

    def action() -> None:
        with hub.readers.reader() as connection:
            for after in range(0, SCANS, PAGE):
                page = pull.read(connection, pull.Asked(after, PAGE))
                assert sum(map(len, FORMS["ndjson"].page(page)))

    try:
        (made,) = alternate([action], ROUNDS)
    finally:
        hub.close()
    return made


def _fetched(source: Source, form: str) -> Callable[[], None]:
    def action() -> None:
        assert sum(len(page.lines) for page in Client(source).pages(Query(form=form))) == SCANS

    return action


def _kept(source: Source, form: str, path: Path) -> Callable[[], None]:
    def action() -> None:
        path.unlink(missing_ok=True)
        with OutFile(path, form) as out:
            for page in Client(source).pages(Query(form=form)):
                out.take(page)

    return action


def _folded(source: Source, path: Path) -> Callable[[], None]:
    def action() -> None:
        with ParquetFolder(path) as out:
            for page in Client(source).pages(Query()):
                out.take(page)

    return action
