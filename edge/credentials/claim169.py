"""MOSIP identity codes with CWT claim 169: Base45, zlib, COSE_Sign1, no prefix (Claim 169 QR code, ADR 0047).

Signed with EdDSA or ES256. An unsigned code (an empty signature, or encrypted claims without one) parses and is never
authentic. An encrypted one (COSE_Encrypt0) is read by a gate that holds its key, which proves nothing (ADR 0055).
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from edge.codec import base45, encrypt0, foreign_cbor
from edge.codec.foreign_cose import Message, open_sign1
from edge.codec.inflate import inflate
from edge.credentials import claimed
from edge.errors import CredentialError, EncodingRefused
from edge.model.content_key import ContentKey
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
_UNSIGNED: Final = 0
"""Reserved in COSE (RFC 9053, 12.2): no key has this algorithm, so nothing verifies under it."""
_MAP: Final = 5
_MAX_KEYS: Final = 4
"""Keys tried on a code that names none."""
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


def _signed(data: bytes) -> Message:
    message = open_sign1(data)
    if message.algorithm not in _ALGORITHMS:
        raise EncodingRefused("the algorithm is neither EdDSA nor ES256")
    return message


def _credential(message: Message) -> ForeignCredential:
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
        claimed.hashed(message.signature, identity.get(ID, "")),
    )


class Claim169:
    """The MOSIP identity code as a credential format (`edge.credentials.format.Opening`).

    Args:
        keys: Keys that open encrypted codes.
    """

    name = NAME

    def __init__(self, keys: Sequence[ContentKey] = ()) -> None:
        self._keys = tuple(keys)

    def holding(self, keys: Sequence[ContentKey]) -> "Claim169":
        """Return the format of a gate that holds these keys."""
        return Claim169(keys)

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
            return _credential(self.open(inflate(base45.decode(raw))))
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None

    def open(self, data: bytes) -> Message:
        """Return the message of a code, decrypted where it is encrypted; unsigned claims are of no algorithm.

        Raises:
            EncodingRefused: It is none.
            CredentialError: `credential.encrypted`: no key at hand opens it.
        """
        if not encrypt0.is_encrypted(data):
            return _signed(data)
        encrypted = encrypt0.parse(data)
        # A code that names no key may be of any, a key without an id may be of any code.
        fitting = [key for key in self._keys if not encrypted.key_id or key.key_id in {encrypted.key_id, b""}]
        for key in fitting[:_MAX_KEYS]:
            content = encrypt0.decrypt(encrypted, key.secret)
            if content is not None:
                is_bare = content != b"" and content[0] >> 5 == _MAP
                return Message(_UNSIGNED, b"", content, b"", content) if is_bare else _signed(content)
        raise CredentialError(Reason.CREDENTIAL_ENCRYPTED)


FORMAT: Final = Claim169()
