"""Tickets of pretix: what is read of them, and every attack of the table (credentials, section 5) that they can meet.

They have no compression, no CBOR, no headers and no key ids: those rows have nothing to attack here.
"""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from edge.codec import protobuf
from edge.credentials import pretix
from edge.errors import EncodingRefused
from edge.model.credential import HashKind, PassKind
from edge.model.trust import ES256
from edge.model.verdict import Outcome, Reason
from tests.simulators.foreign import Signer
from tests.simulators.tickets import (
    EVENT,
    EVENT_ANCHOR,
    TICKET,
    admitting,
    judged,
    make_ticket,
    message,
    ticket_code,
)
from tests.simulators.world import DAY, ISSUED, NOW, at

TRUST = admitting(EVENT_ANCHOR)
GOOD = make_ticket()


def verdict(raw, trust=TRUST, moment=None):
    """What the gate says."""
    return judged(raw, pretix.FORMAT, trust, moment)


def test_a_ticket_is_read_and_accepted():
    """Kind, claims, no issuer, no times, no holder."""
    found = pretix.FORMAT.parse(GOOD)

    assert verdict(GOOD).outcome is Outcome.ACCEPT
    assert (found.kind, found.issuer, found.key_id) == (PassKind.TICKET, "", b"")
    assert (found.issued_at, found.expires_at, found.holder) == (None, None, None)
    assert found.claims == {"seed": "fRU2It7dV", "item": 100, "subevent": 14}


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        (((5, NOW + DAY),), Reason.TIME_NOT_YET_VALID),
        (((6, NOW),), Reason.TIME_EXPIRED),
        (((5, 0), (6, NOW + 1)), Reason.OK),
        (((5, NOW), (6, 0)), Reason.OK),
        (((5, 0), (6, (1 << 63) - 1)), Reason.OK),
    ],
)
def test_a_ticket_is_good_within_its_bounds(bounds, reason):
    """Zero bounds nothing; the largest time is clamped."""
    assert verdict(make_ticket(*TICKET, *bounds)).reason is reason


def test_a_revoked_ticket_is_refused():
    """By its seed."""
    trust = admitting(replace(EVENT_ANCHOR, hash_lists=(1,)), revoked={1: (HashKind.IDENTIFIER, b"fRU2It7dV")})

    assert verdict(GOOD, trust).reason is Reason.STATUS_REVOKED


def test_a_policy_that_names_no_tickets_admits_none():
    """Format and kind are both policy."""
    without = replace(TRUST, policy=replace(TRUST.policy, kinds=TRUST.policy.kinds - {PassKind.TICKET}))
    unread = replace(TRUST, policy=replace(TRUST.policy, formats=frozenset({"hp1"})))

    assert verdict(GOOD, without).reason is Reason.KIND_NOT_ADMITTED
    assert verdict(GOOD, unread).reason is Reason.FORMAT_NOT_ADMITTED


# The attack table


@pytest.mark.parametrize(
    "signed",
    [
        message((2, 1)),
        message((1, b""), (2, 1)),
        message((1, 7)),
        message((1, b"x"), (2, b"1")),
        message((1, b"x"), (7, 1)),
        message((1, b"\xff")),
        message((1, b"x"), (2, (1 << 64) - 1)),
        b"",
    ],
    ids=["no seed", "empty seed", "number", "text", "unknown", "no text", "negative", "nothing"],
)
def test_wrong_types_and_unknown_fields(signed):
    """Signed or not."""
    assert verdict(ticket_code(signed)).reason is Reason.CREDENTIAL_MALFORMED


@pytest.mark.parametrize(
    "signed",
    [message((1, b"x"), (1, b"y")), message((2, 1), (1, b"x")), message((1, b"x"), (2, 1), (2, 1))],
    ids=["seed twice", "order", "item twice"],
)
def test_duplicate_fields_and_another_order(signed):
    """Two readers could take different ones."""
    assert verdict(ticket_code(signed)).reason is Reason.CREDENTIAL_MALFORMED


