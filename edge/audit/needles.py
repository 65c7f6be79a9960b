"""Thousands of needles in one pass over any bytes: windows of four or eight bytes against a table, then a comparison.

A window's hash is looked up in a table of bits for all positions at once (numpy); the few positions that remain are
compared byte by byte, so that nothing is found that is not there. Memory is bounded by the needles and one stretch.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_BITS: Final = 22
_FACTORS: Final[dict[int, int]] = {4: 0x9E3779B1, 8: 0x9E3779B97F4A7C15}
_TYPES: Final[dict[int, np.dtype[Any]]] = {4: np.dtype("<u4"), 8: np.dtype("<u8")}
_Numbers = NDArray[Any]


class _Table:
    """Needles that are found by a window of so many bytes at their beginning."""

    def __init__(self, width: int, needles: Mapping[bytes, tuple[str, str]]) -> None:
        self._width = width
        self._by_head: defaultdict[bytes, list[bytes]] = defaultdict(list)
        for needle in needles:
            self._by_head[needle[:width]].append(needle)
        heads = np.frombuffer(b"".join(self._by_head), _TYPES[width])
        self._heads = np.sort(heads)
        self._marked = np.zeros(1 << _BITS, np.bool_)
        self._marked[self._hashed(heads)] = True

    def _hashed(self, windows: _Numbers) -> _Numbers:
        number = windows.dtype.type
        hashed: _Numbers = (windows * number(_FACTORS[self._width])) >> number(8 * self._width - _BITS)
        return hashed

    def find(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Give each needle that stands in `data` with its place, in no order."""
        for at in self._candidates(data):
            for needle in self._by_head.get(data[at : at + self._width], ()):
                if data.startswith(needle, at):
                    yield at, needle

    def _candidates(self, data: bytes) -> list[int]:
        found: list[int] = []
        width = self._width
        for shift in range(min(width, len(data) - width + 1)):
            windows = np.frombuffer(data, _TYPES[width], (len(data) - shift) // width, shift)
            places = np.flatnonzero(self._marked[self._hashed(windows)])
            if places.size:
                chosen = windows[places]
                at = np.searchsorted(self._heads, chosen)
                at[at == self._heads.size] = 0
                found += (places[self._heads[at] == chosen] * width + shift).tolist()
        return found


class Needles:
    """What is searched for.

    Args:
        stands_for: Label and form by needle; each of at least 4 bytes.
    """

    def __init__(self, stands_for: Mapping[bytes, tuple[str, str]]) -> None:
        self.stands_for = dict(stands_for)
        short = {needle: one for needle, one in stands_for.items() if len(needle) < 8}  # noqa: PLR2004 - a window
        long = {needle: one for needle, one in stands_for.items() if len(needle) >= 8}  # noqa: PLR2004 - a window
        self._tables = [_Table(width, kept) for width, kept in ((4, short), (8, long)) if kept]
        self.longest = max(map(len, stands_for), default=1)

    def __len__(self) -> int:
        return len(self.stands_for)

    def find(self, data: bytes) -> Iterator[tuple[int, str, str]]:
        """Give the place, label and form of whatever stands in `data`, in no order."""
        for table in self._tables:
            for at, needle in table.find(data):
                yield at, *self.stands_for[needle]

    def by_chance(self, size: int) -> float:
        """Return how many needles would be found in so many random bytes."""
        return sum(size / 256.0 ** len(needle) for needle in self.stands_for)
