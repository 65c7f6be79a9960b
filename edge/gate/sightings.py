"""Who was admitted here lately, as privacy tokens: the gate's memory behind the repeat rule.

Holds tokens, never identities; yesterday's key is kept only until the repeat window across midnight has closed.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edge.disk import durable
from edge.ledger import tokens
from edge.ledger.tokens import DayKey
from edge.model.moment import Moment
from edge.policy.decide import Sighting

_FILE_BYTES: Final = 40
_MAX_REMEMBERED: Final = 200_000
"""Admissions remembered at most; the oldest go first. A lane admits about 20,000 people a day."""


def load_day_key(path: Path, seed: DayKey) -> DayKey:
    """Return the day key kept at `path`, or `seed` where there is none, a damaged one or an older one than the seed.

    A seed of a later day than the kept key comes from a new enrolment; an earlier one was ratcheted past already.
    """
    try:
        kept = path.read_bytes()
    except OSError:
        return seed
    if len(kept) != _FILE_BYTES:
        return seed
    key = DayKey(int.from_bytes(kept[:8], "big"), kept[8:])
    return seed if seed.day > key.day else key


def save_day_key(path: Path, key: DayKey) -> None:
    """Replace the kept key: the earlier day's key is gone from the file system's view."""
    durable.write(path, key.day.to_bytes(8, "big") + key.key, mode=0o600)


class Memory:
    """Sightings of one gate (`edge.policy.examine.Sightings`).

    Args:
        key: Day key to start from.
        keep_at: File the current day's key is kept in.
        window_s: The policy's repeat window, seconds.
    """

    def __init__(self, key: DayKey, keep_at: Path, *, window_s: int) -> None:
        self._key = key
        self._yesterday: DayKey | None = None
        self._keep_at = keep_at
        self._admitted: dict[bytes, int] = {}
        self.window_s = window_s

    def recall(self, admitted: Iterable[tuple[bytes, int]]) -> None:
        """Take up the tokens a scan log remembers from before a restart, as (token, Unix milliseconds)."""
        self._admitted.update(admitted)

    def token(self, identity: bytes, moment: Moment) -> bytes:
        """Return today's token of an identity, 8 bytes."""
        self._turn(moment)
        return tokens.token(self._key, identity)

    def admit(self, token: bytes, moment: Moment) -> None:
        """Remember an admission."""
        # Re-inserted, so that the dictionary's order is the order of time and the oldest stand first.
        self._admitted.pop(token, None)
        self._admitted[token] = moment.unix_ms
        self._forget(moment)

    def seen(self, identity: bytes, moment: Moment) -> Sighting | None:
        """Return when this identity was admitted within the window, or None."""
        self._turn(moment)
        keys = (self._key,) if self._yesterday is None else (self._key, self._yesterday)
        for key in keys:
            at_ms = self._admitted.get(tokens.token(key, identity))
            if at_ms is not None and moment.unix_ms - at_ms < self.window_s * 1000:
                # A clock set back in between makes the difference negative: still just now.
                return Sighting(max(0, moment.unix_ms - at_ms) // 1000)
        return None

    def _turn(self, moment: Moment) -> None:
        day = tokens.day_of(moment.unix_ms)
        if day > self._key.day:
            self._yesterday = self._key
            self._key = tokens.advance(self._key, day)
            # Not worth a verdict: a restart ratchets the kept key to the same one; only its erasure waits.
            with contextlib.suppress(OSError):
                save_day_key(self._keep_at, self._key)
        elif self._yesterday is not None and moment.unix_ms % tokens.DAY_MS > self.window_s * 1000:
            self._yesterday = None

    def _forget(self, moment: Moment) -> None:
        oldest = moment.unix_ms - self.window_s * 1000
        while self._admitted:
            token, at_ms = next(iter(self._admitted.items()))
            if at_ms >= oldest and len(self._admitted) <= _MAX_REMEMBERED:
                return
            del self._admitted[token]
