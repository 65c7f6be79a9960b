"""Which batch goes next, and what a receipt, a refusal or a watermark changes: scan log, `sync.db` and key, joined.

Laws (docs/adr/0011-sync-session.md): a batch is durable before it is sent and keeps its bytes; nothing is let go but
under a receipt whose head is our own; a refused batch is set aside with the reason and the later ones go on. No network
and no clock here: times are arguments.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from nacl.signing import SigningKey

from edge.errors import BatchRefused, LogDamaged, ReceiptRefused
from edge.ledger import batch, chain, device
from edge.ledger.batch import Cut
from edge.ledger.enrolment import Watermark
from edge.model.scan import Entry, Head, Receipt
from edge.sync.session import Demand
from edge.sync.store import Kept, Mark, SyncStore

UNANSWERED: Final = "unanswered"
"""Kind of a batch that never got an answer while the hub answered everything else."""
LEAST_HALVED: Final = 4096
"""Whatever refuses less than this for its size, bytes, means something else."""
_LOG: Final = logging.getLogger("edge.sync")
NO_LOG: Final = Head(bytes(8), 0, chain.GENESIS)


class Log(Protocol):
    """The scan log as the outbox reads it (`edge.scanlog.reader.ScanLogReader`)."""

    @property
    def head(self) -> Head | None:
        """Where the log stands, or None where there is none yet."""

    @property
    def first(self) -> int:
        """Number of the oldest entry that is left."""

    def head_at(self, seq: int) -> bytes | None:
        """Return the chain hash at an entry, or None where the log lacks it."""

    def entries(self, first: int, limit: int) -> list[Entry]:
        """Return at most `limit` entries from number `first` on."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What of this gate's scans the hub does not have.

    Attributes:
        head: Where the log stands.
        backlog: Entries that no receipt covers.
        parked: Those of them that the hub refused.
        needs_mark: Nothing can be cut before the hub says how far it holds the log.
    """

    head: Head
    backlog: int
    parked: int
    needs_mark: bool

    @property
    def demand(self) -> Demand:
        """What there is to do for the session."""
        return Demand(self.backlog - self.parked, self.parked, self.needs_mark)


class Outbox:
    """Scans on their way to the hub.

    Args:
        store: `sync.db`.
        log: The scan log.
        key: The device key.
    """

    def __init__(self, store: SyncStore, log: Log, key: SigningKey) -> None:
        self.store = store
        self._log = log
        self._key = key
        self.gate = device.gate_id(key.verify_key.encode())
        """Gate id, 16 bytes."""
        self._trust: tuple[bytes, tuple[int, int]] = (b"", (0, 0))
        self._is_ours = False
        self._most_bytes = batch.MAX_WIRE
        self.shown = b""
        """Our newest receipt, where the hub lacks what it signed for and we purged; shown before anything goes."""

    def set_trust(self, digest: bytes, versions: tuple[int, int]) -> None:
        """Name the trust snapshot that batches cut from now on were made under."""
        self._trust = (digest, versions)

    def head(self) -> Head:
        """Return where the log stands now, `NO_LOG` before there is one.

        Raises:
            LedgerError: It cannot be read.
        """
        return self._log.head or NO_LOG

    def standing(self) -> Standing:
        """Return what waits.

        Raises:
            LedgerError: The scan log or `sync.db` cannot be read.
        """
        return standing_of(self.store, self.head())

    def next(self, passed_over: frozenset[int] = frozenset()) -> Kept | None:
        """Return the batch to send now, durable, or None where nothing waits.

        Args:
            passed_over: Rows not to send: unanswered ones that were just tried.

        Raises:
            LogDamaged: The log does not lead on from what the hub holds.
            LedgerError: The scan log or `sync.db` cannot be read or written.
        """
        head = self._log.head or NO_LOG
        with self.store.writing():
            self._disown(head)
            mine: list[Kept] = []
            for kept in self.store.batches():
                if kept.epoch == head.epoch:
                    mine.append(kept)
                elif _goes(kept, passed_over):
                    # What an older log left: nothing of it is cut any more.
                    return kept
            mark = self.store.mark(head.epoch)
            return self._next_of_log(head, mark, mine, passed_over) if mark is not None else None

    def everything(self) -> Iterator[Kept]:
        """Give every batch that no receipt covers, refused ones too, older logs first; what is not cut yet is cut.

        Raises:
            LogDamaged: The log does not lead on from what the hub holds.
            LedgerError: The scan log or `sync.db` cannot be read or written.
        """
        head = self.head()
        self._disown(head)
        at = self.store.mark(head.epoch) or self._beginning()
        mine: list[Kept] = []
        for kept in self.store.batches():
            if kept.epoch == head.epoch:
                mine.append(kept)
            else:
                yield kept
        for kept in mine:
            while kept.first > at.last + 1:
                yield (cut := self._cut_once(head, at, kept.first - 1))
                at = Mark(cut.last, cut.head)
            yield kept
            at = Mark(kept.last, kept.head) if kept.last > at.last else at
        while head.seq > at.last:
            yield (cut := self._cut_once(head, at, head.seq))
            at = Mark(cut.last, cut.head)

    def _beginning(self) -> Mark:
        """Return where the log begins: the hub never said how far it holds it, and is given all there is."""
        first = self._log.first
        return Mark(first - 1, self._log.head_at(first - 1) or chain.GENESIS)

    def _cut_once(self, head: Head, at: Mark, last: int) -> Kept:
        with self.store.writing():
            # Another process may have cut there since we looked.
            found = self.store.batch_from(head.epoch, at.last + 1)
            return found if found is not None else self._cut(head, at, last)

    def next_parked(self, passed_over: frozenset[int]) -> Kept | None:
        """Return a refused batch to send again, or None: of each log the oldest, the others follow from it.

        Args:
            passed_over: Rows that were tried in this round.

        Raises:
            LedgerError: `sync.db` cannot be read.
        """
        self._disown(self.head())
        seen: set[bytes] = set()
        for kept in self.store.batches():
            if not kept.kind or kept.epoch in seen:
                continue
            if kept.number not in passed_over:
                return kept
            seen.add(kept.epoch)
        return None

    def settle(self, kept: Kept, receipt: Receipt, taken_ms: int) -> bool:
        """Take the receipt of a batch that was sent; return whether refused ones only waited for it.

        Args:
            kept: The batch.
            receipt: Its receipt, signed by our hub.
            taken_ms: The time, Unix milliseconds.

        Raises:
            ReceiptRefused: It is for another gate, log or head, or does not cover the batch: nothing changes.
            LedgerError: The scan log or `sync.db` cannot be read or written.
        """
        if receipt.epoch != kept.epoch:
            raise ReceiptRefused("the receipt is for another log", kind="other_log")
        if receipt.last < kept.last:
            raise ReceiptRefused("the receipt does not cover the batch", kind="short")
        return self._take(receipt, taken_ms, kept)

    def take(self, receipt: Receipt, taken_ms: int) -> bool:
        """Take a receipt that came by itself, on a stick; return whether refused batches only waited for it.

        Args:
            receipt: Signed by our hub.
            taken_ms: The time, Unix milliseconds.

        Raises:
            ReceiptRefused: It is for another gate, log or head, or says nothing new: nothing changes.
            LedgerError: The scan log or `sync.db` cannot be read or written.
        """
        if receipt.gate != self.gate:
            raise ReceiptRefused("the receipt is for another gate", kind="other_gate")
        batches = [kept for kept in self.store.batches() if kept.epoch == receipt.epoch]
        if not batches and self.head().epoch != receipt.epoch:
            raise ReceiptRefused("the receipt is for another log", kind="other_log")
        mark = self.store.mark(receipt.epoch)
        if mark is not None and receipt.last <= mark.last and not any(kept.last <= receipt.last for kept in batches):
            raise ReceiptRefused("the receipt covers nothing that still waits", kind="old")
        return self._take(receipt, taken_ms)

    def _take(self, receipt: Receipt, taken_ms: int, kept: Kept | None = None) -> bool:
        if receipt.gate != self.gate:
            raise ReceiptRefused("the receipt is for another gate", kind="other_gate")
        if receipt.head != self._own_head(receipt, kept):
            raise ReceiptRefused("the receipt names another head than this gate's log has there", kind="other_head")
        with self.store.writing():
            self.store.settle(receipt, taken_ms)
            mark = self.store.mark(receipt.epoch)
            if mark is None or mark.last < receipt.last:
                self.store.set_mark(receipt.epoch, Mark(receipt.last, receipt.head))
            return any(other.kind == "gap" and other.epoch == receipt.epoch for other in self.store.batches())

    def halve(self, kept: Kept) -> bool:
        """Cut a batch that is too large for the way to the hub in two, from its own bytes; later ones are cut smaller.

        The hub finds by the chain what it may hold of it already.

        Returns:
            Whether it was cut; False where it is too small for that, or not ours to sign.

        Raises:
            LedgerError: `sync.db` cannot be read or written.
        """
        with self.store.writing():
            wire = self.store.wire(kept.number)
            if wire is None or len(wire) < LEAST_HALVED or kept.first == kept.last:
                return False
            try:
                whole = batch.open_batch(wire, self._key.verify_key.encode())
            except BatchRefused:
                # Another key's, or of a later version.
                return False
            self._most_bytes = min(self._most_bytes, len(wire) // 2 + LEAST_HALVED)
            self.store.drop(kept.number)
            head, middle = whole.header.previous_head, (len(whole.entries) + 1) // 2
            for part in (whole.entries[:middle], whole.entries[middle:]):
                cut = Cut(self.gate, kept.epoch, head, whole.header.trust_digest, whole.header.trust_versions)
                head = part[-1].head
                self.store.keep(kept.epoch, part[0].seq, Mark(part[-1].seq, head), batch.make(part, cut, self._key))
        return True

    def learn(self, watermark: Watermark) -> str:
        """Take in how far the hub says it holds the log.

        Returns:
            Empty, or what is wrong: `rollback` (the hub holds more than this log has), `fork` (it holds another log
            under our name), `gap` (it lost entries that are no longer here).

        Raises:
            ReceiptRefused: It speaks of another gate or log.
            LedgerError: The scan log or `sync.db` cannot be read or written.
        """
        head = self._log.head or NO_LOG
        if watermark.gate != self.gate or watermark.epoch not in {head.epoch, NO_LOG.epoch}:
            raise ReceiptRefused("the watermark is for another gate or another log")
        if watermark.epoch == NO_LOG.epoch:
            # Asked before the log began.
            return ""
        ours = self._log.head_at(watermark.last)
        mark = self.store.mark(head.epoch)
        taken = self.store.taken(head.epoch)
        # Only of what is purged here: while the log goes on from where the hub stands, it is simply sent again. And a
        # receipt for the key this gate had before is not ours to show.
        lacks = watermark.last + 1 < self._log.first
        is_shown = taken is not None and lacks and taken.last > watermark.last and self.gate in taken.wire
        self.shown = taken.wire if taken is not None and is_shown else b""
        if ours == watermark.head:
            if mark is None or watermark.last < mark.last:
                # First word of this hub, or it lost what it had (a restored backup): begin where it stands. Being told
                # so falsely costs a repetition and nothing else.
                self.store.set_mark(head.epoch, Mark(watermark.last, watermark.head))
            return ""
        if mark is None:
            # Where the two part is the hub's to find out: it gets all there is, and keeps the evidence.
            self.store.set_mark(head.epoch, self._beginning())
        elif ours is None and watermark.last < self._log.first - 1 and self._beginning().last < mark.last:
            # It lost what is no longer here: it gets what is left.
            self.store.set_mark(head.epoch, self._beginning())
        if watermark.last > head.seq:
            return "rollback"
        return "fork" if ours is not None else "gap"

    def _disown(self, head: Head) -> None:
        """Drop, once, the batches of this log that another key of this device signed: their entries are cut anew.

        A gate that was enrolled under a new key gets no receipt for them, and the hub may not know the old one. No
        receipt covers them, so the log has every entry.
        """
        if self._is_ours:
            return
        with self.store.writing():
            for kept in self.store.batches():
                if kept.epoch == head.epoch and kept.first >= self._log.first and self._is_strange(kept):
                    self.store.drop(kept.number)
        self._is_ours = True

    def _is_strange(self, kept: Kept) -> bool:
        wire = self.store.wire(kept.number)
        try:
            return wire is not None and batch.header_of(wire)[0].gate != self.gate
        except BatchRefused:
            # Of a later version: left to whoever can read it.
            return False

    def _next_of_log(self, head: Head, mark: Mark, mine: list[Kept], passed_over: frozenset[int]) -> Kept | None:
        at = mark
        for kept in mine:
            if kept.first > at.last + 1:
                # The hub lost what stood here: cut anew, before what follows it.
                return self._cut(head, at, kept.first - 1)
            if _goes(kept, passed_over):
                return kept
            at = Mark(kept.last, kept.head)
        return self._cut(head, at, head.seq) if head.seq > at.last else None

    def _cut(self, head: Head, at: Mark, last: int) -> Kept:
        entries = self._log.entries(at.last + 1, min(batch.MAX_ENTRIES, last - at.last))
        if entries and entries[0].seq > at.last + 1:
            # Purged under a receipt that the hub no longer remembers: it gets what is left, and says what it lacks.
            at = Mark(entries[0].seq - 1, self._log.head_at(entries[0].seq - 1) or chain.GENESIS)
            entries = [entry for entry in entries if entry.seq <= last]
        now = self._log.head
        if now is None or now.epoch != head.epoch:
            raise LogDamaged("The scan log was replaced while it was read.", "Nothing to do: it is read again.")
        if not entries or chain.follow(entries, at.head, first=at.last + 1) != entries[-1].head:
            raise LogDamaged(
                f"The scan log lacks entry {at.last + 1}.",
                "Look at it with: edge scans verify. Nothing was sent or removed.",
            )
        for entry in entries:
            if entry.has_lost:
                _LOG.warning("entry %d is sent without its token or sealed field, damaged on the disk", entry.seq)
        cut = Cut(self.gate, head.epoch, at.head, *self._trust)
        wire = batch.make(entries, cut, self._key)
        while len(wire) > self._most_bytes and len(entries) > 1:
            entries = entries[: (len(entries) + 1) // 2]
            wire = batch.make(entries, cut, self._key)
        return self.store.keep(head.epoch, entries[0].seq, Mark(entries[-1].seq, entries[-1].head), wire)

    def _own_head(self, receipt: Receipt, kept: Kept | None) -> bytes | None:
        # The batch itself first: the process beside this one may have let its row go under the same receipt.
        batches = self.store.batches()
        for other in [kept, *batches] if kept is not None else batches:
            if other.epoch == receipt.epoch and other.last == receipt.last:
                return other.head
        head = self._log.head
        return self._log.head_at(receipt.last) if head is not None and head.epoch == receipt.epoch else None


def standing_of(store: SyncStore, head: Head) -> Standing:
    """Return what of a log, and of those before it, the hub does not have.

    Args:
        store: `sync.db`.
        head: Where the log stands, or `NO_LOG`.

    Raises:
        LedgerError: `sync.db` cannot be read.
    """
    mark = store.mark(head.epoch)
    in_batches = parked = of_this_log = 0
    for epoch, entries, refused in store.totals():
        in_batches, parked = in_batches + entries, parked + refused
        of_this_log += entries if epoch == head.epoch else 0
    uncut = head.seq - (mark.last if mark else 0) - of_this_log
    return Standing(head, in_batches + max(0, uncut), parked, needs_mark=mark is None and head is not NO_LOG)


def _goes(kept: Kept, passed_over: frozenset[int]) -> bool:
    # An unanswered one goes before those behind it, always: the hub must not see a gap that we made.
    return kept.number not in passed_over and kept.kind in {"", UNANSWERED}
