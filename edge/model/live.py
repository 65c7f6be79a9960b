"""Whose passes a policy wants shown live, and what happens to the others (docs/adr/0041-live-passes.md)."""

from dataclasses import dataclass

from edge.model.credential import PassKind


@dataclass(frozen=True, slots=True)
class LiveRule:
    """One row of the policy's `live`.

    Attributes:
        issuer: Issuer id; empty: every issuer.
        kinds: Kinds of pass it speaks of.
        copied: `refer` or `reject`: a bound pass shown without a fresh proof, as a screenshot or a print is.
        unbound: `accept`, `refer` or `reject`: a pass that names no holder key.
        nonce: Whether the proof must answer the digits that the gate shows.
    """

    issuer: str
    kinds: frozenset[PassKind]
    copied: str
    unbound: str
    nonce: bool
