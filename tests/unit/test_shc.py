"""SMART Health Cards: what is read of them, what each resource attests, and every attack of the table by name."""

import base64
import json
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.codec import base64url, foreign_json
from edge.codec.inflate import MAX_INFLATED
from edge.credentials import shc
from edge.errors import EncodingRefused
from edge.model.credential import HashKind, PassKind
from edge.model.trust import EDDSA, ES256
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import examine
from edge.verify.verify import verify
from tests.simulators.foreign import Signer, believing
from tests.simulators.shc import (
    HEADER,
    ISSUER,
    KID,
    PATIENT,
    SHC_ANCHOR,
    b64,
    deflated,
    make_shc,
    packed,
    resource,
    shc_claims,
    shc_code,
    signed,
)
from tests.simulators.world import ISSUED, NOW, at, context

BELIEVED = believing(SHC_ANCHOR)
GOOD = make_shc()
JWS = signed(HEADER, deflated(packed(shc_claims())))


def verdict(raw, trust=BELIEVED, moment=None):
    """What the gate says."""
    shown = context(moment or at(NOW), trust)
    return examine(raw, replace(shown, formats=(shc.FORMAT, *shown.formats)))


def is_malformed(raw) -> bool:
    """Whether it is refused before any key is asked."""
    return verdict(raw).reason is Reason.CREDENTIAL_MALFORMED


def test_a_card_is_read_and_accepted():
    """Kind, holder, times and what revokes it."""
    found = shc.FORMAT.parse(make_shc(shc_claims(vc={"rid": "MKyCxh7p6uQ"})))

    assert verdict(GOOD).outcome is Outcome.ACCEPT
    assert (found.issuer, found.key_id, found.algorithm) == (ISSUER, KID.encode(), ES256)
    assert (found.kind, found.issued_at, found.expires_at) == (PassKind.VACCINATION, ISSUED, None)
    assert (found.holder.surname, found.holder.name, found.holder.birth_year) == (
        "Anyperson",
        "John B. Anyperson",
        1951,
    )
    assert found.revocation == (
        (HashKind.SIGNATURE, sha256(found.signature[:32]).digest()),
        (HashKind.IDENTIFIER, sha256(f"{KID}.MKyCxh7p6uQ".encode()).digest()),
    )


@pytest.mark.parametrize(
    ("resources", "kind"),
    [
        ([resource("Immunization")], PassKind.VACCINATION),
        ([resource("Immunization", "not-done")], PassKind.STATEMENT),
        ([resource("Immunization", "entered-in-error")], PassKind.STATEMENT),
        ([resource("Immunization", None)], PassKind.STATEMENT),
        ([resource("Immunization", [])], PassKind.STATEMENT),
        ([resource("Immunization"), resource("Immunization", "not-done")], PassKind.STATEMENT),
        ([resource("Observation", "final")], PassKind.TEST),
        ([resource("Observation", "preliminary")], PassKind.STATEMENT),
        ([resource("Observation", "final"), resource("DiagnosticReport", "final")], PassKind.TEST),
        ([resource("Immunization"), resource("Observation", "final")], PassKind.STATEMENT),
        ([resource("Immunization"), resource("Location"), resource("Organization")], PassKind.VACCINATION),
        ([resource("Condition", "active")], PassKind.STATEMENT),
        ([], PassKind.STATEMENT),
    ],
    ids=str,
)
def test_a_card_attests_what_its_resources_say(resources, kind):
    """By content and state, as the framework asks since 1.4.0; mixed cards attest nothing of health."""
    assert shc.FORMAT.parse(make_shc(shc_claims(PATIENT, *resources))).kind is kind


@pytest.mark.parametrize("kind", [PassKind.TEST, PassKind.RECOVERY])
def test_wrong_key_usage(kind):
    """A key for tests signs no vaccination."""
    assert verdict(GOOD, believing(replace(SHC_ANCHOR, kinds=frozenset({kind})))).reason is Reason.KEY_KIND


@pytest.mark.parametrize("value", [HashKind.SIGNATURE, HashKind.IDENTIFIER])
def test_each_revocation_hash_finds_its_card(value):
    """The key's rid, and the signature over R."""
    raw = make_shc(shc_claims(vc={"rid": "abc"}))
    said = {HashKind.SIGNATURE: shc.FORMAT.parse(raw).signature[:32], HashKind.IDENTIFIER: f"{KID}.abc".encode()}
    trust = believing(replace(SHC_ANCHOR, hash_lists=(1,)), revoked={1: (value, said[value])})

    assert verdict(raw, trust).reason is Reason.STATUS_REVOKED


