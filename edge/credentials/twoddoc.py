"""2D-DOC of France: a DataMatrix of text with a header, fields, and an ECDSA signature in Base32 (ADR 0048).

ANTS, "Spécifications techniques des codes à barres 2D-Doc" 3.1.3 and 4: the header names authority, certificate and the
days of issue and signature; header and fields are signed as they stand. What may stand behind the signature (the annex)
is not signed, and not read.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import ForeignCredential, HashKind, Holder, PassKind
from edge.model.trust import ES256, ES384
from edge.model.verdict import Reason

NAME: Final = "twoddoc"
MARK: Final = b"DC0"
_MAX_CODE: Final = 3116
"""Characters of the largest DataMatrix (ISO/IEC 16022, table 7)."""
_HEADER: Final = re.compile(
    rb"DC0(?:[12](?P<a>.{18})|3(?P<b>.{18})\d\d|4(?P<c>.{18})\d\d[A-Z]{2})(?P<fields>[ -~\x1d\x1e]*)"
    rb"\x1f(?P<signature>[A-Z2-7]{103}|[A-Z2-7]{154})(?:\x1d[ -~\x1d\x1e\x1f]*)?\Z",
    re.DOTALL,
)
_NAMED: Final = re.compile(
    rb"(?P<authority>[A-Z]{2}[0-9A-Z]{2})(?P<certificate>[0-9A-Z]{4})[0-9A-F]{4}(?P<signed>[0-9A-F]{4})(?P<type>[0-9A-Z]{2})\Z"
)
_ALGORITHMS: Final = {64: ES256, 96: ES384}
_KINDS: Final = {"B2": PassKind.TEST, "L1": PassKind.VACCINATION}
_EPOCH: Final = 946_684_800
"""2000-01-01T00:00:00Z, from which days are counted."""
_DAY: Final = 86_400
_EARLIEST: Final = 2 * 3600
"""A day in France begins up to two hours before that of UTC."""
_NO_DAY: Final = 0xFFFF
_END: Final = re.compile("[\x1d\x1e]")
_HOLDERS: Final = {"B2": ("F1", "F0", "F2"), "L1": ("L0", "L1", "L2")}
"""By document type: fields of family name, given names and date of birth."""
# Sizes of F0 to F6 and L0 to LA as in the catalogue of specification 4 ("Identifiants de données").
_FIXED: Final = {"F2": 8, "F3": 1, "F5": 1, "F6": 12, "L2": 8, "L7": 1, "L8": 1, "L9": 8, "LA": 2}
_LONGEST: Final = {"F0": 60, "F1": 38, "F4": 7, "L0": 80, "L1": 80, "L3": 30, "L4": 15, "L5": 30, "L6": 30}
"""Characters of fields that stand without a separator, and of those that need none where they are full."""


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Yield fields of the two health types; from a field on that is of neither, nothing can be told apart."""
    while len(text) > 2:  # characters of a field's name
        name, text = text[:2], text[2:]
        if name in _FIXED:
            yield name, text[: _FIXED[name]]
            text = text[_FIXED[name] :]
        elif name in _LONGEST:
            end = _END.search(text, 0, _LONGEST[name] + 1)
            yield name, text[: end.start() if end else _LONGEST[name]]
            text = text[end.end() if end else _LONGEST[name] :]
        else:
            return


def _holder(kind: str, text: str) -> Holder | None:
    if kind not in _HOLDERS:
        return None
    found = dict(_fields(text))
    surname, given, born = (found.get(name, "").strip() for name in _HOLDERS[kind])
    full = " ".join(part for part in (given.replace("/", " "), surname) if part)
    year = int(born[4:]) if len(born) == _FIXED["F2"] and born.isdigit() else None
    return Holder(surname, full, year) if full else None


def _signature(text: bytes) -> bytes:
    try:
        found = base64.b32decode(text + b"=" * (-len(text) % 8))
    except (binascii.Error, ValueError):
        raise EncodingRefused("not Base32") from None
    if base64.b32encode(found).rstrip(b"=") != text:
        raise EncodingRefused("a second spelling of Base32")
    return found


def _credential(raw: bytes) -> ForeignCredential:
    whole = _HEADER.match(raw) if len(raw) <= _MAX_CODE else None
    named = _NAMED.match(whole["a"] or whole["b"] or whole["c"]) if whole else None
    if whole is None or named is None:
        raise EncodingRefused("no 2D-DOC")
    signature = _signature(whole["signature"])
    kind, text = named["type"].decode(), whole["fields"].decode()
    day = int(named["signed"], 16)
    if day == _NO_DAY:
        raise EncodingRefused("without the day of its signature")
    return ForeignCredential(
        NAME,
        named["authority"].decode(),
        named["certificate"],
        _ALGORITHMS[len(signature)],
        raw[: whole.end("fields")],
        signature,
        _KINDS.get(kind, PassKind.STATEMENT),
        MappingProxyType({"type": kind, "fields": text}),
        _EPOCH + day * _DAY - _EARLIEST,
        holder=_holder(kind, text),
        # The other s of an ECDSA signature is the same code: R alone counts.
        revocable=((HashKind.SIGNATURE, signature[: len(signature) // 2]),),
    )


class TwoDDoc:
    """The 2D-DOC as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether it begins with `DC0` and has the mark before a signature."""
        return raw.startswith(MARK) and b"\x1f" in raw

    def parse(self, raw: bytes) -> ForeignCredential:
        """Return the 2D-DOC.

        Raises:
            CredentialError: `credential.malformed`.
        """
        try:
            return _credential(raw)
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = TwoDDoc()
