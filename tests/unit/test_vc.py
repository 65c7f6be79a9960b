"""Verifiable credentials: what is read of them, and every attack of the table by name."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.conformance.runner import run
from edge.credentials import claim169, vc
from edge.model.credential import HashKind, PassKind
from edge.model.live import LiveRule
from edge.model.trust import EDDSA, ES256
from edge.model.verdict import Outcome, Reason
from edge.verify.verify import verify
from tests.simulators.claim169 import ID_ANCHOR, make_id
from tests.simulators.foreign import Signer
from tests.simulators.tickets import admitting, judged
from tests.simulators.vc import (
    HEADER,
    ISSUER,
    KID,
    VC_ANCHOR,
    VC_ANCHOR_ED,
    W3C_HEADER,
    digest,
    disclosure,
    make_sd,
    make_w3c,
    vct_claims,
    w3c_claims,
)
from tests.simulators.world import DAY, ISSUED, NOW, at

BELIEVED = admitting(VC_ANCHOR)
GOOD = make_sd()
GOOD_W3C = make_w3c()
JWK = {"jwk": {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}}


def verdict(raw, trust=BELIEVED, moment=None):
    """What the gate says."""
    return judged(raw, vc.FORMAT, trust, moment)


def is_malformed(raw) -> bool:
    """Whether it is refused before any key is asked."""
    return verdict(raw).reason in {Reason.CREDENTIAL_MALFORMED, Reason.CREDENTIAL_FOREIGN}


def with_header(**changes):
    """Both kinds of token under a changed header; None leaves a member out."""
    for make, header in ((make_sd, HEADER), (make_w3c, W3C_HEADER)):
        found = {**header, **changes}
        yield make(header={name: value for name, value in found.items() if value is not None})


def with_claims(**changes):
    """Both kinds of token with changed claims."""
    yield make_sd(vct_claims(**changes), shown=())
    yield make_w3c(w3c_claims(**changes))


def test_an_sd_jwt_vc_is_read_and_accepted():
    """Issuer, kind, times, holder from its disclosures, and what revokes it."""
    found = vc.FORMAT.parse(GOOD)

    assert verdict(GOOD).outcome is Outcome.ACCEPT
    assert (found.issuer, found.key_id, found.algorithm, found.kind) == (ISSUER, KID, ES256, PassKind.STATEMENT)
    assert (found.issued_at, found.expires_at) == (ISSUED, ISSUED + 300 * DAY)
    assert (found.holder.surname, found.holder.name, found.holder.birth_year) == ("Doe", "Jane Doe", 1990)
    assert found.revocation == ((HashKind.SIGNATURE, sha256(found.signature[:32]).digest()),)


def test_a_credential_of_the_w3c_is_read_and_accepted():
    """Times with a zone, a key named by a DID URL, its id as what revokes it."""
    found = vc.FORMAT.parse(GOOD_W3C)

    assert verdict(GOOD_W3C).outcome is Outcome.ACCEPT
    assert (found.issuer, found.key_id) == (ISSUER, KID)
    assert (found.issued_at, found.expires_at) == (ISSUED, 1811808000)
    assert (found.holder.surname, found.holder.birth_year) == ("Doe", 1990)
    assert (HashKind.IDENTIFIER, sha256(b"https://issuer.example/1").digest()) in found.revocation


@pytest.mark.parametrize("name", ["EdDSA", "Ed25519"])
def test_both_names_of_ed25519_are_taken(name):
    """RFC 8037 and RFC 9864."""
    for raw in with_header(alg=name):
        assert verdict(raw, admitting(VC_ANCHOR_ED)).outcome is Outcome.ACCEPT


def test_what_is_not_disclosed_is_not_known_and_the_credential_is_the_same():
    """Fewer disclosures, another order: one identity."""
    whole = vc.FORMAT.parse(GOOD)
    token, *shown, _ = GOOD.decode().split("~")
    for fewer in ((), shown[:1], shown[::-1]):
        found = vc.FORMAT.parse("~".join((token, *fewer, "")).encode())
        assert found.identity == whole.identity
        assert len(found.claims) == len(whole.claims) - 3 + len(fewer)


def test_disclosures_within_objects_lists_and_each_other_are_put_in_their_places():
    """RFC 9901, 4.2.2, 4.2.4.2 and 4.2.6."""
    street = disclosure("a", "street", "Main St")
    address = disclosure("b", "address", {"_sd": [digest(street)], "city": "X"})
    german = disclosure("c", "DE")
    claims = vct_claims([address], nationalities=[{"...": digest(german)}, {"...": "decoy"}, "FR"])
    found = vc.FORMAT.parse(make_sd(claims, shown=(german, address, street)))

    assert found.claims["address"] == {"street": "Main St", "city": "X"}
    assert found.claims["nationalities"] == ["DE", "FR"]
    assert not {"_sd", "_sd_alg"} & found.claims.keys()


def test_a_credential_bound_to_a_holders_key_is_referred_as_a_copy():
    """With a key binding for somebody else as without one, whatever rule on live passes there is."""
    claims = vct_claims(cnf=JWK)
    binding = make_w3c().decode()
    accepting = LiveRule("", frozenset(PassKind), "refer", "accept", nonce=False)
    lenient = replace(BELIEVED, policy=replace(BELIEVED.policy, live=(accepting,)))
    strict = replace(BELIEVED, policy=replace(BELIEVED.policy, live=(replace(accepting, copied="reject"),)))

    for raw in (make_sd(claims, shown=()), make_sd(claims, shown=(), binding=binding), make_w3c(w3c_claims(cnf=JWK))):
        for trust in (BELIEVED, lenient):
            assert (verdict(raw, trust).outcome, verdict(raw, trust).reason) == (Outcome.REFER, Reason.LIVE_MISSING)
        assert verdict(raw, strict).outcome is Outcome.REJECT


@pytest.mark.parametrize(
    "status",
    [
        {"status": {"status_list": {"idx": 5, "uri": "https://issuer.example/list"}}},
        {"status": None, "credentialStatus": {"type": "BitstringStatusListEntry"}},
        {"status": "x"},
    ],
    ids=str,
)
def test_a_credential_with_a_status_needs_a_list_of_its_issuer(status):
    """No answer is not "valid"; with a list of revoked ones it is looked up there."""
    listed = admitting(replace(VC_ANCHOR, hash_lists=(1,)), revoked={1: (HashKind.SIGNATURE, b"another")})

    for raw in with_claims(**status):
        assert verdict(raw).reason is Reason.STATUS_UNAVAILABLE
        assert verdict(raw, listed).outcome is Outcome.ACCEPT


@pytest.mark.parametrize(
    "status",
    [
        {"status": {"status_list": {"idx": 5, "uri": "https://issuer.example/list"}}},
        {
            "credentialStatus": [
                {
                    "type": "BitstringStatusListEntry",
                    "statusListIndex": "7",
                    "statusListCredential": "https://b.example",
                },
                {
                    "type": "BitstringStatusListEntry",
                    "statusListIndex": "5",
                    "statusListCredential": "https://issuer.example/list",
                },
            ]
        },
    ],
    ids=["token", "bitstring"],
)
def test_a_place_in_a_status_list_is_looked_up(status):
    """By the URI and the index."""
    anchor = replace(VC_ANCHOR, hash_lists=(1,))
    for index, reason in ((5, Reason.STATUS_REVOKED), (6, Reason.OK)):
        place = f"https://issuer.example/list#{index}".encode()
        trust = admitting(anchor, revoked={1: (HashKind.IDENTIFIER, place)})
        for raw in with_claims(**status):
            assert verdict(raw, trust).reason is reason


@pytest.mark.parametrize("index", [-1, "x", None, 1.5, True, "05", [], 10**19])
def test_a_status_that_names_no_place(index):
    """Refused, whichever mechanism it is of."""
    for status in (
        {"status": {"status_list": {"idx": index, "uri": "https://issuer.example/list"}}},
        {"credentialStatus": {"statusListIndex": index, "statusListCredential": "https://issuer.example/list"}},
    ):
        assert all(is_malformed(raw) for raw in with_claims(**status))


def test_each_revocation_hash_finds_its_code():
    """The signature over R, and the id."""
    found = vc.FORMAT.parse(GOOD_W3C)
    anchor = replace(VC_ANCHOR, hash_lists=(1,))
    for kind, value in (
        (HashKind.SIGNATURE, found.signature[:32]),
        (HashKind.IDENTIFIER, b"https://issuer.example/1"),
    ):
        assert verdict(GOOD_W3C, admitting(anchor, revoked={1: (kind, value)})).reason is Reason.STATUS_REVOKED


def test_an_anchor_says_what_a_type_attests():
    """By vct or type; a type that is not named is refused, and a kind that the key may not attest."""
    kinds = frozenset((PassKind.VACCINATION, PassKind.STATEMENT))
    for raw, name in ((GOOD, "https://issuer.example/badge"), (GOOD_W3C, "Badge")):
        for kind, reason in ((PassKind.VACCINATION, Reason.OK), (PassKind.TEST, Reason.KEY_KIND)):
            found = verdict(
                raw, admitting(replace(VC_ANCHOR, kinds=kinds, types=(("Other", PassKind.TEST), (name, kind))))
            )
            assert (found.reason, found.kind) == (reason, kind)
        for other in ("Other", "VerifiableCredential", name.lower() + "x"):
            trust = admitting(replace(VC_ANCHOR, kinds=kinds, types=((other, PassKind.VACCINATION),)))
            assert verdict(raw, trust).reason is Reason.KEY_KIND


def test_a_format_without_types_is_refused_by_an_anchor_that_names_some():
    """It can say of none of its codes what they are."""
    anchor = replace(ID_ANCHOR, types=(("T", PassKind.IDENTITY),))

    assert judged(make_id(), claim169.FORMAT, admitting(anchor)).reason is Reason.KEY_KIND


def test_tokens_of_other_types_are_nobodys():
    """A JWT is not a credential because it is one; nor is one in another form than its type's."""
    for typ in ("JWT", "kb+jwt", "vp+jwt", "statuslist+jwt", "", None, 5, ["vc+jwt"]):
        for raw in with_header(typ=typ):
            assert verdict(raw).reason is Reason.CREDENTIAL_FOREIGN
    for raw in with_header(typ="application/vc+jwt"):
        assert vc.FORMAT.recognises(raw)
    assert is_malformed(make_sd(header=W3C_HEADER))
    assert is_malformed(make_w3c(header=HEADER))


