"""The signed messages between gate and hub: whole or refused, and none to be taken for another."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from nacl.signing import SigningKey

from edge.codec import base45, cbor, cose
from edge.errors import EdgeError, EnrolmentError, LedgerError, ReceiptRefused
from edge.ledger import batch, chain, device, enrolment
from edge.ledger.enrolment import EnrolmentAnswer, EnrolmentRequest, Heartbeat, Invitation, Watermark
from edge.ledger.receipt import make, open_receipt
from edge.ledger.tokens import DayKey
from edge.model.scan import Head, Receipt
from tests.simulators.ledger import DEVICE, EPOCH, GATE, HUB, HUB_KEYS, HUB_PUBLIC, PUBLIC, START_MS, entries, receipt

STRANGER = SigningKey(b"\x08" * 32)
SEED = DayKey(20_775, bytes(range(32)))
INVITATION = Invitation(
    "http://hub.example:8700", HUB_PUBLIC, bytes(range(16)), "南站", "3", 440106, 1_795_000_000, 1_795_003_600
)
REQUEST = EnrolmentRequest(bytes(range(16)), PUBLIC, START_MS)
ANSWER = EnrolmentAnswer(
    gate=GATE,
    site="南站",
    lane="3",
    region=440106,
    trust_url="http://trust.example/",
    root=b'{"signed": {}}',
    sealed_seed=b"sealed",
    hub_keys=(HUB_PUBLIC,),
    heartbeat_s=30,
    at_ms=START_MS,
)
HEARTBEAT = Heartbeat(GATE, EPOCH, 41, b"\x07" * 32, START_MS, {"clock": "synced", "trust_age_s": 60})
WATERMARK = Watermark(GATE, EPOCH, 41, b"\x07" * 32, START_MS, 30, 0)
RECEIPT = Receipt(GATE, EPOCH, 41, b"\x07" * 32, 1234, START_MS, "", b"")


def both_keys() -> dict[str, bytes]:
    """Return a key ring in which even the device's key counts as the hub's: the kind alone must tell messages apart."""
    return {device.key_id(public).hex(): public for public in (PUBLIC, HUB_PUBLIC)}


@dataclass(frozen=True)
class Message:
    """One kind of message: how it is signed by one key, how it is opened, and which error refuses it."""

    wire: Callable[[SigningKey], bytes]
    open: Callable[[bytes], Any]
    refusal: type[EdgeError]


def coded(code: str) -> bytes:
    """Return the signed bytes inside an invitation's code."""
    return base45.decode(code.encode()[len(enrolment.PREFIX) :])


def as_code(signed: bytes) -> bytes:
    """Return signed bytes as an invitation's code."""
    return enrolment.PREFIX + base45.encode(signed)


MESSAGES = {
    "batch": Message(
        lambda key: cbor.decode(batch.make(entries(1), batch.Cut(GATE, EPOCH, chain.GENESIS), key))[0],
        lambda wire: device.opened(batch.KIND, wire, PUBLIC),
        LedgerError,
    ),
    "receipt": Message(
        lambda key: make(RECEIPT, key).wire, lambda wire: open_receipt(wire, both_keys()), ReceiptRefused
    ),
    "invitation": Message(
        lambda key: coded(enrolment.make_invitation(replace(INVITATION, hub_key=key.verify_key.encode()), key)),
        lambda wire: enrolment.open_invitation(as_code(wire)),
        EnrolmentError,
    ),
    "enrol": Message(
        lambda key: enrolment.make_request(replace(REQUEST, public=key.verify_key.encode()), key),
        enrolment.open_request,
        LedgerError,
    ),
    "enrolled": Message(
        lambda key: enrolment.make_answer(ANSWER, key),
        lambda wire: enrolment.open_answer(wire, PUBLIC),
        EnrolmentError,
    ),
    "heartbeat": Message(
        lambda key: enrolment.make_heartbeat(HEARTBEAT, key),
        lambda wire: enrolment.open_heartbeat(wire, PUBLIC),
        LedgerError,
    ),
    "watermark": Message(
        lambda key: enrolment.make_watermark(WATERMARK, key),
        lambda wire: enrolment.open_watermark(wire, both_keys()),
        ReceiptRefused,
    ),
}
"""Every kind of message, signed by one and the same key."""


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_says_its_kind(kind: str) -> None:
    """Field 0 of every signed message is its kind, and the key id in its header is of who signed."""
    wire = MESSAGES[kind].wire(DEVICE)

    assert cbor.decode(cose.parse(wire).payload)[0] == kind
    assert device.signer_of(wire) == device.key_id(PUBLIC)
    assert MESSAGES[kind].open(wire) is not None


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("other", MESSAGES)
def test_no_message_is_taken_for_another(kind: str, other: str) -> None:
    """Although one key signs both: a receipt is no watermark, an invitation no answer."""
    if kind == other:
        return
    with pytest.raises(MESSAGES[kind].refusal):
        MESSAGES[kind].open(MESSAGES[other].wire(DEVICE))


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("other", MESSAGES)
def test_not_even_the_same_fields_under_another_kind_are_taken(kind: str, other: str) -> None:
    """What tells two kinds apart is signed, not guessed from the fields."""
    if kind == other:
        return
    content = cbor.decode(cose.parse(MESSAGES[kind].wire(DEVICE)).payload)
    with pytest.raises(MESSAGES[kind].refusal):
        MESSAGES[kind].open(device.sign(other, content, DEVICE))


