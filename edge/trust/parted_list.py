"""A status list in parts, answered from mapped files: one byte or one bisection of one container a question."""

from collections.abc import Mapping
from typing import Final

from edge.codec.roaring import SPAN, SPAN_BITS, Bitmap
from edge.model.trust import Status
from edge.trust.list_state import PLANES, ListState, Parts

_WITHIN: Final = SPAN - 1


class PartedList:
    """A `StatusList` over the parts of a state.

    Args:
        uri: Stable name of the list.
        size: Number of entries.
        planes: The bitmap of each span by plane, None where the span is empty.
    """

    __slots__ = ("_invalid", "_size", "_suspended", "uri")

    def __init__(self, uri: str, size: int, planes: Mapping[Status, tuple[Bitmap | None, ...]]) -> None:
        self.uri = uri
        self._size = size
        self._invalid, self._suspended = planes[Status.INVALID], planes[Status.SUSPENDED]

    def status(self, index: int) -> int | None:
        """Return the status value at `index`, or None past either end of the list."""
        if not 0 <= index < self._size:
            return None
        span, within = index >> SPAN_BITS, index & _WITHIN
        plane = self._invalid[span]
        if plane is not None and within in plane:
            return Status.INVALID
        plane = self._suspended[span]
        if plane is not None and within in plane:
            return Status.SUSPENDED
        return Status.VALID


def open_list(state: ListState, parts: Parts) -> PartedList:
    """Return the list of a state.

    Raises:
        TrustError: A part is missing or not whole.
    """
    return PartedList(
        state.uri,
        state.size,
        {plane: tuple(parts.bitmap(digest) if digest else None for digest in state.parts[plane]) for plane in PLANES},
    )
