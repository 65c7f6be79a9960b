"""`edge sync`: what a technician reads and does, beside a running gate or without one."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.sync import sync
from edge.errors import EdgeError, EnrolmentError, SetupError, Unreachable
from edge.identity.identity import Enrolment, load_identity, make_identity, save_enrolment
from edge.ledger import device, wire
from edge.model.scan import EntryType, Facts
from edge.scanlog.log import ScanLog
from edge.sync.store import Mark, SyncStore
from tests.simulators.hub import AT_MS, Fault, HubServer, ModelHub
from tests.simulators.stick_import import import_stick


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


def test_export_and_return_of_a_stick(state: Path, server: HubServer, tmp_path: Path) -> None:
    """To the stick, to the hub and back: JSON for scripts, and nothing waits in the end."""
    stick = tmp_path / "stick"
    stick.mkdir()
    code, out, _ = cli("export-usb", str(stick), "--state", str(state), "--json")
    import_stick(stick, lambda data: server.hub.answer(wire.BATCHES, data).body)
    again, back, _ = cli("export-usb", str(stick), "--state", str(state), "--json")

    assert (code, json.loads(out)["entries"], json.loads(out)["written"]) == (0, 6, 1)
    assert (again, json.loads(back)["receipts"]["freed"], json.loads(back)["entries"]) == (0, 6, 0)
    assert json.loads(cli("status", "--state", str(state), "--json")[1])["backlog"] == 0


def test_export_says_what_to_do_next(state: Path, tmp_path: Path) -> None:
    """A person is told where the stick goes, and that the folder is no stick."""
    code, out, _ = cli("export-usb", str(tmp_path), "--state", str(state))

    assert code == 0
    assert "carries 6 entries in 1 files, 1 of them written now" in out
    assert "edge hub import" in out
    assert "no mount point" in out


def test_export_to_no_stick_is_one_sentence(state: Path, tmp_path: Path) -> None:
    """A mistyped folder is said, with what to do."""
    code, _, error = cli("export-usb", str(tmp_path / "missing"), "--state", str(state))

    assert code == 1
    assert isinstance(error, SetupError)
    assert error.next_step


def test_a_forged_receipt_makes_the_exit_code_one(state: Path, tmp_path: Path) -> None:
    """What was refused is named, and everything is on the stick all the same."""
    gate = device.gate_id(load_identity(state).verify_key.encode())
    folder = tmp_path / "edge-scans" / gate.hex()
    folder.mkdir(parents=True)
    (folder / "receipts").write_bytes(b"\x40")

    code, out, _ = cli("export-usb", str(tmp_path), "--state", str(state))

    assert code == 1
    assert "receipt refused, forged" in out
    assert "carries 6 entries" in out


def test_retry_offers_what_was_refused_and_says_what_still_is(state: Path, server: HubServer) -> None:
    """While the hub refuses, nothing is lost; once it does not, one command puts it right."""
    server.hub.always = (Fault.REFUSE, wire.BATCHES)
    cli("push", "--state", str(state))
    still, said, _ = cli("retry", "--state", str(state))
    server.hub.always = None
    code, out, _ = cli("retry", "--state", str(state), "--json")

    assert (still, "malformed" in said) == (1, True)
    assert (code, json.loads(out)["refused_before"], json.loads(out)["parked"]) == (0, 1, [])
