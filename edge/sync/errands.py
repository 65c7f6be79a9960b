"""One thing at a time, done off the loop: what blocks on a network must delay neither `link.json` nor a SIGTERM."""

import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")

Inbox = queue.Queue[Callable[[], None]]
"""Results on their way back: each, called in the loop's thread, hands one over (or raises what the errand raised)."""


class Errands:
    """A thread that goes for the loop. It ends with the process: it holds nothing that must be put in order.

    Args:
        name: Its name, for people reading a trace.
        inbox: Where results go.
    """

    def __init__(self, name: str, inbox: Inbox) -> None:
        self._inbox = inbox
        self._errands: queue.Queue[Callable[[], Callable[[], None]] | None] = queue.Queue()
        self._under_way = 0
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way; only the loop's thread asks and sends."""
        return self._under_way == 0

    def send(self, errand: Callable[[], _Result], hand: Callable[[_Result], None]) -> None:
        """Do `errand` in the thread, then have the loop call `hand` with its result."""

        def gone() -> Callable[[], None]:
            result = errand()
            return lambda: hand(result)

        self._under_way += 1
        self._errands.put(gone)

    def close(self) -> None:
        """Let the thread end after what is under way, without waiting for it."""
        self._errands.put(None)

    def _run(self) -> None:
        while (errand := self._errands.get()) is not None:
            try:
                back = errand()
            except BaseException as error:  # noqa: BLE001  # raised again where somebody can act: in the loop
                back = _raising(error)
            self._inbox.put(self._back(back))

    def _back(self, hand: Callable[[], None]) -> Callable[[], None]:
        def handed() -> None:
            self._under_way -= 1
            hand()

        return handed


def _raising(error: BaseException) -> Callable[[], None]:
    def raise_() -> None:
        raise error

    return raise_
