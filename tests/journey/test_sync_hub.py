"""Gate and hub as they ship: enrolled by their commands, the hub killed in the middle, one log at both ends."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.model.scan import EntryType, Facts
from edge.scanlog.log import ScanLog
from tests.simulators.hub import AT_MS, wait_until
from tests.simulators.repository import Repository

EDGE = (sys.executable, "-m", "edge")
CONFIG = """
schema = 1
state = "state"
[sync]
push_at = 1
"""


def edge(*words: str | Path) -> str:
    """Run an `edge` command that must succeed and return what it printed."""
    done = subprocess.run([*EDGE, *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Site:
    """A hub and a gate in one folder.

    Args:
        folder: Where both keep their things.
    """

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.hub_dir, self.config, self.state = folder / "hub", folder / "gate.toml", folder / "state"
        self.config.write_text(CONFIG)
        root = folder / "root.json"
        root.write_bytes(Repository().files["metadata/1.root.json"])
        edge("hub", "init", self.hub_dir, "--url", f"http://127.0.0.1:{self.port}", "--root", root)
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start_hub(self) -> None:
        """Start the hub."""
        self.running["hub"] = subprocess.Popen([*EDGE, "hub", "serve", str(self.hub_dir), "--port", str(self.port)])
        wait_until(self._listens, 20)

    def _listens(self) -> bool:
        with socket.socket() as peer:
            return peer.connect_ex(("127.0.0.1", self.port)) == 0

    def start_gate(self) -> None:
        """Start the sync part as systemd does."""
        command = [*EDGE, "gate", "run", "--config", str(self.config), "--part", "sync"]
        self.running["gate"] = subprocess.Popen(command)

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        process = self.running.pop(name)
        process.send_signal(number)
        return process.wait(10)

    def is_link(self, link: str, backlog: int) -> bool:
        """Whether `link.json` says so."""
        try:
            found = json.loads((self.state / "link.json").read_bytes())
        except FileNotFoundError:
            return False
        return (found["link"], found["backlog"]) == (link, backlog)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a hub and a gate; whatever still runs is killed."""
    site = Site(tmp_path)
    yield site
    for process in site.running.values():
        process.kill()
        process.wait(5)


def test_the_log_at_the_hub_is_the_log_of_the_gate(site: Site) -> None:
    """Enrolled from a picture, offline in the middle, pulled at the end: every entry once, none missing, no alarm.

    The invitation is good for no second device, and the hub says who tried.
    """
    picture = site.hub_dir.parent / "invitation.png"
    edge("hub", "invite", site.hub_dir, "--site", "北门", "--lane", "3", "--png", picture)
    edge("provision", "init", "--config", site.config)
    log = ScanLog.open(site.state / "scans.db")
    for at in range(40):
        log.append(Facts(EntryType.SCAN, AT_MS + at), token=bytes(8))
    site.start_hub()
    edge("provision", "enroll", picture, "--config", site.config, "--yes")
    site.start_gate()
    wait_until(lambda: site.is_link("online", 0), 20)

    site.end("hub", signal.SIGKILL)
    wait_until(lambda: site.is_link("offline", 0), 10)
    for at in range(700):
        log.append(Facts(EntryType.SCAN, AT_MS + at), token=bytes(8))
    site.start_hub()
    wait_until(lambda: site.is_link("online", 0), 10)

    lines = edge("hub", "pull", "--dir", site.hub_dir, "--after", "0", "--format", "ndjson").splitlines()
    pulled = [json.loads(line) for line in lines]
    assert [row["seq"] for row in pulled] == list(range(1, 741))
    assert {row["site"] for row in pulled} == {"北门"}
    assert json.loads(edge("sync", "status", "--config", site.config, "--json"))["receipt"]["last"] == 740
    again = ("provision", "enroll", str(picture), "--state", str(site.state.parent / "second"), "--yes")
    second = subprocess.run([*EDGE, *again], capture_output=True, text=True, check=False)
    assert (second.returncode, "used before" in second.stderr) == (3, True)
    kinds = [found["kind"] for found in json.loads(edge("hub", "incidents", site.hub_dir, "--json"))]
    assert kinds == ["invitation_reused"]
    assert site.end("gate") == 0
    log.close()


def test_a_hub_put_back_to_an_old_backup_gets_again_what_the_gate_holds(site: Site) -> None:
    """Backed up while it serves, refused while it serves, restored: the gate sends it all again."""
    copy = site.hub_dir.parent / "copy.db"
    code = edge("hub", "invite", site.hub_dir, "--site", "北门", "--lane", "3").splitlines()[0]
    edge("provision", "init", "--config", site.config)
    log = ScanLog.open(site.state / "scans.db")
    for at in range(40):
        log.append(Facts(EntryType.SCAN, AT_MS + at), token=bytes(8))
    site.start_hub()
    edge("provision", "enroll", code, "--config", site.config, "--yes")
    site.start_gate()
    wait_until(lambda: site.is_link("online", 0), 20)
    made = json.loads(edge("hub", "backup", site.hub_dir, copy, "--json"))
    for at in range(60):
        log.append(Facts(EntryType.SCAN, AT_MS + at), token=bytes(8))
    wait_until(lambda: json.loads(edge("hub", "gates", site.hub_dir, "--json"))[0]["held"] == 100, 20)
    serving = subprocess.run(
        [*EDGE, "hub", "restore", str(copy), str(site.hub_dir)], capture_output=True, text=True, check=False
    )
    site.end("hub")
    (site.hub_dir / "hub.db").rename(site.hub_dir.parent / "lost.db")

    done = json.loads(edge("hub", "restore", copy, site.hub_dir, "--json"))
    site.start_hub()
    log.append(Facts(EntryType.SCAN, AT_MS), token=bytes(8))
    wait_until(lambda: json.loads(edge("hub", "gates", site.hub_dir, "--json"))[0]["held"] == 101, 40)

    lines = edge("hub", "pull", "--dir", site.hub_dir, "--after", "0", "--format", "ndjson").splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, 102))
    assert (made["hub_seq"], done["hub_seq"], done["ahead"][0]["held"]) == (40, 40, 40)
    assert (serving.returncode, "serves" in serving.stderr) == (3, True)
    behind = json.loads(edge("hub", "incidents", site.hub_dir, "--all", "--json"))
    assert [(one["kind"], one["resolved_ms"] is not None) for one in behind] == [("hub_behind", True)]
    edge("hub", "check", site.hub_dir)
    assert site.end("gate") == 0
    log.close()
