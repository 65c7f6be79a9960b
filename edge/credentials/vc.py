"""Verifiable credentials in one code: W3C as JWT (`vc+jwt`) and SD-JWT VC (`dc+sd-jwt`, `vc+sd-jwt`) (ADR 0056).

The signature covers the whole token, so no context is loaded and nothing fetched. A credential that its issuer has
bound to a holder's key is as good as its copy here, and says so (`is_bound`): the digits of a gate are in no such code.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from edge.codec import sd_jwt
from edge.codec.sd_jwt import Token
from edge.credentials import claimed
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import ForeignCredential, HashKind, Holder, PassKind
from edge.model.verdict import Reason

NAME: Final = "vc"
_W3C, _SD_JWT_VC = "vc+jwt", frozenset(("dc+sd-jwt", "vc+sd-jwt"))
"""VC-JOSE-COSE, 3.1; SD-JWT VC, 3.2.1, with the name that it had until November 2024."""
_ALGORITHMS: Final = {"ES256": -7, "ES384": -35, "EdDSA": -8, "Ed25519": -8}
"""RFC 7518, 3.1; RFC 8037, 3.1; RFC 9864, 2.2."""
_CONTEXTS: Final = frozenset(("https://www.w3.org/ns/credentials/v2", "https://www.w3.org/2018/credentials/v1"))
_ANY: Final = "VerifiableCredential"
_ALWAYS: Final = frozenset(
    (
        "iss",
        "nbf",
        "exp",
        "cnf",
        "vct",
        "status",
        "issuer",
        "validFrom",
        "validUntil",
        "credentialStatus",
        "type",
        "@context",
    )
)
"""What decides stands in the signed part itself (SD-JWT VC, 3.2.2.2)."""
_SHAPE: Final = re.compile(rb"[A-Za-z0-9_-]{8,2048}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_LIST: Final = "statusListCredential"
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_LARGEST: Final = 4296
_MAX_KID: Final = 64


def _type_of(header: Mapping[str, Any]) -> str:
    # RFC 7515, 4.1.9: the prefix may be left out.
    found = header.get("typ")
    return found.removeprefix("application/") if type(found) is str else ""


def _issuer(claims: Mapping[str, Any]) -> str:
    """Return who has issued it: `iss` and the issuer of the data model are one where both stand."""
    stated = claims.get("issuer")
    named = [claims.get("iss"), stated.get("id") if type(stated) is dict else stated]
    found = {claimed.issuer(one) for one in named if one is not None}
    if len(found) != 1 or found == {""}:
        raise EncodingRefused("it names no issuer, or two")
    return found.pop()


def _key_id(header: Mapping[str, Any], issuer: str) -> bytes:
    kid = header.get("kid", "")
    if type(kid) is not str or not kid.isascii():
        raise EncodingRefused("the key id is no text")
    # A key may be named by a DID URL (VC-JOSE-COSE, 3.3.2): then it is the issuer's own, or of nobody.
    controller, mark, fragment = kid.partition("#")
    if mark and controller not in {"", issuer}:
        raise EncodingRefused("the key is another's")
    found = (fragment if mark else kid).encode()
    if len(found) > _MAX_KID:
        raise EncodingRefused("the key id is too long")
    return found


def _time(value: Any) -> int | None:
    if value is None:
        return None
    if type(value) is not str or not _TIME.fullmatch(value):
        raise EncodingRefused("a time is none of RFC 3339 with a zone")
    try:
        return claimed.seconds(datetime.fromisoformat(value).timestamp())
    except (ValueError, OverflowError):
        raise EncodingRefused("a time is none") from None


def _times(claims: Mapping[str, Any]) -> tuple[int | None, int | None]:
    begins = [claimed.seconds(claims.get(name)) for name in ("nbf", "iat")] + [_time(claims.get("validFrom"))]
    ends = [claimed.seconds(claims.get("exp")), _time(claims.get("validUntil"))]
    return (
        max((time for time in begins if time is not None), default=None),
        min((time for time in ends if time is not None), default=None),
    )


def _subject(claims: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what it says of its holder, once it is a credential of one of the two models."""
    vct = claims.get("vct")
    if vct is not None:
        if type(vct) is not str or not vct:
            raise EncodingRefused("vct is no text")
        return claims
    contexts, types, subject = (claims.get(name) for name in ("@context", "type", "credentialSubject"))
    is_listed = type(contexts) is list and contexts and type(contexts[0]) is str and contexts[0] in _CONTEXTS
    if not is_listed or type(types) is not list or _ANY not in types:
        raise EncodingRefused("it is no verifiable credential")
    if type(subject) is list and len(subject) == 1:
        subject = subject[0]
    if type(subject) is not dict:
        raise EncodingRefused("it speaks of nobody, or of several")
    return subject


