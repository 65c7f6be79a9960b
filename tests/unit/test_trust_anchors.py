"""The strict reader of `issuers/<id>/anchors.json`, and what a snapshot takes of it."""

import pytest

from edge.errors import TrustError
from edge.model.credential import FOREIGN_KINDS, PassKind
from edge.trust.anchors import anchors, by_place
from edge.trust.fields import Document
from tests.simulators.foreign import SIGNER, Signer
from tests.simulators.repository import document

ROW = {
    "claimed": "AT",
    "kid": b"anchor01".hex(),
    "alg": "ES256",
    "public": SIGNER.public.hex(),
    "kinds": ["vaccination", "test"],
    "not_before": "2025-12-01T00:00:00Z",
    "not_after": "2027-12-01T00:00:00Z",
}


def read(*rows, **members):
    """Read a document of these rows."""
    whole = {"issuer": "dcc", "format": "hcert", "hash_lists": [{"list": 3}], "anchors": list(rows), **members}
    return anchors(Document(document(**whole), "issuers/dcc/anchors.json"), "dcc")


def test_a_row_becomes_an_anchor_with_the_documents_format_and_lists():
    """Every member."""
    (found,) = read(ROW)

    assert (found.issuer, found.format, found.claimed, found.key_id) == ("dcc", "hcert", "AT", b"anchor01")
    assert (found.algorithm, found.public, found.hash_lists) == (-7, SIGNER.public, (3,))
    assert found.kinds < FOREIGN_KINDS


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"kid": "00" * 65}, "kid"),
        ({"kinds": ["person"]}, "kinds"),
        ({"public": "04" + "00" * 64}, "public"),
        ({"public": SIGNER.public[:-1].hex()}, "public"),
        ({"alg": "ES384"}, "public"),
        ({"alg": "EdDSA"}, "public"),
        ({"alg": "PS256"}, "public"),
        ({"not_after": "2025-12-01T00:00:00Z"}, "not_after"),
        ({"claimed": "A\u202eT"}, "claimed"),
    ],
)
def test_a_bad_row_is_named(changes, named):
    """Row and member stand in the message."""
    with pytest.raises(TrustError, match=rf"anchors\[1\]: {named}"):
        read({**ROW, "claimed": "BE"}, {**ROW, **changes})


def test_types_say_what_they_attest():
    """Of the whole document, in its order."""
    (found,) = read(ROW, types=[{"type": "https://x.example/v", "kind": "vaccination"}, {"type": "T", "kind": "test"}])

    assert found.types == (("https://x.example/v", PassKind.VACCINATION), ("T", PassKind.TEST))
    assert read(ROW)[0].types == ()


@pytest.mark.parametrize(
    "types",
    [
        *([{"type": "T", "kind": "person"}], [{"type": "", "kind": "test"}], [{"type": "T"}], {"T": "test"}),
        [{"type": "T", "kind": "test"}, {"type": "T", "kind": "vaccination"}],
    ],
    ids=str,
)
def test_types_that_are_none(types):
    """A kind of passes, none, a type twice."""
    with pytest.raises(TrustError, match=r"types|kind|type"):
        read(ROW, types=types)


def test_an_algorithm_to_come_is_left_out():
    """A gate goes on with what it knows."""
    assert read({**ROW, "alg": "SM2"}) == ()


def test_a_key_stands_once_and_at_most_four_share_an_id():
    """What a gate would try."""
    keys = [{**ROW, "public": Signer(number).public.hex()} for number in range(1, 6)]

    assert len(read(*keys[:4])) == 4
    with pytest.raises(TrustError, match="more than 4"):
        read(*keys)
    with pytest.raises(TrustError, match="twice"):
        read(ROW, ROW)


@pytest.mark.parametrize("members", [{"issuer": "shc"}, {"format": "../x"}, {"hash_lists": [{"list": 3}, {"list": 3}]}])
def test_a_document_of_something_else_is_refused(members):
    """Another issuer's, no format, a list twice."""
    with pytest.raises(TrustError):
        read(ROW, **members)


def test_keys_are_placed_by_format_claimed_issuer_and_id():
    """Where verification looks them up."""
    found = read(ROW, {**ROW, "claimed": ""})

    assert by_place(found).keys() == {("hcert", "AT", b"anchor01"), ("hcert", "", b"anchor01")}
