"""Slips: what a gate states of a refusal, provable anywhere by the hub's word, and nothing about the person."""

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from nacl.signing import SigningKey

from edge.cli.main import edge
from edge.codec import base45, cbor, cose
from edge.errors import IdentityBroken, LedgerError
from edge.gate.slips import Slips
from edge.gate.verifier import Read, Verifier
from edge.identity.identity import make_identity
from edge.kiosk.drawing import symbol
from edge.ledger import device, receipt, slip
from edge.model.scan import EntryType, Facts, Receipt
from edge.model.settings import PlaceSettings
from edge.sync.store import SyncStore
from tests.simulators import world
from tests.simulators.world import NOW, TRUST, context, make_pass, person
from tests.unit.test_gate_line import Gate

HUB = SigningKey(b"h" * 32)
HUB_KEYS = {device.key_id(HUB.verify_key.encode()).hex(): HUB.verify_key.encode()}
KEY = SigningKey(b"g" * 32)
PLACE = PlaceSettings("西安北站", "3", "610100")


def receipt_for(key: SigningKey, hub: SigningKey = HUB) -> bytes:
    gate = device.gate_id(key.verify_key.encode())
    return receipt.make(Receipt(gate, b"e" * 8, 41, b"\x07" * 32, 1234, NOW * 1000, "", b""), hub).wire


SLIP = slip.Slip(
    482, 3, "health.red", 3, 9, NOW * 1000, 1, "西安北站", "3", 610100, KEY.verify_key.encode(), receipt_for(KEY)
)
CODE = slip.make(SLIP, KEY).encode()


def test_a_slip_says_what_the_gate_signed_and_who_vouches_for_it():
    """Reason, policy, time, place; the gate by its key, the key by the hub."""
    found, vouched = slip.open_slip(CODE, HUB_KEYS)

    assert found == SLIP
    assert (vouched.key_id, vouched.gate) == (*HUB_KEYS, SLIP.gate)


def test_a_slip_fits_a_symbol_that_a_phone_photographs():
    """With the receipt, at most version 16-M."""
    assert symbol(CODE.decode()).version <= 16


@pytest.mark.parametrize(
    "made",
    [
        replace(SLIP, receipt=b""),
        replace(SLIP, receipt=b"x" * 200),
        replace(SLIP, receipt=receipt_for(KEY, SigningKey(b"s" * 32))),
        replace(SLIP, receipt=receipt_for(SigningKey(b"o" * 32))),
    ],
)
def test_without_the_hubs_word_for_this_very_gate_a_slip_proves_nothing(made):
    """No receipt yet, garbage, a stranger's hub, another gate's receipt."""
    assert slip.open_slip(slip.make(made, KEY).encode(), HUB_KEYS)[1] is None


def test_a_key_that_is_not_the_slips_own_signs_nothing():
    """A stranger cannot sign for a gate whose receipt he has photographed."""
    with pytest.raises(LedgerError):
        slip.open_slip(slip.make(SLIP, SigningKey(b"o" * 32)).encode(), HUB_KEYS)


def test_law_6_every_one_byte_change_of_a_slip_is_refused():
    """Every character by each of the other 255 bytes, every cut: none opens."""
    changed, passed = bytearray(CODE), []
    for position, original in enumerate(CODE):
        for byte in range(256):
            changed[position] = byte
            if byte != original and opens(bytes(changed)):
                passed.append((position, byte))
        changed[position] = original

    assert passed == []
    assert not any(opens(CODE[:end]) for end in range(len(CODE)))


def opens(code: bytes) -> bool:
    try:
        slip.open_slip(code, HUB_KEYS)
    except LedgerError:
        return False
    return True


@pytest.mark.parametrize(
    "change",
    [
        {1: -1},
        {1: True},
        {2: 1},
        {2: 4},
        {3: 7},
        {3: "x" * 65},
        {6: 1 << 53},
        {8: "a\nb"},
        {8: "\u202e"},
        {10: "610100"},
        {11: bytes(31)},
        {12: None},
        {12: bytes(2000)},
        {13: 1},
    ],
)
def test_a_slip_of_another_shape_is_refused(change):
    """Whatever a gate's key has signed; a slip steers no terminal."""
    content = dict(cbor.decode(cose.parse(base45.decode(CODE[4:])).payload)) | change
    content.pop(0)
    code = slip.PREFIX + base45.encode(device.sign(slip.KIND, content, KEY))

    with pytest.raises(LedgerError):
        slip.open_slip(code, HUB_KEYS)