def _holder(subject: Mapping[str, Any]) -> Holder | None:
    surname = claimed.text(subject.get("family_name", subject.get("familyName")))
    given = claimed.text(subject.get("given_name", subject.get("givenName")))
    found = claimed.holder(surname, given, subject.get("birthdate", subject.get("birthDate")))
    return found if found.name or found.birth_year else None


def _types(claims: Mapping[str, Any]) -> tuple[str, ...]:
    stated = [claims["vct"]] if "vct" in claims else claims["type"]
    return tuple(one for one in stated if type(one) is str and one != _ANY)


def _identifier(claims: Mapping[str, Any]) -> str:
    found = claims.get("jti", claims.get("id", ""))
    if type(found) is not str or len(found) > _LARGEST:
        raise EncodingRefused("the identifier is no text")
    return found


def _listed(claims: Mapping[str, Any]) -> tuple[tuple[HashKind, bytes], ...]:
    """Return the place in a status list, `URI#INDEX`, by either of the mechanisms that have one."""
    status, entry = claims.get("status"), claims.get("credentialStatus")
    token = status.get("status_list") if type(status) is dict else None
    named = [(token.get("uri"), token.get("idx"))] if type(token) is dict else []
    entries = [one for one in (entry if type(entry) is list else [entry]) if type(one) is dict]
    named += [(one[_LIST], one.get("statusListIndex")) for one in entries if _LIST in one]
    for uri, index in named:
        # A number in a token, its digits in a bitstring entry (Bitstring Status List, 2.1).
        if type(uri) is not str or not (type(index) is int or type(index) is str) or not _INDEX.fullmatch(str(index)):
            raise EncodingRefused("a status names no place in a list")
    return tuple((HashKind.IDENTIFIER, f"{uri}#{index}".encode(errors="replace")) for uri, index in named)


def _credential(token: Token) -> ForeignCredential:
    header, claims = token.header, token.claims
    algorithm = header.get("alg")
    if type(algorithm) is not str or algorithm not in _ALGORITHMS or "crit" in header:
        raise EncodingRefused("the algorithm is not taken, or the header names something critical")
    if _type_of(header) not in (_SD_JWT_VC if token.is_sd_jwt else {_W3C}) or token.disclosed & _ALWAYS:
        raise EncodingRefused("the form is not that of its type, or discloses what must be signed openly")
    issuer, subject = _issuer(claims), _subject(claims)
    issued_at, expires_at = _times(claims)
    return ForeignCredential(
        NAME,
        issuer,
        _key_id(header, issuer),
        _ALGORITHMS[algorithm],
        token.signed,
        token.signature,
        PassKind.STATEMENT,
        MappingProxyType(dict[str | int, Any](claims.items())),
        issued_at,
        expires_at,
        _holder(subject),
        claimed.revoked_by(token.signature, _identifier(claims)) + _listed(claims),
        is_bound="cnf" in claims,
        types=_types(claims),
        has_status="status" in claims or "credentialStatus" in claims,
    )


class Vc:
    """The verifiable credential as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code is a JWT whose header names the type of a verifiable credential."""
        if not _SHAPE.match(raw):
            return False
        try:
            return _type_of(sd_jwt.header_of(raw)) in {_W3C, *_SD_JWT_VC}
        except EncodingRefused:
            return False

    def parse(self, raw: bytes) -> ForeignCredential:
        """Return the credential.

        Raises:
            CredentialError: `credential.too_large` above what one code holds, else `credential.malformed`.
        """
        if len(raw) > _LARGEST:
            raise CredentialError(Reason.CREDENTIAL_TOO_LARGE)
        try:
            return _credential(sd_jwt.open_token(raw))
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = Vc()
