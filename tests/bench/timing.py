"""Measuring things alternately, so that what else the machine does falls on all of them alike."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence


def alternate(actions: Sequence[Callable[[], object]], rounds: int, repeat: int = 1) -> list[list[float]]:
    """Run each action in turn, `rounds` times; return seconds per call of each, sorted.

    Args:
        actions: What to measure.
        rounds: How many turns.
        repeat: Calls within one turn; the mean of a turn is one figure.
    """
    taken: list[list[float]] = [[] for _ in actions]
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for action, figures in zip(actions, taken, strict=True):
                start = time.perf_counter()
                for _ in range(repeat):
                    action()
                figures.append((time.perf_counter() - start) / repeat)
    finally:
        gc.enable()
    return [sorted(figures) for figures in taken]


def percentile(figures: Sequence[float], share: float) -> float:
    """Return the figure below which `share` of the sorted figures lie."""
    return figures[min(len(figures) - 1, int(share * len(figures)))]


def row(name: str, value: float, unit: str, target: str = "") -> dict[str, object]:
    """Return one row of a result."""
    return {"name": name, "value": value, "unit": unit, "target": target}


def median_ratio(upper: Sequence[float], lower: Sequence[float]) -> float:
    """Return the ratio of the medians."""
    return statistics.median(upper) / statistics.median(lower)
