"""What was presented, once its bytes were understood and before anybody believed it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Any, Final


class PassKind(IntEnum):
    """Kinds of pass; the number stands in the scan log, and below 16 in the national pass itself (ADR 0006).

    From 16 on they are kinds of foreign credential (ADR 0044): what it attests, whatever its format.
    """

    PERSON = 0
    TRAVEL = 1
    VENUE = 2
    VISITOR = 3
    VACCINATION = 16
    TEST = 17
    RECOVERY = 18
    HEALTH = 19
    """Fit to pass by rules of its issuer that it does not tell (NZ COVID Pass)."""
    IDENTITY = 20
    TICKET = 21
    STATEMENT = 22
    """Anything else that its issuer signs of its holder."""


NATIONAL_KINDS: Final = frozenset((PassKind.PERSON, PassKind.TRAVEL, PassKind.VENUE, PassKind.VISITOR))
FOREIGN_KINDS: Final = frozenset(PassKind) - NATIONAL_KINDS


@dataclass(frozen=True, slots=True)
class PersonClaims:
    """A person's health status as signed.

    Attributes:
        status: 0 green, 1 yellow, 10 red; others as the recognition matrix lists them.
        region: GB/T 2260 code, six digits as a number.
        pseudonym: 6 bytes, rotated daily by the issuer; never stored.
        index: Place in the status list of (issuer, key).
        surname: Plain surname, a hint for staff.
        tag: SHA-256(pseudonym || ID tail)[:3], a hint for staff.
        birth_year: Optional plain birth year.
        id_tail: Optional plain last four characters of the document number.
        name: Optional masked full name.
    """

    status: int
    region: int
    pseudonym: bytes
    index: int
    surname: str
    tag: bytes
    birth_year: int | None = None
    id_tail: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class TravelClaims:
    """Places visited within a window, as signed.

    Attributes:
        days: Length of the window, days.
        pseudonym: 6 bytes, rotated daily by the issuer; never stored.
        index: Place in the status list of (issuer, key).
        regions: GB/T 2260 codes visited, each six digits as a number, in the order signed.
        tag: SHA-256(pseudonym || ID tail)[:3], a hint for staff.
    """

    days: int
    pseudonym: bytes
    index: int
    regions: tuple[int, ...]
    tag: bytes


@dataclass(frozen=True, slots=True)
class VenueClaims:
    """A place's own code: a person scans it, or a gate checks that the poster is genuine.

    Attributes:
        id: 1 to 16 bytes naming the venue in the registry.
        region: GB/T 2260 code, six digits as a number.
        name: The venue's name.
    """

    id: bytes
    region: int
    name: str


Claims = PersonClaims | TravelClaims | VenueClaims


@dataclass(frozen=True, slots=True)
class Proof:
    """What the holder's phone signed when it showed the pass (docs/adr/0041-live-passes.md); nothing is verified.

    Attributes:
        at: When it was signed by the phone's clock, Unix seconds.
        nonce: The gate's eight digits that it answers, or empty.
        signed: The bytes the holder signed.
        signature: The signature over `signed`, under the pass's holder key.
    """

    at: int
    nonce: bytes
    signed: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Credential:
    """A well-formed credential. Nothing here has been verified.

    Attributes:
        format: Name of the format that parsed it (`hp1`).
        issuer: Issuer id as claimed (`44`, `6101`, `nhc`).
        key_id: Key id as claimed, 1 to 8 bytes.
        algorithm: COSE algorithm as claimed (-8 EdDSA).
        signed: The issuer-signed bytes, the credential's identity (ADR 0002).
        signature: The signature over `signed`.
        issued_at: Unix seconds.
        expires_at: Unix seconds.
        kind: Which kind of pass.
        claims: What it says.
        holder_key: The bound holder key (RFC 8747), 32 bytes, or None.
        proof: What the holder signed to show it, or None where the pass alone was shown.
    """

    format: str
    issuer: str
    key_id: bytes
    algorithm: int
    signed: bytes
    signature: bytes
    issued_at: int
    expires_at: int
    kind: PassKind
    claims: Claims
    holder_key: bytes | None = None
    proof: Proof | None = None

    @property
    def identity(self) -> bytes:
        """What makes two presentations the same credential: the signed bytes, never the code's payload."""
        return self.signed


