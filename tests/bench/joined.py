"""What facts alone tell of two days, against chance; and whom tokens that overlap at midnight would join.

Half a million people at one gate on two days (`tests.simulators.two_days`), of whom all, half or nobody come again.
Who holds both logs claims that two entries which are alone with their facts, and have the same, are of one pass. What
he claims where nobody comes again is chance: he cannot tell which of his claims that is.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from edge.gate.line import COUNTIES
from edge.ledger.tokens import DAY_MS
from edge.model.scan import Facts
from tests.bench.timing import row
from tests.simulators.two_days import FIRST_DAY, Crowd

COUNT: Final = 500_000
MINUTES: Final = (5, 15, 30, 60)
_MINUTE_MS: Final = 60_000
_People = Iterable[tuple[int, Facts]]


def alone(people: _People, unit: int) -> dict[tuple[Any, ...], int]:
    """Return who is alone with what his pass carries, areas told by `unit`."""
    counts: Counter[tuple[Any, ...]] = Counter()
    whose = {}
    for person, stated in people:
        carried = (stated.format, stated.issuer, stated.kind, stated.status, stated.region // unit, stated.reason)
        counts[carried] += 1
        whose[carried] = person
    return {carried: whose[carried] for carried, count in counts.items() if count == 1}


def claimed(crowd: Crowd, strangers: Crowd, returning: float, unit: int) -> tuple[int, int]:
    """Return how many pairs are claimed, and how many are right, where a share of the people comes again."""
    again = round(returning * COUNT)
    anew = enumerate(strangers.counties[again:], COUNT)
    first = alone(enumerate(crowd.counties), unit)
    second = alone([*enumerate(crowd.counties[:again]), *anew], unit)
    claims = first.keys() & second.keys()
    return len(claims), sum(first[carried] == second[carried] for carried in claims)


def bridged(days: Sequence[Mapping[int, int]], minutes: int) -> tuple[int, int]:
    """Return whose two days a token of the neighbouring day, or one of the night, would join in a window of minutes."""
    window_ms = minutes * _MINUTE_MS
    one, other = days
    late = {person for person, at_ms in one.items() if at_ms >= DAY_MS - window_ms}
    early = {person for person, at_ms in other.items() if at_ms < window_ms}
    return len(late | early), len(late & early)


def run() -> dict[str, Any]:
    """Count; nothing is timed."""
    crowd, strangers = Crowd(COUNT, 1), Crowd(COUNT, 2)
    rows = []
    for name, unit in (("county", 1), ("prefecture, as logged", COUNTIES)):
        for returning in (1.0, 0.5, 0.0):
            claims, right = claimed(crowd, strangers, returning, unit)
            who = f"{name}, {returning:.0%} come again"
            rows += [row(f"{who}: claimed", claims, "pairs"), row(f"{who}: right", right, "pairs")]
    days = [{person: stated.at_ms % DAY_MS for person, stated in crowd.day(FIRST_DAY + day)} for day in (0, 1)]
    for minutes in MINUTES:
        neighbour, night = bridged(days, minutes)
        rows.append(row(f"{minutes} min of the neighbouring day's token: joined", neighbour, "people"))
        rows.append(row(f"{minutes} min of a token of the night: joined", night, "people"))
    return {"about": f"{COUNT} people on two days at one gate", "rows": rows}
