"""Does this batch follow what the hub holds? One function for whatever brought it: a POST now, a stick later.

The chain decides, nothing else: an equal hash at an equal number means equal entries up to there. A batch that repeats
what is held is a success, one that goes on from it is written, and everything else is an incident with its evidence
kept. Whether the gate signed the batch was checked before (`edge.ledger.batch.open_batch`).
"""

import logging
import sqlite3
from dataclasses import dataclass
from typing import Final

from edge.errors import BatchRefused, LogDamaged
from edge.hub import incidents, projection, recovery, retention
from edge.ledger import batch as batches
from edge.ledger import chain
from edge.model.scan import Batch, BatchHeader

_NO_TIME: Final = 1 << 53
_AHEAD_MS: Final = 24 * 3_600_000
"""No gate's clock is further ahead by accident of a time zone."""
_LOG: Final = logging.getLogger("edge.hub")
_HEAD: Final = "SELECT wire FROM batches WHERE log = ? AND first <= ? AND last >= ? LIMIT 1"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch that its gate signed, opened and read before the writer's turn.

    Attributes:
        gate: Row of the gate.
        place: Row of the place it stands at.
        public: Its public key.
        batch: The batch.
        entry_ms: The time of its newest entry; later than any for one nobody can date.
        received_ms: Hub time.
    """

    gate: int
    place: int
    public: bytes
    batch: Batch
    entry_ms: int
    received_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """The hub holds a log up to an entry.

    Attributes:
        gate: Gate id.
        epoch: The log's epoch.
        last: Its sequence number.
        head: The chain hash there.
        hub_seq: Its hub sequence number.
        written: Entries written for it; 0 where all were held before.
    """

    gate: bytes
    epoch: bytes
    last: int
    head: bytes
    hub_seq: int
    written: int = 0


@dataclass(frozen=True, slots=True)
class Log:
    """One log as the hub holds it: `row` is 0 for one it has nothing of."""

    row: int
    last: int
    head: bytes
    hub_seq: int


def open_parcel(gate: tuple[int, int, bytes], wire: bytes, received_ms: int) -> Parcel:
    """Verify a batch under its gate's key and read its entries.

    Args:
        gate: Row, row of the place and public key of the gate it names.
        wire: The bytes.
        received_ms: Hub time.

    Raises:
        BatchRefused: `malformed`, `version` or `forged`.
    """
    row, place, public = gate
    opened = batches.open_batch(wire, public)
    return Parcel(row, place, public, opened, _entry_ms(opened), received_ms)


def receive(connection: sqlite3.Connection, parcel: Parcel) -> Held:
    """Write a batch if it follows, and then those that waited for it.

    Raises:
        BatchRefused: `fork`, `rollback`, `gap`, `hub_behind` or `destroyed`; nothing was written.
    """
    held = _place(connection, parcel)
    _fetch_waiting(connection, parcel)
    return held


def log_of(connection: sqlite3.Connection, gate: int, epoch: bytes) -> Log:
    """Return how far the hub holds a log."""
    found = connection.execute(
        "SELECT id, last, head, hub_seq FROM logs WHERE gate = ? AND epoch = ?", (gate, epoch)
    ).fetchone()
    return Log(*found) if found else Log(0, 0, chain.GENESIS, 0)


def log_named(connection: sqlite3.Connection, gate: bytes, epoch: bytes) -> Log:
    """Return how far the hub holds the log of a gate id."""
    found = connection.execute("SELECT id FROM gates WHERE gate = ?", (gate,)).fetchone()
    return log_of(connection, found[0] if found else 0, epoch)


def _place(connection: sqlite3.Connection, parcel: Parcel) -> Held:
    header = parcel.batch.header
    log = log_of(connection, parcel.gate, header.epoch)
    repeated = connection.execute(
        "SELECT last, head, hub_last FROM batches WHERE log = ? AND first = ? AND head = ?",
        (log.row, header.first, header.head),
    ).fetchone()
    if repeated:
        return Held(header.gate, header.epoch, *repeated)
    if header.first > log.last + 1:
        if recovery.may_skip(connection, parcel.batch, log.last):
            return _append(connection, parcel, log)
        raise BatchRefused(
            "gap",
            f"entries {log.last + 1} to {header.first - 1} are missing before this batch",
            "Send the batches before it.",
        )
    _check_overlap(connection, parcel, log)
    recovery.check(connection, parcel.batch)
    if header.last <= log.last:
        return Held(header.gate, header.epoch, header.last, header.head, _hub_seq(connection, log.row, header.last))
    return _append(connection, parcel, log)


def _check_overlap(connection: sqlite3.Connection, parcel: Parcel, log: Log) -> None:
    """Refuse a batch that contradicts the entries held; a re-cut of the same entries does not."""
    header = parcel.batch.header
    common = min(header.last, log.last)
    if _held_head(connection, parcel, log, header.first - 1) != header.previous_head:
        raise BatchRefused("fork", f"another log led up to entry {header.first} before", "Call the hub's operator.")
    if common < header.first:
        return
    if _held_head(connection, parcel, log, common) == parcel.batch.heads[common - header.first]:
        return
    same_first = connection.execute(
        "SELECT 1 FROM batches WHERE log = ? AND first = ?", (log.row, header.first)
    ).fetchone()
    if same_first:
        raise BatchRefused("fork", f"another batch begins at entry {header.first}", "Call the hub's operator.")
    # It leaves the held log in the middle of what was sent before: the gate's store was set back to an earlier state.
    raise BatchRefused(
        "rollback",
        f"the log goes on from entry {header.first - 1}, the hub holds {log.last}",
        "Call the hub's operator.",
    )


def _held_head(connection: sqlite3.Connection, parcel: Parcel, log: Log, seq: int) -> bytes:
    if seq == log.last:
        return log.head
    if seq == 0:
        return chain.GENESIS
    found = connection.execute(_HEAD, (log.row, seq, seq)).fetchone()
    if found is None and (lost := recovery.head_in(connection, log.row, seq)) is not None:
        return lost
    try:
        if found and not batches.has_facts(found[0]):
            return _head_left(batches.open_header(found[0], parcel.public), seq)
        held = batches.open_batch(found[0] if found else b"", parcel.public)
    except BatchRefused as bad:
        if bad.kind == retention.KIND:
            raise
        # What we hold is broken, not what came: the gate must not be told that its batch is.
        raise LogDamaged(
            "The hub's ledger does not verify.", "Stop the hub, run: edge hub check DIR, restore the last backup."
        ) from bad
    return held.heads[seq - held.header.first]


def _head_left(header: BatchHeader, seq: int) -> bytes:
    if seq == header.last:
        return header.head
    raise BatchRefused(
        retention.KIND, f"the facts of entry {seq} were destroyed at the end of their retention", "Nothing to do."
    )


def _hub_seq(connection: sqlite3.Connection, log: int, seq: int) -> int:
    found = connection.execute(
        "SELECT hub_last - (last - ?) FROM batches WHERE log = ? AND first <= ? AND last >= ? "
        # Where batches overlap, the one that was written first holds the entry.
        "ORDER BY id LIMIT 1",
        (seq, log, seq, seq),
    ).fetchone()
    return int(found[0])


def _append(connection: sqlite3.Connection, parcel: Parcel, log: Log) -> Held:
    header = parcel.batch.header
    skip = max(0, log.last + 1 - header.first)
    (top,) = connection.execute("SELECT coalesce(max(hub_last), 0) FROM batches").fetchone()
    hub_first, hub_last = top + 1, top + header.count - skip
    row = log.row or _new_log(connection, parcel)
    if header.first > log.last + 1:
        recovery.note_hole(connection, row, parcel.batch, log.last, parcel.received_ms)
    facts_only = batches.without_private(parcel.batch.wire)
    connection.execute(
        "UPDATE logs SET last = ?, head = ?, hub_seq = ?, entry_ms = ? WHERE id = ?",
        (header.last, header.head, hub_last, parcel.entry_ms, row),
    )
    written = connection.execute(
        "INSERT INTO batches(log, first, last, head, hub_first, hub_last, place, received_ms, wire) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row,
            header.first,
            header.last,
            header.head,
            hub_first,
            hub_last,
            parcel.place,
            parcel.received_ms,
            facts_only,
        ),
    )
    _keep_private(connection, parcel, written.lastrowid or 0, hub_first, skip)
    if parcel.entry_ms - parcel.received_ms > _AHEAD_MS and parcel.entry_ms != _NO_TIME:
        # The ledger takes it as the gate signed it; a person looks at the clock.
        incidents.note(connection, header.gate, "future", parcel.received_ms, {"seq": header.first})
        exhibit = incidents.Exhibit(facts_only, header.epoch, header.first)
        incidents.keep(connection, header.gate, "future", parcel.received_ms, exhibit)
        _LOG.warning("future: gate %s, from entry %d on", header.gate.hex(), header.first)
    recovery.caught_up(connection, row, parcel.batch, parcel.received_ms)
    connection.execute(
        "UPDATE gates SET contact_ms = max(contact_ms, ?) WHERE id = ?", (parcel.received_ms, parcel.gate)
    )
    return Held(header.gate, header.epoch, header.last, header.head, hub_last, hub_last - hub_first + 1)


def _entry_ms(opened: Batch) -> int:
    (newest,) = projection.columns_of(opened.bodies[-1:])
    # One nobody can date is taken as later than any heartbeat: it must not make an honest one look like a rollback.
    return int(newest[0]) if newest is not None else _NO_TIME


def _new_log(connection: sqlite3.Connection, parcel: Parcel) -> int:
    header = parcel.batch.header
    former = connection.execute("SELECT max(last) FROM logs WHERE gate = ?", (parcel.gate,)).fetchone()[0]
    if former is not None:
        incidents.note(connection, header.gate, "new_log", parcel.received_ms, {"seq": former})
    made = connection.execute(
        "INSERT INTO logs(gate, epoch, last, head, hub_seq, entry_ms) VALUES (?, ?, 0, ?, 0, 0)",
        (parcel.gate, header.epoch, chain.GENESIS),
    )
    return made.lastrowid or 0


def _keep_private(connection: sqlite3.Connection, parcel: Parcel, row: int, hub_first: int, skip: int) -> None:
    private = batches.private_of(parcel.batch.wire)
    if private:
        connection.execute("INSERT INTO private VALUES (?, ?, ?)", (row, parcel.received_ms, private))
    sealed = [(seq, field) for seq, (_, field) in enumerate(parcel.batch.hidden[skip:], hub_first) if field is not None]
    if sealed:
        connection.executemany("INSERT INTO sealed VALUES (?, ?)", sealed)


def _fetch_waiting(connection: sqlite3.Connection, parcel: Parcel) -> None:
    """Let batches that came too early take their place now that what they follow is here."""
    header = parcel.batch.header
    while True:
        log = log_of(connection, parcel.gate, header.epoch)
        found = incidents.waiting(connection, header.gate, header.epoch, log.last + 1)
        if not found:
            return
        for row, wire in found:
            # One whose facts were destroyed while it waited is let go: its gate got no receipt and has it whole.
            if batches.has_facts(wire):
                _place_waiting(connection, parcel, wire)
            incidents.release(connection, header.gate, row, parcel.received_ms)


def _place_waiting(connection: sqlite3.Connection, parcel: Parcel, wire: bytes) -> None:
    try:
        early = open_parcel((parcel.gate, parcel.place, parcel.public), wire, parcel.received_ms)
    except BatchRefused as damaged:
        # It verified when it came, so it was damaged here; the gate has it still, for it never got a receipt.
        raise LogDamaged("Evidence in the hub's database is damaged.", "Restore the last backup.") from damaged
    try:
        _place(connection, early)
    except BatchRefused as refused:
        keep_refused(connection, early, refused)


def keep_refused(connection: sqlite3.Connection, parcel: Parcel, refused: BatchRefused) -> None:
    """Write the incident and the evidence of a batch that its gate signed and that does not follow."""
    header = parcel.batch.header
    log = log_of(connection, parcel.gate, header.epoch)
    params = {"seq": header.first, "held": log.last}
    incidents.note(connection, header.gate, refused.kind, parcel.received_ms, params)
    exhibit = incidents.Exhibit(parcel.batch.wire, header.epoch, header.first)
    incidents.keep(connection, header.gate, refused.kind, parcel.received_ms, exhibit)
