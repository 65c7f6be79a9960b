"""Visible seals: what is read of them, and every attack of the table (credentials, section 5) by name.

They have no compression, no CBOR and no `crit`: those rows have nothing to attack here.
"""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.codec import canonical_json, foreign_json, x509
from edge.credentials import vdsnc
from edge.errors import EncodingRefused
from edge.model.credential import HashKind, PassKind
from edge.model.trust import ES384
from edge.model.verdict import Outcome, Reason
from tests.simulators.foreign import Signer
from tests.simulators.seals import (
    CSCA_ANCHOR,
    HEALTH,
    SEALER,
    VACCINATED,
    canonical,
    certificate,
    make_seal,
)
from tests.simulators.tickets import admitting, judged
from tests.simulators.world import DAY, ISSUED, NOW

TRUST = admitting(CSCA_ANCHOR)
CERTIFICATE = certificate()
GOOD = make_seal(der=CERTIFICATE)
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def verdict(raw, trust=TRUST, moment=None):
    """What the gate says."""
    return judged(raw, vdsnc.FORMAT, trust, moment)


def is_malformed(raw):
    """Whether it is refused before any key is asked."""
    return verdict(raw).reason is Reason.CREDENTIAL_MALFORMED


def sealed(**changes):
    """The data with some of its message changed."""
    data = deepcopy(dict(VACCINATED))
    data["msg"].update(changes)
    return data


def test_a_seal_is_read_and_accepted():
    """Kind, holder, country, and the CSCA's key id out of the certificate."""
    found = vdsnc.FORMAT.parse(GOOD)

    assert verdict(GOOD).outcome is Outcome.ACCEPT
    assert (found.kind, found.issuer, found.key_id) == (PassKind.VACCINATION, "UTO", CSCA_ANCHOR.key_id)
    assert (found.holder.surname, found.holder.birth_year) == ("Smith Bill", 1990)
    assert (found.issued_at, found.expires_at) == (ISSUED - DAY, ISSUED + 2000 * DAY)


def test_spelling_changes_nothing():
    """Indented, in a list, in another order of members: the same seal, by its canonical form."""
    seal = json.loads(GOOD)
    other = json.dumps([{"sig": seal["sig"], "data": dict(reversed(seal["data"].items()))}], indent=4).encode()

    assert verdict(other).outcome is Outcome.ACCEPT
    assert vdsnc.FORMAT.parse(other).identity == vdsnc.FORMAT.parse(GOOD).identity


def test_a_tests_time_is_when_its_result_was_issued():
    """`dat.ri`, with its zone."""
    data = {**sealed(dat={"ri": "2026-11-18T11:06:40+08:00"}), "hdr": {"t": "icao.test", "v": 1, "is": "UTO"}}
    found = vdsnc.FORMAT.parse(make_seal(data))

    assert (found.kind, found.issued_at) == (PassKind.TEST, 1794971200)


@pytest.mark.parametrize("value", [5, "2026-11-18", "2026-11-18T00:00:00", "x", {}, []])
def test_times_that_are_no_times(value):
    """Another type, no zone, no time."""
    assert is_malformed(make_seal(sealed(dat={"ri": value})))


@pytest.mark.parametrize("kind", HashKind)
def test_each_revocation_hash_finds_its_seal(kind):
    """Identifier, country and identifier, R of the signature."""
    found = vdsnc.FORMAT.parse(GOOD)
    said = {
        HashKind.SIGNATURE: found.signature[:32],
        HashKind.IDENTIFIER: b"U32870",
        HashKind.COUNTRY_AND_IDENTIFIER: b"UTOU32870",
    }
    trust = admitting(replace(CSCA_ANCHOR, hash_lists=(1,)), revoked={1: (kind, said[kind])})

    assert verdict(GOOD, trust).reason is Reason.STATUS_REVOKED


# The attack table


def test_wrong_key_usage():
    """A signer of passports under the same CSCA, or one of no stated usage, seals no health."""
    for usages in ((), ("2.23.136.1.1.1",)):
        assert verdict(make_seal(der=certificate(usages=usages))).reason is Reason.KEY_KIND
    assert (
        verdict(GOOD, admitting(replace(CSCA_ANCHOR, kinds=HEALTH - {PassKind.VACCINATION}))).reason is Reason.KEY_KIND
    )


