"""What foreign credentials claim of issuer, times and holder, brought into bounds before anybody sees it.

Nothing here is believed: a time may be any number, a name any text. What is shown is printable and short.
"""

from typing import Any, Final

from edge.errors import EncodingRefused
from edge.model.credential import HashKind, Holder

_MAX_TIME: Final = 1 << 40
_MAX_NAME: Final = 80
_MAX_ISSUER: Final = 200


def seconds(value: Any) -> int | None:
    """Return a claimed time as whole Unix seconds, clamped; None for none.

    Args:
        value: A finite number, or None.

    Raises:
        EncodingRefused: It is of another type.
    """
    if value is None:
        return None
    if type(value) not in {int, float}:
        raise EncodingRefused("a time is no number")
    # Finite already; clamped, so that nothing later can overflow.
    return min(max(int(value), 0), _MAX_TIME)


def text(value: Any) -> str:
    """Return a text that may be shown, or the empty one: a signed name must not steer a page or a terminal."""
    return value.strip() if type(value) is str and value.isprintable() and len(value) <= _MAX_NAME else ""


def issuer(value: Any) -> str:
    """Return a claimed issuer.

    Raises:
        EncodingRefused: It is no printable text of at most 200 characters.
    """
    if type(value) is not str or not (value.isprintable() and len(value) <= _MAX_ISSUER):
        raise EncodingRefused("the issuer is no short text")
    return value


def holder(surname: str, given: str, born: Any) -> Holder:
    """Return whom a credential speaks of.

    Args:
        surname: Family name as `text` returns it.
        given: Given names likewise.
        born: Date of birth that begins with the year, or anything else.
    """
    full = f"{given} {surname}" if given and surname else given or surname
    year = text(born)[:4]
    is_year = len(year) == 4 and year.isascii() and year.isdigit()
    return Holder(surname, full or None, int(year) if is_year else None)


def revoked_by(signature: bytes, identifier: str = "") -> tuple[tuple[HashKind, bytes], ...]:
    """Return what of a credential is hashed in lists of revoked ones.

    Args:
        signature: r||s or R||S; only its first half counts: (r, n - s) would be another name of the same credential.
        identifier: The identifier the format gives it, or empty.
    """
    found = ((HashKind.SIGNATURE, signature[: len(signature) // 2]),)
    return (*found, (HashKind.IDENTIFIER, identifier.encode())) if identifier else found