def test_the_examples_of_the_specification_come_as_they_state():
    """Issued by others: all disclosures, two and a key binding, no binding, run out (tests/vectors/vc)."""
    rows = list(run(Path(__file__).parents[1] / "vectors/vc"))

    assert [(row.id, row.ok) for row in rows if not row.ok] == []
    assert len(rows) == 4
    assert {row.format for row in rows} == {"vc"}


# The attack table


def test_what_is_larger_than_one_code():
    """Before anything is decoded."""
    assert verdict(GOOD + b"A" * 4296).reason is Reason.CREDENTIAL_TOO_LARGE


def test_json_depth_counts_and_second_spellings():
    """Members twice, a byte order mark, numbers that are none, trailing bytes."""
    deep = "[" * 40 + "]" * 40
    plain = json.dumps(w3c_claims())
    for spoilt in (
        plain[:-1] + f', "x": {deep}}}',
        plain[:-1] + ', "iss": "a", "iss": "a"}',
        "\ufeff" + plain,
        plain[:-1] + ', "x": NaN}',
        plain[:-1] + ', "x": 1e999}',
        plain + "x",
        "[]",
        "5",
        "",
    ):
        assert is_malformed(make_w3c(spoilt.encode()))
    assert is_malformed(make_w3c(b"\xff\xfe"))


