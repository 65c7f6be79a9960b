"""The scan log of a gate: the one writer. An entry is durable when `append` returns (ADR 0001, ADR 0007).

SQLite in WAL mode with every commit synced; entries are chained by SHA-256. What an entry states and how it is hashed
is `edge.ledger`; whether one is written at all is the line's and `edge.scanlog.flood`'s; other processes read through
`edge.scanlog.reader`. Used from one thread.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from nacl.signing import SigningKey
from sqlite_utils import Database

from edge.disk import durable
from edge.disk.lockfile import LockFile
from edge.errors import LedgerError, LogDamaged, LogUnwritable
from edge.ledger import chain, device, facts
from edge.ledger.destruction import Destruction, Span
from edge.ledger.tokens import TOKEN_BYTES
from edge.model.moment import Moment
from edge.model.scan import Entry, Facts, Head
from edge.scanlog import connection, retention, rows, schema
from edge.scanlog.retention import Retention

MAX_SEALED: Final = 4096
"""Longest sealed field, bytes; a batch carries no longer one."""
_TAIL: Final = 64
_BUSY_MS: Final = 50
_DUE: Final = connection.WAL_FRAMES // 4
_INSERT: Final = (
    "INSERT INTO scan (seq, at_ms, body, head, token, sealed, token_crc, sealed_crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class ScanLog:
    """The gate's append-only record; make it with `ScanLog.open`."""

    def __init__(self, path: Path, db: Database, lock: LockFile) -> None:
        self._path = path
        self._db = db
        self._lock = lock
        self._meta = schema.Meta(0, 0, b"")
        self._seq, self._top = 0, chain.GENESIS
        self._file = (0, 0)
        self._is_displaced = False
        self._unsaved = 0
        self._is_cold = True
        self._erased = 0

    @classmethod
    def open(cls, path: Path, *, epoch: bytes | None = None) -> Self:
        """Return the log at `path` for writing; it is made where there is none, and migrated where it is older.

        Args:
            path: The database file, on a local file system.
            epoch: Epoch of a log that is made now, 8 bytes; random where None.

        Raises:
            LogDamaged: What is there does not verify; it was left as it is.
            LogUnwritable: It cannot be written here, or another process writes it.
            SetupError: A newer version of this program made it.
        """
        if epoch is not None and len(epoch) != schema.EPOCH_BYTES:
            raise ValueError("an epoch has 8 bytes")
        lock = connection.take_lock(path)
        try:
            log = cls(path, connection.connect_writer(path), lock)
        except BaseException:
            lock.close()
            raise
        try:
            log._start(epoch or secrets.token_bytes(schema.EPOCH_BYTES))
        except BaseException:
            log.close()
            raise
        return log

    def _start(self, epoch: bytes) -> None:
        with self._translating(connection.refused):
            self._meta = schema.migrate(self._db, self._path, epoch)
            # A synced file that no folder names is gone after a power cut.
            durable.sync_folder(self._path.parent)
            self._stand_here()
            self._warm_or_later()

    def _stand_here(self) -> None:
        self._file = _file_at(self._path)
        self._stand_at(rows.head_of(self._db, self._meta))
        # The end that will be built upon; the whole chain is walked by `verify`.
        rows.latest(self._db, self._meta, _TAIL)
        # At start another process may be reading the write-ahead log in; later on a person may be waiting.
        self._db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}").fetchall()

    def reopen(self) -> None:
        """Open the log anew by its path, after its disk refused: once checked and mounted again, it is another file.

        What is there has to be this log with everything that was acknowledged; an entry whose commit was refused may
        be there after all, and then counts. Nothing is made, migrated or made longer, and until the new connection
        stands the old one is kept, for what can still be read.

        Raises:
            LogUnwritable: It cannot be written, or what is there is not this log.
            LogDamaged: What is there does not verify.
        """
        if not self._path.exists():
            raise self._displaced()
        former, held = (self._db, self._lock, self._file), self.head
        with self._translating(connection.unwritable):
            is_same = self._lock.is_at(connection.lock_of(self._path))
        lock = self._lock if is_same else connection.take_lock(self._path)
        try:
            self._db, self._lock = connection.connect_writer(self._path), lock
            with self._translating(connection.refused):
                self._follow_on(held)
        except BaseException:
            lost = self._db
            self._db, self._lock, self._file = former
            self._stand_at(held)
            if lost is not self._db:
                lost.close()
            if lock is not self._lock:
                lock.close()
            raise
        former[0].close()
        if former[1] is not self._lock:
            former[1].close()
        self._is_displaced, self._is_cold = False, True

    def _follow_on(self, held: Head) -> None:
        """Stand at the end of what is there now, if it goes on from what was held."""
        found = schema.read_meta(self._db, self._path)
        if (
            found is None
            or (found.schema, found.epoch) != (self._meta.schema, held.epoch)
            or rows.head_at(self._db, found, held.seq) != held.head
        ):
            raise self._displaced()
        self._meta = found
        self._stand_here()

    @property
    def head(self) -> Head:
        """Where the log stands."""
        return Head(self._meta.epoch, self._seq, self._top)

    def append(self, stated: Facts, *, token: bytes | None = None, sealed: bytes | None = None) -> Entry:
        """Write one entry and return it; it survives a power cut from then on.

        Args:
            stated: What the entry states.
            token: Privacy token, 8 bytes, or None.
            sealed: Personal fields sealed to the auditor's key, or None.

        Raises:
            LogUnwritable: It could not be made durable. The log is as it was, and the next append may succeed.
            ValueError: The entry is longer than a batch could carry: a fault of the caller.
        """
        body = facts.encode(stated)
        if (
            len(body) > facts.MAX_BODY
            or (token is not None and len(token) != TOKEN_BYTES)
            or (sealed is not None and len(sealed) > MAX_SEALED)
        ):
            raise ValueError("an entry has at most 1024 bytes, a token of 8 bytes and a sealed field of 4096")
        seq, head = self._seq + 1, chain.next_head(self._top, body)
        if self._is_displaced:
            raise self._displaced()
        try:
            # A single statement is its own transaction: two round trips to SQLite less than BEGIN and COMMIT.
            crcs = (rows.checksum(seq, token), rows.checksum(seq, sealed))
            self._db.execute(_INSERT, (seq, stated.at_ms, body, head, token, sealed, *crcs))
        except sqlite3.Error as bad:
            self._roll_back()
            if isinstance(bad, sqlite3.IntegrityError):
                # Somebody else wrote this number; what is on disk counts, and the next entry follows that.
                with self._translating(connection.unwritable):
                    self._stand_at(rows.head_of(self._db, self._meta))
            raise connection.unwritable(bad, self._path) from bad
        self._seq, self._top = seq, head
        self._unsaved += 1
        return Entry(seq, body, head, token, sealed)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Make all entries that are appended inside durable with one sync, when the block ends: all of them or none.

        Until then nothing of them may be shown as recorded.

        Raises:
            LogUnwritable: They could not be made durable. The log is as it was before the block.
        """
        before = self.head
        with self._translating(connection.unwritable):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._stand_at(before)
                self._roll_back()
                raise

    def _stand_at(self, head: Head) -> None:
        self._seq, self._top = head.seq, head.head

    def entries(self, first: int, limit: int) -> list[Entry]:
        """Return at most `limit` entries from number `first` on, oldest first; purged ones are passed over.

        Raises:
            LogDamaged: One of them does not follow the one before it.
        """
        with self._translating(connection.refused):
            return rows.entries(self._db, self._meta, first, limit)

    def head_at(self, seq: int) -> bytes | None:
        """Return the chain hash at an entry, or None where the log does not hold it."""
        with self._translating(connection.refused):
            return rows.head_at(self._db, self._meta, seq)

    def recent_tokens(self, since_ms: int) -> list[tuple[bytes, int]]:
        """Return (token, Unix milliseconds) of every accepted scan since a moment that stands, oldest first."""
        with self._translating(connection.refused):
            return rows.accepted_tokens(self._db, since_ms)

    def counts(self, since_ms: int) -> dict[str, int]:
        """Return how many presentations were answered `accept`, `refer` and `reject` since a moment."""
        with self._translating(connection.refused):
            return rows.counts(self._db, since_ms)

    def certificates(self) -> list[Destruction]:
        """Return what this gate signed for when rows went, oldest first, verified."""
        with self._translating(connection.refused):
            return rows.certificates(self._db, self._meta)

    def verify(self) -> Head:
        """Walk the whole chain and return where it stands.

        Raises:
            LogDamaged: It names the first entry that does not hold.
        """
        with self._translating(connection.refused):
            schema.check_tables(self._db, self._meta, self._path)
            return rows.walk(self._db, self._meta)

    def erase_tokens(self, before_ms: int) -> int:
        """Erase the tokens of entries older than a moment and return how many went; what is chained stays.

        Raises:
            LogUnwritable: They could not be erased; the log is as it was.
        """
        with self._translating(connection.unwritable):
            gone = self._db.execute(
                "UPDATE scan SET token = NULL WHERE seq > ? AND token IS NOT NULL AND at_ms < ?",
                (self._erased, before_ms),
            ).rowcount
            # Up to there no entry will ever have a token again: next time they are not read on the thread of the line.
            (first,) = self._db.execute(
                "SELECT min(seq) FROM scan WHERE seq > ? AND token IS NOT NULL", (self._erased,)
            ).fetchone()
            self._erased = self._seq if first is None else first - 1
            if gone:
                self._warm_or_later()
        return gone

    def purge(self, receipts: Sequence[bytes], rule: Retention, moment: Moment, *, key: SigningKey) -> Facts | None:
        """Remove rows that a receipt covers and whose signed retention has passed, and leave a certificate.

        Every receipt is verified here again. An entry that tells of it is appended, the certificate signed, the
        chain's start moved and the rows removed in one transaction; what is left verifies from there. At most 2000
        rows go at once.

        Args:
            receipts: What the hub answered, as it was signed; any bytes.
            rule: The signed retention and whose receipts count.
            moment: Now; a doubtful one removes nothing.
            key: The device key, of the gate that the rule names.

        Returns:
            What the entry states that was appended, or None where nothing may go.

        Raises:
            LogUnwritable: It could not be written; the log is as it was.
            LogDamaged: What would go does not verify, and stays as evidence.
            ValueError: The key is another gate's.
        """
        if device.gate_id(key.verify_key.encode()) != rule.gate:
            raise ValueError("a gate's purge is signed by its own key")
        if not retention.is_sure(moment):
            return None
        with self._translating(connection.refused):
            receipt = retention.furthest(receipts, rule, self._meta.epoch, self.head_at)
            covered = receipt.last if receipt is not None else 0
            last = retention.last_to_go(self._db, self._meta, covered, rule.window(moment))
            kept = rows.head_at(self._db, self._meta, last)
        if last <= self._meta.purged_seq or receipt is None:
            return None
        if kept is None:
            raise LogDamaged(f"Entry {last} of the scan log {self._path} is missing.", schema.ASIDE)
        stated = retention.entry(rule, self._meta, last, moment)
        old = self._meta
        gone = self._span(rule, moment, Head(old.epoch, last, kept))
        signed = retention.certificate(rule, gone, moment, receipt, key)
        with self._translating(connection.unwritable):
            self._remove(schema.Meta(old.schema, old.needs, old.epoch, last, kept), stated, signed)
            self._warm_or_later()
        return stated

    def _span(self, rule: Retention, moment: Moment, last: Head) -> Span:
        """Return what the next certificate speaks for: what goes now, and what went earlier today."""
        old = self._meta
        with self._translating(connection.refused):
            former = rows.newest_certificate(self._db)
        if former is not None and retention.takes_in(former, rule, old.purged_seq, moment):
            return replace(former.spans[0], last=last.seq, head=last.head)
        return Span(rule.gate, old.epoch, old.purged_seq + 1, last.seq, old.purged_head, last.head)

    def _remove(self, meta: schema.Meta, stated: Facts, signed: Destruction) -> None:
        with self.together():
            seq = self.append(stated).seq
            self._db.execute("INSERT INTO certificate (seq, wire) VALUES (?, ?)", (seq, signed.wire))
            if signed.count > stated.count:
                self._db.execute(
                    "DELETE FROM certificate WHERE seq = (SELECT max(seq) FROM certificate WHERE seq < ?)", (seq,)
                )
            schema.write_meta(self._db, meta)
            self._db.execute("DELETE FROM scan WHERE seq <= ?", (meta.purged_seq,))
        self._meta = meta

    def checkpoint(self) -> None:
        """Copy the write-ahead log into the database, if it is worth it; for moments in which nobody waits.

        Where this is never called SQLite does it in the commit that fills the write-ahead log (1 MiB).

        Raises:
            LogUnwritable: The database could not be written, or is not where it was; nothing is lost.
        """
        with self._translating(connection.unwritable):
            # What is written into a file that no folder names any more, nobody will ever find.
            self._is_displaced = not self._path.exists() or _file_at(self._path) != self._file
            if self._is_displaced:
                raise self._displaced()
            if self._is_cold:
                self._is_cold = not self._warm()
            elif self._unsaved >= _DUE:
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._unsaved = 0

    def close(self) -> None:
        """Let go of the log; every entry is durable already. A second call does nothing."""
        self._db.close()
        self._lock.close()

    def _warm_or_later(self) -> None:
        """Warm the write-ahead log, or leave it to the next `checkpoint`, which says what is wrong.

        With a full disk or a reader in between, what is there can still be read and may still take entries.
        """
        self._is_cold = True
        with suppress(sqlite3.OperationalError):
            self._is_cold = not self._warm()

    def _warm(self) -> bool:
        """Give the write-ahead log its full length, holding nothing but filling, and say whether it has.

        A commit into blocks that exist syncs data alone; one that makes the file longer waits for the file system's
        own journal, too. And what was erased from the database is then gone from here.
        """
        # Everything is in the database, and synced, before a commit is made that is not.
        busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            return False
        self._db.execute("PRAGMA synchronous = OFF")
        try:
            for number in range(connection.WAL_FRAMES - 1):
                self._db.execute("UPDATE warm SET n = ?", (number,))
        finally:
            self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._unsaved = 0
        return True

    def _roll_back(self) -> None:
        if self._db.conn.in_transaction:
            self._db.execute("ROLLBACK")

    def _displaced(self) -> LogUnwritable:
        return LogUnwritable(
            f"The scan log {self._path} was moved, removed or replaced while the gate ran.",
            "Put it back, or start the gate again: systemctl restart edge-scanner.",
        )

    @contextmanager
    def _translating(self, ours: Callable[[BaseException, Path], LedgerError]) -> Iterator[None]:
        try:
            yield
        except connection.FOREIGN as bad:
            self._roll_back()
            raise ours(bad, self._path) from bad


def _file_at(path: Path) -> tuple[int, int]:
    """Return device and number of the file that a path names: both, for a copy of a disk has the same numbers."""
    found = path.stat()
    return found.st_dev, found.st_ino
