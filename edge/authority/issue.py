"""Reference issuing: claims in, a signed `HP1:` code out, its index noted so that it can be revoked.

Nothing about the person is kept. Drawing the code is left to `edge.authority.codes`.
"""

import secrets
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Final

from edge.authority import registries
from edge.authority.authority import Authority
from edge.authority.issuers import key_name
from edge.authority.ledger import Index
from edge.credentials import hp1
from edge.credentials.tail import tail_of, tail_tag
from edge.errors import CredentialError, PublicationError
from edge.model.credential import Claims, PassKind, PersonClaims, TravelClaims, VenueClaims
from edge.model.trust import Issuer, IssuerKey
from edge.trust import paths

PSEUDONYM_BYTES: Final = 6
_DAY: Final = 86400


@dataclass(frozen=True, slots=True)
class PassRequest:
    """What a pass shall say.

    Attributes:
        issuer: Issuer id.
        kind: Kind of pass.
        status: The issuer's status number (person, visitor).
        region: GB/T 2260 code, six digits; None for the issuer's seat.
        surname: Plain surname, a hint for staff (person, visitor).
        id_tail: Last four characters of the document number, for the tag (all but venue).
        birth_year: Plain birth year, or None.
        name: Masked full name, or None.
        shows_id_tail: Whether the tail stands in the pass in plain, besides the tag.
        issued_at: Unix seconds.
        valid_s: Validity, seconds.
        visited: GB/T 2260 codes (travel).
        days: Window of the places visited, days (travel).
        venue_id: 1 to 16 bytes (venue).
        venue_name: The venue's name (venue).
        holder_key: Ed25519 public key of the holder, for a live pass, or None.
        pseudonym: 6 bytes; None for a new one, so that two passes cannot be joined.
    """

    issuer: str
    issued_at: int
    kind: PassKind = PassKind.PERSON
    status: int = 0
    region: int | None = None
    surname: str = ""
    id_tail: str = ""
    birth_year: int | None = None
    name: str | None = None
    shows_id_tail: bool = False
    valid_s: int = _DAY
    visited: tuple[int, ...] = ()
    days: int = 14
    venue_id: bytes = b""
    venue_name: str = ""
    holder_key: bytes | None = None
    pseudonym: bytes | None = None


@dataclass(frozen=True, slots=True)
class IssuedPass:
    """A signed pass.

    Attributes:
        code: The text of the code, `HP1:...`.
        issuer: Issuer id.
        key_id: Key that signed it.
        place: Its place in a status list, or None for a venue pass.
        issued_at: Unix seconds.
        expires_at: Unix seconds.
    """

    code: str
    issuer: str
    key_id: bytes
    place: Index | None
    issued_at: int
    expires_at: int


