"""Columns: bodies come back byte for byte, one list has one form, and anything else is refused, small or large."""

import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zstandard

from edge.codec import cbor
from edge.errors import BatchRefused, EncodingRefused
from edge.ledger import batch, chain, columns, device, facts, packing, private
from edge.ledger.batch import Cut
from edge.model.scan import EntryType, Facts
from tests.simulators import traffic
from tests.simulators.ledger import DEVICE, EPOCH, GATE, PUBLIC, entries, scan, token

CUT = Cut(GATE, EPOCH, chain.GENESIS)
SCANS = [facts.encode(scan(number)) for number in range(3)]
NOTE = facts.encode(Facts(EntryType.NOTE, 7, note="other", refers_to=1))
ODD = [
    b"",
    b"\xa0",
    b"no map",
    cbor.encode([1, 2]),
    cbor.encode({1: 1}),
    cbor.encode({1: 1, 2: 1 << 53}),
    cbor.encode({1: 1, 2: -1}),
    cbor.encode({1: 1, 2: "now"}),
    cbor.encode({1: 1, 2: True}),
    cbor.encode({1: 1, 2: 5, 13: 0}),
    cbor.encode({1: 1, 2: 5, 11: 0}),
    cbor.encode({1: 1, 2: 5, 12: -7}),
    cbor.encode({1: 1, 2: 5, 40: [1]}),
    cbor.encode({1: 1, 2: 5, "a": 1}),
    cbor.encode({-1: 1, 2: 5}),
    cbor.encode(dict.fromkeys(range(1, 25), 1)),
    cbor.encode(dict.fromkeys(range(1, 40), 1)),
    b"\xa2\x01\x01\x02\x18\x05",
]
"""Bodies that cannot be taken apart: none a gate writes today."""
PLAIN = [
    *SCANS,
    NOTE,
    cbor.encode({2: 0}),
    cbor.encode({0: None, 1: True, 2: (1 << 53) - 1, 3: b"\x00", 30: "x", 99: -5}),
    cbor.encode({key: 1 for key in range(1, 23) if key != 13}),
    cbor.encode(dict.fromkeys(range(1, 24), 1)),
    facts.encode(Facts(EntryType.PURGE, 0)),
]


@pytest.mark.parametrize(
    "bodies", [[body] for body in (*PLAIN, *ODD)] + [PLAIN, ODD, [*ODD, *PLAIN, *ODD], SCANS * 166]
)
def test_bodies_come_back_byte_for_byte(bodies: list[bytes]) -> None:
    """Those of this release, of a later one, and bytes that are no body at all."""
    assert bodies == columns.decode(columns.encode(bodies), len(bodies))


@pytest.mark.parametrize("body", ODD)
def test_what_cannot_be_taken_apart_is_carried_whole(body: bytes) -> None:
    """As a template of its own, marked as such."""
    assert [[body]] == cbor.decode(columns.encode([body]))[0]


def test_a_day_of_traffic_comes_back() -> None:
    """Both shapes of traffic, through the whole batch."""
    for gate in (traffic.BUSY, traffic.QUIET):
        day = traffic.entries(gate, 500, seed=77, sealed=300, first=9)
        assert day == list(batch.open_batch(batch.make(day, CUT, DEVICE), PUBLIC).entries)


def raw(*changed: tuple[int, Any], bodies: list[bytes] = [*SCANS, NOTE]) -> bytes:  # noqa: B006 - never changed
    """Return the columns of some bodies, with columns replaced."""
    held = cbor.decode(columns.encode(bodies))
    for place, value in changed:
        held[place] = value
    return cbor.encode(held)


