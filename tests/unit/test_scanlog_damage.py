"""A failing card: whatever flips or is cut off, no wrong entry is ever believed and nothing is overwritten."""

import contextlib
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from edge.errors import LedgerError, LogDamaged, LogUnwritable
from edge.model.scan import Entry
from edge.scanlog.connection import PAGE_BYTES
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from tests.simulators.ledger import EPOCH, fill, filled, scan

COUNT = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a closed log of 60 scans: everything in the database, no write-ahead log."""
    path = tmp_path_factory.mktemp("whole") / "scans.db"
    filled(path, COUNT).close()
    return path


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a log as a power cut leaves it: 20 scans in the database, 40 in the write-ahead log."""
    folder = tmp_path_factory.mktemp("live")
    log = filled(folder / "scans.db", 20)
    log._warm()
    fill(log, COUNT - 20)
    left = tmp_path_factory.mktemp("left")
    for name in ("scans.db", "scans.db-wal"):
        shutil.copy(folder / name, left / name)
    log.close()
    return left


@pytest.fixture(scope="module")
def written(whole: Path) -> list[tuple[int, bytes, bytes]]:
    """What stood in the log before anything happened to it."""
    log = ScanLog.open(whole)
    found = stated(log.entries(1, COUNT))
    log.close()
    return found


def stated(entries: list[Entry]) -> list[tuple[int, bytes, bytes]]:
    """Return what is chained of entries."""
    return [(entry.seq, entry.body, entry.head) for entry in entries]


def found_or_refused(path: Path) -> list[tuple[int, bytes, bytes]] | None:
    """Return what a reader and a writer make of a damaged log, or None where one of them refuses it."""
    try:
        reader = ScanLogReader(path)
        reader.verify()
        read = stated(reader.entries(1, COUNT + 1))
        with contextlib.closing(ScanLog.open(path)) as log:
            log.verify()
            assert read == stated(log.entries(1, COUNT + 1))
            assert log.head.epoch == EPOCH
    except LedgerError as refused:
        return None if refused.next_step else pytest.fail("a refusal without a next step")
    return read


def flips(path: Path, every: int) -> list[int]:
    """Return the numbers of bits to flip: all, or a fixed sample of every page."""
    bits = path.stat().st_size * 8
    if every == 1:
        return list(range(bits))
    chosen = random.Random(7)  # a sample, not a secret
    return [
        bit for page in range(0, bits, PAGE_BYTES * 8) for bit in chosen.sample(range(page, page + PAGE_BYTES * 8), 8)
    ]


