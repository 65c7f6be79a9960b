"""The hub, joined: bytes of gates in, signed bytes out, everything durable before the answer.

HTTP, pages and processes are left to `edge.hub.serve`; what a batch means to `edge.hub.intake`. The clock comes in as
a callable, read once for each request.
"""

import logging
import math
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.codec import cbor
from edge.disk.lockfile import LockFile
from edge.errors import BatchRefused, EnrolmentError, LedgerError
from edge.hub import (
    access,
    cross_gate,
    fleet,
    folder,
    incidents,
    intake,
    opening,
    projection,
    pull,
    roster,
    sequence,
    token_queries,
)
from edge.hub.admission import Admission, Allowance
from edge.hub.declined import NOT_ENROLLED, UNKNOWN_GATE, Declined
from edge.hub.folder import HubConfig, HubFolder, TokenSeed
from edge.hub.readers import Readers
from edge.hub.spool import Spool, empty
from edge.hub.store import Store
from edge.hub.writer import GroupCommit
from edge.ledger import device, enrolment, receipt, tokens
from edge.model.scan import Receipt

Clock = Callable[[], int]
_LOG: Final = logging.getLogger("edge.hub")

SILENT_BEATS: Final = 3
TOKENS_MS: Final = 48 * 3_600_000
"""How long privacy tokens are kept."""
_STATUS_S: Final = 1.0
_FLOW_HOURS: Final = 40 * 24
_SETTLED_STEPS: Final = 64
_TOGETHER: Final = 16
"""Batches handed to the writer at once: bounds what one request holds opened in memory."""
_MAX_MESSAGE: Final = 160
_STRANGERS_A_SECOND: Final = 5.0
_STRANGERS_AT_ONCE: Final = 50.0


def system_clock() -> int:
    """Return Unix milliseconds of this machine's clock."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one batch.

    Attributes:
        gate: The gate it concerns, or `incidents.NOBODY`.
        result: What the hub holds now, or why it was refused.
    """

    gate: bytes
    result: intake.Held | BatchRefused