def accepted_changes(message: Message, values: Callable[[int], list[int]]) -> list[tuple[int, int]]:
    """Return every change of one byte under which a message still opens."""
    wire = message.wire(DEVICE)
    accepted = []
    for place, byte in enumerate(wire):
        for value in values(byte):
            try:
                message.open(wire[:place] + bytes([value]) + wire[place + 1 :])
            except message.refusal:
                continue
            accepted.append((place, value))
    return accepted


@pytest.mark.parametrize("kind", MESSAGES)
def test_no_flipped_bit_of_a_message_is_accepted(kind: str) -> None:
    """Every bit, one after the other, and nothing but the one error leaves the reader."""
    assert accepted_changes(MESSAGES[kind], lambda byte: [byte ^ 1 << bit for bit in range(8)]) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", MESSAGES)
def test_no_changed_byte_of_a_message_is_accepted(kind: str) -> None:
    """Every other value of every byte, one after the other."""
    message = MESSAGES[kind]

    assert accepted_changes(message, lambda byte: [value for value in range(256) if value != byte]) == []
    print(f"{len(message.wire(DEVICE)) * 255} one-byte changes of a {kind}, 0 accepted")


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_that_is_cut_or_goes_on_is_refused(kind: str) -> None:
    """Every truncation, and bytes behind the end."""
    message = MESSAGES[kind]
    wire = message.wire(DEVICE)
    for wrong in (*(wire[:size] for size in range(len(wire))), wire + b"\x00", wire + wire):
        with pytest.raises(message.refusal):
            message.open(wrong)


@pytest.mark.parametrize("kind", ["batch", "enrolled", "heartbeat", "receipt", "watermark"])
def test_a_stranger_s_message_is_refused(kind: str) -> None:
    """Signed well, by somebody else."""
    with pytest.raises(MESSAGES[kind].refusal):
        MESSAGES[kind].open(MESSAGES[kind].wire(STRANGER))


@pytest.mark.parametrize("kind", ["invitation", "enrol"])
def test_a_message_that_brings_its_key_must_be_signed_by_it(kind: str) -> None:
    """Nobody can put his own key's name under another's signature, or the other way round."""
    content = cbor.decode(cose.parse(MESSAGES[kind].wire(DEVICE)).payload)

    with pytest.raises(MESSAGES[kind].refusal):
        MESSAGES[kind].open(device.sign(kind, content, STRANGER))
    with pytest.raises(MESSAGES[kind].refusal):
        MESSAGES[kind].open(device.sign(kind, content | {2: b"short"}, DEVICE))
    with pytest.raises(MESSAGES[kind].refusal):
        MESSAGES[kind].open(device.sign(kind, {key: value for key, value in content.items() if key != 2}, DEVICE))


@pytest.mark.parametrize("kind", [kind for kind in MESSAGES if kind != "batch"])
def test_fields_of_another_shape_are_refused_although_signed(kind: str) -> None:
    """Missing, added, of another type, negative: under the right key, the right error."""
    message = MESSAGES[kind]
    content = cbor.decode(cose.parse(message.wire(DEVICE)).payload)
    del content[0]
    wrong: list[dict[int, Any]] = [{}, content | {77: 1}]
    for key, value in content.items():
        wrong.append({number: found for number, found in content.items() if number != key})
        wrong += [
            content | {key: other} for other in (None, [], -1, b"\x00" * 5000, "\n", "x" * 300, True) if other != value
        ]
    for changed in wrong:
        if any(isinstance(found, bytes) and len(found) == 5000 for found in changed.values()) and kind == "enrolled":
            continue  # the root and the sealed seed have no length of their own
        with pytest.raises(message.refusal):
            message.open(device.sign(kind, changed, DEVICE))


def test_every_message_comes_back_as_it_was() -> None:
    """Field for field."""
    code = enrolment.make_invitation(INVITATION, HUB).encode()
    opened = open_receipt(make(RECEIPT, HUB).wire, HUB_KEYS)

    assert enrolment.open_invitation(code) == INVITATION
    assert enrolment.open_invitation(code + b"\r\n") == INVITATION
    assert enrolment.open_request(enrolment.make_request(REQUEST, DEVICE)) == REQUEST
    assert enrolment.open_answer(enrolment.make_answer(ANSWER, HUB), HUB_PUBLIC) == ANSWER
    assert enrolment.open_heartbeat(enrolment.make_heartbeat(HEARTBEAT, DEVICE), PUBLIC) == HEARTBEAT
    assert enrolment.open_watermark(enrolment.make_watermark(WATERMARK, HUB), HUB_KEYS) == WATERMARK
    assert replace(opened, key_id="", wire=b"") == RECEIPT
    assert (opened.key_id, opened.wire) == (device.key_id(HUB_PUBLIC).hex(), make(RECEIPT, HUB).wire)


