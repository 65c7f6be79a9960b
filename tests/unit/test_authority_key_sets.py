"""Key sets and DID documents: each key becomes a row, or a problem named by its place."""

import base64
import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from edge.authority import key_sets, key_sources
from edge.authority.authority import Authority
from edge.authority.card_revocation import digests
from edge.authority.key_sources import Wish
from edge.cli.authority import authority as authority_command
from edge.cli.authority_ceremony import now
from edge.credentials import nzcp, shc
from edge.errors import PublicationError
from edge.model.verdict import Outcome, Reason
from edge.policy.examine import examine
from edge.trust import paths
from edge.trust.fetchers import FolderFetcher
from edge.trust.store import TrustStore
from tests.simulators.foreign import SIGNER, Signer
from tests.simulators.nzcp import make_nzcp, nzcp_claims
from tests.simulators.shc import KID, make_shc, shc_claims
from tests.simulators.world import DAY, at, context

ISSUER = "https://shc.example/issuer"
DID = "did:web:nzcp.example"
SHC = Wish("shc", ISSUER, ("vaccination",))
NZCP = Wish("nzcp", kinds=("health",))


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(**changes):
    """A key as issuers publish it."""
    made = {
        "kty": "EC",
        "kid": key_sets.thumbprint(SIGNER.public),
        "use": "sig",
        "alg": "ES256",
        "crv": "P-256",
        "x": b64(SIGNER.public[1:33]),
        "y": b64(SIGNER.public[33:]),
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def of_set(*rows, wish=SHC):
    """What a key set comes to."""
    return key_sources.read(json.dumps({"keys": rows}).encode(), wish)


def of_did(wish=NZCP, asserted=(f"{DID}#key-1",), **changes):
    """What a DID document with one key comes to."""
    method = {
        "id": f"{DID}#key-1",
        "controller": DID,
        "type": "JsonWebKey2020",
        "publicKeyJwk": jwk(kid=None, use=None, alg=None),
        **changes,
    }
    document = {"id": DID, "verificationMethod": [method], "assertionMethod": list(asserted)}
    return key_sources.read(json.dumps(document).encode(), wish)


def test_a_key_set_becomes_rows():
    """Key id, issuer, kinds as the authority says."""
    (found,) = of_set(jwk())

    assert (found.row["claimed"], found.row["alg"], found.row["kinds"]) == (ISSUER, "ES256", ["vaccination"])
    assert bytes.fromhex(found.row["kid"]).decode() == key_sets.thumbprint(SIGNER.public)
    assert bytes.fromhex(found.row["public"]) == SIGNER.public


def test_the_thumbprint_is_that_of_the_example_of_smart_health_cards():
    """The key of the framework's example issuer, and its published kid."""
    x, y = "11XvRWy1I2S0EyJlyf_bWfw_TQ5CJJNLw78bHXNxcgw", "eZXwxvO1hvCY0KucrPfKo7yAyMT6Ajc3N7OkAB6VYy8"
    public = b"\x04" + b"".join(base64.urlsafe_b64decode(half + "=") for half in (x, y))

    assert key_sets.thumbprint(public) == "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": "other"},
        {"kid": None},
        {"kid": "\ud800"},
        {"kid": "k" * 65},
        {"use": "enc"},
        {"alg": "ES384"},
        {"kty": "OKP"},
        {"crv": "P-521"},
        {"crv": None},
        {"x": "AA"},
        {"x": 1},
        {"y": None},
        {"x": "*" * 43},
        {"d": b64(bytes(32))},
        {"x5c": []},
        {"x5c": ["AAAA"]},
        {"x5c": 5},
    ],
    ids=str,
)
def test_a_key_that_cannot_be_used_is_a_problem_and_no_traceback(changes):
    """The place is named; the other keys stand."""
    bad, good = of_set(jwk(**changes), jwk())

    assert (bad.place, bad.row) == ("keys[0]", None)
    assert bad.problem
    assert good.row is not None


def test_a_key_set_without_an_issuer_or_kinds_is_a_problem():
    """A file that does not say whose or what for is believed for nobody."""
    assert "--claimed" in of_set(jwk(), wish=Wish("shc", kinds=("vaccination",)))[0].problem
    assert "--kind" in of_set(jwk(), wish=Wish("shc", ISSUER))[0].problem
    assert "ES256" in of_set(jwk(), wish=Wish("shc", ISSUER, ("vaccination",), "EdDSA"))[0].problem


def test_a_did_document_becomes_rows():
    """The did is the issuer, the fragment the key id."""
    (found,) = of_did()

    assert (found.row["claimed"], bytes.fromhex(found.row["kid"])) == (DID, b"key-1")
    assert of_did(id="#key-1", asserted=("#key-1",))[0].row is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"asserted": ()},
        {"id": "did:web:other.example#key-1"},
        {"id": DID},
        {"id": 1},
        {"controller": "did:web:other.example"},
        {"publicKeyJwk": None},
        {"publicKeyJwk": []},
    ],
    ids=str,
)
def test_a_did_key_that_may_not_sign_is_a_problem(changes):
    """Another's, unnamed, or not for assertions."""
    (found,) = of_did(**changes)

    assert found.row is None
    assert found.problem


