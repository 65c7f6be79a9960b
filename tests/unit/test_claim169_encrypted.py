"""Encrypted identity codes: opened by a key of the gate's own, believed by the signature within, never by the key."""

from dataclasses import replace

import cbor2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.credentials import claim169
from edge.model.code_key import A128GCM, A192GCM, A256GCM, CodeKey
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import examine
from tests.simulators.claim169 import ID_ANCHOR, id_claims, id_code, id_message
from tests.simulators.world import NOW, at, context
from tests.unit.test_claim169 import BELIEVED, trust_in

KEY = CodeKey(A256GCM, b"", bytes(range(32)))
NONCE = bytes(range(12))
SIGNED = cbor2.dumps(cbor2.CBORTag(18, id_message(cbor2.dumps(id_claims()))))
BARE = cbor2.dumps(id_claims())


def sealed(content=SIGNED, key=KEY, protected=None, unprotected=None, nonce=NONCE):
    """The parts of a COSE_Encrypt0, written by libraries other than ours."""
    header = cbor2.dumps({1: key.algorithm} if protected is None else protected)
    covered = cbor2.dumps(["Encrypt0", header if protected != {} else b"", b""])
    return [
        header,
        {5: nonce} if unprotected is None else unprotected,
        AESGCM(key.secret).encrypt(nonce, content, covered),
    ]


def code(parts, *, tags=(16,)):
    """The code of a message."""
    value = parts
    for tag in tags:
        value = cbor2.CBORTag(tag, value)
    return id_code(cbor2.dumps(value))


def verdict(raw, *keys, trust=BELIEVED):
    """What a gate says that holds these keys."""
    shown = context(at(NOW), trust)
    return examine(raw, replace(shown, formats=(claim169.FORMAT.holding(keys or (KEY,)), *shown.formats)))


def is_malformed(raw) -> bool:
    """Whether it is refused before any key is tried."""
    return verdict(raw).reason in {Reason.CREDENTIAL_MALFORMED, Reason.CREDENTIAL_FOREIGN}


@pytest.mark.parametrize("tags", [(16,), (16, 61), ()], ids=str)
def test_a_signed_code_is_opened_and_accepted_as_if_it_were_plain(tags):
    """Its identity is that of what is signed: encrypted anew it is the same credential."""
    found = verdict(code(sealed(), tags=tags))
    again = verdict(code(sealed(nonce=bytes(12)), tags=tags))

    assert found.outcome is Outcome.ACCEPT
    assert found.presentation.identity == again.presentation.identity
    assert found.presentation == claim169.FORMAT.parse(id_code(SIGNED))


@pytest.mark.parametrize(("algorithm", "size"), [(A128GCM, 16), (A192GCM, 24), (A256GCM, 32)])
def test_each_length_of_key_opens_its_codes(algorithm, size):
    """AES-GCM of RFC 9053, 4.1."""
    key = CodeKey(algorithm, b"", bytes(range(size)))

    assert verdict(code(sealed(key=key)), key).outcome is Outcome.ACCEPT


def test_an_encrypted_code_without_a_signature_is_never_authentic():
    """Whoever holds the key could have written it, and every gate holds it."""
    raw = code(sealed(BARE))
    unnamed = replace(ID_ANCHOR, key_id=b"")

    assert verdict(raw).reason is Reason.KEY_UNKNOWN
    assert verdict(raw, trust=trust_in(unnamed)).reason is Reason.KEY_ALGORITHM
    assert not verdict(raw, trust=trust_in(replace(unnamed, algorithm=0))).is_authentic


def test_a_gate_without_a_key_says_that_the_code_is_encrypted():
    """No key, another one, one of another length or name: no opinion, and no fault of the code."""
    raw = code(sealed())

    for keys in (
        (replace(KEY, secret=bytes(32)),),
        (CodeKey(A128GCM, b"", bytes(16)),),
        (replace(KEY, key_id=b"k2"),),
    ):
        assert verdict(raw, *keys).reason is Reason.CREDENTIAL_ENCRYPTED
    with pytest.raises(claim169.CredentialError) as refused:
        claim169.FORMAT.parse(raw)
    assert refused.value.reason is Reason.CREDENTIAL_ENCRYPTED


