"""The sync part itself, over real sockets and real databases, with the hub dying and coming back."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from edge.codec import cbor
from edge.disk import durable
from edge.identity.identity import Enrolment, make_identity, save_enrolment
from edge.ledger import batch, device, wire
from edge.model.scan import EntryType, Facts
from edge.model.settings import Settings, SyncSettings, TrustSettings
from edge.scanlog.log import ScanLog
from edge.sync.part import run
from edge.sync.store import read_receipt
from edge.trust.store import TrustStore
from tests.simulators.hub import AT_MS, Fault, HubServer, ModelHub, wait_until
from tests.simulators.repository import NOW, Repository
from tests.simulators.stick_import import files_on, import_stick

_ALONE = """
import signal, sys, threading
from edge.model.settings import Settings, SyncSettings
from edge.sync.part import run
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
run(Settings(state=sys.argv[1], sync=SyncSettings(push_at=1, timeout_s=5.0)), stop, now_ms=lambda: 1_795_000_000_000)
"""


class Gate:
    """A state folder with a scan log, and the sync part running on it in a thread.

    Args:
        state: The state folder.
        hub: The model of its hub.
    """

    def __init__(self, state: Path, hub: ModelHub) -> None:
        self.state = state
        self.hub = hub
        self.key = make_identity(state)
        self.public = self.key.verify_key.encode()
        self.id = device.gate_id(self.public)
        self.log = ScanLog.open(state / "scans.db")
        self.stop = threading.Event()
        self.thread: threading.Thread | None = None
        self.failure: BaseException | None = None

    def enrol(self, url: str, trust_url: str = "", hub: ModelHub | None = None) -> None:
        """Write what enrolling at the hub would."""
        hub = hub or self.hub
        hub.gates[self.id] = self.public
        made = Enrolment(self.id, "North gate", "3", "610100", url, hub.keys, trust_url, 30, AT_MS // 1000)
        save_enrolment(self.state, made)

    def start(self, now_ms: Callable[[], int] = lambda: AT_MS, **changes: Any) -> None:
        """Start the part."""
        sync = SyncSettings(**{"push_at": 1, "timeout_s": 5.0, **changes})
        settings = Settings(
            state=str(self.state), sync=sync, trust=TrustSettings(refresh_s=5, stick=str(self.state / "usb"))
        )

        def go() -> None:
            try:
                run(settings, self.stop, now_ms=now_ms)
            except BaseException as error:
                self.failure = error

        self.stop.clear()
        self.thread = threading.Thread(target=go, name="sync")
        self.thread.start()

    def end(self) -> float:
        """Stop the part and return how long that took."""
        began = time.monotonic()
        self.stop.set()
        if self.thread is not None:
            self.thread.join(10)
            assert not self.thread.is_alive()
        assert self.failure is None
        return time.monotonic() - began

    def scan(self, count: int = 1, kind: EntryType = EntryType.SCAN) -> None:
        """Record entries."""
        for _ in range(count):
            self.log.append(Facts(kind, AT_MS), token=bytes(8))

    @property
    def link(self) -> dict[str, Any]:
        """What `link.json` says."""
        try:
            found: dict[str, Any] = json.loads((self.state / "link.json").read_bytes())
        except FileNotFoundError:
            return {"link": None, "backlog": None, "findings": []}
        return found

    def is_link(self, link: str, backlog: int) -> bool:
        """Whether `link.json` says so."""
        found = self.link
        return (found["link"], found["backlog"]) == (link, backlog)

    def codes(self) -> list[str]:
        """Return the findings in `link.json`."""
        return [finding["code"] for finding in self.link["findings"]]

    @property
    def is_whole(self) -> bool:
        """Whether the hub holds exactly this log."""
        head = self.log.head
        return self.hub.head(self.id, head.epoch) == head.head


@pytest.fixture
def server() -> Iterator[HubServer]:
    """Return a running hub."""
    with HubServer(ModelHub()) as server:
        yield server


@pytest.fixture
def gate(tmp_path: Path, server: HubServer) -> Iterator[Gate]:
    """Return a gate, enrolled, its sync part not started."""
    gate = Gate(tmp_path / "state", server.hub)
    gate.enrol(server.url)
    yield gate
    gate.end()
    gate.log.close()


def test_a_gate_that_is_not_enrolled_waits_and_then_sends_what_it_recorded(gate: Gate, server: HubServer) -> None:
    """Scans of before the enrolment are kept, said and pushed as soon as there is a hub to push them to."""
    (gate.state / "enrolment.json").unlink()
    gate.scan(7)
    gate.start()
    wait_until(lambda: gate.is_link("never", 7), 3)
    assert gate.codes() == ["gate.not_enrolled"]

    gate.enrol(server.url)
    wait_until(lambda: gate.is_link("online", 0), 5)

    assert gate.is_whole
    assert gate.codes() == []
    assert read_receipt(gate.state / "sync.db", gate.log.head.epoch) is not None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"schema": 99}'])
def test_a_damaged_enrolment_is_said_with_its_file(gate: Gate, content: bytes) -> None:
    """The part does not die of it: it names the file and goes on looking."""
    (gate.state / "enrolment.json").write_bytes(content)

    gate.start()
    wait_until(lambda: gate.codes() == ["gate.enrolment_damaged"], 3)

    assert gate.link["findings"][0]["severity"] == "damage"


def test_nothing_is_sent_under_a_strange_key_and_everything_once_the_right_one_is_back(
    gate: Gate, server: HubServer
) -> None:
    """Scans recorded meanwhile wait, the pages are told of both ids, and nothing is lost or refused."""
    gate.scan(5)
    gate.start()
    wait_until(lambda: gate.is_link("online", 0), 5)
    ours = (gate.state / "device.key").read_bytes()
    durable.write(gate.state / "device.key", bytes(range(32)), mode=0o600)
    wait_until(lambda: gate.codes() == ["gate.other_key"], 5)
    posted, beats = len(server.hub.posted), len(server.hub.beats)
    gate.scan(6)
    wait_until(lambda: gate.is_link("offline", 11), 5)

    (found,) = gate.link["findings"]
    strange = device.gate_id(SigningKey(bytes(range(32))).verify_key.encode()).hex()
    assert found["params"] == {"key": strange[:8], "enrolled": gate.id.hex()[:8]}
    assert (len(server.hub.posted), len(server.hub.beats)) == (posted, beats)
    durable.write(gate.state / "device.key", ours, mode=0o600)
    wait_until(lambda: gate.is_link("online", 0), 5)
    assert gate.is_whole
    assert server.hub.evidence == []


@pytest.mark.parametrize("still_knows", [True, False], ids=["old gate known", "old gate forgotten"])
@pytest.mark.parametrize("before", [0, 5], ids=["never sent", "sent before"])
def test_a_gate_enrolled_anew_under_another_key_sends_its_whole_log(
    gate: Gate, server: HubServer, before: int, *, still_knows: bool
) -> None:
    """What the finding asks for loses no scan, also of batches that were cut and never taken: they are cut anew."""
    gate.scan(before)
    gate.start()
    wait_until(lambda: gate.is_link("online", 0), 5)
    server.kill()
    gate.scan(6)
    wait_until(lambda: gate.is_link("offline", 6), 10)
    durable.write(gate.state / "device.key", bytes(range(32)), mode=0o600)
    wait_until(lambda: gate.codes() == ["gate.other_key"], 5)
    gate.scan(1)
    if not still_knows:
        server.hub.gates.clear()

    gate.public = SigningKey(bytes(range(32))).verify_key.encode()
    gate.id = device.gate_id(gate.public)
    gate.enrol(server.url)
    server.start()
    wait_until(lambda: gate.is_link("online", 0), 15)

    assert gate.is_whole
    assert set(server.hub.evidence) <= {"gap"}


def test_a_dead_hub_is_noticed_and_a_returned_one_is_served_within_ten_seconds(gate: Gate, server: HubServer) -> None:
    """The gate says offline within 10 s of its hub's death, and is done with the backlog within 10 s of its return."""
    gate.scan(3)
    gate.start()
    wait_until(lambda: gate.is_link("online", 0), 5)

    server.kill()
    noticed_s = wait_until(lambda: gate.link["link"] == "offline", 10)
    gate.scan(600)
    wait_until(lambda: gate.link["backlog"] == 600, 3)
    assert "hub.unreachable" in gate.codes()
    server.start()
    resumed_s = wait_until(lambda: gate.is_link("online", 0), 10)

    assert noticed_s < 10
    assert resumed_s < 10
    assert gate.is_whole
    assert gate.codes() == []


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.DRIP])
def test_a_stop_waits_for_nobody(gate: Gate, server: HubServer, fault: Fault) -> None:
    """A SIGTERM ends the part within two seconds, whatever the hub is doing."""
    server.hub.always = (fault, "")
    gate.scan(3)
    gate.start(timeout_s=60.0)
    wait_until(lambda: server.connections >= 1, 3)

    assert gate.end() < 2


