"""`edge sync status` and `edge sync push`: what a technician reads and does, beside a running gate or without one."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.sync import sync
from edge.errors import EdgeError, EnrolmentError, SetupError, Unreachable
from edge.identity.identity import Enrolment, make_identity, save_enrolment
from edge.ledger import device, wire
from edge.model.scan import EntryType, Facts
from edge.scanlog.log import ScanLog
from edge.sync.store import Mark, SyncStore
from tests.simulators.hub import AT_MS, Fault, HubServer, ModelHub


@pytest.fixture
def server() -> Iterator[HubServer]:
    """Return a running hub."""
    with HubServer(ModelHub()) as server:
        yield server


@pytest.fixture
def state(tmp_path: Path, server: HubServer) -> Path:
    """Return the state folder of an enrolled gate with six scans."""
    public = make_identity(tmp_path).verify_key.encode()
    gate = device.gate_id(public)
    server.hub.gates[gate] = public
    save_enrolment(tmp_path, Enrolment(gate, "North gate", "3", "610100", server.url, server.hub.keys, "", 30, AT_MS))
    log = ScanLog.open(tmp_path / "scans.db")
    for _ in range(6):
        log.append(Facts(EntryType.SCAN, AT_MS))
    log.close()
    return tmp_path


def cli(*words: str) -> tuple[int, str, EdgeError | None]:
    """Run `edge sync`; return its exit code, what it printed and the error it ended in."""
    done = CliRunner().invoke(sync, list(words))
    error = done.exception if isinstance(done.exception, EdgeError) else None
    return done.exit_code, done.stdout, error


def test_status_before_anything_was_sent(state: Path) -> None:
    """Everything waits, the hub was never there."""
    code, said, _ = cli("status", "--state", str(state), "--json")

    found = json.loads(said)
    assert code == 0
    assert (found["link"], found["recorded"], found["backlog"], found["receipt"]) == ("never", 6, 6, None)


def test_status_of_a_new_folder(tmp_path: Path) -> None:
    """A gate that never ran has nothing to send."""
    code, said, _ = cli("status", "--state", str(tmp_path))

    assert code == 0
    assert "0 of 0 entries" in said


def test_status_of_no_folder_is_one_sentence(tmp_path: Path) -> None:
    """A mistyped folder is said."""
    _, _, error = cli("status", "--state", str(tmp_path / "none"))

    assert isinstance(error, SetupError)
    assert error.next_step


def test_push_sends_everything_and_status_shows_the_receipt(state: Path, server: HubServer) -> None:
    """After a push the hub holds the log, and the receipt that says so is shown."""
    code, said, _ = cli("push", "--state", str(state))
    _, shown, _ = cli("status", "--state", str(state), "--json")

    found = json.loads(shown)
    assert code == 0
    assert "6 entries pushed; 0 wait" in said
    assert found["backlog"] == 0
    assert found["receipt"]["last"] == 6
    assert found["receipt"]["key_id"] in server.hub.keys
    assert "up to entry 6" in cli("status", "--state", str(state))[1]


def test_push_with_nothing_to_send_is_quick_and_content(state: Path, server: HubServer) -> None:
    """A second push has nothing to do."""
    cli("push", "--state", str(state))
    posted = len(server.hub.posted)

    code, said, _ = cli("push", "--state", str(state), "--json")

    assert (code, json.loads(said)) == (0, {"pushed": 0, "waiting": 0, "parked": 0, "last": 6})
    assert len(server.hub.posted) == posted


def test_push_without_a_hub_says_so_and_keeps_everything(state: Path, server: HubServer) -> None:
    """Nobody answers: one sentence, and all entries still wait."""
    server.kill()

    code, said, error = cli("push", "--state", str(state))

    assert code == 1
    assert isinstance(error, Unreachable)
    assert "0 entries pushed; 6 wait" in said


@pytest.mark.parametrize("fault", [Fault.PORTAL, Fault.BROKEN, Fault.OTHER_KEY, Fault.UNKNOWN_GATE, Fault.HALF])
def test_push_ends_at_the_first_answer_that_is_none(state: Path, server: HubServer, fault: Fault) -> None:
    """A person at a terminal is told at once what was met; nothing is lost by it."""
    server.hub.always = (fault, wire.BATCHES)
    code, _, error = cli("push", "--state", str(state))
    assert (code, error is not None) == (1, True)

    server.hub.always = None
    assert cli("push", "--state", str(state))[0] == 0


def test_push_waits_for_its_slot(state: Path, server: HubServer) -> None:
    """A busy hub's Retry-After is kept in the foreground too."""
    server.hub.fail(Fault.BUSY, path=wire.BATCHES)

    assert cli("push", "--state", str(state))[0] == 0


def test_a_refused_batch_is_shown_with_its_reason(state: Path, server: HubServer) -> None:
    """What the hub refuses is kept, counted, shown, and makes the exit code 1."""
    server.hub.always = (Fault.REFUSE, wire.BATCHES)
    pushed, said, _ = cli("push", "--state", str(state))
    code, shown, _ = cli("status", "--state", str(state))

    assert (pushed, code) == (1, 1)
    assert "6 of them refused" in said
    assert "entries 1 to 6, malformed" in shown


def test_a_gate_that_is_not_enrolled_is_told_how(tmp_path: Path) -> None:
    """Pushing wants a hub."""
    _, _, error = cli("push", "--state", str(tmp_path))

    assert isinstance(error, EnrolmentError)
    assert "edge provision enroll" in error.next_step


def test_status_reads_beside_the_writer_and_writes_nothing(state: Path) -> None:
    """A running part is not disturbed."""
    cli("push", "--state", str(state))
    store = SyncStore(state / "sync.db")
    with store.writing():
        store.set_mark(b"another!", Mark(1, bytes(32)))
        assert cli("status", "--state", str(state), "--json")[0] == 0
    store.close()


def test_both_places_named_is_a_mistake(state: Path) -> None:
    """--config and --state name two gates."""
    assert cli("status", "--state", str(state), "--config", "gate.toml")[0] == 2


def test_an_address_in_the_settings_wins(state: Path, tmp_path: Path) -> None:
    """`sync.hub` of gate.toml is used in place of the enrolled one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "gate.toml"
    config.write_text(f'schema = 1\nstate = "{state}"\n[sync]\nhub = "http://127.0.0.1:{port}"\n')

    _, _, error = cli("push", "--config", str(config))

    assert error is not None
    assert f"127.0.0.1:{port}" in str(error)
