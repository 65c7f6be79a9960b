"""SM2 by the system's libcrypto: the standard's vector, everything near it, and a gate whose system cannot."""

import ctypes
from dataclasses import replace
from types import MappingProxyType

import pytest

from edge.codec import cbor, cose, sm2
from edge.credentials import hp1
from edge.errors import EncodingRefused, PublicationError, TrustError
from edge.gate import sm2 as backend
from edge.model.trust import EDDSA, SM2
from edge.model.verdict import Outcome, Reason
from edge.policy.decide import refused_outcome
from edge.policy.examine import examine
from edge.trust import targets
from edge.trust.fields import Document
from edge.verify.signatures import VERIFIERS
from tests.simulators import world
from tests.simulators.repository import key_row, keys_document
from tests.simulators.sm2 import Signer
from tests.simulators.world import ISSUER_KEY, KID, TRUST, context

# GB/T 32918.5-2017, A.2 (GM/T 0003.5-2012, annex A).
PRIVATE = 0x3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8
NONCE = 0x59276E27D506861A16680F3AD9C02DCCEF3CC1FA3CDBE4CE6D54B80DEAC1BC21
PUBLIC = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
R, S = (
    bytes.fromhex("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"),
    bytes.fromhex("b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"),
)
MESSAGE = b"message digest"
HOLDS = backend.verifiers().get(SM2)
TABLE = backend.verifiers()


def test_this_system_verifies_sm2():
    """Debian's libcrypto 3 does; without it the rest here would be skipped unseen."""
    assert HOLDS is not None
    assert VERIFIERS.keys() | {SM2} == TABLE.keys()


def test_the_vector_of_the_standard_holds():
    """And our own signer, which makes the other cases, gives the same signature."""
    assert HOLDS(PUBLIC, MESSAGE, R + S)
    assert Signer(PRIVATE).sign(MESSAGE, nonce=NONCE) == R + S


def test_every_one_bit_change_is_refused():
    """Of the message, of the signature, of the key."""
    for text, at in ((MESSAGE, 0), (R + S, 1), (PUBLIC, 2)):
        for bit in range(len(text) * 8):
            changed = bytearray(text)
            changed[bit // 8] ^= 1 << bit % 8
            given = [MESSAGE, R + S, PUBLIC]
            given[at] = bytes(changed)
            assert not HOLDS(given[2], given[0], given[1])


def minus(number: bytes) -> bytes:
    return (sm2.ORDER - int.from_bytes(number)).to_bytes(32)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        R,
        (R + S)[:-1],
        R + S + b"\0",
        b"\0" + R + S,
        bytes(32) + S,
        R + bytes(32),
        bytes(64),
        sm2.ORDER.to_bytes(32) + S,
        R + sm2.ORDER.to_bytes(32),
        b"\xff" * 64,
        S + R,
        R + minus(S),
        minus(R) + S,
        bytes.fromhex("3046022100") + R + bytes.fromhex("022100") + S,
    ],
)
def test_another_form_of_a_signature_is_refused(signature):
    """Lengths, noughts, the order, halves swapped, DER; (r, n - s) is no twin here as it is in ECDSA."""
    assert not HOLDS(PUBLIC, MESSAGE, signature)


def test_another_user_id_is_another_signature():
    """The id is part of what is signed: a signature under another one does not hold."""
    other = Signer(PRIVATE, b"ALICE123@YAHOO.COM").sign(MESSAGE)

    assert not HOLDS(PUBLIC, MESSAGE, other)
    assert backend.Backend(ctypes.CDLL("libcrypto.so.3"), b"ALICE123@YAHOO.COM")(PUBLIC, MESSAGE, other)


@pytest.mark.parametrize(
    "public",
    [
        b"",
        bytes(65),
        PUBLIC[1:],
        PUBLIC[:-1],
        PUBLIC + b"\0",
        b"\x02" + PUBLIC[1:33],
        b"\x06" + PUBLIC[1:],
        b"\x04" + bytes(64),
        PUBLIC[:-1] + b"\x14",
        b"\x04" + b"\xff" * 64,
        b"\x04" + PUBLIC[33:] + PUBLIC[1:33],
    ],
)
def test_a_key_that_is_no_point_of_the_curve_is_refused(public):
    """When it is published, when it is loaded, and by the backend again."""
    with pytest.raises(EncodingRefused):
        sm2.refuse_off_curve(public)

    assert not HOLDS(public, MESSAGE, R + S)


def beginning_with_04() -> Signer:
    """Return a key whose x begins with 04 once more: libraries that strip it from the text get another key."""
    number = 1
    while Signer(number).public[1] != 4:
        number += 1
    return Signer(number)