def test_a_login_page_is_no_hub(gate: Gate, server: HubServer) -> None:
    """Behind a captive portal the gate is offline, says so, and loses nothing."""
    server.hub.always = (Fault.PORTAL, "")
    gate.scan(3)
    gate.start()
    wait_until(lambda: "hub.unreachable" in gate.codes(), 3)
    assert gate.link["link"] == "never"
    assert gate.link["backlog"] == 3

    server.hub.always = None
    wait_until(lambda: gate.is_link("online", 0), 10)

    assert gate.is_whole


def test_what_staff_did_against_a_verdict_does_not_wait(gate: Gate) -> None:
    """An override is at the hub in moments, though a single scan would wait for company."""
    gate.start(push_at=200)
    wait_until(lambda: gate.is_link("online", 0), 5)
    gate.scan(2)
    wait_until(lambda: gate.is_link("online", 2), 3)

    gate.scan(1, EntryType.OVERRIDE)

    wait_until(lambda: gate.is_link("online", 0), 3)
    assert gate.is_whole


def test_a_damaged_sync_db_is_kept_aside_and_nothing_is_sent_twice(gate: Gate, server: HubServer) -> None:
    """The part begins a new database, says so, and goes on where the hub stands."""
    gate.scan(4)
    gate.start()
    wait_until(lambda: gate.is_link("online", 0), 5)
    gate.end()
    (gate.state / "sync.db").write_bytes(b"torn" * 4096)
    gate.scan(2)

    gate.start()
    wait_until(lambda: gate.is_link("online", 0), 5)

    assert gate.is_whole
    assert gate.codes() == ["sync.db_replaced"]
    assert (gate.state / "sync.db.damaged-1").read_bytes() == b"torn" * 4096
    assert len(server.hub.posted) == 2


