"""kill -9 of gates and their hub under load: what anybody was shown or receipted is there afterwards, once (P2).

Scanner parts read codes from standard input and answer on their sockets, sync parts push to a hub over HTTP: all are
the processes that ship, and each is killed at random moments, beside the others. The verdict on the socket is the
acknowledgement, and so is the receipt in the gate's `sync.db`; both are read from outside the process that is killed.
"""

import itertools
import json
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.hub import folder
from edge.hub.store import Store
from edge.ledger import facts
from edge.model.scan import EntryType
from edge.model.verdict import Outcome
from edge.scanlog.lines import walk
from edge.scanlog.reader import ScanLogReader
from edge.sync.store import SyncStore, Taken
from tests.bench.start import free_port
from tests.simulators.hub import wait_until
from tests.simulators.hub_server import HubProcess
from tests.simulators.running_gate import EDGE, EighthRegion, RunningGate, edge

CODES = 60
WINDOW_S = 290.0
"""The authority's repeat window of 300 s, less what a verdict may take: nobody is admitted twice within it."""
GATE = """same_code_s = 0.0
[sync]
push_at = 20
push_after_s = 0.5
"""


@dataclass(frozen=True)
class Plan:
    """How often each kind of process is killed."""

    gates: int
    scanner: int
    sync: int
    hub: int

    @property
    def kills(self) -> int:
        """All of them."""
        return self.gates * (self.scanner + self.sync) + self.hub


class Lane:
    """One gate: its scanner part and its sync part as processes, and everything its scanner part has shown.

    Args:
        place: Its folder; trust lies in it already.
        codes: Passes to hold up, again and again.
    """

    def __init__(self, place: Path, codes: list[str]) -> None:
        self.scanner = RunningGate(place, more=GATE)
        self.state, self.config = self.scanner.state, self.scanner.config
        self.shown: dict[int, dict[str, Any]] = {}
        self.unshown = 0
        self._unseen: list[str] = []
        self._codes = itertools.cycle(codes)
        self._admitted: dict[str, float] = {}
        self._checked = 0

    def kill_scanner(self, times: int) -> None:
        """Hold up codes one after the other and kill the scanner part that often."""
        dice = random.Random(times)
        for _ in range(times):
            in_flight = self._until_killed(dice.uniform(0, 0.5))
            self._check(in_flight)

    def _until_killed(self, after_s: float) -> str:
        in_flight = ""
        with self.scanner as running:
            killer = threading.Timer(after_s, running.kill)
            killer.start()
            try:
                for in_flight in self._codes:
                    self._take(in_flight, running.show(in_flight))
            except ConnectionError:
                killer.join()
        return in_flight

    def _take(self, code: str, event: dict[str, Any]) -> None:
        assert event["recorded"], event
        assert event["seq"] not in self.shown, event
        self.shown[event["seq"]] = event
        if event["outcome"] == "accept":
            self._admit(code)

    def _admit(self, code: str) -> None:
        now = time.monotonic()
        assert now - self._admitted.get(code, -WINDOW_S) >= WINDOW_S, "admitted twice"
        self._admitted[code] = now

    def _check(self, in_flight: str) -> None:
        reader = ScanLogReader(self.state / "scans.db")
        head = reader.verify()
        unshown, last = [], self._checked
        for entry in walk(reader, self._checked):
            last = entry.seq
            stated = facts.decode(entry.body)
            event = self.shown.get(entry.seq)
            if event is not None:
                said = (event["outcome"].upper(), event["reason"], event["at_ms"], event["issuer"])
                assert (Outcome(stated.outcome).name, stated.reason, stated.at_ms, stated.issuer) == said, entry.seq
            elif stated.type is EntryType.SCAN:
                # The one that was on its way when the kill came: recorded, never shown.
                unshown.append((entry.seq, stated.outcome))
        assert max(self.shown, default=0) <= head.seq, "shown, and not in the log"
        # Where a kill came between an entry's write and its mark in the index of the write-ahead log, readers see the
        # entry once another process has recovered the log: perhaps after the head was read, perhaps after this check;
        # then it is the first behind what the check saw.
        is_late = len(unshown) > 1 and unshown[0][0] == self._checked + 1
        codes = [*(self._unseen if is_late else []), in_flight]
        assert len(unshown) <= len(codes), "recorded twice"
        for code, (_, outcome) in zip(codes[-len(unshown) :] if unshown else [], unshown, strict=True):
            if outcome == Outcome.ACCEPT:
                self._admit(code)
        self.unshown += len(unshown)
        self._unseen = [] if unshown else [in_flight]
        self._checked = last

    def kill_sync(self, times: int) -> None:
        """Let the sync part push and kill it that often; what it has a receipt for never goes back."""
        dice = random.Random(times)
        last = 0
        for _ in range(times):
            sync = self.start_sync()
            time.sleep(dice.uniform(0.5, 3))
            sync.kill()
            sync.wait()
            taken = self.receipt()
            assert taken is None or taken.last >= last
            last = taken.last if taken is not None else 0

    def start_sync(self) -> subprocess.Popen[bytes]:
        """Start the sync part."""
        command = [*EDGE, "gate", "run", "--part", "sync", "--config", str(self.config)]
        return subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def receipt(self) -> Taken | None:
        """Return the newest receipt this gate holds."""
        head = ScanLogReader(self.state / "scans.db").head
        store = SyncStore.reader(self.state / "sync.db")
        if head is None or store is None:
            return None
        with closing(store):
            return store.taken(head.epoch)


