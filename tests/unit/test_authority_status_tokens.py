"""Status List Tokens: what of a list reaches gates, and files that are none."""

import json
import zlib
from hashlib import sha256

import pytest

from edge.authority.revoked_sources import Wish, read
from edge.errors import PublicationError
from edge.model.credential import HashKind
from tests.simulators.vc import b64, signed

URI = "https://issuer.example/list"
HEADER = {"alg": "ES256", "typ": "statuslist+jwt"}


def token(entries=b"\x00\x41\x80", bits=1, header=HEADER, **changes):
    """A signed token."""
    said = {"sub": URI, "exp": 1900000000, "status_list": {"bits": bits, "lst": b64(zlib.compress(entries))}, **changes}
    return signed({name: value for name, value in said.items() if value is not None}, header).encode()


def hashes(*indices):
    """Digests of places."""
    return frozenset(sha256(f"{URI}#{index}".encode()).digest() for index in indices)


@pytest.mark.parametrize(("bits", "indices"), [(1, (8, 14, 23)), (2, (4, 7, 11)), (4, (2, 3, 5)), (8, (1, 2))], ids=str)
def test_what_is_not_valid_is_listed(bits, indices):
    """Invalid and suspended ones alike, least significant bits first (Token Status List, 4.1)."""
    (batch,) = read(token(bits=bits), "file", Wish())

    assert (batch.kind, batch.expires_at, batch.digests) == (HashKind.IDENTIFIER, 1900000000, hashes(*indices))


def test_a_line_break_at_the_end_and_a_token_without_an_end():
    """As files are."""
    (batch,) = read(token(exp=None) + b"\n", "file", Wish())

    assert (batch.expires_at, batch.digests) == (None, hashes(8, 14, 23))


@pytest.mark.parametrize(
    "changes",
    [
        *({"sub": None}, {"sub": 5}, {"exp": "x"}, {"status_list": None}, {"status_list": []}, {"bits": 3}),
        {"status_list": {"bits": 1, "lst": "?"}},
        {"status_list": {"bits": 1, "lst": b64(b"x")}},
    ],
    ids=str,
)
def test_a_token_that_is_none_is_named(changes):
    """With what to do; nothing of it is repeated."""
    with pytest.raises(PublicationError, match="file is no status list token") as refused:
        read(token(**changes), "file", Wish())
    assert refused.value.next_step


def test_other_tokens_are_no_lists():
    """By the type of the header."""
    for typ in ("JWT", None, ["statuslist+jwt"], {}):
        with pytest.raises(PublicationError, match="line 1"):
            read(token(header={"alg": "ES256", "typ": typ}), "file", Wish())


def test_lines_of_uris_are_identifiers():
    """A credential's id, and its place in a list."""
    lines = f"{URI}/1?x=1\n{URI}#5\nurn:uuid:1b4e-28ba\n\ndid:web:a.example#k\n"
    (batch,) = read(lines.encode(), "file", Wish())

    assert len(batch.digests) == 4
    assert hashes(5) <= batch.digests


@pytest.mark.parametrize(
    "line", ["https://a b", "ftp://x.example", '"https://x.example"', "https:", json.dumps({})[:1]]
)
def test_a_line_that_is_no_uri(line):
    """Named by its number."""
    with pytest.raises(PublicationError):
        read(line.encode(), "file", Wish())
