"""2D-DOC: what is read of them, and every attack of the table (credentials, section 5) that they can meet.

They have no compression, no CBOR, no nesting, no duplicate fields of meaning and no numbers: those rows have nothing to
attack here.
"""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.credentials import twoddoc
from edge.model.credential import HashKind, PassKind
from edge.model.trust import ES256, ES384, Anchor
from edge.model.verdict import Outcome, Reason
from tests.simulators.foreign import HOLDER, SIGNER, Signer
from tests.simulators.tickets import admitting, judged
from tests.simulators.world import DAY, ISSUED

KINDS = frozenset((PassKind.TEST, PassKind.VACCINATION))
ANCHOR = Anchor(HOLDER, twoddoc.NAME, "FR00", b"0001", ES256, SIGNER.public, KINDS, ISSUED - 30 * DAY, ISSUED + DAY)
TRUST = admitting(ANCHOR)
TODAY = (ISSUED - 946_684_800) // DAY
FIELDS = "F0CORINNE/NATACHA\x1dF1BERTHIER\x1dF212071973F3FF4945006\x1dF5NF6070420211010"
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def header(kind="B2", day=TODAY, version="04", extra="01FR"):
    """The header of a test of France."""
    return f"DC{version}FR000001FFFF{day:04X}{kind}{extra}"


def code(signed, signature=None, tail=b""):
    """The code of signed text."""
    data = signed if isinstance(signed, bytes) else signed.encode()
    signature = SIGNER.sign(data) if signature is None else signature
    return data + b"\x1f" + base64.b32encode(signature).rstrip(b"=") + tail


GOOD = code(header() + FIELDS)


def verdict(raw, trust=TRUST):
    """What the gate says."""
    return judged(raw, twoddoc.FORMAT, trust)


def test_a_test_is_read_and_accepted():
    """Authority, certificate, kind, day, holder."""
    found = twoddoc.FORMAT.parse(GOOD)

    assert verdict(GOOD).outcome is Outcome.ACCEPT
    assert (found.issuer, found.key_id, found.kind) == ("FR00", b"0001", PassKind.TEST)
    assert (found.holder.surname, found.holder.name, found.holder.birth_year) == (
        "BERTHIER",
        "CORINNE NATACHA BERTHIER",
        1973,
    )
    assert found.issued_at == 946_684_800 + TODAY * DAY - 7200


@pytest.mark.parametrize(("version", "extra"), [("01", ""), ("02", ""), ("03", "01"), ("04", "01FR")])
def test_each_version_has_its_header(version, extra):
    """22, 24 and 26 characters."""
    assert verdict(code(header(version=version, extra=extra) + FIELDS)).outcome is Outcome.ACCEPT


@pytest.mark.parametrize(
    ("fields", "surname"),
    [
        ("L0DUPONT\x1dL1JEAN\x1dL201011980", "DUPONT"),
        ("L0" + "X" * 80 + "L1JEAN\x1dL201011980", "X" * 80),
        ("ZZ??L0DUPONT", None),
        ("L", None),
        ("", None),
    ],
)
def test_fields_are_told_apart_by_their_lengths(fields, surname):
    """A full field has no separator; behind an unknown one nothing is told."""
    holder = twoddoc.FORMAT.parse(code(header("L1") + fields)).holder

    assert (holder.surname if holder else None) == surname


def test_another_document_is_a_statement():
    """No health key signs one."""
    assert verdict(code(header("B1") + "B0X")).reason is Reason.KEY_KIND


def test_a_revoked_code_is_refused():
    """By R of its signature."""
    found = twoddoc.FORMAT.parse(GOOD)
    trust = admitting(replace(ANCHOR, hash_lists=(1,)), revoked={1: (HashKind.SIGNATURE, found.signature[:32])})

    assert verdict(GOOD, trust).reason is Reason.STATUS_REVOKED


# The attack table


