"""Every character of a code of every format by each other of its alphabet: refused, or the same signed bytes.

Law 6 of the line (docs/architecture.md); national passes, live ones and slips are walked beside their own tests by all
256 values, as are the messages within. Here it is the text of the symbol, as a camera could misread or a forger reprint
it.
"""

import pytest

from edge.credentials.format import parse
from edge.model.verdict import Reason
from edge.policy.examine import examine
from tests.property.test_mutants import admitted
from tests.simulators.codes import CODES
from tests.unit import test_sm2

_BASE45 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_PRINTABLE = bytes(range(32, 127))
_OUTSIDE = b"\x00\n\x1d\xff"
ALPHABETS = {
    "hcert, ES256": _BASE45,
    "hcert, PS256": _BASE45,
    "shc": b"0123456789",
    "nzcp": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=",
    "claim169, EdDSA": _BASE45,
    "pretix": b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_",
    "vdsnc": b'"\\{}[]:,01aZ_-=/ ',
    "vc": b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~",
    "vc, W3C": b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~",
    "twoddoc": _PRINTABLE,
    "aadhaar": b"0123456789",
}
"""What each is written in; of a seal's, JSON, what gives it its shape (its own tests flip bits of every character)."""


def walked(name: str, values: bytes) -> list[tuple[int, int]]:
    """Return each place and value that is accepted as another credential, or is a fault of ours."""
    code, context = CODES[name].code, admitted(name)
    identity = parse(code, context.formats).identity
    changed, wrong = bytearray(code), []
    for place, original in enumerate(code):
        for value in values:
            changed[place] = value
            found = examine(bytes(changed), context)
            is_other = found.is_authentic and found.presentation.identity != identity
            if is_other or found.reason is Reason.INTERNAL_FAULT:
                wrong.append((place, value))
        changed[place] = original
    return wrong


def test_every_format_has_its_walk():
    """A format that is added is walked too."""
    assert ALPHABETS.keys() == CODES.keys()


@pytest.mark.parametrize("name", ALPHABETS)
def test_law_6_a_code_with_one_other_character_is_no_other_credential(name):
    """Its alphabet, and what stands outside of every one, at every place."""
    assert walked(name, ALPHABETS[name] + _OUTSIDE) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ALPHABETS)
def test_law_6_a_code_with_one_other_byte_is_no_other_credential(name):
    """All 256 values at every place."""
    assert walked(name, bytes(range(256))) == []


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_law_6_an_sm2_pass_with_one_other_byte_is_refused():
    """All 255 other values at every place; the short test walks some."""
    code, accepts = test_sm2.sm2_pass(), test_sm2.verdict
    wrong = [
        (place, value)
        for place, original in enumerate(code)
        for value in range(256)
        if value != original and accepts(code[:place] + bytes((value,)) + code[place + 1 :])[0] == "accept"
    ]

    assert wrong == []
