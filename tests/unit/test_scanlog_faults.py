"""Disks that refuse: the append that failed leaves the log as it was, and the next one works again."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.errors import LedgerError, LogUnwritable
from edge.scanlog.log import ScanLog
from edge.scanlog.reader import ScanLogReader
from tests.simulators.ledger import START_MS, fill, filled, scan, token

AS_ROOT = os.geteuid() == 0


@contextlib.contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let the kernel refuse to write beyond `size` bytes of any file (EFBIG), as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def append_until_refused(log: ScanLog, limit: int = 5000) -> LogUnwritable:
    """Append until the log refuses and return the refusal."""
    for _ in range(limit):
        before = log.head
        try:
            log.append(scan(before.seq), token=token(before.seq))
        except LogUnwritable as refused:
            assert before == log.head
            return refused
    pytest.fail("nothing was refused")


def test_a_refused_write_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    """The kernel refuses in the middle of a commit: head, entries and readers stay, the next append goes through."""
    log = filled(tmp_path / "scans.db", 10)
    with files_at_most(20_000):
        refused = append_until_refused(log)
        head = log.head
        with pytest.raises(LogUnwritable):
            log.append(scan())
        assert head == log.head == ScanLogReader(tmp_path / "scans.db").head == log.verify()

    assert refused.next_step
    assert head.seq + 1 == log.append(scan()).seq
    assert log.head == log.verify()
    log.close()
    again = ScanLog.open(tmp_path / "scans.db")
    assert head.seq + 1 == again.verify().seq
    again.close()


def test_a_sealed_field_that_does_not_fit_leaves_nothing_half_written(tmp_path: Path) -> None:
    """A commit of many pages is refused after some of them were written."""
    log = filled(tmp_path / "scans.db", 10)
    with files_at_most(15_000), pytest.raises(LogUnwritable):
        log.append(scan(), sealed=bytes(4096))

    assert log.verify().seq == 10
    assert log.append(scan(), sealed=bytes(4096)).seq == 11
    log.close()


def test_a_database_that_may_not_grow_keeps_entries_in_the_write_ahead_log(tmp_path: Path) -> None:
    """While the database is refused every page, what is acknowledged stays; afterwards the log is whole."""
    log = filled(tmp_path / "scans.db", 10)
    pages = log._db.execute("PRAGMA page_count").fetchone()[0]
    log._db.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    refused = append_until_refused(log)
    head = log.head

    log._db.execute("PRAGMA max_page_count = 1000000").fetchall()

    assert "disk is full" in refused.message
    assert "df -h" in refused.next_step
    assert head.seq + 1 == log.append(scan()).seq
    assert log.head == log.verify()
    log.close()


def another_disk(folder: Path) -> None:
    """Put a copy of a log in its place, as a disk that was checked and mounted again is another to the kernel."""
    shutil.copytree(folder, folder.with_name("checked"))
    folder.rename(folder.with_name("refusing"))
    folder.with_name("checked").rename(folder)


def test_a_log_that_is_back_on_another_disk_is_gone_on_with(tmp_path: Path) -> None:
    """By its path, without a restart: every entry is there, no number is given twice, and a second writer stays out."""
    folder = tmp_path / "state"
    folder.mkdir()
    log = filled(folder / "scans.db", 10)
    another_disk(folder)
    with pytest.raises(LogUnwritable, match="moved"):
        log.checkpoint()

    log.reopen()

    assert log.append(scan(11), token=token(11)).seq == 11
    log.checkpoint()
    assert log.verify() == log.head == ScanLogReader(folder / "scans.db").head
    second = (
        "import sys; from pathlib import Path; from edge.scanlog.log import ScanLog; ScanLog.open(Path(sys.argv[1]))"
    )
    refused = subprocess.run([sys.executable, "-c", second, folder / "scans.db"], capture_output=True, check=False)
    assert b"Another process" in refused.stderr
    log.close()
    assert ScanLogReader(tmp_path / "refusing" / "scans.db").head.seq == 10


def test_an_entry_whose_commit_was_refused_may_be_there_after_all(tmp_path: Path) -> None:
    """It was never shown as recorded; what is on the disk counts, and the next entry follows it."""
    folder = tmp_path / "state"
    folder.mkdir()
    log = filled(folder / "scans.db", 10)
    shutil.copytree(folder, tmp_path / "checked")
    with contextlib.closing(ScanLog.open(tmp_path / "checked" / "scans.db")) as ghost:
        ghost.append(scan(11))
    folder.rename(tmp_path / "refusing")
    (tmp_path / "checked").rename(folder)

    log.reopen()

    assert (log.head.seq, log.append(scan(12)).seq) == (11, 12)
    assert log.verify() == log.head
    log.close()


@pytest.mark.parametrize("what", ["nothing", "older", "another", "no database"])
def test_what_is_not_this_log_is_not_gone_on_with(tmp_path: Path, what: str) -> None:
    """A disk that lost what was acknowledged, or is another gate's: refused, untouched, and the old one still reads."""
    folder = tmp_path / "state"
    folder.mkdir()
    log = filled(folder / "scans.db", 10)
    if what == "older":
        shutil.copytree(folder, tmp_path / "found")
    log.append(scan(11))
    folder.rename(tmp_path / "refusing")
    if what == "older":
        (tmp_path / "found").rename(folder)
    elif what != "nothing":
        folder.mkdir()
    if what == "another":
        filled(folder / "scans.db", 20, step_ms=999).close()
    elif what == "no database":
        (folder / "scans.db").write_bytes(b"not a database" * 100)

    for _ in range(2):
        with pytest.raises(LedgerError):
            log.reopen()

    assert (log.head.seq, log.entries(11, 1)[0].seq) == (11, 11)
    found = {"older": 10, "another": 20}
    if what in found:
        assert ScanLogReader(folder / "scans.db").head.seq == found[what]
    else:
        assert (folder / "scans.db").exists() == (what == "no database")
    log.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    if not AS_ROOT:
        pytest.skip("only root may mount a small file system; the tests above do without")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "edge-test", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine may not mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_recording_and_a_freed_one_takes_it_up_again(small_disk: Path) -> None:
    """Nothing acknowledged is lost, nothing is overwritten, and no restart is needed."""
    log = filled(small_disk / "scans.db", 10)
    hog = small_disk / "hog"
    with hog.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))

    refused = append_until_refused(log)
    head = log.head
    with pytest.raises(LogUnwritable):
        log.checkpoint()
    assert head == log.verify() == ScanLogReader(small_disk / "scans.db").verify()
    hog.unlink()

    assert "df -h" in refused.next_step
    assert head.seq + 1 == log.append(scan()).seq
    log.checkpoint()
    assert log.head == log.verify()
    log.close()


