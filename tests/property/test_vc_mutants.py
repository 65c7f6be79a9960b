"""Verifiable credentials changed by their structure: what is accepted must say what its issuer signed.

Members of header and claims are set, dropped and added, disclosures exchanged, repeated and given other content, under
the genuine signature.
"""

import base64
import json

from hypothesis import given
from hypothesis import strategies as st

from edge.credentials import vc
from tests.simulators.tickets import admitting, judged
from tests.simulators.vc import (
    HEADER,
    VC_ANCHOR,
    b64,
    disclosure,
    make_sd,
    make_w3c,
    text,
    vct_claims,
    w3c_claims,
)

TRUST = admitting(VC_ANCHOR)
CODES = (make_sd(), make_w3c())
PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just([]) | st.just({})


def decoded(part):
    """The JSON of a part."""
    return json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))


@given(
    st.sampled_from(CODES),
    st.sampled_from((0, 1)),
    st.sampled_from([*HEADER, *vct_claims(), *w3c_claims(), "cnf", "crit", "_sd_alg", "status"]),
    PLAIN,
    st.booleans(),
)
def test_members_of_header_and_claims(code, part, name, value, drops):
    """Set, added or dropped: the signature is over every byte of both."""
    token, *shown = code.split(b"~")
    parts = token.split(b".")
    members = decoded(parts[part])
    before = dict(members)
    if drops:
        members.pop(name, None)
    else:
        members[name] = value
    parts[part] = b64(text(members)).encode()
    found = judged(b"~".join((b".".join(parts), *shown)), vc.FORMAT, TRUST)

    assert not found.is_authentic or members == before


@given(
    st.lists(st.sampled_from(CODES[0].split(b"~")[1:-1]) | st.builds(disclosure, PLAIN, PLAIN, PLAIN).map(str.encode)),
    st.sampled_from((b"", b"x", CODES[1])),
)
def test_disclosures_of_an_sd_jwt(shown, binding):
    """In any number and order, foreign ones among them: nothing is disclosed that was not signed."""
    token = CODES[0].split(b"~")[0]
    found = judged(b"~".join((token, *shown, binding)), vc.FORMAT, TRUST)

    if found.is_authentic:
        claims = found.presentation.claims
        assert claims.items() <= vc.FORMAT.parse(CODES[0]).claims.items()
