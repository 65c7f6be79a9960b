"""A gate that runs while its disk fills up or turns read-only: admission stops visibly and comes back (P8).

The scanner part as it ships, real passes on its standard input, its state folder on a small file system of its own.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.ledger import facts
from edge.model.scan import RESUMED
from edge.scanlog.lines import walk
from edge.scanlog.reader import ScanLogReader
from tests.simulators import disk
from tests.simulators.running_gate import EDGE, EighthRegion, RunningGate, edge

pytestmark = pytest.mark.skipif(not disk.can_mount(), reason="needs root, loop devices and e2fsprogs")

SIZE = 12 * disk.MIB
SETTINGS = "same_code_s = 0.0\n"
FILLING = 4000
"""More scans than the write-ahead log, made at its full length, takes in."""


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A trust store, and passes under it."""
    folder = tmp_path_factory.mktemp("country")
    made = EighthRegion(folder)
    codes = made.prepare(20)
    made.publish()
    made.refresh()
    return folder / "state" / "trust", codes


@contextmanager
def ext4(folder: Path) -> Iterator[str]:
    """A small ext4 that turns read-only at an error, as a card's does."""
    disk.make_ext4(folder / "disk", SIZE)
    with disk.mounted(folder / "disk", folder / "state", options="rw,errors=remount-ro") as mounted:
        (device,) = [
            line.split()[0] for line in Path("/proc/mounts").read_text().splitlines() if f" {mounted} " in line
        ]
        yield device


@contextmanager
def tmpfs(folder: Path) -> Iterator[str]:
    """A small tmpfs."""
    (folder / "state").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "edge-test", folder / "state"], check=True)
    try:
        yield ""
    finally:
        subprocess.run(["umount", folder / "state"], check=True)


def fill(file: Path) -> None:
    """Take every byte that is left."""
    with file.open("wb", buffering=0) as hog, contextlib.suppress(OSError):
        while hog.write(bytes(4096)):
            pass


def is_stopped(event: dict[str, object]) -> bool:
    """Whether a state says that nobody is admitted because nothing can be recorded."""
    findings = event.get("findings", [])
    assert isinstance(findings, list)
    return event["type"] == "state" and "log.unwritable" in [one["code"] for one in findings]


@pytest.mark.parametrize("file_system", [ext4, tmpfs])
def test_a_gate_on_a_full_disk_admits_nobody_and_goes_on_when_there_is_room(
    tmp_path: Path, country: tuple[Path, list[str]], file_system: object
) -> None:
    """A valid pass is referred and the page says why; freed, the same process admits it, and nothing shown is lost."""
    trust, (first, second, third, *_) = country
    assert callable(file_system)
    with file_system(tmp_path):
        shutil.copytree(trust, tmp_path / "state" / "trust")
        with RunningGate(tmp_path, more=SETTINGS) as gate:
            shown = [gate.show(first)]
            fill(gate.state / "hog")
            for _ in range(FILLING):
                shown.append(gate.show(first))
                if not shown[-1]["recorded"]:
                    break
            refused, again = gate.show(second), gate.show(second)
            stopped = gate.until(is_stopped)
            (gate.state / "hog").unlink()
            resumed = gate.until(lambda event: event["type"] == "state" and event["admitting"])
            after = [gate.show(second), gate.show(third)]

        entries = {entry.seq: facts.decode(entry.body) for entry in walk(ScanLogReader(gate.state / "scans.db"), 0)}
        assert shown[0]["outcome"] == "accept"
        assert [(one["outcome"], one["reason"], one["recorded"]) for one in (refused, again)] == [
            ("refer", "log.unwritable", False)
        ] * 2
        assert not stopped["admitting"]
        assert not is_stopped(resumed)
        assert [(one["outcome"], one["recorded"]) for one in after] == [("accept", True)] * 2
        for event in (*shown, *after):
            assert not event["recorded"] or entries[event["seq"]].reason == event["reason"]
        assert RESUMED in {stated.note for stated in entries.values()}
        assert "verifies" in edge("scans", "verify", "--state", gate.state)


