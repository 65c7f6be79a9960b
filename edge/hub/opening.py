"""What came in the place of a batch: opened under its gate's key before the writer's turn, then written or kept.

Who it is of is asked first, so that a stranger costs no signature. Whether it follows is left to `edge.hub.intake`.
"""

import logging
import sqlite3
from typing import Any, Final

from edge.errors import BatchRefused, LedgerError
from edge.hub import incidents, intake, recovery, roster, sequence
from edge.hub.declined import UNKNOWN_GATE
from edge.ledger import batch, device
from edge.ledger import receipt as receipts
from edge.model.scan import Receipt

Item = intake.Parcel | Receipt | BatchRefused
Stranger = tuple[bytes, bytes, BatchRefused]
_MAX_EXHIBIT: Final = batch.MAX_WIRE
_LOG: Final = logging.getLogger("edge.hub")


def shown(connection: sqlite3.Connection, wire: bytes, public: bytes) -> tuple[Item, bytes]:
    """Open what stands in the place of a batch: a receipt of ours that a gate shows, for we hold less."""
    try:
        found = receipts.open_receipt(wire, {device.key_id(public).hex(): public})
    except LedgerError as bad:
        return BatchRefused("wrong_hub", f"This hub signed no such receipt: {bad.message}"), incidents.NOBODY
    gate = roster.by_id(connection, found.gate)
    if gate is None or gate.is_retired:
        return BatchRefused("unknown_gate", UNKNOWN_GATE.message, UNKNOWN_GATE.next_step), found.gate
    return found, found.gate


def log_refusals(items: list[Item], taken: list[intake.Held | BatchRefused]) -> None:
    """Say in the log what was refused of what gates of ours signed."""
    # Only what a gate of ours signed: strangers must not fill the log either.
    for item, found in zip(items, taken, strict=True):
        if isinstance(item, intake.Parcel) and isinstance(found, BatchRefused):
            _LOG.warning("%s: gate %s, %s", found.kind, item.batch.header.gate.hex(), found.message)


def opened(connection: sqlite3.Connection, piece: bytes, value: Any, now_ms: int) -> tuple[Item, bytes]:
    """Open one batch under its gate's key; with a refusal comes the gate that it concerns, or `NOBODY`."""
    try:
        # Shape and signer first, without a hash or a signature spent on a stranger.
        named = device.signer_of(value[0]) if sequence.is_batch(value) else None
    except LedgerError:
        named = None
    if named is None:
        # A batch that breaks off begins as one does: a list of three.
        kind = "truncated" if value is None and piece[:1] == b"\x83" else "malformed"
        return BatchRefused(kind, "this is no batch"), incidents.NOBODY
    gate = roster.by_key_id(connection, named)
    if gate is None:
        return BatchRefused("unknown_gate", UNKNOWN_GATE.message, UNKNOWN_GATE.next_step), incidents.NOBODY
    if gate.is_retired:
        return BatchRefused("unknown_gate", "This gate was retired.", "Call the hub's operator."), gate.gate
    if len(piece) > batch.MAX_WIRE:
        return BatchRefused("too_large", f"a batch has at most {batch.MAX_WIRE} bytes"), gate.gate
    try:
        return intake.open_parcel((gate.row, gate.place, gate.public), piece, now_ms), gate.gate
    except BatchRefused as refused:
        return refused, gate.gate


def written(
    connection: sqlite3.Connection, items: list[Item], strangers: list[Stranger], now_ms: int
) -> list[intake.Held | BatchRefused]:
    """Write what follows, keep the rest as evidence; the work of one POST inside the writer's commit."""
    for gate, piece, refused in strangers:
        if incidents.note(connection, gate, refused.kind, now_ms, {}):
            # Once: whoever cannot be named must not fill the log.
            _LOG.warning("%s: %s, %s", refused.kind, gate.hex() or "somebody", refused.message)
        incidents.keep(connection, gate, refused.kind, now_ms, incidents.Exhibit(piece[:_MAX_EXHIBIT]))
    taken: list[intake.Held | BatchRefused] = []
    for item in items:
        if isinstance(item, BatchRefused):
            taken.append(item)
            continue
        if isinstance(item, Receipt):
            log = intake.log_named(connection, item.gate, item.epoch)
            if recovery.claim(connection, item, recovery.Stand(log.row, log.last), now_ms):
                _LOG.error(
                    "%s: gate %s shows our receipt for entry %d, held is %d",
                    *(recovery.KIND, item.gate.hex(), item.last, log.last),
                )
            taken.append(intake.Held(item.gate, item.epoch, log.last, log.head, log.hub_seq))
            continue
        try:
            taken.append(intake.receive(connection, item))
        except BatchRefused as refused:
            intake.keep_refused(connection, item, refused)
            taken.append(refused)
    return taken