def test_a_gate_starts_with_a_full_disk(small_disk: Path) -> None:
    """Verification goes on being shown: the log opens, is read, and says that it takes nothing until space is freed."""
    path = small_disk / "scans.db"
    filled(path, 500).close()
    hog = small_disk / "hog"
    with hog.open("wb", buffering=0) as file:
        file.truncate(0)
        free = os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize
        file.write(bytes(free - 65_536))  # what the shared memory of the write-ahead log needs

    log = ScanLog.open(path)
    append_until_refused(log)
    head = log.head
    hog.unlink()
    log.checkpoint()

    assert head.seq >= 500
    assert head.seq + 1 == log.append(scan()).seq
    assert log.head == log.verify()
    log.close()


def test_a_read_only_disk_is_named(small_disk: Path) -> None:
    """A card that met errors is mounted read-only: appends are refused, reading goes on, and it recovers."""
    path = small_disk / "scans.db"
    log = filled(path, 10)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=False, capture_output=True)
    if not os.statvfs(small_disk).f_flag & os.ST_RDONLY:
        # The kernel refuses while files are open for writing: what a fresh start meets is what counts.
        log.close()
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert os.statvfs(small_disk).f_flag & os.ST_RDONLY
    with pytest.raises(LogUnwritable) as refused:
        ScanLog.open(path)

    assert "Read-only file system" in refused.value.message
    assert refused.value.next_step
    assert ScanLogReader(path).verify().seq == 10
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    log.close()
    again = ScanLog.open(path)
    assert again.append(scan()).seq == 11
    again.close()


