"""`edge gate run` as a person starts it: three parts, one command, and every mistake answered in a sentence."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from edge.disk import durable
from edge.identity.identity import Enrolment, make_identity, save_enrolment
from edge.kiosk.drawing import svg
from edge.ledger import device, slip
from tests.bench.start import command_of, free_port, tree
from tests.simulators.mjpeg import MjpegServer, jpeg_of, scene

EDGE = [sys.executable, "-m", "edge"]


def wait_for(condition, within_s=20.0):
    """Return the first true answer of `condition`, polled for a bounded time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


@pytest.fixture
def configured(tmp_path):
    with MjpegServer(jpeg_of(scene("https://example.com/poster")), fps=15) as camera:
        port = free_port()
        path = tmp_path / "gate.toml"
        path.write_text(
            f'schema = 1\nstate = "state"\n[scanner]\nsources = ["url:{camera.url}"]\n[web]\nport = {port}\n',
            encoding="utf-8",
        )
        yield path, port, camera


@pytest.fixture
def gate(configured):
    path, port, _ = configured
    process = subprocess.Popen(
        [*EDGE, "gate", "run", "--config", str(path)], stderr=subprocess.PIPE, start_new_session=True, text=True
    )
    yield process, path, port
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stderr.close()


def parts(process):
    return {command_of(pid): pid for pid in tree(process.pid)}


