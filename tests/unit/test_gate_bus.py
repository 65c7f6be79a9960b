"""The gate's socket: everybody hears, nobody is waited for."""

import json
import socket
import time
from pathlib import Path

import pytest

from edge.errors import SetupError
from edge.gate.bus import MAX_LINE, Bus


@pytest.fixture
def bus(tmp_path):
    made = Bus(tmp_path / "gate.sock")
    made.start()
    yield made
    made.close()


@pytest.fixture
def connect(tmp_path):
    opened = []

    def connected():
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(str(tmp_path / "gate.sock"))
        opened.append(sock)
        return sock.makefile("rwb", buffering=0)

    yield connected
    for sock in opened:
        sock.close()


def ask(stream, line):
    stream.write(line)
    return json.loads(stream.readline())


def test_a_listener_is_greeted_with_the_latest_state_and_then_hears_events(bus, connect):
    """State first, then what happens, in order."""
    bus.publish({"type": "state", "n": 1})
    bus.publish({"type": "state", "n": 2})
    stream = connect()

    assert json.loads(stream.readline())["n"] == 2
    bus.publish({"type": "verdict", "seq": 7})
    assert json.loads(stream.readline())["seq"] == 7


def test_a_command_is_answered_with_its_own_id(bus, connect):
    """Commands wait for the line's thread; the answer comes back on the same connection."""
    stream = connect()
    stream.write(b'{"id": 9, "cmd": "preview"}\n')
    command = bus.commands.get(timeout=5)
    command.answer({"ok": True})

    assert command.body["cmd"] == "preview"
    assert json.loads(stream.readline()) == {"id": 9, "ok": True}


@pytest.mark.parametrize("line", [b"junk\n", b"[]\n", b"\xff\xff\n", b"[" * 5000 + b"\n", b"{}{}\n", b"null\n"])
def test_junk_is_answered_and_the_connection_stays(bus, connect, line):
    """A malformed line costs itself."""
    stream = connect()

    assert ask(stream, line)["code"] == "malformed"
    assert ask(stream, line)["code"] == "malformed"


def test_a_line_without_end_is_cut_off(bus, connect):
    """More than 64 KiB without a line break ends the connection, and only that one."""
    endless, other = connect(), connect()

    def write_for_ever():
        for _ in range(200):
            endless.write(b"x" * MAX_LINE)

    with pytest.raises(OSError):
        write_for_ever()

    assert ask(other, b"junk\n")["code"] == "malformed"


def test_a_listener_that_does_not_read_is_dropped_and_holds_nobody_up(bus, connect):
    """Publishing never blocks; who reads goes on reading."""
    connect()
    start = time.monotonic()
    for _ in range(3000):
        bus.publish({"type": "verdict", "filling": "x" * 2000})

    assert time.monotonic() - start < 5
    bus.publish({"type": "state", "seq": 0})
    reader = connect()
    assert json.loads(reader.readline())["seq"] == 0
    bus.publish({"type": "verdict", "seq": 1})
    assert json.loads(reader.readline())["seq"] == 1


def test_commands_beyond_the_queue_are_refused_not_kept(bus, connect):
    """A client that floods commands is told so."""
    stream = connect()
    for number in range(80):
        stream.write(json.dumps({"id": number, "cmd": "report"}).encode() + b"\n")

    assert json.loads(stream.readline())["code"] == "busy"


def test_a_path_too_long_for_a_socket_is_said_with_the_key_to_change(tmp_path):
    """Unix sockets have short names."""
    with pytest.raises(SetupError) as refused:
        Bus(tmp_path / ("x" * 120) / "gate.sock")

    assert "gate.toml" in refused.value.next_step


def test_the_socket_is_gone_after_closing_and_an_old_one_is_replaced(tmp_path):
    """A crash leaves a socket behind; the next start takes its place."""
    path = Path(tmp_path / "gate.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    bus = Bus(path)
    bus.start()
    bus.close()

    assert not path.exists()
