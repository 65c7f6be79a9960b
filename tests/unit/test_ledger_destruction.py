"""Destruction certificates: all who are named signed the same statement, or there is none."""

from dataclasses import replace
from typing import Any

import pytest
from nacl.signing import SigningKey

from edge.codec import cbor
from edge.errors import LedgerError
from edge.ledger import destruction, device
from edge.ledger.destruction import Destruction, Signer, Span
from tests.simulators.ledger import DEVICE, EPOCH, GATE, PUBLIC, START_MS

OPERATOR, AUDITOR = SigningKey(b"\x11" * 32), SigningKey(b"\x12" * 32)
SPAN = Span(GATE, EPOCH, 1, 30, bytes(32), b"\x01" * 32)
PURGE = Destruction(
    destruction.GATE_PURGE,
    destruction.ENTRIES,
    (SPAN,),
    START_MS,
    retention_s=7 * 86_400,
    trust_version=9,
    policy_version=4,
    signers=(Signer(destruction.ROLE_GATE, PUBLIC),),
    receipt_sha256=bytes(32),
)
OTHER = Span(b"\xf0" * 16, EPOCH, 5, 5, bytes(32), b"\x02" * 32)
SIGNERS = tuple(Signer(role, key.verify_key.encode()) for role, key in (("auditor", AUDITOR), ("operator", OPERATOR)))
SHARED = replace(PURGE, kind=destruction.HUB_DESTRUCTION, what=destruction.FACTS, spans=(SPAN, OTHER), signers=SIGNERS)
HOLDERS = {signer.role: {signer.public} for signer in SIGNERS}


def test_a_gate_s_certificate_is_verified_by_itself() -> None:
    """The key in it is the one its gate id was made of; what was stated comes back."""
    made = destruction.make(PURGE, [DEVICE])

    assert PURGE == made == destruction.open_purge(made.wire)
    assert (made.count, made.spans[0].gate) == (30, device.gate_id(PUBLIC))
    assert len(made.wire) < 400


def test_a_hub_s_certificate_takes_all_its_signatures() -> None:
    """Two people at two desks sign the same statement; in whatever order they come, one certificate is made."""
    signatures = [destruction.sign(SHARED, key) for key in (OPERATOR, AUDITOR)]

    wire = destruction.assemble(signatures)

    assert wire == destruction.assemble(signatures[::-1])
    assert destruction.open_certificate(wire, HOLDERS) == SHARED
    for short in (signatures[:1], signatures[1:], [signatures[0]] * 2, [*signatures, signatures[0]]):
        with pytest.raises(LedgerError):
            destruction.open_certificate(destruction.assemble(short), HOLDERS)


def test_signatures_in_another_order_are_no_certificate() -> None:
    """One certificate has one form."""
    turned = cbor.encode(cbor.decode(destruction.make(SHARED, [OPERATOR, AUDITOR]).wire)[::-1])

    with pytest.raises(LedgerError, match="exactly those"):
        destruction.open_certificate(turned, HOLDERS)


def test_signatures_over_different_statements_are_no_certificate() -> None:
    """Each signed something, but not the same."""
    mixed = [destruction.sign(SHARED, OPERATOR), destruction.sign(replace(SHARED, at_ms=1), AUDITOR)]

    with pytest.raises(LedgerError, match="different statements"):
        destruction.open_certificate(destruction.assemble(mixed), HOLDERS)


@pytest.mark.parametrize(
    "holders",
    [
        {},
        {"auditor": HOLDERS["auditor"]},
        {"auditor": HOLDERS["operator"], "operator": HOLDERS["auditor"]},
        {**HOLDERS, "operator": {PUBLIC}},
    ],
)
def test_a_role_somebody_does_not_hold_is_no_signature_for_it(holders: dict[str, set[bytes]]) -> None:
    """Who holds a role is the reader's to say, never the certificate's."""
    wire = destruction.make(SHARED, [OPERATOR, AUDITOR]).wire

    with pytest.raises(LedgerError, match="does not hold the role"):
        destruction.open_certificate(wire, holders)


def test_a_hub_s_certificate_is_no_gate_s() -> None:
    """A purge is a gate's own word."""
    with pytest.raises(LedgerError, match="another kind"):
        destruction.open_purge(destruction.make(SHARED, [OPERATOR, AUDITOR]).wire)


