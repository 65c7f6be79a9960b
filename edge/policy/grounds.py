"""Counts by reason class, derived from what the log states: they are published, the log's bytes stay as they are.

An entry holds issuer and status; what that status means at a place, and on what ground, stands in the matrix.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from edge.model.trust import TrustSnapshot
from edge.policy.decide import Place, local_row

UNNAMED: Final = "unnamed"
"""Class of a status for which the matrix gives none (any more)."""


def count(lines: Iterable[Mapping[str, Any]], trust: TrustSnapshot, place: Place) -> dict[str, dict[str, int]]:
    """Return how many presentations were not accepted for their status, by class and then by issuer.

    Args:
        lines: Entries as `edge scans export` or the pull of a hub writes them; anything else is passed over.
        trust: The trust to look statuses up in.
        place: Where the gates stand, for rows that hold in one area only.
    """
    found: dict[str, Counter[str]] = {}
    for line in lines:
        reason, issuer, status, times = (line.get(name) for name in ("reason", "issuer", "status", "count"))
        if not isinstance(reason, str) or not reason.startswith("health.") or not isinstance(issuer, str):
            continue
        row = local_row(trust.matrix.get((issuer, status if type(status) is int else None), ()), place)
        class_ = row.ground.class_ if row is not None and row.ground is not None else UNNAMED
        found.setdefault(class_, Counter())[issuer] += times if type(times) is int and times > 0 else 1
    return {class_: dict(sorted(by_issuer.items())) for class_, by_issuer in sorted(found.items())}
