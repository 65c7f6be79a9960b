"""Batches: what a device signed comes back as it was; anything else is refused, small or large."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
import zstandard
from nacl.signing import SigningKey

from edge.codec import cbor, cose
from edge.errors import BatchRefused
from edge.ledger import batch, chain, device, facts, packing
from edge.ledger.batch import Cut
from tests.simulators.ledger import DEVICE, EPOCH, GATE, PUBLIC, entries, scan

CUT = Cut(GATE, EPOCH, chain.GENESIS, bytes(range(32)), (9, 3))


def pack(rows: Any) -> bytes:
    """Return a part as a gate of the former release packs it."""
    return zstandard.ZstdCompressor().compress(cbor.encode(rows))


def signed(changes: dict[int, Any] | None = None, parts: tuple[bytes, bytes] | None = None) -> bytes:
    """Return a batch of version 1 that the device signed, with fields or parts of its own choosing."""
    log = entries(2)
    packed_facts, private = parts or (pack([entry.body for entry in log]), pack([[entry.token, None] for entry in log]))
    header: dict[int, Any] = {
        1: 1,
        2: GATE,
        3: EPOCH,
        4: 1,
        5: 2,
        6: chain.GENESIS,
        7: log[-1].head,
        8: b"",
        9: [0, 0],
        10: sha256(packed_facts).digest(),
        11: sha256(private).digest(),
    }
    content = {key: value for key, value in (header | (changes or {})).items() if value is not ...}
    return cbor.encode([device.sign(batch.KIND, content, DEVICE), packed_facts, private])


def refusal(wire: bytes, public: bytes = PUBLIC) -> str:
    """Return the kind under which a batch is refused."""
    with pytest.raises(BatchRefused) as refused:
        batch.open_batch(wire, public)
    return refused.value.kind


@pytest.mark.parametrize("count", [1, 2, 7, 500])
def test_a_batch_comes_back_as_it_was_cut(count: int) -> None:
    """Entries with tokens and sealed fields, the header, and the very bytes."""
    log = entries(count, first=41, previous=b"\x07" * 32, sealed=b"sealed")
    cut = replace(CUT, previous_head=b"\x07" * 32)

    opened = batch.open_batch(batch.make(log, cut, DEVICE), PUBLIC)

    assert list(opened.entries) == log
    assert (opened.header.first, opened.header.last) == (41, 40 + count)
    assert (opened.header.trust_digest, opened.header.trust_versions) == (cut.trust_digest, cut.trust_versions)
    assert opened.wire == batch.make(log, cut, DEVICE)


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_holds_one_to_five_hundred_entries(count: int) -> None:
    """Cutting more or less is the caller's fault."""
    with pytest.raises(ValueError, match="1 to 500"):
        batch.make(entries(count), CUT, DEVICE)


def test_a_header_is_read_before_it_is_believed() -> None:
    """The hub looks up the device by the key id the batch names, then verifies."""
    header, named = batch.header_of(batch.make(entries(3), CUT, DEVICE))

    assert named == device.key_id(PUBLIC)
    assert (header.gate, header.epoch, header.first, header.last) == (GATE, EPOCH, 1, 3)


def test_bytes_of_a_later_gate_are_kept() -> None:
    """Facts this version does not know travel unchanged under the same chain."""
    body = cbor.encode({**cbor.decode(facts.encode(scan())), 99: "later"})
    head = chain.next_head(chain.GENESIS, body)
    later = replace(entries(1)[0], body=body, head=head)

    (opened,) = batch.open_batch(batch.make([later], CUT, DEVICE), PUBLIC).entries

    assert opened == later
    assert facts.decode(opened.body) == scan()


def test_the_private_part_can_be_destroyed_alone() -> None:
    """Tokens and sealed fields go; signature, chain and facts still verify."""
    log = entries(20, sealed=b"sealed")
    wire = batch.make(log, CUT, DEVICE)

    bare = batch.without_private(wire)

    assert [replace(entry, token=None, sealed=None) for entry in log] == list(batch.open_batch(bare, PUBLIC).entries)
    assert len(bare) < len(wire)
    assert batch.without_private(bare) == bare


@pytest.mark.parametrize("wire", [signed(), batch.make(entries(2), CUT, DEVICE)])
def test_private_rows_are_read_of_either_version(wire: bytes) -> None:
    """Without a look at facts or signature; of a part that was destroyed, none of any entry; never of half a part."""
    assert list(batch.private_rows(wire)) == [(entry.token, None) for entry in entries(2)]
    assert list(batch.private_rows(batch.without_private(wire))) == [(None, None)] * 2
    assert list(batch.private_rows(batch.without_facts(wire))) == [(None, None)] * 2
    with pytest.raises(BatchRefused):
        batch.private_rows(batch.with_private(wire, batch.private_of(wire)[:-1]))


