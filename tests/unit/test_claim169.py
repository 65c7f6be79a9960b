"""MOSIP identity codes: what is read of them, and every attack of the table by name."""

import zlib
from dataclasses import replace
from hashlib import sha256

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.codec import base45
from edge.codec.inflate import MAX_INFLATED
from edge.credentials import claim169
from edge.model.credential import HashKind, PassKind
from edge.model.trust import EDDSA, ES256
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import examine
from edge.verify.verify import verify
from tests.simulators.claim169 import (
    HEADER,
    ID_ANCHOR,
    ID_ANCHOR_ES256,
    IDENTITY,
    ISSUER,
    KID,
    id_claims,
    id_code,
    id_message,
    make_id,
)
from tests.simulators.foreign import Signer, believing, make_hcert
from tests.simulators.world import DAY, ISSUED, NOW, TRUST, at, context, make_pass

KINDS = TRUST.policy.kinds | {PassKind.IDENTITY}


def trust_in(*anchors, **more):
    """Trust that admits identities."""
    found = believing(*(anchors or (ID_ANCHOR,)), **more)
    return replace(found, policy=replace(found.policy, kinds=KINDS))


BELIEVED = trust_in()
GOOD = make_id()


def verdict(raw, trust=BELIEVED, moment=None):
    """What the gate says."""
    shown = context(moment or at(NOW), trust)
    return examine(raw, replace(shown, formats=(claim169.FORMAT, *shown.formats)))


def is_malformed(raw) -> bool:
    """Whether it is refused before any key is asked."""
    return verdict(raw).reason in {Reason.CREDENTIAL_MALFORMED, Reason.CREDENTIAL_FOREIGN}


def packed(value) -> bytes:
    """The code of any CBOR value."""
    return id_code(cbor2.dumps(value))


def test_an_identity_is_read_and_accepted():
    """Kind, holder, times and what revokes it."""
    found = claim169.FORMAT.parse(GOOD)

    assert verdict(GOOD).outcome is Outcome.ACCEPT
    assert (found.issuer, found.key_id, found.algorithm) == (ISSUER, KID, EDDSA)
    assert (found.kind, found.issued_at, found.expires_at) == (PassKind.IDENTITY, ISSUED, ISSUED + 300 * DAY)
    assert (found.holder.surname, found.holder.name, found.holder.birth_year) == ("", "Janardhan BS", 1984)
    assert found.revocation == (
        (HashKind.SIGNATURE, sha256(found.signature[:32]).digest()),
        (HashKind.IDENTIFIER, sha256(b"3918592438").digest()),
    )


def test_an_identity_signed_with_es256_is_accepted():
    """The other algorithm of the specification."""
    raw = make_id(protected={**HEADER, 1: ES256})

    assert verdict(raw, trust_in(ID_ANCHOR_ES256)).outcome is Outcome.ACCEPT


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({5: "Jane", 6: "Marie", 7: "Smith"}, ("Smith", "Jane Marie Smith")),
        ({4: "Jane M. Smith", 7: "Smith"}, ("Smith", "Jane M. Smith")),
        ({4: "Jane M. Smith", 5: "Jane"}, ("", "Jane M. Smith")),
        ({}, ("", None)),
    ],
    ids=str,
)
def test_names_are_shown_as_they_are_stated(names, shown):
    """Surname where it is told, the full name where nothing else is."""
    found = claim169.FORMAT.parse(make_id(id_claims({1: "1", **names})))

    assert (found.holder.surname, found.holder.name) == shown


@pytest.mark.parametrize("level", [1, 5, 6, 9])
def test_every_level_of_zlib_is_recognised(level):
    """By the four heads of RFC 1950, whatever the tables behind are."""
    photo = bytes(range(256)) * 3
    message = cbor2.dumps(cbor2.CBORTag(18, id_message(cbor2.dumps(id_claims({**IDENTITY, 62: [{0: photo}]})))))

    assert claim169.FORMAT.recognises(id_code(message, level))
    assert verdict(id_code(message, level)).is_authentic


def test_codes_of_other_formats_are_not_recognised():
    """Base45 of zlib is not enough, nor is COSE behind a prefix."""
    for raw in (make_hcert(), make_pass(), id_code(b"hello"), b"6BF", b"6BFA", b"6BF" + b"A" * 4000, b""):
        assert not claim169.FORMAT.recognises(raw)


@pytest.mark.parametrize("value", [HashKind.SIGNATURE, HashKind.IDENTIFIER])
def test_each_revocation_hash_finds_its_code(value):
    """The identity number, and the signature over R."""
    said = {HashKind.SIGNATURE: claim169.FORMAT.parse(GOOD).signature[:32], HashKind.IDENTIFIER: b"3918592438"}
    trust = trust_in(replace(ID_ANCHOR, hash_lists=(1,)), revoked={1: (value, said[value])})

    assert verdict(GOOD, trust).reason is Reason.STATUS_REVOKED


