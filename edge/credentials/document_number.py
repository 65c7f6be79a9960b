"""The number of a resident's identity document, read by a hand scanner or typed: a fallback, never a pass.

A number says who, and nothing of health or of the person before the gate; whoever shows it is referred, and that is a
verdict of its own. The number is not stored: an entry states the format and the reason alone.
"""

import re
from datetime import date
from typing import Final

from edge.errors import CredentialError
from edge.model.credential import ServerToken
from edge.model.verdict import Reason

NAME: Final = "document"
_FORM: Final = re.compile(rb"[1-9][0-9]{5}((?:18|19|20)[0-9]{2})([0-9]{2})([0-9]{2})[0-9]{3}[0-9X]")
_CHECKS: Final = b"10X98765432"


def is_document_number(raw: bytes) -> bool:
    """Whether these are 18 characters of a resident's identity number with its check character (GB 11643-1999)."""
    match = _FORM.fullmatch(raw)
    if match is None:
        return False
    try:
        date(*(int(part) for part in match.groups()))
    except ValueError:
        return False
    # GB 11643-1999, 6: ISO 7064 MOD 11-2 over the first 17 digits.
    total = sum((digit - ord("0")) * pow(2, 17 - place, 11) for place, digit in enumerate(raw[:17]))
    return _CHECKS[total % 11] == raw[17]


class DocumentNumbers:
    """Numbers of identity documents as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether it is such a number."""
        return is_document_number(raw)

    def parse(self, raw: bytes) -> ServerToken:
        """Return what it is; the number itself goes no further than the comparison of two showings.

        Raises:
            CredentialError: `credential.foreign` where it is no such number.
        """
        if not is_document_number(raw):
            raise CredentialError(Reason.CREDENTIAL_FOREIGN)
        return ServerToken(NAME, "resident_id", "", raw)


FORMAT: Final = DocumentNumbers()
