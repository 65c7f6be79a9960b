"""The web part's end of the gate's socket, and the fan-out to pages: junk, silence and slow readers stop nobody."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.errors import Unreachable
from edge.kiosk import socket_client
from edge.kiosk.fanout import MAX_CLIENTS, MAX_STREAMS, Fanout, Listener
from edge.kiosk.socket_client import MAX_LINE, GateLink, Lines
from tests.simulators.gate_socket import GateSocket, accept, standing


class Heard:
    """What a link told its owner."""

    def __init__(self) -> None:
        self.messages: list[Mapping[str, Any]] = []
        self.connections: list[bool] = []

    def seqs(self) -> list[int]:
        """Return the sequence numbers of the verdicts, in order."""
        return [message["seq"] for message in self.messages if message["type"] == "verdict"]


def wait_until(is_true: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait until something holds.

    Raises:
        AssertionError: It did not in time.
    """
    end = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[GateSocket]:
    """A scanner part that runs."""
    end = GateSocket(tmp_path / "gate.sock").start()
    yield end
    end.stop()


@pytest.fixture
def heard() -> Heard:
    """What the link tells."""
    return Heard()


@pytest.fixture
def link(tmp_path: Path, heard: Heard) -> Iterator[GateLink]:
    """A link that runs, whether or not somebody is at the other end."""
    made = GateLink(tmp_path / "gate.sock", on_message=heard.messages.append, on_connection=heard.connections.append)
    made.start()
    yield made
    made.stop()


def test_lines_are_the_same_however_they_arrive() -> None:
    """Cut at every place, the same two objects come out."""
    stream = b'{"a":1}\n\n  \n{"b":"\xe5\xbc\xa0"}\n'
    for cut in range(len(stream)):
        lines = Lines()

        assert lines.feed(stream[:cut]) + lines.feed(stream[cut:]) == [{"a": 1}, {"b": "张"}]


@pytest.mark.parametrize("junk", [b"nonsense", b"[1]", b"7", b"\xff\xfe", b"[" * 60_000, b'{"a":', b"NaN", b'"x"'])
def test_a_junk_line_is_counted_and_the_next_one_read(junk: bytes) -> None:
    """What is no object is skipped."""
    lines = Lines()

    assert lines.feed(junk + b'\n{"a":1}\n') == [{"a": 1}]
    assert lines.junk == 1


def test_a_line_may_have_64_kib_and_no_byte_more() -> None:
    """At the limit a line is read, one past it is skipped, and what follows is read."""
    at_limit = json.dumps({"a": "x" * (MAX_LINE - 10)}).encode() + b"\n"
    over = json.dumps({"a": "x" * (MAX_LINE - 9)}).encode() + b"\n"
    lines = Lines()

    assert len(at_limit) == MAX_LINE
    assert len(lines.feed(at_limit)) == 1
    assert lines.feed(over + b'{"b":2}\n') == [{"b": 2}]
    assert lines.junk == 1


def test_an_endless_line_takes_no_memory() -> None:
    """A line that never ends is dropped as it comes, counted once, and its tail is not read as a line."""
    lines = Lines()
    for _ in range(100):
        assert lines.feed(b"x" * MAX_LINE) == []

    assert lines.feed(b'{"a":1}\n{"b":2}\n') == [{"b": 2}]
    assert lines.junk == 1
    assert len(lines._rest) == 0


def test_events_arrive_in_their_order(far: GateSocket, link: GateLink, heard: Heard) -> None:
    """The state greets, and verdicts follow as they were sent."""
    wait_until(lambda: heard.messages)
    far.publish(accept(1), accept(2), accept(3))
    wait_until(lambda: len(heard.seqs()) == 3)

    assert heard.messages[0]["type"] == "state"
    assert heard.seqs() == [1, 2, 3]
    assert heard.connections == [True]


def test_a_link_waits_for_a_part_that_starts_later(tmp_path: Path, link: GateLink, heard: Heard) -> None:
    """Nobody is there, then somebody is: the link connects by itself."""
    with pytest.raises(Unreachable):
        link.ask({"cmd": "preview"})
    far = GateSocket(tmp_path / "gate.sock").start()
    wait_until(lambda: heard.messages)
    far.stop()

    assert heard.connections[0] is True


def test_a_link_mends_itself(far: GateSocket, link: GateLink, heard: Heard) -> None:
    """The part dies and comes back: told both, and events go on."""
    wait_until(lambda: heard.connections == [True])
    far.stop()
    wait_until(lambda: heard.connections == [True, False])
    far.start()
    wait_until(lambda: heard.connections == [True, False, True])
    far.publish(accept(7))
    wait_until(lambda: heard.seqs() == [7])


def test_junk_between_events_loses_none(far: GateSocket, link: GateLink, heard: Heard) -> None:
    """Noise on the socket is skipped and the connection stays."""
    wait_until(lambda: heard.messages)
    far.publish(accept(1))
    far.raw(b"\xff\xfe\n[]\n" + b"x" * 200_000 + b'\n{"type": 7}\n{"id": "x", "ok": true}\n')
    far.publish(accept(2))
    wait_until(lambda: heard.seqs() == [1, 2])

    assert heard.connections == [True]