def events(path):
    """Read the gate's socket for a moment."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(1.5)
        try:
            sock.connect(str(path.parent / "state" / "gate.sock"))
            return [json.loads(line) for line in sock.recv(65536).splitlines(keepends=True) if line.endswith(b"\n")]
        except OSError:
            return []


def is_up(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_one_command_starts_all_three_parts_and_sigterm_ends_them(gate):
    """Scanner, page and sync run; a code is seen and recorded; the end is clean and quick."""
    process, path, port = gate
    wait_for(lambda: is_up(port))
    wait_for(lambda: any(event.get("last_seq") == 1 for event in events(path)))
    running = parts(process)

    assert running.keys() >= {"scanner", "web", "sync", "decoder"}
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in running.values()))


def test_a_part_that_is_killed_comes_back_and_the_others_never_stop(gate):
    """The page dies: verdicts go on; the scanner dies: it is there again within seconds, its log whole."""
    process, path, port = gate
    wait_for(lambda: is_up(port))
    before = wait_for(lambda: parts(process) if len(parts(process)) >= 5 else None)
    os.kill(before["web"], signal.SIGKILL)
    wait_for(lambda: parts(process).get("web") not in {None, before["web"]} and is_up(port))

    assert parts(process)["scanner"] == before["scanner"]
    os.kill(before["scanner"], signal.SIGKILL)
    wait_for(lambda: events(path) and parts(process).get("scanner") not in {None, before["scanner"]})


def test_when_the_supervisor_is_killed_nothing_is_left_running(gate):
    """No orphan keeps the camera or the log."""
    process, _, port = gate
    wait_for(lambda: is_up(port))
    running = parts(process)
    process.kill()
    process.wait()

    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in running.values()))


def failing(*words):
    done = subprocess.run([*EDGE, *words], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_a_port_in_use_is_one_sentence_and_the_command_that_finds_who(configured):
    """Nothing is started."""
    path, port, _ = configured
    with socket.create_server(("127.0.0.1", port)):
        code, said = failing("gate", "run", "--config", str(path))

    assert code == 3
    assert f"127.0.0.1:{port}" in said
    assert "ss -ltnp" in said


KEY, STRANGE = bytes(range(32)), bytes(range(1, 33))
HUB = SigningKey(b"h" * 32).verify_key.encode()


def id_of(seed):
    return device.gate_id(SigningKey(seed).verify_key.encode())


def enrolled(state, key=KEY):
    """Make a state folder enrolled under `KEY`, with a key in it."""
    state.mkdir()
    durable.write(state / "device.key", key, mode=0o600)
    keys = {device.key_id(HUB).hex(): HUB}
    save_enrolment(state, Enrolment(id_of(KEY), "北站", "3", "610100", "http://127.0.0.1:9", keys, "", 30, 1))


def found_in(path):
    """Return the findings about key and enrolment that the gate tells its pages, by code."""
    states = [event for event in events(path) if event["type"] == "state"]
    return {one["code"]: one for one in states[-1]["findings"] if one["code"].startswith("gate.")} if states else None


def test_another_gates_key_is_said_at_the_start_and_the_gate_records_on(configured):
    """Both ids stand on the page and on standard error; scans are recorded; the right key back ends it."""
    path, _, _ = configured
    state = path.parent / "state"
    enrolled(state, STRANGE)
    process = subprocess.Popen([*EDGE, "gate", "run", "--config", str(path)], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: (found_in(path) or {}).get("gate.other_key"))
        (found,) = found_in(path).values()
        wait_for(lambda: any(event.get("last_seq") == 1 for event in events(path)))
        wait_for((state / "link.json").exists)
        said = wait_for(lambda: json.loads((state / "link.json").read_bytes())["findings"])
        durable.write(state / "device.key", KEY, mode=0o600)
        wait_for(lambda: found_in(path) == {})
    finally:
        process.terminate()
        _, told = process.communicate(timeout=10)
    ids = (id_of(STRANGE).hex()[:8], id_of(KEY).hex()[:8])

    assert (found["severity"], tuple(found["params"].values())) == ("damage", ids)
    assert [one["code"] for one in said] == ["gate.other_key"]
    assert f"Wrong key on this gate: {ids[0]} in place of {ids[1]}. device.key and enrolment.json" in told
    assert "Over: Wrong key on this gate" in told
    assert process.returncode == 0


def test_a_damaged_enrolment_leaves_a_gate_that_records_and_says_so(configured):
    """Page and standard error name the file; nothing ends."""
    path, _, _ = configured
    state = path.parent / "state"
    enrolled(state)
    (state / "enrolment.json").write_bytes(b'{"schema": 1')
    process = subprocess.Popen([*EDGE, "gate", "run", "--config", str(path)], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: (found_in(path) or {}).get("gate.enrolment_damaged"))
        wait_for(lambda: any(event.get("last_seq") == 1 for event in events(path)))
        running = process.poll() is None
    finally:
        process.terminate()
        _, told = process.communicate(timeout=10)

    assert running
    assert "This gate's enrolment is damaged (enrolment.json)" in told


SECOND = [(), ("--part", "scanner"), ("--part", "web"), ("--part", "sync")]


@pytest.fixture
def other(configured):
    """Another configuration of the same state folder: other port, other camera, other name of the folder."""
    path, _, _ = configured
    (path.parent / "link").symlink_to(path.parent / "state")
    made = path.with_name("other.toml")
    made.write_text(
        f'schema = 1\nstate = "link"\n[scanner]\nsources = ["camera:77"]\n[web]\nport = {free_port()}\n',
        encoding="utf-8",
    )
    return made


def test_a_second_gate_on_one_folder_ends_at_once_and_the_first_goes_on(gate, other):
    """Whole or a part of it, with its configuration or another: one sentence with folder, process and next step."""
    process, path, port = gate
    wait_for(lambda: is_up(port) and len(parts(process)) >= 5)
    before = parts(process)
    for config in (path, other):
        for words in SECOND:
            code, said = failing("gate", "run", "--config", str(config), *words)
            holder = before[words[1]] if words else process.pid

            assert code == 3, (words, said)
            assert f"already (process {holder})" in said
            assert f"kill {holder}" in said
            assert len(said.splitlines()) == 2

    assert parts(process) == before
    assert is_up(port)
    assert events(path)


def test_the_parts_of_one_gate_run_beside_each_other_as_services_do(configured, other):
    """Three units share one folder; a gate that would run whole beside them is told of the first it meets."""
    path, port, _ = configured
    units = {
        name: subprocess.Popen([*EDGE, "gate", "run", "--part", name, "--config", str(path)])
        for name in ("scanner", "web", "sync")
    }
    try:
        wait_for(lambda: is_up(port) and any(event.get("last_seq") == 1 for event in events(path)))
        wait_for((path.parent / "state" / "link.json").exists)
        code, said = failing("gate", "run", "--config", str(other))
        units["scanner"].kill()
        units["scanner"].wait()
        units["scanner"] = subprocess.Popen([*EDGE, "gate", "run", "--part", "scanner", "--config", str(path)])
        wait_for(lambda: events(path))

        assert (code, f"The scanner part of a gate runs on {path.parent / 'link'} already" in said) == (3, True)
        assert [unit.poll() for unit in units.values()] == [None] * 3
    finally:
        for unit in units.values():
            unit.terminate()
        ended = [unit.wait(10) for unit in units.values()]
    assert ended == [0, 0, 0]


def test_a_gate_starts_again_right_after_it_was_killed(gate):
    """The parts a killed supervisor leaves behind are waited for; no file has to be removed by hand."""
    process, path, port = gate
    wait_for(lambda: is_up(port) and len(parts(process)) >= 5)
    process.kill()
    process.wait()
    again = subprocess.Popen([*EDGE, "gate", "run", "--config", str(path)], start_new_session=True)
    try:
        wait_for(lambda: len(parts(again)) >= 5 and is_up(port))
    finally:
        again.terminate()
        assert again.wait(10) == 0


def test_a_missing_configuration_is_one_sentence_and_the_next_step(tmp_path):
    """The file is named."""
    code, said = failing("gate", "run", "--config", str(tmp_path / "nowhere.toml"))

    assert code == 3
    assert "nowhere.toml" in said
    assert "gate.toml" in said


def test_an_unknown_source_is_refused_with_what_there_is(tmp_path):
    """The scanner part says it, and the supervisor does not try for ever."""
    path = tmp_path / "gate.toml"
    path.write_text(f'schema = 1\nstate = "s"\n[scanner]\nsources = ["webcam:0"]\n[web]\nport = {free_port()}\n')
    code, said = failing("gate", "run", "--config", str(path))

    assert code == 3
    assert "webcam" in said


def test_a_damaged_scan_log_is_named_and_left_as_it_is(configured):
    """The gate does not start over somebody's evidence."""
    path, _, _ = configured
    state = path.parent / "state"
    state.mkdir()
    (state / "scans.db").write_bytes(b"this is no database" * 300)
    code, said = failing("gate", "run", "--config", str(path))

    assert code != 0
    assert "scans.db" in said
    assert (state / "scans.db").read_bytes() == b"this is no database" * 300


