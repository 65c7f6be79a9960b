"""Power cut under a disk with a volatile cache: every write and flush of a guest is written down and replayed (P1).

A recorder runs in a machine of its own (`tests.simulators.guest`) and acknowledges each entry into a block of the same
disk, so that its acknowledgements stand in the same log as its writes. Each image holds what the disk had finished
before its last flush and any part of what came after it; it is mounted, which replays the journal, and opened.
"""

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Self

import pytest

from tests.simulators import disk, guest
from tests.simulators.block_log import FLUSH, Replay, Sent, read
from tests.simulators.recorder import LEFT, MARK, SECTOR

pytestmark = pytest.mark.skipif(
    not disk.can_mount() or bool(guest.missing()),
    reason=f"needs root, loop devices, e2fsprogs, {', '.join(guest.missing())}",
)

SIZE = 16 * disk.MIB


@dataclass(frozen=True, slots=True)
class Recording:
    """What a disk held, and everything it was sent while a recorder ran on it."""

    before: bytes
    sent: Sequence[Sent]

    def acknowledged(self) -> list[int]:
        """Return, for every moment, the last number that had been acknowledged by then."""
        last = [0]
        for one in self.sent:
            is_mark = one.offset == SIZE and one.data.startswith(MARK)
            last.append(int.from_bytes(one.data[len(MARK) :][:8], "big") if is_mark else last[-1])
        return last

    def without_flushes(self) -> Self:
        """Return what a disk that drops its flushes was sent."""
        return replace(self, sent=[one for one in self.sent if not one.flags & FLUSH])


@dataclass(slots=True)
class Found:
    """What was found in the images.

    Attributes:
        images: How many there were.
        volatile: How many of them were cut where the disk held something that was not flushed.
        checked: Acknowledgements before the cuts.
        lost: How many of these were gone.
        losing: Images in which any was gone.
        broken: Images that did not mount or verify, and why.
    """

    images: int = 0
    volatile: int = 0
    checked: int = 0
    lost: int = 0
    losing: int = 0
    broken: list[str] = field(default_factory=list)


class Recorder:
    """A guest that records; every run begins with an empty disk."""

    def __init__(self, folder: Path, what: str) -> None:
        self._folder = folder
        self._command = [sys.executable, "-m", "tests.simulators.recorder", what]
        rehearsed = folder / "rehearsal"
        rehearsed.mkdir()
        # Long enough to erase and purge, too.
        self._guest = guest.Guest(folder, [*self._command, str(rehearsed), "--count", "220"], without=rehearsed)

    def record(self, count: int, *, is_weak: bool = False) -> Recording:
        """Let it record that many entries."""
        file, log = self._folder / "disk", self._folder / "log"
        disk.make_ext4(file, SIZE + SECTOR, file_system=SIZE)
        before = file.read_bytes()
        place = ["--count", str(count), "--marker", f"/dev/vda:{SIZE}", *(["--weak"] if is_weak else [])]
        told = self._guest.run([*self._command, guest.DISK, *place], file, log)
        recording = Recording(before, read(log.read_bytes()))
        assert recording.acknowledged()[-1] == int(told), "the log of writes is not whole"
        return recording


def replayed(folder: Path, what: str, recording: Recording, *, images: int, seed: int) -> Found:
    """Cut the power at that many moments, chosen at random, and open what each left."""
    dice = random.Random(seed)
    replay = Replay(recording.before, recording.sent)
    acknowledged = recording.acknowledged()
    found = Found()
    for moment in sorted(dice.choices(range(len(recording.sent) + 1), k=images)):
        (folder / "image").write_bytes(replay.cut(moment, dice))
        found.images += 1
        found.volatile += moment > 0 and not recording.sent[moment - 1].flags & FLUSH
        found.checked += acknowledged[moment]
        try:
            with disk.mounted(folder / "image", folder / "left") as left:
                last = LEFT[what](left)
        except Exception as error:
            found.broken.append(f"moment {moment} of seed {seed}, {acknowledged[moment]} acknowledged: {error!r}")
            continue
        found.lost += max(0, acknowledged[moment] - last)
        found.losing += acknowledged[moment] > last
    return found


@pytest.fixture(scope="module")
def recorders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Recorder]:
    """Recorders whose guests are made once."""
    return cache(lambda what: Recorder(tmp_path_factory.mktemp(what), what))


@pytest.mark.parametrize("what", ["gate", "hub"])
def test_nothing_acknowledged_is_lost_with_a_volatile_cache(
    tmp_path: Path, what: str, recorders: Callable[[str], Recorder]
) -> None:
    """Ten images of a gate's disk and of a hub's: all that was acknowledged is there, verifies and goes on."""
    recording = recorders(what).record(60)

    found = replayed(tmp_path, what, recording, images=10, seed=1)

    assert found.checked > 20
    assert (found.broken, found.lost) == ([], 0)
    marks = [n for n, one in enumerate(recording.sent) if one.offset == SIZE]
    assert all(any(one.flags & FLUSH for one in recording.sent[a:b]) for a, b in pairwise(marks))


def test_the_replay_sees_what_a_commit_without_a_sync_loses(
    tmp_path: Path, recorders: Callable[[str], Recorder]
) -> None:
    """The control: with synchronous=NORMAL acknowledged entries are gone, and what is left still verifies."""
    recording = recorders("gate").record(60, is_weak=True)

    found = replayed(tmp_path, "gate", recording, images=10, seed=1)

    assert found.lost > 0
    assert found.broken == []


@pytest.mark.crash
@pytest.mark.qemu
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("what", ["gate", "hub"])
def test_nothing_acknowledged_is_lost_in_a_thousand_images(
    tmp_path: Path, what: str, recorders: Callable[[str], Recorder]
) -> None:
    """The same at full count, beside its control and beside a disk that says it flushed and did not."""
    recordings = [recorders(what).record(440) for _ in range(5)]
    runs = [replayed(tmp_path, what, one, images=200, seed=seed) for seed, one in enumerate(recordings)]
    control = replayed(tmp_path, what, recorders(what).record(440, is_weak=True), images=100, seed=5)
    liar = replayed(tmp_path, what, recordings[0].without_flushes(), images=100, seed=6)

    for run in [*runs, control, liar]:
        print(f"{what}: {run}")
    assert [(run.broken, run.lost) for run in runs] == [([], 0)] * len(runs)
    assert (control.lost > 0, control.broken) == (True, [])
    assert liar.lost > 0