def test_the_later_of_nbf_and_iat_counts():
    """Not before either."""
    assert claim169.FORMAT.parse(make_id(id_claims(nbf=ISSUED + 5))).issued_at == ISSUED + 5
    assert claim169.FORMAT.parse(make_id(id_claims(iat=ISSUED + 5))).issued_at == ISSUED + 5
    assert claim169.FORMAT.parse(make_id(id_claims(iat=None, nbf=None))).issued_at is None


@pytest.mark.parametrize("identity", [None, [], "x", 5, b""], ids=str)
def test_a_code_without_claim_169(identity):
    """A map, and nothing else."""
    assert is_malformed(make_id(id_claims(identity)))


@pytest.mark.parametrize("number", [1, 4, 5, 6, 7, 8])
def test_an_attribute_of_another_type(number):
    """What is shown or looked up is text (Claim 169, 3.1)."""
    assert is_malformed(make_id(id_claims({**IDENTITY, number: 5})))


def test_an_unsigned_code_is_never_authentic():
    """An empty signature verifies under no key; there is no "none"."""
    header, unprotected, payload, _ = id_message(cbor2.dumps(id_claims()))
    raw = packed(cbor2.CBORTag(18, [header, unprotected, payload, b""]))

    assert verdict(raw).reason is Reason.SIGNATURE_INVALID
    assert verdict(raw, trust_in(replace(ID_ANCHOR, key_id=b"other"))).reason is Reason.KEY_UNKNOWN


def test_an_encrypted_code_is_refused():
    """COSE_Encrypt0: recognised, and not opened."""
    raw = packed(cbor2.CBORTag(16, [cbor2.dumps({1: 3}), {5: bytes(12)}, bytes(80)]))

    assert claim169.FORMAT.recognises(raw)
    assert verdict(raw).reason is Reason.CREDENTIAL_ENCRYPTED


# The attack table


@pytest.mark.parametrize("size", [MAX_INFLATED + 1, 3_000_000])
def test_decompression_bomb(size):
    """More than 64 KiB is never inflated, whatever it begins with."""
    assert verdict(id_code(b"\xd2\x84" + bytes(size))).reason is Reason.CREDENTIAL_MALFORMED


def test_bytes_after_the_stream_and_streams_cut_short():
    """Behind zlib, behind the message, within either."""
    message = cbor2.dumps(id_message(cbor2.dumps(id_claims())))

    for data in (zlib.compress(message) + b"\0", zlib.compress(message)[:-1], zlib.compress(message + b"\0")):
        assert is_malformed(base45.encode(data))


def test_cbor_depth_counts_and_tags():
    """Nothing that could choke a reader is taken in."""
    deep = []
    for _ in range(20):
        deep = [deep]
    for extra in (deep, list(range(5000)), cbor2.CBORTag(2, b"1"), cbor2.CBORTag(28, []), float("nan")):
        assert is_malformed(make_id(id_claims({**IDENTITY, 99: extra})))