def test_another_device_s_batch_is_refused() -> None:
    """Neither a key of somebody else nor a gate id of somebody else."""
    other = SigningKey(b"\x03" * 32)

    assert refusal(batch.make(entries(2), CUT, other)) == "forged"
    assert refusal(batch.make(entries(2), CUT, DEVICE), other.verify_key.encode()) == "forged"
    assert refusal(batch.make(entries(2), replace(CUT, gate=bytes(16)), DEVICE)) == "forged"


def test_entries_that_do_not_lead_to_the_head_are_refused() -> None:
    """Edited, dropped, doubled and swapped entries, and another beginning, under the device's own signature."""
    log = entries(6)
    wrong: list[Any] = [
        [*log[:2], replace(log[2], body=facts.encode(scan(99))), *log[3:]],
        [*log[:2], *log[3:]],
        [*log[:2], log[1], *log[2:]],
        [log[1], log[0], *log[2:]],
        [*log[:5], replace(log[5], head=bytes(32))],
    ]

    assert [refusal(batch.make(found, CUT, DEVICE)) for found in wrong] == ["forged"] * 5
    assert refusal(batch.make(log, replace(CUT, previous_head=b"\x01" * 32), DEVICE)) == "forged"


def walked(wire: bytes, values: Callable[[int], list[int]]) -> list[int]:
    """Return the places at which some other byte was accepted."""
    accepted = []
    for place, byte in enumerate(wire):
        for value in values(byte):
            changed = wire[:place] + bytes([value]) + wire[place + 1 :]
            try:
                batch.open_batch(changed, PUBLIC)
            except BatchRefused:
                continue
            accepted.append(place)
    return accepted


def flips(byte: int) -> list[int]:
    """Return the eight values one bit away."""
    return [byte ^ 1 << bit for bit in range(8)]


def test_no_flipped_bit_of_a_batch_is_accepted() -> None:
    """Every bit, one after the other."""
    assert walked(batch.make(entries(1), CUT, DEVICE), flips) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_no_changed_byte_of_a_batch_is_accepted() -> None:
    """Every other value of every byte, one after the other."""
    wire = batch.make(entries(3), CUT, DEVICE)

    assert walked(wire, lambda byte: [value for value in range(256) if value != byte]) == []
    print(f"{len(wire) * 255} one-byte changes of a batch, 0 accepted")


def test_no_cut_or_lengthened_batch_is_accepted() -> None:
    """Every truncation, and bytes behind the end."""
    wire = batch.make(entries(3), CUT, DEVICE)

    assert {refusal(wire[:size]) for size in range(len(wire))} == {"malformed"}
    assert refusal(wire + b"\x00") == "malformed"
    assert refusal(wire * 2) == "malformed"


def test_parts_of_two_batches_do_not_mix() -> None:
    """Header, facts and private part belong together."""
    one = cbor.decode(batch.make(entries(3), CUT, DEVICE))
    two = cbor.decode(batch.make(entries(3, first=4, previous=entries(3)[-1].head), CUT, DEVICE))

    assert refusal(cbor.encode([one[0], two[1], one[2]])) == "forged"
    assert refusal(cbor.encode([one[0], one[1], two[2]])) == "forged"
    assert refusal(cbor.encode([one[0], b"", one[2]])) == "forged"
    assert refusal(cbor.encode([one[0], one[2], one[1]])) == "forged"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({1: 0}, "version"),
        ({1: 3}, "version"),
        ({1: True}, "version"),
        ({1: "2"}, "version"),
        ({1: 2}, "malformed"),
        ({1: ...}, "version"),
        ({2: bytes(15)}, "malformed"),
        ({2: "a" * 16}, "malformed"),
        ({2: ...}, "malformed"),
        ({3: b""}, "malformed"),
        ({4: 0}, "malformed"),
        ({4: -1}, "malformed"),
        ({4: True}, "malformed"),
        ({4: 3}, "malformed"),
        ({5: 1}, "forged"),
        ({5: 3}, "forged"),
        ({5: 501}, "malformed"),
        ({4: 2**53, 5: 2**53 + 1}, "malformed"),
        ({6: b""}, "malformed"),
        ({7: bytes(32)}, "forged"),
        ({8: bytes(31)}, "malformed"),
        ({8: None}, "malformed"),
        ({9: [1]}, "malformed"),
        ({9: [1, -2]}, "malformed"),
        ({9: 7}, "malformed"),
        ({10: bytes(32)}, "forged"),
        ({11: bytes(32)}, "forged"),
        ({12: 1}, "malformed"),
    ],
)
def test_an_impossible_header_is_refused_although_the_device_signed_it(changes: dict[int, Any], kind: str) -> None:
    """A broken or hostile gate gets a stable word for what is wrong, and nothing it signs breaks the hub."""
    assert refusal(signed(changes)) == kind


def test_what_the_last_test_changes_would_be_accepted_unchanged() -> None:
    """The signed batch the impossible ones are made of is a good one."""
    assert len(batch.open_batch(signed(), PUBLIC).entries) == 2


