"""The simulated camera: what it draws can be read as a camera's pictures can, and its stream is one a gate takes."""

import itertools
import json
import queue
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest
import zxingcpp

from edge.demo.camera import Feed, Show, server
from edge.demo.motion import Path
from edge.demo.people import PROFILES, Case, Pace, Part, Presentation, Programme
from edge.demo.showing import FPS, Face, Showing, Wear, order, ordered
from edge.demo.stage import Dressed, Stage, Wardrobe, encoded, grey_of
from edge.model.settings import ScannerSettings
from edge.scanner.sources.url import open_source
from tests.simulators import world

SHORTEST = Pace(1.7, 0.75, 0.05)
CODE = world.make_pass()
SHOWING = Showing(0, CODE, "phone", Face("粤康码", "绿码 Green"), Wear(0.8, 0.5, 0.7, 0.5))


def people(count: int, pace: Pace) -> list[Presentation]:
    """The first people of a programme, each with a valid pass, on phones and paper in turn."""
    systems = list(PROFILES)
    parts = [Part(Case.VALID, systems[at % 7], ("phone", "paper")[at % 2]) for at in range(count)]
    return list(Programme(11, pace).presentations(parts, [CODE] * count, world.NOW))


def read(frame: Any) -> list[bytes]:
    found = zxingcpp.read_barcodes(grey_of(frame), formats=zxingcpp.BarcodeFormat.QRCode)
    return [one.bytes for one in found]


def test_every_code_is_read_while_it_is_held_up_and_some_frames_are_not() -> None:
    """At the shortest pace each of ten people is read in three frames or more; moving and unsharp frames are lost."""
    stage, wardrobe = Stage(11), Wardrobe(11)
    total = unread = tick = 0
    for one in people(10, SHORTEST):
        dressed = wardrobe.dress(one.showing)
        reads = []
        for frame_number in range(int(dressed.path.duration_s * FPS)):
            frame, is_shown = stage.frame(tick, dressed, frame_number / FPS)
            reads.append(CODE in read(frame))
            total, unread, tick = total + is_shown, unread + (is_shown and not reads[-1]), tick + 1
        assert sum(reads) >= 3, one

    assert 0.1 < unread / total < 0.7


def test_empty_scene_holds_no_code() -> None:
    """Between two people there is nothing to read, and the camera says that nothing is held up."""
    frame, is_shown = Stage(3).frame(0, None, 0.0)

    assert read(frame) == []
    assert not is_shown


def test_frames_follow_from_the_seed() -> None:
    """The same seed draws the same frame, another seed another."""
    frames = [Stage(seed).frame(9, Wardrobe(seed).dress(SHOWING), 0.8)[0] for seed in (5, 5, 6)]

    assert np.array_equal(frames[0], frames[1])
    assert not np.array_equal(frames[0], frames[2])


def test_dark_hall_is_dark_and_a_phone_shines_in_it() -> None:
    """A phone lights itself; paper is as dark as the hall."""
    brightest = {}
    for carrier in ("phone", "paper"):
        stage = Stage(5)
        dressed = Wardrobe(5).dress(Showing(0, CODE, carrier, SHOWING.face, Wear(), light=0.4))
        for tick in range(12):
            frame, _ = stage.frame(tick, dressed, tick / FPS)
        brightest[carrier] = float(np.percentile(frame, 99))
        assert frame.mean() < 80

    assert brightest["phone"] > brightest["paper"] + 40


@pytest.mark.parametrize("seed", range(12))
def test_nobody_is_there_before_and_after(seed: int) -> None:
    """A path begins and ends outside the frame, and the code's middle is well inside while it is held."""
    path = Path(seed, 1.2)
    held = path.carrier_at(1.0)
    corners = held.corners() if held is not None else np.zeros((4, 2))

    assert path.person_at(-0.01) is None
    assert path.carrier_at(path.duration_s) is None
    assert 300 < corners[:, 0].mean() < 1100
    assert abs(path.person_at(0.0)[0]) > 600  # type: ignore[index]  # somebody is there at 0