def walk(whole: Path, folder: Path, written: list[tuple[int, bytes, bytes]], every: int) -> tuple[int, int]:
    """Flip bits one after the other; return how many were refused and how many were harmless."""
    intact, path = whole.read_bytes(), folder / "scans.db"
    refused = harmless = 0
    for bit in flips(whole, every):
        damaged = bytearray(intact)
        damaged[bit // 8] ^= 1 << bit % 8
        for left in folder.iterdir():
            left.unlink()
        path.write_bytes(damaged)
        found = found_or_refused(path)
        # Refused, or read exactly as it was written: never anything else.
        assert found in (None, written), f"bit {bit}"
        refused, harmless = refused + (found is None), harmless + (found is not None)
    return refused, harmless


def test_a_flipped_bit_is_never_believed(whole: Path, tmp_path: Path, written: list[tuple[int, bytes, bytes]]) -> None:
    """In a sample of every page a flip is refused, or hits nothing that is stated."""
    refused, harmless = walk(whole, tmp_path, written, every=8)

    assert refused > 20
    assert harmless > 20  # unused space, tokens


@pytest.mark.long
@pytest.mark.timeout(14_400)
def test_no_flipped_bit_at_all_is_believed(
    whole: Path, tmp_path: Path, written: list[tuple[int, bytes, bytes]]
) -> None:
    """Every single bit of the file, one after the other."""
    refused, harmless = walk(whole, tmp_path, written, every=1)

    print(f"{refused + harmless} bits flipped one by one: {refused} refused, {harmless} without effect, 0 believed")
    assert refused > 1000


def truncated(cut_off: Path, folder: Path, size: int) -> Path:
    """Lay out the log with its write-ahead log cut to `size` bytes."""
    for left in folder.iterdir():
        left.unlink()
    shutil.copy(cut_off / "scans.db", folder / "scans.db")
    (folder / "scans.db-wal").write_bytes((cut_off / "scans.db-wal").read_bytes()[:size])
    return folder / "scans.db"


def sizes(wal: Path, step: int) -> list[int]:
    """Return lengths to cut to, over the part that holds the 40 entries and a little behind it."""
    return [*range(0, min(wal.stat().st_size, 60 * (PAGE_BYTES + 24)), step), wal.stat().st_size]


@pytest.mark.parametrize("step", [997, pytest.param(1, marks=[pytest.mark.long, pytest.mark.timeout(7200)])])
def test_a_truncated_write_ahead_log_leaves_a_whole_beginning(
    cut_off: Path, tmp_path: Path, written: list[tuple[int, bytes, bytes]], step: int
) -> None:
    """Cut anywhere, what is left is exactly the first entries, chained, and the log goes on from there."""
    lengths = set()
    for size in sizes(cut_off / "scans.db-wal", step):
        path = truncated(cut_off, tmp_path, size)
        log = ScanLog.open(path)
        left = stated(log.entries(1, COUNT))
        lengths.add(len(left))

        assert written[: len(left)] == left, f"cut to {size} bytes"
        assert len(left) + 1 == log.append(scan()).seq
        assert log.head == log.verify()
        log.close()

    assert min(lengths) == 20
    assert max(lengths) == COUNT


def test_a_truncated_database_is_refused(whole: Path, tmp_path: Path, written: list[tuple[int, bytes, bytes]]) -> None:
    """A database that lost its end holds fewer entries than it says: it is refused, and never begun anew."""
    path = tmp_path / "scans.db"
    intact = whole.read_bytes()
    for size in (*range(1, 1024, 73), *range(1024, len(intact), 512), len(intact) - 1):
        path.write_bytes(intact[:size])

        assert found_or_refused(path) in (None, written), f"cut to {size} bytes"

        if path.read_bytes() != intact[:size]:
            assert size > len(intact) - 1024  # only free pages were lost


def test_a_flipped_bit_in_the_write_ahead_log_leaves_a_whole_beginning(
    cut_off: Path, tmp_path: Path, written: list[tuple[int, bytes, bytes]]
) -> None:
    """SQLite's frame checksums end the log before the damage; nothing behind it is half believed."""
    intact = (cut_off / "scans.db-wal").read_bytes()
    for bit in random.Random(3).sample(range(30 * (PAGE_BYTES + 24) * 8), 24):
        path = truncated(cut_off, tmp_path, 0)
        damaged = bytearray(intact)
        damaged[bit // 8] ^= 1 << bit % 8
        path.with_name("scans.db-wal").write_bytes(damaged)

        found = found_or_refused(path)

        assert found is not None
        assert written[: len(found)] == found
        assert len(found) >= 20


@pytest.mark.parametrize("content", [b"x" * 5000, b"SQLite format 3\0" + bytes(5000), b"\x00" * 4096, b"S"])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """The gate says what to do and does not write over what may still be read elsewhere."""
    path = tmp_path / "scans.db"
    path.write_bytes(content)

    with pytest.raises(LogDamaged, match=r"scans\.db") as refused:
        ScanLog.open(path)
    with pytest.raises(LogDamaged):
        _ = ScanLogReader(path).head

    assert "Do not delete it" in refused.value.next_step
    assert content == path.read_bytes()


def test_a_log_whose_making_was_cut_short_is_made(tmp_path: Path) -> None:
    """Power went while the file was made: empty, or with nothing but its first page. Nothing was in it."""
    (tmp_path / "empty.db").touch()
    first = sqlite3.connect(tmp_path / "first.db")
    first.execute("PRAGMA page_size = 1024")
    first.execute("PRAGMA journal_mode = WAL")
    first.close()
    for name in ("empty.db", "first.db"):
        assert ScanLogReader(tmp_path / name).head is None

        log = ScanLog.open(tmp_path / name)

        assert log.append(scan()).seq == 1
        log.close()


@pytest.mark.parametrize("left", [None, b""])
def test_a_lost_database_does_not_take_its_write_ahead_log_along(
    cut_off: Path, tmp_path: Path, left: bytes | None
) -> None:
    """SQLite would delete the write-ahead log beside a database that is gone: the newest entries would go, too."""
    wal = tmp_path / "scans.db-wal"
    shutil.copy(cut_off / "scans.db-wal", wal)
    if left is not None:
        (tmp_path / "scans.db").write_bytes(left)
    before = wal.read_bytes()

    for ask in (lambda: ScanLog.open(tmp_path / "scans.db"), lambda: ScanLogReader(tmp_path / "scans.db").head):
        with pytest.raises(LogDamaged, match="still holds entries"):
            ask()

    assert before == wal.read_bytes()


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("UPDATE scan SET body = x'a0' WHERE seq = 30", "entry 30 does not follow"),
        ("UPDATE scan SET head = zeroblob(32) WHERE seq = 30", "entry 30 does not follow"),
        ("DELETE FROM scan WHERE seq = 30", "entry 30 is missing"),
        ("DELETE FROM scan WHERE seq < 30", "entry 1 is missing"),
        ("UPDATE scan SET at_ms = 7 WHERE seq = 30", "time column of entry 30"),
        (
            "UPDATE scan SET seq = 1000 WHERE seq = 30; UPDATE scan SET seq = 30 WHERE seq = 31; "  # noqa: ISC004
            "UPDATE scan SET seq = 31 WHERE seq = 1000",
            "entry 30 does not follow",
        ),
    ],
)
def test_an_edited_log_names_the_entry(whole: Path, tmp_path: Path, sql: str, says: str) -> None:
    """Changed, removed, swapped: verify says where the chain breaks first."""
    path = tmp_path / "scans.db"
    shutil.copy(whole, path)
    stranger = sqlite3.connect(path)
    guards = stranger.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in guards:
        stranger.execute(f"DROP TRIGGER {name}")
    stranger.executescript(sql)
    for _, text in guards:
        stranger.execute(text)
    stranger.commit()
    stranger.close()

    with pytest.raises(LogDamaged, match=says):
        ScanLogReader(path).verify()