def test_a_type_that_is_unknown_is_a_statement():
    """No health key signs one."""
    data = {**VACCINATED, "hdr": {"t": "icao.other", "v": 1, "is": "UTO"}}

    assert verdict(make_seal(data)).reason is Reason.KEY_KIND


def test_a_certificate_that_another_signed():
    """The chain is checked first; a signer's key that the CSCA did not sign seals nothing."""
    mallory = Signer(66)

    assert verdict(make_seal(der=certificate(issuer=mallory))).reason is Reason.SIGNATURE_INVALID
    assert verdict(make_seal(der=certificate(signer=mallory))).reason is Reason.SIGNATURE_INVALID
    assert verdict(GOOD, admitting(replace(CSCA_ANCHOR, key_id=b"other"))).reason is Reason.KEY_UNKNOWN
    assert verdict(GOOD, admitting(replace(CSCA_ANCHOR, claimed="JPN"))).reason is Reason.KEY_UNKNOWN


def test_a_certificate_out_of_its_time():
    """Run out, not yet, or signed when the CSCA could not."""
    assert verdict(make_seal(der=certificate(last=NOW))).reason is Reason.TIME_EXPIRED
    assert verdict(make_seal(der=certificate(first=NOW + DAY))).reason is Reason.TIME_NOT_YET_VALID
    assert verdict(make_seal(der=certificate(first=ISSUED - 901 * DAY))).reason is Reason.KEY_NOT_CURRENT


def test_algorithm_confusion():
    """The anchor's record counts for the certificate, the certificate's key for the seal."""
    assert verdict(GOOD, admitting(replace(CSCA_ANCHOR, algorithm=ES384))).reason is Reason.KEY_ALGORITHM
    assert verdict(make_seal(alg="ES384")).reason is Reason.KEY_ALGORITHM
    assert is_malformed(make_seal(alg="none"))
    assert is_malformed(make_seal(alg="HS256"))


def test_key_id_collision():
    """Another key under the same id is tried and found wanting."""
    assert verdict(GOOD, admitting(replace(CSCA_ANCHOR, public=Signer(7).public), CSCA_ANCHOR)).reason is Reason.OK


def test_duplicate_members():
    """Two readers could take different ones, at any depth."""
    assert is_malformed(GOOD.replace(b'{"data":', b'{"data": 1, "data":', 1))
    assert is_malformed(GOOD.replace(b'"uvci":', b'"uvci": "x", "uvci":', 1))


@pytest.mark.parametrize("depth", [40, 2000])
def test_json_depth(depth):
    """Refused before it is read; brackets in texts do not count."""
    assert is_malformed(make_seal(sealed(x=json.loads("[" * 33 + "]" * 33))))
    assert is_malformed(GOOD.replace(b'"U32870"', b"[" * depth + b"]" * depth))
    assert verdict(make_seal(sealed(x="[" * depth))).reason is Reason.OK


@pytest.mark.parametrize("number", [b"1.5", b"1e3", b"NaN", b"Infinity", b"9007199254740992", b"1" * 4000])
def test_numbers_that_are_no_integers(number):
    """Fractions, exponents, not a number, beyond 2^53."""
    assert is_malformed(GOOD.replace(b'"seq": 1', b'"seq": ' + number))


@pytest.mark.parametrize(
    "spoilt", [GOOD + b"x", GOOD + GOOD, GOOD[:-1], b"\xff" + GOOD, GOOD.replace(b"Smith", b"\xff")]
)
def test_trailing_bytes_and_other_text(spoilt):
    """Nothing behind it, nothing but UTF-8."""
    assert not verdict(spoilt).is_authentic


def test_half_of_a_character():
    """A lone surrogate has no canonical form."""
    assert is_malformed(GOOD.replace(b"Smith", b"\\ud800"))


@pytest.mark.parametrize("name", ["sigvl", "cer"])
@pytest.mark.parametrize(
    "change",
    [lambda text: text + "\n", lambda text: text + "=", lambda text: " " + text, lambda text: text[:-3] + "+/="],
)
def test_lenient_base64(name, change):
    """One alphabet, padding whole or none."""
    seal = json.loads(GOOD)
    seal["sig"][name] = change(seal["sig"][name])

    assert not verdict(json.dumps(seal).encode()).is_authentic