def test_a_log_that_belongs_to_somebody_else_is_named(tmp_path: Path) -> None:
    """A file the gate's user may not write to is refused with what to look at, and stays as it is."""
    path = tmp_path / "scans.db"
    filled(path, 10).close()
    before = path.read_bytes()
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    opened = (
        "import os, sys, pathlib\n"
        "from edge.scanlog.log import ScanLog\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "ScanLog.open(pathlib.Path(sys.argv[1]))\n"
    )
    for folder in (tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o011)
    tried = subprocess.run([sys.executable, "-c", opened, path], capture_output=True, text=True, check=False)
    tmp_path.chmod(0o755)

    assert "LogUnwritable" in tried.stderr
    assert "belongs to the gate's user" in tried.stderr
    assert before == path.read_bytes()


def test_a_folder_that_may_not_be_entered_is_named_to_a_reader(tmp_path: Path) -> None:
    """Another user asks `edge scans`: a sentence, not an error of the operating system."""
    folder = tmp_path / "state"
    folder.mkdir()
    filled(folder / "scans.db", 10).close()
    asked = (
        "import os, sys, pathlib\n"
        "from edge.scanlog.reader import ScanLogReader\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "ScanLogReader(pathlib.Path(sys.argv[1])).head\n"
    )
    folder.chmod(0o000)
    tried = subprocess.run(
        [sys.executable, "-c", asked, folder / "scans.db"], capture_output=True, text=True, check=False
    )
    folder.chmod(0o755)

    assert "LedgerError: The scan log" in tried.stderr
    assert "cannot be read" in tried.stderr


SYNCED = """
import pathlib, sys
from edge.scanlog.log import ScanLog
from tests.simulators.ledger import scan, token
log = ScanLog.open(pathlib.Path(sys.argv[1]))
for n in range(40):
    print("before", flush=True)
    log.append(scan(n), token=token(n))
    print("after", flush=True)
"""


def test_every_append_is_synced_before_it_returns(tmp_path: Path) -> None:
    """As the kernel sees it: written to the write-ahead log, that file synced, and only then acknowledged."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    calls = "trace=openat,pwrite64,fdatasync,fsync,write"
    traced = subprocess.run(
        [strace, "-o", trace, "-e", calls, sys.executable, "-c", SYNCED, tmp_path / "scans.db"],
        capture_output=True,
        check=False,
    )
    if traced.returncode:
        pytest.skip("this machine does not let one process trace another")
    seen = trace.read_text(errors="replace")
    wal = re.search(r'scans\.db-wal", .*\) = (\d+)', seen)
    folder = re.search(rf'"{re.escape(str(tmp_path))}", .*O_DIRECTORY.*\) = (\d+)', seen)
    assert wal is not None
    assert folder is not None

    appends = re.findall(r'write\(1, "before.*?write\(1, "after', seen, re.DOTALL)
    assert len(appends) == 40
    for calls in appends:
        written, synced = calls.rfind(f"pwrite64({wal[1]}, "), calls.rfind(f"fdatasync({wal[1]})")
        assert -1 < written < synced
    assert f"fsync({folder[1]})" in seen


def test_erasing_that_cannot_finish_is_finished_later(tmp_path: Path) -> None:
    """A reader in the middle of a question keeps the write-ahead log: the next checkpoint removes the tokens there."""
    path = tmp_path / "scans.db"
    log = filled(path, 50)
    log._db.execute("PRAGMA busy_timeout = 0").fetchall()
    from edge.scanlog.connection import connect_reader

    with connect_reader(path) as db:
        assert db is not None
        assert db.execute("SELECT count(*) FROM scan").fetchone()[0] == 50
        assert log.erase_tokens(START_MS + 10**9) == 50
        assert token(7) in path.with_name("scans.db-wal").read_bytes()
    log.checkpoint()

    assert not any(token(7) in file.read_bytes() for file in tmp_path.iterdir())
    fill(log, 1)
    assert log.head == log.verify()
    log.close()
