"""The national pass `HP1:` (ADR 0006): Base45 of an untagged COSE_Sign1 with CWT claims.

There is one byte string for every set of claims: any other that would decode to the same is refused. Whether the
signature holds and the issuer may say so is left to `edge.verify`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from edge.codec import base45, cbor, cose
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import Claims, Credential, PassKind, PersonClaims, Proof, TravelClaims, VenueClaims
from edge.model.verdict import Reason

NAME: Final = "hp1"
PREFIX: Final = b"HP1:"
MAX_CHARS: Final = 1200
"""No pass of the frozen CDDL is longer; a longer code is refused before it is decoded."""

ISS, EXP, IAT, CNF, BODY, KIND = 1, 4, 6, 8, -70001, -70002
_REQUIRED: Final = {ISS, EXP, IAT, BODY}
_ISSUER_CHARS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")
_TAIL_CHARS: Final = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MAX_TIME: Final = 1 << 40
_MAX_STATUS: Final = 0xFFFF
_MAX_INDEX: Final = 0xFFFFFFFF
_MAX_DAYS: Final = 366
_MAX_VISITED: Final = 64
_MAX_NAME_BYTES: Final = 96

# Looked up once: Python 3.11 takes 0.1 us for a member of an enumeration.
_PERSON: Final = PassKind.PERSON


class _Refused(Exception):  # noqa: N818  # never leaves this module; cheaper than a value at every check
    pass


def _uint(value: Any, most: int, least: int = 0) -> int:
    # bool is an int in Python and another major type in CBOR.
    if type(value) is not int or not least <= value <= most:
        raise _Refused
    return value


def _bstr(value: Any, most: int, least: int) -> bytes:
    if type(value) is not bytes or not least <= len(value) <= most:
        raise _Refused
    return value


def _name(value: Any) -> str:
    # Printable only: a signed name must not steer the page or a terminal (bidirectional and control characters).
    if type(value) is not str or not value or not value.isprintable():
        raise _Refused
    # A character has at most four bytes: short names need no encoding to be counted.
    if len(value) * 4 > _MAX_NAME_BYTES and len(value.encode()) > _MAX_NAME_BYTES:
        raise _Refused
    return value


def _region(value: Any) -> int:
    return _uint(value, 999999, 100000)


def _person(body: list[Any]) -> PersonClaims:
    if not 6 <= len(body) <= 9:
        raise _Refused
    if len(body) > 6:
        # A trailing null would be a second form of the same claims.
        if body[-1] is None:
            raise _Refused
        birth_year, id_tail, name = (*body[6:], None, None)[:3]
    else:
        birth_year = id_tail = name = None
    if id_tail is not None and not (type(id_tail) is str and len(id_tail) == 4 and _TAIL_CHARS.issuperset(id_tail)):
        raise _Refused
    return PersonClaims(
        _uint(body[0], _MAX_STATUS),
        _region(body[1]),
        _bstr(body[2], 6, 6),
        _uint(body[3], _MAX_INDEX),
        _name(body[4]),
        _bstr(body[5], 3, 3),
        None if birth_year is None else _uint(birth_year, 2200, 1850),
        id_tail,
        None if name is None else _name(name),
    )


def _travel(body: list[Any]) -> TravelClaims:
    if len(body) != 5 or type(body[3]) is not list or len(body[3]) > _MAX_VISITED:
        raise _Refused
    return TravelClaims(
        _uint(body[0], _MAX_DAYS, 1),
        _bstr(body[1], 6, 6),
        _uint(body[2], _MAX_INDEX),
        tuple(_region(code) for code in body[3]),
        _bstr(body[4], 3, 3),
    )


def _venue(body: list[Any]) -> VenueClaims:
    if len(body) != 3:
        raise _Refused
    return VenueClaims(_bstr(body[0], 16, 1), _region(body[1]), _name(body[2]))


_BODIES: Final[dict[PassKind, Callable[[list[Any]], Claims]]] = {
    PassKind.PERSON: _person,
    PassKind.TRAVEL: _travel,
    PassKind.VENUE: _venue,
    PassKind.VISITOR: _person,
}


def _holder_key(cnf: Any) -> bytes:
    # RFC 8747, 3.2: cnf = {1: COSE_Key}; RFC 9053, 7.2: {1: 1 (OKP), -1: 6 (Ed25519), -2: x}.
    if type(cnf) is not dict or cnf.keys() != {1} or type(cnf[1]) is not dict:
        raise _Refused
    key = cnf[1]
    if key.keys() != {1, -1, -2} or (key[1], key[-1]) != (1, 6) or type(key[1]) is bool:
        raise _Refused
    return _bstr(key[-2], 32, 32)


def _credential(message: cose.Sign1, name: str, proof: Proof | None) -> Credential:
    claims = cbor.decode(message.payload)
    if type(claims) is not dict:
        raise _Refused
    # The four that must be there and nothing but the two that may be.
    if len(claims) != len(_REQUIRED) + (CNF in claims) + (KIND in claims):
        raise _Refused
    issuer = claims.get(ISS)
    if type(issuer) is not str or not 1 <= len(issuer) <= 16 or not _ISSUER_CHARS.issuperset(issuer):
        raise _Refused
    body = claims.get(BODY)
    if type(body) is not list:
        raise _Refused
    # Absent means person, so an explicit 0 would be a second form.
    kind = PassKind(_uint(claims[KIND], 3, 1)) if KIND in claims else _PERSON
    issued_at = _uint(claims.get(IAT), _MAX_TIME)
    return Credential(
        name,
        issuer,
        message.key_id,
        message.algorithm,
        message.to_be_signed,
        message.signature,
        issued_at,
        _uint(claims.get(EXP), _MAX_TIME, issued_at + 1),
        kind,
        _BODIES[kind](body),
        _holder_key(claims[CNF]) if CNF in claims else None,
        proof,
    )


def read(message: bytes, *, name: str = NAME, proof: Proof | None = None) -> Credential:
    """Return the credential of a pass's message, the bytes that its code carries in Base45.

    Args:
        message: The untagged COSE_Sign1.
        name: Format that it came by.
        proof: What its holder signed around it, or None.

    Raises:
        CredentialError: `credential.malformed`.
    """
    try:
        return _credential(cose.parse(message), name, proof)
    except (EncodingRefused, _Refused):
        raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


class Hp1:
    """The national pass as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code begins with `HP1:`."""
        return raw.startswith(PREFIX)

    def parse(self, raw: bytes) -> Credential:
        """Return the credential.

        Raises:
            CredentialError: `credential.too_large` above 1200 characters, else `credential.malformed`.
        """
        if len(raw) > MAX_CHARS:
            raise CredentialError(Reason.CREDENTIAL_TOO_LARGE)
        try:
            return _credential(cose.parse(base45.decode(raw[4:])), NAME, None)
        except (EncodingRefused, _Refused):
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = Hp1()


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A pass on its way to the issuer's key, or a presentation of one on its way to the holder's.

    Attributes:
        protected: The encoded protected header.
        payload: The encoded claims.
        prefix: What its code begins with.
    """

    protected: bytes
    payload: bytes
    prefix: bytes = PREFIX

    @property
    def to_be_signed(self) -> bytes:
        """The bytes to sign."""
        return cose.to_be_signed(self.protected, self.payload)

    def sign(self, signature: bytes) -> bytes:
        """Return the code's text for a 64-byte signature over `to_be_signed`."""
        return self.prefix + base45.encode(cose.assemble(self.protected, self.payload, signature))