def test_order_survives_the_way_to_the_camera() -> None:
    """Any bytes of a code, and every setting, arrive as they were sent."""
    showing = Showing(
        3, bytes(range(256)), "paper", Face("一", "二", (1, 2, 3)), Wear(0.1, 0.2, 0.3, 0.4), 0.5, 0.6, 0.7
    )

    assert ordered(order(showing)) == showing


@pytest.mark.parametrize("line", ["{}", "[]", "not json", '{"raw": "", "face": {}, "wear": {"x": 1}}'])
def test_line_that_orders_nothing_is_refused(line: str) -> None:
    """A fault of the demo ends its camera instead of showing something else."""
    with pytest.raises(ValueError, match="not a presentation"):
        ordered(line)


def test_show_tells_first_and_last_frame_of_each() -> None:
    """Times are noted once each, in order, and the next person comes after the gap."""
    events: list[dict[str, Any]] = []
    ready: queue.Queue[Dressed] = queue.Queue()
    wardrobe = Wardrobe(1)
    for number in (0, 1):
        ready.put(wardrobe.dress(Showing(number, CODE, "phone", SHOWING.face, Wear(), hold_s=0.3, gap_s=0.2)))
    show = Show(Stage(1), Feed(), ready, events.append)
    for tick in range(48):
        show.tick(tick)

    assert [(event["is"], event["number"]) for event in events] == [
        ("first", 0),
        ("last", 0),
        ("first", 1),
        ("last", 1),
    ]
    assert all(one["wall_ms"] <= other["wall_ms"] for one, other in itertools.pairwise(events))


def test_those_who_wait_are_sent_away_when_it_is_enough() -> None:
    """Whoever stands before the camera finishes; nobody else comes, and each is accounted for."""
    events: list[dict[str, Any]] = []
    show = Show(Stage(1), Feed(), queue.Queue(), events.append)
    wardrobe = Wardrobe(1)
    for number in (0, 1, 2):
        show.ready.put(wardrobe.dress(Showing(number, CODE, "phone", SHOWING.face, Wear(), hold_s=0.2, gap_s=0.2)))
    for tick in range(30):
        if tick == 8:
            show.is_enough.set()
        show.tick(tick)

    assert sorted((event["number"], event["is"]) for event in events) == [
        (0, "first"),
        (0, "last"),
        (1, "dropped"),
        (2, "dropped"),
    ]


def test_gate_takes_the_stream() -> None:
    """The gate's own source reads the camera's pictures whole."""
    feed = Feed()
    http = server(feed, 0)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    picture = encoded(Stage(1).frame(0, None, 0.0)[0])
    ended = threading.Event()
    giving = threading.Thread(target=lambda: [feed.put(picture) for _ in iter(lambda: ended.wait(0.02), True)])
    giving.start()
    stream = open_source(f"http://127.0.0.1:{http.server_address[1]}/stream.mjpg", 0, ScannerSettings())
    try:
        frames = [stream.read() for _ in range(3)]
    finally:
        stream.close()
        ended.set()
        giving.join()
        http.shutdown()
        http.server_close()

    assert [frame.encoded for frame in frames if frame is not None] == [picture] * 3


def test_camera_process_shows_what_it_is_told_and_ends_with_its_input() -> None:
    """A process of its own: it says where it listens, what it showed and when, and leaves when the demo does."""
    camera = subprocess.Popen(
        [sys.executable, "-m", "edge.demo.camera", "1", "0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert camera.stdin is not None
    assert camera.stdout is not None
    with camera:
        listening = json.loads(camera.stdout.readline())
        camera.stdin.write(order(Showing(7, CODE, "phone", SHOWING.face, Wear(), hold_s=0.2, gap_s=0.0)) + "\n")
        camera.stdin.flush()
        said = [json.loads(camera.stdout.readline()) for _ in range(2)]
        camera.stdin.close()
        code = camera.wait(10)

    assert listening["port"] > 0
    assert [(event["is"], event["number"]) for event in said] == [("first", 7), ("last", 7)]
    assert 0 < said[1]["wall_ms"] - said[0]["wall_ms"] < 3000
    assert code == 0
