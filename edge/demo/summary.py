"""What a run came to, as JSON for scripts and as words for people. Pure but for the file it is written to."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from edge.demo.blackout import Times
from edge.demo.comparison import Comparison, percentile

MOST_MISSED: Final = 0.05
"""Part of the presentations that may stay unread: a hand moves, a lamp dazzles."""
_LIBRARIES: Final = (
    "edge",
    "zxing-cpp",
    "opencv-python-headless",
    "pynacl",
    "tuf",
    "flask",
    "waitress",
    "sqlite-utils",
)


@dataclass(frozen=True, slots=True)
class Result:
    """A run.

    Attributes:
        comparison: What was shown, logged and received.
        times: How long hub and authority were dead.
        took_ms: Frame taken to verdict recorded of every verdict on the page.
        first_green_s: From the start of the demo to the first accept on the page, or None.
        seconds: How long people came.
        seed: What the run followed from.
    """

    comparison: Comparison
    times: Times
    took_ms: Sequence[float]
    first_green_s: float | None
    seconds: float
    seed: int

    @property
    def is_right(self) -> bool:
        """Whether every verdict is the expected one, nothing is lost, doubled or altered, and nearly all was read."""
        found = self.comparison
        wrong = (*found.mismatches, *found.lost, *found.duplicated, *found.altered)
        return not wrong and found.presented > 0 and len(found.missed) <= MOST_MISSED * found.presented

    def summary(self) -> dict[str, Any]:
        """Return it for a script."""
        found, times = self.comparison, self.times
        return {
            "passed": self.is_right,
            "presented": found.presented,
            "decoded": found.decoded,
            "missed": len(found.missed),
            "verdict_mismatches": len(found.mismatches),
            "offline_seconds": round(times.offline_s, 1),
            "logged": found.logged,
            "on_hub": found.on_hub,
            "lost": len(found.lost),
            "duplicated": len(found.duplicated),
            "altered": len(found.altered),
            "frame_to_verdict_ms": {
                "p50": _rounded(percentile(self.took_ms, 0.5)),
                "p95": _rounded(percentile(self.took_ms, 0.95)),
            },
            "first_green_s": _rounded(self.first_green_s),
            "offline_noticed_s": [round(value, 1) for value in times.noticed_s],
            "online_again_s": [round(value, 1) for value in times.resumed_s],
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            "mismatches": [asdict(wrong) for wrong in found.mismatches],
            "missed_presentations": list(found.missed),
            "lost_seqs": list(found.lost),
            "duplicated_seqs": list(found.duplicated),
            "altered_seqs": list(found.altered),
            "versions": versions(),
        }

    def words(self) -> list[str]:
        """Return it for people, a line each."""
        found, took = self.comparison, self.summary()["frame_to_verdict_ms"]
        ledger = f"{len(found.lost)} lost, {len(found.duplicated)} twice, {len(found.altered)} altered"
        lines = [
            f"{found.presented} people came, {found.decoded} codes were read"
            + (f", {len(found.missed)} were not: {'; '.join(found.missed)}" if found.missed else ""),
            f"{len(found.mismatches)} verdicts differ from what was expected",
            *(f"  {wrong.shows}: expected {wrong.expected}, recorded {wrong.recorded}" for wrong in found.mismatches),
            f"{found.logged} entries in the gate's log, {found.on_hub} on the hub; {ledger}",
            f"hub and authority were dead for {self.times.offline_s:.0f} s",
        ]
        if took["p50"] is not None:
            lines.append(f"from frame to verdict on the disk: {took['p50']} ms (p50), {took['p95']} ms (p95)")
        return [*lines, "Everything adds up." if self.is_right else "It does NOT add up."]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def versions() -> Mapping[str, str]:
    """Return what it ran with."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def write(result: Result, folder: Path) -> Path:
    """Write `summary.json` and return where it is.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "summary.json"
    path.write_text(json.dumps(result.summary(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
