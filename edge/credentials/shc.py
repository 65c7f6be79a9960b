"""SMART Health Cards `shc:/`: digits of a JWS, raw deflate, a FHIR Bundle (framework 1.4.0, ADR 0047).

One code a card: cards cut into several codes are refused, as the framework has deprecated them since 1.3.0. The key is
found by the issuer it is published by and its thumbprint; what a header says of other keys is not looked at.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from edge.codec import base64url, foreign_json
from edge.codec.inflate import inflate
from edge.credentials import claimed
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import ForeignCredential, Holder, PassKind
from edge.model.verdict import Reason

NAME: Final = "shc"
PREFIX: Final = b"shc:/"
FIRST: Final = ord("-")
"""Character that the pair 00 stands for; a pair is the distance from it ("Encoding Chunks as QR Codes")."""
_ES256: Final = -7
_CARD: Final = "https://smarthealth.cards#health-card"
_KID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RID: Final = re.compile(r"[A-Za-z0-9_-]{1,24}")
_PART: Final = re.compile(rb"shc:/[0-9]{1,4}/[0-9]{1,4}/")
_DONE: Final = {
    "Immunization": (PassKind.VACCINATION, frozenset(("completed",))),
    "Observation": (PassKind.TEST, frozenset(("final", "amended", "corrected"))),
    "DiagnosticReport": (PassKind.TEST, frozenset(("final", "amended", "corrected", "appended"))),
}
"""Which resource attests what, in which of its states: a vaccination "not-done" is none (FHIR R4)."""
_BESIDE: Final = frozenset(("Patient", "Location", "Organization", "Practitioner", "PractitionerRole"))
"""Resources that attest nothing."""
# Two digits read as one hexadecimal byte: the pair 45 is 0x45. What is no base64url character becomes 0.
_CHARACTERS: Final = bytes(
    pair if pair is not None and re.fullmatch(rb"[A-Za-z0-9_.-]", bytes((pair,))) else 0
    for pair in (
        10 * (byte >> 4) + (byte & 15) + FIRST if byte >> 4 <= 9 and byte & 15 <= 9 else None for byte in range(256)
    )
)


def _jws(digits: bytes) -> list[bytes]:
    if not digits.isdigit() or len(digits) % 2:
        raise EncodingRefused("not pairs of digits")
    parts = bytes.fromhex(digits.decode()).translate(_CHARACTERS).split(b".")
    if len(parts) != 3:  # RFC 7515, 7.1
        raise EncodingRefused("not a compact JWS")
    return parts


def _key_id(header: Any) -> bytes:
    if type(header) is not dict or "crit" in header or header.get("alg") != "ES256" or header.get("zip") != "DEF":
        raise EncodingRefused("the header is not that of a SMART Health Card")
    kid = header.get("kid")
    if type(kid) is not str or not _KID.fullmatch(kid):
        raise EncodingRefused("the header names no key")
    return kid.encode()


def _resources(claims: Any) -> list[Mapping[str, Any]]:
    """Return the resources of the Bundle of a card whose claims are those of one."""
    vc = claims.get("vc") if type(claims) is dict else None
    card = vc if type(vc) is dict else {}
    types = card.get("type")
    subject = card.get("credentialSubject") if type(types) is list and _CARD in types else None
    if type(subject) is not dict or type(subject.get("fhirVersion")) is not str:
        raise EncodingRefused("it is no health card")
    bundle = subject.get("fhirBundle")
    entries = bundle.get("entry") if type(bundle) is dict and bundle.get("resourceType") == "Bundle" else None
    if type(entries) is not list or not entries or any(type(entry) is not dict for entry in entries):
        raise EncodingRefused("it holds no Bundle with entries")
    found = [entry.get("resource") for entry in entries]
    if any(type(resource) is not dict or type(resource.get("resourceType")) is not str for resource in found):
        raise EncodingRefused("an entry of the Bundle holds no resource")
    return found


def _kind(resources: list[Mapping[str, Any]]) -> PassKind:
    found = set()
    for resource in resources:
        kind, states = _DONE.get(resource["resourceType"], (PassKind.STATEMENT, frozenset()))
        status = resource.get("status")
        is_done = type(status) is str and status in states
        if resource["resourceType"] not in _BESIDE:
            found.add(kind if is_done else PassKind.STATEMENT)
    # One kind, or a statement that no health key may sign.
    return found.pop() if len(found) == 1 else PassKind.STATEMENT


def _holder(resources: list[Mapping[str, Any]]) -> Holder | None:
    patients = [resource for resource in resources if resource["resourceType"] == "Patient"]
    if len(patients) > 1:
        raise EncodingRefused("it speaks of several patients")
    names = patients[0].get("name") if patients else None
    if type(names) is not list or not names or type(names[0]) is not dict:
        return None
    given = names[0].get("given")
    parts = [claimed.text(part) for part in given] if type(given) is list else []
    return claimed.holder(
        claimed.text(names[0].get("family")), " ".join(filter(None, parts)), patients[0].get("birthDate")
    )


def _revoked_as(claims: Mapping[str, Any], key_id: bytes) -> str:
    rid = claims["vc"].get("rid")
    if rid is None:
        return ""
    if type(rid) is not str or not _RID.fullmatch(rid):
        raise EncodingRefused("the revocation id is none")
    return f"{key_id.decode()}.{rid}"


def _credential(header: bytes, payload: bytes, signature: bytes) -> ForeignCredential:
    key_id = _key_id(foreign_json.decode(base64url.decode(header)))
    claims = foreign_json.decode(inflate(base64url.decode(payload), is_raw=True))
    resources, found = _resources(claims), base64url.decode(signature)
    issuer, issued_at = claimed.issuer(claims.get("iss")), claimed.seconds(claims.get("nbf"))
    if issued_at is None or not issuer.startswith("https://"):
        raise EncodingRefused("iss or nbf is missing")
    return ForeignCredential(
        NAME,
        issuer,
        key_id,
        _ES256,
        b".".join((header, payload)),
        found,
        _kind(resources),
        MappingProxyType(claims),
        issued_at,
        claimed.seconds(claims.get("exp")),
        _holder(resources),
        claimed.revoked_by(found, _revoked_as(claims, key_id)),
    )


class Shc:
    """The SMART Health Card as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code begins with `shc:/`."""
        return raw.startswith(PREFIX)

    def parse(self, raw: bytes) -> ForeignCredential:
        """Return the credential.

        Raises:
            CredentialError: `credential.partial` for one of several codes, else `credential.malformed`.
        """
        if _PART.match(raw):
            raise CredentialError(Reason.CREDENTIAL_PARTIAL)
        try:
            return _credential(*_jws(raw[len(PREFIX) :]))
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = Shc()