TEMPLATES, ORDER, TIMES, DURATIONS, VERSIONS = cbor.decode(columns.encode([*SCANS, NOTE]))
SCAN, STAFF = TEMPLATES


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        cbor.encode([]),
        cbor.encode([TEMPLATES, ORDER, TIMES, DURATIONS]),
        cbor.encode([TEMPLATES, ORDER, TIMES, DURATIONS, VERSIONS, []]),
        raw((0, [])),
        raw((0, [SCAN])),
        raw((0, [STAFF, SCAN]), (1, b"\x01\x01\x01\x00")),
        raw((0, [SCAN, SCAN])),
        raw((0, [SCAN, STAFF, SCAN])),
        raw((0, [SCAN, [STAFF]])),
        raw((0, [SCAN, [NOTE]])),
        raw((0, [SCAN, [STAFF, STAFF]])),
        raw((0, [SCAN, []])),
        raw((0, [SCAN, 7])),
        raw((0, [SCAN, b""])),
        raw((0, [SCAN, b"\x01"])),
        raw((0, [SCAN, cbor.encode({1: 3, 2: 7})])),
        raw((0, [SCAN, cbor.encode({1: 3, 13: 7})])),
        raw((0, [SCAN, cbor.encode({1: [3]})])),
        raw((0, [SCAN, cbor.encode({"1": 3})])),
        raw((0, [SCAN, cbor.encode(dict.fromkeys(range(20, 60), 0))])),
        raw((0, [SCAN, cbor.encode({9: "x" * 1024})])),
        raw((1, b"\x00\x00\x00")),
        raw((1, b"\x00\x00\x00\x01\x01")),
        raw((1, b"\x00\x00\x00\x02")),
        raw((1, b"\x00\x00\x00\x81\x00")),
        raw((1, b"\x00\x00\x00\x81")),
        raw((1, ORDER.hex())),
        raw((2, TIMES + b"\x00")),
        raw((2, TIMES[:-1])),
        raw((2, b"")),
        raw((2, b"\x00\x01\x00\x00")),
        raw((2, b"\xff" * 7 + b"\x7f\x00\x00\x00")),
        raw((2, b"\xff" * 9 + b"\x01\x00\x00\x00")),
        raw((3, DURATIONS[:-1])),
        raw((3, DURATIONS[:-1] + b"\xff" * 7 + b"\x7f")),
        raw((4, [])),
        raw((4, VERSIONS[:-1])),
        raw((4, [5, 2, 4, 0, 0])),
        raw((4, [5, 2, 0, 0, 0])),
        raw((4, [5, 2, 3, 5, 2])),
        raw((4, [5, 2, -3, 0, 0])),
        raw((4, [5, 2, True, 0, 0])),
        raw((4, [5, True, 3, 0, 0])),
        raw((4, [-5, 2, 3, 0, 0])),
        raw((4, [1 << 53, 2, 3, 0, 0])),
        raw((4, ["5", 2, 3, 0, 0])),
        raw((4, [5, 2, 3, 0, 0, 1])),
        raw((4, [5, 2]), bodies=[b"no map"]),
        raw((2, b"\x01"), bodies=[b"no map"]),
        columns.encode([b"x"] * 501),
        columns.encode([bytes(1025)]),
        columns.encode([cbor.encode({1: 1, 2: 1, 9: "x" * 1020})]),
    ],
)
def test_malformed_columns_are_refused(content: bytes) -> None:
    """Each in its own way: nothing but the one refusal comes out, whatever the count that is asked for."""
    for count in (1, 4, 501):
        with pytest.raises(EncodingRefused):
            columns.decode(content, count)


def changes(content: bytes) -> Iterator[bytes]:
    """Give every one-byte change, every cut and some lengthenings."""
    for place, byte in enumerate(content):
        yield content[:place]
        yield content[:place] + content[place + 1 :]
        yield from (content[:place] + bytes((value,)) + content[place + 1 :] for value in range(256) if value != byte)
    yield content + b"\x00"


def accepted(content: bytes, decode: Callable[[bytes, int], Any], encode: Callable[[Any], bytes], count: int) -> int:
    """Walk the changes; each that is accepted must be the one form of what it says."""
    found = 0
    for changed in changes(content):
        try:
            said = decode(changed, count)
        except EncodingRefused:
            continue
        assert encode(said) == changed
        found += 1
    return found


def test_what_is_accepted_is_the_one_form_of_what_it_says() -> None:
    """Every one-byte change of columns and of private columns: refused, or written again just so."""
    hidden = [(token(1), None), (None, b"sealed"), (token(2), b"")]

    assert accepted(columns.encode([*SCANS, NOTE, b"\xa0"]), columns.decode, columns.encode, 5) > 0
    assert accepted(private.encode(hidden), private.decode, private.encode, 3) > 0
    assert accepted(private.encode(hidden[:1]), private.decode, private.encode, 1) > 0


@pytest.mark.parametrize(
    "columns_",
    [
        [],
        [None, b""],
        [None, b"", {}, 1],
        {1: None, 2: b"", 3: {}},
        [None, token(1), {}],
        [None, token(1) * 3, {}],
        [b"\xc0", token(1) * 2, {}],
        [b"\x80", token(1) * 2, {}],
        [b"\xa0", token(1), {}],
        [b"\x80\x00", token(1), {}],
        [b"", token(1), {}],
        ["\x80", token(1), {}],
        [b"\x80", "12345678", {}],
        [b"\x80", token(1), None],
        [b"\x80", token(1), {2: b"sealed"}],
        [b"\x80", token(1), {-1: b"sealed"}],
        [b"\x80", token(1), {"0": b"sealed"}],
        [b"\x80", token(1), {0: "sealed"}],
        [b"\x80", token(1), {0: bytes(4097)}],
    ],
)
def test_malformed_private_columns_are_refused(columns_: Any) -> None:
    """Two rows: a bit for each, eight bytes for each bit, sealed fields of rows there are."""
    with pytest.raises(EncodingRefused):
        private.decode(cbor.encode(columns_), 2)


def test_a_damaged_token_is_left_out() -> None:
    """Tokens stand outside the chain: one that a failing card changed in length must not make a batch nobody takes."""
    assert [(None, None), (token(1), None)] == private.decode(private.encode([(b"7 bytes", None), (token(1), None)]), 2)


