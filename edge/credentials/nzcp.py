"""NZ COVID Passes `NZCP:/1/`: Base32, COSE_Sign1 with CWT claims that hold a verifiable credential (NZCP 1, ADR 0047).

The claims are those the specification asks for and of the types it asks for; whether the signature holds is left to
`edge.verify`. The issuer is a did:web, whose keys the authority has brought in from its DID document.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from edge.codec import base32, foreign_cbor
from edge.codec.cose import Sign1
from edge.codec.foreign_cose import open_sign1
from edge.credentials import claimed
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import ForeignCredential, PassKind
from edge.model.verdict import Reason

NAME: Final = "nzcp"
PREFIX: Final = b"NZCP:/1/"
ISS, EXP, NBF, CTI = 1, 4, 5, 7
VC: Final = "vc"
_ES256: Final = -7
_DID: Final = "did:web:"
_FIRST_CONTEXT: Final = "https://www.w3.org/2018/credentials/v1"
_CONTEXT: Final = "https://nzcp.covid19.health.nz/contexts/v1"
_TYPES: Final = ["VerifiableCredential", "PublicCovidPass"]
_VERSION: Final = re.compile(r"1\.[0-9]{1,4}\.[0-9]{1,4}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID_BYTES: Final = 16


def _pass_of(claims: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return the subject of the verifiable credential."""
    vc = claims.get(VC)
    if type(vc) is not dict:
        raise EncodingRefused("there is no verifiable credential")
    context, types, version, subject = (vc.get(name) for name in ("@context", "type", "version", "credentialSubject"))
    if type(context) is not list or context[:1] != [_FIRST_CONTEXT] or _CONTEXT not in context:
        raise EncodingRefused("the context is another")
    if type(types) is not list or types != _TYPES:
        raise EncodingRefused("it is no PublicCovidPass")
    if type(version) is not str or not _VERSION.fullmatch(version):
        raise EncodingRefused("the version is not 1")
    if type(subject) is not dict or not _is_person(subject):
        raise EncodingRefused("the subject has no name or no date of birth")
    return subject


def _is_person(subject: Mapping[Any, Any]) -> bool:
    given, family, born = subject.get("givenName"), subject.get("familyName", ""), subject.get("dob")
    is_named = type(given) is str and given != "" and type(family) is str
    return is_named and type(born) is str and _DATE.fullmatch(born) is not None


def _checked(message: Sign1) -> dict[Any, Any]:
    """Return the claims of a pass, each there and of its type."""
    if message.algorithm != _ES256 or not message.key_id:
        raise EncodingRefused("the protected header does not say ES256 and a key")
    claims = foreign_cbor.decode(message.payload)
    if type(claims) is not dict:
        raise EncodingRefused("the payload holds no claims")
    times = {type(claims.get(EXP)), type(claims.get(NBF))}
    if times != {int} or type(claims.get(CTI)) is not bytes or len(claims[CTI]) != _UUID_BYTES:
        raise EncodingRefused("exp, nbf or cti is missing or of another type")
    return claims


def _credential(message: Sign1) -> ForeignCredential:
    claims = _checked(message)
    subject, issuer = _pass_of(claims), claimed.issuer(claims.get(ISS))
    if not issuer.startswith(_DID):
        raise EncodingRefused("the issuer is no did:web")
    return ForeignCredential(
        NAME,
        issuer,
        message.key_id,
        message.algorithm,
        message.to_be_signed,
        message.signature,
        PassKind.HEALTH,
        MappingProxyType(claims),
        claimed.seconds(claims[NBF]),
        claimed.seconds(claims[EXP]),
        claimed.holder(
            claimed.text(subject.get("familyName")), claimed.text(subject.get("givenName")), subject.get("dob")
        ),
        claimed.revoked_by(message.signature, UUID(bytes=claims[CTI]).urn),
    )


class Nzcp:
    """The NZ COVID Pass as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code begins with `NZCP:/1/`."""
        return raw.startswith(PREFIX)

    def parse(self, raw: bytes) -> ForeignCredential:
        """Return the credential.

        Raises:
            CredentialError: `credential.malformed`.
        """
        try:
            return _credential(open_sign1(base32.decode(raw[len(PREFIX) :]), takes_hint=False))
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = Nzcp()
