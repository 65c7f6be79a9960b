"""What a policy of schema 2 demands beside formats, kinds and lists: ages, combinations, hours, whom to ask.

No field can hold what names a person: only kinds, healths, families, times and counts (a test walks every field).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edge.model.credential import PassKind

DAY_MIN = 1440
HEALTHS = ("green", "yellow", "red", "popup", "unknown", "none")
"""The national vocabulary of statuses."""
GROUNDS = ("case", "contact", "area", "test", "record", "display", "identity", "other")
"""Classes of reasons for a status that is not green; each has the label `ground.CLASS`."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A combination of kinds of pass.

    Attributes:
        kinds: Which kinds count.
        at_least: How many different ones of them are wanted, 1 to their number.
        is_optional: Whether admission does not depend on it: staff are only told.
    """

    kinds: tuple[PassKind, ...]
    at_least: int
    is_optional: bool = False

    def missing(self, held: Collection[PassKind]) -> int:
        """Return how many kinds are still wanted where `held` were presented."""
        return max(0, self.at_least - sum(kind in held for kind in self.kinds))

    def wanted(self, held: Collection[PassKind]) -> tuple[PassKind, ...]:
        """Return the kinds that would still count, none where it is met."""
        return tuple(kind for kind in self.kinds if kind not in held) if self.missing(held) else ()


@dataclass(frozen=True, slots=True)
class Span:
    """Part of a day, on some days of the week.

    Attributes:
        days: 1 Monday to 7 Sunday (ISO 8601).
        opens_min: Minutes since local midnight.
        closes_min: Minutes since local midnight, above `opens_min`, at most 1440; not in the span itself.
    """

    days: tuple[int, ...]
    opens_min: int
    closes_min: int


@dataclass(frozen=True, slots=True)
class Hours:
    """When gates are open, by a clock of a fixed offset from UTC: the same at every gate, whatever it is set to.

    Attributes:
        offset_min: Minutes ahead of UTC.
        spans: When it is open.
    """

    offset_min: int
    spans: tuple[Span, ...]

    def is_open(self, unix_s: int) -> bool:
        """Whether it is open at `unix_s`."""
        days, minute = divmod(unix_s // 60 + self.offset_min, DAY_MIN)
        # 1970-01-01 was a Thursday.
        weekday = (days + 3) % 7 + 1
        return any(weekday in span.days and span.opens_min <= minute < span.closes_min for span in self.spans)


@dataclass(frozen=True, slots=True)
class Relay:
    """An operator who may be asked what one of its live codes means.

    Attributes:
        family: Family of server tokens it answers for.
        issuer: Issuer whose statuses the answers speak in.
        url: Where it is asked; https, or http on the device itself.
        public: Ed25519 key its answers are signed by, 32 bytes.
        certificate: SHA-256 of its TLS certificate, or empty for any the system trusts.
        budget_ms: How long a gate waits for it.
    """

    family: str
    issuer: str
    url: str
    public: bytes
    certificate: bytes = b""
    budget_ms: int = 1500


@dataclass(frozen=True, slots=True)
class HealthUse:
    """Whose business rules health certificates must keep (ADR 0054).

    Attributes:
        kinds: Kinds of certificate.
        country: Country of arrival, ISO 3166-1 alpha-2: its acceptance rules count.
        outcome: What a broken rule comes to: `refer` or `reject`.
    """

    kinds: frozenset[PassKind]
    country: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules beside those every policy has. The defaults demand nothing.

    Attributes:
        healths: Statuses of the national vocabulary that can be accepted at all.
        max_age_s: Longest time since a pass was issued, by kind; its status is as old as it.
        conditions: Combinations that are wanted; the mandatory ones all.
        condition_window_s: Within which time several passes count as presented together.
        match_holder: Kinds of pass on whose accept staff compare the holder.
        hours: When gates are open, or None for always.
        relays: Whom to ask about live codes, by family.
        health: Whose business rules health certificates must keep; no kind in two of them.
    """

    healths: frozenset[str] = frozenset(HEALTHS)
    max_age_s: Mapping[PassKind, int] = field(default_factory=lambda: MappingProxyType({}))
    conditions: tuple[Condition, ...] = ()
    condition_window_s: int = 60
    match_holder: frozenset[PassKind] = frozenset()
    hours: Hours | None = None
    relays: Mapping[str, Relay] = field(default_factory=lambda: MappingProxyType({}))
    health: tuple[HealthUse, ...] = ()


@dataclass(frozen=True, slots=True)
class Ground:
    """Why a status is not green, as the nation says it.

    Attributes:
        class_: One of `GROUNDS`.
        basis: The law it rests on, by language.
    """

    class_: str
    basis: Mapping[str, str]
