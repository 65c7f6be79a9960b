"""Encrypted identity codes: opened by a gate that holds the key, accepted for the signature inside and nothing else."""

import cbor2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edge.codec import encrypt0
from edge.credentials import claim169
from edge.credentials.format import Opening
from edge.errors import CredentialError, EncodingRefused
from edge.gate.formats import load_formats
from edge.model.content_key import ContentKey
from edge.model.verdict import Reason
from edge.policy.examine import Context, examine
from tests.simulators.claim169 import ID_ANCHOR, id_claims, id_code, id_message
from tests.simulators.world import NOW, PLACE, at, context
from tests.unit.test_claim169 import trust_in

SECRET = bytes(range(32))
NONCE = bytes(12)
SIGNED = cbor2.dumps(cbor2.CBORTag(18, id_message(cbor2.dumps(id_claims()))))
BARE = cbor2.dumps(id_claims())
OUR_KEY = ContentKey("claim169", b"", SECRET)
HEADER = cbor2.dumps({1: 3})


def sealed(content=SIGNED, *, secret=SECRET, protected=HEADER, unprotected=None):
    bound = cbor2.dumps(["Encrypt0", protected, b""])
    headers = {5: NONCE} if unprotected is None else unprotected
    return cbor2.dumps(cbor2.CBORTag(16, [protected, headers, AESGCM(secret).encrypt(NONCE, content, bound)]))


def reason(message, *keys):
    known = claim169.FORMAT.holding(keys or (OUR_KEY,))
    surroundings = Context((known,), trust_in(ID_ANCHOR), at(NOW), PLACE, context().sightings)
    return examine(id_code(message), surroundings).reason


def test_a_signed_code_is_accepted_by_a_gate_that_holds_its_key():
    """The signature inside decides; the identity is that of the code without encryption."""
    known = claim169.FORMAT.holding((OUR_KEY,))

    assert reason(sealed()) is Reason.OK
    assert known.parse(id_code(sealed())).identity == claim169.FORMAT.parse(id_code(SIGNED)).identity


def test_encrypted_claims_without_a_signature_admit_nobody():
    """Whoever can open such a code can make one."""
    found = claim169.FORMAT.holding((OUR_KEY,)).parse(id_code(sealed(BARE)))

    assert (found.algorithm, found.signature) == (0, b"")
    assert reason(sealed(BARE)) in {Reason.KEY_UNKNOWN, Reason.KEY_ALGORITHM}


@pytest.mark.parametrize(("algorithm", "size"), encrypt0.ALGORITHMS.items())
def test_each_length_of_key_opens_its_own_algorithm_alone(algorithm, size):
    """A128GCM, A192GCM, A256GCM (RFC 9053, 4.1)."""
    message = sealed(secret=SECRET[:size], protected=cbor2.dumps({1: algorithm}))

    assert reason(message, ContentKey("claim169", b"", SECRET[:size])) is Reason.OK
    for other in set(encrypt0.ALGORITHMS.values()) - {size}:
        assert reason(message, ContentKey("claim169", b"", SECRET[:other])) is Reason.CREDENTIAL_ENCRYPTED


def test_a_code_that_names_a_key_is_opened_by_that_one_or_by_one_without_a_name():
    """And a code that names none by any, at most four."""
    named = sealed(unprotected={5: NONCE, 4: b"k1"})
    others = [ContentKey("claim169", b"", bytes([number]) * 32) for number in range(4)]

    assert reason(named, ContentKey("claim169", b"k1", SECRET)) is Reason.OK
    assert reason(named, ContentKey("claim169", b"", SECRET)) is Reason.OK
    assert reason(named, ContentKey("claim169", b"k2", SECRET)) is Reason.CREDENTIAL_ENCRYPTED
    assert reason(sealed(), *others[:3], OUR_KEY) is Reason.OK
    assert reason(sealed(), *others, OUR_KEY) is Reason.CREDENTIAL_ENCRYPTED


def test_no_changed_byte_is_accepted():
    """The tag covers header and content; what else is changed does not parse or names another key or vector."""
    whole = sealed()

    for place in range(len(whole)):
        spoilt = whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :]
        assert reason(spoilt) in {Reason.CREDENTIAL_MALFORMED, Reason.CREDENTIAL_ENCRYPTED, Reason.CREDENTIAL_FOREIGN}


@pytest.mark.parametrize(
    "message",
    [
        sealed(unprotected={5: NONCE, 2: [5]}),
        sealed(unprotected={6: b"\0", 5: NONCE}),
        sealed(unprotected={5: NONCE, 1: 3}),
        sealed(unprotected={}),
        sealed(unprotected={5: NONCE + b"\0"}),
        sealed(unprotected={5: NONCE, 4: bytes(65)}),
        sealed(protected=cbor2.dumps({1: 1000})),
        sealed(protected=cbor2.dumps({1: True})),
        sealed(protected=cbor2.dumps({1: 3, 2: [1]})),
        sealed() + b"\0",
        sealed()[:-1],
        cbor2.dumps(cbor2.CBORTag(16, [HEADER, {5: NONCE}, bytes(15)])),
        cbor2.dumps(cbor2.CBORTag(16, [HEADER, {5: NONCE}, None])),
    ],
)
def test_what_is_no_strict_message_is_refused(message):
    """Critical and repeated headers, partial, missing and long vectors, other algorithms, more and fewer bytes."""
    with pytest.raises(EncodingRefused):
        encrypt0.parse(message)
    assert reason(message) is Reason.CREDENTIAL_MALFORMED


@pytest.mark.parametrize("content", [b"", b"\x00", b"\xff", sealed(), cbor2.dumps([1, 2]), cbor2.dumps({1: "x"})])
def test_what_is_inside_is_read_once_and_strictly(content):
    """An encrypted message within an encrypted one is none; nor is anything but a signed message or claims."""
    assert reason(sealed(content)) is Reason.CREDENTIAL_MALFORMED


def test_a_gate_hands_each_format_its_own_keys():
    """A key of another format opens nothing; a format that knows no encryption is left as it is."""
    given = {known.name: known for known in load_formats((OUR_KEY, ContentKey("hcert", b"", SECRET)))}
    without = {known.name: known for known in load_formats((ContentKey("hcert", b"", SECRET),))}

    assert isinstance(given["claim169"], Opening)
    assert given["claim169"].parse(id_code(sealed())).format == "claim169"
    assert given["hcert"] is without["hcert"]
    with pytest.raises(CredentialError):
        without["claim169"].parse(id_code(sealed()))


def test_no_text_of_a_key_shows_it():
    """Neither in a traceback nor in a log."""
    assert SECRET.hex() not in repr(OUR_KEY)
    assert repr(SECRET) not in repr(OUR_KEY)
