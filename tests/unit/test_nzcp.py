"""NZ COVID Passes: what is read of them, each rule of the specification, and every attack of the table by name."""

import base64
from dataclasses import replace
from hashlib import sha256

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.codec import base32
from edge.credentials import nzcp
from edge.errors import EncodingRefused
from edge.model.credential import HashKind, PassKind
from edge.model.trust import EDDSA, ES256
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import examine
from edge.verify.verify import verify
from tests.simulators.foreign import Signer, believing
from tests.simulators.nzcp import (
    CTI,
    DID,
    HEADER,
    NZCP_ANCHOR,
    make_nzcp,
    nzcp_claims,
    nzcp_code,
    nzcp_message,
)
from tests.simulators.world import DAY, ISSUED, NOW, TRUST, at, context

KINDS = TRUST.policy.kinds | {PassKind.HEALTH}


def trust_in(*anchors, **more):
    """Trust that admits such passes."""
    found = believing(*(anchors or (NZCP_ANCHOR,)), **more)
    return replace(found, policy=replace(found.policy, kinds=KINDS))


BELIEVED = trust_in()
GOOD = make_nzcp()


def verdict(raw, trust=BELIEVED, moment=None):
    """What the gate says."""
    shown = context(moment or at(NOW), trust)
    return examine(raw, replace(shown, formats=(nzcp.FORMAT, *shown.formats)))


def is_malformed(raw) -> bool:
    """Whether it is refused before any key is asked."""
    return verdict(raw).reason is Reason.CREDENTIAL_MALFORMED


def packed(value) -> bytes:
    """The code of any CBOR value."""
    return nzcp_code(cbor2.dumps(value))


def test_a_pass_is_read_and_accepted():
    """Kind, holder, times and what revokes it."""
    found = nzcp.FORMAT.parse(GOOD)

    assert verdict(GOOD).outcome is Outcome.ACCEPT
    assert (found.issuer, found.key_id, found.algorithm) == (DID, b"key-1", ES256)
    assert (found.kind, found.issued_at, found.expires_at) == (PassKind.HEALTH, ISSUED, ISSUED + 300 * DAY)
    assert (found.holder.surname, found.holder.name, found.holder.birth_year) == ("Sparrow", "Jack Sparrow", 1960)
    assert found.revocation == (
        (HashKind.SIGNATURE, sha256(found.signature[:32]).digest()),
        (HashKind.IDENTIFIER, sha256(b"urn:uuid:00010203-0405-0607-0809-0a0b0c0d0e0f").digest()),
    )


@pytest.mark.parametrize("value", [HashKind.SIGNATURE, HashKind.IDENTIFIER])
def test_each_revocation_hash_finds_its_pass(value):
    """The identifier (cti as jti), and the signature over R."""
    said = {HashKind.SIGNATURE: nzcp.FORMAT.parse(GOOD).signature[:32]}
    said[HashKind.IDENTIFIER] = b"urn:uuid:00010203-0405-0607-0809-0a0b0c0d0e0f"
    trust = trust_in(replace(NZCP_ANCHOR, hash_lists=(1,)), revoked={1: (value, said[value])})

    assert verdict(GOOD, trust).reason is Reason.STATUS_REVOKED


@pytest.mark.parametrize("missing", [1, 4, 5, 7, "vc"])
def test_a_required_claim_that_is_missing(missing):
    """NZCP 2.1: iss, exp, nbf, cti, vc."""
    assert is_malformed(make_nzcp({key: value for key, value in nzcp_claims().items() if key != missing}))


@pytest.mark.parametrize(
    "changes",
    [
        {"@context": ["https://nzcp.covid19.health.nz/contexts/v1", "https://www.w3.org/2018/credentials/v1"]},
        {"@context": ["https://www.w3.org/2018/credentials/v1"]},
        {"@context": "https://www.w3.org/2018/credentials/v1"},
        {"type": ["VerifiableCredential"]},
        {"type": ["VerifiableCredential", "OtherPass"]},
        {"type": "PublicCovidPass"},
        {"version": "2.0.0"},
        {"version": "1"},
        {"version": 1},
        {"credentialSubject": {}},
        {"credentialSubject": {"givenName": "", "dob": "1960-04-16"}},
        {"credentialSubject": {"givenName": "Jack", "familyName": 1, "dob": "1960-04-16"}},
        {"credentialSubject": {"givenName": "Jack"}},
        {"credentialSubject": {"givenName": "Jack", "dob": "16/04/1960"}},
    ],
    ids=str,
)
def test_a_verifiable_credential_of_another_shape(changes):
    """NZCP 2.3 and 2.4: context, type, version and subject."""
    assert is_malformed(make_nzcp(nzcp_claims(**changes)))


