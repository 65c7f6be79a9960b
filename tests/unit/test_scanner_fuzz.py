"""Hostile pictures against the whole ladder: none raises, none outlives its time, and the child's memory is bounded."""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import segno

from edge.scanner.decode import Decoder, Limits
from edge.scanner.handover import Status, Want
from edge.scanner.ladder import Ladder
from edge.scanner.sources.base import Frame
from tests.simulators.mjpeg import jpeg_of, scene

WATCHDOG_S = 5.0


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    """A decoder as a gate has it, the second engine on every missed frame."""
    running = Decoder(Limits(WATCHDOG_S, retry_s=0.025), second_engine_every=1)
    running.start()
    yield running
    running.close()


def mutant(chance: random.Random) -> np.ndarray[Any, Any]:
    """A code, cut, bent, squeezed, stained or repeated at random: what finders are found in and no lattice fits."""
    text = "".join(chance.choices("ABCDEFGHIJ0123456789", k=chance.randrange(1, 400)))
    grey = scene(text, size=(640, 480), module_px=chance.choice((2, 3, 4)))
    corners = np.array([[0, 0], [640, 0], [640, 480], [0, 480]], np.float32)
    bent = corners + np.array([[chance.uniform(-200, 200) for _ in range(2)] for _ in range(4)], np.float32)
    grey = cv2.warpPerspective(grey, cv2.getPerspectiveTransform(corners, bent), (640, 480))
    for _ in range(chance.randrange(6)):
        x, y, wide, high = (chance.randrange(1, 300) for _ in range(4))
        there = grey[y : y + high, x : x + wide].copy()
        at_x, at_y = chance.randrange(300), chance.randrange(150)
        part = there[: 480 - at_y, : 640 - at_x]
        grey[at_y : at_y + part.shape[0], at_x : at_x + part.shape[1]] = part if chance.random() < 0.5 else 255 - part
    blurred = cv2.GaussianBlur(grey, (0, 0), chance.uniform(0.3, 3))
    noise = np.random.default_rng(chance.randrange(1 << 30)).normal(0, chance.uniform(0, 25), blurred.shape)
    return np.clip(blurred + noise, 0, 255).astype(np.uint8)


def test_pixels_of_no_sense_never_raise():
    """Bent, repeated and stained codes are read or not; whatever is read comes out of no exception."""
    chance = random.Random(3)
    ladder = Ladder(retry_s=1, second_every=1)

    for number in range(30):
        grey = mutant(chance)
        found = ladder.read_frame(grey, number % 3) + ladder.read_still(grey)
        assert all(np.isfinite((seen.x, seen.y, seen.module_px)).all() for seen in found)


def _mutated(chance: random.Random, originals: list[bytes]) -> bytes:
    data = bytearray(chance.choice(originals))
    for _ in range(chance.randrange(1, 20)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data[: chance.choice((len(data), len(data), chance.randrange(1, len(data))))])


def _fuzz(decoder: Decoder, seconds: float, seed: int) -> Counter[Status]:
    """Read mutated files and mutants, live and as stills, and note the slowest."""
    chance, seen = random.Random(seed), Counter[Status]()
    small = scene("MUTATED", size=(320, 240), module_px=4)
    originals = [cv2.imencode(kind, small)[1].tobytes() for kind in (".jpg", ".png", ".webp", ".tiff", ".bmp")]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        is_file = chance.random() < 0.8
        data = {"encoded": _mutated(chance, originals)} if is_file else {"pixels": mutant(chance)}
        want = chance.choice((Want.NOTHING, Want.STILL, Want.LOOK | Want.PREVIEW))
        seen[decoder.read(Frame(0, chance.randrange(3), **data), want).status] += 1  # type: ignore[arg-type]
    return seen


def test_mutated_files_cost_no_child(decoder: Decoder):
    """Two seconds of changed files and bent codes: each is answered by the child that was there."""
    before = decoder.child_pid
    seen = _fuzz(decoder, 2.0, seed=4)

    assert (seen[Status.LOST], seen[Status.ABSENT], decoder.child_pid) == (0, 0, before)
    assert seen[Status.READ] > 20


