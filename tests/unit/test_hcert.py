"""Health certificates: what is read of them, and every attack of the table (credentials, section 5) by name."""

import zlib
from dataclasses import replace
from hashlib import sha256

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.codec import base45, foreign_cbor
from edge.codec.inflate import MAX_INFLATED
from edge.credentials import hcert
from edge.model.credential import HashKind, PassKind
from edge.model.trust import EDDSA, ES256
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import examine
from edge.verify.verify import verify
from tests.simulators.foreign import (
    ANCHOR,
    KEY_ID,
    UVCI,
    VACCINATION,
    Signer,
    believing,
    hcert_claims,
    hcert_code,
    hcert_message,
    make_hcert,
)
from tests.simulators.world import DAY, ISSUED, NOW, at, context

TRUST = believing()
GOOD = make_hcert()


def verdict(raw, trust=TRUST, moment=None):
    """What the gate says."""
    shown = context(moment or at(NOW), trust)
    return examine(raw, replace(shown, formats=(hcert.FORMAT, *shown.formats)))


def is_malformed(raw) -> bool:
    """Whether it is refused before any key is asked."""
    return verdict(raw).reason is Reason.CREDENTIAL_MALFORMED


def packed(value) -> bytes:
    """The code of any CBOR value."""
    return hcert_code(cbor2.dumps(value))


def test_a_certificate_is_read_and_accepted():
    """Kind, holder, times and what revokes it."""
    found = hcert.FORMAT.parse(GOOD)

    assert verdict(GOOD).outcome is Outcome.ACCEPT
    assert (found.issuer, found.key_id, found.algorithm) == ("AT", KEY_ID, ES256)
    assert (found.kind, found.issued_at, found.expires_at) == (PassKind.VACCINATION, ISSUED, ISSUED + 300 * DAY)
    assert (found.holder.surname, found.holder.birth_year) == ("Musterfrau-Gößinger", 1998)
    assert found.revocation == (
        (HashKind.SIGNATURE, sha256(found.signature[:32]).digest()),
        (HashKind.IDENTIFIER, sha256(UVCI.encode()).digest()),
        (HashKind.COUNTRY_AND_IDENTIFIER, sha256(b"AT" + UVCI.encode()).digest()),
    )


@pytest.mark.parametrize(
    ("group", "kind"), [("v", PassKind.VACCINATION), ("t", PassKind.TEST), ("r", PassKind.RECOVERY)]
)
def test_wrong_key_usage_is_refused_for_each_kind(group, kind):
    """A key for one kind signs no other."""
    rest = {name: value for name, value in VACCINATION.items() if name != "v"}
    raw = make_hcert(hcert_claims({**rest, group: VACCINATION["v"]}))
    for allowed in (PassKind.VACCINATION, PassKind.TEST, PassKind.RECOVERY):
        trust = believing(replace(ANCHOR, kinds=frozenset({allowed})))
        assert (verdict(raw, trust).reason is Reason.OK) == (allowed is kind)


@pytest.mark.parametrize("groups", [(), ("v", "t"), ("v", "t", "r")])
def test_a_certificate_of_several_kinds_or_none_is_one_that_no_health_key_signs(groups):
    """The schema asks for one."""
    rest = {name: value for name, value in VACCINATION.items() if name != "v"}
    raw = make_hcert(hcert_claims({**rest, **dict.fromkeys(groups, VACCINATION["v"])}))
    health = believing(replace(ANCHOR, kinds=ANCHOR.kinds - {PassKind.STATEMENT}))

    assert verdict(raw, health).reason is Reason.KEY_KIND


@pytest.mark.parametrize("value", HashKind)
def test_each_revocation_hash_finds_its_certificate(value):
    """UVCI, country and UVCI, signature over R."""
    found = hcert.FORMAT.parse(GOOD)
    said = {
        HashKind.SIGNATURE: found.signature[:32],
        HashKind.IDENTIFIER: UVCI.encode(),
        HashKind.COUNTRY_AND_IDENTIFIER: b"AT" + UVCI.encode(),
    }
    trust = believing(replace(ANCHOR, hash_lists=(1,)), revoked={1: (value, said[value])})

    assert verdict(GOOD, trust).reason is Reason.STATUS_REVOKED


