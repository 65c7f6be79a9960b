"""The keys of the privacy tokens, as the file `token.key`: today's, and yesterday's until the repeat window has closed.

Provisioning writes the region's seed here and nowhere else; the scanner part ratchets it forward and lets the old go,
so that a stolen gate cannot try yesterday's tokens against a pass. A record is a day (8 bytes, big-endian) and a key.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edge.disk import durable
from edge.ledger.tokens import DayKey

FILE: Final = "token.key"
_RECORD: Final = 40
_MOST: Final = 2
_MODE: Final = 0o600


def load_day_keys(state: Path) -> tuple[DayKey, ...]:
    """Return the kept keys, newest first; empty where there are none or the file is damaged."""
    try:
        kept = (state / FILE).read_bytes()
    except OSError:
        return ()
    if not kept or len(kept) % _RECORD or len(kept) > _MOST * _RECORD:
        return ()
    records = [kept[start : start + _RECORD] for start in range(0, len(kept), _RECORD)]
    return tuple(DayKey(int.from_bytes(record[:8], "big"), record[8:]) for record in records)


def save_day_keys(state: Path, keys: Sequence[DayKey]) -> None:
    """Replace the kept keys; those not named are gone.

    Raises:
        OSError: The disk is full or read-only; the old file stands.
    """
    records = b"".join(key.day.to_bytes(8, "big") + key.key for key in keys[:_MOST])
    durable.write(state / FILE, records, mode=_MODE)
