"""Which codes stand in one frame together: an accept beside anything else is no accept.

The steady rule passes on only what is new, so what was answered before and is still held up is remembered here.
"""

import time
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from edge.model.symbol import Symbol

HELD_NS: Final = 3_000_000_000
"""An answer is remembered this long after its code was last in view."""
_MOST: Final = 64


class Company:
    """What was answered lately and when each was last in view."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, tuple[bool, int]] = OrderedDict()

    def beside(self, fresh: Sequence[Symbol], in_view: Sequence[Symbol], hinders: Sequence[bool]) -> list[bool]:
        """Return, for each fresh code, whether another that hinders an accept stands in the same frame.

        Args:
            fresh: Codes presented anew in this frame.
            in_view: Every code of the frame.
            hinders: Of each fresh code taken alone, whether nobody is admitted beside it.
        """
        now = time.monotonic_ns()
        names = [_name(symbol) for symbol in fresh]
        self._seen.update({name: (hinder, now) for name, hinder in zip(names, hinders, strict=True)})
        present = {*names, *map(_name, in_view)}
        for name in present & self._seen.keys():
            self._seen[name] = (self._seen[name][0], now)
        self._forget(now)
        others = {name for name in present if name in self._seen and self._seen[name][0]}
        return [bool(others - {name}) for name in names]

    def _forget(self, now: int) -> None:
        gone = [name for name, (_, seen) in self._seen.items() if now - seen > HELD_NS]
        for name in gone:
            del self._seen[name]
        while len(self._seen) > _MOST:
            self._seen.popitem(last=False)


def _name(symbol: Symbol) -> bytes:
    return blake2b(symbol.raw, digest_size=16).digest()