class HashKind(IntEnum):
    """What of a foreign credential is hashed in a list of revoked ones (the hash types of EU DCC revocation)."""

    SIGNATURE = 1
    IDENTIFIER = 2
    COUNTRY_AND_IDENTIFIER = 3


@dataclass(frozen=True, slots=True)
class Holder:
    """Whom a foreign credential speaks of, as signed: hints for staff, who look at a document beside it.

    Attributes:
        surname: Family name, empty where it tells none.
        name: Full name, or None.
        birth_year: Year of birth, or None.
    """

    surname: str
    name: str | None = None
    birth_year: int | None = None


@dataclass(frozen=True, slots=True)
class Introduced:
    """A key that a credential brings along, signed by the anchor (the signer certificate of a visible seal).

    Attributes:
        public: The plain public key, as of an `Anchor`.
        key_algorithm: COSE number it signs with; the credential's own must equal it.
        signed: The bytes the anchor signed, which contain that key.
        algorithm: COSE algorithm of the anchor's signature, as claimed.
        signature: The anchor's signature over `signed`, in the form of that algorithm.
        not_before: Unix seconds from which the key may have signed.
        not_after: Unix seconds until which it may have signed.
    """

    public: bytes
    key_algorithm: int
    signed: bytes
    algorithm: int
    signature: bytes
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True)
class ForeignCredential:
    """A well-formed credential of another system (ADR 0044). Nothing here has been verified.

    Attributes:
        format: Name of the format that parsed it (`hcert`).
        issuer: Issuer as claimed, in the format's own words (country, `iss` URL, did); empty where it claims none.
        key_id: Key id as claimed, 0 to 64 bytes.
        algorithm: COSE algorithm as claimed.
        signed: The signed bytes, the credential's identity (ADR 0002).
        signature: The signature over `signed`.
        kind: What it attests.
        claims: What it says, as bounded plain data: dicts, lists, texts, bytes, numbers, booleans, None.
        issued_at: Unix seconds, or None where the format has no such time.
        expires_at: Unix seconds, or None.
        holder: Whom it speaks of, or None.
        revocable: What of it is hashed and looked up in the anchor's lists of revoked ones, by kind of hash.
        introduced: A key between the anchor and this credential, or None.
        is_bound: Whether its issuer has bound it to a holder's key, which a code alone does not prove.
        types: Types that it names itself, for the anchor to say what they attest (`Anchor.types`).
        has_status: Whether it says that its issuer keeps a status of it: then no list of it is no answer.
    """

    format: str
    issuer: str
    key_id: bytes
    algorithm: int
    signed: bytes
    signature: bytes
    kind: PassKind
    claims: Mapping[str | int, Any]
    issued_at: int | None = None
    expires_at: int | None = None
    holder: Holder | None = None
    revocable: tuple[tuple[HashKind, bytes], ...] = ()
    introduced: Introduced | None = None
    is_bound: bool = False
    types: tuple[str, ...] = ()
    has_status: bool = False

    @property
    def identity(self) -> bytes:
        """What makes two presentations the same credential: the signed bytes."""
        return self.signed

    @property
    def revocation(self) -> tuple[tuple[HashKind, bytes], ...]:
        """What it is revoked by: SHA-256 digests, by kind of hash; made when asked, as not every key has lists."""
        return tuple((kind, sha256(content).digest()) for kind, content in self.revocable)


@dataclass(frozen=True, slots=True)
class ServerToken:
    """An opaque live code of a regional system: only its operator's server could say what it means.

    Attributes:
        format: Always `server_token`.
        family: Stable name of the family (`yuekang`, `nhc`, `jkm`, `url`).
        issuer: The issuer profile the family belongs to, empty where the family does not tell.
        identity: The bytes that make two presentations the same.
    """

    format: str
    family: str
    issuer: str
    identity: bytes


SignedCredential = Credential | ForeignCredential
"""What carries a signature: only these can be authentic."""
Presentation = SignedCredential | ServerToken
