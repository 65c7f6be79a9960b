"""The scan log's values: one row, and what travels to the hub and back.

The bytes they are signed and chained as are made in `edge.ledger`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

RESUMED: Final = "recording_resumed"
"""Note of the entry that ends a time in which nothing could be recorded."""
NOT_SHOWN: Final = "not_shown"
"""Note on an accept whose green no page has shown and none will: that admission does not count (ADR 0018)."""
TAIL_MATCHED: Final = "tail_matched"
"""Note on an accept: the ending of the holder's document that staff typed is the one of the pass."""
TAIL_DIFFERS: Final = "tail_differs"
"""The same, and it is not.

All four are the gate's own; those that staff choose are `edge.words.catalogue.NOTES`.
"""


class EntryType(IntEnum):
    """What an entry records; the number is stored."""

    SCAN = 1
    UNKNOWN_CODES = 2
    """Codes nobody known signed, counted, at most one entry a second."""
    NOTE = 3
    NOT_HOLDER = 4
    OVERRIDE = 5
    UNDO = 6
    PURGE = 7
    """A destruction certificate: rows went under receipts and the signed retention."""
    TIME_CODE = 8
    """A signed time code set the clock; the entry's time is the first by it."""
    SUNSET = 9
    """The policy has ended for certain, and this gate erased the keys of its tokens."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What one entry states. No field of it is personal (docs/privacy.md).

    Attributes:
        type: What is recorded.
        at_ms: Unix milliseconds of the decision.
        quality: `ClockQuality` number.
        outcome: `Outcome` number, 0 where the entry decides nothing.
        reason: Stable reason code, empty where the entry decides nothing.
        format: Credential format, empty where the bytes were none.
        issuer: Issuer id, only where its signature verified.
        kind: `PassKind` number, None where none.
        status: The issuer's own status number, None where none.
        region: GB/T 2260 code of the pass, 0 where none.
        trust_version: Version of the trust timestamp in force.
        policy_version: Version of the policy in force.
        duration_ms: Frame taken to verdict, milliseconds, 0 where there was no frame.
        count: How many presentations the entry stands for.
        refers_to: Sequence number of the entry this one is about, 0 where none.
        note: One of the fixed note codes, of staff or the gate's own, empty where none.
        source: Which source, counted from 0.
    """

    type: EntryType
    at_ms: int
    quality: int = 1
    outcome: int = 0
    reason: str = ""
    format: str = ""
    issuer: str = ""
    kind: int | None = None
    status: int | None = None
    region: int = 0
    trust_version: int = 0
    policy_version: int = 0
    duration_ms: int = 0
    count: int = 1
    refers_to: int = 0
    note: str = ""
    source: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One durable row of the scan log.

    Attributes:
        seq: 1, 2, 3, ... within the epoch; never resets.
        body: Canonical CBOR of the facts.
        head: SHA-256(previous head || body), 32 bytes.
        token: Privacy token, 8 bytes, or None; outside the chain, in the batch's private part.
        sealed: Personal fields sealed to the auditor's key, or None; outside the chain.
        has_lost: Whether token or sealed field was damaged on the disk and is left out; never so in a batch.
    """

    seq: int
    body: bytes
    head: bytes
    token: bytes | None = None
    sealed: bytes | None = None
    has_lost: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """Where a log stands.

    Attributes:
        epoch: 8 random bytes, new if the store is ever recreated.
        seq: Sequence number of the last entry, 0 for an empty log.
        head: Chain hash at that entry (32 zero bytes for an empty log).
    """

    epoch: bytes
    seq: int
    head: bytes


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """The signed header of a batch.

    Attributes:
        gate: Gate id, 16 bytes.
        epoch: The log's epoch, 8 bytes.
        first: Sequence number of the first entry.
        last: Sequence number of the last entry.
        previous_head: Chain hash before the first entry.
        head: Chain hash at the last entry.
        trust_digest: Digest of the trust snapshot in force when it was cut (32 bytes), empty where none.
        trust_versions: Timestamp and policy version in force when it was cut.
        parts_sha256: SHA-256 of the facts and of the private part (version 1), or the one hash over both.
        version: Version of the format.
    """

    gate: bytes
    epoch: bytes
    first: int
    last: int
    previous_head: bytes
    head: bytes
    trust_digest: bytes
    trust_versions: tuple[int, int]
    parts_sha256: tuple[bytes, ...]
    version: int

    @property
    def count(self) -> int:
        """How many entries the batch holds."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Batch:
    """A verified batch: the header and both parts opened.

    Attributes:
        header: What the gate signed.
        bodies: The body of each entry.
        heads: The chain hash at each entry, recomputed.
        hidden: Token and sealed field of each entry, None where there is none.
        wire: The bytes as received, kept verbatim.
    """

    header: BatchHeader
    bodies: Sequence[bytes]
    heads: Sequence[bytes]
    hidden: Sequence[tuple[bytes | None, bytes | None]]
    wire: bytes = field(repr=False)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The entries, made at every call: a hub that only asks whether a batch follows needs none of them."""
        numbers = itertools.count(self.header.first)
        return tuple(map(Entry, numbers, self.bodies, self.heads, *zip(*self.hidden, strict=True)))


@dataclass(frozen=True, slots=True)
class Receipt:
    """The hub's signed word that it holds a log up to `last`.

    Attributes:
        gate: Gate id, 16 bytes.
        epoch: The log's epoch.
        last: Everything up to this sequence number is durable at the hub.
        head: Chain hash at `last`.
        hub_seq: Hub sequence of the newest entry it covers.
        at_ms: When it was signed, Unix milliseconds.
        key_id: Which hub key signed it (hex, 16 characters).
        wire: The signed bytes, kept verbatim.
    """

    gate: bytes
    epoch: bytes
    last: int
    head: bytes
    hub_seq: int
    at_ms: int
    key_id: str
    wire: bytes = field(repr=False)
