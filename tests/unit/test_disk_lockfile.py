"""Lock files: one process a place, known by its number, and nothing left when it ends."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.disk.lockfile import LockFile

_HOLD = """
import sys
from pathlib import Path
from edge.disk.lockfile import LockFile
lock = LockFile(Path(sys.argv[1]))
taken = [lock.take(int(place)) for place in sys.argv[2:]]
print(*taken, flush=True)
sys.stdin.read()
"""


@contextmanager
def holding(path: Path, *places: int) -> Iterator[subprocess.Popen[str]]:
    """Have another process take places of a lock file while the block lasts."""
    command = [sys.executable, "-c", _HOLD, str(path), *map(str, places)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert set(process.stdout.readline().split()) == {"True"}
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[LockFile]:
    """A lock file of this process."""
    made = LockFile(tmp_path / "lock")
    yield made
    made.close()


def test_a_place_that_another_process_holds_is_refused_and_its_holder_named(tmp_path: Path, lock: LockFile) -> None:
    """The kernel knows the process, so nothing has to be written down that could grow stale."""
    with holding(tmp_path / "lock", 0) as other:
        assert (lock.take(0), lock.holder(0)) == (False, other.pid)


def test_places_are_locks_of_their_own(tmp_path: Path, lock: LockFile) -> None:
    """One process may hold the first and another the second."""
    with holding(tmp_path / "lock", 1):
        assert (lock.take(0), lock.take(1), lock.take(2)) == (True, False, True)


def test_what_we_hold_keeps_nobody_from_us(lock: LockFile) -> None:
    """Our own place has no holder in our way, taken or not."""
    before = lock.holder(0)
    lock.take(0)

    assert (before, lock.holder(0)) == (None, None)


def test_a_holder_that_is_killed_leaves_nothing(tmp_path: Path, lock: LockFile) -> None:
    """After SIGKILL the place is free as soon as the process is gone; the file that stays means nothing."""
    with holding(tmp_path / "lock", 0) as other:
        other.kill()
        other.wait()

        assert (lock.holder(0), lock.take(0)) == (None, True)


def test_a_child_does_not_keep_its_parents_place(tmp_path: Path, lock: LockFile) -> None:
    """A decoder that outlives its gate keeps the next one out of nothing."""
    lock.take(0)
    with subprocess.Popen(["sleep", "60"]) as child:
        lock.close()
        again = LockFile(tmp_path / "lock")
        asked = _asked(tmp_path / "lock")
        again.close()
        child.kill()

    assert asked == "True"


def _asked(path: Path) -> str:
    """Return whether a third process gets the first place."""
    done = subprocess.run(
        [sys.executable, "-c", _HOLD, str(path), "0"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return done.stdout.strip()


def test_close_may_come_twice(lock: LockFile) -> None:
    """A second close does nothing."""
    lock.close()

    assert lock.close() is None


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A link somebody planted does not make or lock a file elsewhere."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match=os.strerror(40)):
        LockFile(tmp_path / "link")
    assert not (tmp_path / "elsewhere").exists()
