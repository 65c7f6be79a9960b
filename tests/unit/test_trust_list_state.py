"""States and deltas of lists in parts, and lists of hashes: hostile files are refused, each with a reason."""

from array import array
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edge.codec import cbor, gaps
from edge.errors import EncodingRefused, ListRefused, TrustError
from edge.model.credential import HashKind
from edge.model.trust import Status
from edge.trust import hash_list, list_state
from edge.trust.hash_list import SortedHashes
from edge.trust.list_state import ListDelta
from tests.simulators.lists import ListAuthor, MemoryParts

URI = "issuers/44/status/2"
SIZE = 1 << 20


@pytest.fixture
def author() -> ListAuthor:
    """A list with one revoked and one suspended entry."""
    found = ListAuthor(SIZE)
    found.change([5], [7])
    return found


def test_a_state_reads_back_as_written(author: ListAuthor) -> None:
    """The base is the state, and its digest its name."""
    data = author.state.encode()

    assert author.state == list_state.parse_state(data, URI)
    assert sha256(data).digest() == author.state.digest


def test_a_delta_reads_back_as_written(author: ListAuthor) -> None:
    """With its flips, and leads where it says."""
    before = author.state
    delta = author.change([9, 11], [7])

    read = list_state.parse_delta(delta.encode(), URI, 2, SIZE)

    assert (delta, 3) == (read, read.count)
    assert author.state == list_state.apply(before, read, author.parts)


def changed(data: bytes, **members: Any) -> bytes:
    """The same map with other members, by `m` and number."""
    found = cbor.decode(data)
    found.update({int(name[1:]): value for name, value in members.items()})
    return cbor.encode(found)


BASES = {
    "another schema": {"m1": 2},
    "a schema that is true": {"m1": True},
    "another list": {"m2": "issuers/44/status/3"},
    "a negative sequence": {"m3": -1},
    "an endless sequence": {"m3": 1 << 60},
    "no entries": {"m4": 0, "m5": 0, "m6": [], "m7": []},
    "more entries than a pass can name": {"m4": (1 << 32) + 1},
    "more issued than there are": {"m5": SIZE + 1},
    "a plane too many spans long": {"m6": [b"", b""]},
    "a plane that is none": {"m7": b""},
    "a short digest": {"m6": [bytes(31)]},
    "a digest that is a number": {"m6": [5]},
    "a member more": {"m8": 1},
}


@pytest.mark.parametrize("members", BASES.values(), ids=list(BASES))
def test_a_base_of_another_form_is_refused(author: ListAuthor, members: dict[str, Any]) -> None:
    """Every field out of its bounds."""
    with pytest.raises(ListRefused):
        list_state.parse_state(changed(author.state.encode(), **members), URI)


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\x80", b"<html>", b"\xff" * 100])
def test_rubbish_is_neither_base_nor_delta(data: bytes) -> None:
    """Any bytes."""
    with pytest.raises(ListRefused):
        list_state.parse_state(data, URI)
    with pytest.raises(ListRefused):
        list_state.parse_delta(data, URI, 1, SIZE)


def bomb() -> bytes:
    """Sixty megabytes of gaps in a few kilobytes."""
    return zstandard.ZstdCompressor().compress(b"\1" * (60 << 20))


DELTAS = {
    "another list": {"m2": "issuers/61/status/2"},
    "another sequence than its path": {"m3": 2},
    "no state before": {"m4": b""},
    "a result of another length": {"m5": bytes(33)},
    "more issued than there are": {"m6": SIZE + 1},
    "flips past the end": {"m7": gaps.pack([SIZE])},
    "flips out of order": {"m7": zstandard.ZstdCompressor().compress(b"\5\0")},
    "flips that are no bytes": {"m8": 0},
    "a bomb": {"m8": bomb()},
    "a flip cut short": {"m7": zstandard.ZstdCompressor().compress(b"\x80")},
}


@pytest.mark.parametrize("members", DELTAS.values(), ids=list(DELTAS))
def test_a_delta_of_another_form_is_refused(author: ListAuthor, members: dict[str, Any]) -> None:
    """Every field out of its bounds, inflated or not."""
    with pytest.raises(ListRefused):
        list_state.parse_delta(changed(author.deltas[1], **members), URI, 1, SIZE)


@pytest.mark.parametrize("end", range(0, 130, 3))
def test_cut_files_are_refused(author: ListAuthor, end: int) -> None:
    """Wherever they are cut."""
    base, delta = author.state.encode(), author.deltas[1]
    with pytest.raises(ListRefused):
        list_state.parse_state(base[: min(end, len(base) - 1)], URI)
    with pytest.raises(ListRefused):
        list_state.parse_delta(delta[: min(end, len(delta) - 1)], URI, 1, SIZE)


def test_every_one_byte_change_of_a_delta_is_refused_or_leads_nowhere(author: ListAuthor) -> None:
    """Walked over a whole delta: nothing that was not meant is ever applied."""
    before = author.state
    data = author.change([9], []).encode()
    applied = 0
    for place in range(len(data)):
        for value in {data[place] ^ bit for bit in (1, 2, 4, 8, 16, 32, 64, 128)}:
            try:
                delta = list_state.parse_delta(data[:place] + bytes([value]) + data[place + 1 :], URI, 2, SIZE)
                applied += list_state.apply(before, delta, author.parts) != author.state
            except ListRefused:
                continue

    assert applied == 0


