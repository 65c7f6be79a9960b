"""How a list is divided between the authority, which draws indices itself, and desks that issue on their own.

Blocks of 65 536 entries take turns: even ones are drawn from, odd ones are reserved from, so neither has to ask the
other. Pure arithmetic; what is taken is the ledger's to know.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

BLOCK: Final = 1 << 16
_TRIES: Final = 64


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive entries of a list.

    Attributes:
        start: The first.
        count: How many.
    """

    start: int
    count: int

    @property
    def end(self) -> int:
        """The first that is not in it."""
        return self.start + self.count


def drawable(size: int) -> int:
    """Return how many entries of a list the authority draws from: those in even blocks."""
    pairs, rest = divmod(size, 2 * BLOCK)
    return pairs * BLOCK + min(rest, BLOCK)


def index_of(number: int) -> int:
    """Return the index of the `number`-th entry that is drawn from."""
    block, within = divmod(number, BLOCK)
    return 2 * block * BLOCK + within


def free_spans(size: int, taken: Sequence[Span], count: int, is_issued: Callable[[Span], bool]) -> tuple[Span, ...]:
    """Return spans in odd blocks, in random places, with `count` entries together that nobody has; none if too few.

    Args:
        size: Entries of the list.
        taken: What was reserved before.
        count: How many are wanted.
        is_issued: Whether any entry of a span was given out before desks were divided from draws.
    """
    used: dict[int, int] = {}
    for span in taken:
        used[span.start // BLOCK] = max(used.get(span.start // BLOCK, 0), span.end % BLOCK or BLOCK)
    found: list[Span] = []
    while count:
        free = _free(size, used, count, is_issued)
        if free is None:
            return ()
        used[free.start // BLOCK] = free.end % BLOCK or BLOCK
        found.append(free)
        count -= free.count
    return tuple(found)


def _free(size: int, used: dict[int, int], count: int, is_issued: Callable[[Span], bool]) -> Span | None:
    blocks = (size + BLOCK - 1) // BLOCK // 2
    if not blocks:
        return None
    first = secrets.randbelow(blocks)
    # At random while most blocks are free; then one after the other, so that the last room is found.
    order = [secrets.randbelow(blocks) for _ in range(_TRIES)]
    for turn in (*order, *range(first, blocks), *range(first)):
        block = 2 * turn + 1
        start = block * BLOCK + used.get(block, 0)
        room = min((block + 1) * BLOCK, size) - start
        if room > 0:
            span = Span(start, min(room, count))
            if not is_issued(span):
                return span
            used[block] = BLOCK
    return None