# The attack table


@pytest.mark.parametrize("size", [MAX_INFLATED + 1, 3_000_000])
def test_decompression_bomb(size):
    """More than 64 KiB is never inflated, whatever a symbol can hold."""
    assert is_malformed(b"HC1:" + base45.encode(zlib.compress(bytes(size), 9)))


@pytest.mark.parametrize("after", [b"\0", b"HC1:"])
def test_bytes_after_the_stream(after):
    """Behind the zlib stream, and behind the message."""
    message = cbor2.dumps(hcert_message(cbor2.dumps(hcert_claims())))

    assert is_malformed(b"HC1:" + base45.encode(zlib.compress(message) + after))
    assert is_malformed(hcert_code(message + after))
    assert is_malformed(b"HC1:" + base45.encode(zlib.compress(message)[:-1]))


def nested(depth):
    """A list in a list."""
    value = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "extra",
    [
        nested(20),
        list(range(5000)),
        *(cbor2.CBORTag(tag, b"\x01") for tag in (2, 3, 4, 5, 28, 29, 35, 258)),
        float("nan"),
        float("inf"),
    ],
    ids=str,
)
def test_cbor_depth_counts_and_tags(extra):
    """Signed or not: nothing of it is taken in."""
    assert is_malformed(make_hcert({**hcert_claims(), 99: extra}))


