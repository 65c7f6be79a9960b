"""Health certificates `HC1:` (EU DCC, WHO GDHCN): Base45, zlib, COSE_Sign1 with CWT claims (eHN HCERT 1.0.5, ADR 0045).

Strict in whatever could be read two ways, lenient in what real issuers do: tagged and untagged messages, unsorted and
indefinite CBOR, a key id in the unprotected header where the protected one has none. Whether the signature holds and
who may say so is left to `edge.verify`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from edge.codec import base45, foreign_cbor
from edge.codec.cose import Sign1
from edge.codec.foreign_cose import open_sign1
from edge.codec.inflate import inflate
from edge.credentials import claimed
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import ForeignCredential, HashKind, Holder, PassKind
from edge.model.verdict import Reason

NAME: Final = "hcert"
PREFIX: Final = b"HC1:"
ISS, EXP, IAT, HCERT = 1, 4, 6, -260
DCC: Final = 1
"""Key of the certificate proper within the `hcert` claim (HCERT 1.0.5, 3.3.1)."""
_ECDSA: Final = frozenset((-7, -35))
_GROUPS: Final = {"v": PassKind.VACCINATION, "t": PassKind.TEST, "r": PassKind.RECOVERY}


def claims_of(payload: bytes) -> dict[str | int, Any]:
    """Return the CWT claims of a payload, `hcert` among them.

    Raises:
        EncodingRefused: It holds none.
    """
    claims = foreign_cbor.decode(payload)
    if type(claims) is not dict:
        raise EncodingRefused("the payload holds no CWT claims")
    certificates = claims.get(HCERT)
    if type(certificates) is not dict or type(certificates.get(DCC)) is not dict:
        raise EncodingRefused("the payload holds no health certificate")
    return claims


def _holder(certificate: Mapping[Any, Any]) -> Holder | None:
    names = certificate.get("nam")
    if type(names) is not dict:
        return None
    read = names.get
    surname = claimed.text(read("fn")) or claimed.text(read("fnt"))
    given = claimed.text(read("gn")) or claimed.text(read("gnt"))
    return claimed.holder(surname, given, certificate.get("dob"))


def _entries(certificate: Mapping[Any, Any]) -> tuple[PassKind, list[Mapping[Any, Any]]]:
    found = [(kind, certificate[group]) for group, kind in _GROUPS.items() if certificate.get(group)]
    if any(type(group) is not list for _, group in found):
        raise EncodingRefused("a group of the certificate is no list")
    rows = [row for _, group in found for row in group]
    if any(type(row) is not dict for row in rows):
        raise EncodingRefused("an entry of the certificate is no map")
    # One kind a certificate (DCC schema 1.3.0); of several, or none, it is a statement that no health key may sign.
    return found[0][0] if len(found) == 1 else PassKind.STATEMENT, rows


def _revocable(message: Sign1, country: str, rows: list[Mapping[Any, Any]]) -> tuple[tuple[HashKind, bytes], ...]:
    # An ECDSA signature counts by its R alone: (r, n - s) would be another name of the same certificate.
    half = len(message.signature) // 2 if message.algorithm in _ECDSA else None
    found = [(HashKind.SIGNATURE, message.signature[:half])]
    for row in rows:
        identifier = row.get("ci")
        if type(identifier) is str:
            found += [
                (HashKind.IDENTIFIER, identifier.encode()),
                (HashKind.COUNTRY_AND_IDENTIFIER, (country + identifier).encode()),
            ]
    return tuple(found)


def _credential(message: Sign1) -> ForeignCredential:
    claims = claims_of(message.payload)
    certificate = claims[HCERT][DCC]
    issuer = claimed.issuer(claims.get(ISS, ""))
    kind, rows = _entries(certificate)
    return ForeignCredential(
        NAME,
        issuer,
        message.key_id,
        message.algorithm,
        message.to_be_signed,
        message.signature,
        kind,
        MappingProxyType(claims),
        claimed.seconds(claims.get(IAT)),
        claimed.seconds(claims.get(EXP)),
        _holder(certificate),
        _revocable(message, issuer, rows),
    )


class Hcert:
    """The health certificate as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code begins with `HC1:`."""
        return raw.startswith(PREFIX)

    def parse(self, raw: bytes) -> ForeignCredential:
        """Return the credential.

        Raises:
            CredentialError: `credential.malformed`.
        """
        try:
            return _credential(open_sign1(inflate(base45.decode(raw[len(PREFIX) :]))))
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = Hcert()
