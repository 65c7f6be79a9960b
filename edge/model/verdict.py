"""Outcome and reason of one presentation. A verdict that accepts can carry no reason but `OK`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final

from edge.model.credential import PassKind, Presentation, SignedCredential
from edge.model.rules import Ground
from edge.model.trust import Anchor, Issuer, IssuerKey


class Outcome(IntEnum):
    """What staff should do; the number is what the scan log stores."""

    ACCEPT = 1
    REFER = 2
    REJECT = 3


class Reason(StrEnum):
    """Stable codes. Screens, logs and the hub look the words up in `edge.words`."""

    OK = "ok"
    CREDENTIAL_MALFORMED = "credential.malformed"
    CREDENTIAL_UNREADABLE = "credential.unreadable"
    CREDENTIAL_FOREIGN = "credential.foreign"
    CREDENTIAL_TOO_LARGE = "credential.too_large"
    CREDENTIAL_PARTIAL = "credential.partial"
    CREDENTIAL_ENCRYPTED = "credential.encrypted"
    CREDENTIAL_UNCHECKED = "credential.unchecked"
    CREDENTIAL_SERVER_TOKEN = "credential.server_token"  # noqa: S105
    FORMAT_NOT_ADMITTED = "format.not_admitted"
    KIND_NOT_ADMITTED = "kind.not_admitted"
    ISSUER_UNKNOWN = "issuer.unknown"
    KEY_UNKNOWN = "key.unknown"
    KEY_ALGORITHM = "key.algorithm"
    KEY_UNSUPPORTED = "key.unsupported"
    KEY_KIND = "key.kind"
    KEY_REGION = "key.region"
    KEY_VALIDITY = "key.validity"
    KEY_NOT_CURRENT = "key.not_current"
    REGION_UNKNOWN = "region.unknown"
    VENUE_UNKNOWN = "venue.unknown"
    SIGNATURE_INVALID = "signature.invalid"
    TIME_EXPIRED = "time.expired"
    TIME_NOT_YET_VALID = "time.not_yet_valid"
    CLOCK_DOUBTFUL = "clock.doubtful"
    CLOCK_SET = "clock.set"
    CLOCK_CODE_REFUSED = "clock.code_refused"
    STATUS_REVOKED = "status.revoked"
    STATUS_SUSPENDED = "status.suspended"
    STATUS_UNAVAILABLE = "status.unavailable"
    STATUS_STALE = "status.stale"
    TRUST_MISSING = "trust.missing"
    TRUST_TOO_OLD = "trust.too_old"
    POLICY_ENDED = "policy.ended"
    POLICY_KEYS_ERASED = "policy.keys_erased"
    MATRIX_UNLISTED = "matrix.unlisted"
    HEALTH_YELLOW = "health.yellow"
    HEALTH_RED = "health.red"
    HEALTH_POPUP = "health.popup"
    HEALTH_UNKNOWN = "health.unknown"
    HEALTH_NONE = "health.none"
    TRAVEL_LISTED_AREA = "travel.listed_area"
    TRAVEL_WINDOW = "travel.window"
    LIVE_INVALID = "live.invalid"
    LIVE_STALE = "live.stale"
    LIVE_NONCE = "live.nonce"
    LIVE_MISSING = "live.missing"
    LIVE_UNBOUND = "live.unbound"
    HOURS_CLOSED = "hours.closed"
    STATUS_NOT_ADMITTED = "status.not_admitted"
    TIME_TOO_OLD = "time.too_old"
    RULE_FAILED = "rule.failed"
    RULE_UNDECIDED = "rule.undecided"
    CONDITION_PENDING = "condition.pending"
    CONDITION_OPTIONAL = "condition.optional"
    REPEAT_RECENT = "repeat.recent"
    PRESENTATION_SEVERAL = "presentation.several"
    LOG_UNWRITABLE = "log.unwritable"
    INTERNAL_FAULT = "internal.fault"
    RELAY_FAILED = "relay.failed"
    RELAY_REFUSED = "relay.refused"
    MANUAL_DOCUMENT = "manual.document"
    MANUAL_REGISTRATION = "manual.registration"
    STAFF_NOT_HOLDER = "staff.not_holder"
    STAFF_OVERRIDE = "staff.override"
    STAFF_UNDO = "staff.undo"


OK: Final = Reason.OK
"""The same by its own name: Python 3.11 takes 0.1 us to find a member of an enumeration, and a pass asks ten times."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Did the cryptographic and time checks pass, and which failed first.

    Success is said, never implied: `reason` is `OK` only where every check ran.

    Attributes:
        credential: What was checked.
        reason: `OK`, or the first check that failed.
        issuer: The issuer found in the trust snapshot, or None.
        key: The key whose signature verified, or None. Set means: these bytes are authentic.
        warnings: Checks that could not be decided and were downgraded.
    """

    credential: SignedCredential
    reason: Reason
    issuer: Issuer | None = None
    key: IssuerKey | Anchor | None = None
    warnings: tuple[Reason, ...] = ()

    @property
    def is_authentic(self) -> bool:
        """Whether a trusted issuer's signature over these bytes verified."""
        return self.key is not None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about one presentation.

    Attributes:
        outcome: What staff should do.
        reason: Why, as a stable code; `OK` exactly when accepted.
        presentation: What was presented, or None where the bytes were no credential.
        issuer: The trusted issuer, or None.
        is_authentic: Whether a trusted signature verified. Only then may anything of it be shown.
        health: The status in the national vocabulary (`green`, `yellow`, `red`, ...), empty where it says none.
        kind: Kind of pass, or None.
        policy_version: Version of the policy it was made under, 0 where there was none.
        trust_version: Version of the trust timestamp it was made under, 0 where there was none.
        details: Values the sentence of the catalogue mentions (`ago_s`, `area`); nothing personal.
        warnings: Checks that were downgraded, and what the rules would like besides.
        ground: Reason class and legal basis where the status is not green and the matrix names them.
        match: Signed fields that staff compare with the holder, where the rules ask for it.
        rule_says: Description of the business rule that was broken, by language, or None.
    """

    outcome: Outcome
    reason: Reason
    presentation: Presentation | None = None
    issuer: Issuer | None = None
    is_authentic: bool = False
    health: str = ""
    kind: PassKind | None = None
    policy_version: int = 0
    trust_version: int = 0
    details: dict[str, str | int] = field(default_factory=dict)
    warnings: tuple[Reason, ...] = ()
    ground: Ground | None = None
    match: tuple[str, ...] = ()
    rule_says: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        if (self.outcome is Outcome.ACCEPT) != (self.reason is Reason.OK):
            raise ValueError("a verdict accepts exactly when its reason is OK")
        if self.outcome is Outcome.ACCEPT and not self.is_authentic:
            raise ValueError("nothing is accepted whose signature did not verify")
