"""What a technician waits for at the hub: rows made again, the ledger checked, exported, verified, backed up, restored.

The ledger is drawn scans of four gates (`tests.bench.pull`); each is measured in turn on the same ledger.
"""

import shutil
import tempfile
from pathlib import Path

from edge.hub import backup, folder, inspection, proof, rebuild
from edge.hub.export import Export, Task
from edge.hub.hub import system_clock
from edge.hub.store import Store
from edge.ledger import device
from tests.bench.pull import SCANS, fill
from tests.bench.timing import alternate, percentile, row

ROUNDS = 3
_SECRETS = ("hub.toml", "hub.key", "token.seed", "root.json")


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
    jobs = Jobs(path)
    actions = (jobs.rebuild, jobs.check, jobs.export, jobs.verify, jobs.back_up, jobs.restore)
    names = ("edge hub rebuild", "edge hub check", "edge hub export", "edge hub verify", "edge hub backup")
    rows = [
        row(name, SCANS / percentile(seconds, 0.5), "rows/s")
        for name, seconds in zip((*names, "edge hub restore"), alternate(actions, ROUNDS), strict=True)
    ]
    size = (path / "hub.bak").stat().st_size / SCANS
    return {"about": f"{SCANS} drawn scans, {ROUNDS} rounds", "rows": [*rows, row("a backup", size, "B/scan")]}


class Jobs:
    """The jobs, each on the same ledger.

    Args:
        path: A folder with a filled hub in it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._home = folder.load(path / "hub")
        self._store = Store(self._home.database)
        self._keys = {device.key_id(self._home.public).hex(): self._home.public}

    def rebuild(self) -> None:
        """Make the rows again."""
        assert rebuild.rebuild(self._store, _quiet) == SCANS

    def check(self) -> None:
        """Read the whole ledger."""
        found = inspection.inspect(self._store)
        assert (found.entries, found.problems) == (SCANS, ())

    def export(self) -> None:
        """Write all days with a table of NDJSON."""
        out = self._path / "export"
        if out.exists():
            shutil.rmtree(out)
        Export(self._home, Task(out, views=("ndjson",)), _quiet_day).run(self._store, system_clock())

    def verify(self) -> None:
        """Check the export without the hub."""
        found = proof.verify(self._path / "export", self._keys, _quiet_day)
        assert (found.scans, found.faults) == (SCANS, [])

    def back_up(self) -> None:
        """Write a backup."""
        backup.back_up(self._home, self._path / "hub.bak", _quiet, system_clock())

    def restore(self) -> None:
        """Restore it into an empty folder with the keys."""
        out = self._path / "restored"
        if out.exists():
            shutil.rmtree(out)
        out.mkdir(mode=0o700)
        for name in _SECRETS:
            shutil.copy(self._path / "hub" / name, out / name)
        assert backup.restore(self._path / "hub.bak", out, _quiet).entries == SCANS


def _quiet(_done: int, _whole: int) -> None:
    return


def _quiet_day(_day: str, _done: int, _whole: int) -> None:
    return