def test_a_delta_applies_to_its_own_state_alone(author: ListAuthor) -> None:
    """Not to the one after, not to one of another past, not with a hole before it."""
    first = list_state.new_state(URI, SIZE)
    other = ListAuthor(SIZE)
    other.change([6], [7])
    second = author.change([1], [])
    for state in (first, author.state, other.state):
        with pytest.raises(ListRefused, match="does not start"):
            list_state.apply(state, second, author.parts)


def test_a_delta_with_another_result_is_refused(author: ListAuthor) -> None:
    """What it leads to is hashed, not believed."""
    before = author.state
    delta = replace(author.change([9], []), result=bytes(32))

    with pytest.raises(ListRefused, match="does not lead"):
        list_state.apply(before, delta, author.parts)


def test_parts_that_are_no_part_of_their_span_are_refused(author: ListAuthor) -> None:
    """An entry past the end of a list that ends within a span."""
    small = ListAuthor(100)
    small.change([99])
    digest = author.parts.keep(small.parts.files[small.state.parts[Status.INVALID][0]])
    short = replace(small.state, size=99)
    parts = MemoryParts()
    parts.files = {digest: small.parts.files[digest]}

    list_state.check_parts(small.state, parts)
    with pytest.raises(ListRefused, match="past its end"):
        list_state.check_parts(short, parts)


@given(st.sets(st.integers(0, 999), max_size=30), st.sets(st.integers(0, 999), max_size=30))
def test_states_lie_as_far_apart_as_their_entries(one: set[int], other: set[int]) -> None:
    """The difference is what a delta between them would flip."""
    author = ListAuthor(1000)
    author.change(one)
    left = author.state
    author.change(one ^ other)

    assert len(one ^ other) == list_state.difference(left, author.state, author.parts)


def test_an_untouched_span_is_the_same_file(author: ListAuthor) -> None:
    """So a new base names parts that a gate has already."""
    wide = ListAuthor(3 << 26)
    wide.change([1, 1 << 26, 2 << 26])
    before = wide.state.parts[Status.INVALID]

    wide.change([5])

    assert before[1:] == wide.state.parts[Status.INVALID][1:]
    assert before[0] != wide.state.parts[Status.INVALID][0]


# Lists of hashes


def hashes(count: int) -> list[bytes]:
    """Some SHA-256 digests."""
    return [sha256(number.to_bytes(4, "big")).digest() for number in range(count)]


@pytest.mark.parametrize("width", [8, 16, 32])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 100])
def test_what_was_listed_is_found_and_nothing_else(width: int, count: int) -> None:
    """Every member, every neighbour of a member, and others."""
    known, others = hashes(2 * count)[:count], hashes(2 * count)[count:]
    found = SortedHashes(hash_list.build(HashKind.IDENTIFIER, width, reversed(known)), "x")
    found.check()

    assert (HashKind.IDENTIFIER, count) == (found.kind, len(found))
    assert all(digest in found for digest in known)
    assert not any(digest in found for digest in others)
    for digest in known:
        near = (int.from_bytes(digest[:width], "big") + 1).to_bytes(width + 1, "big")[1:]
        assert near not in found


GOOD = hash_list.build(HashKind.SIGNATURE, 8, hashes(2))


@pytest.mark.parametrize(
    "data",
    {
        "empty": b"",
        "a header cut short": GOOD[:15],
        "another magic": b"EHL2" + GOOD[4:],
        "an unknown kind": GOOD[:4] + b"\x09" + GOOD[5:],
        "a width of none": GOOD[:5] + b"\0" + GOOD[6:],
        "a width of 33": GOOD[:5] + b"\x21" + GOOD[6:],
        "reserved bytes used": GOOD[:6] + b"\1" + GOOD[7:],
        "one more counted": GOOD[:15] + b"\3" + GOOD[16:],
        "a huge count": GOOD[:8] + b"\xff" * 8 + GOOD[16:],
        "cut short": GOOD[:-1],
        "followed by a byte": GOOD + b"\0",
        "unsorted": GOOD[:16] + GOOD[24:] + GOOD[16:24],
        "one twice": GOOD[:16] + GOOD[16:24] * 2,
    }.values(),
)
def test_other_lists_of_hashes_are_refused(data: bytes) -> None:
    """By their header, or by the check of their order."""
    with pytest.raises(ListRefused):
        SortedHashes(data, "x").check()


@pytest.mark.parametrize(("width", "digests"), [(7, hashes(1)), (33, hashes(1)), (16, [b"short"])])
def test_a_list_of_hashes_no_gate_would_read_is_not_built(width: int, digests: list[bytes]) -> None:
    """Odd widths and digests shorter than them."""
    with pytest.raises(TrustError):
        hash_list.build(HashKind.SIGNATURE, width, digests)


def test_a_delta_of_too_many_flips_is_refused() -> None:
    """A million and one, each a byte before packing."""
    packed = zstandard.ZstdCompressor().compress(b"\1" * (gaps.MAX_NUMBERS + 1))

    with pytest.raises(EncodingRefused):
        gaps.unpack(packed, 1 << 32)


def test_flips_are_a_delta_of_the_size_the_issue_asks_for() -> None:
    """Ten thousand of 10^9, at random: the day of a list of ten million, below 40 KB."""
    from random import Random

    flips = array("I", sorted(Random(5).sample(range(10**9), 10_000)))
    delta = ListDelta(URI, 1, bytes(32), bytes(32), 0, {Status.INVALID: flips, Status.SUSPENDED: array("I")})

    assert len(delta.encode()) <= 40_000