def test_a_family_name_is_optional():
    """NZCP 2.4."""
    assert verdict(make_nzcp(nzcp_claims(credentialSubject={"givenName": "Jo", "dob": "1960-04-16"}))).is_authentic


@pytest.mark.parametrize("prefix", [b"NZCP:/2/", b"nzcp:/1/", b"NZCP:/", b"NZCP:1/", b"NZCP:/01/"])
def test_another_version_or_spelling_of_the_prefix(prefix):
    """NZCP 4: the one this software knows."""
    assert not verdict(prefix + GOOD[8:]).is_authentic


# The attack table


def test_cbor_depth_counts_and_tags():
    """Nothing that could choke a reader is taken in."""
    deep = []
    for _ in range(20):
        deep = [deep]
    for extra in (deep, list(range(5000)), cbor2.CBORTag(2, b"1"), cbor2.CBORTag(28, []), float("nan")):
        assert is_malformed(make_nzcp({**nzcp_claims(), 99: extra}))


@pytest.mark.parametrize("head", [b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff"])
def test_cbor_lengths_beyond_the_data(head):
    """A length is a promise that must be kept."""
    assert is_malformed(nzcp_code(head))
    assert is_malformed(packed(nzcp_message(head)))


def test_trailing_bytes_duplicate_keys_and_non_minimal_integers():
    """Two readers could take them differently."""
    payload = cbor2.dumps(nzcp_claims())

    assert is_malformed(nzcp_code(cbor2.dumps(nzcp_message(payload)) + b"\0"))
    assert is_malformed(packed(nzcp_message(bytes((payload[0] + 1,)) + b"\x05\x01" + payload[1:])))
    assert is_malformed(packed(nzcp_message(payload, protected=b"\xa3\x01\x26" + cbor2.dumps(dict(HEADER))[1:])))
    assert is_malformed(packed(nzcp_message(payload, protected=b"\xa2\x01\x38\x06\x04\x45key-1")))


def test_algorithm_confusion():
    """ES256 alone, in the protected header, and as the key record says."""
    assert is_malformed(make_nzcp(protected={4: b"key-1", 1: EDDSA}))
    assert is_malformed(make_nzcp(protected={4: b"key-1"}, unprotected={1: ES256}))
    assert verdict(GOOD, trust_in(replace(NZCP_ANCHOR, algorithm=EDDSA))).reason is Reason.KEY_ALGORITHM


def test_key_id_collision_and_unknown_keys():
    """Another key under the same id is tried and found wanting; another id is unknown."""
    other = replace(NZCP_ANCHOR, public=Signer(7).public)

    assert verdict(GOOD, trust_in(other, NZCP_ANCHOR)).reason is Reason.OK
    assert verdict(GOOD, trust_in(other)).reason is Reason.SIGNATURE_INVALID
    assert verdict(make_nzcp(protected={4: b"key-2", 1: ES256})).reason is Reason.KEY_UNKNOWN


def test_key_ids_in_both_headers_that_differ():
    """The protected one alone; without one the pass is none (NZCP 2.2)."""
    assert verdict(make_nzcp(unprotected={4: b"key-2"})).reason is Reason.OK
    assert is_malformed(make_nzcp(protected={1: ES256}, unprotected={4: b"key-1"}))


@pytest.mark.parametrize("headers", [{"protected": {**HEADER, 2: [3]}}, {"unprotected": {2: [3]}}], ids=str)
def test_a_critical_header(headers):
    """Whatever it names."""
    assert is_malformed(make_nzcp(**headers))


def test_the_issuer_is_bound_to_its_own_keys():
    """Another did under a believed key, and what is no did."""
    assert verdict(make_nzcp({**nzcp_claims(), 1: "did:web:other.example"})).reason is Reason.KEY_UNKNOWN
    assert is_malformed(make_nzcp({**nzcp_claims(), 1: "https://nzcp.example"}))


def test_wrong_key_usage():
    """A key for tests signs no pass."""
    trust = trust_in(replace(NZCP_ANCHOR, kinds=frozenset({PassKind.TEST})))

    assert verdict(GOOD, trust).reason is Reason.KEY_KIND


def test_the_other_s_and_wrong_lengths():
    """The same pass, or none."""
    header, unprotected, payload, signature = nzcp_message(cbor2.dumps(nzcp_claims()))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = signature[:32] + (order - int.from_bytes(signature[32:])).to_bytes(32)
    twin, found = (nzcp.FORMAT.parse(packed([header, unprotected, payload, one])) for one in (other, signature))

    assert (twin.identity, twin.revocation) == (found.identity, found.revocation)
    for wrong in (signature[:-1], signature + b"\0", b""):
        assert verdict(packed([header, unprotected, payload, wrong])).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("time", [1.5, "2030", b"", True, None, cbor2.CBORTag(2, b"\x01")], ids=str)
def test_times_of_another_type(time):
    """Whole numbers alone (NZCP 2.1)."""
    assert is_malformed(make_nzcp({**nzcp_claims(), 4: time}))
    assert is_malformed(make_nzcp({**nzcp_claims(), 5: time}))


@pytest.mark.parametrize("time", [(1 << 64) - 1, -5])
def test_times_that_are_no_times_are_clamped(time):
    """Within bounds, and judged."""
    found = nzcp.FORMAT.parse(make_nzcp({**nzcp_claims(), 4: time}))

    assert 0 <= found.expires_at <= 1 << 40
    assert verify(found, BELIEVED, at(NOW)).reason in {Reason.OK, Reason.TIME_EXPIRED}


@pytest.mark.parametrize(
    "spoilt", [GOOD + b"\n", GOOD.lower(), GOOD + b"=", GOOD + b"A", GOOD[:-1] + b"1", GOOD[:8] + b" " + GOOD[8:]]
)
def test_lenient_base32(spoilt):
    """One spelling of every pass."""
    assert not verdict(spoilt).is_authentic


@given(st.binary(max_size=60))
def test_base32_reads_what_python_writes_and_no_other_spelling(data):
    """Each text is the only one of its bytes."""
    text = base64.b32encode(data).rstrip(b"=")
    assert base32.decode(text) == data
    for place in range(len(text)):
        for code in b"A7a1= _+-\n":
            other = text[:place] + bytes((code,)) + text[place + 1 :]
            try:
                found = base32.decode(other)
            except EncodingRefused:
                continue
            assert base64.b32encode(found).rstrip(b"=") == other


@pytest.mark.parametrize("name", ["\u202e", "a\nb", "x" * 81, "\x1b[2J"])
def test_a_signed_name_steers_no_screen(name):
    """What is not printable or too long is not shown."""
    subject = {"givenName": "Jo", "familyName": name, "dob": "1960-04-16"}

    assert nzcp.FORMAT.parse(make_nzcp(nzcp_claims(credentialSubject=subject))).holder.name == "Jo"


def test_every_changed_byte_of_the_message_is_refused():
    """Any other value at any place, each bit and all of them."""
    message = cbor2.dumps(cbor2.CBORTag(18, nzcp_message(cbor2.dumps(nzcp_claims()))))
    whole = nzcp.FORMAT.parse(nzcp_code(message))
    for place in range(len(message)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            spoilt = message[:place] + bytes((message[place] ^ change,)) + message[place + 1 :]
            found = verdict(nzcp_code(spoilt))
            # What stands outside of every signature changes nothing: an untagged message is the same pass.
            assert not found.is_authentic or found.presentation.identity == whole.identity


@given(st.binary(max_size=200))
def test_any_message_gets_a_verdict(data):
    """Behind Base32, and as a payload."""
    assert verdict(nzcp_code(data)).outcome is Outcome.REJECT
    assert verdict(packed(nzcp_message(data))).reason is not Reason.INTERNAL_FAULT


def test_the_identifier_has_sixteen_bytes():
    """NZCP 2.1: cti is a UUID."""
    assert is_malformed(make_nzcp({**nzcp_claims(), 7: CTI[:-1]}))
