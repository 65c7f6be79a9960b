"""What `edge sync status` says: `sync.db`, `link.json` and the scan log, read beside whoever writes them."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import SetupError
from edge.model.scan import Head
from edge.scanlog.reader import ScanLogReader
from edge.sync.link import LinkState, read_link
from edge.sync.opening import SCANS
from edge.sync.outbox import NO_LOG, standing_of
from edge.sync.session import Link
from edge.sync.store import FILE, Kept, SyncStore, Taken


@dataclass(frozen=True, slots=True)
class Overview:
    """How far the scans of a gate have come.

    Attributes:
        link: What `link.json` says, or None where there is none.
        recorded: Number of the newest entry of the log.
        backlog: Entries that no receipt covers.
        parked: Batches that the hub refuses.
        receipt: The newest receipt of this log, or None.
        last_push_ms: When the newest receipt of any log came, or None.
    """

    link: LinkState | None
    recorded: int
    backlog: int
    parked: tuple[Kept, ...] = ()
    receipt: Taken | None = None
    last_push_ms: int | None = None

    def document(self) -> dict[str, Any]:
        """Return it for scripts."""
        receipt = self.receipt
        return {
            "link": str(self.link.link if self.link is not None else Link.NEVER),
            "since_ms": self.link.since_ms if self.link is not None else None,
            "recorded": self.recorded,
            "backlog": self.backlog,
            "receipt": receipt
            and {
                "last": receipt.last,
                "hub_seq": receipt.hub_seq,
                "at_ms": receipt.at_ms,
                "key_id": receipt.key_id,
                "taken_ms": receipt.taken_ms,
            },
            "parked": [_parked(kept) for kept in self.parked],
            "last_push_ms": self.last_push_ms,
            "last_refresh_ms": self.link.last_refresh_ms if self.link is not None else None,
            "clock_ahead_ms": self.link.clock_ahead_ms if self.link is not None else None,
            "clock_unsure_ms": self.link.clock_unsure_ms if self.link is not None else None,
        }


def overview(state: Path) -> Overview:
    """Return how far the scans of the gate in `state` have come; nothing is written.

    Raises:
        SetupError: There is no such folder.
        LedgerError: The scan log or `sync.db` cannot be read; the message names it.
    """
    if not state.is_dir():
        raise SetupError(f"There is no state folder {state}.", "Name the gate's settings with --config.")
    head: Head = ScanLogReader(state / SCANS).head or NO_LOG
    store = SyncStore.reader(state / FILE)
    if store is None:
        return Overview(read_link(state), head.seq, head.seq)
    with closing(store):
        return Overview(
            link=read_link(state),
            recorded=head.seq,
            backlog=standing_of(store, head).backlog,
            parked=tuple(kept for kept in store.batches() if kept.kind),
            receipt=store.taken(head.epoch),
            last_push_ms=store.last_push_ms(),
        )


def _parked(kept: Kept) -> dict[str, Any]:
    return {
        "epoch": kept.epoch.hex(),
        "first": kept.first,
        "last": kept.last,
        "kind": kept.kind,
        "message": kept.message,
        "tries": kept.tries,
        "at_ms": kept.parked_ms,
    }
