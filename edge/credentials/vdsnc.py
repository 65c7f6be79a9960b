"""ICAO visible digital seals for non-constrained environments (VDS-NC): JSON with the signer's certificate (ADR 0048).

ICAO Doc 9303-13 and the technical report "VDS-NC" 1.4: the canonical form (RFC 8785) of `data` is signed; `sig` holds
algorithm, signature and certificate. The certificate's own issuer is the country's CSCA, an anchor of ours.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from edge.codec import base64url, canonical_json, foreign_json, x509
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import ForeignCredential, HashKind, Holder, Introduced, PassKind
from edge.model.verdict import Reason

NAME: Final = "vdsnc"
USAGE: Final = "2.23.136.1.1.14.2"
"""Extended key usage of a signer of visible seals (technical report, 3.2)."""
_ALGORITHMS: Final = {"ES256": -7, "ES384": -35}
_KINDS: Final = {"icao.vacc": PassKind.VACCINATION, "icao.test": PassKind.TEST}
_IDENTIFIERS: Final = ("uvci", "utci")
_MAX_NAME: Final = 80
_MAX_TIME: Final = 1 << 40
_START: Final = (b"{", b"[")
_MARKS: Final = (b'"data"', b'"sig"', b'"hdr"')


def _member(value: Any, name: str, wanted: type) -> Any:
    found = value.get(name) if type(value) is dict else None
    if type(found) is not wanted:
        raise EncodingRefused("a member is missing or of another type")
    return found


def _text(value: Any) -> str:
    # A signed name must not steer a page or a terminal.
    return value.strip() if type(value) is str and value.isprintable() and len(value) <= _MAX_NAME else ""


def _decoded(text: str) -> bytes:
    # Padding is whole or none. What is no ASCII, half a character even, becomes a mark that base64 has not.
    bare = text.rstrip("=")
    if len(text) - len(bare) not in {0, -len(bare) % 4}:
        raise EncodingRefused("padding of another length")
    return base64url.decode(bare.encode("ascii", "replace"))


def _seal(raw: bytes) -> dict[str, Any]:
    found = foreign_json.decode(raw)
    # Issuers of several symbols write a list of seals; a code with one is that seal.
    if type(found) is list and len(found) == 1:
        (found,) = found
    if type(found) is not dict or found.keys() != {"data", "sig"}:
        raise EncodingRefused("no seal")
    return found


def _holder(message: Mapping[str, Any]) -> Holder | None:
    person = message.get("pid")
    if type(person) is not dict or not _text(person.get("n")):
        return None
    name = _text(person["n"])
    year = _text(person.get("dob"))[:4]
    return Holder(name, name, int(year) if len(year) == 4 and year.isascii() and year.isdigit() else None)


def _reported(message: Mapping[str, Any]) -> int | None:
    """Return when a test's result was issued (technical report, `dat.ri`), if it says so."""
    dates = message.get("dat")
    said = dates.get("ri") if type(dates) is dict else None
    if said is None:
        return None
    try:
        moment = datetime.fromisoformat(said)
        if moment.tzinfo is None:
            raise EncodingRefused("a time without a zone")
        return min(max(int(moment.timestamp()), 0), _MAX_TIME)
    except (TypeError, ValueError, OverflowError):
        raise EncodingRefused("no time") from None


def _revocable(country: str, message: Mapping[str, Any], half: bytes) -> tuple[tuple[HashKind, bytes], ...]:
    # The other s of an ECDSA signature is the same seal: R alone counts.
    found = [(HashKind.SIGNATURE, half)]
    for name in _IDENTIFIERS:
        identifier = message.get(name)
        if type(identifier) is str:
            found += [
                (HashKind.IDENTIFIER, identifier.encode()),
                (HashKind.COUNTRY_AND_IDENTIFIER, (country + identifier).encode()),
            ]
    return tuple(found)


def _credential(raw: bytes) -> ForeignCredential:
    seal = _seal(raw)
    data, proof = _member(seal, "data", dict), _member(seal, "sig", dict)
    header, message = _member(data, "hdr", dict), _member(data, "msg", dict)
    country, kind = _member(header, "is", str), _member(header, "t", str)
    if header.get("v") != 1 or not (
        country.isascii() and country.isalpha() and country.isupper() and len(country) <= 3
    ):
        raise EncodingRefused("another version, or an issuer that is no country")
    algorithm = _ALGORITHMS.get(_member(proof, "alg", str))
    if algorithm is None:
        raise EncodingRefused("an algorithm that seals do not have")
    signature = _decoded(_member(proof, "sigvl", str))
    signer = x509.signer(_decoded(_member(proof, "cer", str)))
    reported = _reported(message)
    return ForeignCredential(
        NAME,
        country,
        signer.authority_key_id,
        algorithm,
        canonical_json.encode(data),
        signature,
        # The same CSCA signs signers of passports: one that may not sign seals attests nothing that a gate admits.
        _KINDS.get(kind, PassKind.STATEMENT) if USAGE in signer.usages else PassKind.STATEMENT,
        # Document numbers are in `pid`: the holder is taken out of it, the rest goes no further.
        MappingProxyType({"hdr": header, "msg": {name: value for name, value in message.items() if name != "pid"}}),
        # A seal without times is bounded by those of its signer's certificate.
        signer.not_before if reported is None else reported,
        signer.not_after,
        _holder(message),
        _revocable(country, message, signature[: len(signature) // 2]),
        Introduced(
            signer.public,
            signer.key_algorithm,
            signer.signed,
            signer.algorithm,
            signer.signature,
            signer.not_before,
            signer.not_after,
        ),
    )


class VdsNc:
    """The visible seal as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether it is a JSON object or list that names the three parts of a seal."""
        return raw.lstrip()[:1] in _START and all(mark in raw for mark in _MARKS)

    def parse(self, raw: bytes) -> ForeignCredential:
        """Return the seal.

        Raises:
            CredentialError: `credential.malformed`.
        """
        try:
            return _credential(raw)
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None


FORMAT: Final = VdsNc()