class Desk:
    """An authority's issuers, keys and matrix, read and checked once, to issue many passes with.

    Args:
        authority: The authority, which holds the issuers' keys.

    Raises:
        PublicationError: The sources could not be published.
    """

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self._issuers: Mapping[str, Issuer] = authority.sources.value(paths.ISSUERS)
        self._matrix: Container[tuple[str, int | None]] = authority.sources.value(paths.MATRIX)
        self._regions: Container[int] = authority.sources.value(paths.REGIONS)
        self._registries = registries.current(authority)
        self._keys: dict[str, tuple[IssuerKey, ...]] = {}

    def issue(self, request: PassRequest) -> IssuedPass:
        """Sign a pass.

        Raises:
            PublicationError: No gate would accept such a pass (unknown issuer, no current key for this kind, region or
                status outside what was published, too long a validity, claims outside the format), or a key is missing.
        """
        key = self._key_for(request)
        region = self._region(request, key)
        self._check_status(request)
        validity = (request.issued_at, request.issued_at + request.valid_s)
        pseudonym = request.pseudonym or secrets.token_bytes(PSEUDONYM_BYTES)
        signer = self._authority.keys.signing_key(key_name(request.issuer, key.key_id))
        # Laid out once with index 0, so that a pass that cannot be made uses up no index.
        unsigned = _laid_out(request, key, _claims(request, region, 0, pseudonym))
        place: Index | None = None
        if request.kind is not PassKind.VENUE:
            place = self._authority.ledger.draw(request.issuer, key.status_list, validity, int(request.kind))
            unsigned = _laid_out(request, key, _claims(request, region, place.index, pseudonym))
        code = unsigned.sign(signer.sign(unsigned.to_be_signed).signature)
        return IssuedPass(code.decode("ascii"), request.issuer, key.key_id, place, *validity)

    def _key_for(self, request: PassRequest) -> IssuerKey:
        if request.issuer not in self._issuers:
            raise PublicationError(
                f"There is no issuer {request.issuer[:16]!r}.",
                f"Add it: edge authority add-issuer {self._authority.folder} --profile ...",
            )
        if request.issuer not in self._keys:
            self._keys[request.issuer] = self._authority.sources.value(paths.keys_path(request.issuer))
        current = [
            key
            for key in self._keys[request.issuer]
            if request.kind in key.kinds and key.not_before <= request.issued_at < key.not_after
        ]
        if not current:
            raise PublicationError(
                f"Issuer {request.issuer} has no key that may sign {request.kind.name.lower()} passes at that time.",
                f"Add one: edge authority add-key {self._authority.folder} --issuer {request.issuer}",
            )
        newest = max(current, key=lambda key: key.not_before)
        if not 0 < request.valid_s <= newest.max_validity_s:
            raise PublicationError(
                f"A pass of issuer {request.issuer} is valid for at most {newest.max_validity_s // 3600} hours.",
                "Ask for a shorter validity.",
            )
        return newest

    def _region(self, request: PassRequest, key: IssuerKey) -> int:
        if request.kind is PassKind.TRAVEL:
            return 0
        region = self._issuers[request.issuer].region if request.region is None else request.region
        if region == 0:
            raise PublicationError(
                f"Issuer {request.issuer} is national: its passes need a region.", "Add --region CODE."
            )
        if not any(str(region).startswith(prefix) for prefix in key.regions):
            raise PublicationError(
                f"The key of issuer {request.issuer} may not speak of region {region}.", "Name a region of its own."
            )
        # A gate wants to name the region, or the larger one it lies in.
        is_named = any(region - region % unit in self._regions for unit in (1, 100, 10000))
        if not is_named or self._registries.lacks(region):
            raise PublicationError(
                f"Region {region} is not in the registry of regions.",
                f"Add it: edge authority region set {self._authority.folder} --code {region} ...",
            )
        if request.kind is PassKind.VENUE and self._registries.refuses(request.venue_id, region):
            raise PublicationError(
                f"Venue {request.venue_id.hex()} is not registered in region {region}.",
                f"Register it: edge authority venue add {self._authority.folder} --id HEX ...",
            )
        return region

    def _check_status(self, request: PassRequest) -> None:
        status = None if request.kind is PassKind.TRAVEL else request.status
        if request.kind is not PassKind.VENUE and (request.issuer, status) not in self._matrix:
            raise PublicationError(
                f"The recognition matrix has no row for issuer {request.issuer} and status {status}.",
                f"Add it to sources/{paths.MATRIX}.",
            )


def issue_pass(authority: Authority, request: PassRequest) -> IssuedPass:
    """Sign one pass; `Desk` does many.

    Raises:
        PublicationError: No gate would accept such a pass, or a key is missing.
    """
    return Desk(authority).issue(request)


def _claims(request: PassRequest, region: int, index: int, pseudonym: bytes) -> Claims:
    if request.kind is PassKind.VENUE:
        return VenueClaims(request.venue_id, region, request.venue_name)
    tail = tail_of(request.id_tail)
    if tail is None:
        raise PublicationError(
            "A pass needs the last four characters of the document number.", "Add id_tail (digits and letters)."
        )
    tag = tail_tag(pseudonym, tail)
    if request.kind is PassKind.TRAVEL:
        return TravelClaims(request.days, pseudonym, index, tuple(sorted(set(request.visited))), tag)
    return PersonClaims(
        request.status,
        region,
        pseudonym,
        index,
        request.surname,
        tag,
        request.birth_year,
        tail if request.shows_id_tail else None,
        request.name,
    )


def _laid_out(request: PassRequest, key: IssuerKey, claims: Claims) -> hp1.Unsigned:
    validity = (request.issued_at, request.issued_at + request.valid_s)
    try:
        return hp1.unsigned(request.issuer, key.key_id, validity, request.kind, claims, holder_key=request.holder_key)
    except (CredentialError, OverflowError, UnicodeEncodeError) as error:
        raise PublicationError(
            "The claims do not fit the format of a national pass.",
            "Check surname, name, tail (4 characters), birth year, region and venue (docs/adr/0006-national-pass.md).",
        ) from error
