"""Passes that were held up one after the other and count together: the state of a policy's conditions at one gate.

In memory only, for the window of the policy: tokens and kinds, never what a pass says. That they are one person's is
for staff to see, as two issuers' passes share nothing that a gate could compare (docs/adr/0038-policy-rules.md).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.model.credential import PassKind
from edge.model.verdict import Outcome, Reason, Verdict


@dataclass(slots=True)
class Held:
    """One pass that waits for another.

    Attributes:
        kind: Its kind.
        token: Its privacy token, or None where the gate makes none.
        since_s: When it was presented, monotonic seconds.
        is_recorded: Whether its entry is durable: only then may it count.
    """

    kind: PassKind
    token: bytes | None
    since_s: float
    is_recorded: bool = False


class Combination:
    """The passes that wait at one gate, of one person at a time.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: list[Held] = []

    def held(self, window_s: float) -> tuple[Held, ...]:
        """Return what still waits; the window counts from the first."""
        if self._held and self._clock() - self._held[0].since_s > window_s:
            self._held = []
        return tuple(self._held)

    def take(self, verdict: Verdict, token: bytes | None) -> Held | None:
        """Take note of a verdict; return what waits because of it.

        Any verdict on an authentic pass but *pending* ends the wait: the person is through, or is no longer one to be
        let through; a pass of a kind that waits already begins another person.
        """
        if not verdict.is_authentic or verdict.kind is None:
            return None
        if verdict.reason is not Reason.CONDITION_PENDING:
            self._held = []
            return None
        if any(one.kind is verdict.kind for one in self._held):
            self._held = []
        mine = Held(verdict.kind, token, self._clock())
        self._held.append(mine)
        return mine


def completes(verdict: Verdict, before: tuple[Held, ...], beside: Sequence[Held] = ()) -> bool:
    """Whether a verdict may stand: an accept that rests on passes before it needs each of them in the log.

    Args:
        verdict: The verdict.
        before: What it rests on.
        beside: What is about to be recorded with it, all of it or none.
    """
    return verdict.outcome is not Outcome.ACCEPT or all(
        one.is_recorded or any(one is held for held in beside) for one in before
    )