def signed(packed_facts: bytes, packed_private: bytes = packing.pack(private.encode([(None, None)] * 2))) -> bytes:
    """Return a batch of two entries whose parts are of the device's own choosing."""
    log = entries(2)
    header, *_ = cbor.decode(batch.make(log, CUT, DEVICE))
    content = device.opened(batch.KIND, header, PUBLIC) | {13: batch._payload_hash(packed_facts, packed_private)}
    return cbor.encode([device.sign(batch.KIND, content, DEVICE), packed_facts, packed_private])


GOOD = columns.encode([entry.body for entry in entries(2)])


def frame(content: bytes, *, sized: bool = True) -> bytes:
    """Return a zstd frame without its magic number."""
    return zstandard.ZstdCompressor(write_content_size=sized).compress(content)[4:]


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"\x00",
        b"\x01",
        b"\x02",
        b"\x03" + GOOD,
        b"\xff" + GOOD,
        b"\xff" + bytes(31),
        b"\x01" + GOOD,
        b"\x01\x28\xb5\x2f\xfd" + frame(GOOD),
        b"\x01" + frame(GOOD, sized=False),
        b"\x01" + frame(GOOD) + b"\x00",
        b"\x01" + frame(GOOD)[:-1],
        b"\x01" + frame(GOOD) + b"\x28\xb5\x2f\xfd" + frame(GOOD),
        b"\x02" + frame(GOOD)[:-3],
        b"\x00" + GOOD + b"\x00",
        b"\x01" + frame(bytes(100 << 20)),
        b"\x01" + frame(bytes(packing.MAX_PART + 1)),
        b"\x02" + frame(bytes(100 << 20)),
        b"\x01\xe0" + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00",
        b"\x01" + frame(b"\x85" + b"\x9b\x00\x00\x00\x01\x00\x00\x00\x00" * 5),
        b"\x01" + frame(cbor.encode([[bytes((number % 256,)) for number in range(40_000)], b"", b"", b"", []])),
    ],
)
def test_a_part_that_is_no_packed_columns_is_refused_without_being_inflated(part: bytes) -> None:
    """Unknown forms, bombs, lies about the size, frames behind frames: under the device's own signature."""
    wire = signed(part)
    tracemalloc.start()
    try:
        with pytest.raises(BatchRefused) as refused:
            batch.open_batch(wire, PUBLIC)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert refused.value.kind == "malformed"


def test_each_form_is_read() -> None:
    """Stored, a frame, and a frame under the dictionary: the device chose, the hub reads all three."""
    trained = packing._dictionary()
    forms = [
        b"\x00" + GOOD,
        b"\x01" + frame(GOOD),
        b"\x02" + zstandard.ZstdCompressor(dict_data=trained).compress(GOOD).removeprefix(b"\x28\xb5\x2f\xfd"),
    ]

    opened = [batch.open_batch(signed(form), PUBLIC).entries for form in forms]

    assert opened[0] == opened[1] == opened[2]
    assert len(opened[0]) == 2


@pytest.mark.parametrize(
    ("changes_", "kind"),
    [
        ({1: 3}, "version"),
        ({1: 1}, "malformed"),
        ({4: 0}, "malformed"),
        ({4: 1 << 53}, "malformed"),
        ({12: 0}, "malformed"),
        ({12: 501}, "malformed"),
        ({12: True}, "malformed"),
        ({12: "2"}, "malformed"),
        ({12: 3}, "malformed"),
        ({12: None}, "malformed"),
        ({5: 2}, "malformed"),
        ({13: bytes(31)}, "malformed"),
        ({13: bytes(32)}, "forged"),
        ({7: bytes(32)}, "forged"),
        ({2: bytes(16)}, "forged"),
    ],
)
def test_an_impossible_header_of_version_2_is_refused(changes_: dict[int, Any], kind: str) -> None:
    """Although the device signed it."""
    header, *parts = cbor.decode(batch.make(entries(2), CUT, DEVICE))
    content = device.opened(batch.KIND, header, PUBLIC) | changes_

    with pytest.raises(BatchRefused) as refused:
        batch.open_batch(cbor.encode([device.sign(batch.KIND, content, DEVICE), *parts]), PUBLIC)

    assert kind == refused.value.kind


def test_a_withheld_part_does_not_pass_for_another() -> None:
    """The hash that stands for a part is that of the part that was signed, and facts cannot be left out unseen."""
    whole = batch.make(entries(2), CUT, DEVICE)
    header, packed_facts, _ = cbor.decode(whole)
    other = cbor.decode(batch.make(entries(3), CUT, DEVICE))[2]

    for parts in ([packed_facts, packing.withheld(other)], [packed_facts, b""], [packed_facts, b"\xff"]):
        with pytest.raises(BatchRefused) as refused:
            batch.open_batch(cbor.encode([header, *parts]), PUBLIC)
        assert refused.value.kind == "forged"