def test_disclosures_that_chain_deeper_than_any_value():
    """Each within the last: bounded as any nesting."""
    shown, inner = [], {"x": 1}
    for number in range(30):
        shown.append(disclosure(str(number), "v", inner))
        inner = {"_sd": [digest(shown[-1])]}

    assert is_malformed(make_sd(vct_claims(a={"b": {"c": inner}}), shown=shown))


def test_disclosures_that_belong_nowhere():
    """Unknown, twice, of a digest that stands twice, or of one in another place."""
    token, first, *rest = GOOD.decode().split("~")
    strange = disclosure("s", "role", "admin")

    for shown in ((first, strange), (first, first), (strange,), (first, "")):
        assert is_malformed("~".join((token, *shown, "")).encode())
    assert is_malformed(make_sd(vct_claims([first, first]), shown=(first,)))
    assert is_malformed(make_sd(vct_claims([first], a={"_sd": [digest(first)]}), shown=(first,)))
    assert rest


@pytest.mark.parametrize(
    "parts",
    [
        *(["s"], ["s", "x"], ["s", "_sd", []], ["s", "...", "x"], ["s", 5, "x"], [5, "n", "x"], ["s", "n", "x", "y"]),
        *([], {"s": "n"}, "s", ["s", "sub", "x"]),
    ],
    ids=str,
)
def test_disclosures_that_are_none(parts):
    """Shape, salt, reserved names, and names that are there already."""
    from tests.simulators.vc import b64, text

    shown = b64(text(parts))
    assert is_malformed(make_sd(vct_claims([shown], sub="y"), shown=(shown,)))