def test_a_key_that_begins_with_04_is_itself():
    """One of the reasons why no library of the package index was fit."""
    signer = beginning_with_04()

    assert HOLDS(signer.public, MESSAGE, signer.sign(MESSAGE))


def test_signatures_with_leading_noughts_hold():
    """Their DER is shorter; both halves are tried until one of each was met."""
    signer, short = Signer(PRIVATE), set()
    for nonce in range(1, 1500):
        signature = signer.sign(MESSAGE, nonce=nonce)
        short |= {half for half in (0, 32) if signature[half] == 0}
        if signature[0] == 0 or signature[32] == 0:
            assert HOLDS(signer.public, MESSAGE, signature)
    assert short == {0, 32}


def test_many_keys_push_none_out_that_is_wanted():
    """More than are kept; each verifies its own."""
    for number in range(1, 140):
        signer = Signer(number)
        assert HOLDS(signer.public, MESSAGE, signer.sign(MESSAGE))


@pytest.mark.parametrize("library", ["libno-such-thing.so.9", "libc.so.6"])
def test_a_system_without_it_is_found_out(library):
    """No library, or one that lacks the functions: none, and no error."""
    assert backend.probed(library) is None


SIGNER = Signer(PRIVATE)
SM2_KEY = replace(ISSUER_KEY, algorithm=SM2, public=PUBLIC)
COUNTRY = replace(TRUST, keys=MappingProxyType({("44", KID): (SM2_KEY,)}))


def sm2_pass(sign=SIGNER.sign, algorithm=SM2) -> bytes:
    """Issue a pass as an issuer with an SM2 key would."""
    payload = hp1.unsigned("44", KID, (world.ISSUED, world.EXPIRES), world.PassKind.PERSON, world.PERSON).payload
    laid_out = hp1.Unsigned(cose.protected_header(KID, algorithm), payload)
    return laid_out.sign(sign(laid_out.to_be_signed))


def verdict(code, trust=COUNTRY, table=TABLE):
    found = examine(code, replace(context(trust=trust), verifiers=table))
    return found.outcome.name.lower(), str(found.reason)


def test_an_issuers_sm2_pass_is_accepted():
    """Under the key record that says so, by the gate's own line."""
    assert verdict(sm2_pass()) == ("accept", "ok")


def test_a_key_is_pinned_to_its_algorithm():
    """Neither an EdDSA header over an SM2 key, nor an SM2 header over an EdDSA key."""
    assert verdict(sm2_pass(algorithm=EDDSA)) == ("reject", "key.algorithm")
    assert verdict(sm2_pass(), trust=TRUST) == ("reject", "key.algorithm")
    assert verdict(world.make_pass()) == ("reject", "key.algorithm")
    assert verdict(sm2_pass(Signer(7).sign)) == ("reject", "signature.invalid")


def test_a_gate_that_cannot_refers_by_name_and_says_so():
    """Its own reason, never green; staff see whose passes it is about."""
    assert verdict(sm2_pass(), table=VERIFIERS) == ("refer", "key.unsupported")
    assert refused_outcome(Reason.KEY_UNSUPPORTED) is Outcome.REFER
    assert [finding.params for finding in backend.findings(COUNTRY, VERIFIERS)] == [{"issuers": "44"}]
    assert backend.findings(COUNTRY, TABLE) == backend.findings(TRUST, VERIFIERS) == backend.findings(None, {}) == []


def test_law_6_every_one_byte_change_of_an_sm2_pass_is_refused():
    """Each byte of the signed message by its neighbour and its complement."""
    code, around = sm2_pass(), replace(context(trust=COUNTRY), verifiers=TABLE)
    for position, original in enumerate(code):
        for byte in {original ^ 1, original ^ 0xFF, 0x30, 0x5A} - {original}:
            changed = code[:position] + bytes((byte,)) + code[position + 1 :]
            assert not examine(changed, around).is_authentic


def published(public: bytes):
    row = key_row(public, alg="SM2")
    return targets.keys(Document(keys_document(row), "keys"), "44")


def test_an_sm2_key_is_read_from_the_trust_list():
    """And one off the curve is refused, with the row."""
    (found,) = published(PUBLIC)

    assert (found.algorithm, found.public) == (SM2, PUBLIC)
    with pytest.raises(TrustError, match=r"keys\[0\]: public is refused: the SM2 public key is no point"):
        published(PUBLIC[:-1] + b"\x14")
    with pytest.raises(TrustError, match="04"):
        published(bytes(32))


def test_claims_are_those_of_every_national_pass():
    """Only the header tells the algorithm."""
    assert cbor.decode(cose.protected_header(KID, SM2)) == {1: SM2, 4: KID}
    assert issubclass(PublicationError, TrustError)
