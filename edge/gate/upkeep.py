"""What the scan log needs now and then: tokens erased after 48 hours, rows let go under receipts and the retention.

Called while nobody stands at the gate. What may go is decided in `edge.scanlog.retention`; here only when to ask.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge.errors import LedgerError
from edge.identity.identity import Identity
from edge.model.finding import Finding, Severity
from edge.model.moment import ClockQuality, Moment
from edge.model.trust import TrustSnapshot
from edge.scanlog.log import ScanLog
from edge.scanlog.retention import Retention
from edge.sync.store import read_receipt

TOKENS_KEPT_MS: Final = 48 * 3600 * 1000
_EVERY_S: Final = 600.0
_FIRST_AFTER_S: Final = 60.0


class Upkeep:
    """The regular upkeep of one gate's scan log.

    Args:
        log: The scan log.
        sync_db: The sync part's database, whose receipts are read and verified again.
        identity: Who this gate is, or None: without an enrolment under its own key nothing is ever let go.
    """

    def __init__(self, log: ScanLog, sync_db: Path, identity: Identity | None) -> None:
        self._log = log
        self._sync_db = sync_db
        self._identity = identity
        self._due = time.monotonic() + _FIRST_AFTER_S
        self._problem = ""

    def tend(self, trust: TrustSnapshot | None, moment: Moment) -> None:
        """Do what is due, and nothing in between; never raises."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_S
        self.tend_now(trust, moment)

    def tend_now(self, trust: TrustSnapshot | None, moment: Moment) -> None:
        """Do it at once; what goes wrong becomes a finding."""
        try:
            # A clock years ahead would erase what the repeat rule still needs.
            if moment.quality is not ClockQuality.DOUBTFUL:
                self._log.erase_tokens(moment.unix_ms - TOKENS_KEPT_MS)
            self._purge(trust, moment)
            self._problem = ""
        except LedgerError as error:
            self._problem = str(error)

    def _purge(self, trust: TrustSnapshot | None, moment: Moment) -> None:
        if trust is None or self._identity is None:
            return
        receipt = read_receipt(self._sync_db, self._log.head.epoch)
        if receipt is None:
            return
        keys: Mapping[str, bytes] = {**trust.hub_keys, **self._identity.enrolment.hub_keys}
        rule = Retention(
            self._identity.enrolment.gate,
            keys,
            trust.policy.retention_s,
            trust_version=trust.versions.timestamp,
            policy_version=trust.policy.version,
        )
        self._log.purge([receipt], rule, moment, key=self._identity.key)

    def findings(self) -> list[Finding]:
        """Return what went wrong at the last upkeep."""
        return [Finding("log.damaged", Severity.DAMAGE, {"message": self._problem})] if self._problem else []