@pytest.mark.parametrize("where", ["protected", "unprotected"])
def test_the_key_that_a_code_names_is_tried_and_no_other(where):
    """By its id in either header; the protected one counts where both have one."""
    key = replace(KEY, key_id=b"k1")
    headers = {
        "protected": {"protected": {1: A256GCM, 4: b"k1"}, "unprotected": {5: NONCE, 4: b"x"}},
        "unprotected": {"unprotected": {5: NONCE, 4: b"k1"}},
    }
    raw = code(sealed(key=key, **headers[where]))

    assert verdict(raw, replace(key, secret=bytes(32)), key).outcome is Outcome.ACCEPT
    assert verdict(raw, KEY).reason is Reason.CREDENTIAL_ENCRYPTED


def test_at_most_four_keys_of_one_name_are_tried():
    """Never all that a gate holds."""
    wrong = [replace(KEY, secret=bytes((number,)) * 32) for number in range(5)]

    assert verdict(code(sealed()), *wrong[:3], KEY).outcome is Outcome.ACCEPT
    assert verdict(code(sealed()), *wrong[:4], KEY).reason is Reason.CREDENTIAL_ENCRYPTED


@pytest.mark.parametrize("nonce", [bytes(11), bytes(13), bytes(16)], ids=len)
def test_a_nonce_of_another_length(nonce):
    """12 bytes (RFC 9053, 4.1)."""
    assert is_malformed(code(sealed(nonce=nonce)))


@pytest.mark.parametrize(
    "unprotected",
    [{}, {5: "x" * 12}, {5: None}, {6: b"1"}, {5: NONCE, 6: b"1"}, {5: NONCE, 2: [5]}, {5: NONCE, 1: 3}],
    ids=str,
)
def test_headers_that_are_none(unprotected):
    """No nonce, a partial one, something critical, the algorithm again."""
    assert is_malformed(code(sealed(unprotected=unprotected)))


@pytest.mark.parametrize("protected", [{}, {1: 3, 2: [1]}, {1: 24}, {1: 10}, {1: "A256GCM"}, {1: -8}, {1: 3, 5: NONCE}])
def test_protected_headers_that_are_none(protected):
    """No algorithm, another than AES-GCM, something critical, a second nonce."""
    assert is_malformed(code(sealed(protected=protected)))


def test_messages_of_another_shape():
    """A part too few or too many, recipients, a detached or short ciphertext, bytes behind."""
    header, unprotected, ciphertext = sealed()

    for parts in (
        [header, unprotected],
        [header, unprotected, ciphertext, []],
        [header, unprotected, None],
        [header, unprotected, ciphertext[:15]],
        [header, [], ciphertext],
    ):
        assert is_malformed(code(parts))
    assert is_malformed(id_code(cbor2.dumps(cbor2.CBORTag(16, [header, unprotected, ciphertext])) + b"\0"))


@pytest.mark.parametrize("content", [b"", b"\xa0", b"hello", cbor2.dumps([1, 2])], ids=bytes.hex)
def test_a_content_that_is_no_identity(content):
    """What a key opens is held to the same form."""
    assert is_malformed(code(sealed(content)))


def test_a_code_within_a_code_is_not_opened():
    """One layer."""
    assert is_malformed(code(sealed(cbor2.dumps(cbor2.CBORTag(16, sealed())))))


def test_every_changed_byte_of_an_encrypted_code_is_refused():
    """Of the whole message, each bit: the tag covers the header and the content, the key id and the nonce decide."""
    message = cbor2.dumps(cbor2.CBORTag(16, sealed()))
    whole = verdict(id_code(message)).presentation.identity
    for place in range(len(message)):
        for bit in range(8):
            spoilt = message[:place] + bytes((message[place] ^ 1 << bit,)) + message[place + 1 :]
            found = verdict(id_code(spoilt))
            assert not found.is_authentic or found.presentation.identity == whole


def test_a_key_is_not_shown():
    """Neither by the format nor by itself."""
    assert KEY.secret.hex() not in repr(KEY)
    assert repr(KEY.secret) not in repr(KEY)