def test_an_ed25519_key_is_read():
    """As identity issuers publish it."""
    public = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    (found,) = of_set(
        {"kty": "OKP", "crv": "Ed25519", "x": b64(public), "kid": "1"}, wish=Wish("claim169", ISSUER, ("identity",))
    )

    assert (found.row["alg"], found.row["public"]) == ("EdDSA", public.hex())


def test_another_key_in_the_certificate_than_in_the_set():
    """The certificate vouches for its own key alone."""
    other = Signer(9)
    (found,) = of_set(jwk(x5c=[base64.b64encode(other.public).decode()]))

    assert found.problem


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "kid", "id"]), x),
    max_leaves=10,
)


@given(st.fixed_dictionaries({"keys": JSON, "id": JSON, "verificationMethod": JSON, "assertionMethod": JSON}))
def test_any_document_is_read_or_refused(document):
    """Never a traceback."""
    for shape in (document, {**document, "keys": None}):
        try:
            found = key_sources.read(json.dumps(shape).encode(), NZCP)
        except PublicationError:
            continue
        assert all(one.row is None for one in found)


CRL = {"kid": KID, "method": "rid", "ctr": 1, "rids": ["abc", "def.1636977600"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"kid": None},
        {"kid": "a.b"},
        {"method": "other"},
        {"method": None},
        {"rids": None},
        {"rids": ["a.b"]},
        {"rids": [5]},
        {"rids": ["a" * 25]},
        {"rids": [""]},
        {"rids": ["abc", "a\n"]},
    ],
    ids=str,
)
def test_a_card_revocation_list_that_is_none_is_refused_by_name(changes):
    """Never half of it in silence."""
    with pytest.raises(PublicationError, match=r"list\.json"):
        list(digests(json.dumps({**CRL, **changes}).encode(), "list.json"))


@pytest.mark.parametrize("data", [b"", b"[]", b"5", b"[" * 5000, b"\xff"])
def test_a_file_that_is_no_card_revocation_list_is_refused_by_name(data):
    """Whatever it holds."""
    with pytest.raises(PublicationError, match=r"list\.json"):
        list(digests(data, "list.json"))


def run(*args, **more):
    """`edge authority ...`, which must succeed."""
    done = CliRunner().invoke(authority_command, [*map(str, args)], **more)
    assert done.exit_code == 0, done.output
    return done.stdout


def country(folder, place, formats, kinds):
    """What a new gate of a country that admits these formats believes after a publication."""
    sources = Authority.open(folder).sources
    policy = sources.members(paths.POLICY)
    sources.write(paths.POLICY, {**policy, "formats": ["hp1", *formats], "kinds": [*policy["kinds"], *kinds]})
    run("publish", folder)
    store = TrustStore.init(place, (folder / "publication/metadata/1.root.json").read_bytes())
    store.refresh(FolderFetcher(folder / "publication"), now())
    return store.load()


def test_a_gate_accepts_a_card_of_a_key_set_until_its_issuer_revokes_it(tmp_path):
    """From the published key set and revocation list to the verdict."""
    folder = tmp_path / "authority"
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [jwk()]}))
    (tmp_path / "crl.json").write_text(json.dumps(CRL))
    run("init", folder)
    names = ("--name-zh", "卡", "--name-en", "Cards", "--outcome", "accept")
    run(*("anchors", "add", folder, tmp_path / "jwks.json", "--issuer", "shc", "--format", "shc"), *names,
        *("--claimed", ISSUER, "--kind", "vaccination"))  # fmt: skip
    run("anchors", "revoked", folder, tmp_path / "crl.json", "--issuer", "shc")
    trust = country(folder, tmp_path / "gate", ["shc"], ["vaccination"])
    shown = replace(context(at(now()), trust), formats=(shc.FORMAT,))

    said = {rid: examine(make_shc(shc_claims(nbf=now() - 10, vc={"rid": rid})), shown) for rid in ("abc", "def", "ghi")}

    assert [said[rid].reason for rid in said] == [Reason.STATUS_REVOKED, Reason.STATUS_REVOKED, Reason.OK]
    assert said["ghi"].outcome is Outcome.ACCEPT


def test_a_gate_accepts_a_pass_of_a_did_document(tmp_path):
    """From the published document to the verdict."""
    folder = tmp_path / "authority"
    key = {name: value for name, value in jwk().items() if name in {"kty", "crv", "x", "y"}}
    method = {"id": f"{DID}#key-1", "controller": DID, "type": "JsonWebKey2020", "publicKeyJwk": key}
    document = {"id": DID, "verificationMethod": [method], "assertionMethod": [f"{DID}#key-1"]}
    (tmp_path / "did.json").write_text(json.dumps(document))
    run("init", folder)
    names = ("--name-zh", "新西兰", "--name-en", "New Zealand", "--outcome", "accept")
    run(*("anchors", "add", folder, tmp_path / "did.json", "--issuer", "nzcp", "--format", "nzcp"), *names,
        *("--kind", "health"))  # fmt: skip
    trust = country(folder, tmp_path / "gate", ["nzcp"], ["health"])
    shown = replace(context(at(now()), trust), formats=(nzcp.FORMAT,))

    verdict = examine(make_nzcp({**nzcp_claims(), 5: now() - 10, 4: now() + DAY}), shown)

    assert (verdict.outcome, verdict.reason, verdict.issuer.id) == (Outcome.ACCEPT, Reason.OK, "nzcp")
