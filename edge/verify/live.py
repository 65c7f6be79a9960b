"""Was a pass shown by its holder, and just now? The holder's signature, then the gate's question or the time.

What a policy makes of the answer is left to `edge.policy.live`.
"""

from collections.abc import Collection
from typing import Final

from edge.model.credential import Proof
from edge.model.moment import ClockQuality, Moment
from edge.model.verdict import OK, Reason
from edge.verify.signatures import ed25519

UNSYNCED_S: Final = 120
"""A clock that no time service stands behind may be wrong by this: two clocks so far apart agree (ADR 0023)."""


def holds(holder_key: bytes | None, proof: Proof) -> bool:
    """Whether the pass's holder key signed this presentation (RFC 8747, 3.2)."""
    return holder_key is not None and ed25519(holder_key, proof.signed, proof.signature)


def freshness(
    proof: Proof, moment: Moment, window_s: int, nonces: Collection[bytes]
) -> tuple[Reason, tuple[Reason, ...]]:
    """Return whether a presentation was signed just now, and what could not be decided.

    Digits of this gate prove it whatever either clock says: nobody knew them before. Without them the time must be
    within the window of the gate's, either way: a phone's clock may be ahead, and nothing signed for later may pass.

    Args:
        proof: A presentation whose signature holds.
        moment: The gate's time.
        window_s: The policy's window, seconds.
        nonces: What this gate asks now and asked just before.
    """
    if proof.nonce:
        return (OK if proof.nonce in nonces else Reason.LIVE_NONCE), ()
    slack_s = window_s if moment.quality is ClockQuality.SYNCED else window_s + UNSYNCED_S
    ahead_s = proof.at - moment.unix_s
    if abs(ahead_s) <= slack_s:
        return OK, ()
    if moment.quality is ClockQuality.DOUBTFUL:
        return Reason.CLOCK_DOUBTFUL, ()
    # It is at least as late as the moment says, so what is behind it is stale for certain; what is ahead may be now.
    if ahead_s > 0 and (moment.quality is ClockQuality.FLOOR or ahead_s <= slack_s + moment.late_ms // 1000):
        return OK, (Reason.LIVE_STALE,)
    return Reason.LIVE_STALE, ()