@pytest.mark.parametrize(
    "name",
    ["iss", "nbf", "exp", "cnf", "vct", "status", "issuer", "validFrom", "validUntil", "credentialStatus", "type"],
)
def test_what_decides_is_never_disclosed(name):
    """Else whoever shows it could leave it out (SD-JWT VC, 3.2.2.2)."""
    shown = disclosure("s", name, 1)

    assert is_malformed(make_sd(vct_claims([shown], **{name: None}), shown=(shown,)))


@pytest.mark.parametrize(
    "changes",
    [{"_sd": "x"}, {"_sd": [5]}, {"a": {"_sd": {}}}, {"a": {"...": "x"}}, {"a": [{"...": 5}]}, {"_sd_alg": "sha-512"}],
    ids=str,
)
def test_digests_that_are_none(changes):
    """Of another type, place or hash."""
    assert is_malformed(make_sd(vct_claims(**changes), shown=()))


def test_the_one_hash_is_sha_256():
    """Named or not (RFC 9901, 4.1.1)."""
    assert verdict(make_sd(vct_claims(_sd_alg="sha-256"), shown=())).outcome is Outcome.ACCEPT


def test_algorithm_confusion():
    """No "none", no key of a signature as a secret, and the header as the key record says."""
    for alg in ("none", "HS256", "RS256", "es256", "ES256K", "", None, -7, ["ES256"]):
        assert all(is_malformed(raw) for raw in with_header(alg=alg))
    for raw in with_header(alg="EdDSA"):
        assert verdict(raw).reason is Reason.KEY_ALGORITHM
    assert verdict(GOOD, admitting(VC_ANCHOR_ED)).reason is Reason.KEY_ALGORITHM
    assert EDDSA != ES256


@pytest.mark.parametrize("crit", [["b64"], [], "x", None], ids=str)
def test_a_critical_header(crit):
    """Whatever it names, and were it null."""
    header = {**HEADER, "crit": crit}
    assert is_malformed(make_sd(header=header))
    assert is_malformed(make_w3c(header={**W3C_HEADER, "crit": crit}))


