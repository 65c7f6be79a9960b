"""The laws of the line that hold for any bytes, walked where the space is small (docs/architecture.md)."""

import ast
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from edge.codec import base45
from edge.credentials import hp1
from edge.gate.clock import Clock
from edge.gate.timecodes import Taken, TimeCodes
from edge.ledger import device
from edge.model.credential import PassKind, TravelClaims, VenueClaims
from edge.model.verdict import Outcome, Reason, Verdict
from edge.policy.examine import Context, examine
from tests.simulators import world
from tests.simulators.world import context, make_pass

HUB = bytes(SigningKey(b"h" * 32).verify_key)
EDGE = Path(__file__).parents[2] / "edge"
PASSES = {
    "person": make_pass(),
    "travel": make_pass(TravelClaims(14, bytes(6), 9, (110000, 440100), b"abc"), PassKind.TRAVEL),
    "venue": make_pass(VenueClaims(b"v1", 440106, "广州南站"), PassKind.VENUE),
    "visitor": make_pass(world.person(birth_year=None, id_tail=None, name=None), PassKind.VISITOR),
    "live": world.shown_live(make_pass(holder=world.HOLDER), nonce=b"40718265"),
}


@given(st.binary(max_size=400))
@example(b"HP1:")
@example(b"{" * 4000)
def test_law_1_any_bytes_get_a_verdict(raw):
    """Nothing a code can hold raises."""
    assert isinstance(examine(raw, context()), Verdict)


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=120).map(base45.encode)))
def test_law_1_any_bytes_behind_the_prefix_of_a_time_code_are_refused(raw):
    """None raises, and none sets a clock."""
    codes = TimeCodes(Clock(), {device.key_id(HUB).hex(): HUB})

    assert codes.take(b"HT1:" + raw, world.TRUST) is Taken.REFUSED


@given(st.binary(max_size=200))
def test_law_1_any_bytes_behind_the_prefix_get_a_verdict(raw):
    """Nor does anything that gets as far as the decoder of the national pass."""
    assert examine(b"HP1:" + base45.encode(raw), context()).outcome is Outcome.REJECT


class Broken:
    name = "broken"

    def recognises(self, raw):
        return True

    def parse(self, raw):
        raise RecursionError


def test_law_1_a_fault_of_a_format_refuses_that_code_only():
    """A plug-in that raises costs one verdict, with its own reason, and never an accept."""
    found = examine(
        b"anything", Context((Broken(),), world.TRUST, world.at(world.NOW), world.PLACE, context().sightings)
    )

    assert (found.outcome, found.reason) == (Outcome.REJECT, Reason.INTERNAL_FAULT)


def constructions(tree):
    """Names of the functions whose code mentions `Outcome.ACCEPT` other than by comparing with it."""
    compared = {
        id(node) for compare in ast.walk(tree) if isinstance(compare, ast.Compare) for node in ast.walk(compare)
    }
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and node.attr == "ACCEPT" and id(node) not in compared:
                    yield function.name


def test_law_2_accept_is_made_in_one_function():
    """Nowhere in the package but in `decide` is ACCEPT said rather than asked for."""
    makers = {
        (path.relative_to(EDGE).as_posix(), name)
        for path in EDGE.rglob("*.py")
        for name in constructions(ast.parse(path.read_text(encoding="utf-8")))
    }

    assert makers == {("policy/decide.py", "decide")}


def identity(code):
    return hp1.FORMAT.parse(code).identity


def test_law_4_identity_is_the_signed_bytes_not_the_signature_or_the_payload():
    """Another signature over the same bytes is the same credential; other claims are another."""
    code = make_pass()
    message = base45.decode(code[4:])
    resigned = b"HP1:" + base45.encode(message[:-64] + bytes(64))

    assert identity(resigned) == identity(code)
    assert identity(make_pass(world.person(index=8))) != identity(code)


@pytest.mark.parametrize("kind", PASSES)
def test_law_6_every_one_byte_change_of_a_code_is_refused(kind):
    """Every character of a valid pass is replaced by each of the other 255 bytes: none verifies."""
    code, surroundings = PASSES[kind], context()
    changed = bytearray(code)
    passed = []
    for position, original in enumerate(code):
        for byte in range(256):
            if byte == original:
                continue
            changed[position] = byte
            if examine(bytes(changed), surroundings).is_authentic:
                passed.append((position, byte))
        changed[position] = original

    assert passed == []


def test_law_6_every_cut_and_every_one_byte_more_is_refused():
    """Each prefix, each suffix and each code with one byte put in is refused."""
    code, surroundings = PASSES["person"], context()
    variants = [code[:end] for end in range(len(code))] + [code[start:] for start in range(1, len(code))]
    variants += [code[:at] + bytes((byte,)) + code[at:] for at in range(len(code) + 1) for byte in b"0A:% \x00\xff"]

    assert not [variant for variant in variants if examine(variant, surroundings).is_authentic]


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", PASSES)
def test_law_6_every_one_byte_change_of_the_signed_message_is_refused(kind):
    """Every byte of the COSE message is replaced by each other value: none verifies."""
    message, surroundings = base45.decode(PASSES[kind][4:]), context()

    for position in range(len(message)):
        for byte in range(256):
            if byte != message[position]:
                changed = message[:position] + bytes((byte,)) + message[position + 1 :]
                assert not examine(PASSES[kind][:4] + base45.encode(changed), surroundings).is_authentic


@settings(max_examples=200)
@given(st.data())
def test_law_6_several_changes_at_once_are_refused(data):
    """Random edits of a valid pass never verify."""
    code = bytearray(PASSES["person"])
    for _ in range(data.draw(st.integers(2, 6))):
        code[data.draw(st.integers(0, len(code) - 1))] = data.draw(st.sampled_from(base45.ALPHABET))

    assert bytes(code) == PASSES["person"] or not examine(bytes(code), context()).is_authentic
