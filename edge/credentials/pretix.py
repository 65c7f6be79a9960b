"""Tickets of pretix, scheme `pretix_sig1`: reversed base64 of a protobuf message with an Ed25519 signature (ADR 0048).

One byte 1, two lengths of 16 bits, the message, the signature. It names neither issuer nor key: the key is the event's.
Whether the ticket's item is let in here, and how often, is left to policy.
"""

from types import MappingProxyType
from typing import Any, Final

from edge.codec import base64_strict, protobuf
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import ForeignCredential, HashKind, PassKind
from edge.model.trust import EDDSA
from edge.model.verdict import Reason

NAME: Final = "pretix"
VERSION: Final = 1
_HEAD: Final = 5
_SIGNATURE_BYTES: Final = 64
_MAX_MESSAGE: Final = 255
_MAX_CODE: Final = -(-(_HEAD + _MAX_MESSAGE + _SIGNATURE_BYTES) // 3) * 4
_SEED, _ITEM, _VARIATION, _SUBEVENT, _FROM, _UNTIL = range(1, 7)
_NAMES: Final = MappingProxyType(
    {_ITEM: "item", _VARIATION: "variation", _SUBEVENT: "subevent", _FROM: "valid_from", _UNTIL: "valid_until"}
)
_MAX_TIME: Final = 1 << 40
_MAX_NUMBER: Final = (1 << 63) - 1


def _opened(raw: bytes) -> tuple[bytes, bytes] | None:
    """Return message and signature of a ticket, None of anything else."""
    if len(raw) > _MAX_CODE:
        return None
    try:
        data = base64_strict.decode(raw[::-1])
    except EncodingRefused:
        return None
    size = int.from_bytes(data[1:3])
    fits = len(data) == _HEAD + size + _SIGNATURE_BYTES and int.from_bytes(data[3:_HEAD]) == _SIGNATURE_BYTES
    if not fits or data[0] != VERSION or size > _MAX_MESSAGE:
        return None
    return data[_HEAD : _HEAD + size], data[_HEAD + size :]


def _claims(message: bytes) -> dict[str | int, Any]:
    fields = protobuf.decode(message)
    seed = fields.pop(_SEED, b"")
    if type(seed) is not bytes or not seed or not fields.keys() <= _NAMES.keys():
        raise EncodingRefused("no ticket")
    if any(type(value) is not int or value > _MAX_NUMBER for value in fields.values()):
        raise EncodingRefused("a field is no number, or a negative one")
    try:
        text = seed.decode()
    except UnicodeDecodeError:
        raise EncodingRefused("the ticket's name is no text") from None
    return {"seed": text, **{_NAMES[number]: value for number, value in fields.items()}}


class Pretix:
    """The ticket as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code is reversed base64 of version 1 with lengths that fit it."""
        return _opened(raw) is not None

    def parse(self, raw: bytes) -> ForeignCredential:
        """Return the ticket.

        Raises:
            CredentialError: `credential.malformed`.
        """
        opened = _opened(raw)
        if opened is None:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED)
        message, signature = opened
        try:
            claims = _claims(message)
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None
        # pretix writes 0 where a ticket is not bounded.
        first, last = (min(claims.get(name, 0), _MAX_TIME) or None for name in ("valid_from", "valid_until"))
        return ForeignCredential(
            NAME,
            "",
            b"",
            EDDSA,
            message,
            signature,
            PassKind.TICKET,
            MappingProxyType(claims),
            first,
            last,
            revocable=((HashKind.IDENTIFIER, claims["seed"].encode()),),
        )


FORMAT: Final = Pretix()
