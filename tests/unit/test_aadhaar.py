"""Aadhaar secure QR codes: what is read of them, and every attack of the table that they can meet.

They have no CBOR, no JSON, no headers, no key ids and no base64: those rows have nothing to attack here.
"""

import gzip
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from edge.codec.inflate import MAX_INFLATED
from edge.credentials import aadhaar
from edge.model.credential import HashKind, PassKind
from edge.model.trust import EDDSA, RS256, Anchor
from edge.model.verdict import Outcome, Reason
from tests.simulators.foreign import HOLDER
from tests.simulators.tickets import EVENT, admitting, judged
from tests.simulators.world import DAY, ISSUED

KEY = rsa.generate_private_key(65537, 2048)
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
ANCHOR = Anchor(
    HOLDER, aadhaar.NAME, "", b"", RS256, PUBLIC, frozenset((PassKind.IDENTITY,)), ISSUED - 900 * DAY, ISSUED + DAY
)
REFERENCE = b"269720260308114407437"
REST = [b"C/O X", b"East Delhi", b"", b"B-31", b"", b"110051", b"Krishna Nagar", b"Delhi", b"", b"", b"Y"]
PHOTO = bytes(range(256)) * 3
RANDOM = b"".join(sha256(bytes((part,))).digest() for part in range(10))


def content(*, flag=b"3", reference=REFERENCE, name=b"Sumit Kumar", born=b"01-01-1984", version=b""):
    """The signed bytes."""
    fields = [version] * bool(version) + [flag, reference, name, born, b"M", *REST]
    return b"\xff".join((*fields, PHOTO))


def code(signed, signature=None, *, packed=None):
    """The code of signed bytes."""
    signature = KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256()) if signature is None else signature
    return number(gzip.compress(signed + signature, mtime=0) if packed is None else packed)


def number(data):
    """Bytes as a decimal number."""
    head, tail = divmod(int.from_bytes(data), 10**4000)
    return f"{head}{tail:04000}".encode() if head else str(tail).encode()


@lru_cache
def trusting(*anchors):
    """Trust in these keys."""
    return admitting(*anchors)


TRUST = trusting(ANCHOR)
GOOD = code(content())


def verdict(raw, trust=TRUST):
    """What the gate says."""
    return judged(raw, aadhaar.FORMAT, trust)


def test_an_identity_is_read_and_accepted():
    """Holder and the time of issue in India; nothing of photo, address or number is taken."""
    found = aadhaar.FORMAT.parse(GOOD)

    assert verdict(GOOD).outcome is Outcome.ACCEPT
    assert (found.kind, found.holder.name, found.holder.birth_year) == (PassKind.IDENTITY, "Sumit Kumar", 1984)
    assert found.issued_at == 1772950447
    assert found.claims == {"name": "Sumit Kumar", "birth": "01-01-1984", "gender": "M"}


@pytest.mark.parametrize("version", [b"V2", b"V3", b"V4"])
def test_later_versions_name_themselves(version):
    """The first field, then as before."""
    assert verdict(code(content(version=version))).outcome is Outcome.ACCEPT


@pytest.mark.parametrize(("kind", "what"), [(HashKind.IDENTIFIER, REFERENCE), (HashKind.SIGNATURE, None)])
def test_a_revoked_code_is_refused(kind, what):
    """By its reference or its signature."""
    said = aadhaar.FORMAT.parse(GOOD).signature if what is None else what
    trust = admitting(replace(ANCHOR, hash_lists=(1,)), revoked={1: (kind, said)})

    assert verdict(GOOD, trust).reason is Reason.STATUS_REVOKED


# The attack table


@pytest.mark.parametrize("size", [MAX_INFLATED + 1, 1_000_000])
def test_decompression_bomb(size):
    """More than 64 KiB is never inflated, whatever a symbol can hold."""
    # Bytes that do not shrink make the number long enough to be looked at.
    packed = gzip.compress(bytes(size) + RANDOM, mtime=0)

    assert aadhaar.FORMAT.recognises(number(packed))
    assert verdict(number(packed)).reason is Reason.CREDENTIAL_MALFORMED


