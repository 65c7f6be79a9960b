"""Aadhaar secure QR codes of India: a decimal number, gzip, fields with a photo, an RSA signature (ADR 0048).

UIDAI, "Secure QR Code Specification": all but the last 256 bytes are signed, SHA-256 with RSA. Only name, date of birth
and gender are taken out of it; photo, address and the digits of the number stay where they are.
"""

import re
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from edge.codec.inflate import inflate
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import ForeignCredential, HashKind, Holder, PassKind
from edge.model.trust import RS256
from edge.model.verdict import Reason

NAME: Final = "aadhaar"
SIGNATURE_BYTES: Final = 256
_LEAST_DIGITS: Final = 600
"""A signature of 2048 bits alone has more."""
_MAX_DIGITS: Final = 7089
"""Of the largest QR code (ISO/IEC 18004, table 7)."""
_AT_ONCE: Final = 4000
"""Python turns at most 4300 digits into a number at once."""
_DIGITS: Final = re.compile(rb"[1-9][0-9]*\Z")
_GZIP: Final = b"\x1f\x8b"
_SEPARATOR: Final = b"\xff"
_VERSIONS: Final = (b"V2", b"V3", b"V4")
"""Versions that put their name before the fields of the first; V5 has been seen, and its layout is not published."""
_FIELDS: Final = 16
"""Of the first version: what follows, reference, name, birth, gender, eleven of the address; then the photo."""
_REFERENCE: Final = re.compile(rb"\d{4}(\d{17})\Z")
_INDIA: Final = 19_800
"""India is five and a half hours ahead of UTC, seconds."""
_MAX_NAME: Final = 80


def _opened(raw: bytes) -> bytes | None:
    """Return the bytes a code's number spells, None of anything that is no such number."""
    if not _LEAST_DIGITS < len(raw) <= _MAX_DIGITS or not _DIGITS.match(raw):
        return None
    head, tail = raw[:-_AT_ONCE], raw[-_AT_ONCE:]
    number = int(head or b"0") * 10 ** len(tail) + int(tail)
    data = number.to_bytes(-(-number.bit_length() // 8))
    return data if data.startswith(_GZIP) else None


def _text(value: bytes) -> str:
    # A signed name must not steer a page or a terminal.
    text = value.decode("latin-1").strip()
    return text if text.isprintable() and len(text) <= _MAX_NAME else ""


def _issued(reference: bytes) -> int:
    found = _REFERENCE.match(reference)
    try:
        moment = datetime.strptime(found[1].decode()[:14] + "+0000", "%Y%m%d%H%M%S%z") if found else None
    except ValueError:
        moment = None
    if moment is None:
        raise EncodingRefused("a reference without its time")
    return max(0, int(moment.astimezone(UTC).timestamp()) - _INDIA)


def _credential(data: bytes) -> ForeignCredential:
    content = inflate(data, is_gzip=True)
    signed, signature = content[:-SIGNATURE_BYTES], content[-SIGNATURE_BYTES:]
    fields = signed.split(_SEPARATOR, _FIELDS + 2)
    if fields[0] in _VERSIONS:
        del fields[0]
    if len(fields) < _FIELDS or fields[0] not in {b"0", b"1", b"2", b"3"}:
        raise EncodingRefused("fields are missing")
    _, reference, name, born, gender, *_ = fields
    year = _text(born)[-4:]
    claims: dict[str | int, str] = {"name": _text(name), "birth": _text(born), "gender": _text(gender)}
    return ForeignCredential(
        NAME,
        "",
        b"",
        RS256,
        signed,
        signature,
        PassKind.IDENTITY,
        MappingProxyType(claims),
        _issued(reference),
        holder=Holder(
            claims["name"],
            claims["name"] or None,
            int(year) if len(year) == 4 and year.isascii() and year.isdigit() else None,
        ),
        revocable=(
            (HashKind.SIGNATURE, signature),
            (HashKind.IDENTIFIER, reference),
        ),
    )


class Aadhaar:
    """The secure QR code as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether it is a number whose bytes begin as gzip does."""
        return _opened(raw) is not None

    def parse(self, raw: bytes) -> ForeignCredential:
        """Return the credential.

        Raises:
            CredentialError: `credential.malformed`.
        """
        data = _opened(raw)
        try:
            return _credential(data if data is not None else b"")
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = Aadhaar()