def test_a_gate_whose_disk_turns_read_only_admits_nobody_until_it_is_put_right(
    tmp_path: Path, country: tuple[Path, list[str]]
) -> None:
    """An error of the file system in flight: nobody is admitted, checks go on; checked and mounted, all is there."""
    trust, (first, second, third, *_) = country
    with ext4(tmp_path) as device:
        shutil.copytree(trust, tmp_path / "state" / "trust")
        subprocess.run(["sync", "-f", tmp_path / "state"], check=True)
        with RunningGate(tmp_path, more=SETTINGS) as gate:
            shown = gate.show(first)
            Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("a test")
            refused = gate.show(second)
            stopped = gate.until(is_stopped)
        # Read beside a part that ended on a read-only disk: named, no traceback, or still whole.
        told = subprocess.run(
            [*EDGE, "scans", "verify", "--state", gate.state],
            capture_output=True,
            text=True,
            check=False,
        )
    subprocess.run(["e2fsck", "-fy", tmp_path / "disk"], check=False, capture_output=True)
    with disk.mounted(tmp_path / "disk", tmp_path / "state"):
        with RunningGate(tmp_path, more=SETTINGS) as again:
            after = [again.show(code) for code in (first, second, third)]
        assert "verifies" in edge("scans", "verify", "--state", again.state)

    assert (shown["outcome"], shown["recorded"]) == ("accept", True)
    assert (refused["outcome"], refused["reason"], refused["recorded"]) == ("refer", "log.unwritable", False)
    assert not stopped["admitting"]
    assert "Traceback" not in told.stderr
    assert "verifies" in told.stdout or "->" in told.stderr
    assert [(one["outcome"], one["reason"]) for one in after] == [
        ("refer", "repeat.recent"),
        ("accept", "ok"),
        ("accept", "ok"),
    ]
    assert after[0]["seq"] == shown["seq"] + 1


def test_a_gate_goes_on_by_itself_once_its_disk_was_checked_and_mounted_again(
    tmp_path: Path, country: tuple[Path, list[str]]
) -> None:
    """The same process, while its old files still lie on the file system that ended: nothing shown is lost."""
    trust, (first, second, third, *_) = country
    with ext4(tmp_path) as device:
        shutil.copytree(trust, tmp_path / "state" / "trust")
        subprocess.run(["sync", "-f", tmp_path / "state"], check=True)
        with RunningGate(tmp_path, more=SETTINGS) as gate:
            shown = gate.show(first)
            Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("a test")
            refused = gate.show(second)
            stopped = gate.until(is_stopped)
            subprocess.run(["sync", "-f", tmp_path / "state"], check=False, capture_output=True)
            written_back = gate.show(second)
            shutil.copyfile(tmp_path / "disk", tmp_path / "checked")
            subprocess.run(["e2fsck", "-fy", tmp_path / "checked"], check=False, capture_output=True)
            with disk.mounted(tmp_path / "checked", tmp_path / "state"):
                resumed = gate.until(lambda event: event["type"] == "state" and event["admitting"])
                after = [gate.show(code) for code in (second, third)]
                told = edge("scans", "verify", "--state", gate.state)
                notes = {facts.decode(entry.body).note for entry in walk(ScanLogReader(gate.state / "scans.db"), 0)}
                gate.stop()

    assert (shown["outcome"], shown["recorded"]) == ("accept", True)
    assert [(one["reason"], one["recorded"]) for one in (refused, written_back)] == [("log.unwritable", False)] * 2
    assert not stopped["admitting"]
    assert not is_stopped(resumed)
    assert [(one["outcome"], one["recorded"]) for one in after] == [("accept", True)] * 2
    assert after[0]["seq"] > shown["seq"]
    assert RESUMED in notes
    assert "verifies" in told