class Hub:
    """One hub on one folder; `open` it, `close` it.

    Args:
        home: The folder.
        store: Its database, migrated.
        lock: What keeps a second hub out of the folder, closed at the end; None beside a hub that serves it.
        clock: Unix milliseconds.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        home: HubFolder,
        store: Store,
        lock: LockFile | None,
        *,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.home = home
        self._lock = lock
        self.store = store
        self.readers = Readers(store)
        self.clock = clock
        self.monotonic = monotonic
        self.admission = Admission(monotonic)
        self._rules = cross_gate.load(home.path)
        self.spool = Spool(home, store, clock, monotonic)
        self.writer = GroupCommit(store, self._tidy, background=self._background)
        self._seed = TokenSeed(home.path)
        # Anybody may ask: what is counted over all gates is not counted for each who does.
        self._counted: tuple[float, dict[str, Any]] = (-math.inf, {})
        self._strangers = Allowance(monotonic, rate=_STRANGERS_A_SECOND, burst=_STRANGERS_AT_ONCE)

    @classmethod
    def open(cls, path: Path, *, clock: Clock = system_clock, monotonic: Callable[[], float] = time.monotonic) -> "Hub":
        """Open the hub in a folder, ready to take in and answer.

        Args:
            path: The folder.
            clock: Unix milliseconds.
            monotonic: Seconds that never go back.

        Raises:
            ConfigError: It is no hub folder, or a file in it is damaged.
            FolderInUse: Another process serves it.
            LedgerError: The database is missing, damaged or cannot be written.
        """
        home = folder.load(path)
        home.root()
        lock = folder.claim(path)
        try:
            store = Store(home.database)
            store.migrate()
            empty(path)
        except BaseException:
            lock.close()
            raise
        return cls(home, store, lock, clock=clock, monotonic=monotonic)

    @classmethod
    def beside(cls, path: Path, *, clock: Clock = system_clock) -> "Hub":
        """Open the hub in a folder to take in and answer, whether another process serves it or not.

        SQLite's own lock keeps the commits of the two apart; a serving hub sees what was taken in with its next read.

        Raises:
            ConfigError: It is no hub folder, or a file in it is damaged.
            LedgerError: The database is missing, damaged or cannot be written.
        """
        home = folder.load(path)
        store = Store(home.database)
        store.migrate()
        return cls(home, store, None, clock=clock)

    @property
    def config(self) -> HubConfig:
        """What `hub.toml` says."""
        return self.home.config

    @property
    def silent_s(self) -> int:
        """After how many seconds without a heartbeat a gate is called silent."""
        return SILENT_BEATS * self.config.heartbeat_s

    def close(self) -> None:
        """Finish what waits, close the database and let go of the folder; blocks."""
        self.readers.close()
        self.writer.close()
        if self._lock is not None:
            self._lock.close()

    def enrol(self, body: bytes) -> bytes | Declined:
        """Answer a request for enrolment; the signed answer, or why there is none.

        Raises:
            LedgerError: The database cannot be written.
            ConfigError: The token seed or the root cannot be read.
        """
        try:
            request = enrolment.open_request(body)
            roster.check_key(request.public)
        except (LedgerError, EnrolmentError) as bad:
            return Declined(400, "malformed", f"This is no request for enrolment: {bad.message}.", "Update the gate.")
        now_ms = self.clock()
        # Before the token is spent: what cannot be answered must not be used up.
        root = self.home.root()
        place = self.writer.do(lambda connection: roster.enrol(connection, request, now_ms))
        if isinstance(place, str):
            if self._strangers.take():
                _LOG.warning("enrolment refused: %s", NOT_ENROLLED[place].message)
            return NOT_ENROLLED[place]
        _LOG.info("gate %s enrolled at %r, lane %r", device.gate_id(request.public).hex(), place.site, place.lane)
        # Only for whom was invited: a stranger's request must not move the region's key.
        seed = self._seed.of_day(tokens.day_of(now_ms))
        answer = enrolment.EnrolmentAnswer(
            gate=device.gate_id(request.public),
            site=place.site,
            lane=place.lane,
            region=place.region,
            trust_url=self.config.trust_url,
            root=root,
            sealed_seed=enrolment.seal_seed(seed, request.public),
            hub_keys=(self.home.public,),
            heartbeat_s=self.config.heartbeat_s,
            at_ms=now_ms,
        )
        return enrolment.make_answer(answer, self.home.key)

    def heartbeat(self, body: bytes) -> bytes | Declined:
        """Answer a heartbeat; the signed watermark, or why there is none.

        Raises:
            LedgerError: The database cannot be used.
        """
        try:
            named = device.signer_of(body)
        except LedgerError as bad:
            return Declined(400, "malformed", f"This is no heartbeat: {bad.message}.", "Update the gate.")
        with self.readers.reader() as connection:
            gate = roster.by_key_id(connection, named)
        if gate is None or gate.is_retired:
            return UNKNOWN_GATE
        try:
            beat = enrolment.open_heartbeat(body, gate.public)
        except LedgerError as bad:
            return Declined(403, "forged", f"The heartbeat does not hold: {bad.message}.", "Enrol the gate again.")
        if beat.gate != gate.gate or not roster.is_sensible(beat):
            return Declined(400, "malformed", "The heartbeat names impossible values.", "Update the gate.")
        now_ms = self.clock()
        log = self.writer.do(lambda connection: roster.heard(connection, gate, beat, now_ms))
        watermark = enrolment.Watermark(
            gate=gate.gate,
            epoch=beat.epoch,
            last=log.last,
            head=log.head,
            at_ms=now_ms,
            heartbeat_s=self.config.heartbeat_s,
            slot_s=self.admission.slot_s(),
        )
        return enrolment.make_watermark(watermark, self.home.key)

    def take(self, body: bytes) -> bytes | Declined:
        """Take in a CBOR sequence of batches; answers a CBOR list with an item for each, in order.

        `[1, receipt]` where the hub holds the batch, durably; `[0, kind, message]` where it does not.

        Raises:
            LedgerError: The database cannot be used; what was not answered was not kept.
        """
        pieces = sequence.pieces(body)
        if pieces is None:
            way_out = f"Send at most {sequence.MAX_BATCHES}."
            return Declined(413, "too_many", "The post holds too many batches.", way_out)
        answers: list[list[Any]] = []
        for start in range(0, len(pieces), _TOGETHER):
            answers += [self._answer(one.result) for one in self.take_pieces(pieces[start : start + _TOGETHER])]
        return cbor.encode(answers)

    def take_pieces(self, pieces: list[tuple[bytes, Any]]) -> list[Taken]:
        """Take in batches in one commit and return what became of each.

        Args:
            pieces: The bytes of each and the CBOR item in them, None where there is none; all held in memory opened.

        Raises:
            LedgerError: The database cannot be used; nothing of them was kept.
        """
        now_ms = self.clock()
        items: list[opening.Item] = []
        claims: list[bytes] = []
        strangers: list[opening.Stranger] = []
        with self.readers.reader() as connection:
            for piece, value in pieces:
                if isinstance(value, bytes):
                    item, claimed = opening.shown(connection, value, self.home.public)
                else:
                    item, claimed = opening.opened(connection, piece, value, now_ms)
                items.append(item)
                claims.append(claimed)
                if isinstance(item, BatchRefused) and self._strangers.take():
                    strangers.append((claimed, piece, item))
        if strangers or any(isinstance(item, intake.Parcel | Receipt) for item in items):
            taken = self.writer.do(lambda connection: opening.written(connection, items, strangers, now_ms))
        else:
            taken = [item for item in items if isinstance(item, BatchRefused)]
        opening.log_refusals(items, taken)
        return [Taken(*pair) for pair in zip(claims, taken, strict=True)]

    def receipt_of(self, gate: bytes, epoch: bytes) -> bytes:
        """Return the signed receipt for all that the hub holds of a log, no bytes where that is nothing.

        Raises:
            LedgerError: The database cannot be read.
        """
        with self.readers.reader() as connection:
            log = intake.log_named(connection, gate, epoch)
        return self._receipt(intake.Held(gate, epoch, log.last, log.head, log.hub_seq)) if log.row else b""

    def settle(self) -> None:
        """Project what the ledger holds and no row shows yet, a bounded part of it where that is much.

        Raises:
            LedgerError: The database cannot be used.
        """
        for _ in range(_SETTLED_STEPS):
            with self.readers.reader() as connection:
                reached, newest = projection.reach(connection)
            if reached >= newest:
                return
            self.writer.do(projection.step)

    def page(self, reader: access.Reader, peer: str, asked: pull.Asked) -> pull.Page:
        """Return a page of scans, its reading on record.

        Raises:
            LedgerError: The database cannot be used.
        """
        self.settle()
        with self.readers.reader() as connection:
            page = pull.read(connection, asked)
        now_ms = self.clock()
        self.writer.do(lambda connection: pull.record(connection, reader, peer, asked.after, page, now_ms))
        return page

    def tell(
        self,
        reader: access.Reader,
        peer: str,
        what: str,
        tell: Callable[[sqlite3.Connection], tuple[bytes, int]],
    ) -> bytes:
        """Return a document, its reading on record before a byte of it leaves.

        Raises:
            LedgerError: The database cannot be used.
        """
        self.settle()
        with self.readers.reader() as connection:
            text, rows = tell(connection)
        now_ms = self.clock()
        self.writer.do(lambda connection: pull.record_other(connection, reader, peer, pull.Read(what, rows), now_ms))
        return text

    def handed(self, reader: access.Reader, peer: str, what: pull.Read) -> None:
        """Put on record that something is about to leave.

        Raises:
            LedgerError: The database cannot be written.
        """
        now_ms = self.clock()
        self.writer.do(lambda connection: pull.record_other(connection, reader, peer, what, now_ms))

    def ask_token(self, reader: access.Reader, peer: str, question: token_queries.Question) -> Any:
        """File a question which scans were of one pass; what was filed, or `Declined`.

        Raises:
            LedgerError: The database cannot be used.
        """
        self.settle()
        now_ms = self.clock()
        return self.writer.do(lambda connection: token_queries.ask(connection, reader, peer, question, now_ms))

    def approve_token(self, reader: access.Reader, peer: str, number: int) -> Any:
        """Approve a question for another person of the other role; what was approved, or `Declined`.

        Raises:
            LedgerError: The database cannot be used.
        """
        now_ms = self.clock()
        return self.writer.do(lambda connection: token_queries.approve(connection, reader, peer, number, now_ms))

    def answer_token(self, reader: access.Reader, peer: str, number: int) -> Any:
        """Answer an approved question, once: its scans, or `Declined`. Looks before it writes, for looking takes long.

        Raises:
            LedgerError: The database cannot be used.
        """
        self.settle()
        now_ms = self.clock()
        with self.readers.reader() as connection:
            found = token_queries.look(connection, reader, number, now_ms)
            at = (number, found)
            told = self.writer.do(lambda writing: token_queries.answer(writing, reader, peer, at, now_ms))
            if isinstance(told, Declined):
                return told
            return told | {"scans": token_queries.scans(connection, told["scans"])}

    def status(self) -> dict[str, Any]:
        """Return the hub's health in numbers, with nothing secret in them; counted anew once a second at most.

        Raises:
            LedgerError: The database cannot be read.
        """
        counted_at, found = self._counted
        if self.monotonic() - counted_at >= _STATUS_S:
            found = self._count()
            self._counted = (self.monotonic(), found)
        return found

    def _count(self) -> dict[str, Any]:
        with self.readers.reader() as connection:
            states = fleet.gates(connection, self.clock(), self.silent_s)
            held, opened = fleet.ledger_size(connection), incidents.count_open(connection)
        return {
            "status": "ok",
            "name": self.config.name,
            "at": pull.iso(self.clock()),
            "gates": sum(one.state != "retired" for one in states),
            "online": sum(one.state in fleet.PRESENT for one in states),
            "silent": sum(one.state == "silent" for one in states),
            "backlog": sum(one.backlog or 0 for one in states if one.state != "retired"),
            "hub_seq": held,
            "incidents_open": opened,
            "has_trust_root": bool(self.home.root()),
        }

    def _answer(self, taken: intake.Held | BatchRefused) -> list[Any]:
        if isinstance(taken, BatchRefused):
            return [0, taken.kind, str(taken)[:_MAX_MESSAGE]]
        return [1, self._receipt(taken)]

    def _receipt(self, held: intake.Held) -> bytes:
        said = Receipt(held.gate, held.epoch, held.last, held.head, held.hub_seq, self.clock(), "", b"")
        return receipt.make(said, self.home.key).wire

    def _background(self, connection: sqlite3.Connection) -> bool:
        # Rows first: whoever pulls waits for them.
        return projection.step(connection) or cross_gate.step(connection, self._rules, self.clock())

    def _tidy(self, connection: sqlite3.Connection) -> None:
        now_ms = self.clock()
        self.spool.tidy()
        gone = connection.execute("DELETE FROM private WHERE received_ms < ?", (now_ms - TOKENS_MS,)).rowcount
        gone += incidents.strip(connection, now_ms - TOKENS_MS) + cross_gate.forget(connection, now_ms - TOKENS_MS)
        gone += token_queries.forget(connection, now_ms)
        connection.execute("DELETE FROM flow WHERE hour < ?", (now_ms // projection.HOUR_MS - _FLOW_HOURS,))
        if gone:
            # The pages they stood on are overwritten in the database too, not only in the WAL.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
