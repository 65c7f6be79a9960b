"""What a gate does when its policy has ended for certain: it erases the keys that could link people, and says so.

Ended for certain means by signed times and the steady count (`Clock.sure_ms`), never by a clock that somebody can set.
The keys of the privacy tokens go at once, with the tokens. The device key goes a week later, and not before the hub has
signed for every entry: until then it proves what is left to push (docs/adr/0024-sunset-registries.md).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from nacl.utils import random as random_bytes

from edge.disk import durable
from edge.errors import LedgerError
from edge.gate.sightings import Memory
from edge.identity import daykeys, identity
from edge.identity.identity import Enrolment
from edge.ledger.tokens import DayKey, day_of
from edge.model.finding import Finding, Severity
from edge.model.moment import ClockQuality, Moment
from edge.model.scan import EntryType, Facts
from edge.model.trust import TrustSnapshot
from edge.model.verdict import Reason
from edge.scanlog.log import ScanLog
from edge.scanlog.retention import Retention, covered_by
from edge.sync.store import read_receipt

DEVICE_KEPT_S: Final = 7 * 86_400
"""How long the device key outlives the policy at least: an extension that comes late finds the gate enrolled."""
_ALL_MS: Final = 1 << 53


class Sunset:
    """The end of one gate's work.

    Args:
        state: The gate's state folder.
        log: The scan log.
        memory: What holds the keys of the privacy tokens while the gate runs.
        enrolment: What this gate was enrolled as, or None.
        record: Writes an entry (`Line.staff`).
    """

    def __init__(
        self,
        state: Path,
        log: ScanLog,
        memory: Memory,
        *,
        enrolment: Enrolment | None,
        record: Callable[[Facts], int],
    ) -> None:
        self._state = state
        self._log = log
        self._memory = memory
        self.enrolment = enrolment
        """Another one once the gate is enrolled."""
        self._record = record
        self._has_ended = False
        self._owes_entry = False
        self._problem = ""

    def tend(self, trust: TrustSnapshot | None, sure_ms: int, moment: Moment) -> None:
        """Do what is due; what goes wrong becomes a finding and is tried again.

        Args:
            trust: The trust in force.
            sure_ms: What time it is at least, Unix milliseconds.
            moment: The time of a decision, for a key that is made anew.
        """
        self._has_ended = trust is not None and sure_ms >= trust.ends_at * 1000
        self._problem = ""
        try:
            if trust is None or not self._has_ended:
                self._keep_working(moment)
                return
            self._erase_tokens()
            if sure_ms >= (trust.ends_at + DEVICE_KEPT_S) * 1000 and self._is_receipted(trust):
                durable.erase(self._state / identity.KEY_FILE)
                durable.erase(self._state / identity.ENROLMENT_FILE)
        except (OSError, LedgerError) as error:
            self._problem = str(error)

    def findings(self) -> list[Finding]:
        """Return what people should know of it."""
        if not self._has_ended:
            return []
        ended = Finding("policy.ended", Severity.STOP)
        if self._problem:
            return [ended, Finding("policy.keys_left", params={"message": self._problem})]
        return [ended, Finding("policy.keys_erased", Severity.INFO)]

    def _keep_working(self, moment: Moment) -> None:
        """Give a gate without keys one of its own: the policy was extended, or it was never enrolled."""
        if not self._memory.has_keys and moment.quality is not ClockQuality.DOUBTFUL:
            key = DayKey(day_of(moment.unix_ms), random_bytes(32))
            self._memory.begin(key)

    def _erase_tokens(self) -> None:
        self._owes_entry |= self._memory.has_keys or (self._state / daykeys.FILE).exists()
        self._memory.forget_keys()
        durable.erase(self._state / daykeys.FILE)
        self._log.erase_tokens(_ALL_MS)
        if self._owes_entry:
            # Once: after a restart there is no key left that could be erased.
            self._record(Facts(EntryType.SUNSET, 0, reason=str(Reason.POLICY_KEYS_ERASED)))
            self._owes_entry = False

    def _is_receipted(self, trust: TrustSnapshot) -> bool:
        """Whether the hub has signed for every entry, the one about the erased keys included."""
        if self.enrolment is None:
            return False
        head = self._log.head
        receipt = read_receipt(self._state / "sync.db", head.epoch)
        if receipt is None:
            return False
        rule = Retention(self.enrolment.gate, {**trust.hub_keys, **self.enrolment.hub_keys}, 0)
        return covered_by([receipt], rule, head.epoch, self._log.head_at) == head.seq
