"""Slips for people who were referred or refused: an entry of the log, said again under the gate's key."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.errors import LedgerError
from edge.identity.identity import load_identity
from edge.ledger import facts, slip
from edge.model.scan import EntryType
from edge.model.settings import PlaceSettings
from edge.model.verdict import Outcome
from edge.scanlog.log import ScanLog
from edge.sync.store import read_receipt

_REFUSED: Final = frozenset((int(Outcome.REFER), int(Outcome.REJECT)))


class Slips:
    """Makes slips of one gate.

    Args:
        state: The gate's state folder, where its key is.
        log: The scan log.
        place: Returns where the gate stands.
    """

    def __init__(self, state: Path, log: ScanLog, place: Callable[[], PlaceSettings]) -> None:
        self._state = state
        self._log = log
        self._place = place

    def code(self, seq: int) -> str:
        """Return the slip of an entry, as the text of a QR code.

        Raises:
            LedgerError: There is no such entry, or it referred or refused nobody.
            IdentityBroken: The gate has no key to sign with.
        """
        entries = self._log.entries(seq, 1) if seq > 0 else []
        stated = facts.decode(entries[0].body) if entries and entries[0].seq == seq else None
        if stated is None or stated.type is not EntryType.SCAN or stated.outcome not in _REFUSED:
            raise LedgerError("a slip is given for somebody who was just referred or refused")
        key = load_identity(self._state)
        place = self._place()
        receipt = read_receipt(self._state / "sync.db", self._log.head.epoch)
        made = slip.Slip(
            seq,
            stated.outcome,
            stated.reason,
            stated.policy_version,
            stated.trust_version,
            stated.at_ms,
            stated.quality,
            _printable(place.site),
            _printable(place.lane),
            int(place.region),
            key.verify_key.encode(),
            receipt or b"",
        )
        return slip.make(made, key)


def _printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable())[: slip.MAX_PLACE]
