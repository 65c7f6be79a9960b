"""MOSIP identity codes with CWT claim 169: Base45, zlib, COSE_Sign1, no prefix (Claim 169 QR code, ADR 0047).

Signed with EdDSA or ES256. An unsigned code (an empty signature) parses and is never authentic. An encrypted one
(COSE_Encrypt0) is opened by a key of the gate's own (ADR 0055); what is signed within counts, and nothing else.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from edge.codec import base45, foreign_cbor
from edge.codec.cose import Sign1
from edge.codec.foreign_cose import Encrypted, open_encrypt0, open_sign1
from edge.codec.inflate import inflate
from edge.credentials import claimed
from edge.errors import CredentialError, EncodingRefused
from edge.model.code_key import KEY_BYTES, CodeKey
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
_ENCRYPTED: Final = (b"\xd0\x83", b"\xd8\x3d\xd0\x83", b"\x83")
"""COSE_Encrypt0, as a CWT or not, or untagged."""
_COSE: Final = (b"\xd2\x84", b"\xd0\x83", b"\x84", b"\x83", b"\xd8\x3d")
"""COSE_Sign1, COSE_Encrypt0, each untagged, a CWT."""
_UNSIGNED: Final = 0
"""Reserved among the algorithms of COSE: no key record has it, so nothing that claims it is ever authentic."""
_MAP: Final = 5
"""Major type of CBOR (RFC 8949, 3.1)."""
_MAX_TRIED: Final = 4
"""Keys that are tried on one code, as of signatures."""
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


def message_in(data: bytes, keys: Sequence[CodeKey]) -> Sign1:
    """Return what is signed in a COSE message, encrypted or not.

    Args:
        data: The message, inflated.
        keys: What an encrypted one is opened with.

    Raises:
        EncodingRefused: It is no such message.
        CredentialError: `credential.encrypted`: none of the keys opens it.
    """
    if data.startswith(_ENCRYPTED):
        data = _opened(open_encrypt0(data), keys)
        if data[:1] and data[0] >> 5 == _MAP:
            # Bare claims: whoever holds the key may have written them.
            return Sign1(_UNSIGNED, b"", data, b"", data)
    found = open_sign1(data)
    if found.algorithm not in _ALGORITHMS:
        raise EncodingRefused("the algorithm is neither EdDSA nor ES256")
    return found


def _opened(closed: Encrypted, keys: Sequence[CodeKey]) -> bytes:
    if closed.algorithm not in KEY_BYTES:
        raise EncodingRefused("it is not encrypted with AES-GCM")
    named = [key for key in keys if (key.algorithm, key.key_id) == (closed.algorithm, closed.key_id)]
    for key in named[:_MAX_TRIED]:
        content = closed.content(key.secret)
        if content is not None:
            return content
    raise CredentialError(Reason.CREDENTIAL_ENCRYPTED)


class Claim169:
    """The MOSIP identity code as a credential format (`edge.credentials.format.OpensCodes`).

    Args:
        keys: What encrypted codes are opened with.
    """

    name = NAME

    def __init__(self, keys: Sequence[CodeKey] = ()) -> None:
        self._keys = tuple(keys)

    def holding(self, keys: Sequence[CodeKey]) -> "Claim169":
        """Return the format with these keys for encrypted codes."""
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
            CredentialError: `credential.encrypted` where no key here opens it, or `credential.malformed`.
        """
        try:
            return _credential(message_in(inflate(base45.decode(raw)), self._keys))
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = Claim169()