def test_an_annex_is_not_signed_and_changes_nothing():
    """It is neither shown nor part of the identity."""
    found = verdict(GOOD + b"\x1dF1SOMEBODY ELSE")

    assert found.outcome is Outcome.ACCEPT
    assert found.presentation.identity == verdict(GOOD).presentation.identity
    assert found.presentation.holder.surname == "BERTHIER"


@pytest.mark.parametrize(
    "raw",
    [
        GOOD + b"\n",
        GOOD + b"A",
        GOOD[:-1],
        GOOD.lower(),
        b" " + GOOD,
        GOOD + b"=" * 5,
        GOOD.replace(b"\x1f", b"\x1d"),
        GOOD.replace(b"DC04", b"DC05"),
        code(header().encode() + b"F1\xff"),
        code(header().encode() + b"F1\0"),
        code(header(day=0xFFFF) + FIELDS),
        code(header() + FIELDS + "X" * 4000),
    ],
    ids=str,
)
def test_lenient_base32_other_characters_and_trailing_bytes(raw):
    """One spelling of every code."""
    assert verdict(raw).outcome is Outcome.REJECT


def test_padding_bits_of_base32():
    """What stands behind the last byte must be zero."""
    assert not any(
        verdict(GOOD[:-1] + bytes((other,))).is_authentic
        for other in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
        if other != GOOD[-1]
    )


def test_algorithm_confusion():
    """The record's algorithm counts; the length of a signature says what is claimed."""
    assert verdict(GOOD, admitting(replace(ANCHOR, algorithm=ES384))).reason is Reason.KEY_ALGORITHM
    assert verdict(code(header() + FIELDS, bytes(96))).reason is Reason.KEY_ALGORITHM


def test_key_id_collision():
    """Another key under the same names is tried and found wanting; other names are unknown."""
    other = replace(ANCHOR, public=Signer(7).public)

    assert verdict(GOOD, admitting(other, ANCHOR)).reason is Reason.OK
    assert verdict(GOOD, admitting(other)).reason is Reason.SIGNATURE_INVALID
    assert verdict(GOOD, admitting(replace(ANCHOR, claimed="FR01"))).reason is Reason.KEY_UNKNOWN


def test_wrong_key_usage():
    """A key that may not sign tests."""
    trust = admitting(replace(ANCHOR, kinds=frozenset((PassKind.STATEMENT,))))

    assert verdict(GOOD, trust).reason is Reason.KEY_KIND


def test_the_other_s_and_wrong_lengths():
    """Identity and revocation stand on signed bytes and R."""
    signed = (header() + FIELDS).encode()
    signature = SIGNER.sign(signed)
    other = signature[:32] + (ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    found, twin = (twoddoc.FORMAT.parse(code(signed, one)) for one in (signature, other))

    assert (twin.identity, twin.revocation) == (found.identity, found.revocation)
    for wrong in (signature[:-1], signature + b"\0", b""):
        assert verdict(code(signed, wrong)).reason in {Reason.CREDENTIAL_MALFORMED, Reason.CREDENTIAL_FOREIGN}


@pytest.mark.parametrize(("day", "reason"), [(TODAY - 31, Reason.KEY_NOT_CURRENT), (TODAY + 2, Reason.KEY_NOT_CURRENT)])
def test_a_day_beyond_the_certificate(day, reason):
    """A key signs within its own time only."""
    assert verdict(code(header(day=day) + FIELDS)).reason is reason


def test_every_changed_byte_is_refused():
    """Any other value at any place, each bit and all of them."""
    for place in range(len(GOOD)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            assert not verdict(GOOD[:place] + bytes((GOOD[place] ^ change,)) + GOOD[place + 1 :]).is_authentic


@given(st.text(st.characters(max_codepoint=0x7F), max_size=120))
def test_any_fields_get_a_verdict(fields):
    """Signed, too."""
    for kind in ("B2", "L1"):
        assert verdict(code(header(kind) + fields)).reason is not Reason.INTERNAL_FAULT
