"""MOSIP identity codes with CWT claim 169: Base45, zlib, COSE_Sign1, no prefix (Claim 169 QR code, ADR 0047).

Signed with EdDSA or ES256. An unsigned code (an empty signature) parses and is never authentic; an encrypted one
(COSE_Encrypt0) is refused: its key would open and make every code, and every gate would hold it.
"""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from edge.codec import base45, foreign_cbor
from edge.codec.cose import Sign1
from edge.codec.foreign_cose import open_sign1
from edge.codec.inflate import inflate
from edge.credentials import claimed
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import ForeignCredential, Holder, PassKind
from edge.model.verdict import Reason

NAME: Final = "claim169"
ISS, EXP, NBF, IAT = 1, 4, 5, 6
IDENTITY: Final = 169
ID, FULL_NAME, BORN = 1, 4, 8
_PARTS: Final = (5, 6, 7)
"""First, middle and last name."""
_ALGORITHMS: Final = frozenset((-7, -8))
# The two bytes that begin a zlib stream at each level, as Base45 spells them.
_STARTS: Final = frozenset(base45.encode(bytes((0x78, level))) for level in (0x01, 0x5E, 0x9C, 0xDA))
_ENCRYPTED: Final = (b"\xd0\x83", b"\xd8\x3d\xd0\x83")
"""COSE_Encrypt0, as a CWT or not."""
_COSE: Final = (b"\xd2\x84", b"\xd0\x83", b"\x84", b"\xd8\x3d")
"""COSE_Sign1, COSE_Encrypt0, an untagged COSE_Sign1, a CWT."""
_LOOKED_AT: Final = 300
"""Characters inflated to recognise a code: the tables of deflate take some 100 bytes at most."""


def identity_of(payload: bytes) -> dict[Any, Any]:
    """Return the CWT claims of a payload, the identity among them.

    Raises:
        EncodingRefused: It holds none.
    """
    claims = foreign_cbor.decode(payload)
    if type(claims) is not dict or type(claims.get(IDENTITY)) is not dict:
        raise EncodingRefused("the payload holds no claim 169")
    return claims


def _holder(identity: Mapping[Any, Any]) -> Holder:
    for number in (ID, FULL_NAME, *_PARTS, BORN):
        if type(identity.get(number, "")) is not str:
            raise EncodingRefused("a name, an id or a date of birth is no text")
    parts = [claimed.text(identity.get(number)) for number in _PARTS]
    # Many identities hold the full name alone; which part of it is the surname they do not say.
    full = claimed.text(identity.get(FULL_NAME)) or " ".join(part for part in parts if part)
    return replace(claimed.holder("", full, identity.get(BORN)), surname=parts[-1])


def _begins(claims: Mapping[Any, Any]) -> int | None:
    times = [claimed.seconds(claims[name]) for name in (NBF, IAT) if claims.get(name) is not None]
    return max((time for time in times if time is not None), default=None)


def _credential(message: Sign1) -> ForeignCredential:
    if message.algorithm not in _ALGORITHMS:
        raise EncodingRefused("the algorithm is neither EdDSA nor ES256")
    claims = identity_of(message.payload)
    identity = claims[IDENTITY]
    holder = _holder(identity)
    return ForeignCredential(
        NAME,
        claimed.issuer(claims.get(ISS, "")),
        message.key_id,
        message.algorithm,
        message.to_be_signed,
        message.signature,
        PassKind.IDENTITY,
        MappingProxyType(claims),
        _begins(claims),
        claimed.seconds(claims.get(EXP)),
        holder,
        claimed.revoked_by(message.signature, identity.get(ID, "")),
    )


class Claim169:
    """The MOSIP identity code as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code is Base45 of a zlib stream that begins as a COSE message does."""
        if raw[:3] not in _STARTS:
            return False
        try:
            start = base45.decode(raw[:_LOOKED_AT])
            return zlib.decompressobj().decompress(start, 2).startswith(_COSE)
        except (EncodingRefused, zlib.error):
            return False

    def parse(self, raw: bytes) -> ForeignCredential:
        """Return the credential.

        Raises:
            CredentialError: `credential.encrypted`, or `credential.malformed`.
        """
        try:
            message = inflate(base45.decode(raw))
            if message.startswith(_ENCRYPTED):
                raise CredentialError(Reason.CREDENTIAL_ENCRYPTED)
            return _credential(open_sign1(message))
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = Claim169()
