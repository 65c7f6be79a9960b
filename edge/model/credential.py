"""What was presented, once its bytes were understood and before anybody believed it."""

from dataclasses import dataclass
from enum import IntEnum


class PassKind(IntEnum):
    """Kinds of national pass (ADR 0006); the number stands in the pass and in the scan log."""

    PERSON = 0
    TRAVEL = 1
    VENUE = 2
    VISITOR = 3


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


Presentation = Credential | ServerToken
