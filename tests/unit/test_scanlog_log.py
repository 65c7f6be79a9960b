"""The scan log of a gate and its readers: what is appended is durable, chained, and the same for everybody."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import LogUnwritable, SetupError
from edge.ledger import chain, facts
from edge.model.scan import NOT_SHOWN, EntryType, Facts, Head
from edge.model.verdict import Outcome
from edge.scanlog.connection import WAL_BYTES
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from tests.simulators.ledger import EPOCH, START_MS, fill, filled, head_at, scan, token


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of a log that does not exist yet."""
    return tmp_path / "scans.db"


@pytest.fixture
def log(path: Path) -> Iterator[ScanLog]:
    """A log of ten scans."""
    found = filled(path, 10)
    yield found
    found.close()


def test_a_new_log_is_empty_and_has_a_random_epoch(tmp_path: Path) -> None:
    """Two logs made without an epoch are two logs."""
    heads = []
    for name in ("a.db", "b.db"):
        log = ScanLog.open(tmp_path / name)
        heads.append(log.head)
        log.close()

    assert heads[0].epoch != heads[1].epoch
    assert all(head == Head(head.epoch, 0, chain.GENESIS) and len(head.epoch) == 8 for head in heads)


def test_an_entry_follows_the_one_before_it(log: ScanLog) -> None:
    """Numbers are consecutive and each head is the hash of the previous head and the body."""
    before = log.head

    entry = log.append(scan(10), token=token(10))

    assert before.seq + 1 == entry.seq
    assert chain.next_head(before.head, facts.encode(scan(10))) == entry.head
    assert Head(EPOCH, 11, entry.head) == log.head
    assert entry == log.entries(11, 1)[0]


def test_every_commit_is_synced(log: ScanLog) -> None:
    """The writer is in WAL mode with synchronous=FULL and overwrites what it erases, also after an erasure."""
    log.erase_tokens(START_MS + 5000)
    asked = [
        log._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous", "secure_delete")
    ]

    assert asked == ["wal", 2, 1]


def test_a_log_is_as_it_was_when_it_is_opened_again(path: Path) -> None:
    """Head, epoch and entries outlive the process, and the chain goes on where it stood."""
    log = filled(path, 100)
    head, entries = log.head, log.entries(1, 200)
    log.close()

    again = ScanLog.open(path, epoch=b"another!")

    assert head == again.head
    assert entries == again.entries(1, 200)
    assert head.seq + 1 == again.append(scan()).seq
    assert again.head == again.verify()
    again.close()


def test_entries_are_paged_by_number(log: ScanLog) -> None:
    """A page holds what was asked for and no more; behind the end there is nothing."""
    assert [entry.seq for entry in log.entries(4, 3)] == [4, 5, 6]
    assert [entry.seq for entry in log.entries(9, 3)] == [9, 10]
    assert log.entries(11, 3) == []


def test_a_reader_of_a_log_that_does_not_exist_sees_nothing(path: Path) -> None:
    """The web part may start before the scanner part: nothing is there, nothing is made, nothing is raised."""
    reader = ScanLogReader(path)

    assert (reader.head, reader.entries(1, 10), reader.latest(5), reader.first) == (None, [], [], 1)
    assert reader.counts(0) == {"accept": 0, "refer": 0, "reject": 0}
    assert (reader.head_at(0), reader.head_at(1)) == (chain.GENESIS, None)
    assert list(path.parent.iterdir()) == []
    with pytest.raises(SetupError, match="no scan log"):
        reader.verify()


def test_a_reader_sees_an_entry_as_soon_as_it_is_appended(path: Path, log: ScanLog) -> None:
    """Web and sync read while the scanner part writes."""
    reader = ScanLogReader(path)
    entry = log.append(scan(10), token=token(10), sealed=b"sealed")

    assert log.head == reader.head == reader.verify()
    assert entry == reader.latest(1)[0]
    assert log.entries(1, 20) == reader.entries(1, 20) == reader.latest(20)[::-1]
    assert [log.head_at(seq) for seq in range(13)] == [reader.head_at(seq) for seq in range(13)]


def test_a_reader_cannot_write(path: Path, log: ScanLog) -> None:
    """A page that is taken over by a stranger cannot touch the log."""
    from edge.scanlog.connection import connect_reader

    with connect_reader(path) as db:
        assert db is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("DELETE FROM scan")


def test_a_reader_holds_nothing_open(path: Path, log: ScanLog) -> None:
    """Between two questions a reader has no connection, so it never keeps the write-ahead log from being emptied."""
    reader = ScanLogReader(path)
    assert reader.head is not None

    busy, *_ = log._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    assert not busy


