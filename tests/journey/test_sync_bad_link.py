"""Gate and hub as processes in two network namespaces, over a line that loses, delays and is cut (rig f)."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.hub.hub import Hub, system_clock
from edge.identity.identity import Enrolment, make_identity, save_enrolment
from edge.ledger import device
from edge.model.scan import EntryType, Facts
from edge.scanlog.log import ScanLog
from tests.simulators.bad_link import BadLink
from tests.simulators.hub import ModelHub, wait_until
from tests.simulators.hub_gates import Clock, begin
from tests.simulators.real_hub import enrol, held
from tests.simulators.sync_gate import SyncGate

EDGE = (sys.executable, "-m", "edge")
SCANS = 2000
CONFIG = 'schema = 1\nstate = "state"\n[sync]\ntimeout_s = 6.0\n[trust]\nstick = ""\n'


class Line:
    """A gate at one end of the line, a hub at the other."""

    def __init__(self, folder: Path, link: BadLink) -> None:
        self.link, self.folder, self.state = link, folder, folder / "state"
        self.state.mkdir()
        url = f"http://{link.HUB}:8090"
        clock = Clock(system_clock())
        desk = begin(folder / "hub", clock, url=url)
        key = make_identity(self.state)
        self.gate = device.gate_id(key.verify_key.encode())
        hub = Hub.open(folder / "hub")
        known = SyncGate(ModelHub(desk.home.key), folder / "unused.db", key=key)
        enrol(hub.enrol, desk, known)
        known.store.close()
        hub.close()
        public = desk.home.public
        keys = {device.key_id(public).hex(): public}
        save_enrolment(self.state, Enrolment(self.gate, "North", "1", "610100", url, keys, "", 30, clock.ms // 1000))
        (folder / "gate.toml").write_text(CONFIG)
        self.log = ScanLog.open(self.state / "scans.db")
        serve = (*EDGE, "hub", "serve", str(folder / "hub"), "--host", link.HUB, "--port", "8090")
        self.hub = subprocess.Popen(link.command(link.hub_side, *serve), stdout=subprocess.PIPE, text=True)
        assert self.hub.stdout is not None
        assert re.search(r"http://", self.hub.stdout.readline())
        run = (*EDGE, "gate", "run", "--config", str(folder / "gate.toml"), "--part", "sync")
        self.part = subprocess.Popen(link.command(link.gate_side, *run))

    def scan(self, count: int) -> None:
        """Record entries."""
        for number in range(count):
            self.log.append(Facts(EntryType.SCAN, system_clock() + number), token=bytes(8))

    def says(self, name: str) -> object:
        """Return a field of `link.json`."""
        try:
            return json.loads((self.state / "link.json").read_bytes())[name]
        except FileNotFoundError:
            return None

    def end(self) -> None:
        """Stop both."""
        for process in (self.part, self.hub):
            process.terminate()
            process.wait(10)
        assert self.hub.stdout is not None
        self.hub.stdout.close()
        self.log.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """Return a gate and a hub with 5 % of the packets lost and 300 ms of delay between them."""
    try:
        made = BadLink(loss=0.05, delay_s=0.3)
    except OSError as error:
        pytest.skip(f"this machine makes no network namespaces: {error}")
    with made as link:
        line = Line(tmp_path, link)
        yield line
        line.end()


def test_every_scan_arrives_once_over_a_line_that_loses_delays_and_is_cut(line: Line) -> None:
    """2,000 scans, half of them while the cable was out: all at the hub, none twice; the link said as it is."""
    line.scan(SCANS // 2)
    wait_until(lambda: line.says("link") == "online", 30)

    line.link.plug(is_in=False)
    wait_until(lambda: line.says("link") == "offline", 5)
    line.scan(SCANS // 2)
    line.link.plug(is_in=True)
    wait_until(lambda: (line.says("link"), line.says("backlog")) == ("online", 0), 60)

    wire_log = held(line.folder / "hub" / "hub.db", line.gate)
    assert [seq for seq, _ in wire_log] == list(range(1, SCANS + 1))
    assert wire_log[-1][1] == line.log.head.head
    assert line.link.lost > 0


@pytest.mark.long
def test_a_hub_that_vanished_is_noticed_in_ten_seconds_without_a_request(line: Line) -> None:
    """Every packet is gone and the carrier stands: keepalive on the idle connection tells, not the next heartbeat."""
    wait_until(lambda: line.says("link") == "online", 30)

    line.link.is_cut = True
    # Eight seconds of the kernel's and a look every second.
    wait_until(lambda: line.says("link") == "offline", 10)
    line.scan(10)
    line.link.is_cut = False
    wait_until(lambda: (line.says("link"), line.says("backlog")) == ("online", 0), 30)

    assert len(held(line.folder / "hub" / "hub.db", line.gate)) == 10
