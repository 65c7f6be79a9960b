"""Who was admitted here lately, as privacy tokens: the gate's memory behind the repeat rule.

Holds tokens, never identities; yesterday's key is kept only until the repeat window across midnight has closed.
"""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from edge.identity.daykeys import FILE, load_day_keys, save_day_keys
from edge.ledger import tokens
from edge.ledger.tokens import DayKey
from edge.model.moment import ClockQuality, Moment
from edge.policy.decide import Sighting

_MAX_REMEMBERED: Final = 200_000
"""Admissions remembered at most; the oldest go first. A lane admits about 20,000 people a day."""


class Memory:
    """Sightings of one gate (`edge.policy.examine.Sightings`).

    Args:
        keys: Day keys to start from, newest first; none makes no tokens.
        state: The gate's state folder, where the keys are kept.
        window_s: The policy's repeat window, seconds; at most a day.
    """

    def __init__(self, keys: Sequence[DayKey], state: Path, *, window_s: int) -> None:
        self._keys = tuple(keys)
        self._state = state
        self._stamp = self._file_stamp()
        self._admitted: dict[bytes, int] = {}
        self.window_s = window_s

    def recall(self, admitted: Iterable[tuple[bytes, int]]) -> None:
        """Take up the tokens a scan log remembers from before a restart, as (token, Unix milliseconds)."""
        self._admitted.update(admitted)

    @property
    def has_keys(self) -> bool:
        """Whether tokens are made."""
        return bool(self._keys)

    def begin(self, key: DayKey) -> None:
        """Make tokens from here on with a key of the gate's own."""
        self._keep((key,))

    def forget_keys(self) -> None:
        """Forget keys and tokens: from here on nobody is known again. The file is left to the caller."""
        self._keys = ()
        self._admitted.clear()

    def token(self, identity: bytes, moment: Moment) -> bytes | None:
        """Return today's token of an identity, 8 bytes; None where there is no key."""
        self._turn(moment)
        return tokens.token(self._keys[0], identity) if self._keys else None

    def admit(self, token: bytes | None, moment: Moment) -> None:
        """Remember an admission; one without a token cannot be remembered."""
        if token is None:
            return
        # Re-inserted, so that the dictionary's order is the order of time and the oldest stand first.
        self._admitted.pop(token, None)
        self._admitted[token] = moment.unix_ms
        self._forget(moment)

    def forget(self, token: bytes, at_ms: int) -> None:
        """Forget one admission; a later one of the same token stays.

        Args:
            token: Token of the admission.
            at_ms: When it was, Unix milliseconds.
        """
        if self._admitted.get(token) == at_ms:
            del self._admitted[token]

    def seen(self, identity: bytes, moment: Moment) -> Sighting | None:
        """Return when this identity was admitted within the window, or None."""
        self._turn(moment)
        for key in self._keys:
            at_ms = self._admitted.get(tokens.token(key, identity))
            # A clock set back in between makes the difference negative: still just now. By more than a day it had been
            # wrong when he was admitted, and nobody is sent to the desk for months because of that.
            if at_ms is not None and -tokens.DAY_MS < moment.unix_ms - at_ms < self.window_s * 1000:
                return Sighting(max(0, moment.unix_ms - at_ms) // 1000)
        return None

    def take_up_new_keys(self) -> None:
        """Use the keys a new enrolment left in the file, if it did."""
        stamp = self._file_stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self._keys = load_day_keys(self._state) or self._keys

    def _turn(self, moment: Moment) -> None:
        # A clock that may be years ahead must not ratchet the key past every day to come.
        if moment.quality is ClockQuality.DOUBTFUL or not self._keys:
            return
        day = tokens.day_of(moment.unix_ms)
        if day > self._keys[0].day:
            self._keep((tokens.advance(self._keys[0], day), self._keys[0]))
        elif len(self._keys) > 1 and moment.unix_ms % tokens.DAY_MS > self.window_s * 1000:
            self._keep(self._keys[:1])

    def _keep(self, keys: tuple[DayKey, ...]) -> None:
        self._keys = keys
        # Not worth a verdict: a restart ratchets the kept key to the same one; only the old one's erasure waits.
        with contextlib.suppress(OSError):
            save_day_keys(self._state, keys)
        self._stamp = self._file_stamp()

    def _file_stamp(self) -> int:
        try:
            return (self._state / FILE).stat().st_mtime_ns
        except OSError:
            return 0

    def _forget(self, moment: Moment) -> None:
        oldest = moment.unix_ms - self.window_s * 1000
        while self._admitted:
            token, at_ms = next(iter(self._admitted.items()))
            if at_ms >= oldest and len(self._admitted) <= _MAX_REMEMBERED:
                return
            del self._admitted[token]
