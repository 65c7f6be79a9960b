"""Keys of other systems at the authority: files read, rows named, published, believed by a gate that pulled them."""

import base64
import json
import os
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier
from hypothesis import given
from hypothesis import strategies as st

from edge.authority import certificates, health_usage, key_sources
from edge.authority.authority import Authority
from edge.cli.authority import authority as authority_command
from edge.cli.authority_ceremony import now
from edge.credentials import hcert
from edge.errors import PublicationError
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import examine
from edge.trust import paths
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import TrustStore
from tests.simulators.foreign import SIGNER, Signer, hcert_claims, make_hcert
from tests.simulators.world import DAY, at, context

NOW = now()
SHORT = rsa.generate_private_key(65537, 1024)  # noqa: S505  # what must be refused
WISH = key_sources.Wish("hcert")


def certificate(key=None, *, country="AT", usages=()) -> bytes:
    """A DER certificate, signed by its own key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, country)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.fromtimestamp(NOW, UTC) - timedelta(days=10))
        .not_valid_after(datetime.fromtimestamp(NOW, UTC) + timedelta(days=700))
    )
    if usages:
        made = made.add_extension(x509.ExtendedKeyUsage([ObjectIdentifier(one) for one in usages]), critical=False)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def listed(der: bytes, **changes) -> dict:
    """A row of the gateway's trust list."""
    kid = base64.b64encode(sha256(der).digest()[:8]).decode()
    row = {"kid": kid, "country": "AT", "certificateType": "DSC", "rawData": base64.b64encode(der).decode()}
    return {**row, **changes}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A new authority."""
    made = tmp_path / "authority"
    assert run("init", str(made)).exit_code == 0
    return made


def run(*args: str):
    """`edge authority ...`."""
    return CliRunner().invoke(authority_command, [*args])


def added(folder, *args):
    """Add a file's keys to a new issuer."""
    return run("anchors", "add", str(folder), *args, "--issuer", "dcc", "--format", "hcert", "--json")


NAMES = ("--name-zh", "欧盟", "--name-en", "EU")


def test_a_trust_list_becomes_anchors_that_a_publication_carries(folder, tmp_path):
    """From the gateway's JSON to what a gate would load."""
    file = tmp_path / "list.json"
    signer = certificate(usages=["1.3.6.1.4.1.1847.2021.1.2"])
    file.write_text(json.dumps([listed(signer), listed(certificate(), certificateType="CSCA")]))

    assert json.loads(added(folder, str(file), *NAMES).stdout) == {
        "issuer": "dcc",
        "added": 1,
        "changed": 0,
        "left_out": 0,
    }
    (row,) = [json.loads(line) for line in run("anchors", "list", str(folder), "--json").stdout.splitlines()]
    assert (row["claimed"], row["kid"], row["kinds"]) == ("AT", sha256(signer).digest()[:8].hex(), ["vaccination"])


def test_a_gate_that_pulled_the_anchors_accepts_what_they_signed(folder, tmp_path):
    """Publication, refresh, verdict; admitted by the policy and not before."""
    signer = Signer()
    file = tmp_path / "one.der"
    file.write_bytes(certificate(signer.key))
    added(folder, str(file), *NAMES, "--outcome", "accept")
    kid = certificates.read(file.read_bytes()).key_id
    raw = make_hcert(hcert_claims(iat=NOW - 10, exp=NOW + DAY), protected={1: -7, 4: kid})

    assert gate(folder, tmp_path / "before", raw).reason is Reason.FORMAT_NOT_ADMITTED
    sources = Authority.open(folder).sources
    policy = sources.members(paths.POLICY)
    kinds = [*policy["kinds"], "vaccination"]
    sources.write(paths.POLICY, {**policy, "formats": ["hp1", "hcert"], "kinds": kinds})
    verdict = gate(folder, tmp_path / "after", raw)

    assert (verdict.outcome, verdict.reason, verdict.issuer.id) == (Outcome.ACCEPT, Reason.OK, "dcc")


def gate(folder, place, raw):
    """The verdict of a new gate on a code, after a publication."""
    assert run("publish", str(folder)).exit_code == 0
    store = TrustStore.init(place, (folder / "publication/metadata/1.root.json").read_bytes())
    store.refresh(FolderFetcher(folder / "publication"), NOW)
    return examine(raw, replace(context(at(NOW), store.load()), formats=(hcert.FORMAT,)))