@pytest.mark.parametrize("rid", ["", "a" * 25, "a.1", "ä", 5, ["a"]], ids=str)
def test_a_revocation_id_of_another_form(rid):
    """Up to 24 base64url characters ("Revocation")."""
    assert is_malformed(make_shc(shc_claims(vc={"rid": rid})))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": None},
        {"iss": 5},
        {"iss": "http://shc.example"},
        {"iss": "https://a\nb"},
        {"nbf": None},
        {"vc": None},
        {"nbf": "2021"},
        {"nbf": True},
        {"exp": "never"},
        {"vc": []},
    ],
    ids=str,
)
def test_a_claim_that_is_missing_or_of_another_type(changes):
    """iss, nbf, vc; exp where it is there."""
    assert is_malformed(make_shc({**shc_claims(), **changes}))


@pytest.mark.parametrize(
    "vc",
    [
        {"type": ["https://smarthealth.cards#immunization"]},
        {"type": "https://smarthealth.cards#health-card"},
        {"credentialSubject": None},
        {"credentialSubject": {"fhirVersion": 4, "fhirBundle": {}}},
        {"credentialSubject": {"fhirVersion": "4.0.1"}},
        *(
            {"credentialSubject": {"fhirVersion": "4.0.1", "fhirBundle": bundle}}
            for bundle in (
                {"resourceType": "List", "entry": [{"resource": dict(PATIENT)}]},
                {"resourceType": "Bundle", "entry": []},
                {"resourceType": "Bundle", "entry": [5]},
                {"resourceType": "Bundle", "entry": [{"resource": {}}]},
                {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": []}}]},
            )
        ),
    ],
    ids=str,
)
def test_what_is_no_health_card(vc):
    """Its type, and a FHIR Bundle with resources."""
    assert is_malformed(make_shc(shc_claims(vc=vc)))


def test_a_card_of_two_patients():
    """Whose it is could not be told."""
    assert is_malformed(make_shc(shc_claims(PATIENT, PATIENT, resource("Immunization"))))


@pytest.mark.parametrize(
    "name", [None, [], {}, [5], [{}], [{"family": 1, "given": 2}], [{"given": [5, None]}]], ids=str
)
def test_a_patient_without_a_readable_name(name):
    """Nothing is shown, the card stands."""
    found = shc.FORMAT.parse(make_shc(shc_claims({**PATIENT, "name": name}, resource("Immunization"))))

    assert found.holder is None or (found.holder.surname, found.holder.name) == ("", None)


@pytest.mark.parametrize(
    "header",
    [
        {"zip": "DEF", "alg": "ES256"},
        {"zip": "DEF", "kid": KID},
        {"alg": "ES256", "kid": KID},
        {**HEADER, "zip": "GZIP"},
        {**HEADER, "kid": 5},
        {**HEADER, "kid": ""},
        {**HEADER, "kid": "a" * 65},
        b"[]",
        b"5",
        b"",
    ],
    ids=str,
)
def test_a_header_of_another_form(header):
    """alg, zip and kid, each as the framework asks."""
    assert is_malformed(make_shc(header=header))


@pytest.mark.parametrize("parts", [b"1/1/", b"1/2/", b"2/2/", b"3/2/", b"12/17/"])
def test_a_card_in_several_codes_is_refused_by_name(parts):
    """Deprecated since 1.3.0; one part of one, too."""
    assert verdict(b"shc:/" + parts + GOOD[5:]).reason is Reason.CREDENTIAL_PARTIAL
    assert verdict(b"shc:/" + parts).outcome is Outcome.REJECT


@pytest.mark.parametrize("before", [b"/", b"0", b"1/", b"1/2", b"a/2/"])
def test_digits_with_something_before_them(before):
    """Neither a card nor a part of one."""
    assert is_malformed(b"shc:/" + before + GOOD[5:])


# The attack table


@pytest.mark.parametrize("size", [MAX_INFLATED + 1, 1_000_000])
def test_decompression_bomb(size):
    """More than 64 KiB is never inflated."""
    assert is_malformed(shc_code(signed(HEADER, deflated(b" " * size))))


def test_bytes_after_the_stream_and_streams_cut_short():
    """Behind the deflate stream, within it, and another kind of stream."""
    stream = deflated(packed(shc_claims()))

    for payload in (stream + b"\0", stream[:-1], packed(shc_claims()), b"\x78\x9c" + stream, b""):
        assert is_malformed(shc_code(signed(HEADER, payload)))


@pytest.mark.parametrize(
    "value", ["[" * 40 + "]" * 40, "[" * 3000 + "]" * 3000, '{"a":' * 40 + "1" + "}" * 40, "9" * 5000]
)
def test_json_depth_and_numbers_beyond_bounds(value):
    """Signed or not: nothing of it is taken in."""
    assert is_malformed(make_shc(packed(shc_claims())[:-1] + b',"x":' + value.encode() + b"}"))


@pytest.mark.parametrize("item", [b"{}", b"[]", b"1"])
def test_json_of_more_elements_than_any_card(item):
    """Refused before it is built."""
    assert is_malformed(make_shc(packed(shc_claims())[:-1] + b',"x":[' + b",".join([item] * 9000) + b"]}"))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_json_numbers_that_are_not_finite(number):
    """As a time or anywhere."""
    assert is_malformed(make_shc(packed(shc_claims())[:-1] + b',"exp":' + number.encode() + b"}"))


def test_duplicate_members():
    """Two readers could take different ones; in the header, the claims and below."""
    claims, header = packed(shc_claims()), packed(dict(HEADER))

    assert is_malformed(make_shc(claims[:-1] + b',"iss":"https://other.example"}'))
    assert is_malformed(make_shc(claims.replace(b'"family":', b'"family":"Other","family":', 1)))
    assert is_malformed(make_shc(header=header[:-1] + b',"kid":"other"}'))


@pytest.mark.parametrize("spoilt", [b"\xef\xbb\xbf%s", b"%s\0", b"%s{}", b"\xff%s", b"%s,"])
def test_bytes_around_the_claims(spoilt):
    """A byte order mark, a second value, what is no UTF-8."""
    assert is_malformed(make_shc(spoilt % packed(shc_claims())))


def test_algorithm_confusion():
    """ES256 alone, and as the key record says."""
    for algorithm in ("none", "HS256", "ES384", "es256", None, -7):
        assert is_malformed(make_shc(header={**HEADER, "alg": algorithm}))
    assert verdict(GOOD, believing(replace(SHC_ANCHOR, algorithm=EDDSA))).reason is Reason.KEY_ALGORITHM


def test_a_key_in_the_header_is_not_looked_at():
    """jwk, jku and x5c name keys of whoever wrote the card."""
    x, y = (b64(half).decode() for half in (Signer(7).public[1:33], Signer(7).public[33:]))
    header = {**HEADER, "jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y}, "jku": "https://evil.example"}

    assert verdict(make_shc(header=header)).reason is Reason.OK
    assert verdict(make_shc(header=header), believing(replace(SHC_ANCHOR, public=Signer(7).public))).reason is (
        Reason.SIGNATURE_INVALID
    )


def test_key_id_collision_and_unknown_keys():
    """Another key under the same id is tried and found wanting; another id is unknown."""
    other = replace(SHC_ANCHOR, public=Signer(7).public)

    assert verdict(GOOD, believing(other, SHC_ANCHOR)).reason is Reason.OK
    assert verdict(GOOD, believing(other)).reason is Reason.SIGNATURE_INVALID
    assert verdict(make_shc(header={**HEADER, "kid": "0" * 43})).reason is Reason.KEY_UNKNOWN


@pytest.mark.parametrize("issuer", ["https://other.example", ISSUER + "/", ISSUER.upper().replace("HTTPS", "https")])
def test_the_issuer_is_bound_to_its_own_keys(issuer):
    """A good signature under another's name is none."""
    assert verdict(make_shc(shc_claims(iss=issuer))).reason is Reason.KEY_UNKNOWN


@pytest.mark.parametrize("critical", [["exp"], [], None])
def test_a_critical_header(critical):
    """Whatever it names."""
    assert is_malformed(make_shc(header={**HEADER, "crit": critical}))


def test_the_other_s_and_wrong_lengths_and_der():
    """The same card, or none."""
    start, _, text = JWS.rpartition(b".")
    signature = base64.urlsafe_b64decode(text + b"==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = signature[:32] + (order - int.from_bytes(signature[32:])).to_bytes(32)
    twin = shc.FORMAT.parse(shc_code(start + b"." + b64(other)))
    found = shc.FORMAT.parse(shc_code(JWS))

    assert twin.identity == found.identity
    for wrong in (signature[:-1], signature + b"\0", b"", b"\x30\x44" + signature):
        assert verdict(shc_code(start + b"." + b64(wrong))).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("time", [1e300, -1e300, 2**63, -5])
def test_times_that_are_no_times_are_clamped(time):
    """Floats and huge values become a whole second within bounds."""
    found = shc.FORMAT.parse(make_shc(shc_claims(exp=time)))

    assert 0 <= found.expires_at <= 1 << 40
    assert verify(found, BELIEVED, at(NOW)).reason in {Reason.OK, Reason.TIME_EXPIRED}


@pytest.mark.parametrize(
    "spoilt",
    [
        GOOD + b"\n",
        b" " + GOOD,
        GOOD.upper(),
        GOOD + b"5",
        GOOD[:5] + b"+" + GOOD[6:],
        GOOD[:-2] + b"78",
        b"shc:" + GOOD[5:],
        GOOD[:5] + b"\xb2" + GOOD[6:],
        b"shc:/",
        GOOD + b"01",
        GOOD[:-2] + b"99",
    ],
)
def test_lenient_digits(spoilt):
    """Pairs from 00 to 77, each a character of the JWS, and nothing around."""
    assert not verdict(spoilt).is_authentic


@given(st.binary(max_size=40))
def test_base64url_reads_what_python_writes_and_no_other_spelling(data):
    """Each text is the only one of its bytes."""
    text = b64(data)
    assert base64url.decode(text) == data
    for spoilt in (
        text + b"=",
        text + b"\n",
        b" " + text,
        text.replace(b"-", b"+"),
        text.replace(b"_", b"/"),
        text + b"A",
    ):
        try:
            found = base64url.decode(spoilt)
        except EncodingRefused:
            continue
        assert b64(found) == spoilt


def test_every_changed_last_character_of_a_part_is_another_value_or_refused():
    """Unused bits have one value."""
    for data in (b"\0", b"\xff", b"ab", b"\0" * 64):
        text = b64(data)
        for code in range(256):
            spoilt = text[:-1] + bytes((code,))
            if spoilt != text:
                try:
                    assert base64url.decode(spoilt) != data
                except EncodingRefused:
                    continue


@pytest.mark.parametrize("name", ["\u202e", "a\nb", "x" * 81, "\x1b[2J", "\ud800"])
def test_a_signed_name_steers_no_screen(name):
    """What is not printable or too long is not shown."""
    patient = {**PATIENT, "name": [{"family": name, "given": ["Jo", name]}]}

    assert shc.FORMAT.parse(make_shc(shc_claims(patient, resource("Immunization")))).holder.name == "Jo"


def test_every_changed_byte_of_the_card_is_refused():
    """Every digit, every other digit; and every byte of the JWS, each bit."""
    for place in range(5, len(GOOD)):
        for digit in b"0123456789":
            spoilt = GOOD[:place] + bytes((digit,)) + GOOD[place + 1 :]
            assert spoilt == GOOD or not verdict(spoilt).is_authentic


@given(st.binary(max_size=200))
def test_any_card_gets_a_verdict(data):
    """As digits, as a payload, as claims and as a header."""
    for raw in (b"shc:/" + data, shc_code(signed(HEADER, data)), make_shc(data), make_shc(header=data)):
        assert verdict(raw).outcome is Outcome.REJECT
        assert verdict(raw).reason is not Reason.INTERNAL_FAULT


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(), x, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_foreign_json_reads_what_json_writes(value):
    """Against the standard library, with and without white space."""
    assert foreign_json.decode(json.dumps(value).encode()) == value
    assert foreign_json.decode(json.dumps(value, indent=1).encode()) == value


@given(st.dictionaries(st.sampled_from(["vc", "iss", "nbf", "exp"]), VALUES), VALUES, VALUES)
def test_any_claims_get_a_verdict(claims, subject, bundle):
    """Whatever stands where the Bundle, its entries or a name should be."""
    shapes = (
        claims,
        {**shc_claims(), **claims},
        shc_claims(vc={"credentialSubject": subject}),
        shc_claims(vc={"credentialSubject": {"fhirVersion": "4.0.1", "fhirBundle": bundle}}),
        shc_claims({**PATIENT, "name": subject, "birthDate": bundle}, resource("Immunization", subject)),
    )
    for shape in shapes:
        assert verdict(make_shc(shape)).reason is not Reason.INTERNAL_FAULT