@pytest.mark.parametrize(
    "head", [b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", b"\x9b\x00\x00\x00\xff\xff\xff\xff\xff", b"\xbf"]
)
def test_cbor_lengths_beyond_the_data(head):
    """A length is a promise that must be kept."""
    assert is_malformed(hcert_code(head))
    assert is_malformed(packed(hcert_message(head)))


def test_duplicate_keys_in_header_and_claims():
    """Two readers could take different ones."""
    payload = cbor2.dumps(hcert_claims())
    double_claim = b"\xa5\x01\x62AT" + payload[1:]
    double_header = b"\xa3\x01\x26" + cbor2.dumps({1: EDDSA, 4: KEY_ID})[1:]

    assert is_malformed(packed(hcert_message(double_claim)))
    assert is_malformed(packed(hcert_message(payload, protected=double_header)))


def test_non_minimal_integers():
    """A second spelling of the same number."""
    assert is_malformed(
        packed(hcert_message(cbor2.dumps(hcert_claims()), protected=b"\xa2\x01\x38\x06\x04\x48anchor01"))
    )


def test_algorithm_confusion():
    """The record's algorithm counts; the header must equal it and be signed."""
    payload = cbor2.dumps(hcert_claims())

    assert verdict(make_hcert(protected={1: EDDSA, 4: KEY_ID})).reason is Reason.KEY_ALGORITHM
    assert is_malformed(packed(hcert_message(payload, protected={4: KEY_ID}, unprotected={1: ES256})))
    assert is_malformed(packed(hcert_message(payload, unprotected={1: ES256})))
    assert is_malformed(packed(hcert_message(payload, protected={1: "ES256", 4: KEY_ID})))


def test_key_id_collision():
    """Another issuer's key under the same id is tried and found wanting."""
    trust = believing(replace(ANCHOR, public=Signer(7).public), ANCHOR)

    assert verdict(GOOD, trust).reason is Reason.OK
    assert verdict(GOOD, believing(replace(ANCHOR, public=Signer(7).public))).reason is Reason.SIGNATURE_INVALID


def test_key_ids_in_both_headers_that_differ():
    """The protected one alone; the other only where there is none."""
    both = make_hcert(protected={1: ES256, 4: b"stranger"}, unprotected={4: KEY_ID})
    reverse = make_hcert(unprotected={4: b"stranger"})
    hint = make_hcert(protected={1: ES256}, unprotected={4: KEY_ID})

    assert verdict(both).reason is Reason.KEY_UNKNOWN
    assert verdict(reverse).reason is Reason.OK
    assert verdict(hint).reason is Reason.OK
    assert verdict(make_hcert(protected={1: ES256})).reason is Reason.KEY_UNKNOWN


@pytest.mark.parametrize("where", ["protected", "unprotected"])
def test_a_critical_header(where):
    """Whatever it names."""
    headers = {"protected": {1: ES256, 4: KEY_ID, 2: [3], 3: 0}} if where == "protected" else {"unprotected": {2: [3]}}

    assert is_malformed(make_hcert(**headers))


def test_the_other_s_and_wrong_lengths_are_the_same_certificate_or_none():
    """Identity and revocation stand on signed bytes and R; a signature has exactly 64 bytes."""
    header, unprotected, payload, signature = hcert_message(cbor2.dumps(hcert_claims()))
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = signature[:32] + (order - int.from_bytes(signature[32:])).to_bytes(32)
    twin = hcert.FORMAT.parse(packed([header, unprotected, payload, other]))
    found = hcert.FORMAT.parse(packed([header, unprotected, payload, signature]))

    assert twin.identity == found.identity
    assert twin.revocation == found.revocation
    for wrong in (signature[:-1], signature + b"\0", b"\0" + signature, b""):
        assert verdict(packed([header, unprotected, payload, wrong])).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("expiry", [1e300, -1e300, 2**63, -5, 1.5])
def test_times_that_are_no_times_are_clamped(expiry):
    """Floats and huge values become a whole second within bounds."""
    found = hcert.FORMAT.parse(make_hcert(hcert_claims(exp=expiry)))

    assert type(found.expires_at) is int
    assert 0 <= found.expires_at <= 1 << 40
    assert verify(found, TRUST, at(NOW)).reason in {Reason.OK, Reason.TIME_EXPIRED}


@pytest.mark.parametrize("expiry", ["2030-01-01", b"", [], {}, True])
def test_times_of_another_type(expiry):
    """Refused."""
    assert is_malformed(make_hcert(hcert_claims(exp=expiry)))


@pytest.mark.parametrize("spoilt", [GOOD + b"\n", GOOD.lower(), GOOD + b"A", b"HC1: " + GOOD[4:], b"HC2:" + GOOD[4:]])
def test_lenient_base45(spoilt):
    """One spelling of every certificate."""
    assert not verdict(spoilt).is_authentic


@pytest.mark.parametrize("name", ["\u202e", "a\nb", "x" * 81, "\x1b[2J"])
def test_a_signed_name_steers_no_screen(name):
    """What is not printable or too long is not shown; the transcription is."""
    raw = make_hcert(hcert_claims({**VACCINATION, "nam": {"fn": name, "fnt": "PLAIN"}}))

    assert hcert.FORMAT.parse(raw).holder.surname == "PLAIN"


def test_every_changed_byte_of_the_message_is_refused():
    """Any other value at any place, each bit and all of them."""
    message = cbor2.dumps(cbor2.CBORTag(18, hcert_message(cbor2.dumps(hcert_claims()))))
    whole = hcert.FORMAT.parse(hcert_code(message))
    for place in range(len(message)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            spoilt = message[:place] + bytes((message[place] ^ change,)) + message[place + 1 :]
            found = verdict(hcert_code(spoilt))
            if found.is_authentic:
                # The one byte outside of every signature: an untagged message is the same certificate.
                assert found.presentation.identity == whole.identity


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.text() | st.binary(),
        lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text() | st.integers(-99, 99), x, max_size=4),
        max_leaves=20,
    )
)
def test_foreign_cbor_reads_what_cbor2_writes(value):
    """Against the public encoder, definite and indefinite."""
    assert foreign_cbor.decode(cbor2.dumps(value)) == value
    assert foreign_cbor.decode(cbor2.dumps(value, indefinite_containers=True)) == value


@given(st.binary(max_size=200))
def test_any_message_gets_a_verdict(data):
    """Behind Base45 and zlib, too."""
    assert verdict(hcert_code(data)).outcome is Outcome.REJECT
    assert verdict(packed(hcert_message(data))).reason is not Reason.INTERNAL_FAULT


def test_the_signer_of_another_country_is_unknown():
    """`iss` and the anchor's country must be the same."""
    claims = {**hcert_claims(), 1: "DE"}

    assert verdict(make_hcert(claims)).reason is Reason.KEY_UNKNOWN