def test_keys_that_the_token_brings_along_are_not_looked_at():
    """jwk, jku, x5c and x5u name keys of whoever wrote it."""
    for raw in with_header(jwk=JWK["jwk"], jku="https://evil.example", x5c=["AAAA"], x5u="https://evil.example"):
        assert verdict(raw).reason is Reason.OK
        assert verdict(raw, admitting(replace(VC_ANCHOR, key_id=b"x"))).reason is Reason.KEY_UNKNOWN


def test_key_id_collision_and_unknown_keys():
    """Another key under the same id is tried and found wanting; another id is unknown."""
    other = replace(VC_ANCHOR, public=Signer(7).public)

    assert verdict(GOOD, admitting(other, VC_ANCHOR)).reason is Reason.OK
    assert verdict(GOOD, admitting(other)).reason is Reason.SIGNATURE_INVALID
    for raw in with_header(kid="x"):
        assert verdict(raw).reason is Reason.KEY_UNKNOWN
    for kid in (5, "é", "x" * 65, "https://other.example#key-1", ["key-1"]):
        assert all(is_malformed(raw) for raw in with_header(kid=kid))


def test_a_token_without_a_key_id_is_held_to_a_key_without_one():
    """It is optional; all keys of an issuer are never tried."""
    for raw in with_header(kid=None):
        assert verdict(raw).reason is Reason.KEY_UNKNOWN
        assert verdict(raw, admitting(replace(VC_ANCHOR, key_id=b""))).reason is Reason.OK


def test_the_issuer_is_bound_to_its_own_keys():
    """A good signature under another's name is none; two names, or none, are no name."""
    other = make_sd(vct_claims(iss="https://other.example"), shown=())

    assert verdict(other).reason is Reason.KEY_UNKNOWN
    assert is_malformed(make_w3c(w3c_claims(iss="https://other.example")))
    assert verdict(make_w3c(w3c_claims(iss=ISSUER))).reason is Reason.OK
    for name in (None, "", 5, {"id": 5}, {}, "x" * 201):
        assert is_malformed(make_sd(vct_claims(iss=name), shown=()))
        assert is_malformed(make_w3c(w3c_claims(issuer=name)))


def test_wrong_key_usage():
    """A key of another purpose signs no statement."""
    assert verdict(GOOD, admitting(replace(VC_ANCHOR, kinds=frozenset((PassKind.TICKET,))))).reason is Reason.KEY_KIND


def test_the_other_s_and_wrong_lengths():
    """The same credential, or none."""
    from tests.simulators.vc import b64

    found = vc.FORMAT.parse(GOOD_W3C)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = found.signature[:32] + (order - int.from_bytes(found.signature[32:])).to_bytes(32)
    again = vc.FORMAT.parse(found.signed + b"." + b64(twin).encode())

    assert (again.identity, again.revocation) == (found.identity, found.revocation)
    for wrong in (found.signature[:-1], found.signature + b"\0", b"\0"):
        assert verdict(found.signed + b"." + b64(wrong).encode()).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("name", ["nbf", "iat", "exp"])
def test_times_that_are_no_times(name):
    """Texts and lists are refused; huge and broken numbers become a second within bounds."""
    for time in ("2030", [], {}, True):
        assert all(is_malformed(raw) for raw in with_claims(**{name: time}))
    for time in (1e300, -5, 2**63, 1.5):
        for raw in with_claims(**{name: time}):
            found = vc.FORMAT.parse(raw)
            assert 0 <= (found.issued_at or 0) <= 1 << 40
            assert verify(found, BELIEVED, at(NOW)).reason is not Reason.INTERNAL_FAULT


@pytest.mark.parametrize("name", ["validFrom", "validUntil"])
def test_dates_that_are_no_dates(name):
    """RFC 3339 with a zone, and a day that exists."""
    for time in (
        "2030-01-01",
        "2030-01-01T00:00:00",
        "2030-02-30T00:00:00Z",
        "20300101T000000Z",
        5,
        "٢030-01-01T00:00:00Z",
    ):
        assert is_malformed(make_w3c(w3c_claims(**{name: time})))


