"""One code held up is one presentation, however many frames it stands in.

Frames come at fifteen a second and a code is held for two or three seconds: without this rule one person would be
forty scans. Only when the code has been away for `same_code_s` does it count anew, and then the repeat rule of
`edge.policy` says what that means. Pure: the time is an argument.
"""

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b

from edge.model.symbol import Symbol

MAX_CODES = 1024
"""Codes remembered at once: more than sixteen symbols a frame at fifteen frames a second can be in three seconds."""

_NS = 1_000_000_000


class Steady:
    """Tells new presentations from codes that are still being held up.

    Args:
        same_code_s: A code seen again within this time of its last sight is the same presentation, seconds.
    """

    def __init__(self, same_code_s: float) -> None:
        self._window_ns = int(same_code_s * _NS)
        # Digests, not codes: the memory is bounded and holds nobody's pass.
        self._seen_ns: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen_ns)

    def presentations(self, symbols: Iterable[Symbol], now_ns: int) -> list[Symbol]:
        """Return the symbols of one frame that are presented anew, in the order given.

        Args:
            symbols: Every symbol of the frame.
            now_ns: When it was taken, nanoseconds of the monotonic clock.
        """
        self._forget(now_ns)
        fresh = [symbol for symbol in symbols if self._is_fresh(symbol.raw, now_ns)]
        while len(self._seen_ns) > MAX_CODES:
            self._seen_ns.popitem(last=False)
        return fresh

    def _is_fresh(self, raw: bytes, now_ns: int) -> bool:
        key = blake2b(raw, digest_size=16).digest()
        last_ns = self._seen_ns.pop(key, None)
        # Frames of two cameras may come a little out of order; the later sight holds.
        self._seen_ns[key] = now_ns if last_ns is None else max(now_ns, last_ns)
        return last_ns is None or now_ns - last_ns >= self._window_ns

    def _forget(self, now_ns: int) -> None:
        while self._seen_ns:
            key, last_ns = next(iter(self._seen_ns.items()))
            if now_ns - last_ns < self._window_ns:
                return
            del self._seen_ns[key]
