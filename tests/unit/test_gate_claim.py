"""One gate a state folder: who is let in, who is told of whom, and when a part is started again."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.disk.lockfile import LockFile
from edge.errors import EnrolmentError, FolderInUse
from edge.gate import claim
from edge.gate.claim import PARTS, claim_part, claim_whole
from edge.gate.supervisor import SETUP_EXIT, Record
from tests.unit.test_disk_lockfile import holding

WHOLE, SCANNER, WEB, SYNC = range(4)
STEADY_S = 31.0


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder that exists."""
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "_ENDING_S", 0.3)


@pytest.fixture
def held() -> Iterator[list[LockFile | None]]:
    """What a test claims, let go of afterwards."""
    claims: list[LockFile | None] = []
    yield claims
    for one in claims:
        if one is not None:
            one.close()


def test_a_second_whole_gate_is_told_of_the_first(state: Path) -> None:
    """The folder, the process that runs there and what to do stand in one sentence each."""
    with holding(state / claim.FILE, WHOLE) as first, pytest.raises(FolderInUse) as refused:
        claim_whole(state)

    assert str(state) in refused.value.message
    assert str(first.pid) in refused.value.message
    assert f"kill {first.pid}" in refused.value.next_step
    assert "state = ..." in refused.value.next_step


@pytest.mark.parametrize(("name", "place"), [("scanner", SCANNER), ("web", WEB), ("sync", SYNC)])
def test_a_part_that_runs_is_not_started_twice(state: Path, name: str, place: int) -> None:
    """The refusal names the part."""
    with holding(state / claim.FILE, place), pytest.raises(FolderInUse, match=f"The {name} part"):
        claim_part(state, name)


@pytest.mark.parametrize("name", PARTS)
def test_the_three_parts_share_a_folder(state: Path, held: list[LockFile | None], name: str) -> None:
    """Under systemd each part is a unit of its own: the other two keep none out."""
    others = [place for other, place in zip(PARTS, (SCANNER, WEB, SYNC), strict=True) if other != name]
    with holding(state / claim.FILE, *others):
        held.append(claim_part(state, name))

    assert held != [None]


@pytest.mark.parametrize("place", [SCANNER, WEB, SYNC])
def test_a_whole_gate_does_not_start_over_a_part(state: Path, place: int) -> None:
    """A part that systemd runs is named, after parts that were just ending had their time."""
    with holding(state / claim.FILE, place) as part, pytest.raises(FolderInUse, match=str(part.pid)):
        claim_whole(state)


def test_a_whole_gate_waits_for_parts_that_are_ending(
    state: Path, held: list[LockFile | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a supervisor was killed its parts need a moment; the next one does not fail for it."""
    monkeypatch.setattr(claim, "_ENDING_S", 20.0)
    with holding(state / claim.FILE, SCANNER) as part:
        ending = threading.Timer(0.3, part.kill)
        ending.start()
        held.append(claim_whole(state))
        has_ended = part.wait(5) is not None
        ending.join()

    assert held != [None]
    assert has_ended


def test_no_part_is_started_beside_a_whole_gate(state: Path) -> None:
    """Also while the gate's own part is between two starts: it must find its place free."""
    with holding(state / claim.FILE, WHOLE) as gate, pytest.raises(FolderInUse, match=str(gate.pid)):
        claim_part(state, "sync")


def test_a_part_of_a_whole_gate_is_let_in(state: Path, held: list[LockFile | None]) -> None:
    """Whoever started it holds the folder."""
    held.append(claim_whole(state))
    script = "import sys, pathlib; from edge.gate.claim import claim_part; claim_part(pathlib.Path(sys.argv[1]), 'web')"

    part = subprocess.run([sys.executable, "-c", script, state], capture_output=True, text=True, check=False)

    assert (part.returncode, part.stderr) == (0, "")


def test_the_folder_counts_and_not_the_way_to_it(state: Path, tmp_path: Path) -> None:
    """Another configuration that names the folder through a link means the same gate."""
    (tmp_path / "link").symlink_to(state)

    with holding(state / claim.FILE, WHOLE), pytest.raises(FolderInUse):
        claim_whole(tmp_path / "link")


def test_a_folder_is_made_where_there_is_none(tmp_path: Path, held: list[LockFile | None]) -> None:
    """Whichever part comes first makes it, for the gate's user alone."""
    held.append(claim_part(tmp_path / "new" / "state", "web"))

    assert (tmp_path / "new" / "state").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """A file where the folder should be is named, with what to do."""
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(EnrolmentError, match="cannot be made") as refused:
        claim_whole(tmp_path / "file" / "state")

    assert "gate.toml" in refused.value.next_step


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_lock_of_another_user_is_one_sentence(state: Path) -> None:
    """What root left there is named with the command that hands it over."""
    (state / claim.FILE).touch()
    (state / claim.FILE).chmod(0o000)

    with pytest.raises(EnrolmentError, match="cannot be written") as refused:
        claim_part(state, "web")

    assert "chown" in refused.value.next_step


def test_a_disk_without_room_keeps_no_page_dark(
    state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing can be written the web part still starts, and says what it could not make sure of."""

    def full(_path: Path) -> LockFile:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(claim, "LockFile", full)

    assert claim_part(state, "web") is None
    assert "would not be noticed" in caplog.text


@pytest.mark.parametrize("name", ["scanner", "web"])
def test_a_gate_ends_with_a_part_that_never_started(name: str) -> None:
    """It has said what to put right; it does not matter at which start."""
    record = Record(name)
    crashed = record.pause_s(1, 2.0)

    assert crashed == 1.0
    assert record.pause_s(SETUP_EXIT, 0.4) is None


@pytest.mark.parametrize("name", PARTS)
def test_a_part_that_has_worked_is_tried_again_and_again(name: str) -> None:
    """What broke under way may be put right under way, and the other parts are not ended for it."""
    record = Record(name)
    record.pause_s(-9, STEADY_S)

    assert [record.pause_s(SETUP_EXIT, 0.4) for _ in range(50)] == [30.0] * 50


def test_a_gate_without_sync_works() -> None:
    """A sync part that cannot start is tried again from the first."""
    assert Record("sync").pause_s(SETUP_EXIT, 0.4) == 30.0


def test_crashes_in_a_row_are_met_with_growing_pauses() -> None:
    """A part that keeps crashing does not keep the machine busy; one that worked for a while starts at once."""
    record = Record("scanner")

    assert [record.pause_s(1, 0.1) for _ in range(6)] == [1.0, 2.0, 5.0, 10.0, 10.0, 10.0]
    assert record.pause_s(1, STEADY_S) == 0.5
