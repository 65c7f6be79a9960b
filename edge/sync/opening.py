"""A gate's scans on their way, opened beside the running part: by a command, or for a stick."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import EnrolmentError, LogDamaged
from edge.identity.identity import Identity, identify
from edge.scanlog.reader import ScanLogReader
from edge.sync.outbox import Outbox
from edge.sync.refresher import View, look
from edge.sync.store import FILE, SyncStore, set_aside

SCANS: Final = "scans.db"
TRUST: Final = "trust"

_LOG: Final = logging.getLogger("edge.sync")


@dataclass(frozen=True, slots=True)
class Opened:
    """One gate's scans.

    Attributes:
        identity: Who it is.
        outbox: Its scans on their way.
        hub_keys: Keys whose receipts count, by key id (hex).
    """

    identity: Identity
    outbox: Outbox
    hub_keys: Mapping[str, bytes]


@contextmanager
def opened(state: Path, now: int) -> Iterator[Opened]:
    """Open what the gate in `state` has to send; beside its part, for both cut the same batches.

    Args:
        state: The gate's state folder.
        now: The system clock, Unix seconds.

    Raises:
        EnrolmentError: This gate is not enrolled, or its key is not the enrolled one.
        LedgerError: The scan log or `sync.db` cannot be used.
    """
    identity = identify(state)
    if identity is None:
        raise EnrolmentError("This gate is not enrolled yet.", "Run: edge provision enroll CODE")
    believed = look(state / TRUST, View()).believed
    store, _ = open_store(state / FILE)
    with closing(store):
        outbox = Outbox(store, ScanLogReader(state / SCANS), identity.key)
        outbox.set_trust(believed.digest, believed.versions_at(now))
        yield Opened(identity, outbox, {**believed.hub_keys, **identity.enrolment.hub_keys})


def open_store(path: Path) -> tuple[SyncStore, str]:
    """Open `sync.db`; a damaged one is moved aside and begun anew, for the scan log has every scan.

    Returns:
        The store, and the name a damaged one was given, empty where none was.

    Raises:
        LedgerError: It cannot be had.
    """
    try:
        return SyncStore(path), ""
    except LogDamaged as damaged:
        aside = set_aside(path)
        _LOG.warning("%s Kept as %s, begun anew.", damaged.message, aside.name)
        return SyncStore(path), aside.name
