"""A gate as it ships whose system clock is ten years off, set so while it runs or before it starts (P7).

A few lines of C stand between the processes and the kernel's wall clock; the steady count stays the kernel's, as nobody
can set it on a real machine either. (libfaketime moves the deadlines of sleeps by the steady count, too.)
"""

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from edge.ledger import facts
from edge.scanlog.lines import walk
from edge.scanlog.reader import ScanLogReader
from tests.simulators.running_gate import EighthRegion, RunningGate, edge

TEN_YEARS = 3653 * 86_400
SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long off(void) {
    char text[32] = {0};
    int file = open(getenv("WALL_CLOCK_OFF"), O_RDONLY);
    if (file < 0) return 0;
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    return got > 0 ? atol(text) : 0;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = syscall(SYS_clock_gettime, clock, now);
    if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += off();
    return done;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *to) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (to) *to = found.tv_sec;
    return found.tv_sec;
}
"""
SETTINGS = "same_code_s = 0.0\n"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A trust store, and passes under it."""
    folder = tmp_path_factory.mktemp("country")
    made = EighthRegion(folder)
    codes = made.prepare(20)
    made.publish()
    made.refresh()
    return folder / "state" / "trust", codes


class Wall:
    """The wall clock of the processes that start from now on.

    Args:
        folder: Where it is kept.
        patch: Sets environment variables.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._file = folder / "off"
        self.off_s(0)
        (folder / "shim.c").write_text(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", folder / "shim.so", folder / "shim.c"], check=True)
        patch.setenv("WALL_CLOCK_OFF", str(self._file))
        patch.setenv("LD_PRELOAD", str(folder / "shim.so"))

    def off_s(self, seconds: int) -> None:
        """Set it so far off, in processes that run, too."""
        made = self._file.with_suffix(".new")
        made.write_text(str(seconds))
        made.rename(self._file)


@pytest.fixture
def wall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, country: tuple[Path, list[str]]) -> Wall:
    """A clock that is right until a test sets it; the gate has its trust."""
    shutil.copytree(country[0], tmp_path / "state" / "trust")
    return Wall(tmp_path, monkeypatch)


def said(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return outcomes and reasons of verdicts."""
    return [(event["outcome"], event["reason"]) for event in events]


def is_state(event: dict[str, Any]) -> bool:
    """Whether an event is a state."""
    return bool(event["type"] == "state")


def check_times(state: Path, events: list[dict[str, Any]]) -> None:
    """What is recorded and shown is the time that it was, whatever the wall clock said; the log verifies."""
    now_ms = time.time_ns() // 1_000_000
    entries = [facts.decode(entry.body) for entry in walk(ScanLogReader(state / "scans.db"), 0)]
    for at_ms in (*(one.at_ms for one in entries), *(event["at_ms"] for event in events)):
        assert abs(now_ms - at_ms) < 120_000
    assert "verifies" in edge("scans", "verify", "--state", state)


@pytest.mark.parametrize("off_s", [TEN_YEARS, -TEN_YEARS], ids=["ten years on", "ten years back"])
def test_a_running_gate_goes_on_by_its_steady_count(
    tmp_path: Path, country: tuple[Path, list[str]], wall: Wall, off_s: int
) -> None:
    """Set ten years off and back in mid-shift: valid passes pass, one used is still a repetition, times stay right."""
    first, second, third, *_ = country[1]
    with RunningGate(tmp_path, more=SETTINGS) as gate:
        shown = [gate.show(first)]
        wall.off_s(off_s)
        shown += [gate.show(first), gate.show(second)]
        state = gate.until(is_state)
        wall.off_s(0)
        shown += [gate.show(second), gate.show(third)]

    assert said(shown) == [
        ("accept", "ok"),
        ("refer", "repeat.recent"),
        ("accept", "ok"),
        ("refer", "repeat.recent"),
        ("accept", "ok"),
    ]
    assert state["admitting"]
    check_times(gate.state, [*shown, state])


@pytest.mark.parametrize(
    ("off_s", "while_off"),
    [
        (TEN_YEARS, [("refer", "clock.doubtful")] * 2),
        (-TEN_YEARS, [("refer", "repeat.recent"), ("accept", "ok")]),
    ],
    ids=["ten years on", "ten years back"],
)
def test_a_gate_that_starts_with_a_wrong_clock_admits_nobody_wrongly(
    tmp_path: Path, country: tuple[Path, list[str]], wall: Wall, off_s: int, while_off: list[tuple[str, str]]
) -> None:
    """Ahead: valid passes are referred, the page says why. Back: signed times are the floor. Put right, all is well."""
    first, second, third, *_ = country[1]
    with RunningGate(tmp_path, more=SETTINGS) as gate:
        shown = [gate.show(first)]
    wall.off_s(off_s)
    with RunningGate(tmp_path, more=SETTINGS) as gate:
        shown += [gate.show(first), gate.show(second)]
        state = gate.until(is_state)
        wall.off_s(0)
        shown += [gate.show(third)]
        after = gate.until(is_state)

    assert said(shown) == [("accept", "ok"), *while_off, ("accept", "ok")]
    assert {"clock.doubtful", "clock.floor"} & {one["code"] for one in state["findings"]}
    assert after["clock"] not in {"doubtful", "floor"}
    check_times(gate.state, [*shown, state, after])
