"""What every credential format promises (edge.credentials.format.Format), held against each that is installed."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.codec import base45
from edge.credentials.format import parse
from edge.errors import CredentialError
from edge.gate.formats import load_formats
from edge.model.verdict import Reason
from tests.simulators.claim169 import make_id
from tests.simulators.foreign import make_hcert
from tests.simulators.nzcp import make_nzcp
from tests.simulators.seals import make_seal
from tests.simulators.shc import make_shc
from tests.simulators.tickets import make_ticket
from tests.simulators.vc import make_sd, make_w3c
from tests.simulators.world import HOLDER, make_pass, shown_live
from tests.unit.test_aadhaar import GOOD as UIDAI_GOOD
from tests.unit.test_divoc import GOOD as DIVOC_GOOD
from tests.unit.test_twoddoc import GOOD as TWODDOC_GOOD

FORMATS = load_formats()
LARGEST = 4296
GOOD = {
    "aadhaar": [UIDAI_GOOD],
    "claim169": [make_id()],
    "divoc": [DIVOC_GOOD],
    "document": [b"11010519491231002X"],
    "hcert": [make_hcert()],
    "hp1": [make_pass()],
    "hl1": [shown_live(make_pass(holder=HOLDER))],
    "nzcp": [make_nzcp()],
    "pretix": [make_ticket()],
    "shc": [make_shc()],
    "server_token": [
        b'{"label":"yss"}',
        b"0" * 64,
        b"f" * 64 + b":3",
        base64.b64encode(b"JKM1440000GBGS".ljust(201, b"\0")),
    ],
    "twoddoc": [TWODDOC_GOOD],
    "vc": [make_sd(), make_w3c()],
    "vdsnc": [make_seal()],
}
every_format = pytest.mark.parametrize("known", FORMATS, ids=[known.name for known in FORMATS])


def test_formats_are_found_by_their_entry_points_with_the_national_pass_first():
    """Built-ins are registered as strangers are, each under its own name."""
    names = [known.name for known in FORMATS]

    assert names[0] == "hp1"
    assert sorted(names) == sorted(set(names))
    assert set(names) >= GOOD.keys()


@every_format
def test_a_format_reads_its_own_codes_and_gives_equal_codes_equal_identities(known):
    """What is presented twice is the same credential."""
    for raw in GOOD[known.name]:
        assert known.recognises(raw)
        assert known.parse(raw).format == known.name
        assert known.parse(raw).identity == known.parse(raw).identity


@every_format
def test_a_code_is_read_by_its_own_format_among_all(known):
    """No other that is asked before it takes it."""
    for raw in GOOD[known.name]:
        assert parse(raw, FORMATS).format == known.parse(raw).format


@every_format
@given(raw=st.binary(max_size=300))
@example(raw=b"HP1:")
@example(raw=b"HL1:")
@example(raw=b"HL1:" + b"A" * LARGEST)
@example(raw=b"HC1:" + b"A" * LARGEST)
@example(raw=b"HP1:" + b"A" * LARGEST)
@example(raw=b"{" * LARGEST)
@example(raw=b'{"label":"yss"' + b"[" * LARGEST)
@example(raw=b"\xff" * LARGEST)
@example(raw=b"6BF" + b"A" * LARGEST)
@example(raw=b"shc:/" + b"5" * LARGEST)
@example(raw=b"NZCP:/1/" + b"A" * LARGEST)
def test_a_format_refuses_in_its_own_words_and_raises_nothing_else(known, raw):
    """Any bytes: a presentation, or a refusal with a reason that never accepts."""
    assert isinstance(known.recognises(raw), bool)
    reason = None
    try:
        known.parse(raw)
    except CredentialError as refusal:
        reason = refusal.reason

    assert reason is not Reason.OK


@given(st.binary(max_size=200))
def test_a_refusal_says_nothing_of_what_was_shown(data):
    """No byte of the code stands in the error."""
    raw = b"HP1:" + base45.encode(data)
    with pytest.raises(CredentialError) as refused:
        parse(raw, FORMATS)

    assert str(refused.value) in {reason.value for reason in Reason}