def test_the_other_s_and_wrong_lengths():
    """Identity and revocation stand on signed bytes and R; a signature has exactly 64 bytes."""
    signature = SEALER.sign(canonical(VACCINATED))
    other = signature[:32] + (ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    found, twin = (vdsnc.FORMAT.parse(make_seal(signature=one)) for one in (signature, other))

    assert twin.identity == found.identity
    assert twin.revocation == found.revocation
    for wrong in (signature[:-1], signature + b"\0", b""):
        assert verdict(make_seal(signature=wrong)).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("name", ["sigvl", "cer", "alg"])
def test_half_of_a_character_where_nothing_is_signed(name):
    """Refused like any other text that is none."""
    seal = json.loads(GOOD)
    seal["sig"][name] = "\ud800"

    assert is_malformed(json.dumps(seal).encode())


def test_no_document_number_is_taken_along():
    """Claims hold what was attested, not who it is."""
    assert "A1234567Z" not in repr(vdsnc.FORMAT.parse(GOOD).claims)


def test_a_text_without_an_end():
    """Full of escapes: looked at once, and refused."""
    assert is_malformed(b'{"data" "sig" "hdr" "' + b'\\"' * 2000)


@pytest.mark.parametrize("name", ["\u202e", "a\nb", "x" * 81, "\x1b[2J", "", 5])
def test_a_signed_name_steers_no_screen(name):
    """What is not printable or too long is not shown."""
    assert vdsnc.FORMAT.parse(make_seal(sealed(pid={"n": name}))).holder is None


@pytest.mark.parametrize("place", ["data", "sig", "hdr", "msg", "is", "t", "v", "cer", "sigvl"])
@pytest.mark.parametrize("value", [None, 7, [], {}, "x" * 9, True])
def test_members_of_another_type(place, value):
    """A verdict, never an accept."""
    seal = json.loads(GOOD)
    for holder in (seal, seal["data"], seal["sig"], seal["data"]["hdr"]):
        if place in holder:
            holder[place] = value
            break

    assert not verdict(json.dumps(seal).encode()).is_authentic


def test_every_changed_byte_of_the_certificate_is_refused():
    """Each place, a low and a high bit and all of them: the chain breaks, or the certificate is none."""
    for place in range(len(CERTIFICATE)):
        for change in (1, 128, 255):
            spoilt = CERTIFICATE[:place] + bytes((CERTIFICATE[place] ^ change,)) + CERTIFICATE[place + 1 :]
            assert not verdict(make_seal(der=spoilt, signature=SIGNATURE)).is_authentic


SIGNATURE = SEALER.sign(canonical(VACCINATED))


def test_every_changed_byte_of_the_code_is_refused_or_spells_the_same_seal():
    """Any other value at any place: what still passes has the same identity."""
    identity = vdsnc.FORMAT.parse(GOOD).identity
    for place in range(len(GOOD)):
        for change in (1, 2, 32, 128):
            found = verdict(GOOD[:place] + bytes((GOOD[place] ^ change,)) + GOOD[place + 1 :])
            assert not found.is_authentic or found.presentation.identity == identity


@given(st.binary(max_size=300))
def test_any_certificate_gets_a_verdict(data):
    """Whatever stands in its place."""
    with_tail = CERTIFICATE[: len(data)] + data

    assert verdict(make_seal(der=data, signature=SIGNATURE)).reason is Reason.CREDENTIAL_MALFORMED
    assert verdict(make_seal(der=with_tail, signature=SIGNATURE)).reason is not Reason.INTERNAL_FAULT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(), part, max_size=4),
    max_leaves=15,
)


@given(JSON)
def test_the_canonical_form_reads_back_and_is_one(value):
    """Written, read, written again: the same bytes; members stand in the order of UTF-16."""
    try:
        once = canonical_json.encode(value)
    except EncodingRefused:
        return
    try:
        again = foreign_json.decode(once)
    except EncodingRefused:
        # Deeper than a reader goes.
        return
    assert again == value
    assert canonical_json.encode(again) == once


def test_members_stand_in_the_order_of_utf_16():
    """The example of RFC 8785, 3.2.3."""
    given_ = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}

    assert list(json.loads(canonical_json.encode(given_)).values()) == [2, 4, 6, 7, 1, 5, 3]


@pytest.mark.parametrize("cut", range(0, 300, 7))
def test_a_certificate_cut_off_anywhere(cut):
    """No certificate."""
    with pytest.raises(EncodingRefused):
        x509.signer(CERTIFICATE[:cut])
