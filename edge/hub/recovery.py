"""A hub that was set back to an old backup: its own receipts, brought by gates, say what it held and lacks now.

A gate whose newest receipt covers more than the hub's watermark shows that receipt, signed by this hub, before it
sends again what it still holds. Under it, and under nothing else, the ledger goes on after a hole: a gate that deletes
entries has no receipt for them. What fell into the hole is named (`hub_behind`) and never refused for ever (ADR 32).
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from edge.errors import BatchRefused
from edge.hub import incidents
from edge.model.scan import Batch, Receipt

KIND: Final = "hub_behind"


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a log is held.

    Attributes:
        row: Row of the log, 0 where nothing of it is held.
        last: Newest sequence number held.
    """

    row: int
    last: int


def claim(connection: sqlite3.Connection, receipt: Receipt, held: Stand, now_ms: int) -> bool:
    """Take in a receipt of this hub; return whether it covers more than is held.

    Args:
        connection: In a transaction that writes.
        receipt: Verified under this hub's key.
        held: How far its log is held.
        now_ms: Hub time.
    """
    if receipt.last <= held.last:
        return False
    known = connection.execute(
        "SELECT last FROM claims WHERE gate = ? AND epoch = ?", (receipt.gate, receipt.epoch)
    ).fetchone()
    if known and known[0] >= receipt.last:
        return True
    connection.execute(
        "INSERT INTO claims VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "last = excluded.last, head = excluded.head, receipt = excluded.receipt",
        (receipt.gate, receipt.epoch, receipt.last, receipt.head, receipt.wire),
    )
    params = {"held": held.last, "seq": receipt.last, "first": held.last + 1, "last": receipt.last}
    incidents.note(connection, receipt.gate, KIND, now_ms, params)
    incidents.keep(connection, receipt.gate, KIND, now_ms, incidents.Exhibit(receipt.wire, receipt.epoch, receipt.last))
    return True


def may_skip(connection: sqlite3.Connection, opened: Batch, last: int) -> bool:
    """Whether a batch begins after a hole that a receipt of this hub proves to be its own.

    Args:
        connection: Reading is enough.
        opened: The batch, its first entry past `last + 1`.
        last: Newest sequence number held.

    Raises:
        BatchRefused: `fork`: it contradicts that receipt.
    """
    header = opened.header
    found = connection.execute(
        "SELECT last, head FROM claims WHERE gate = ? AND epoch = ? AND last > ?", (header.gate, header.epoch, last)
    ).fetchone()
    if found is None or header.first > found[0] + 1:
        return False
    check(connection, opened)
    return True


def check(connection: sqlite3.Connection, opened: Batch) -> None:
    """Compare a batch with what this hub signed for once.

    Raises:
        BatchRefused: `fork`: it contradicts that receipt.
    """
    header = opened.header
    found = connection.execute(
        "SELECT last, head FROM claims WHERE gate = ? AND epoch = ? AND last BETWEEN ? AND ?",
        (header.gate, header.epoch, header.first - 1, header.last),
    ).fetchone()
    if found is None:
        return
    last, head = found
    here = header.previous_head if last < header.first else opened.heads[last - header.first]
    if here != head:
        raise BatchRefused("fork", f"this hub signed for another entry {last} before", "Call the hub's operator.")


def note_hole(connection: sqlite3.Connection, log: int, opened: Batch, last: int, now_ms: int) -> None:
    """Write down which entries are missing before a batch.

    Args:
        connection: In a transaction that writes.
        log: Row of the log.
        opened: The batch after the hole.
        last: Newest sequence number held before it.
        now_ms: Hub time.
    """
    header = opened.header
    hole = (log, last + 1, header.first - 1, header.previous_head, now_ms)
    connection.execute("INSERT INTO holes VALUES (?, ?, ?, ?, ?)", hole)
    (seq,) = connection.execute(
        "SELECT last FROM claims WHERE gate = ? AND epoch = ?", (header.gate, header.epoch)
    ).fetchone()
    params = {"held": last, "seq": seq, "first": last + 1, "last": header.first - 1}
    incidents.note(connection, header.gate, KIND, now_ms, params)


def caught_up(connection: sqlite3.Connection, log: int, opened: Batch, now_ms: int) -> None:
    """Put the incident right where everything this hub signed for is held again, with no hole."""
    header = opened.header
    done = connection.execute(
        "DELETE FROM claims WHERE gate = ? AND epoch = ? AND last <= ?", (header.gate, header.epoch, header.last)
    ).rowcount
    if done and not connection.execute("SELECT 1 FROM holes WHERE log = ?", (log,)).fetchone():
        connection.execute(
            "UPDATE incidents SET resolved_ms = ? WHERE gate = ? AND kind = ? AND resolved_ms IS NULL",
            (now_ms, header.gate, KIND),
        )


def head_in(connection: sqlite3.Connection, log: int, seq: int) -> bytes | None:
    """Return the chain hash at an entry in a hole: known at its end alone; None where no hole holds the entry.

    Raises:
        BatchRefused: `hub_behind`: the entry is in the middle of a hole; what it belongs to is kept as evidence.
    """
    found = connection.execute(
        "SELECT first, last, head FROM holes WHERE log = ? AND first <= ? AND last >= ?", (log, seq, seq)
    ).fetchone()
    if found is None:
        return None
    first, last, head = found
    if seq < last:
        raise BatchRefused(
            KIND, f"this hub lost entries {first} to {last}", "They are kept as evidence: edge hub incidents DIR"
        )
    return bytes(head)


def holes(connection: sqlite3.Connection) -> dict[tuple[int, int], tuple[int, bytes]]:
    """Return every hole by log and first missing number: its last number and the chain hash there."""
    return {
        (log, first): (last, head)
        for log, first, last, head in connection.execute("SELECT log, first, last, head FROM holes")
    }
