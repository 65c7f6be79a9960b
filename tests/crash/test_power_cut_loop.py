"""Power cut under a real recorder on a loop device: what lies below the page cache is copied, mounted and opened (P1).

The recorder is stopped between two instructions, never told to flush: what it wrote and did not sync is in the page
cache alone and is not in the copy, as after a cut. `fsfreeze` would write it out first and prove nothing.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.simulators import disk
from tests.simulators.recorder import LEFT

pytestmark = pytest.mark.skipif(not disk.can_mount(), reason="needs root, loop devices and e2fsprogs")

SIZE = 16 * disk.MIB
CUTS_A_DISK = 10


class Recorder:
    """A recorder process whose acknowledgements are read here.

    Args:
        what: `gate` or `hub`.
        folder: Where it records.
        is_weak: Without syncs.
    """

    def __init__(self, what: str, folder: Path, *, is_weak: bool) -> None:
        command = [sys.executable, "-m", "tests.simulators.recorder", what, str(folder)]
        self._process = subprocess.Popen([*command, *(["--weak"] if is_weak else [])], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._out = self._process.stdout
        self._rest = b""
        self.acknowledged = int(self._out.readline())
        os.set_blocking(self._out.fileno(), False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def stop(self) -> int:
        """Stop it wherever it is; return the last number it had acknowledged by then."""
        self._process.send_signal(signal.SIGSTOP)
        assert self._process.poll() is None, "the recorder ended by itself"
        met = os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED)
        assert met is not None
        assert met.si_status == signal.SIGSTOP, "the recorder ended by itself"
        *whole, self._rest = (self._rest + (self._out.read() or b"")).split(b"\n")
        self.acknowledged = int(whole[-1]) if whole else self.acknowledged
        return self.acknowledged

    def go_on(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)


def at_rest(path: Path) -> bytes:
    """Return what the disk holds once nothing is on its way to it: two copies in a row are the same."""
    before, now = b"", disk.below_the_cache(path)
    while before != now:
        before, now = now, disk.below_the_cache(path)
    return now


def cut_again_and_again(folder: Path, what: str, cuts: int, *, is_weak: bool = False) -> tuple[int, int, int]:
    """Cut the power that often; return acknowledgements checked, how many of them were lost, and cuts that lost any."""
    dice = random.Random(cuts)
    checked = lost = losing = 0
    left_cuts = cuts
    while left_cuts:
        file = folder / "disk"
        disk.make_ext4(file, SIZE)
        with (
            disk.mounted(file, folder / "running", is_direct=True) as running,
            Recorder(what, running, is_weak=is_weak) as recorder,
        ):
            for _ in range(min(left_cuts, CUTS_A_DISK)):
                time.sleep(dice.uniform(0, 0.08))
                acknowledged = recorder.stop()
                (folder / "copy").write_bytes(at_rest(file))
                recorder.go_on()
                with disk.mounted(folder / "copy", folder / "left") as left:
                    found = LEFT[what](left)
                checked += acknowledged
                lost += max(0, acknowledged - found)
                losing += acknowledged > found
                left_cuts -= 1
    return checked, lost, losing


@pytest.mark.parametrize("what", ["gate", "hub"])
def test_nothing_acknowledged_is_lost_in_a_power_cut(tmp_path: Path, what: str) -> None:
    """Five cuts of a gate's log and of a hub: all that was acknowledged is there, verifies and goes on."""
    checked, lost, _ = cut_again_and_again(tmp_path, what, 5)

    assert checked > 20
    assert lost == 0


@pytest.mark.parametrize("what", ["gate", "hub"])
def test_the_rig_sees_what_a_commit_without_a_sync_loses(tmp_path: Path, what: str) -> None:
    """The control: with synchronous=NORMAL acknowledged entries are gone, and what is left still verifies."""
    _, lost, losing = cut_again_and_again(tmp_path, what, 5, is_weak=True)

    assert losing >= 1
    assert lost > 0


@pytest.mark.crash
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("what", ["gate", "hub"])
def test_nothing_acknowledged_is_lost_in_two_hundred_power_cuts(tmp_path: Path, what: str) -> None:
    """The same at full count, beside its control."""
    _, lost, _ = cut_again_and_again(tmp_path, what, 200)
    _, control, losing = cut_again_and_again(tmp_path, what, 50, is_weak=True)

    print(f"{what}: 200 cuts, {lost} lost; control of 50 cuts: {losing} lost entries, {control} in all")
    assert lost == 0
    assert losing > 0
