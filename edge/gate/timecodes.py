"""Time codes shown to the camera: recognised, verified under a hub's key, and given to the clock that asked."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from edge.errors import LedgerError
from edge.gate.clock import Clock
from edge.ledger import timecode
from edge.model.trust import TrustSnapshot

_NONE: Final[Mapping[str, bytes]] = MappingProxyType({})


class Taken(StrEnum):
    """What became of a time code."""

    SET = "set"
    """The clock goes by it."""
    HELD_UP = "held_up"
    """It set the clock a moment ago and is still before the camera."""
    REFUSED = "refused"


class TimeCodes:
    """What becomes of the time codes that people show.

    Args:
        clock: The clock that asks, and is set.
        hub_keys: Keys of the hub this gate was enrolled at, by key id (hex); those of the trust list count besides.
    """

    def __init__(self, clock: Clock, hub_keys: Mapping[str, bytes] = _NONE) -> None:
        self._clock = clock
        self.hub_keys = hub_keys
        """Others once the gate is enrolled."""

    @staticmethod
    def claims(raw: bytes) -> bool:
        """Whether a code says that it is one."""
        return raw.startswith(timecode.PREFIX)

    def take(self, raw: bytes, trust: TrustSnapshot | None) -> Taken:
        """Set the clock by a code if a hub of ours signed it, it answers our question and it can be true."""
        try:
            code = timecode.open_code(raw, {**(trust.hub_keys if trust is not None else _NONE), **self.hub_keys})
        except LedgerError:
            return Taken.REFUSED
        if self._clock.was_answered(code.nonce):
            return Taken.HELD_UP
        return Taken.SET if self._clock.answer(code.nonce, code.at_ms) else Taken.REFUSED

    def question(self, trust: TrustSnapshot | None) -> str:
        """Return the question to show, empty where no hub is known that could answer it."""
        return self._clock.challenge().text if self.hub_keys or (trust is not None and trust.hub_keys) else ""