def test_adding_again_changes_nothing_and_removing_takes_back(folder, tmp_path):
    """The same file twice; then by country."""
    file = tmp_path / "list.pem"
    pem = x509.load_der_x509_certificate(certificate()).public_bytes(Encoding.PEM)
    file.write_bytes(b"a comment\n" + pem)
    added(folder, str(file), *NAMES)

    assert json.loads(added(folder, str(file)).stdout)["added"] == 0
    assert run("anchors", "remove", str(folder), "--issuer", "dcc", "--claimed", "DE").exit_code != 0
    assert run("anchors", "remove", str(folder), "--issuer", "dcc", "--claimed", "AT").exit_code == 0
    assert run("anchors", "list", str(folder)).stdout == ""


@pytest.mark.parametrize(
    "bad",
    [
        {"rawData": "AAAA"},
        {"rawData": "*"},
        {"rawData": 7},
        {"kid": "*"},
        {"rawData": base64.b64encode(certificate(SHORT)).decode()},
        {"rawData": base64.b64encode(certificate(ec.generate_private_key(ec.SECP521R1()))).decode()},
    ],
    ids=["no certificate", "no base64", "no text", "kid", "short RSA", "curve"],
)
def test_a_row_that_cannot_be_used_is_named_and_changes_nothing(folder, tmp_path, bad):
    """The third of three; with --skip-bad the other two are taken."""
    file = tmp_path / "list.json"
    file.write_text(json.dumps([listed(certificate()), listed(certificate()), listed(certificate(), **bad)]))

    refused = added(folder, str(file), *NAMES)
    assert refused.exit_code != 0
    assert run("anchors", "list", str(folder)).stdout == ""
    skipped = added(folder, str(file), *NAMES, "--skip-bad")
    assert json.loads(skipped.stdout.splitlines()[-1]) == {"issuer": "dcc", "added": 2, "changed": 0, "left_out": 1}
    assert "certificates[2] (AT)" in skipped.stderr


def test_a_signature_line_before_the_list_is_passed_over():
    """The German list: base64, a line feed, JSON."""
    data = b"c2lnbmF0dXJl\n" + json.dumps({"certificates": [listed(certificate())]}).encode()

    assert [one.problem for one in key_sources.read(data, WISH)] == [""]


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"{", b"text", b"-----BEGIN CERTIFICATE-----\n*\n"])
def test_a_file_of_another_shape_is_refused(data):
    """With the shapes that are known."""
    with pytest.raises(PublicationError):
        key_sources.read(data, WISH)


@pytest.mark.parametrize("arc", ["1.3.6.1.4.1.1847.2021.1.", "1.3.6.1.4.1.0.1847.2021.1."])
def test_usages_are_read_in_both_spellings(arc):
    """None of them means all."""
    found = certificates.read(certificate(usages=[arc + "1", "1.3.6.1.5.5.7.3.1"]))

    assert health_usage.kinds(found.usages) == ("test",)
    assert health_usage.kinds(["1.3.6.1.5.5.7.3.1"]) == health_usage.ALL


def test_the_walk_agrees_with_a_whole_parser():
    """Key, times, country, usages."""
    key = ec.generate_private_key(ec.SECP384R1())
    der = certificate(key, country="FR", usages=["1.3.6.1.4.1.1847.2021.1.3", "2.999.5"])
    whole, found = x509.load_der_x509_certificate(der), certificates.read(der)

    assert found.not_before == int(whole.not_valid_before_utc.timestamp())
    assert found.not_after == int(whole.not_valid_after_utc.timestamp())
    assert (found.country, found.key.algorithms) == ("FR", ("ES384",))
    assert found.usages == ("1.3.6.1.4.1.1847.2021.1.3", "2.999.5")


DER = certificate(usages=["1.3.6.1.4.1.1847.2021.1.3"])


def test_no_changed_byte_and_no_cut_crashes_the_walk():
    """Every byte, and every length: a certificate or a named refusal."""
    for place in range(len(DER)):
        for spoilt in (DER[:place], DER[:place] + bytes((DER[place] ^ 0xFF,)) + DER[place + 1 :]):
            with suppress(PublicationError):
                certificates.read(spoilt)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_certificate_or_a_refusal(data):
    """Nothing else comes out."""
    with suppress(PublicationError):
        certificates.read(b"\x30" + data)


