"""Token Status Lists: what is built is read, what is hostile is refused, bounded."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.codec import cbor
from edge.errors import TrustError
from edge.trust import status_list

# draft-ietf-oauth-status-list, 4.1: sixteen one-bit statuses, B9 A3.
DRAFT_ONE_BIT = bytes([0xB9, 0xA3])
DRAFT_STATUSES = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]


def test_the_drafts_example_is_read() -> None:
    """The draft's own bits come out in the draft's own order, whatever the order of the two members."""
    packed = zlib.compress(DRAFT_ONE_BIT)
    for data in (
        cbor.encode({"bits": 1, "lst": packed}),
        b"\xa2" + cbor.encode("bits") + b"\x01" + cbor.encode("lst") + cbor.encode(packed),
    ):
        read = status_list.parse(data, "x")
        assert [read.status(index) for index in range(16)] == DRAFT_STATUSES


@given(
    st.sampled_from([1, 2, 4, 8]).flatmap(
        lambda bits: st.tuples(
            st.just(bits), st.dictionaries(st.integers(0, 499), st.integers(0, (1 << bits) - 1), max_size=60)
        )
    )
)
def test_a_list_reads_back_as_built(case: tuple[int, dict[int, int]]) -> None:
    """Every status of every width comes back, and the rest is valid."""
    bits, statuses = case

    read = status_list.parse(status_list.build(500, bits, statuses), "x")

    assert [read.status(index) for index in range(500)] == [statuses.get(index, 0) for index in range(500)]


def test_past_the_end_is_no_answer() -> None:
    """An index outside the list is None, never "valid"."""
    read = status_list.parse(status_list.build(8, 2, {}), "x")

    assert [read.status(index) for index in (7, 8, 1 << 40, -1)] == [0, None, None, None]


def test_a_bomb_is_not_inflated() -> None:
    """Sixteen megabytes and one byte, packed into sixteen kilobytes."""
    bomb = zlib.compress(bytes(status_list.MAX_LIST_BYTES + 1), 9)

    with pytest.raises(TrustError, match="longer"):
        status_list.parse(cbor.encode({"bits": 1, "lst": bomb}), "x")


GOOD = zlib.compress(b"abc")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xa0",
        b"\x80",
        cbor.encode({"bits": 3, "lst": GOOD}),
        cbor.encode({"bits": True, "lst": GOOD}),
        cbor.encode({"bits": 2, "lst": "text"}),
        cbor.encode({"bits": 2, "lst": b"no zlib"}),
        cbor.encode({"bits": 2, "lst": GOOD[:-1]}),
        cbor.encode({"bits": 2, "lst": GOOD + b"x"}),
        cbor.encode({"bits": 2, "lst": b""}),
        cbor.encode({"bits": 2, "lst": GOOD}) + b"\x00",
        cbor.encode({"bits": 2, "lst": GOOD, "more": 1}),
        b"\xa2" + cbor.encode("bits") + b"\x01" + cbor.encode("bits") + b"\x01",
        b"\xa2\x80\x80\x80\x80",
    ],
)
def test_every_other_form_is_refused(data: bytes) -> None:
    """Wrong types, cut, followed by bytes, members twice or unknown."""
    with pytest.raises(TrustError):
        status_list.parse(data, "x")


@pytest.mark.parametrize(("size", "bits", "statuses"), [(8, 3, {}), (8, 1, {8: 1}), (8, 1, {0: 2}), (1 << 30, 1, {})])
def test_a_list_no_gate_would_read_is_not_built(size: int, bits: int, statuses: dict[int, int]) -> None:
    """Odd widths, statuses outside their list, and lists beyond the bound."""
    with pytest.raises(TrustError):
        status_list.build(size, bits, statuses)