def test_counts_are_of_presentations(path: Path) -> None:
    """A counted entry stands for what it counts; what staff did is no presentation; what lies before is left out."""
    log = ScanLog.open(path)
    log.append(scan(0))
    log.append(scan(10))
    log.append(scan(11, outcome=Outcome.REFER))
    log.append(scan(12, outcome=Outcome.REJECT))
    log.append(Facts(EntryType.UNKNOWN_CODES, START_MS + 13_000, outcome=3, reason="issuer.unknown", count=40))
    log.append(Facts(EntryType.OVERRIDE, START_MS + 14_000, outcome=1, refers_to=3))

    counted = log.counts(START_MS + 5000)

    assert {"accept": 1, "refer": 1, "reject": 41} == counted == ScanLogReader(path).counts(START_MS + 5000)
    log.close()


def test_only_tokens_of_accepted_scans_are_remembered(path: Path) -> None:
    """The repeat rule refers who was let in lately, not who was turned away."""
    log = ScanLog.open(path)
    log.append(scan(1), token=token(1))
    log.append(scan(20), token=token(2))
    log.append(scan(21, outcome=Outcome.REFER), token=token(3))
    log.append(scan(22))
    log.append(scan(23), token=token(4))

    remembered = log.recent_tokens(START_MS + 5000)

    assert [(token(2), START_MS + 20_000), (token(4), START_MS + 23_000)] == remembered
    log.close()


def test_an_accept_that_was_taken_back_is_not_remembered(path: Path) -> None:
    """The gate noted that nobody was shown it; a note of staff, or about another entry, takes nothing back."""
    log = ScanLog.open(path)
    for number in range(1, 5):
        log.append(scan(number), token=token(number))
    log.append(Facts(EntryType.NOTE, START_MS + 5000, refers_to=2, note=NOT_SHOWN))
    log.append(Facts(EntryType.NOTE, START_MS + 5000, refers_to=3, note="other"))
    log.append(Facts(EntryType.NOTE, START_MS + 5000, refers_to=9, note=NOT_SHOWN))
    log.append(scan(6), token=token(2))
    log.append(scan(7), token=token(7))

    remembered = log.recent_tokens(START_MS)

    assert [token(1), token(3), token(4), token(2), token(7)] == [found for found, _ in remembered]
    assert (token(2), START_MS + 6000) in remembered
    log.close()


def test_erasing_tokens_leaves_the_chain(log: ScanLog) -> None:
    """Old tokens go, younger ones and every chained byte stay."""
    before = log.entries(1, 10)

    gone = log.erase_tokens(START_MS + 4000)

    assert gone == 4
    assert [None] * 4 + [token(n) for n in range(4, 10)] == [entry.token for entry in log.entries(1, 10)]
    assert [replace(entry, token=None) for entry in before] == [
        replace(entry, token=None) for entry in log.entries(1, 10)
    ]
    assert log.erase_tokens(START_MS + 4000) == 0
    assert log.head == log.verify()


def test_tokens_that_came_after_an_erasure_go_at_their_time(log: ScanLog) -> None:
    """What an erasure has passed over is not read again, and what is written afterwards is."""
    log.erase_tokens(START_MS + 10**6)
    log.append(scan(10), token=token(10))

    gone = [log.erase_tokens(START_MS + ms) for ms in (10_000, 10_001, 10**6)]

    assert gone == [0, 1, 0]


def test_what_could_not_travel_is_not_written(log: ScanLog) -> None:
    """An entry that no batch could carry is the caller's fault and leaves nothing behind."""
    for facts_, private in (
        (replace(scan(), note="x" * 1100), {}),
        (scan(), {"token": b"short"}),
        (scan(), {"sealed": bytes(4097)}),
        (replace(scan(), duration_ms=-1), {}),
    ):
        with pytest.raises(ValueError, match="entry"):
            log.append(facts_, **private)

    assert log.head.seq == 10
    assert log.head == log.verify()


def test_the_log_is_not_for_everybody_to_read(path: Path, log: ScanLog) -> None:
    """Tokens are in the file: others on the device cannot open any part of it."""
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) & 0o007 for file in path.parent.iterdir()}

    assert modes == {"scans.db": 0, "scans.db-wal": 0, "scans.db-shm": 0, "scans.db.lock": 0}


def test_a_second_writer_is_refused(path: Path, log: ScanLog) -> None:
    """Two gates on one log would fork its chain: the second process is told, the first goes on."""
    opened = "import sys, pathlib; from edge.scanlog.log import ScanLog; ScanLog.open(pathlib.Path(sys.argv[1]))"

    second = subprocess.run([sys.executable, "-c", opened, path], capture_output=True, text=True, check=False)

    assert f"LogUnwritable: Another process ({os.getpid()}) writes the scan log" in second.stderr
    assert log.append(scan()).seq == 11


def test_an_entry_somebody_else_wrote_is_followed(path: Path, log: ScanLog) -> None:
    """What is on disk counts: the append is refused once, then the chain goes on behind the other's entry."""
    body = facts.encode(scan(10))
    head = chain.next_head(log.head.head, body)
    with closing(sqlite3.connect(path)) as stranger, stranger:
        stranger.execute("INSERT INTO scan (seq, at_ms, body, head) VALUES (11, ?, ?, ?)", (scan(10).at_ms, body, head))
    stranger.close()

    with pytest.raises(LogUnwritable, match="another program wrote"):
        log.append(scan(11))

    assert log.append(scan(11)).seq == 12
    assert log.verify().seq == 12