def test_another_message_of_the_gate_is_no_slip():
    """One key signs many kinds of message; each is only what it says."""
    code = slip.PREFIX + base45.encode(device.sign("heartbeat", {11: KEY.verify_key.encode()}, KEY))

    assert not opens(code)


@pytest.fixture
def gate(tmp_path):
    """A gate with a key, a log and a receipt."""
    made = Gate(tmp_path)
    made.key = make_identity(tmp_path)
    made.slips = Slips(tmp_path, made.log, lambda: PLACE)
    yield made
    made.log.close()


def settle(gate, folder):
    wire = receipt.make(
        replace(
            receipt.open_receipt(receipt_for(gate.key), HUB_KEYS), epoch=gate.log.head.epoch, last=gate.log.head.seq
        ),
        HUB,
    )
    store = SyncStore(folder / "sync.db")
    with store.writing():
        store.settle(wire, NOW * 1000)
    store.close()


def test_the_slip_of_a_refusal_is_its_entry_said_again(gate, tmp_path):
    """What is on disk, under the gate's key, with the newest receipt."""
    gate.show(make_pass(person(status=10)))
    settle(gate, tmp_path)

    found, vouched = slip.open_slip(gate.slips.code(1).encode(), HUB_KEYS)

    assert (found.seq, found.outcome, found.reason, found.at_ms) == (1, 3, "health.red", NOW * 1000)
    assert (found.policy_version, found.trust_version) == (3, 9)
    assert (found.site, found.lane, found.region) == ("西安北站", "3", 610100)
    assert vouched.gate == device.gate_id(gate.key.verify_key.encode())


def test_nothing_of_the_person_stands_in_a_slip(gate):
    """Neither a name, an ID nor the pass's own bytes."""
    gate.show(make_pass(person(status=1)))
    wire = base45.decode(gate.slips.code(1).encode()[4:])

    for personal in ("张".encode(), b"3416", b"1988", b"abc", bytes(6)):
        assert personal not in cose.parse(wire).payload.replace(bytes(32), b"")


@pytest.mark.parametrize("seq", [0, 1, 3, 4, 99, -1])
def test_nobody_else_gets_a_slip(gate, seq):
    """An accept, a note, an entry that is not there."""
    gate.show(make_pass())
    gate.show(make_pass(person(status=10, index=9)))
    gate.line.staff(Facts(EntryType.NOTE, 0, refers_to=1, note="other"))

    with pytest.raises(LedgerError):
        gate.slips.code(seq)


def test_a_gate_without_a_key_says_so(tmp_path):
    """It signs nothing."""
    made = Gate(tmp_path)
    made.show(make_pass(person(status=10)))

    with pytest.raises(IdentityBroken):
        Slips(tmp_path, made.log, lambda: PLACE).code(1)
    made.log.close()


@pytest.mark.parametrize(
    ("hubs", "code", "expected"),
    [
        (HUB_KEYS, CODE, ("genuine", "health.red", True)),
        ({}, CODE, ("unproven", "health.red", False)),
        (HUB_KEYS, CODE[:-3], ("reject", "credential.malformed", False)),
        (HUB_KEYS, b"HS1:", ("reject", "credential.malformed", False)),
    ],
)
def test_edge_verify_tells_a_slip(hubs, code, expected):
    """Genuine under the hubs of the trust list, unproven without, refused when altered."""
    row = Verifier(context(trust=replace(TRUST, hub_keys=hubs))).row("1", Read((code,)))

    assert (row["outcome"], row["reason"], row["authentic"]) == expected
    assert row["format"] == "slip"


def test_edge_verify_says_it_in_a_sentence_and_as_json(tmp_path):
    """Without any trust it is unproven, and the exit code is not zero."""
    (tmp_path / "slip.txt").write_bytes(CODE)
    words = ["verify", str(tmp_path / "slip.txt"), "--trust"]
    authority = tmp_path / "country"
    for command in (["init"], ["publish"]):
        assert CliRunner().invoke(edge, ["authority", *command, str(authority)]).exit_code == 0

    told = CliRunner().invoke(edge, [*words, str(authority)])
    row = json.loads(CliRunner().invoke(edge, [*words, str(authority), "--json"]).stdout)

    assert told.exit_code == 1
    assert "reject for health.red" in told.stdout
    assert "no hub of this trust vouches" in told.stdout
    assert (row["slip"]["gate"], row["slip"]["seq"]) == (SLIP.gate.hex(), 482)


def test_a_slip_before_the_camera_is_no_pass():
    """The gate refuses it like any other code."""
    from edge.policy.examine import examine

    assert str(examine(CODE, context()).reason) == "credential.foreign"
    assert world.TRUST is TRUST
