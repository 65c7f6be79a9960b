"""Tickets, seals, 2D-DOC and Aadhaar codes changed by their structure: what is accepted must be an original.

The changes keep each notation intact (protobuf fields, members of JSON, elements of DER, fields of text), so they get
behind the first check; every signature stays the genuine one.
"""

import gzip
import json
from copy import deepcopy

from hypothesis import given
from hypothesis import strategies as st

from edge.codec.der import elements
from edge.credentials import aadhaar, pretix, twoddoc, vdsnc
from tests.simulators.seals import CSCA_ANCHOR, certificate, make_seal
from tests.simulators.tickets import EVENT, EVENT_ANCHOR, TICKET, admitting, judged, message, ticket_code
from tests.unit import test_aadhaar, test_twoddoc

TICKETS, SEALS = admitting(EVENT_ANCHOR), admitting(CSCA_ANCHOR)
SIGNATURE = EVENT.sign(message(*TICKET)).signature
CERTIFICATE = certificate()
SEAL = make_seal(der=CERTIFICATE)
IDENTITY = vdsnc.FORMAT.parse(SEAL).identity
TEXT = test_twoddoc.header() + test_twoddoc.FIELDS
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just([]) | st.just({})
fields = st.tuples(st.integers(1, 9), st.integers(0, (1 << 64) - 1) | st.binary(max_size=12))


@given(st.lists(fields | st.sampled_from(TICKET), max_size=6), st.permutations(TICKET))
def test_fields_of_a_ticket(added, order):
    """Other fields, more of them, another order."""
    for changed in ((*TICKET, *added), (*added, *TICKET), tuple(added), tuple(order)):
        found = judged(ticket_code(message(*changed), SIGNATURE), pretix.FORMAT, TICKETS)
        assert not found.is_authentic or message(*changed) == message(*TICKET)


def places(value, path=()):
    """Every member and element of JSON, by its path."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        yield from places(part, (*path, name))


PLACES = [path for path in places(json.loads(SEAL)) if path]


@given(st.sampled_from(PLACES), st.sampled_from(("set", "drop", "add", "wrap")), PLAIN, st.text(max_size=4))
def test_members_of_a_seal(path, change, value, name):
    """Set, dropped, added, wrapped, at every place."""
    seal = json.loads(SEAL)
    holder = seal
    for step in path[:-1]:
        holder = holder[step]
    if change == "set":
        holder[path[-1]] = value
    elif change == "drop":
        del holder[path[-1]]
    elif change == "wrap":
        holder[path[-1]] = [deepcopy(holder[path[-1]])]
    elif isinstance(holder, dict):
        holder[name] = value
    found = judged(json.dumps(seal).encode(), vdsnc.FORMAT, SEALS)

    assert not found.is_authentic or found.presentation.identity == IDENTITY


def nested(der, start, end):
    """Every element of DER, from the outside in."""
    for found in elements(der, start, end):
        yield found
        if found.tag & 0x20:
            yield from nested(der, found.start, found.end)


ELEMENTS = list(nested(CERTIFICATE, 0, len(CERTIFICATE)))


@given(st.sampled_from(ELEMENTS), st.sampled_from(ELEMENTS), st.binary(max_size=6))
def test_elements_of_a_seals_certificate(place, other, data):
    """Exchanged for another, cut out, given other content; lengths around it are as they were or do not fit."""
    proof = vdsnc.FORMAT.parse(SEAL).signature
    for put in (other.whole(CERTIFICATE), b"", data, CERTIFICATE[place.begin : place.start] + data):
        changed = CERTIFICATE[: place.begin] + put + CERTIFICATE[place.end :]
        found = judged(make_seal(der=changed, signature=proof), vdsnc.FORMAT, SEALS)
        assert not found.is_authentic or changed == CERTIFICATE


@given(st.integers(0, len(TEXT)), st.integers(0, 4), st.text(st.sampled_from("ABF0123\x1d\x1e\x1f/"), max_size=5))
def test_fields_of_a_2d_doc(place, cut, put):
    """Text cut out and put in anywhere, separators among it."""
    changed = TEXT[:place] + put + TEXT[place + cut :]
    proof = twoddoc.FORMAT.parse(test_twoddoc.GOOD).signature
    found = judged(test_twoddoc.code(changed, proof), twoddoc.FORMAT, test_twoddoc.TRUST)

    assert not found.is_authentic or changed == TEXT


@given(st.permutations(range(8)), st.integers(0, 20), st.binary(max_size=6))
def test_fields_of_an_aadhaar_code(order, place, put):
    """Fields in another order, one of them another."""
    signed = test_aadhaar.content()
    proof = aadhaar.FORMAT.parse(test_aadhaar.GOOD).signature
    parts = signed.split(b"\xff")
    moved = [parts[n] for n in order] + parts[8:]
    replaced = [*parts[:place], put, *parts[place + 1 :]]
    for changed in (b"\xff".join(moved), b"\xff".join(replaced)):
        packed = gzip.compress(changed + proof, 1, mtime=0)
        found = judged(test_aadhaar.number(packed), aadhaar.FORMAT, test_aadhaar.TRUST)
        assert not found.is_authentic or changed == signed
