"""The last four characters of an identity document, compared with what a national pass says of them.

A pass may hold them plain; it always holds three bytes of a hash, which eleven thousand guesses find: a hint for staff,
never a proof. Whoever asks must bound the guesses; that is left to `edge.gate.tails`.
"""

import hmac
import re
from hashlib import sha256
from typing import Final

from edge.model.credential import PersonClaims, TravelClaims

TAG_BYTES: Final = 3
_FORM: Final = re.compile("[0-9A-Z]{4}")


def tail_of(typed: str) -> str | None:
    """Return what was typed in the form that passes hold, None where it is no four digits and letters."""
    # Document numbers end in a capital X; full-width digits and the like are no form of it.
    tail = typed.strip().upper()
    return tail if _FORM.fullmatch(tail) else None


def tail_tag(pseudonym: bytes, tail: str) -> bytes:
    """Return the tag of a pass, `SHA-256(pseudonym || tail)[:3]` (docs/adr/0006-national-pass.md).

    Args:
        pseudonym: 6 bytes.
        tail: As `tail_of` gives it.
    """
    return sha256(pseudonym + tail.encode()).digest()[:TAG_BYTES]


def is_tail_of(claims: PersonClaims | TravelClaims, tail: str) -> bool:
    """Whether a document ends as a pass says, in a time that tells nothing of how much of it agrees.

    Args:
        claims: The claims of a pass whose signature verified.
        tail: As `tail_of` gives it.
    """
    plain = claims.id_tail if isinstance(claims, PersonClaims) else None
    agrees = hmac.compare_digest(tail_tag(claims.pseudonym, tail), claims.tag)
    # Both must agree: the tag alone also fits four characters that are not the document's.
    return agrees & hmac.compare_digest((tail if plain is None else plain).encode(), tail.encode())