@pytest.mark.parametrize(
    "spoil", [lambda packed: packed + b"\1", lambda packed: packed[:-1], lambda packed: packed * 2]
)
def test_bytes_after_the_stream(spoil):
    """Behind the one gzip member, missing of it, or a second one."""
    signed = content()
    whole = gzip.compress(signed + KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256()), mtime=0)

    assert verdict(code(b"", packed=spoil(whole))).outcome is Outcome.REJECT


@pytest.mark.parametrize(
    "spoilt", [b"0" + GOOD, b"+" + GOOD, GOOD + b"\n", b" " + GOOD, GOOD[:9] + b"_" + GOOD[9:], GOOD + b"0"]
)
def test_lenient_numbers(spoilt):
    """One spelling of every number."""
    assert verdict(spoilt).outcome is Outcome.REJECT


def test_digits_of_other_scripts():
    """Are no digits here."""
    assert not aadhaar.FORMAT.recognises(GOOD.decode().translate({48 + n: 0x0660 + n for n in range(10)}).encode())


def test_more_digits_than_a_symbol_holds():
    """Refused before they become a number."""
    assert not aadhaar.FORMAT.recognises(b"1" * 7090)


def test_a_large_photo_is_read():
    """More digits than Python turns into a number at once."""
    photo = b"".join(sha256(bytes((part,))).digest() for part in range(60))
    raw = code(content() + photo)

    assert 4300 < len(raw) < 7089
    assert verdict(raw).outcome is Outcome.ACCEPT


@pytest.mark.parametrize(
    "signed",
    [
        content(flag=b"4"),
        content(flag=b""),
        content(reference=b"2697"),
        content(reference=b"269720261308114407437"),
        content(version=b"V9"),
        b"\xff" * 3,
        b"",
        PHOTO,
    ],
)
def test_missing_fields_and_impossible_times(signed):
    """Signed or not."""
    assert verdict(code(signed)).outcome is Outcome.REJECT


@pytest.mark.parametrize("name", [b"a\nb", b"x" * 81, b"\x1b[2J", b""])
def test_a_signed_name_steers_no_screen(name):
    """What is not printable or too long is not shown."""
    found = aadhaar.FORMAT.parse(code(content(name=name)))

    assert (found.holder.surname, found.holder.name) == ("", None)


def test_algorithm_confusion_and_other_keys():
    """The record's algorithm counts; another key verifies nothing."""
    other = rsa.generate_private_key(65537, 2048).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    edwards = replace(ANCHOR, algorithm=EDDSA, public=bytes(EVENT.verify_key))

    assert verdict(GOOD, trusting(edwards)).reason is Reason.KEY_ALGORITHM
    assert verdict(GOOD, trusting(replace(ANCHOR, public=other))).reason is Reason.SIGNATURE_INVALID
    assert verdict(GOOD, trusting(replace(ANCHOR, public=other), ANCHOR)).reason is Reason.OK


def test_wrong_key_usage():
    """A key that may not vouch for identities."""
    assert verdict(GOOD, trusting(replace(ANCHOR, kinds=frozenset((PassKind.TICKET,))))).reason is Reason.KEY_KIND


def test_a_key_out_of_its_time():
    """A key signs within its own time only."""
    old = code(content(reference=b"269720200308114407437"))

    assert verdict(old).reason is Reason.KEY_NOT_CURRENT


def test_every_changed_byte_of_the_content_is_refused():
    """Each place of the signed bytes and the signature."""
    signed = content()
    whole = signed + KEY.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    for place in range(len(whole)):
        spoilt = whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :]
        assert not verdict(code(b"", packed=gzip.compress(spoilt, 1, mtime=0))).is_authentic


def test_every_changed_digit_is_refused_or_spells_the_same_content():
    """Another number is other bytes; the header of gzip has bits that nobody signs."""
    identity = aadhaar.FORMAT.parse(GOOD).identity
    for place in range(0, len(GOOD), 3):
        digit = bytes((48 + (GOOD[place] - 47) % 10,))
        found = verdict(GOOD[:place] + digit + GOOD[place + 1 :])
        assert not found.is_authentic or found.presentation.identity == identity


@given(st.binary(max_size=400))
def test_any_content_gets_a_verdict(data):
    """Signed or not."""
    packed = gzip.compress(data + RANDOM, mtime=0)
    assert verdict(number(packed)).reason is not Reason.INTERNAL_FAULT
    assert verdict(number(b"\x1f\x8b" + data + RANDOM)).reason is not Reason.INTERNAL_FAULT
