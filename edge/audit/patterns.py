"""What looks like a code or a number of an identity document, with nobody planted.

Codes are known by their beginning and the characters that follow; resident identity numbers (GB 11643-1999) by their
province, their date of birth and their check character, so that one in eleven other numbers of that shape remains.
"""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

LONGEST: Final = 1024
"""So many bytes are looked at together at most."""
CODE: Final = "raw code"
NUMBER: Final = "identity number"

_CODES: Final = {
    head: re.compile(re.escape(head) + rest)
    for heads, rest in (
        ((b"HP1:", b"HL1:", b"HC1:", b"NZCP:/1/"), rb"[0-9A-Z $%*+\-./:]{40}"),
        ((b"shc:/", b"SHC:/"), rb"[0-9]{60}"),
        ((b"DC01", b"DC02", b"DC03", b"DC04"), rb"[0-9A-Z]{40}"),
    )
    for head in heads
}
"""How a code begins, and what follows: nothing shorter is one."""
_DIGITS: Final = 17
_NUMBER: Final = re.compile(
    rb"(?:1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3])[0-9]{4}(?:19|20)[0-9]{2}"
    rb"(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx](?![0-9])"
)
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK: Final = b"10X98765432"


def find(data: bytes) -> Iterator[tuple[int, str, str]]:
    """Give the place of whatever looks like one, with what it looks like."""
    for head, code in _CODES.items():
        at = data.find(head)
        while at >= 0:
            if code.match(data, at):
                yield at, CODE, head.decode("ascii")
            at = data.find(head, at + 1)
    for at in _digits(data):
        number = _NUMBER.match(data, at)
        if number is not None and _checks(number[0]):
            yield at, NUMBER, "digits"


def _digits(data: bytes) -> list[int]:
    """Return where a row of at least so many digits begins."""
    # Below 10 only where it is one: bytes before "0" wrap around.
    run = (np.frombuffer(data, np.uint8) - np.uint8(48)) < 10  # noqa: PLR2004 - digits
    is_digit = run
    if run.size < _DIGITS:
        return []
    for step in (1, 2, 4, 8, 1):
        # Now a mark says that as many digits as before and so many more begin there.
        run = run[:-step] & run[step:]
    begins = run.copy()
    begins[1:] &= ~is_digit[: run.size - 1]
    found: list[int] = np.flatnonzero(begins).tolist()
    return found


def _checks(number: bytes) -> bool:
    """Whether the check character is the one of the digits (GB 11643-1999, ISO 7064 MOD 11-2)."""
    weighed = sum(weight * (digit - 48) for weight, digit in zip(_WEIGHTS, number[:17], strict=True))
    return number[17:].upper() == _CHECK[weighed % 11 : weighed % 11 + 1]