def test_the_narrowest_times_count():
    """The latest beginning and the earliest end of both notations."""
    found = vc.FORMAT.parse(make_w3c(w3c_claims(nbf=ISSUED + 5, iat=ISSUED, exp=ISSUED + 9)))

    assert (found.issued_at, found.expires_at) == (ISSUED + 5, ISSUED + 9)
    assert verdict(make_w3c(w3c_claims(exp=NOW))).reason is Reason.TIME_EXPIRED
    assert verdict(make_w3c(w3c_claims(nbf=NOW + DAY))).reason is Reason.TIME_NOT_YET_VALID


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"@context": []},
            {"@context": "https://www.w3.org/ns/credentials/v2"},
            {"@context": ["x"]},
            {"type": "Badge"},
        ),
        *({"@context": [[]]}, {"type": ["Badge"]}, {"credentialSubject": None}, {"credentialSubject": [{}, {}]}),
        *({"credentialSubject": "x"}, {"id": 5}, {"jti": 5}),
    ],
    ids=str,
)
def test_a_document_that_is_no_credential(changes):
    """Held to the data model's own shape (VCDM 2.0, 4.3 to 4.8)."""
    assert is_malformed(make_w3c(w3c_claims(**changes)))


@pytest.mark.parametrize("vct", [5, "", []], ids=str)
def test_a_type_that_is_none(vct):
    """A text."""
    assert is_malformed(make_sd(vct_claims(vct=vct), shown=()))


def test_lenient_base64():
    """One spelling: no padding, no white space, no spare bits, no other alphabet."""
    header, payload, signature = GOOD_W3C.split(b".")
    for spoilt in (
        GOOD_W3C + b"=",
        GOOD_W3C + b"\n",
        b" " + GOOD_W3C,
        b".".join((header, payload + b"==", signature)),
        b".".join((header, payload, signature[:-1] + b"B")),
        b".".join((header, payload, signature, b"x")),
        b".".join((header, payload)),
        b".".join((header, payload, b"")),
        GOOD + b"\n",
        GOOD[:-1],
    ):
        assert not verdict(spoilt).is_authentic


@pytest.mark.parametrize("name", ["\u202e", "a\nb", "x" * 81, "\x1b[2J", "{{7*7}}" * 20, 5, []])
def test_a_signed_name_steers_no_screen(name):
    """What is not printable, too long or no text is not shown."""
    found = vc.FORMAT.parse(make_sd(vct_claims(family_name=name, given_name="Jo"), shown=()))

    assert (found.holder.surname, found.holder.name) == ("", "Jo")


@pytest.mark.parametrize("raw", [GOOD, GOOD_W3C], ids=["sd-jwt", "w3c"])
def test_every_changed_byte_is_refused(raw):
    """Any other value at any place, each bit and all of them; what is left out of disclosures changes no identity."""
    whole = vc.FORMAT.parse(raw)
    for place in range(len(raw)):
        for change in (1, 2, 4, 8, 16, 32, 64, 128, 255):
            found = verdict(raw[:place] + bytes((raw[place] ^ change,)) + raw[place + 1 :])
            if found.is_authentic:
                assert found.presentation.identity == whole.identity
                assert found.presentation.claims == whole.claims


@given(st.binary(max_size=200))
def test_any_claims_get_a_verdict(data):
    """Behind a good header, and as a disclosure."""
    for raw in (make_sd(data, shown=()), make_w3c(data), GOOD + data, data + GOOD, GOOD.replace(b"~", data)):
        assert verdict(raw).reason is not Reason.INTERNAL_FAULT


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["_sd", "...", "a"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.sampled_from([*vct_claims(), *w3c_claims(), "cnf", "jti"]), json_values)
def test_any_value_of_any_claim_gets_a_verdict(name, value):
    """Never a fault of ours."""
    for raw in with_claims(**{name: value}):
        assert verdict(raw).reason is not Reason.INTERNAL_FAULT
