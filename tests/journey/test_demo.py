"""The acceptance test: camera to hub, end to end, offline in the middle, every process started by its own command."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge.demo.people import FIRST_ROUND

SECONDS = 60


def demo(*arguments: str | Path, folder: Path) -> "subprocess.Popen[str]":
    """Start the demo as a person does, on ports that are free."""
    anywhere = ("--port", "0", "--hub-port", "0", "--authority-port", "0")
    return subprocess.Popen(
        [sys.executable, "-m", "edge", "demo", *map(str, (*arguments, *anywhere))],
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.timeout(240)
def test_everything_adds_up_after_an_outage(tmp_path: Path) -> None:
    """A minute of people, a quarter of it without hub and authority: no verdict is wrong, no entry lost or doubled."""
    with demo("--headless", "--seconds", str(SECONDS), "--out", tmp_path / "out", folder=tmp_path) as running:
        said, _ = running.communicate(timeout=220)
    found: dict[str, Any] = json.loads((tmp_path / "out/summary.json").read_text())

    assert running.returncode == 0, said
    assert found["presented"] >= len(FIRST_ROUND), said
    assert found["decoded"] >= 0.95 * found["presented"]
    assert (found["verdict_mismatches"], found["lost"], found["duplicated"], found["altered"]) == (0, 0, 0, 0)
    assert found["logged"] == found["on_hub"] >= found["decoded"]
    assert found["offline_seconds"] >= SECONDS / 4
    assert found["frame_to_verdict_ms"]["p95"] is not None
    assert "DEAD" in said
    # Nothing stays behind but the summary.
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.timeout(120)
def test_interrupted_demo_compares_and_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C ends the people, not the comparison; afterwards no file of it is left."""
    with demo("--seconds", "300", "--offline-seconds", "0", folder=tmp_path) as running:
        assert running.stdout is not None
        said = ""
        for line in running.stdout:
            said += line
            if " ok " in line:
                break
        running.send_signal(signal.SIGINT)
        said += running.stdout.read()

    assert running.returncode == 0, said
    assert "Everything adds up." in said
    assert list(tmp_path.iterdir()) == []
