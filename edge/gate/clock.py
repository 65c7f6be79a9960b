"""The one place that reads the wall clock, and what it is worth (docs/adr/0012-clock-floor.md, 0023-trusted-time.md).

What follows from the readings is `edge.gate.timekeeper`'s to say; here they are taken, and what is signed is kept over
a restart in `clock.json`. Signed time codes are asked for and taken here.
"""

import contextlib
import ctypes
import json
import os
import secrets
import time
from base64 import b32encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.disk import durable
from edge.gate.timekeeper import Bound, Reading, Signed, Timekeeper
from edge.model.moment import Moment
from edge.model.trust import TrustSnapshot

FILE: Final = "clock.json"
RTC: Final = Path("/sys/class/rtc/rtc0/since_epoch")
BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
BOOT_VARIABLE: Final = "EDGE_BOOT_ID"
"""Where the service manager says it to a part that does not see /proc/sys (firmware-config/systemd)."""
CHALLENGE_BYTES: Final = 5
ASK_ANEW_S: Final = 600
"""A question is shown this long, and its answer taken twice as long: so late can a signed time be at most."""
_HELD_UP_MS: Final = 60_000
"""An answer that was taken may stay before the camera this long without being called a replay."""
_SCHEMA: Final = 1
_TIME_ERROR: Final = 5
"""adjtimex(2): the clock is not synchronised to a time service."""
_TIMEX_BYTES: Final = 512
_ASK_EVERY_MS: Final = 60_000
_JUMP_MS: Final = 1_000
"""A step of the system clock against the steady count that is worth asking again who made it."""
_KEEP_EVERY_MS: Final = 3_600_000
_MAX_MS: Final = (1 << 53) - 1
_MAX_FILE: Final = 4096
_MAX_DIGITS: Final = 12