@pytest.mark.parametrize(
    "health", [{"n" * 33: 1}, {"n": 1.5}, {"n": b"x"}, {"n": True}, {1: 1}, {str(n): n for n in range(33)}]
)
def test_a_heartbeat_s_health_is_small_and_plain(health: dict[Any, Any]) -> None:
    """A hostile gate cannot fill the hub with what it says of itself."""
    content = {1: GATE, 2: EPOCH, 3: 41, 4: bytes(32), 5: START_MS, 6: health}
    if any(isinstance(value, float) for value in health.values()):
        with pytest.raises(TypeError):
            device.sign("heartbeat", content, DEVICE)
        return
    with pytest.raises(LedgerError):
        enrolment.open_heartbeat(device.sign("heartbeat", content, DEVICE), PUBLIC)


@pytest.mark.parametrize(
    "code",
    [
        b"",
        b"EDGE1:",
        b"EDGE1:%%%",
        b"HP1:ABC",
        b"edge1:00",
        b"https://hub.example/",
        b"EDGE1:" + b"0" * 2000,
        b"\xff\x00",
    ],
)
def test_what_is_no_invitation_says_where_to_get_one(code: bytes) -> None:
    """Any bytes a technician may hold before the camera: one sentence and the command."""
    with pytest.raises(EnrolmentError) as refused:
        enrolment.open_invitation(code)

    assert "edge hub invite" in refused.value.next_step


def test_no_flipped_character_of_an_invitation_is_accepted() -> None:
    """Typed wrong anywhere, an invitation is refused, not followed to another hub."""
    code = enrolment.make_invitation(INVITATION, HUB).encode()
    accepted = []
    for place, character in enumerate(code):
        for other in b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:":
            if other == character:
                continue
            try:
                enrolment.open_invitation(code[:place] + bytes([other]) + code[place + 1 :])
            except EnrolmentError:
                continue
            accepted.append((place, other))

    assert accepted == []


def test_a_receipt_counts_under_the_hub_s_keys_only() -> None:
    """No key, another key under the right id, the right key under another id: refused."""
    wire = receipt(Head(EPOCH, 3, bytes(32)))
    named = device.key_id(HUB_PUBLIC).hex()

    assert open_receipt(wire, HUB_KEYS).last == 3
    for keys in ({}, {named: STRANGER.verify_key.encode()}, {named: bytes(32)}, {named: b""}, {"00" * 8: HUB_PUBLIC}):
        with pytest.raises(ReceiptRefused):
            open_receipt(wire, keys)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html><body>Please log in</body></html>",
        b'{"error": "not found"}',
        bytes(1025),
        b"\x84" * 500,
        b"\xff" * 60,
    ],
)
def test_what_a_portal_answers_is_no_receipt(answer: bytes) -> None:
    """Nothing of the far side but a signed receipt is one."""
    with pytest.raises(ReceiptRefused):
        open_receipt(answer, HUB_KEYS)


def test_a_message_cannot_choose_its_own_kind() -> None:
    """Field 0 is the signer's, whatever stands in the message."""
    wire = device.sign("heartbeat", {0: "receipt", 1: 2}, DEVICE)

    assert device.opened("heartbeat", wire, PUBLIC) == {1: 2}


def test_the_token_seed_is_for_one_device() -> None:
    """Sealed to the device's key it opens there, and nowhere else, and not altered."""
    sealed = enrolment.seal_seed(SEED, PUBLIC)

    assert enrolment.unseal_seed(sealed, DEVICE) == SEED
    for wrong in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", bytes(200)):
        with pytest.raises(LedgerError):
            enrolment.unseal_seed(wrong, DEVICE)
    with pytest.raises(LedgerError):
        enrolment.unseal_seed(sealed, STRANGER)


@pytest.mark.parametrize(
    "content", [[1], [1, 2], ["1", bytes(32)], [1, bytes(31)], {1: 2}, [True, bytes(32)], [1, bytes(32), 3]]
)
def test_a_sealed_seed_of_another_shape_is_refused(content: Any) -> None:
    """A broken hub does not break the gate's tokens."""
    with pytest.raises(LedgerError):
        enrolment.unseal_seed(device.seal_to_device(cbor.encode(content), PUBLIC), DEVICE)


def test_a_gate_s_names_follow_from_its_key() -> None:
    """Gate id and key id are hashes of the public key: nobody can choose them."""
    assert (len(device.gate_id(PUBLIC)), len(device.key_id(PUBLIC))) == (16, 8)
    assert device.gate_id(PUBLIC).startswith(device.key_id(PUBLIC))
    assert device.gate_id(PUBLIC) != device.gate_id(STRANGER.verify_key.encode())
