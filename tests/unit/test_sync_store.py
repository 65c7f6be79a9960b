"""`sync.db`: durable, private, whole or set aside; and the receipts in it, which alone let rows go."""

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import LogDamaged, LogUnwritable, ReceiptRefused
from edge.ledger import batch, chain, receipt
from edge.ledger.enrolment import Watermark
from edge.model.scan import Receipt
from edge.sync.outbox import Outbox
from edge.sync.service import open_store
from edge.sync.store import Kept, Mark, SyncStore, read_receipt
from tests.simulators.hub import AT_MS, ModelHub
from tests.simulators.sync_gate import KEY, SyncGate

EPOCH = b"epoch--1"


@pytest.fixture
def gate(tmp_path: Path) -> SyncGate:
    """Return a gate with six entries, one batch cut and not sent."""
    gate = SyncGate(ModelHub(), tmp_path / "sync.db")
    gate.log.add(6)
    gate.outbox.learn(Watermark(gate.id, gate.log.epoch, 0, chain.GENESIS, AT_MS, 30, 0))
    return gate


def cut(gate: SyncGate) -> Kept:
    """Return the batch that is due."""
    kept = gate.outbox.next()
    assert kept is not None
    return kept


def signed(at: SyncGate, kept: Kept, **changes: object) -> Receipt:
    """Return a receipt of the gate's hub for a batch, with fields changed before it is signed."""
    held = Receipt(at.id, kept.epoch, kept.last, kept.head, kept.last, AT_MS, "", b"")
    return receipt.make(replace(held, **changes), at.hub.key)  # type: ignore[arg-type]  # a test's own words


def test_it_is_for_its_owner_alone(gate: SyncGate) -> None:
    """Batches hold privacy tokens: nobody else reads the file or its parts."""
    cut(gate)

    modes = {part.name: stat.S_IMODE(part.stat().st_mode) for part in gate.path.parent.glob("sync.db*")}

    assert modes == dict.fromkeys(["sync.db", "sync.db-wal", "sync.db-shm"], 0o600)


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """Write-ahead log and full synchronisation: what was cut survives a power cut."""
    store = SyncStore(tmp_path / "sync.db")

    assert store._db.conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert store._db.conn.execute("PRAGMA synchronous").fetchone()[0] == 2
    store.close()


def test_a_cut_is_kept_before_it_is_handed_out(gate: SyncGate) -> None:
    """Another process, or this one after a crash, finds the batch that may be on its way, byte by byte."""
    wire = gate.store.wire(cut(gate).number)

    other = SyncStore(gate.path)

    assert [other.wire(kept.number) for kept in other.batches()] == [wire]
    other.close()


def test_two_processes_cut_one_batch(gate: SyncGate) -> None:
    """`edge sync push` beside the running part hands out the same batch, not another of the same entries."""
    other = SyncStore(gate.path)
    theirs = Outbox(other, gate.log, KEY).next()

    assert theirs == cut(gate)
    other.close()


def test_a_receipt_lets_the_batch_go_and_moves_the_mark(gate: SyncGate) -> None:
    """Under a receipt that holds, the batch is the hub's."""
    kept = cut(gate)

    gate.outbox.settle(kept, signed(gate, kept), AT_MS)

    assert gate.store.batches() == []
    assert gate.store.mark(gate.log.epoch) == Mark(6, gate.log.all[-1].head)
    assert gate.waiting == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"gate": bytes(16)},
        {"epoch": b"another!"},
        {"head": bytes(32)},
        {"last": 5},
        {"last": 7},
        {"last": 2**52},
        {"last": 0, "head": bytes(32)},
    ],
    ids=["gate", "epoch", "head", "short", "beyond", "far beyond", "nothing"],
)
def test_a_receipt_for_anything_else_changes_nothing(gate: SyncGate, changes: dict[str, object]) -> None:
    """Our hub's true signature under another gate, log, head or number lets nothing go."""
    kept = cut(gate)

    with pytest.raises(ReceiptRefused):
        gate.outbox.settle(kept, signed(gate, kept, **changes), AT_MS)

    assert gate.store.batches() == [kept]
    assert gate.store.mark(gate.log.epoch) == Mark(0, chain.GENESIS)
    assert read_receipt(gate.path, gate.log.epoch) is None


def test_a_receipt_further_on_covers_what_our_log_proves(gate: SyncGate) -> None:
    """A receipt for a later head that is our log's own covers the batches before it, parked ones too."""
    first = cut(gate)
    gate.store.park(first.number, "malformed", "", AT_MS)
    gate.log.add(4)
    second = cut(gate)

    gate.outbox.settle(second, signed(gate, second), AT_MS)

    assert gate.store.batches() == []


