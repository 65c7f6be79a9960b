"""The disk that power-cut replays build images of: a cache that may lose what was not flushed, and nothing else."""

import random
import struct
from itertools import product

import pytest

from tests.simulators.block_log import DISCARD, FLUSH, FUA, MAGIC, Replay, Sent, read

BLOCK = 4096


def written(*sent: Sent) -> bytes:
    """Return a log as QEMU writes it, with sectors of 512 bytes."""
    log = struct.pack("<QQQI", MAGIC, 1, len(sent), 512).ljust(512, b"\0")
    for one in sent:
        log += struct.pack("<QQQQ", one.offset // 512, len(one.data) // 512, one.flags, 0).ljust(512, b"\0") + one.data
    return log


def block(at: int, byte: bytes, flags: int = 0) -> Sent:
    """Return a write of one block."""
    return Sent(at * BLOCK, byte * BLOCK, flags)


SENT = (block(0, b"a"), Sent(0, b"", FLUSH), block(1, b"b", FUA), block(0, b"c"), block(2, b"d"))


def images(moment: int, draws: int = 400) -> set[bytes]:
    """Return the images that a cut at one moment may leave."""
    return {Replay(bytes(3 * BLOCK), SENT).cut(moment, random.Random(seed)) for seed in range(draws)}


def test_a_log_is_read_as_it_was_written() -> None:
    """Writes, flushes and discards come back in order."""
    sent = [*SENT, Sent(BLOCK, b"", DISCARD)]

    assert read(written(*sent)) == sent


def test_a_log_cut_short_anywhere_is_refused() -> None:
    """No end but its own passes for a log."""
    log = written(*SENT)

    for end in range(0, len(log), 64):
        with pytest.raises(ValueError, match=r"no log of writes|cut short"):
            read(log[:end])


def test_what_was_flushed_and_what_was_forced_stay() -> None:
    """Before the flush all or nothing of `a` may be there; behind it all of it, and the forced `b`."""
    assert {image[:BLOCK] for image in images(2)} == {b"a" * BLOCK}
    assert {image[BLOCK : 2 * BLOCK] for image in images(5)} == {b"b" * BLOCK}
    assert {bytes(BLOCK), b"a" * BLOCK} < {image[:BLOCK] for image in images(1)}


def test_any_part_of_the_rest_may_be_lost() -> None:
    """Later writes stay without earlier ones and the other way round, and single sectors of each."""
    left = images(5)

    whole = {(image[0], image[2 * BLOCK]) for image in left if len(set(image[:BLOCK])) == 1 == len(set(image[-BLOCK:]))}
    assert whole == set(product(b"ac", b"\0d"))
    assert any(set(image[:BLOCK]) == set(b"ac") for image in left)


def test_moments_go_forwards_and_give_what_a_fresh_replay_gives() -> None:
    """A replay that was asked before gives the same images."""
    asked = Replay(bytes(3 * BLOCK), SENT)

    for moment in range(len(SENT) + 1):
        fresh = Replay(bytes(3 * BLOCK), SENT).cut(moment, random.Random(moment))
        assert asked.cut(moment, random.Random(moment)) == fresh