def test_a_killed_part_sends_the_same_bytes_again(gate: Gate, server: HubServer) -> None:
    """After a kill -9 between sending and receipt, the batch goes again byte by byte, with later scans behind it."""
    server.hub.fail(Fault.DRIP, path=wire.BATCHES)
    gate.scan(5)
    first = subprocess.Popen([sys.executable, "-c", _ALONE, str(gate.state)])
    wait_until(lambda: len(server.hub.posted) == 1, 10)
    os.kill(first.pid, signal.SIGKILL)
    first.wait(5)
    gate.scan(5)

    second = subprocess.Popen([sys.executable, "-c", _ALONE, str(gate.state)])
    wait_until(lambda: gate.is_link("online", 0), 10)
    second.send_signal(signal.SIGTERM)

    assert second.wait(2) == 0
    assert server.hub.posted[1] == server.hub.posted[0]
    assert gate.is_whole


def test_a_gate_enrolled_elsewhere_follows_at_once(gate: Gate) -> None:
    """A new enrolment is taken up while the part runs; the new hub gets the whole log."""
    gate.scan(4)
    gate.start()
    wait_until(lambda: gate.is_link("online", 0), 5)
    with HubServer(ModelHub()) as other:
        gate.enrol(other.url, hub=other.hub)
        wait_until(lambda: other.hub.seqs(gate.id, gate.log.head.epoch) == [1, 2, 3, 4], 10)


