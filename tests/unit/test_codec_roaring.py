"""Roaring bitmaps and gaps: the canonical form, as CRoaring writes it too, and nothing else."""

from array import array
from random import Random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyroaring import BitMap

from edge.codec import gaps, roaring
from edge.codec.roaring import Bitmap
from edge.errors import EncodingRefused

SETS = st.sets(st.integers(0, 300_000), max_size=200)


def dense(share: int) -> list[int]:
    """A fixed set in the first four containers, `share` of a thousand numbers."""
    return sorted(Random(share).sample(range(1 << 18), (1 << 18) * share // 1000))


def by_croaring(numbers: list[int]) -> bytes:
    """The same set as the reference library writes it."""
    return BitMap(array("I", numbers), optimize=False).serialize() if numbers else b""


@given(SETS)
def test_a_set_reads_back_as_written(numbers: set[int]) -> None:
    """Members, order, count; and the bytes are the reference library's."""
    data = roaring.encode(sorted(numbers))

    assert by_croaring(sorted(numbers)) == data
    if numbers:
        found = Bitmap(data)
        found.check()
        assert (sorted(numbers), len(numbers)) == (list(found), len(found))
        assert all((number in found) == (number in numbers) for number in range(max(numbers) + 2))


@pytest.mark.parametrize("share", [1, 10, 62, 63, 100, 500, 999])
def test_dense_sets_are_written_as_the_reference_library_does(share: int) -> None:
    """Around the 4096 values at which an array becomes a bitmap, and far above."""
    numbers = dense(share)
    data = roaring.encode(numbers)

    assert by_croaring(numbers) == data
    assert numbers == list(Bitmap(data))


@pytest.mark.parametrize("count", [4095, 4096, 4097])
def test_an_array_becomes_a_bitmap_after_4096_values_and_back(count: int) -> None:
    """One value more or less changes the form both ways, and no member."""
    old = roaring.encode(range(0, 2 * count, 2))
    for flips, numbers in (
        ([1], sorted([1, *range(0, 2 * count, 2)])),
        ([0], list(range(2, 2 * count, 2))),
    ):
        found = roaring.flipped(Bitmap(old), flips)

        assert by_croaring(numbers) == found


@given(SETS, SETS)
def test_flipping_is_the_symmetric_difference(one: set[int], other: set[int]) -> None:
    """What flipping leads to, and how far two sets lie apart."""
    left, right = roaring.encode(sorted(one)), roaring.encode(sorted(other))
    old = Bitmap(left) if left else None

    assert roaring.encode(sorted(one ^ other)) == roaring.flipped(old, sorted(other))
    assert len(one ^ other) == roaring.difference(old, Bitmap(right) if right else None)


@pytest.mark.parametrize(("one", "other"), [(10, 999), (100, 500), (0, 100), (62, 63)])
def test_dense_sets_lie_as_far_apart_as_they_do(one: int, other: int) -> None:
    """Arrays against bitmaps, and against nothing."""
    left, right = roaring.encode(dense(one)), Bitmap(roaring.encode(dense(other)))

    found = roaring.difference(Bitmap(left) if left else None, right)

    assert len(set(dense(one)) ^ set(dense(other))) == found


SMALL = roaring.encode([1, 5, 65_536])


def test_every_one_byte_change_is_another_set_or_refused() -> None:
    """Walked: no change of a byte is read as the set it was."""
    for place in range(len(SMALL)):
        for value in range(256):
            changed = SMALL[:place] + bytes([value]) + SMALL[place + 1 :]
            try:
                found = Bitmap(changed)
                found.check()
            except EncodingRefused:
                continue
            assert changed == roaring.encode(found)


@pytest.mark.parametrize("end", range(len(SMALL)))
def test_every_cut_is_refused(end: int) -> None:
    """At each byte."""
    with pytest.raises(EncodingRefused):
        Bitmap(SMALL[:end])


def test_other_forms_are_refused() -> None:
    """Run containers, followed by bytes, more containers than a span has, past its end."""
    runs = BitMap(range(70_000))
    runs.run_optimize()
    for data in (runs.serialize(), SMALL + b"\0\0", by_croaring([1 << 26]), by_croaring([]) or b"\0" * 8):
        with pytest.raises(EncodingRefused):
            Bitmap(data)
    with pytest.raises(EncodingRefused, match="past its end"):
        Bitmap(SMALL).check(65_536)


def test_containers_that_lie_are_found_by_the_check() -> None:
    """An array out of order or with a value twice, a bitmap of another count."""
    array_form, bitmap_form = roaring.encode([1, 5]), bytearray(roaring.encode(range(5000)))
    bitmap_form[-1] = 1
    for data in (array_form[:-4] + b"\5\0\1\0", array_form[:-4] + b"\1\0\1\0", bytes(bitmap_form)):
        found = Bitmap(data)

        with pytest.raises(EncodingRefused):
            found.check()


@given(st.sets(st.integers(0, (1 << 32) - 1), max_size=100))
def test_gaps_read_back_as_packed(numbers: set[int]) -> None:
    """Ascending numbers of 32 bits."""
    ordered = array("I", sorted(numbers))

    assert ordered == gaps.unpack(gaps.pack(ordered), 1 << 32)


@pytest.mark.parametrize(
    "inner",
    {
        "a gap of zero": b"\x00",
        "a number twice": b"\x05\x00",
        "a longer form": b"\x81\x00",
        "cut short": b"\x05\x80",
        "past the end": b"\x7f\x7f",
        "past 32 bits": b"\xff\xff\xff\xff\x7f",
        "endless": b"\x80" * 100,
    }.values(),
)
def test_other_gaps_are_refused(inner: bytes) -> None:
    """Each with a frame that is sound."""
    with pytest.raises(EncodingRefused):
        gaps.unpack(zstandard.ZstdCompressor().compress(inner), 200)


@pytest.mark.parametrize(
    "packed",
    [
        b"no frame",
        zstandard.ZstdCompressor().compress(b""),
        gaps.pack([1]) + b"x",
        gaps.pack([1])[:-1],
        zstandard.ZstdCompressor(write_content_size=False).compress(b"\1"),
        zstandard.ZstdCompressor().compress(b"\1" * (5 * gaps.MAX_NUMBERS + 1)),
        zstandard.ZstdCompressor().compress(b"\1" * (gaps.MAX_NUMBERS + 1)),
    ],
)
def test_frames_that_are_none_or_bombs_are_refused(packed: bytes) -> None:
    """Asked for their size before anything is inflated."""
    with pytest.raises(EncodingRefused):
        gaps.unpack(packed, 1 << 32)
