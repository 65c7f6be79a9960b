"""The demo's processes: whichever way the demo ends, nothing of it stays."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.demo.processes import Processes, wait_until
from edge.errors import SetupError

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: object, within_s: float = 10.0) -> bool:
    """Wait for something of other processes, which cannot be waited for otherwise."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if callable(holds) and holds():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Processes in a folder that is to go with them."""
    made = Processes(tmp_path / "demo", is_kept=False)
    yield made
    made.close()


def test_command_gives_its_output(processes: Processes) -> None:
    """What a command prints is what a script would read."""
    assert processes.command("--version").startswith("edge, version ")


def test_command_that_fails_is_told_with_what_it_said(processes: Processes) -> None:
    """The message names the command and repeats its own words."""
    with pytest.raises(SetupError, match="edge hub serve /nowhere/hub ended with") as failed:
        processes.command("hub", "serve", "/nowhere/hub")

    assert "/nowhere/hub" in failed.value.message


def test_close_ends_services_and_removes_the_folder(tmp_path: Path) -> None:
    """The usual end: every service is gone, and so are its files."""
    processes = Processes(tmp_path / "demo", is_kept=False)
    service = processes.start("sleeper", SLEEPER)
    assert service.is_running
    processes.close()

    assert until(lambda: not service.is_running)
    assert not (tmp_path / "demo").exists()


def test_kept_folder_stays(tmp_path: Path) -> None:
    """With --keep the logs can be read afterwards."""
    processes = Processes(tmp_path / "demo", is_kept=True)
    processes.start("speaker", [sys.executable, "-c", "print('said')"]).process.wait()
    processes.close()

    assert (tmp_path / "demo/logs/speaker.log").read_text() == "said\n"


def test_killed_service_is_gone_at_once(processes: Processes) -> None:
    """A power cut asks nobody: one that ignores being asked dies as well."""
    service = processes.start("stubborn", STUBBORN)
    wait_until(lambda: "deaf" in service.tail(), [service], "its handler", 10)
    service.kill()

    assert service.process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_services_do_not_outlive_a_killed_demo(tmp_path: Path, number: signal.Signals) -> None:
    """Even where the demo itself is killed, its processes end and its folder goes."""
    folder = tmp_path / "demo"
    code = (
        "import pathlib, sys, time\n"
        "from edge.demo.processes import Processes\n"
        f"processes = Processes(pathlib.Path({str(folder)!r}), is_kept=False)\n"
        f"service = processes.start('sleeper', {SLEEPER!r})\n"
        "print(service.process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        pid = int(demo.stdout.readline())
        assert is_alive(pid)
        os.kill(demo.pid, number)

    assert until(lambda: not is_alive(pid) and not folder.exists())


def test_wait_ends_when_a_service_ends(processes: Processes) -> None:
    """Nobody waits half a minute for something that has died; the end of its log is in the message."""
    service = processes.start("broken", [sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"])
    with pytest.raises(SetupError, match="The broken ended with 3") as failed:
        wait_until(lambda: False, [service], "something", 30)

    assert "no such thing" in failed.value.message


def test_wait_has_an_end(processes: Processes) -> None:
    """A service that runs and never answers is an error after its time, with its log."""
    service = processes.start("mute", SLEEPER)
    with pytest.raises(SetupError, match="still waits for an answer"):
        wait_until(lambda: False, [service], "an answer", 0.1)