def test_a_missing_camera_keeps_the_gate_running_and_says_so(tmp_path):
    """No device: a finding with its code, and the gate waits for it."""
    path = tmp_path / "gate.toml"
    path.write_text(f'schema = 1\nstate = "s"\n[scanner]\nsources = ["camera:77"]\n[web]\nport = {free_port()}\n')
    process = subprocess.Popen([*EDGE, "gate", "run", "--config", str(path)], start_new_session=True)
    try:

        def told():
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(2)
            try:
                sock.connect(str(tmp_path / "s" / "gate.sock"))
                state = json.loads(sock.makefile().readline())
            except OSError:
                return None
            finally:
                sock.close()
            return [finding["code"] for finding in state["findings"] if finding["code"].startswith("camera.")]

        assert wait_for(told)
        assert process.poll() is None
    finally:
        process.terminate()
        assert process.wait(10) == 0


def test_a_gate_that_watches_a_folder_says_what_it_has_read_and_reads_what_comes(tmp_path):
    """Page and standard error say how many pictures and codes there were; a picture put there later is recorded."""
    pictures = tmp_path / "in"
    pictures.mkdir()
    for number in range(3):
        (pictures / f"{number}.jpg").write_bytes(jpeg_of(scene(f"PERSON {number}")))
    (pictures / "torn.jpg").write_bytes(b"no picture")
    path = tmp_path / "gate.toml"
    path.write_text(f'schema = 1\nstate = "state"\n[scanner]\nsources = ["folder:in"]\n[web]\nport = {free_port()}\n')
    process = subprocess.Popen([*EDGE, "gate", "run", "--config", str(path)], stderr=subprocess.PIPE, text=True)

    def read_out(count):
        states = [event for event in events(path) if event["type"] == "state"]
        found = [one for one in states[-1]["findings"] if one["code"] == "source.waiting"] if states else []
        return found[0] if found and found[0]["params"]["frames"] == count else None

    try:
        finding = wait_for(lambda: read_out(4))
        (pictures / "later.jpg").write_bytes(jpeg_of(scene("LATER")))
        later = wait_for(lambda: read_out(5))
    finally:
        process.terminate()
        _, told = process.communicate(timeout=10)

    assert (finding["severity"], finding["params"]["codes"], finding["params"]["unread"]) == ("warning", 3, 1)
    assert later["params"]["codes"] == 4
    assert "All pictures read (folder:in): 4 in all, codes 3, unreadable 1." in told
    assert "torn.jpg is no picture" in told
    assert "name a camera in scanner.sources" in told
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [(("gaet",), "edge gate"), (("gate", "rum"), "No such command"), (("verify", "--jsn", "x"), "--jsn")],
)
def test_a_misspelt_command_is_answered_with_the_nearest(words, hint):
    """No traceback, no silence."""
    code, said = failing(*words)

    assert code == 2
    assert hint in said


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell):
    """For every shell that is promised."""
    done = subprocess.run([*EDGE, "completion", shell], capture_output=True, text=True, timeout=60, check=True)

    assert "_EDGE_COMPLETE" in done.stdout


def body_of(address):
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.read()
    except OSError:
        return b""


def test_a_refusal_before_the_camera_becomes_a_slip_that_opens(gate):
    """From the camera over the log and the page to `edge verify`: signed by this gate's key, unproven without a hub."""
    _, path, port = gate
    key = make_identity(path.parent / "state")
    wait_for(lambda: is_up(port) and any(event.get("last_seq") == 1 for event in events(path)))
    asked = {"id": 1, "cmd": "slip", "seq": 1}
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(str(path.parent / "state" / "gate.sock"))
        sock.sendall(json.dumps(asked).encode() + b"\n")
        lines = sock.makefile("rb")
        code = next(found.get("slip", found) for found in map(json.loads, lines) if found.get("id") == 1)

    # The page's own connection to the scanner part may come a moment later than its health.
    picture = wait_for(lambda: body_of(f"http://127.0.0.1:{port}/slip.svg?seq=1"))
    found, vouched = slip.open_slip(code.encode(), {})

    assert picture == svg(code)
    assert (found.reason, found.public, vouched) == ("credential.foreign", key.verify_key.encode(), None)
    (path.parent / "slip.txt").write_text(code)
    told = subprocess.run(
        [*EDGE, "verify", str(path.parent / "slip.txt"), "--json"], capture_output=True, timeout=60, check=False
    )
    assert (told.returncode, json.loads(told.stdout)["outcome"]) == (1, "unproven")
