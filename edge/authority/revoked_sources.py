"""Files in which other systems publish what they revoked, to hashes by kind, as gates look them up.

A reader takes a file by its shape: revocation batches of the EU's gateway, card revocation lists of SMART Health Cards,
Status List Tokens, or lines. A row that cannot be read is named by its place, never by what it says: an identifier may
be a person's.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from edge.authority import card_revocation, status_tokens
from edge.errors import EncodingRefused, PublicationError
from edge.model.credential import HashKind
from edge.policy.certlogic import time_of

KEPT_BYTES: Final = 16
"""What the EU's batches have of each SHA-256, and so what is kept of every one."""
_TYPES: Final = {
    "SIGNATURE": HashKind.SIGNATURE,
    "UCI": HashKind.IDENTIFIER,
    "COUNTRYCODEUCI": HashKind.COUNTRY_AND_IDENTIFIER,
}
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{32}){1,2}", re.ASCII)
_UVCI: Final = re.compile(r"[0-9A-Za-z]+:[0-9A-Za-z:/#]{1,80}", re.ASCII)
_URI: Final = re.compile(r"(?:https?|urn|did):[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,400}", re.ASCII)
"""What names a verifiable credential, or its place in a status list (RFC 3986, 2)."""
_NEXT: Final = "Correct the file, or fetch it again from its issuer; nothing was changed."


@dataclass(frozen=True, slots=True)
class Wish:
    """What the authority says of a file of lines.

    Attributes:
        kind: What the hashes of its lines are of; None: as an identifier's line says.
        country: Country of issue that is hashed with each identifier, or empty.
    """

    kind: HashKind | None = None
    country: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one part of a file revokes.

    Attributes:
        kind: What is hashed.
        expires_at: Unix seconds until which it counts, or None.
        digests: SHA-256, or the first 16 bytes of it.
    """

    kind: HashKind
    expires_at: int | None
    digests: frozenset[bytes]


def read(data: bytes, place: str, wish: Wish) -> list[Batch]:
    """Return what a file revokes.

    Args:
        data: Its bytes.
        place: Its name, for messages.
        wish: What is said of lines.

    Raises:
        PublicationError: A row is of none of the forms; it is named.
    """
    if status_tokens.claims(data):
        token = status_tokens.read(data, place)
        return [Batch(HashKind.IDENTIFIER, token.expires_at, token.digests)]
    if not data.lstrip().startswith((b"{", b"[")):
        return list(_lines(data, place, wish))
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PublicationError(f"{place} is no JSON.", _NEXT) from error
    rows = found if isinstance(found, list) else [found]
    return [_of_json(row, f"{place} [{number}]" if rows is found else place) for number, row in enumerate(rows)]


def _of_json(row: Any, place: str) -> Batch:
    if isinstance(row, dict) and "rids" in row:
        digests = card_revocation.digests(json.dumps(row).encode(), place)
        return Batch(HashKind.IDENTIFIER, None, frozenset(digests))
    if not isinstance(row, dict) or not isinstance(row.get("entries"), list):
        raise PublicationError(f"{place} is neither a revocation batch nor a card revocation list.", _NEXT)
    kind = _TYPES.get(row.get("hashType", "")) if isinstance(row.get("hashType"), str) else None
    if kind is None:
        raise PublicationError(f"{place}: hashType must be one of {', '.join(_TYPES)}.", _NEXT)
    digests = (_entry(entry, f"{place} entries[{number}]") for number, entry in enumerate(row["entries"]))
    return Batch(kind, _expiry(row.get("expires"), place), frozenset(digests))


def _entry(entry: Any, place: str) -> bytes:
    text = entry.get("hash") if isinstance(entry, dict) else None
    try:
        found = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (ValueError, binascii.Error):
        found = b""
    if len(found) not in {KEPT_BYTES, sha256().digest_size}:
        raise PublicationError(f"{place}: hash is not 16 or 32 bytes in Base64.", _NEXT)
    return found


def _expiry(value: Any, place: str) -> int:
    try:
        return int(time_of(value if isinstance(value, str) else "").timestamp())
    except EncodingRefused as error:
        raise PublicationError(f"{place}: expires must be a time such as 2026-01-31T08:00:00Z.", _NEXT) from error


def _lines(data: bytes, place: str, wish: Wish) -> Iterator[Batch]:
    found: dict[HashKind, set[bytes]] = {}
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), 1):
        text = line.strip()
        if not text:
            continue
        if _HEX.fullmatch(text) and wish.kind is not None:
            found.setdefault(wish.kind, set()).add(bytes.fromhex(text))
        elif (_UVCI.fullmatch(text) or _URI.fullmatch(text)) and wish.kind is not HashKind.SIGNATURE:
            kind = HashKind.COUNTRY_AND_IDENTIFIER if wish.country else HashKind.IDENTIFIER
            found.setdefault(kind, set()).add(sha256(f"{wish.country}{text}".encode()).digest())
        else:
            wanted = "a certificate's identifier, or with --kind a SHA-256 of 32 or 64 hexadecimal digits"
            raise PublicationError(f"{place}, line {number} is not {wanted}.", _NEXT)
    for kind, digests in found.items():
        yield Batch(kind, None, frozenset(digests))