class Site:
    """Gates enrolled at one hub, with trust of one authority.

    Args:
        place: Where everything lies.
        gates: How many.
    """

    def __init__(self, place: Path, gates: int) -> None:
        country = EighthRegion(place)
        codes = country.prepare(CODES)
        country.publish()
        country.refresh()
        self.hub, self.port = place / "hub", free_port()
        edge("hub", "init", self.hub, "--url", f"http://127.0.0.1:{self.port}")
        serving = HubProcess(self.hub, port=self.port)
        self.lanes = []
        for number in range(gates):
            home = place / f"gate{number}"
            shutil.copytree(place / "state" / "trust", home / "state" / "trust")
            lane = Lane(home, codes)
            edge("provision", "init", "--config", lane.config)
            invitation = home / "invitation"
            edge("hub", "invite", self.hub, "--site", "north", "--lane", number, "--out", invitation)
            edge("provision", "enroll", invitation.read_text().strip(), "--config", lane.config, "--yes")
            self.lanes.append(lane)
        serving.stop()

    def kill_hub(self, times: int) -> None:
        """Serve, and kill the hub that often: each time it holds what any gate has a receipt for, as that gate does."""
        dice = random.Random(times)
        for _ in range(times):
            serving = HubProcess(self.hub, port=self.port)
            time.sleep(dice.uniform(0, 1.2))
            serving.kill()
            receipts = [lane.receipt() for lane in self.lanes]
            for lane, receipt in zip(self.lanes, receipts, strict=True):
                last, head = self._held(lane)
                assert last >= (receipt.last if receipt is not None else 0), "receipted, and not at the hub"
                assert last == 0 or ScanLogReader(lane.state / "scans.db").head_at(last) == head

    def _held(self, lane: Lane) -> tuple[int, bytes]:
        epoch = ScanLogReader(lane.state / "scans.db").head
        with Store(self.hub / folder.DATABASE).reader() as connection:
            asked = "SELECT last, head FROM logs WHERE epoch = ?"
            found = connection.execute(asked, (epoch.epoch if epoch is not None else b"",)).fetchone()
        return found or (0, b"")

    def settle(self) -> list[dict[str, Any]]:
        """Let every gate hand over what it has, and return the hub's ledger as it is pulled."""
        serving = HubProcess(self.hub, port=self.port)
        parts = [lane.start_sync() for lane in self.lanes]
        try:
            wait_until(lambda: all(map(self._is_handed_over, self.lanes)), 60)
            lines = edge("hub", "pull", "--dir", self.hub, "--after", "0", "--format", "ndjson").splitlines()
        finally:
            for part in parts:
                part.kill()
                part.wait()
            serving.kill()
        return [json.loads(line) for line in lines]

    def _is_handed_over(self, lane: Lane) -> bool:
        receipt, head = lane.receipt(), ScanLogReader(lane.state / "scans.db").head
        return head is not None and receipt is not None and receipt.last == head.seq


def in_parallel(*tasks: Callable[[], None]) -> None:
    """Run tasks beside each other and raise what any of them raised."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result()


def tasks_of(site: Site, plan: Plan) -> Iterator[Callable[[], None]]:
    """Give the killers of a plan."""
    yield lambda: site.kill_hub(plan.hub)
    for lane in site.lanes:
        yield lambda lane=lane: lane.kill_scanner(plan.scanner)  # type: ignore[misc]
        yield lambda lane=lane: lane.kill_sync(plan.sync)  # type: ignore[misc]


def killed(place: Path, plan: Plan) -> str:
    """Carry out a plan, compare both ends, and return what was counted."""
    site = Site(place, plan.gates)
    in_parallel(*tasks_of(site, plan))
    pulled = site.settle()

    report = json.loads(edge("hub", "check", site.hub, "--json"))
    recorded = {lane.state: edge("scans", "verify", "--config", lane.config, "--json") for lane in site.lanes}
    heads = [json.loads(told) for told in recorded.values()]
    assert report["problems"] == []
    assert report["entries"] == len(pulled) == sum(head["entries"] for head in heads)
    for lane, head in zip(site.lanes, heads, strict=True):
        rows = [row for row in pulled if row["epoch"] == head["epoch"]]
        assert [row["seq"] for row in rows] == list(range(1, head["last"] + 1))
        assert site._held(lane) == (head["last"], bytes.fromhex(head["head"]))
        assert lane.shown.keys() <= {row["seq"] for row in rows}
        assert all(lane.shown[row["seq"]]["reason"] == row["reason"] for row in rows if row["seq"] in lane.shown)
    assert json.loads(edge("hub", "incidents", site.hub, "--json")) == []
    shown, unshown = sum(len(lane.shown) for lane in site.lanes), sum(lane.unshown for lane in site.lanes)
    assert shown > plan.gates * plan.scanner
    return f"{plan.kills} kills: {shown} verdicts shown, {unshown} recorded and not shown, {len(pulled)} entries"


def test_nothing_shown_or_receipted_is_lost_or_doubled_in_twenty_kills(tmp_path: Path) -> None:
    """A gate's two parts and its hub, killed beside each other: the hub's ledger is the gate's log in the end."""
    killed(tmp_path, Plan(gates=1, scanner=9, sync=4, hub=7))


@pytest.mark.crash
@pytest.mark.timeout(14_400)
def test_nothing_shown_or_receipted_is_lost_or_doubled_in_a_thousand_kills(tmp_path: Path) -> None:
    """Two gates and a hub, a thousand kills."""
    print(killed(tmp_path, Plan(gates=2, scanner=260, sync=90, hub=300)))
