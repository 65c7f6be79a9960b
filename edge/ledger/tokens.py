"""Privacy tokens: the same credential at the same region and day has the same 8 bytes, and no other day's.

`token = HMAC-SHA-256(K_day, identity)[:8]`; `K_(day+1) = HKDF-SHA-256(K_day)`, so an erased day cannot be recomputed.
The region's seed comes from the hub, sealed to each gate's key; a gate without one keeps a seed of its own. The
identity holds 6 random bytes of the issuer (the pseudonym), so without the day's key a token cannot be enumerated.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

TOKEN_BYTES: Final = 8
DAY_MS: Final = 86_400_000
_INFO: Final = b"edge token day\x01"
MAX_DAYS_AHEAD: Final = 36_500


@dataclass(frozen=True, slots=True)
class DayKey:
    """The key of one day.

    Attributes:
        day: Days since 1970-01-01 UTC.
        key: 32 bytes.
    """

    day: int
    key: bytes


def day_of(unix_ms: int) -> int:
    """Return the UTC day a moment falls in."""
    return unix_ms // DAY_MS


def advance(key: DayKey, day: int) -> DayKey:
    """Return the key of `day` by ratcheting forward; an earlier day cannot be had and keeps the key it has.

    A clock that jumps back therefore goes on under the later key. At most a hundred years are walked.
    """
    secret = key.key
    steps = min(day - key.day, MAX_DAYS_AHEAD)
    for _ in range(steps):
        # RFC 5869, 2.2 and 2.3, one block: salt absent, the previous key as input.
        secret = hmac.digest(hmac.digest(bytes(32), secret, sha256), _INFO, sha256)
    return DayKey(key.day + max(0, steps), secret)


def token(key: DayKey, identity: bytes) -> bytes:
    """Return the token of an identity under a day's key, 8 bytes."""
    return hmac.digest(key.key, identity, sha256)[:TOKEN_BYTES]
