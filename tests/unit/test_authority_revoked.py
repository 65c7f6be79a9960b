"""What other systems revoke: their files read, lists published, certificates refused by a gate that pulled them."""

import base64
import json
from dataclasses import replace
from hashlib import sha256

import pytest

from edge.authority.authority import Authority
from edge.authority.lists import hash_lists_of
from edge.authority.revoked import put_revoked
from edge.authority.revoked_sources import Wish, read
from edge.cli.authority_ceremony import now
from edge.credentials import hcert
from edge.errors import PublicationError
from edge.model.credential import HashKind
from edge.model.verdict import Reason
from edge.policy.examine import examine
from edge.trust.fields import iso
from tests.simulators.foreign import hcert_claims, make_hcert
from tests.simulators.health_rules import sampled
from tests.simulators.world import DAY, at, context
from tests.unit.test_authority_key_sets import country, jwk, run

NOW = now()
KID = b"dcc-key-1"


def certificate(uvci: str) -> bytes:
    """The code of a test certificate with an identifier."""
    claims = hcert_claims(sampled(NOW - 3600, ci=uvci), iat=NOW - 3600, exp=NOW + DAY)
    return make_hcert(claims, protected={1: -7, 4: KID})


UVCI = tuple(f"URN:UVCI:01:AT:{number:032X}#B" for number in range(4))
CODES = tuple(map(certificate, UVCI))
R = hcert.FORMAT.parse(CODES[0]).signature[:32]


def batch(hash_type, *hashed, expires=NOW + DAY, **changes):
    """A batch of the EU's gateway: the first 16 bytes of each SHA-256 in Base64."""
    entries = [{"hash": base64.b64encode(sha256(one).digest()[:16]).decode()} for one in hashed]
    return {"country": "AT", "expires": iso(expires), "kid": "UNKNOWN_KID", "hashType": hash_type,
            "entries": entries, **changes}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """An authority that believes Austria's key for tests."""
    made = tmp_path / "authority"
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [jwk(kid=KID.decode())]}))
    run("init", made)
    run(*("anchors", "add", made, tmp_path / "jwks.json", "--issuer", "dcc", "--format", "hcert", "--claimed", "AT"),
        *("--kind", "test", "--name-zh", "欧盟", "--name-en", "EU", "--outcome", "accept"))  # fmt: skip
    return made


def listed(folder, content, *options):
    """What the command says of a file."""
    file = folder.parent / "revoked"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return json.loads(run("anchors", "revoked", folder, file, "--issuer", "dcc", "--json", *options))


def reasons(folder, place):
    """What a new gate says of each certificate after a publication."""
    trust = country(folder, place, ["hcert"], ["test"])
    shown = replace(context(at(NOW), trust), formats=(hcert.FORMAT,))
    return [examine(code, shown).reason for code in CODES]


def test_a_gate_refuses_what_the_gateways_batches_revoke_by_each_kind_of_hash(folder, tmp_path):
    """R of the signature, the identifier, country and identifier; the fourth certificate passes."""
    rows = [
        batch("SIGNATURE", R),
        batch("UCI", UVCI[1].encode()),
        batch("COUNTRYCODEUCI", b"AT" + UVCI[2].encode(), b"DE" + UVCI[3].encode()),
        batch("UCI", UVCI[3].encode(), expires=NOW - 1),
    ]

    told = listed(folder, rows)

    assert told["expired"] == 1
    assert [(row["list"], row["kind"], row["hashes"]) for row in told["lists"]] == [
        (1, "signature", 1),
        (2, "identifier", 1),
        (3, "country_and_identifier", 2),
    ]
    assert reasons(folder, tmp_path / "gate") == [*[Reason.STATUS_REVOKED] * 3, Reason.OK]


