"""The digits a gate asks phones to answer where its policy demands them (docs/adr/0041-live-passes.md).

New ones every window of the policy; those before still count, so that whoever read them in the last second is in time.
Which presentation answers them is `edge.verify.live`'s word.
"""

import secrets
import time
from collections.abc import Callable
from typing import Final

from edge.credentials.hl1 import NONCE_BYTES
from edge.model.trust import TrustSnapshot

PREFIX: Final = "HN1:"
"""What the code on the gate's screen begins with, before the digits."""


def _drawn() -> bytes:
    return f"{secrets.randbelow(10**NONCE_BYTES):0{NONCE_BYTES}d}".encode()


class Nonces:
    """What this gate asks.

    Args:
        clock: Monotonic seconds.
        draw: Returns new digits.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, draw: Callable[[], bytes] = _drawn) -> None:
        self._clock = clock
        self._draw = draw
        self._asked: tuple[bytes, ...] = ()
        self._since = 0.0

    def accepted(self, trust: TrustSnapshot | None) -> tuple[bytes, ...]:
        """Return what is asked now and what was asked just before; nothing where the policy demands no digits."""
        if trust is None or not any(rule.nonce for rule in trust.policy.live):
            self._asked = ()
            return ()
        now, window_s = self._clock(), trust.policy.live_window_s
        age_s = now - self._since
        if not self._asked or age_s >= window_s:
            before = self._asked[:1] if age_s < 2 * window_s else ()
            self._asked, self._since = (self._draw(), *before), now
        return self._asked

    def text(self, trust: TrustSnapshot | None) -> str:
        """Return the digits to show, empty where none are asked."""
        asked = self.accepted(trust)
        return asked[0].decode("ascii") if asked else ""