def test_a_key_that_is_not_named_does_not_sign() -> None:
    """Signing is asked of those the statement names."""
    with pytest.raises(ValueError, match="none of those"):
        destruction.sign(PURGE, OPERATOR)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "purge"},
        {"kind": destruction.HUB_DESTRUCTION},
        {"what": "everything"},
        {"spans": ()},
        {"spans": (SPAN,) * 501},
        {"spans": (SPAN, OTHER)},
        {"spans": (replace(SPAN, gate=bytes(16)),)},
        {"spans": (replace(SPAN, epoch=b""),)},
        {"spans": (replace(SPAN, first=0),)},
        {"spans": (replace(SPAN, last=0),)},
        {"spans": (replace(SPAN, last=1 << 53),)},
        {"spans": (replace(SPAN, head=bytes(31)),)},
        {"spans": (replace(SPAN, previous_head=b""),)},
        {"at_ms": -1},
        {"at_ms": 1 << 53},
        {"retention_s": True},
        {"policy_version": "4"},
        {"receipt_sha256": bytes(31)},
        {"signers": ()},
        {"signers": SIGNERS},
        {"signers": (Signer("operator", PUBLIC),)},
        {"signers": (Signer(destruction.ROLE_GATE, bytes(31)),)},
        {"signers": (Signer(destruction.ROLE_GATE, OPERATOR.verify_key.encode()),)},
    ],
)
def test_what_is_impossible_is_neither_made_nor_read(changes: dict[str, Any]) -> None:
    """The same bounds hold for who states it and for who reads it, although the right key signed."""
    with pytest.raises(ValueError, match=r"certificate|gate|hub"):
        replace(PURGE, **changes)

    numbers = {"what": 2, "at_ms": 4, "retention_s": 5, "policy_version": 7, "receipt_sha256": 9}
    numbers |= {"spans": 3, "signers": 8}
    plain = {
        "spans": lambda spans: [[s.gate, s.epoch, s.first, s.last, s.previous_head, s.head] for s in spans],
        "signers": lambda signers: [[signer.role, signer.public] for signer in signers],
    }
    content = destruction._content(PURGE)
    content |= {
        numbers[name]: plain.get(name, lambda same: same)(value) for name, value in changes.items() if name != "kind"
    }
    wire = cbor.encode([device.sign(changes.get("kind", PURGE.kind), content, DEVICE)])
    with pytest.raises(LedgerError):
        destruction.open_purge(wire)


@pytest.mark.parametrize(
    "changes",
    [
        {"signers": SIGNERS[:1]},
        {"signers": SIGNERS[::-1]},
        {"signers": (SIGNERS[0], Signer("operator", SIGNERS[0].public))},
        {"signers": (SIGNERS[0], Signer("auditor", SIGNERS[1].public))},
        {"spans": (OTHER, SPAN)},
        {"spans": (SPAN, SPAN)},
        {"spans": (SPAN, replace(SPAN, first=30, last=31))},
    ],
)
def test_a_hub_s_statement_takes_two_roles_and_two_keys_and_names_each_entry_once(changes: dict[str, Any]) -> None:
    """Nobody signs twice, in two roles or for the same entries."""
    with pytest.raises(ValueError, match=r"certificate|hub"):
        replace(SHARED, **changes)


def test_evidence_may_name_a_number_twice_and_a_batch_once() -> None:
    """Two logs of one gate contradict each other; one batch is destroyed once."""
    twin = replace(SPAN, head=b"\x09" * 32)
    stated = replace(SHARED, what=destruction.EVIDENCE, spans=(SPAN, twin))

    assert destruction.open_certificate(destruction.make(stated, [OPERATOR, AUDITOR]).wire, HOLDERS) == stated
    for spans in ((SPAN, SPAN), (twin, SPAN)):
        with pytest.raises(ValueError, match="certificate"):
            replace(stated, spans=spans)


def test_no_changed_byte_of_a_certificate_is_accepted() -> None:
    """Every bit of every byte, every cut, and bytes behind the end."""
    wire = destruction.make(PURGE, [DEVICE]).wire
    changed = [
        wire[:place] + bytes((wire[place] ^ 1 << bit,)) + wire[place + 1 :]
        for place in range(len(wire))
        for bit in range(8)
    ]
    for other in (
        *changed,
        *(wire[:size] for size in range(len(wire))),
        wire + b"\x00",
        b"\x80",
        b"\x81\x40",
        b"\x81\x00",
    ):
        with pytest.raises(LedgerError):
            destruction.open_purge(other)


def test_another_message_of_the_device_is_no_certificate() -> None:
    """A heartbeat's signature does not make one."""
    other = cbor.encode([device.sign("heartbeat", destruction._content(PURGE), DEVICE)])

    with pytest.raises(LedgerError):
        destruction.open_purge(other)
