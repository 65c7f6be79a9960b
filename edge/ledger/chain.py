"""The hash chain of the scan log: `head = SHA-256(previous head || body)`, 32 zero bytes before the first entry.

Same code on gate and hub. The family of RFC 6962, without the tree: one reader, one order.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from edge.errors import LogDamaged
from edge.model.scan import Entry

GENESIS: Final = bytes(32)


def next_head(previous: bytes, body: bytes) -> bytes:
    """Return the head after `body`, 32 bytes."""
    return sha256(previous + body).digest()


def heads(bodies: Iterable[bytes], previous: bytes) -> list[bytes]:
    """Return the head after each body."""
    found, head = [], previous
    # `next_head` written out: a hub does nothing more often, and the call takes as long as the hash.
    for body in bodies:
        head = sha256(head + body).digest()
        found.append(head)
    return found


def follow(entries: Iterable[Entry], previous: bytes, *, first: int) -> bytes:
    """Walk entries and return the head at the last one.

    Args:
        entries: Consecutive entries.
        previous: The head before the first of them.
        first: The sequence number the first must have.

    Raises:
        LogDamaged: A number is missing or repeated, or a head does not follow.
    """
    head = previous
    for seq, entry in enumerate(entries, first):
        if entry.seq != seq:
            raise LogDamaged(f"entry {seq} is missing: {entry.seq} stands in its place")
        head = next_head(head, entry.body)
        if entry.head != head:
            raise LogDamaged(f"entry {seq} does not follow the one before it")
    return head
