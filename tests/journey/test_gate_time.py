"""A gate as it ships, its clock behind what is signed: a hub's picture before its camera sets it; an ended policy."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.authority.authority import Authority, init
from edge.authority.issuers import add_hub, add_issuer, set_policy
from edge.authority.profiles import profile
from edge.authority.publish import publish
from edge.gate.clock import now_ms
from edge.identity.daykeys import FILE as TOKEN_KEY
from edge.identity.daykeys import save_day_keys
from edge.ledger import facts
from edge.ledger.tokens import DayKey
from edge.model.moment import ClockQuality
from edge.model.scan import EntryType, Facts
from edge.scanlog.reader import ScanLogReader
from edge.trust import paths
from edge.trust.fetchers import FolderFetcher
from edge.trust.fields import iso
from edge.trust.store import TrustStore
from tests.bench.start import free_port
from tests.journey.test_gate_run import EDGE, events, wait_for
from tests.simulators.hub_gates import Clock, begin
from tests.simulators.mjpeg import MjpegServer, jpeg_of, scene

DAY = 86_400


class Running:
    """One gate process before a camera that shows a picture.

    Args:
        folder: Where everything is.
    """

    def __init__(self, folder: Path) -> None:
        self.config = folder / "gate.toml"
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self.process: subprocess.Popen[bytes] | None = None

    def trust(self, authority: Authority, now: int) -> None:
        """Bring a publication to the gate."""
        publish(authority, now)
        root = (authority.publication / "metadata" / "1.root.json").read_bytes()
        TrustStore.init(self.state / "trust", root).refresh(FolderFetcher(authority.publication), now)

    def start(self, camera: MjpegServer) -> None:
        """Start the gate as a person does."""
        self.config.write_text(
            f'schema = 1\nstate = "state"\n[scanner]\nsources = ["url:{camera.url}"]\n[web]\nport = {free_port()}\n',
            encoding="utf-8",
        )
        command = [*EDGE, "gate", "run", "--config", str(self.config)]
        self.process = subprocess.Popen(command, start_new_session=True)

    def findings(self) -> dict[str, dict[str, Any]]:
        """The newest state's findings: parameters by code."""
        states = [event for event in events(self.config) if event.get("type") == "state"]
        return {found["code"]: found["params"] for found in states[-1]["findings"]} if states else {}

    def entries(self) -> list[Facts]:
        """What the log states."""
        return [facts.decode(entry.body) for entry in ScanLogReader(self.state / "scans.db").entries(1, 100)]

    def end(self) -> None:
        """End it, however it is."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Running]:
    """A gate that is not running yet."""
    made = Running(tmp_path)
    yield made
    made.end()


def test_a_picture_of_a_hubs_answer_sets_the_clock_of_a_running_gate(gate: Running, tmp_path: Path) -> None:
    """The question on the screen, signed at the hub, held before the camera: an entry of its own, the right time."""
    there = now_ms() // 1000 + 400 * DAY
    desk = begin(tmp_path / "hub", Clock(there * 1000))
    authority = init(tmp_path / "authority", there - DAY)
    add_hub(authority, desk.home.public, "north")
    gate.trust(authority, there - DAY)
    with MjpegServer(jpeg_of(scene("https://example.com/poster")), fps=15) as camera:
        gate.start(camera)
        question = wait_for(lambda: gate.findings().get("clock.floor", {}).get("question"))
        code, _ = desk.time_code(question)
        camera.show(jpeg_of(scene(code)))
        (entry,) = wait_for(lambda: [one for one in gate.entries() if one.type is EntryType.TIME_CODE])
        wait_for(lambda: "clock.set" in gate.findings() and "clock.floor" not in gate.findings())

    assert (entry.reason, entry.quality) == ("clock.set", ClockQuality.SYNCED)
    assert abs(entry.at_ms - there * 1000) < 60_000
    assert json.loads((gate.state / "clock.json").read_bytes())["code"][0] // 1000 >= there


def test_a_running_gate_whose_policy_has_ended_erases_its_keys_and_says_so(gate: Running, tmp_path: Path) -> None:
    """A signed time past the end: no key file, an entry, and a page that stops."""
    now = now_ms() // 1000
    authority = init(tmp_path / "authority", now - 20 * DAY)
    add_issuer(authority, profile("yuekang"), now - 20 * DAY)
    policy = authority.sources.members(paths.POLICY)
    set_policy(authority, {**policy, "ends_at": iso(now - DAY)}, now - 20 * DAY)
    gate.trust(authority, now)
    save_day_keys(gate.state, (DayKey(now // DAY, bytes(32)),))
    with MjpegServer(jpeg_of(scene("https://example.com/poster")), fps=15) as camera:
        gate.start(camera)
        found = wait_for(gate.findings)
        wait_for(lambda: any(one.type is EntryType.SUNSET for one in gate.entries()))

    assert {"policy.ended", "policy.keys_erased"} <= found.keys()
    assert not (gate.state / TOKEN_KEY).exists()