def now_ms() -> int:
    """Return the system clock, Unix milliseconds, clamped to what a moment can hold."""
    return min(max(0, time.time_ns() // 1_000_000), _MAX_MS)  # the one reader


def steady_ms() -> int:
    """Return the steady count of this boot, milliseconds; nobody can set it."""
    return time.monotonic_ns() // 1_000_000


class Readings:
    """Takes readings of this machine; the slow ones once a minute, and after a step of the system clock.

    Args:
        rtc: File with the battery-backed clock's Unix seconds; may be missing or hold anything.
    """

    def __init__(self, rtc: Path = RTC) -> None:
        self._rtc = rtc
        self._asked_at = -_ASK_EVERY_MS
        self._offset = 0
        self._is_synced = False
        self._rtc_ahead_ms: int | None = None

    def __call__(self) -> Reading:
        """Return a reading."""
        system, steady = now_ms(), steady_ms()
        stepped = abs(system - steady - self._offset) > _JUMP_MS
        self._offset = system - steady
        # Until a time service has taken over, it is asked often: people wait for it.
        if stepped or steady - self._asked_at >= (_ASK_EVERY_MS if self._is_synced else _JUMP_MS):
            self._asked_at = steady
            self._is_synced = _adjtimex() not in {-1, _TIME_ERROR}
            rtc_ms = read_rtc(self._rtc)
            self._rtc_ahead_ms = None if rtc_ms is None else rtc_ms - steady
        rtc = None if self._rtc_ahead_ms is None else self._rtc_ahead_ms + steady
        return Reading(system, steady, self._is_synced, rtc)


def read_rtc(path: Path) -> int | None:
    """Return the battery-backed clock, Unix milliseconds, or None where there is none that can be read."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_DIGITS + 2).strip()
    except OSError:
        return None
    return int(text) * 1000 if text.isdigit() and len(text) <= _MAX_DIGITS else None


def boot_id(path: Path = BOOT) -> str:
    """Return what tells this boot of the machine from every other; empty where the system does not say."""
    told = os.environ.get(BOOT_VARIABLE, "")
    if told:
        return told[:64]
    try:
        return path.read_text(encoding="ascii")[:64].strip()
    except (OSError, ValueError):
        return ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A question for the time, shown to people; whoever signs an answer signed it after this was made.

    Attributes:
        nonce: 5 random bytes.
        steady_ms: The steady count when it was made.
    """

    nonce: bytes
    steady_ms: int

    @property
    def text(self) -> str:
        """What is shown: eight letters and digits without 0, 1, 8 and 9 (RFC 4648, 6)."""
        return b32encode(self.nonce).decode("ascii")


class Clock:
    """Moments of decision, with their quality.

    Args:
        state: The gate's state folder, where `clock.json` is kept; None keeps nothing.
        read: Takes a reading.
        boot: What tells this boot from others.
    """

    def __init__(
        self, state: Path | None = None, *, read: Callable[[], Reading] | None = None, boot: str | None = None
    ) -> None:
        self._state = state
        self._read = read or Readings()
        self._boot = boot_id() if boot is None else boot
        steady = self._read().steady_ms
        self._keeper = Timekeeper(*_load(state, self._boot, steady)) if state is not None else Timekeeper()
        self._kept_at = steady
        self._asked: tuple[Challenge, ...] = ()
        self._answered: Challenge | None = None

    def moment(self, trust: TrustSnapshot | None) -> Moment:
        """Return the time of a decision made now under `trust`."""
        return self._keeper.moment(self._read(), signed_by(trust))

    def sure_ms(self, trust: TrustSnapshot | None) -> int:
        """Return what time it is at least, by what is signed and the steady count alone, Unix milliseconds.

        What cannot be undone is done by this time and no other.
        """
        steady = self._read().steady_ms
        if trust is not None:
            self._keeper.raise_floor(trust.issued_at * 1000, steady)
        return self._keeper.sure_ms(steady)

    def challenge(self) -> Challenge:
        """Return the question for the time that is shown now; a new one every ten minutes."""
        steady = self._read().steady_ms
        self._forget(steady)
        if not self._asked or steady - self._asked[-1].steady_ms >= ASK_ANEW_S * 1000:
            self._asked = (*self._asked[-1:], Challenge(secrets.token_bytes(CHALLENGE_BYTES), steady))
        return self._asked[-1]

    def answer(self, nonce: bytes, at_ms: int) -> bool:
        """Take a verified answer; return whether it answers a question of ours and can be true. Each counts once.

        Args:
            nonce: The question it names.
            at_ms: The time that was signed, Unix milliseconds.
        """
        steady = self._read().steady_ms
        self._forget(steady)
        asked = next((one for one in self._asked if secrets.compare_digest(one.nonce, nonce)), None)
        if asked is None or not self._keeper.set_by_code(at_ms, asked.steady_ms, steady):
            return False
        self._asked = ()
        self._answered = Challenge(nonce, steady)
        self.keep()
        return True

    def was_answered(self, nonce: bytes) -> bool:
        """Whether this question was answered within the last minute: the code is still held up."""
        done = self._answered
        return done is not None and done.nonce == nonce and self._read().steady_ms - done.steady_ms < _HELD_UP_MS

    def _forget(self, steady: int) -> None:
        self._asked = tuple(one for one in self._asked if steady - one.steady_ms < 2 * ASK_ANEW_S * 1000)

    def keep_if_due(self) -> None:
        """Keep what is sure, once an hour."""
        if self._read().steady_ms - self._kept_at >= _KEEP_EVERY_MS:
            self.keep()

    def keep(self) -> None:
        """Keep what is sure for the next start; a disk that refuses costs only that."""
        if self._state is None:
            return
        steady = self._read().steady_ms
        self._kept_at = steady
        code = self._keeper.code
        document = {
            "schema": _SCHEMA,
            "boot": self._boot,
            "steady_ms": steady,
            "floor_ms": self._keeper.floor.at(steady).low_ms,
            "code": None if code is None else [code.at(steady).low_ms, code.at(steady).span_ms],
        }
        with contextlib.suppress(OSError):
            durable.write(self._state / FILE, json.dumps(document).encode())


def signed_by(trust: TrustSnapshot | None) -> Signed | None:
    """Return what trust says about time."""
    return None if trust is None else Signed(trust.issued_at * 1000, trust.newest_expiry * 1000)


def _load(state: Path, boot: str, steady: int) -> tuple[Bound | None, Bound | None]:
    """Return the floor and the code kept in `state`; nothing where the file is missing or damaged."""
    try:
        with (state / FILE).open("rb") as file:
            found = json.loads(file.read(_MAX_FILE))
        return _bounds(found, boot, steady)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        # The trust in force has a floor of its own; this one only reaches further.
        return None, None


def _bounds(found: Any, boot: str, steady: int) -> tuple[Bound, Bound | None]:
    if found["schema"] != _SCHEMA:
        raise ValueError("another schema")
    kept, code = _number(found["steady_ms"]), found["code"]
    # The count goes on over a restart of the gate, and begins anew with the machine.
    is_same = bool(boot) and found["boot"] == boot and kept <= steady
    at = kept if is_same else steady
    floor = Bound(_number(found["floor_ms"]), at)
    if code is None:
        return floor, None
    low, span = code
    return floor, Bound(_number(low), at, _number(span) if is_same and span is not None else None)


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_MS:
        raise ValueError("no time")
    return value


def _adjtimex() -> int:
    # Read-only: `modes`, the first field of struct timex, is zero.
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    return int(ctypes.CDLL(None).adjtimex(buffer))