def test_lists_of_hashes_must_be_there_and_be_looked_in(folder, tmp_path):
    """A list nobody looks in, or one that is not there, is a mistake."""
    file = tmp_path / "one.der"
    file.write_bytes(certificate())
    digests = tmp_path / "hashes"
    digests.write_text("00" * 32 + "\n")
    added(folder, str(file), *NAMES, "--hash-list", "1")

    missing = run("publish", str(folder))
    set_ = run("set-hashes", str(folder), "--issuer", "dcc", "--kind", "signature", "--from", str(digests))
    run("set-hashes", str(folder), "--issuer", "dcc", "--list", "2", "--kind", "identifier", "--from", str(digests))
    unlooked = run("publish", str(folder))
    added(folder, str(file), "--hash-list", "2")

    assert set_.exit_code == 0
    assert "list of hashes 1, which is not there" in str(missing.exception or missing.output)
    assert "leaves out list of hashes 2" in str(unlooked.exception or unlooked.output)
    assert run("publish", str(folder)).exit_code == 0


def cases(name):
    """The file of a public certificate."""
    found = Path(os.environ.get("EDGE_CONFORMANCE_DIR") or Path(__file__).parents[3] / "conformance") / name
    if not found.is_file():
        pytest.skip(f"there are no public cases at {found}")
    return found.read_bytes()


@pytest.mark.parametrize(
    ("format_", "name", "claimed", "kid"),
    [("twoddoc", "twoddoc/cert.pem", "FR00", b"0001"), ("aadhaar", "aadhaar/uidai_prod_cdup.cer", "", b"")],
)
def test_an_anchor_is_named_as_its_credentials_name_it(format_, name, claimed, kid):
    """By common names, or not at all."""
    (found,) = key_sources.read(cases(name), key_sources.Wish(format_, kinds=("statement",)))

    assert (found.row["claimed"], found.row["kid"]) == (claimed, kid.hex())


def test_a_countrys_authority_for_seals_speaks_for_a_country_that_is_given():
    """Otherwise it could seal for every other."""
    der = certificate()
    (refused,) = key_sources.read(der, key_sources.Wish("vdsnc"))
    (found,) = key_sources.read(der, key_sources.Wish("vdsnc", claimed="AUT"))

    assert "CSCA" in refused.problem
    assert found.row["claimed"] == "AUT"


def test_an_events_keys_become_anchors_without_an_end():
    """Bare keys in PEM: one row a key, and one that cannot be read is named."""
    wish = key_sources.Wish("pretix", kinds=("ticket",))
    found = key_sources.read(cases("pretix/pubkey.pem"), wish)
    (spoilt,) = key_sources.read(b"-----BEGIN PUBLIC KEY-----\nAAA\n-----END PUBLIC KEY-----\n", wish)

    assert [(one.row["claimed"], one.row["kid"], one.row["alg"]) for one in found] == [("", "", "EdDSA")] * 2
    assert (spoilt.row, bool(spoilt.problem)) == (None, True)


@pytest.mark.parametrize(
    ("format_", "name"),
    [("twoddoc", "twoddoc/cert.pem"), ("aadhaar", "aadhaar/uidai_prod_cdup.cer"), ("pretix", "pretix/pubkey.pem")],
)
def test_a_key_that_states_no_usage_is_given_one(format_, name):
    """What it may attest is never guessed."""
    for found in key_sources.read(cases(name), key_sources.Wish(format_)):
        assert (found.row, "--kind" in found.problem) == (None, True)


def test_types_are_given_their_kinds_one_by_one(folder, tmp_path):
    """Of verifiable credentials: each `--type` joins those of before, and a wrong one changes nothing."""
    file = tmp_path / "jwks.json"
    x, y = (base64.urlsafe_b64encode(half).rstrip(b"=").decode() for half in (SIGNER.public[1:33], SIGNER.public[33:]))
    file.write_text(json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": "k", "x": x, "y": y}]}))
    issuer = ("--issuer", "badges", "--format", "vc", "--claimed", "https://i.example", "--kind", "vaccination")

    assert run("anchors", "add", str(folder), str(file), *issuer, "--type", "A=vaccination", *NAMES).exit_code == 0
    assert (
        run("anchors", "add", str(folder), str(file), *issuer, "--type", "https://i.example/?a=b=test").exit_code == 0
    )
    for wrong in ("B=person", "B"):
        assert run("anchors", "add", str(folder), str(file), *issuer, "--type", wrong).exit_code != 0
    (source,) = folder.rglob("badges/anchors.json")
    assert json.loads(source.read_text())["types"] == [
        {"type": "A", "kind": "vaccination"},
        {"type": "https://i.example/?a=b", "kind": "test"},
    ]