def lying(content: bytes, says: int) -> bytes:
    """Return a zstd frame of `content` whose header announces another size (RFC 8878, 3.1.1.1)."""
    packed = zstandard.ZstdCompressor(write_content_size=True).compress(content)
    assert packed[4] >> 5 == 1, "a single segment with a one-byte size"
    header = bytes([packed[4] & 0x1F | 0xA0]) + says.to_bytes(4, "little")  # a four-byte size instead
    return packed[:4] + header + packed[6:]


def unsized(content: bytes) -> bytes:
    """Return a zstd frame that does not say how long its content is."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(content)


BODIES = cbor.encode([entry.body for entry in entries(2)])
BOMBS = {
    "zeros": zstandard.ZstdCompressor().compress(bytes(200 << 20)),
    "zeros of no said size": unsized(bytes(200 << 20)),
    "just above the limit": zstandard.ZstdCompressor().compress(bytes(packing.MAX_PART + 1)),
    "a frame that says a terabyte": b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little") + b"\x01\x00\x00",
    "a size that is not said": unsized(BODIES),
    "a size too small": lying(BODIES, 5),
    "a size too large": lying(BODIES, len(BODIES) + 1),
    "two frames": pack([entries(1)[0].body]) + pack([entries(1)[0].body]),
    "bytes behind the frame": pack([entry.body for entry in entries(2)]) + b"\x00",
    "a frame to be skipped first": b"\x50\x2a\x4d\x18\x04\x00\x00\x00skip" + pack([entry.body for entry in entries(2)]),
    "a frame cut short": pack([entry.body for entry in entries(2)])[:-3],
    "no zstd": BODIES,
    "nothing": b"",
    "no list": pack({1: 2}),
    "a list of numbers": pack([1, 2]),
    "a body too long": pack([bytes(1025), b""]),
    "one body": pack([entries(1)[0].body]),
    "too many": pack([b""] * 3000),
    "deeply nested": pack([[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]),
    "indefinite length": zstandard.ZstdCompressor().compress(b"\x9f\x41a\xff"),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_part_that_is_no_packed_list_of_bodies_is_refused(what: str) -> None:
    """Bombs, lies about the size, frames behind frames: under the device's own signature, with nothing inflated."""
    private = pack([[None, None]] * 2)

    assert refusal(signed(parts=(BOMBS[what], private))) in {"malformed", "forged"}


@pytest.mark.parametrize(
    "what", ["zeros", "zeros of no said size", "just above the limit", "a frame that says a terabyte"]
)
def test_a_bomb_is_not_inflated(what: str) -> None:
    """The announced size is asked first: what is refused for it takes no memory."""
    import tracemalloc

    wire = signed(parts=(BOMBS[what], b"")) if len(BOMBS[what]) < 150_000 else b""
    assert wire, "the bomb fits into a batch"
    tracemalloc.start()
    try:
        assert refusal(wire) == "malformed"
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [[None, None]],
        [[None, None]] * 3,
        [[None], [None]],
        [[b"7 bytes", None]] * 2,
        [["8 bytes!", None]] * 2,
        [[None, bytes(4097)]] * 2,
        [[None, 1]] * 2,
        [None, None],
        [b"12345678", b"12345678"],
        {1: [None, None], 2: [None, None]},
    ],
)
def test_a_private_part_that_does_not_fit_its_facts_is_refused(rows: Any) -> None:
    """One row an entry: a token of 8 bytes or none, a sealed field of at most 4096 or none."""
    assert refusal(signed(parts=(pack([entry.body for entry in entries(2)]), pack(rows)))) == "malformed"


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"\x80",
        cbor.encode([b"", b"", b""]),
        cbor.encode([b"", b""]),
        cbor.encode({1: b""}),
        cbor.encode(["", "", ""]),
        cbor.encode([b"\xff" * 40, b"", b""]),
        bytes(batch.MAX_WIRE + 1),
    ],
)
def test_what_is_no_batch_is_refused_by_every_reader(wire: bytes) -> None:
    """Opening, reading the header and destroying the private part all say what is wrong, in the same tree."""
    for read in (lambda: batch.open_batch(wire, PUBLIC), lambda: batch.header_of(wire)):
        with pytest.raises(BatchRefused) as refused:
            read()
        assert refused.value.kind in {"malformed", "forged"}


def test_another_message_of_the_device_is_no_batch_header() -> None:
    """A heartbeat's signature does not make a batch."""
    payload = cbor.decode(signed())
    other = device.sign("heartbeat", cbor.decode(cose.parse(payload[0]).payload), DEVICE)

    assert refusal(cbor.encode([other, *payload[1:]])) == "forged"
    with pytest.raises(BatchRefused) as refused:
        batch.header_of(cbor.encode([other, *payload[1:]]))
    assert refused.value.kind == "malformed"
