"""Which pages may have shown an accept in green: as long as one may have, the accept stands (ADR 0018).

A page that was handed an accept counts as having shown it until it says itself that it has not and never will. One
that closed, crashed or was loaded again says nothing any more, so its accept stands. Nothing personal is kept; locking
is the board's.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from edge.kiosk.view import View, missed_entry

_MOST: Final = 64


@dataclass(frozen=True, slots=True)
class _Handed:
    entry: View
    pages: set[str]


class Witnesses:
    """The latest accepts, each with the pages that may have shown it."""

    def __init__(self) -> None:
        self._handed: OrderedDict[str, _Handed] = OrderedDict()

    def hand(self, view: View, pages: Iterable[str]) -> None:
        """Take note that these pages were handed an accept when it came.

        Args:
            view: The accept as pages get it.
            pages: Names of the pages; the empty one is a page that has none and can never speak.
        """
        self._handed[view["id"]] = _Handed(missed_entry(view), set(pages))
        while len(self._handed) > _MOST:
            self._handed.popitem(last=False)

    def join(self, ident: str, page: str) -> None:
        """Take note that a page was handed a verdict that showed already when it opened."""
        if ident in self._handed:
            self._handed[ident].pages.add(page)

    def deny(self, ident: str, page: str) -> View | None:
        """Take a page's word that it has not shown an accept and never will.

        Args:
            ident: Which accept.
            page: Name of the page.

        Returns:
            Its strip entry, once, when no page can have shown it any more; None otherwise.
        """
        handed = self._handed.get(ident)
        if handed is None or not page or page not in handed.pages:
            return None
        handed.pages.remove(page)
        if handed.pages:
            return None
        del self._handed[ident]
        return handed.entry