@pytest.mark.parametrize(
    "tail",
    [b"\x10\x81\x00", b"\x10\x80", b"\x12\x05ab", b"\x10" + b"\xff" * 10, b"\x10" + b"\xff" * 9 + b"\x02", b"\x17\x01"],
)
def test_non_minimal_numbers_and_lengths_beyond_the_data(tail):
    """A second spelling, a cut-off one, more than 64 bits, a group."""
    assert verdict(ticket_code(message((1, b"x")) + tail)).reason is Reason.CREDENTIAL_MALFORMED


@pytest.mark.parametrize(
    "raw",
    [
        ticket_code(message(*TICKET), size=14),
        ticket_code(message(*TICKET), size=60000),
        ticket_code(message(*TICKET), version=2),
        ticket_code(message(*TICKET), EVENT.sign(message(*TICKET)).signature + b"\0"),
        ticket_code(message(*TICKET), EVENT.sign(message(*TICKET)).signature[:-1]),
        ticket_code(message((1, b"x" * 300))),
    ],
    ids=["short", "long", "version", "signature of 65", "of 63", "large"],
)
def test_trailing_bytes_and_wrong_lengths(raw):
    """It is no ticket at all then."""
    assert not pretix.FORMAT.recognises(raw)
    assert verdict(raw).outcome is Outcome.REJECT


@pytest.mark.parametrize(
    "spoilt", [GOOD + b"\n", b" " + GOOD, GOOD[::-1], GOOD.replace(b"Q", b"-"), GOOD[:-1], GOOD + b"="]
)
def test_lenient_base64(spoilt):
    """One spelling of every ticket."""
    assert not verdict(spoilt).is_authentic


def test_padding_bits_of_base64():
    """What stands behind the last byte must be zero."""
    for size in (9, 10, 11):
        raw = make_ticket((1, b"x" * size))
        if raw.startswith(b"="):
            text = raw.lstrip(b"=")
            alphabet = base64.b64encode(bytes(range(256)))
            others = {bytes((other,)) + text[1:] for other in alphabet if other != text[0]}
            assert not any(verdict(raw[: raw.count(b"=")] + other).is_authentic for other in others)


def test_algorithm_confusion():
    """The record's algorithm counts."""
    trust = admitting(replace(EVENT_ANCHOR, algorithm=ES256, public=Signer().public))

    assert verdict(GOOD, trust).reason is Reason.KEY_ALGORITHM


def test_another_events_key():
    """Up to four keys are tried, and one of another event verifies nothing."""
    other = replace(EVENT_ANCHOR, public=bytes(SigningKey(bytes(32)).verify_key))

    assert verdict(GOOD, admitting(other)).reason is Reason.SIGNATURE_INVALID
    assert verdict(GOOD, admitting(other, other, other, EVENT_ANCHOR)).reason is Reason.OK
    assert verdict(GOOD, admitting(other, other, other, other, EVENT_ANCHOR)).reason is Reason.SIGNATURE_INVALID


def test_wrong_key_usage():
    """A key that may not sign tickets."""
    trust = admitting(replace(EVENT_ANCHOR, kinds=frozenset((PassKind.IDENTITY,))))

    assert verdict(GOOD, trust).reason is Reason.KEY_KIND


def test_a_key_that_has_run_out():
    """The anchor's own end."""
    assert verdict(GOOD, moment=at(ISSUED + 101 * DAY), trust=TRUST).reason in {
        Reason.KEY_NOT_CURRENT,
        Reason.TRUST_TOO_OLD,
        Reason.POLICY_ENDED,
    }


def test_every_changed_byte_of_the_ticket_is_refused():
    """Any other value at any place, each bit and all of them."""
    data = base64.b64decode(GOOD[::-1])
    for place in range(len(data)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            spoilt = data[:place] + bytes((data[place] ^ change,)) + data[place + 1 :]
            assert not verdict(base64.b64encode(spoilt)[::-1]).is_authentic


@given(st.binary(max_size=120))
def test_any_message_gets_a_verdict(signed):
    """Signed by the event, too."""
    assert verdict(ticket_code(signed)).reason is not Reason.INTERNAL_FAULT


@given(st.binary(max_size=60))
def test_the_reader_takes_one_spelling_only(data):
    """What it reads is written the same again."""
    try:
        fields = protobuf.decode(data)
    except EncodingRefused:
        return
    assert message(*fields.items()) == data