def test_a_gate_refuses_what_lines_revoke(folder, tmp_path):
    """Identifiers as the certificates have them, alone or with the country; hashes of 64 or 32 digits."""
    listed(folder, f"{UVCI[0]}\n\n")
    listed(folder, f"{UVCI[1]}\r\n", "--country", "AT")
    listed(folder, f"{sha256(UVCI[2].encode()).hexdigest()}\n", "--kind", "identifier", "--keep")

    assert reasons(folder, tmp_path / "gate") == [*[Reason.STATUS_REVOKED] * 3, Reason.OK]


def test_a_kind_is_replaced_or_kept_and_another_kind_stays(folder):
    """Each kind has one list, at the number it had before."""
    listed(folder, [batch("UCI", b"a", b"b"), batch("SIGNATURE", R)])
    kept = listed(folder, [batch("UCI", b"b", b"c")], "--keep")
    counts = {number: len(list(found)) for number, found in hash_lists_of(Authority.open(folder), "dcc").items()}
    replaced = listed(folder, [batch("UCI", b"d", expires=NOW - 1)])

    assert [(row["list"], row["hashes"]) for row in kept["lists"]] == [(2, 3)]
    assert counts == {1: 1, 2: 3}
    assert [(row["list"], row["hashes"]) for row in replaced["lists"]] == [(2, 0)]


def test_an_issuer_without_foreign_keys_is_told_what_to_add_first(folder):
    """Nobody would look in its lists."""
    batches = read(UVCI[0].encode(), "f", Wish())

    with pytest.raises(PublicationError, match="has no foreign keys") as refused:
        put_revoked(Authority.open(folder), "44", batches, keep=False, now=NOW)
    assert "anchors add" in refused.value.next_step
    with pytest.raises(PublicationError, match="revoke nothing"):
        put_revoked(Authority.open(folder), "dcc", [], keep=False, now=NOW)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "f is no JSON"),
        (b"[" * 100_000, "f is no JSON"),
        (b"\xff\xfe", "f, line 1 is not"),
        (b"[5]", r"f \[0\] is neither"),
        (b'{"entries": {}}', "f is neither"),
        (json.dumps([batch("UCI", b"a"), batch("KID", b"a")]).encode(), r"f \[1\]: hashType"),
        (json.dumps(batch(["UCI"], b"a")).encode(), "f: hashType"),
        (json.dumps(batch("UCI", b"a", expires=NOW) | {"expires": "soon"}).encode(), "f: expires"),
        (json.dumps(batch("UCI", b"a") | {"expires": None}).encode(), "f: expires"),
        (json.dumps(batch("UCI") | {"entries": [{"hash": "AA=="}]}).encode(), r"f entries\[0\]: hash"),
        (json.dumps(batch("UCI") | {"entries": [{"hash": "*"}]}).encode(), r"f entries\[0\]: hash"),
        (json.dumps(batch("UCI") | {"entries": ["AA=="]}).encode(), r"f entries\[0\]: hash"),
        (b"URN:UVCI:01:AT:1\nZhang San", "line 2 is not"),
        (b"ab" * 16, "line 1 is not"),
        (b'{"kid": "x", "method": "rid", "rids": ["!"]}', r"f: rids\[0\]"),
    ],
)
def test_a_bad_row_is_named_and_never_repeated(content, said):
    """Any bytes: a message without what the row says."""
    with pytest.raises(PublicationError, match=said) as refused:
        read(content, "f", Wish())
    assert "Zhang" not in refused.value.message


def test_hashes_of_signatures_are_no_identifiers():
    """A line that is an identifier is refused where signatures were announced; both lengths of a hash are read."""
    whole = sha256(b"a").hexdigest()

    (found,) = read(f"{whole}\n{whole[:32]}".encode(), "f", Wish(HashKind.SIGNATURE))
    assert found.digests == {sha256(b"a").digest(), sha256(b"a").digest()[:16]}
    with pytest.raises(PublicationError, match="line 1"):
        read(UVCI[0].encode(), "f", Wish(HashKind.SIGNATURE))
