"""Publishing ten million revocations of a list of 10^9, by the commands an authority types: time and memory of each.

Every command is a process of its own; its peak is what the kernel counted (`ru_maxrss`). Then a day later: 0.1 % more.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from nacl.signing import SigningKey

from tests.bench.timing import row

REVOKED = 10_000_000
UNIVERSE = 1_000_000_000
MEGA = 1_000_000


def run() -> dict[str, Any]:
    """Run an authority through it and return rows."""
    with tempfile.TemporaryDirectory(prefix="edge-bench-") as name:
        folder = Path(name)
        country = folder / "country"
        public = bytes(SigningKey.generate().verify_key).hex()
        edge("authority", "init", country)
        edge("authority", "add-issuer", country, "--profile", "yuekang")
        edge("authority", "add-key", country, "--issuer", "44", "--public", public, "--list-size", UNIVERSE)
        files = [_lines(folder / "first.txt", REVOKED, 1), _lines(folder / "day.txt", REVOKED // 1000, 2)]
        rows: list[dict[str, object]] = []
        for what, file in (("10M", files[0]), ("0.1 % more", files[1])):
            words = ("authority", "revoke", country, "--issuer", "44", "--list", 2, "--from", file)
            rows += _measured(f"{what}: revoke --from", words)
            rows += _measured(f"{what}: publish", ("authority", "publish", country))
        status = country / "publication/targets/issuers/44/status"
        delta = next(path for path in status.iterdir() if ".delta." in path.name)
        parts = sum(path.stat().st_size for path in status.iterdir() if ".part." in path.name)
        rows += [
            row("ledger", (country / "ledger.db").stat().st_size / MEGA, "MB"),
            row("published parts", parts / MEGA, "MB"),
            row("published delta", delta.stat().st_size / 1e3, "kB", "<= 40"),
        ]
    return {"about": f"{REVOKED:,} of {UNIVERSE:,} entries, by commands", "rows": rows}


def _lines(path: Path, count: int, seed: int) -> Path:
    chance = random.Random(seed)
    with path.open("w", encoding="ascii") as file:
        for _ in range(count):
            file.write(f"{chance.randrange(UNIVERSE)}\n")
    return path


def _measured(what: str, words: tuple[object, ...]) -> list[dict[str, object]]:
    seconds, peak = edge(*words)
    return [row(f"{what}, time", seconds, "s"), row(f"{what}, peak memory", peak / MEGA, "MB", "<= 2000")]


def edge(*words: object) -> tuple[float, int]:
    """Run `edge ...`; return seconds and the most memory it had, bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge", *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    _, status, usage = os.wait4(process.pid, 0)
    error = process.stderr.read().decode() if process.stderr else ""
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {error}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024
