"""Status List Tokens as JWTs (Token Status List, 5.1) to the hashes by which gates look verifiable credentials up.

A list has a bit or more for every credential of an issuer, a gate's list of hashes only those that do not hold. The
token's signature is not checked: as with every file of another system, where it comes from is for whoever brings it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from edge.codec import base64url, sd_jwt
from edge.errors import EncodingRefused, ListRefused, PublicationError
from edge.trust import status_list

_TYPE: Final = "statuslist+jwt"
_COMPACT: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_NEXT: Final = "Fetch it again from its issuer; nothing was changed."


@dataclass(frozen=True, slots=True)
class StatusToken:
    """One token.

    Attributes:
        expires_at: Unix seconds until which it counts, or None.
        digests: SHA-256 of `URI#INDEX` for each credential that is not valid, suspended ones among them.
    """

    expires_at: int | None
    digests: frozenset[bytes]


def claims(data: bytes) -> bool:
    """Whether a file is a JWT that names the type of such a token."""
    try:
        found = sd_jwt.header_of(data.strip()).get("typ") if _COMPACT.fullmatch(data.strip()) else None
    except EncodingRefused:
        return False
    return isinstance(found, str) and found.removeprefix("application/") == _TYPE


def read(data: bytes, place: str) -> StatusToken:
    """Return what a token says.

    Args:
        data: Its compact form.
        place: Its name, for messages.

    Raises:
        PublicationError: It is no such token.
    """
    try:
        said = sd_jwt.open_token(data.strip()).claims
        members: Any = said.get("status_list")
        uri, expires_at = said.get("sub"), said.get("exp")
        packed = members.get("lst") if isinstance(members, dict) else None
        if not isinstance(uri, str) or not isinstance(packed, str) or type(expires_at) not in {int, type(None)}:
            raise PublicationError(f"{place} is no status list token: it needs sub and status_list.", _NEXT)
        listed = status_list.from_members(
            {**members, "lst": base64url.decode(packed.encode("ascii", "replace"))}, place
        )
    except (EncodingRefused, ListRefused) as error:
        raise PublicationError(f"{place} is no status list token: {error.message}", _NEXT) from error
    places = _not_valid(listed.entries, listed.bits)
    return StatusToken(expires_at, frozenset(sha256(f"{uri}#{index}".encode()).digest() for index in places))


def _not_valid(entries: bytes, bits: int) -> Iterator[int]:
    per_byte = 8 // bits
    for place, byte in enumerate(entries):
        if byte:
            yield from (place * per_byte + slot for slot in range(per_byte) if byte >> slot * bits & (1 << bits) - 1)