def test_the_database_itself_refuses_to_edit_or_drop_an_entry(path: Path, log: ScanLog) -> None:
    """Not even another program on the file can change what is chained without taking the guards off first."""
    stranger = sqlite3.connect(path)
    for sql in (
        "UPDATE scan SET body = x'00' WHERE seq = 3",
        "UPDATE scan SET head = x'00' WHERE seq = 3",
        "UPDATE scan SET at_ms = 1",
        "UPDATE scan SET token = x'0000000000000000' WHERE seq = 3",
        "DELETE FROM scan WHERE seq = 10",
        "DELETE FROM scan",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            stranger.execute(sql)
    stranger.close()

    assert log.head == log.verify()


def test_the_write_ahead_log_has_its_length_from_the_start_and_keeps_it(path: Path, log: ScanLog) -> None:
    """Commits go into blocks that exist, and 3000 entries without one idle moment do not let it grow."""
    wal = path.with_name("scans.db-wal")
    sizes = {wal.stat().st_size}
    log._db.execute("PRAGMA synchronous = OFF")  # the size is the point here, not the disk
    for _ in range(6):
        fill(log, 500)
        sizes.add(wal.stat().st_size)

    assert max(sizes) <= WAL_BYTES
    assert min(sizes) > WAL_BYTES * 0.99


def test_a_checkpoint_leaves_the_log_as_it_was(path: Path, log: ScanLog) -> None:
    """Copying the write-ahead log back changes no entry, and the database then holds what was only there."""
    log._db.execute("PRAGMA synchronous = OFF")
    fill(log, 400)
    before = path.stat().st_size

    log.checkpoint()

    assert path.stat().st_size > before
    assert log.verify().seq == 410
    assert log.append(scan()).seq == 411


def test_a_log_that_was_removed_under_the_gate_takes_nothing(path: Path, log: ScanLog) -> None:
    """An entry in a file that no folder names is lost: the gate stops admitting, until the file is back."""
    aside = path.with_name("aside.db")
    path.rename(aside)
    with pytest.raises(LogUnwritable, match=r"moved, removed or replaced|No such file"):
        log.checkpoint()
    with pytest.raises(LogUnwritable):
        log.append(scan())

    aside.rename(path)
    log.checkpoint()

    assert log.append(scan()).seq == 11


def test_reading_goes_on_while_a_log_is_moved_aside_and_begun_anew(path: Path) -> None:
    """A reader meets the new log, with its own epoch, without being started again."""
    reader = ScanLogReader(path)
    log = filled(path, 3)
    assert (reader.head or log.head).seq == 3
    log.close()
    path.rename(path.with_name("aside.db"))

    assert reader.head is None
    again = ScanLog.open(path)

    assert again.head == reader.head
    assert again.head.epoch != EPOCH
    again.close()


def test_the_chain_hash_is_known_at_every_entry(log: ScanLog) -> None:
    """Receipts and batches name heads of earlier entries."""
    assert log.head_at(0) == chain.GENESIS
    assert log.head == head_at(log, 10)
    assert log.head_at(11) is None


def test_opening_does_not_leak(path: Path) -> None:
    """A log that is refused leaves no descriptor and no lock behind."""
    path.write_bytes(b"this is no database at all, but long enough to be taken for one" * 100)
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(3):
        with pytest.raises(Exception, match="damaged"):
            ScanLog.open(path)

    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_entries_appended_together_are_durable_with_one_commit(path: Path, log: ScanLog) -> None:
    """A reader sees none of them before the block ends, and all of them afterwards, chained as always."""
    reader = ScanLogReader(path)
    with log.together():
        for number in range(10):
            log.append(scan(number), token=token(number))
        seen = reader.head

    assert seen is not None
    assert (seen.seq, log.head.seq) == (10, 20)
    assert log.head == reader.head == log.verify()


def test_of_entries_that_are_appended_together_all_are_there_or_none(path: Path, log: ScanLog) -> None:
    """One that cannot be written, and whatever else ends the block, leaves the log as it was, and it goes on."""
    before = log.head
    full = "CREATE TEMP TRIGGER full BEFORE INSERT ON main.scan WHEN NEW.seq = 13 BEGIN SELECT RAISE(ABORT, ''); END"
    log._db.execute(full)

    def five(ends: type[Exception] | None = None) -> None:
        with log.together():
            fill(log, 5)
            if ends is not None:
                raise ends

    with pytest.raises(LogUnwritable):
        five()
    assert before == log.head == log.verify()

    log._db.execute("DROP TRIGGER full")
    with pytest.raises(ZeroDivisionError):
        five(ZeroDivisionError)
    assert before == log.head == log.verify()

    five()
    assert log.head.seq == before.seq + 5
    assert log.head == log.verify() == ScanLogReader(path).head