@contextmanager
def mirror(repository: Repository, folder: Path) -> Iterator[str]:
    """Give the address of an HTTP mirror of a publication."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep the test's output clean."""

    handler = partial(Quiet, directory=str(repository.write(folder)))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


def test_trust_is_refreshed_and_a_tampered_mirror_is_said(gate: Gate, server: HubServer, tmp_path: Path) -> None:
    """The part keeps trust fresh; what does not verify changes nothing and is a finding, while scans go on."""
    repository = Repository()
    store = TrustStore.init(gate.state / "trust", repository.files["metadata/1.root.json"])
    with mirror(repository, tmp_path / "mirror") as url:
        gate.enrol(server.url, trust_url=url)
        gate.start(now_ms=lambda: NOW * 1000)
        wait_until(lambda: gate.link.get("last_refresh_ms") == NOW * 1000, 5)
        assert store.load().issued_at == NOW
        gate.scan(1)
        wait_until(lambda: gate.is_whole, 5)
        assert batch.header_of(server.hub.posted[0])[0].trust_versions == (1, 1)

        (tmp_path / "mirror" / "metadata" / "timestamp.json").write_bytes(b'{"signed": {}, "signatures": []}')
        wait_until(lambda: gate.codes() == ["trust.refused"], 10)
        gate.scan(1)
        wait_until(lambda: gate.is_whole, 5)

    assert store.load().issued_at == NOW


def test_an_update_stick_that_is_put_in_is_taken(gate: Gate, server: HubServer) -> None:
    """No mirror and no command: the part finds the stick; one that is forged changes nothing and is said."""
    repository = Repository()
    store = TrustStore.init(gate.state / "trust", repository.files["metadata/1.root.json"])
    repository.write(gate.state / "usb")
    gate.enrol(server.url)
    gate.start(now_ms=lambda: NOW * 1000)
    wait_until(lambda: gate.link.get("last_refresh_ms") == NOW * 1000, 5)
    assert store.load().issued_at == NOW

    Repository(now=NOW + 1).write(gate.state / "usb")
    wait_until(lambda: gate.codes() == ["trust.refused"], 10)

    assert store.load().issued_at == NOW


def test_a_stick_made_for_scans_is_written_and_its_receipts_taken(gate: Gate, server: HubServer) -> None:
    """No network and no command: the part writes the stick, and lets go when the receipts come back on it."""
    mount = gate.state / "usb"
    (mount / "edge-scans").mkdir(parents=True)
    gate.scan(30)
    server.kill()
    gate.start()
    wait_until(lambda: files_on(mount), 10)
    head, waiting = gate.log.head, gate.link["backlog"]

    import_stick(mount, lambda data: server.hub.answer(wire.BATCHES, data).body)
    wait_until(lambda: gate.link["backlog"] == 0, 20)

    assert (waiting, gate.link["link"]) == (30, "never")
    assert server.hub.head(gate.id, head.epoch) == head.head


def test_a_forged_receipt_on_a_stick_is_said_and_lets_go_of_nothing(gate: Gate, server: HubServer) -> None:
    """The page names it; what waits waits."""
    mount = gate.state / "usb"
    folder = mount / "edge-scans" / gate.id.hex()
    folder.mkdir(parents=True)
    (folder / "receipts").write_bytes(cbor.encode(b"signed by nobody"))
    gate.scan(3)
    server.kill()
    gate.start()

    wait_until(lambda: "sync.stick_receipt" in gate.codes(), 10)

    assert gate.link["backlog"] == 3