def test_the_newest_receipt_is_read_beside_the_writer(gate: SyncGate) -> None:
    """The scanner part reads the receipt as the hub signed it, and an older one never replaces it."""
    old = cut(gate)
    older = signed(gate, old)
    gate.outbox.settle(old, older, AT_MS)
    gate.log.add(3)
    new = cut(gate)
    newer = signed(gate, new)
    gate.outbox.settle(new, newer, AT_MS + 5)
    with gate.store.writing():
        gate.store.settle(older, AT_MS + 9)

    assert read_receipt(gate.path, gate.log.epoch) == newer.wire
    assert read_receipt(gate.path, b"no epoch") is None
    assert read_receipt(gate.path.with_name("none.db"), EPOCH) is None
    assert gate.store.last_push_ms() == AT_MS + 5


def test_a_step_that_fails_leaves_nothing_of_itself(gate: SyncGate) -> None:
    """What is written together is kept together or not at all."""

    def broken_off() -> None:
        with gate.store.writing():
            gate.store.set_mark(EPOCH, Mark(5, bytes(32)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()

    assert gate.store.mark(EPOCH) is None


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\0" + b"\xff" * 4080])
def test_a_damaged_file_is_named_and_never_deleted(tmp_path: Path, content: bytes) -> None:
    """A file that is no database is met with its name; the sync part sets it aside and goes on."""
    path = tmp_path / "sync.db"
    path.write_bytes(content)
    with pytest.raises(LogDamaged, match=r"sync\.db"):
        SyncStore(path)

    store, aside = open_store(path)

    assert aside == "sync.db.damaged-1"
    assert (tmp_path / aside).read_bytes() == content
    assert store.batches() == []
    store.close()


def test_a_page_that_lost_its_bytes_is_found_at_the_start(gate: SyncGate) -> None:
    """Damage in the middle is met when the part starts, not when a batch is needed."""
    gate.log.add(3000)
    while (kept := gate.outbox.next()) is not None:
        gate.store.park(kept.number, "malformed", "", AT_MS)
    gate.store.close()
    content = bytearray(gate.path.read_bytes())
    content[8192:12288] = bytes(4096)
    gate.path.write_bytes(content)

    with pytest.raises(LogDamaged):
        SyncStore(gate.path)


def test_a_database_that_is_only_being_made_is_none_yet(tmp_path: Path) -> None:
    """A reader may come between the file and its tables, and a killed part may have left it so: it is not damaged."""
    path = tmp_path / "sync.db"
    for made in ("", "PRAGMA journal_mode = WAL", "CREATE TABLE _sqlite_migrations (id INTEGER PRIMARY KEY)"):
        with closing(sqlite3.connect(path)) as other:
            other.execute(made)

        assert SyncStore.reader(path) is None
        assert read_receipt(path, b"epoch-01") is None


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Tables of other names are damage with a name, not a crash."""
    with closing(sqlite3.connect(tmp_path / "sync.db")) as connection, connection:
        connection.execute("CREATE TABLE receipt (a)")
    connection.close()

    with pytest.raises((LogDamaged, LogUnwritable), match=r"sync\.db"):
        SyncStore(tmp_path / "sync.db")


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    """What cannot be made says why."""
    with pytest.raises(LogUnwritable, match="No such file"):
        SyncStore(tmp_path / "none" / "sync.db")


def test_a_full_disk_stops_the_cut_and_loses_nothing(gate: SyncGate) -> None:
    """A batch that cannot be kept is not handed out; when there is room it is."""
    gate.log.add(400, sealed_bytes=1000)
    connection = gate.store._db.conn
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LogUnwritable, match="full"):
        gate.outbox.next()
    assert gate.store.batches() == []

    connection.execute("PRAGMA max_page_count = 100000")

    assert batch.header_of(gate.store.wire(cut(gate).number) or b"")[0].first == 1


def test_a_full_disk_is_said_and_tried_again(gate: SyncGate) -> None:
    """The pusher goes on with heartbeats, says what is wrong, and pushes when there is room."""
    gate.log.add(400, sealed_bytes=1000)
    connection = gate.store._db.conn
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    gate.run(60)
    assert gate.pusher.trouble is not None
    assert "full" in str(gate.pusher.trouble)
    assert len(gate.hub.beats) >= 2

    connection.execute("PRAGMA max_page_count = 100000")
    gate.run(30)

    assert gate.is_whole
    assert gate.pusher.trouble is None


def test_a_log_that_misses_an_entry_is_not_signed(gate: SyncGate) -> None:
    """The gate never puts its signature under a log that does not follow: it stops pushing and says so."""
    del gate.log.all[2]
    gate.log.all[2:] = [replace(entry, seq=entry.seq - 1) for entry in gate.log.all[2:]]

    with pytest.raises(LogDamaged):
        gate.outbox.next()

    assert gate.store.batches() == []
