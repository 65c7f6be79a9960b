"""One immutable, dated view of whose keys we accept, which credentials are revoked and what may pass.

Built only by `edge.trust` from verified TUF targets (`docs/formats.md` gives each target's JSON).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Protocol

from edge.model.credential import HashKind, PassKind
from edge.model.health_rules import HealthRules
from edge.model.live import LiveRule
from edge.model.moment import ClockQuality, Moment
from edge.model.registries import Registries
from edge.model.rules import Ground, Rules

# COSE algorithm numbers: RFC 9053, 2.1 and 2.2; RFC 8230, 2; RFC 8812, 2.
ES256 = -7
EDDSA = -8
ES384 = -35
PS256 = -37
RS256 = -257
# Nobody has registered SM2 (2026): a number of the range for private use, below -65536 (RFC 9053, 2 and 11.1).
SM2 = -70010


class Band(StrEnum):
    """Age of trust data against the signed policy's limits."""

    FRESH = "fresh"
    STALE = "stale"
    TOO_OLD = "too_old"
    MISSING = "missing"


class Status(IntEnum):
    """Status values of a Token Status List (draft-ietf-oauth-status-list, 7.1)."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


class StatusList(Protocol):
    """The revocation state of every pass of one list, whatever form it is kept in.

    Promises: answers at once and from the device alone; equal contents give equal answers in every form; nothing of it
    changes while a snapshot holds it.
    """

    @property
    def uri(self) -> str:
        """Stable name of the list, bound to (issuer, list number)."""

    def status(self, index: int) -> int | None:
        """Return the status value at `index`, or None past either end of the list."""


@dataclass(frozen=True, slots=True)
class PackedList:
    """A status list as the packed entries of a Token Status List.

    Attributes:
        uri: Stable name of the list, bound to (issuer, list number).
        bits: Bits per entry, 1, 2, 4 or 8 (draft-ietf-oauth-status-list, 4.1).
        entries: The packed entries, least significant bits first.
    """

    uri: str
    bits: int
    entries: bytes

    def status(self, index: int) -> int | None:
        """Return the status value at `index`, or None past the end of the list."""
        per_byte = 8 // self.bits
        byte, slot = divmod(index, per_byte)
        if not 0 <= byte < len(self.entries):
            return None
        return self.entries[byte] >> slot * self.bits & (1 << self.bits) - 1


class HashList(Protocol):
    """Revoked foreign credentials by a hash of them. Exact: no answer of it is a guess.

    Promises: as `StatusList`.
    """

    @property
    def kind(self) -> HashKind:
        """What is hashed."""

    def __contains__(self, digest: bytes) -> bool:
        """Whether a SHA-256 digest is listed; a list keeps its first bytes, as many as the list is wide."""


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """A key and everything it is allowed to say.

    Attributes:
        issuer: Issuer id.
        key_id: 1 to 8 bytes; not unique: look up by (issuer, key id), try at most four.
        algorithm: The one algorithm this key is used with (COSE number); a header must equal it.
        public: The plain public key (Ed25519: 32 bytes; ECDSA, SM2: 04||x||y; RSA: DER RSAPublicKey).
        kinds: Kinds of pass it may sign.
        regions: GB/T 2260 prefixes a pass of this key may speak of (empty string: all).
        max_validity_s: Longest exp - iat it may sign, seconds.
        not_before: Unix seconds from which it may have signed.
        not_after: Unix seconds until which it may have signed.
        status_list: Number of its status list at this issuer.
    """

    issuer: str
    key_id: bytes
    algorithm: int
    public: bytes
    kinds: frozenset[PassKind]
    regions: tuple[str, ...]
    max_validity_s: int
    not_before: int
    not_after: int
    status_list: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """A key of another system and everything we let it say (ADR 0044).

    Attributes:
        issuer: Our id of whoever holds it, as in the registry (`dcc`, `shc-ny`): logs and the matrix name it so.
        format: The format it signs (`hcert`).
        claimed: The issuer its credentials must claim, in the format's own words; empty text: any or none.
        key_id: 0 to 64 bytes; not unique: look up by (format, claimed, key id), try at most four.
        algorithm: The one algorithm this key is used with (COSE number); a header must equal it.
        public: The plain public key (Ed25519: 32 bytes; ECDSA: 04||x||y; RSA: DER RSAPublicKey).
        kinds: What it may attest.
        not_before: Unix seconds from which it may have signed.
        not_after: Unix seconds until which it may have signed.
        hash_lists: Numbers of the issuer's lists of hashes that its credentials are looked up in.
        types: What credentials that name their type (`vct`) attest: type and kind; a type not named is none of its own.
            Empty: of any type, and of the kind that the format says.
    """

    issuer: str
    format: str
    claimed: str
    key_id: bytes
    algorithm: int
    public: bytes
    kinds: frozenset[PassKind]
    not_before: int
    not_after: int
    hash_lists: tuple[int, ...] = ()
    types: tuple[tuple[str, PassKind], ...] = ()


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs passes.

    Attributes:
        id: Shortest GB/T 2260 prefix or a national name (`44`, `6101`, `nhc`).
        names: Display name by language (`zh`, `en`).
        region: GB/T 2260 code of its seat, six digits, or 0 for a national system.
    """

    id: str
    names: Mapping[str, str]
    region: int


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """What one status of one issuer means at gates of one area.

    Attributes:
        issuer: Issuer id.
        status: The issuer's own status number; None for passes without one (travel).
        area: GB/T 2260 prefix of the gate's region the row holds in (empty string: everywhere).
        health: The status in the national vocabulary (`green`, `yellow`, `red`, `popup`, `unknown`, `none`).
        outcome: `accept`, `refer` or `reject`.
        ground: Reason class and legal basis of a status that is not green, or None where the row gives none.
    """

    issuer: str
    status: int | None
    area: str
    health: str
    outcome: str
    ground: Ground | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What a gate accepts, signed by the authority.

    Attributes:
        version: Grows with every publication; every verdict records it.
        purpose: Why gates check at all, by language.
        ends_at: Unix seconds after which no gate admits under it.
        formats: Formats admitted (`hp1`).
        kinds: Kinds of pass that can admit a person.
        repeat_window_s: How long the same credential at this site is referred.
        short_lived_s: exp - iat up to which a pass does not depend on revocation.
        stale_after_s: Age of trust data from which revocation is no longer relied on.
        too_old_after_s: Age of trust data from which nothing is accepted.
        retention_s: How long receipted entries stay on the gate.
        travel_days: Window a travel pass must at least cover, days.
        listed_areas: GB/T 2260 prefixes; a travel pass that visited one is referred.
        live: Whose passes must be shown live; the first that applies holds.
        live_window_s: How far the time that a phone signed may be from the gate's, seconds.
        rules: What it demands besides.
        effective_at: Unix seconds from which it holds; 0: from its publication.
        following: The policy that takes its place by itself, or None.
    """

    version: int
    purpose: Mapping[str, str]
    ends_at: int
    formats: frozenset[str]
    kinds: frozenset[PassKind]
    repeat_window_s: int
    short_lived_s: int
    stale_after_s: int
    too_old_after_s: int
    retention_s: int
    travel_days: int
    listed_areas: tuple[str, ...]
    live: tuple[LiveRule, ...] = ()
    live_window_s: int = 30
    rules: Rules = Rules()
    effective_at: int = 0
    following: "Policy | None" = None

    def under(self, rules: Rules) -> "Policy":
        """Return it with other rules."""
        return replace(self, rules=rules)

    def band(self, age_s: float) -> Band:
        """Return the band of trust data that is `age_s` seconds old."""
        if age_s >= self.too_old_after_s:
            return Band.TOO_OLD
        return Band.STALE if age_s >= self.stale_after_s else Band.FRESH


@dataclass(frozen=True, slots=True)
class TrustVersions:
    """Version of each top-level role the snapshot was built from."""

    root: int
    timestamp: int
    snapshot: int
    targets: int


@dataclass(frozen=True, slots=True)
class TrustSnapshot:
    """Everything a gate believes, at one time.

    Attributes:
        versions: TUF versions it was built from.
        digest: SHA-256 of the snapshot metadata: two gates with equal digests believe the same.
        issued_at: Signed issue time of the timestamp, Unix seconds; the age counts from here.
        newest_expiry: Latest expiry among the signed metadata, Unix seconds: later than this the clock is doubted.
        issuers: By issuer id.
        keys: By (issuer id, key id).
        status_lists: By (issuer id, list number).
        matrix: Recognition matrix rows, by (issuer id, status).
        policy: The policy in force.
        regions: Names by GB/T 2260 code, by language.
        hub_keys: Receipt keys by key id (hex of the first 8 bytes of SHA-256 of the public key).
        auditor_key: X25519 public key that personal fields are sealed to, or None.
        hash_lists: Revoked foreign credentials, by (issuer id, list number).
        held_back: Why a list stays at its state of before although another was published, by the list's name.
        sunset: Unix seconds until which the root lets any policy run, or None where it sets no bound.
        registries: How complete the regions are, venues, names of statuses.
        successor: The same under the policy that follows, or None.
        anchors: Keys of other systems by (format, claimed issuer, key id), of the formats that the policy admits.
        health_rules: Business rules of health certificates, of every country that is published.
    """

    versions: TrustVersions
    digest: bytes
    issued_at: int
    newest_expiry: int
    issuers: Mapping[str, Issuer]
    keys: Mapping[tuple[str, bytes], tuple[IssuerKey, ...]]
    status_lists: Mapping[tuple[str, int], StatusList]
    matrix: Mapping[tuple[str, int | None], tuple[MatrixRow, ...]]
    policy: Policy
    regions: Mapping[int, Mapping[str, str]]
    hub_keys: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    auditor_key: bytes | None = None
    hash_lists: Mapping[tuple[str, int], HashList] = field(default_factory=lambda: MappingProxyType({}))
    held_back: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    sunset: int | None = None
    registries: Registries = Registries()
    anchors: Mapping[tuple[str, str, bytes], tuple[Anchor, ...]] = field(default_factory=lambda: MappingProxyType({}))
    successor: "TrustSnapshot | None" = None
    health_rules: HealthRules = HealthRules()

    def at(self, moment: Moment) -> "TrustSnapshot":
        """Return the view in force at `moment`: from the second its policy names, that of the policy that follows.

        A clock in doubt brings no policy into force, as it ends none.
        """
        following = self.successor
        if following is None or moment.quality is ClockQuality.DOUBTFUL:
            return self
        return following if moment.unix_s >= following.policy.effective_at else self

    @property
    def ends_at(self) -> int:
        """Unix seconds from which no gate admits under this policy: its own end, or the root's where that is earlier.

        So a longer life takes a new root, which takes the root's threshold (docs/adr/0024-sunset-registries.md).
        """
        return self.policy.ends_at if self.sunset is None else min(self.policy.ends_at, self.sunset)

    def age_s(self, unix_s: float) -> float:
        """Return the age of this view at `unix_s`, seconds, never negative."""
        return max(0.0, unix_s - self.issued_at)

    def band(self, unix_s: float) -> Band:
        """Return the band of this view at `unix_s`."""
        return self.policy.band(self.age_s(unix_s))

    def region_name(self, code: int) -> Mapping[str, str]:
        """Return the names of a region, or of the nearest larger one the registry knows."""
        for unit in (1, 100, 10000):
            names = self.regions.get(code - code % unit)
            if names is not None:
                return names
        return MappingProxyType({})
