"""A stick put in at a gate: receipts taken from it, waiting scans written to it, by hand or by the part itself."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.errors import EdgeError, SetupError
from edge.ledger import stick as layout
from edge.model.finding import Finding
from edge.sync import stick
from edge.sync.opening import opened
from edge.sync.stick import Exported, Returned, Tell

LIMIT_MB: Final = 1024
AGAIN_S: Final = 300.0
"""A stick that stays in is written again after this time, where more waits."""
_MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Carried:
    """What a stick took along, and what it brought.

    Attributes:
        returned: What its receipts changed.
        exported: What it carries now.
        error: What kept it from carrying everything, or None.
    """

    returned: Returned = field(default_factory=Returned)
    exported: Exported = field(default_factory=Exported)
    error: EdgeError | None = None


def carry(state: Path, mount: Path, *, limit_mb: int, now_ms: Callable[[], int], tell: Tell) -> Carried:
    """Take the receipts from the stick at `mount`, then write what still waits to it.

    Receipts are taken though the stick cannot be written, and scans written though its receipts cannot be read.

    Args:
        state: The gate's state folder.
        mount: Where the stick is mounted.
        limit_mb: Most megabytes of batches.
        now_ms: The clock, Unix milliseconds.
        tell: Told as batches go by.

    Raises:
        EnrolmentError: This gate is not enrolled, or its key is not the enrolled one.
        LedgerError: The scan log or `sync.db` cannot be used.
    """
    returned, exported, error = Returned(), Exported(), None
    with opened(state, now_ms() // 1000) as gate:
        try:
            returned = stick.take_receipts(gate.outbox, mount, gate.hub_keys, now_ms())
        except SetupError as failed:
            error = failed
        try:
            exported = stick.export(gate.outbox, mount, limit=limit_mb * _MB, tell=tell)
        except SetupError as failed:
            error = failed
    return Carried(returned, exported, error)


@dataclass(frozen=True, slots=True)
class Visit:
    """What was last seen of a stick for scans.

    Attributes:
        stamp: Which stick, and when its receipts were written; empty while none is there.
        at: When it was written, seconds of the steady clock.
        carried: How that ended.
    """

    stamp: tuple[int, ...] = ()
    at: float = float("-inf")
    carried: Carried = field(default_factory=Carried)

    def findings(self) -> list[Finding]:
        """Return what people should hear of it."""
        if not self.stamp:
            return []
        if self.carried.error is not None:
            return [Finding("sync.stick", params={"message": str(self.carried.error)})]
        bad = [f"{kind}: {message}" for kind, message in self.carried.returned.refused if kind != "old"]
        return [Finding("sync.stick_receipt", params={"message": bad[0]})] if bad else []


def visit(state: Path, mount: Path, before: Visit, now: float, now_ms: Callable[[], int]) -> Visit:
    """Carry, once when a prepared stick is put in, when its receipts changed, and now and then while it stays. Blocks.

    Args:
        state: The gate's state folder.
        mount: Where sticks are mounted.
        before: What was seen last.
        now: Seconds of the steady clock.
        now_ms: The clock, Unix milliseconds.
    """
    stamp = _stamp(mount)
    if not stamp:
        return Visit()
    if stamp == before.stamp and now < before.at + AGAIN_S:
        return before
    try:
        carried = carry(state, mount, limit_mb=LIMIT_MB, now_ms=now_ms, tell=lambda _done, _of: None)
    except EdgeError as error:
        carried = Carried(error=error)
    return Visit(_stamp(mount), now, carried)


def _stamp(mount: Path) -> tuple[int, ...]:
    if not stick.is_prepared(mount):
        return ()
    try:
        whole = (mount / layout.FOLDER).stat()
        found = [whole.st_dev, whole.st_ino]
        for receipts in sorted((mount / layout.FOLDER).glob(f"*/{layout.RECEIPTS}")):
            status = receipts.lstat()
            found += [status.st_ino, status.st_mtime_ns, status.st_size]
    except OSError:
        return ()
    return tuple(found)
