"""Says on standard error what the page shows: each condition once when it comes, and once when it is over.

So that whoever started the gate at a terminal, or reads its journal, hears what staff see. A condition that comes and
goes is not repeated line after line.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from edge.model.finding import Finding, most_urgent_first
from edge.words.catalogue import FALLBACK, finding_words

AGAIN_S: Final = 60.0
"""The same condition is said at most this often, with whatever changed meanwhile."""

_LOG: Final = logging.getLogger("edge.gate")


_Key = tuple[str, str | int | float | None]


@dataclass(slots=True)
class _Said:
    what: str
    at: float
    is_over: bool = False


class Announcer:
    """Keeps what was said.

    Args:
        say: Says one line.
        clock: Monotonic seconds.
    """

    def __init__(
        self, say: Callable[[str], None] = _LOG.warning, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._clock = clock
        self._said: dict[_Key, _Said] = {}

    def tell(self, findings: Iterable[Finding]) -> None:
        """Say what is new among the conditions that hold now."""
        now = self._clock()
        holding: set[_Key] = set()
        for finding in most_urgent_first(findings):
            key = (finding.code, finding.params.get("source"))
            holding.add(key)
            words = finding_words(FALLBACK, finding.code, finding.params)
            if self._is_news(self._said.get(key), words.what, now):
                self._said[key] = _Said(words.what, now)
                self._say(f"{words.what}. {words.why} {words.next_step}")
        for key, said in self._said.items():
            if key not in holding and not said.is_over:
                said.is_over = True
                self._say(f"Over: {said.what}.")

    @staticmethod
    def _is_news(said: _Said | None, what: str, now: float) -> bool:
        if said is None:
            return True
        return now - said.at >= AGAIN_S and (said.is_over or said.what != what)
