"""The national pass: vectors, and the public profile vector."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from nacl.signing import SigningKey

from edge.credentials import hp1
from edge.errors import CredentialError
from edge.model.credential import PassKind, TravelClaims, VenueClaims
from edge.model.verdict import Reason
from edge.policy.examine import examine
from edge.verify.verify import verify
from tests.simulators import world

VECTORS = [json.loads(line) for line in (Path(__file__).parents[1] / "vectors" / "hp1.jsonl").read_text().splitlines()]
CONFORMANCE = Path(os.environ.get("EDGE_CONFORMANCE_DIR", Path(__file__).parents[3] / "shared" / "conformance"))
REGIONS = MappingProxyType({440000: {"en": "Guangdong"}, 110000: {"en": "Beijing"}})


def outcome_of(row):
    trust = replace(world.TRUST, regions=REGIONS)
    try:
        verification = verify(hp1.FORMAT.parse(row["code"].encode()), trust, world.at(row["clock"]))
    except CredentialError as refusal:
        return str(refusal.reason)
    return str(verification.reason)


@pytest.mark.parametrize("row", VECTORS, ids=[row["id"] for row in VECTORS])
def test_vector_gets_the_expected_reason(row):
    """Each vector is accepted, or refused for the first check it fails."""
    if row["expect"] == "credential.foreign":
        assert str(examine(row["code"].encode(), world.context()).reason) == "credential.foreign"
    else:
        assert outcome_of(row) == row["expect"]


def test_negative_vectors_outnumber_positive_ones():
    """The suite is mostly about what must not pass."""
    positive = sum(row["expect"] == "ok" for row in VECTORS)

    assert len(VECTORS) - positive > 3 * positive


def test_the_public_profile_vector_verifies_under_its_key():
    """The published pass of the profile holds under the Ed25519 seed 00 01 .. 1f."""
    path = CONFORMANCE / "national-pass" / "profile-G.txt"
    if not path.exists():
        pytest.skip(f"no public vectors at {CONFORMANCE}; set EDGE_CONFORMANCE_DIR")
    credential = hp1.FORMAT.parse(path.read_bytes())

    SigningKey(bytes(range(32))).verify_key.verify(credential.signed, credential.signature)
    assert (credential.issuer, credential.kind, credential.claims.status) == ("44", PassKind.PERSON, 1)


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        (world.PERSON, PassKind.PERSON),
        (world.PERSON, PassKind.VISITOR),
        (TravelClaims(14, bytes(6), 3, (110000, 610100), b"abc"), PassKind.TRAVEL),
        (VenueClaims(b"station-1", 440106, "广州南站"), PassKind.VENUE),
    ],
)
def test_what_is_issued_is_what_is_read(claims, kind):
    """Every kind of pass comes back as it was laid out."""
    credential = hp1.FORMAT.parse(world.make_pass(claims, kind))

    assert (credential.claims, credential.kind) == (claims, kind)


def test_a_full_pass_fits_the_promised_symbol():
    """With everything in it a pass stays within 193 to 220 characters, QR version 8-M or 9-M."""
    import segno

    code = world.make_pass(world.person(index=0xFFFFF, birth_year=None, id_tail=None, name=None))

    assert len(code) <= 193
    assert segno.make(code.decode(), error="m", boost_error=False).version <= 8


def test_what_the_parser_would_refuse_is_never_signed():
    """Laying out a pass with an impossible claim fails before any signature."""
    with pytest.raises(CredentialError):
        hp1.unsigned("44", b"\x07", (1, 2), PassKind.PERSON, world.person(surname="a\u202eb"))


def test_an_oversized_code_is_refused_before_it_is_decoded():
    """Length is judged first."""
    with pytest.raises(CredentialError) as refusal:
        hp1.FORMAT.parse(b"HP1:" + b"0" * 5000)

    assert refusal.value.reason is Reason.CREDENTIAL_TOO_LARGE
