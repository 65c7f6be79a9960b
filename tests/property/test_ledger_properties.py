"""Properties of the ledger: what is written is read, and no bytes at all bring a reader down."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.codec import cbor
from edge.errors import BatchRefused, EncodingRefused, EnrolmentError, LedgerError, ReceiptRefused
from edge.ledger import batch, chain, columns, device, enrolment, facts, tokens
from edge.ledger.batch import Cut
from edge.ledger.receipt import open_receipt
from edge.ledger.tokens import DayKey
from edge.model.scan import Entry, EntryType, Facts
from tests.simulators.ledger import DEVICE, EPOCH, GATE, HUB_KEYS, HUB_PUBLIC, PUBLIC

NUMBERS = st.integers(0, 2**53)
TEXTS = st.text(max_size=40)
STATED = st.builds(
    Facts,
    st.sampled_from(EntryType),
    NUMBERS,
    quality=st.integers(0, 9),
    outcome=st.integers(0, 9),
    reason=TEXTS,
    format=TEXTS,
    issuer=TEXTS,
    kind=st.none() | NUMBERS,
    status=st.none() | NUMBERS,
    region=NUMBERS,
    trust_version=NUMBERS,
    policy_version=NUMBERS,
    duration_ms=NUMBERS,
    count=NUMBERS,
    refers_to=NUMBERS,
    note=TEXTS,
    source=NUMBERS,
)
CONTENT = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.binary(max_size=40) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.integers(0, 20) | st.text(max_size=3), inner, max_size=12)
    ),
    max_leaves=20,
)


@given(STATED)
def test_facts_come_back_as_they_were(stated: Facts) -> None:
    """For all facts: decoding undoes encoding, and the bytes are the one canonical form."""
    body = facts.encode(stated)

    assert facts.decode(body) == stated
    assert cbor.encode(cbor.decode(body)) == body


@given(st.lists(st.binary(max_size=60) | CONTENT.map(cbor.encode) | STATED.map(facts.encode), min_size=1, max_size=30))
def test_columns_give_back_any_bodies(bodies: list[bytes]) -> None:
    """For all lists of bytes, bodies or not: the columns hold them all, byte for byte."""
    assert columns.decode(columns.encode(bodies), len(bodies)) == bodies


@given(st.binary(max_size=200) | CONTENT.map(cbor.encode), st.integers(0, 4))
def test_columns_are_read_or_refused(content: bytes, count: int) -> None:
    """For all bytes: the bodies that are written just so again, or the one refusal."""
    try:
        bodies = columns.decode(content, count)
    except EncodingRefused:
        return
    assert columns.encode(bodies) == content


@given(STATED, STATED)
def test_different_facts_have_different_bytes(one: Facts, other: Facts) -> None:
    """And equal facts equal bytes: a chain hash stands for exactly one statement."""
    assert (facts.encode(one) == facts.encode(other)) == (one == other)


@given(st.binary(max_size=200) | CONTENT.map(cbor.encode))
@example(b"\xa2\x01\x01\x02\x00")
def test_a_body_is_read_or_refused(body: bytes) -> None:
    """For all bytes: facts, or the one refusal."""
    try:
        stated = facts.decode(body)
    except EncodingRefused:
        return
    assert facts.decode(facts.encode(stated)) == stated


@given(
    st.lists(
        st.tuples(STATED, st.none() | st.binary(min_size=8, max_size=8), st.none() | st.binary(max_size=80)),
        min_size=1,
        max_size=20,
    ),
    st.integers(1, 2**40),
)
@settings(max_examples=50)
def test_a_batch_comes_back_as_it_was_cut(stated: list[tuple[Facts, bytes | None, bytes | None]], first: int) -> None:
    """For all entries, wherever the batch is cut."""
    head, log = b"\x11" * 32, []
    for seq, (found, token, sealed) in enumerate(stated, first):
        body = facts.encode(found)
        head = chain.next_head(head, body)
        log.append(Entry(seq, body, head, token, sealed))

    wire = batch.make(log, Cut(GATE, EPOCH, b"\x11" * 32), DEVICE)

    assert list(batch.open_batch(wire, PUBLIC).entries) == log


KINDS = ("batch", "receipt", "invitation", "enrol", "enrolled", "heartbeat", "watermark")


@given(
    st.binary(max_size=300)
    | CONTENT.map(cbor.encode)
    | st.builds(
        lambda kind, content: device.sign(kind, content, DEVICE),
        st.sampled_from(KINDS),
        st.dictionaries(st.integers(0, 13), CONTENT, max_size=13),
    )
)
@settings(max_examples=120)
def test_any_bytes_are_opened_or_refused(wire: bytes) -> None:
    """For all bytes, and for anything a device signs: no reader raises what its caller does not expect."""
    keys = HUB_KEYS | {device.key_id(PUBLIC).hex(): PUBLIC}
    readers: list[tuple[Any, type[Exception]]] = [
        (lambda: batch.open_batch(wire, PUBLIC), BatchRefused),
        (lambda: batch.open_batch(cbor.encode([wire, b"", b""]), PUBLIC), BatchRefused),
        (lambda: batch.header_of(cbor.encode([wire, b"", b""])), BatchRefused),
        (lambda: batch.without_private(wire), BatchRefused),
        (lambda: open_receipt(wire, keys), ReceiptRefused),
        (lambda: enrolment.open_invitation(wire), EnrolmentError),
        (lambda: enrolment.open_invitation(enrolment.PREFIX + wire), EnrolmentError),
        (lambda: enrolment.open_request(wire), LedgerError),
        (lambda: enrolment.open_answer(wire, PUBLIC), EnrolmentError),
        (lambda: enrolment.open_answer(wire, HUB_PUBLIC), EnrolmentError),
        (lambda: enrolment.open_heartbeat(wire, PUBLIC), LedgerError),
        (lambda: enrolment.open_watermark(wire, keys), ReceiptRefused),
        (lambda: enrolment.unseal_seed(wire, DEVICE), LedgerError),
    ]
    for read, refusal in readers:
        try:
            read()
        except refusal:
            continue


@given(st.binary(min_size=32, max_size=32), st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=50)
def test_the_ratchet_composes(secret: bytes, first: int, second: int) -> None:
    """For all seeds: two gates that turn the key on different days come to the same one."""
    start = DayKey(20_000, secret)

    stepwise = tokens.advance(tokens.advance(start, 20_000 + first), 20_000 + first + second)

    assert stepwise == tokens.advance(start, 20_000 + first + second)
