"""When rows may go: a receipt of our hub covers them and the signed retention has passed. Nothing else removes one.

What is decided here is carried out by `ScanLog.purge`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from nacl.signing import SigningKey
from sqlite_utils import Database

from edge.errors import ReceiptRefused
from edge.ledger import destruction
from edge.ledger.destruction import Destruction, Signer, Span
from edge.ledger.receipt import open_receipt
from edge.ledger.tokens import DAY_MS as _DAY_MS
from edge.model.moment import ClockQuality, Moment
from edge.model.scan import EntryType, Facts, Receipt
from edge.scanlog import rows
from edge.scanlog.schema import Meta

MAX_ROWS: Final = 2000
"""At most so many rows go at once, so that no pass waits for a purge."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The signed rule of a purge, and whose receipts count.

    Attributes:
        gate: This gate's id, 16 bytes.
        hub_keys: Public keys of our hub by key id (hex), from enrolment and the trust list.
        retention_s: How long receipted entries stay (`Policy.retention_s`), seconds.
        trust_version: Version of the trust timestamp in force; the certificate names it.
        policy_version: Version of the policy that says so; the certificate names it.
    """

    gate: bytes
    hub_keys: Mapping[str, bytes]
    retention_s: int
    trust_version: int = 0
    policy_version: int = 0

    def __post_init__(self) -> None:
        if self.retention_s < 0:
            raise ValueError("a retention is no negative time")

    def window(self, moment: Moment) -> tuple[int, int]:
        """Return between which times a row is young: (after, until), Unix milliseconds."""
        return moment.unix_ms - 1000 * self.retention_s, moment.unix_ms


def covered_by(receipts: Iterable[bytes], rule: Retention, epoch: bytes, head_at: Callable[[int], bytes | None]) -> int:
    """Return the number up to which the hub holds this very log, 0 where no receipt says so."""
    covering = furthest(receipts, rule, epoch, head_at)
    return covering.last if covering is not None else 0


def furthest(
    receipts: Iterable[bytes], rule: Retention, epoch: bytes, head_at: Callable[[int], bytes | None]
) -> Receipt | None:
    """Return the receipt that covers most of this very log, None where none covers any.

    Each is verified here, whatever the caller did. A forged receipt, one of another gate or of an earlier log, and one
    whose head is not ours at that entry prune nothing: such are passed over, for the others still count.
    """
    found: Receipt | None = None
    for wire in receipts:
        try:
            receipt = open_receipt(wire, rule.hub_keys)
        except ReceiptRefused:
            continue
        ours = receipt.gate == rule.gate and receipt.epoch == epoch
        is_more = receipt.last > (found.last if found is not None else 0)
        if ours and is_more and head_at(receipt.last) == receipt.head:
            found = receipt
    return found


def last_to_go(db: Database, meta: Meta, covered: int, window: tuple[int, int]) -> int:
    """Return the number up to which rows may go; `meta.purged_seq` where none may.

    Rows go from the oldest on, up to the first that is younger than the retention. One that was recorded while the
    clock stood ahead says a time that has not come: it goes with an older row behind it, and holds up nothing.

    Args:
        db: The log.
        meta: Its own row.
        covered: Receipts reach this far.
        window: Rows recorded after the first and until the second are young, Unix milliseconds.

    Raises:
        LogDamaged: What would go does not verify.
    """
    end = min(covered, meta.purged_seq + MAX_ROWS)
    young = db.execute("SELECT min(seq) FROM scan WHERE seq <= ? AND at_ms > ? AND at_ms <= ?", (end, *window))
    first_young = young.fetchone()[0] or end + 1
    old = db.execute("SELECT max(seq) FROM scan WHERE seq < ? AND at_ms <= ?", (first_young, window[0]))
    last = old.fetchone()[0] or meta.purged_seq
    return last if _is_worth_it(db, meta, last) else meta.purged_seq


def entry(rule: Retention, meta: Meta, last: int, moment: Moment) -> Facts:
    """Return what the log states of a purge: `count` entries up to number `refers_to` have gone.

    The head there stays in the log's own row and in the hub's batch, and is signed for in the certificate.
    """
    return Facts(
        EntryType.PURGE,
        moment.unix_ms,
        quality=int(moment.quality),
        trust_version=rule.trust_version,
        policy_version=rule.policy_version,
        count=last - meta.purged_seq,
        refers_to=last,
    )


def certificate(rule: Retention, gone: Span, moment: Moment, receipt: Receipt, key: SigningKey) -> Destruction:
    """Return the certificate of a purge, signed by the device.

    Args:
        rule: The signed retention.
        gone: What went.
        moment: Now.
        receipt: Under which it went.
        key: The device key.
    """
    stated = Destruction(
        destruction.GATE_PURGE,
        destruction.ENTRIES,
        (gone,),
        moment.unix_ms,
        retention_s=rule.retention_s,
        trust_version=rule.trust_version,
        policy_version=rule.policy_version,
        signers=(Signer(destruction.ROLE_GATE, key.verify_key.encode()),),
        receipt_sha256=sha256(receipt.wire).digest(),
    )
    return destruction.make(stated, [key])


def takes_in(former: Destruction, rule: Retention, purged_seq: int, moment: Moment) -> bool:
    """Whether the next certificate can speak for a former one, too: so a gate keeps one a day and not one a purge.

    Of the same log and day, under the same policy, and ending where the next one begins.
    """
    (span,) = former.spans
    is_today = former.at_ms // _DAY_MS == moment.unix_ms // _DAY_MS
    is_alike = (former.policy_version, former.retention_s) == (rule.policy_version, rule.retention_s)
    return is_today and is_alike and span.gate == rule.gate and span.last == purged_seq


def is_sure(moment: Moment) -> bool:
    """Whether a moment can be held against a retention: a clock that may be years ahead would empty the log."""
    return moment.quality is not ClockQuality.DOUBTFUL


def _is_worth_it(db: Database, meta: Meta, last: int) -> bool:
    """Whether anything but an earlier certificate would go: else an idle gate would write one to remove one."""
    found = rows.entries(db, meta, meta.purged_seq + 1, last - meta.purged_seq)
    return any(stated is None or stated.type is not EntryType.PURGE for stated in map(rows.stated_by, found))
