"""The strict encodings: one byte string for every value."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.codec import base45, cbor, cose
from edge.errors import EncodingRefused

SCALARS = st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=40) | st.text(max_size=40)
KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=8) | st.binary(max_size=8)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=6) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=20
)


@given(VALUES)
def test_every_value_comes_back_from_its_encoding(value):
    """Decoding undoes encoding."""
    assert cbor.decode(cbor.encode(value)) == value


@given(VALUES)
def test_an_independent_decoder_reads_the_same_value(value):
    """cbor2 agrees about what the bytes mean."""
    assert cbor2.loads(cbor.encode(value)) == value


@given(st.binary(max_size=60))
def test_what_decodes_is_the_only_encoding_of_its_value(data):
    """No byte string decodes but the one that encoding the value gives."""
    try:
        value = cbor.decode(data)
    except EncodingRefused:
        return

    assert cbor.encode(value) == data


@pytest.mark.parametrize(
    "data",
    [b"", b"\x18\x17", b"\x19\x00\xff", b"\x1b\x00\x00\x00\x00\xff\xff\xff\xff", b"\x1c", b"\x1f", b"\x5f\x41a\xff",
     b"\x9f\xff", b"\xbf\xff", b"\xc0\x60", b"\xd8\x20\x60", b"\xf9\x00\x00", b"\xfb" + bytes(8), b"\xf7", b"\xf8\xff",
     b"\x61\xff", b"\xa2\x01\x01\x01\x02", b"\xa2\x02\x01\x01\x02", b"\xa1\xf4\x01", b"\xa1\x80\x01", b"\x42a",
    b"\x82\x01",
     b"\x00\x00", b"\x81" * 20 + b"\x00", b"\x9a\xff\xff\xff\xff", b"\xbb" + b"\xff" * 8],
)  # fmt: skip
def test_every_other_form_is_refused(data):
    """Non-minimal, indefinite, tagged, floating, unsorted, repeated, deep, huge or cut: refused."""
    with pytest.raises(EncodingRefused):
        cbor.decode(data)


def test_the_number_of_elements_is_bounded_over_all_levels():
    """Nesting cannot be used to get past the bound."""
    with pytest.raises(EncodingRefused):
        cbor.decode(cbor.encode([[0] * 100] * 50), max_items=4096)


@given(st.binary(max_size=200))
def test_base45_gives_back_what_it_was_given(data):
    """Decoding undoes encoding."""
    assert base45.decode(base45.encode(data)) == data


@given(st.text(alphabet=base45.ALPHABET.decode(), max_size=30))
def test_base45_text_that_decodes_is_the_only_one(text):
    """No two texts stand for the same bytes."""
    try:
        data = base45.decode(text.encode())
    except EncodingRefused:
        return

    assert base45.encode(data) == text.encode()


def test_base45_agrees_with_the_standards_examples():
    """RFC 9285, 4.3 and 4.4."""
    assert base45.encode(b"AB") == b"BB8"
    assert base45.encode(b"Hello!!") == b"%69 VD92EX0"
    assert base45.encode(b"base-45") == b"UJCLQE7W581"
    assert base45.decode(b"QED8WEX0") == b"ietf!"


@pytest.mark.parametrize(
    "text", [b"A", b"AAAA", b"GGW", b":::", b"::", b"bb8", b"BB8\n", b" \n", "ÄÖÜ".encode(), b"BB\x00"]
)
def test_base45_refuses_what_no_encoder_writes(text):
    """Impossible lengths, overflowing groups and characters outside the alphabet."""
    with pytest.raises(EncodingRefused):
        base45.decode(text)


def test_a_signed_message_names_exactly_its_algorithm_and_key():
    """The protected header is read whole and the bytes to be signed are the standard's."""
    protected = cose.protected_header(b"\x07")
    message = cose.parse(cose.assemble(protected, b"payload", bytes(64)))

    assert (message.algorithm, message.key_id, message.payload) == (-8, b"\x07", b"payload")
    assert message.to_be_signed == cbor2.dumps(["Signature1", protected, b"", b"payload"])