def test_a_command_gets_its_own_answer(far: GateSocket, link: GateLink, heard: Heard) -> None:
    """Eight askers at once each get the answer of their command."""
    wait_until(lambda: heard.messages)
    answers: dict[int, dict[str, Any]] = {}

    def ask(seq: int) -> None:
        answers[seq] = link.ask({"cmd": "note", "seq": seq, "note": "document_checked"})

    threads = [threading.Thread(target=ask, args=(seq,)) for seq in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({answer["seq"] for answer in answers.values()}) == 8
    assert {command["seq"] for command in far.asked("note")} == set(range(8))


def test_a_command_that_is_not_answered_ends(far: GateSocket, link: GateLink, heard: Heard) -> None:
    """A mute part costs an asker its time-out and nothing more."""
    wait_until(lambda: heard.messages)
    far.is_mute = True

    with pytest.raises(Unreachable, match="in time"):
        link.ask({"cmd": "report"}, timeout_s=0.05)


def test_whoever_waits_is_told_when_the_part_dies(far: GateSocket, link: GateLink, heard: Heard) -> None:
    """An asker does not sit out its time-out when the connection is gone."""
    wait_until(lambda: heard.messages)
    far.is_mute = True
    threading.Timer(0.1, far.stop).start()
    began = time.monotonic()

    with pytest.raises(Unreachable, match="went away"):
        link.ask({"cmd": "report"}, timeout_s=30)
    assert time.monotonic() - began < 5


def test_a_part_that_holds_the_socket_and_says_nothing_counts_as_away(
    far: GateSocket, link: GateLink, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence is asked for a sign of life; unanswered, the page is told."""
    monkeypatch.setattr(socket_client, "_PATIENCE_S", 0.2)
    monkeypatch.setattr(socket_client, "_SILENCE_S", 1.5)
    wait_until(lambda: heard.connections == [True])
    far.is_mute = True

    wait_until(lambda: False in heard.connections)

    assert far.asked("preview")


def test_a_quiet_part_that_answers_stays(
    far: GateSocket, link: GateLink, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part with nothing to tell answers the sign of life and keeps its connection."""
    monkeypatch.setattr(socket_client, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(socket_client, "_SILENCE_S", 3.0)
    wait_until(lambda: heard.connections)
    wait_until(lambda: len(far.asked("preview")) >= 2, timeout_s=8)

    assert heard.connections == [True]


def test_a_path_that_is_too_long_is_an_absent_part(tmp_path: Path, heard: Heard) -> None:
    """A socket that cannot exist is waited for, not raised about."""
    made = GateLink(tmp_path / ("x" * 200), on_message=heard.messages.append, on_connection=heard.connections.append)
    made.start()
    with pytest.raises(Unreachable):
        made.ask({"cmd": "preview"})
    made.stop()


def here() -> bool:
    """Tell that a page is still there."""
    return False


def opened(fanout: Fanout, is_gone: Callable[[], bool] = here) -> Listener:
    """Return a listener that was admitted and has read its snapshot."""
    listener = fanout.open(is_gone, "snapshot")
    assert listener is not None
    assert listener.get(0) == "snapshot"
    return listener


def test_every_page_gets_every_message_in_order() -> None:
    """Two pages read the same."""
    fanout = Fanout()
    pages = [opened(fanout), opened(fanout)]
    fanout.publish("1")
    fanout.publish("2")

    assert [[page.get(0), page.get(0), page.get(0)] for page in pages] == [["1", "2", ""], ["1", "2", ""]]


def test_no_more_pages_than_the_limit_listen() -> None:
    """One page too many is refused, and admitted once another has left."""
    fanout = Fanout()
    pages = [opened(fanout) for _ in range(MAX_CLIENTS)]

    assert fanout.open(here, "snapshot") is None
    fanout.leave(pages[0])
    assert fanout.open(here, "snapshot") is not None


def test_a_page_that_was_closed_makes_room_at_once() -> None:
    """Reloading many times in a row never meets the limit: closed pages are noticed when the next one asks."""
    fanout = Fanout()
    gone = [True]
    for _ in range(MAX_STREAMS):
        listener = fanout.open(lambda: gone[0], "snapshot")
        assert listener is not None
        fanout.publish("x")
        if listener.is_dropped:
            fanout.leave(listener)

    assert fanout.count() <= MAX_CLIENTS


def test_a_page_that_does_not_read_is_dropped_and_holds_nothing() -> None:
    """A page that never reads loses its stream and its queue; the others miss nothing."""
    fanout = Fanout()
    slow, quick = opened(fanout), opened(fanout)
    for number in range(200):
        fanout.publish(str(number))
        assert quick.get(0) == str(number)

    assert slow.is_dropped
    assert slow.get(0) is None
    assert fanout.count() == 1


def test_dropped_pages_that_hold_their_threads_are_bounded() -> None:
    """Pages that hang cannot take every thread of the server."""
    fanout = Fanout()
    admitted = 0
    for _ in range(5 * MAX_STREAMS):
        listener = fanout.open(here, "snapshot")
        if listener is not None:
            admitted += 1
            listener.drop()

    assert admitted == MAX_STREAMS


def test_closing_ends_every_stream() -> None:
    """After the end nobody waits and nobody is admitted."""
    fanout = Fanout()
    page = opened(fanout)
    fanout.close()

    assert page.get(10) is None
    assert fanout.open(here, "snapshot") is None


def test_the_state_of_a_simulated_gate_is_that_of_a_gate() -> None:
    """The small scanner part says what the protocol's document says a state has."""
    documented = {
        *("type", "at_ms", "place", "gate", "clock", "trust", "counts", "findings", "admitting"),
        *("frame_age_ms", "last_seq"),
    }

    assert set(standing()) == documented