def test_a_damaged_entry_is_not_handed_out_to_be_signed(whole: Path, tmp_path: Path) -> None:
    """Pages before the damage are read; the page that holds it is refused, whichever way it is asked for."""
    path = tmp_path / "scans.db"
    shutil.copy(whole, path)
    stranger = sqlite3.connect(path)
    stranger.execute("DROP TRIGGER scan_is_never_edited")
    stranger.execute("UPDATE scan SET body = x'a0' WHERE seq = 30")
    stranger.commit()
    stranger.close()
    reader = ScanLogReader(path)

    assert len(reader.entries(1, 29)) == 29
    for ask in (lambda: reader.entries(30, 1), lambda: reader.entries(1, 40), lambda: reader.latest(31)):
        with pytest.raises(LogDamaged, match="entry 30"):
            ask()


def test_a_log_whose_end_is_damaged_is_not_built_upon(whole: Path, tmp_path: Path) -> None:
    """The end is looked at before anything is appended."""
    path = tmp_path / "scans.db"
    shutil.copy(whole, path)
    stranger = sqlite3.connect(path)
    guard = stranger.execute("SELECT sql FROM sqlite_schema WHERE name = 'scan_is_never_edited'").fetchone()[0]
    stranger.execute("DROP TRIGGER scan_is_never_edited")
    stranger.execute("UPDATE scan SET head = zeroblob(32) WHERE seq = ?", (COUNT,))
    stranger.execute(guard)
    stranger.commit()
    stranger.close()

    with pytest.raises(LogDamaged, match=f"entry {COUNT} does not follow"):
        ScanLog.open(path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    """A gate whose state folder is not there says so."""
    with pytest.raises(LogUnwritable, match="No such file or directory"):
        ScanLog.open(tmp_path / "nowhere" / "scans.db")


def test_a_folder_in_place_of_the_log_is_refused(tmp_path: Path) -> None:
    """Nothing of the operating system's errors leaves the tree."""
    (tmp_path / "scans.db").mkdir()

    with pytest.raises(LogUnwritable):
        ScanLog.open(tmp_path / "scans.db")
    with pytest.raises(LedgerError):
        _ = ScanLogReader(tmp_path / "scans.db").head