@pytest.mark.parametrize("head", [b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff"])
def test_cbor_lengths_beyond_the_data(head):
    """A length is a promise that must be kept."""
    assert is_malformed(packed(id_message(head)))


def test_duplicate_keys_and_non_minimal_integers():
    """Two readers could take them differently."""
    payload = cbor2.dumps(id_claims())

    assert is_malformed(packed(id_message(bytes((payload[0] + 1,)) + b"\x05\x01" + payload[1:])))
    assert is_malformed(packed(id_message(payload, protected=b"\xa3\x01\x27" + cbor2.dumps(dict(HEADER))[1:])))
    assert is_malformed(packed(id_message(payload, protected=b"\xa2\x01\x38\x07\x04\x46k-1101")))


def test_algorithm_confusion():
    """EdDSA or ES256 in the protected header, and as the key record says."""
    for algorithm in (-35, -37, -257, 5, 0):
        assert is_malformed(make_id(protected={1: algorithm, 4: KID}))
    assert is_malformed(make_id(protected={4: KID}, unprotected={1: EDDSA}))
    assert verdict(make_id(protected={**HEADER, 1: ES256})).reason is Reason.KEY_ALGORITHM
    assert verdict(GOOD, trust_in(ID_ANCHOR_ES256)).reason is Reason.KEY_ALGORITHM


def test_key_id_collision_and_unknown_keys():
    """Another key under the same id is tried and found wanting; another id is unknown."""
    raw = make_id(protected={**HEADER, 1: ES256})
    other = replace(ID_ANCHOR_ES256, public=Signer(7).public)

    assert verdict(raw, trust_in(other, ID_ANCHOR_ES256)).reason is Reason.OK
    assert verdict(raw, trust_in(other)).reason is Reason.SIGNATURE_INVALID
    assert verdict(make_id(protected={1: EDDSA, 4: b"x"})).reason is Reason.KEY_UNKNOWN


def test_key_ids_in_both_headers_that_differ():
    """The protected one alone; the other, which the specification shows, only where there is none."""
    assert verdict(make_id(unprotected={4: b"other"})).reason is Reason.OK
    assert verdict(make_id(protected={1: EDDSA, 4: b"other"}, unprotected={4: KID})).reason is Reason.KEY_UNKNOWN
    assert verdict(make_id(protected={1: EDDSA}, unprotected={4: KID})).reason is Reason.OK


@pytest.mark.parametrize("headers", [{"protected": {**HEADER, 2: [3]}}, {"unprotected": {2: [3]}}], ids=str)
def test_a_critical_header(headers):
    """Whatever it names."""
    assert is_malformed(make_id(**headers))


def test_a_certificate_in_the_header_is_not_looked_at():
    """x5chain and x5u name keys of whoever wrote the code."""
    headers = {33: b"certificate", 35: "https://evil.example"}

    assert verdict(make_id(unprotected=headers)).reason is Reason.OK
    assert verdict(make_id(protected={1: EDDSA, **headers})).reason is Reason.KEY_UNKNOWN


def test_the_issuer_is_bound_to_its_own_keys():
    """A good signature under another's name is none."""
    assert verdict(make_id({**id_claims(), 1: "https://other.example"})).reason is Reason.KEY_UNKNOWN


def test_wrong_key_usage():
    """A key for health certificates signs no identity."""
    trust = trust_in(replace(ID_ANCHOR, kinds=frozenset({PassKind.VACCINATION})))

    assert verdict(GOOD, trust).reason is Reason.KEY_KIND


def test_the_other_s_and_wrong_lengths():
    """The same code, or none."""
    protected = {**HEADER, 1: ES256}
    header, unprotected, payload, signature = id_message(cbor2.dumps(id_claims()), protected=protected)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = signature[:32] + (order - int.from_bytes(signature[32:])).to_bytes(32)
    found, twin = (claim169.FORMAT.parse(packed([header, unprotected, payload, one])) for one in (signature, other))

    assert (twin.identity, twin.revocation) == (found.identity, found.revocation)
    for wrong in (signature[:-1], signature + b"\0", b""):
        raw = packed([header, unprotected, payload, wrong])
        assert verdict(raw, trust_in(ID_ANCHOR_ES256)).reason is Reason.SIGNATURE_INVALID


def test_an_ed25519_signature_whose_s_is_too_large():
    """RFC 8032, 5.1.7: S + L is no signature."""
    header, unprotected, payload, signature = id_message(cbor2.dumps(id_claims()))
    large = int.from_bytes(signature[32:], "little") + (1 << 252) + 27742317777372353535851937790883648493
    raw = packed([header, unprotected, payload, signature[:32] + large.to_bytes(32, "little")])

    assert verdict(raw).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("expiry", [1e300, -1e300, 2**63, -5, 1.5])
def test_times_that_are_no_times_are_clamped(expiry):
    """Floats and huge values become a whole second within bounds."""
    found = claim169.FORMAT.parse(make_id(id_claims(exp=expiry)))

    assert 0 <= found.expires_at <= 1 << 40
    assert verify(found, BELIEVED, at(NOW)).reason in {Reason.OK, Reason.TIME_EXPIRED}


@pytest.mark.parametrize("time", ["2030-01-01", b"", [], {}, True], ids=str)
def test_times_of_another_type(time):
    """Refused, each of the three."""
    for name in ("exp", "nbf", "iat"):
        assert is_malformed(make_id(id_claims(**{name: time})))


@pytest.mark.parametrize("spoilt", [GOOD + b"\n", b" " + GOOD, GOOD.lower(), GOOD + b"A", GOOD[:-1]])
def test_lenient_base45(spoilt):
    """One spelling of every code."""
    assert not verdict(spoilt).is_authentic


@pytest.mark.parametrize("name", ["\u202e", "a\nb", "x" * 81, "\x1b[2J"])
def test_a_signed_name_steers_no_screen(name):
    """What is not printable or too long is not shown."""
    assert claim169.FORMAT.parse(make_id(id_claims({4: name, 6: name, 5: "Jo"}))).holder.name == "Jo"


def test_every_changed_byte_of_the_message_is_refused():
    """Any other value at any place, each bit and all of them."""
    message = cbor2.dumps(cbor2.CBORTag(18, id_message(cbor2.dumps(id_claims()))))
    whole = claim169.FORMAT.parse(id_code(message))
    for place in range(len(message)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            spoilt = message[:place] + bytes((message[place] ^ change,)) + message[place + 1 :]
            found = verdict(id_code(spoilt))
            # What stands outside of every signature changes nothing: an untagged message is the same code.
            assert not found.is_authentic or found.presentation.identity == whole.identity


@given(st.binary(max_size=200))
def test_any_message_gets_a_verdict(data):
    """Behind Base45 and zlib, and as a payload."""
    for raw in (data, b"6BF" + data, id_code(data), id_code(b"\xd2\x84" + data), packed(id_message(data))):
        assert verdict(raw).outcome is Outcome.REJECT
        assert verdict(raw).reason is not Reason.INTERNAL_FAULT