def unsigned(
    issuer: str,
    key_id: bytes,
    validity: tuple[int, int],
    kind: PassKind,
    claims: Claims,
    *,
    holder_key: bytes | None = None,
) -> Unsigned:
    """Lay out a pass for signing.

    Args:
        issuer: Issuer id.
        key_id: 1 to 8 bytes.
        validity: Issue and expiry time, Unix seconds.
        kind: Kind of pass; `claims` must be of its type.
        claims: What it says.
        holder_key: Ed25519 public key of the holder, 32 bytes, for a live pass.

    Raises:
        CredentialError: A value lies outside the frozen CDDL: the gate would refuse this pass.
    """
    content: dict[int, Any] = {ISS: issuer, EXP: validity[1], IAT: validity[0], BODY: _body(claims)}
    if holder_key is not None:
        content[CNF] = {1: {1: 1, -1: 6, -2: holder_key}}
    if kind is not PassKind.PERSON:
        content[KIND] = int(kind)
    laid_out = Unsigned(cose.protected_header(key_id), cbor.encode(content))
    # The one judge of the form is the parser: what it would refuse is never signed.
    FORMAT.parse(laid_out.sign(bytes(64)))
    return laid_out


def _body(claims: Claims) -> list[Any]:
    if isinstance(claims, TravelClaims):
        return [claims.days, claims.pseudonym, claims.index, list(claims.regions), claims.tag]
    if isinstance(claims, VenueClaims):
        return [claims.id, claims.region, claims.name]
    body = [claims.status, claims.region, claims.pseudonym, claims.index, claims.surname, claims.tag]
    optional = [claims.birth_year, claims.id_tail, claims.name]
    while optional and optional[-1] is None:
        optional.pop()
    return body + optional