@pytest.mark.long
def test_mutated_files_cost_no_child_for_45_seconds(decoder: Decoder):
    """The same for the 45 seconds that are asked for."""
    seen = _fuzz(decoder, 45.0, seed=5)
    print(dict(seen), decoder.health)

    assert (seen[Status.LOST], seen[Status.ABSENT]) == (0, 0)


CHANCE = np.random.default_rng(1)
WALL = scene("WALL", size=(128, 144), module_px=3)

HUGE: dict[str, Frame] = {
    "20 megapixels of noise": Frame(0, 0, pixels=CHANCE.integers(0, 256, (3648, 5472), dtype=np.uint8)),
    "20 megapixels of 16 bits": Frame(0, 0, pixels=np.full((3648, 5472), 40_000, np.uint16)),
    "alpha": Frame(0, 0, pixels=np.zeros((720, 1280, 4), np.uint8)),
    "half a JPEG": Frame(0, 0, encoded=jpeg_of(scene("HALF"))[:20_000]),
    "a wall of codes": Frame(0, 0, pixels=np.tile(WALL, (5, 10))),
    "a wall of finders": Frame(0, 0, pixels=np.tile(WALL[30:62, 26:58], (22, 40))),
}


@pytest.mark.parametrize("frame", HUGE.values(), ids=HUGE.keys())
@pytest.mark.parametrize("want", [Want.NOTHING, Want.STILL])
def test_no_picture_outlives_the_watchdog(decoder: Decoder, frame: Frame, want: Want):
    """The largest and busiest pictures are answered before the watchdog, by a child within its memory."""
    before = decoder.child_pid

    assert decoder.read(frame, want).status in {Status.READ, Status.UNREADABLE}
    assert decoder.child_pid == before


def test_a_symbol_that_makes_pyzbar_raise_is_counted(decoder: Decoder):
    """A part of a structured append, on which pyzbar raises, gives no symbol, a count, and the next frame is read."""
    part = segno.make_sequence("HP1:" + "A" * 300, symbol_count=3)[0]
    rows = np.array([list(row) for row in part.matrix_iter(border=4)], np.uint8)
    grey = np.kron(255 * (1 - rows), np.ones((6, 6), np.uint8)).astype(np.uint8)
    before = decoder.health.second_failures

    assert decoder.read(Frame(0, 0, pixels=grey), Want.STILL).symbols == ()
    assert decoder.health.second_failures == before + 1
    assert [one.raw for one in decoder.read(Frame(0, 0, pixels=scene("NEXT"))).symbols] == [b"NEXT"]


def test_the_memory_of_the_child_is_bounded(decoder: Decoder):
    """A child that wants more than it may have says that a picture is too big, and lives."""
    small = Decoder(Limits(WATCHDOG_S, memory=96 << 20), second_engine_every=1)
    small.start()
    try:
        huge = Frame(0, 0, pixels=np.zeros((4000, 5000, 3), np.uint8))
        statuses = [small.read(huge, Want.STILL).status, small.read(Frame(0, 0, pixels=scene("AFTER"))).status]
        limits = Path(f"/proc/{small.child_pid}/limits").read_text()
    finally:
        small.close()

    assert statuses in ([Status.TOO_BIG, Status.READ], [Status.UNREADABLE, Status.READ])
    assert str(96 << 20) in next(line for line in limits.splitlines() if line.startswith("Max data size"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_children_lost_under_load_cost_a_frame_each(how: signal.Signals):
    """While frames need retries, a child killed or stopped costs the frame it had: counted, never raised, replaced."""
    running = Decoder(Limits(0.5, retry_s=0.025), second_engine_every=1)
    running.start()
    frames = [Frame(0, 0, pixels=mutant(random.Random(seed))) for seed in range(4)]
    stop, hit = threading.Event(), []

    def strike() -> None:
        while not stop.wait(0.4):
            pid = running.child_pid
            if pid is not None:
                os.kill(pid, how)
                hit.append(pid)

    striker = threading.Thread(target=strike)
    striker.start()
    until, lost = time.monotonic() + 3.0, 0
    while time.monotonic() < until:
        lost += running.read(frames[lost % 4]).status is Status.LOST
    stop.set()
    striker.join()
    counted = running.health.restarts
    running.close()

    assert (len(hit) >= 2, lost >= 2, counted) == (True, True, lost)
