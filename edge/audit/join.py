"""The attempt to join two days' logs: which entry of the one and which of the other are of the same pass?

Whoever holds both logs takes a combination of fields, looks for entries that are alone with their values on their day,
and claims that two of them with the same values are one pass. Here every combination of what a pass carries is tried,
alone and with each other field. What is claimed by bytes (a token, a sealed field, a hash) is a join, for no chance
makes them equal; what is claimed by facts is one where somebody was alone of his area and status on both days, which
the tokens do not change; and by times and durations chance claims as many pairs as there is room for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Final

import numpy as np

from edge.audit.days import CARRIED, FIELDS, FOLLOWING, LINKING, Day, Numbers

Tell = Callable[[int, int], None]
"""Called with the combinations that are tried, and how many there are."""

_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
_SHIFT: Final = np.uint64(29)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one combination of fields claims.

    Attributes:
        fields: The combination.
        pairs: Pairs of entries, one of each day, that are alone with the same values.
        right: How many of them are of the same pass; None where nobody knows.
    """

    fields: tuple[str, ...]
    pairs: int
    right: int | None

    @property
    def is_join(self) -> bool:
        """Whether a field in it is bytes that no chance makes equal."""
        return bool(self.pairs) and bool(set(self.fields) & set(LINKING))

    @property
    def is_of_facts(self) -> bool:
        """Whether it asks only for what a pass carries, and what follows from it."""
        return set(self.fields) <= {*CARRIED, *FOLLOWING}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to.

    Attributes:
        sizes: Entries of both days.
        claims: What each combination claims.
    """

    sizes: tuple[int, int]
    claims: tuple[Claim, ...]

    @property
    def joined(self) -> int:
        """Pairs that are joined for certain."""
        return max((claim.pairs for claim in self.claims if claim.is_join), default=0)

    @property
    def alike(self) -> int:
        """Pairs that are alone with what their passes carry, on both days: nobody else was of their area and status."""
        return max((claim.pairs for claim in self.claims if claim.is_of_facts), default=0)

    @property
    def by_chance(self) -> Claim | None:
        """The combination with times, durations and the like that claims most."""
        rest = (one for one in self.claims if not set(one.fields) & set(LINKING) and not one.is_of_facts)
        return max(rest, key=lambda one: one.pairs, default=None)


def tried() -> Iterator[tuple[str, ...]]:
    """Give every combination: all subsets of what a pass carries, alone and with each other field."""
    others = [name for name in FIELDS if name not in CARRIED]
    subsets = chain.from_iterable(combinations(CARRIED, size) for size in range(len(CARRIED) + 1))
    for subset in subsets:
        if subset:
            yield subset
        for other in others:
            yield (*subset, other)


def attempt(one: Day, other: Day, tell: Tell, truth: tuple[Sequence[int], Sequence[int]] | None = None) -> Outcome:
    """Try every combination.

    Args:
        one: The one day.
        other: The other.
        tell: Told of progress.
        truth: Where it is known, which pass each entry of the one and of the other day is of.
    """
    every = list(tried())
    known = None if truth is None else tuple(np.array(passes) for passes in truth)
    claims = []
    for number, names in enumerate(every, 1):
        left, right = _pairs(one, other, names)
        hit = None if known is None else int(np.count_nonzero(known[0][left] == known[1][right]))
        claims.append(Claim(names, len(left), hit))
        tell(number, len(every))
    return Outcome((len(one), len(other)), tuple(claims))


def _pairs(one: Day, other: Day, names: tuple[str, ...]) -> tuple[Numbers, Numbers]:
    """Return the rows of both days that are alone with their values and have the same."""
    (left, left_rows), (right, right_rows) = _alone(one, names), _alone(other, names)
    _, at_left, at_right = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    return left_rows[at_left], right_rows[at_right]


def _alone(day: Day, names: tuple[str, ...]) -> tuple[Numbers, Numbers]:
    """Return the values that one row alone has, as one number, and these rows."""
    rows = day.rows_with(names)
    mixed = np.zeros(len(rows), np.uint64)
    for name in names:
        mixed = (mixed ^ day.columns[name][rows]) * _FACTOR
        mixed ^= mixed >> _SHIFT
    values, first, counts = np.unique(mixed, return_index=True, return_counts=True)
    is_alone = counts == 1
    return values[is_alone], rows[first[is_alone]]
