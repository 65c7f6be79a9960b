"""Business rules of health certificates: who published them, for what and when they hold (ADR 0054).

What an expression means is left to `edge.policy.certlogic`, which rules count to `edge.policy.health`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from edge.model.credential import PassKind


class Logic(Protocol):
    """What a rule asks: an expression that was found to be one when the rules were loaded.

    Promises: pure, total but for the one refusal, bounded in steps.
    """

    def evaluate(self, data: Any, run: Any = None) -> Any:
        """Return its value for `data`; `run` counts the steps (`edge.policy.certlogic.Evaluation`).

        Raises:
            EncodingRefused: The data does not fit it, or it takes too many steps.
        """


@dataclass(frozen=True, slots=True)
class HealthRule:
    """One version of one rule.

    Attributes:
        identifier: Its name (`TR-DE-0001`).
        version: Its version, three numbers.
        country: Whose rule it is, ISO 3166-1 alpha-2.
        is_invalidation: Whether it holds for what `country` issued, instead of for who arrives there.
        kind: The kind of certificate it is about, or None for each.
        valid_from: Unix seconds from which it holds.
        valid_to: Unix seconds until which it holds, these included.
        logic: What must come out true.
        says: Its description by language.
    """

    identifier: str
    version: tuple[int, int, int]
    country: str
    is_invalidation: bool
    kind: PassKind | None
    valid_from: int
    valid_to: int
    logic: Logic
    says: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its identifier and version, as people name it."""
        return f"{self.identifier} {'.'.join(map(str, self.version))}"

    def is_for(self, kind: PassKind) -> bool:
        """Whether it is about certificates of `kind`."""
        return self.kind is None or self.kind is kind

    def says_in(self, language: str) -> str:
        """Return its description in a language, or in the one it has."""
        return self.says.get(language) or next(iter(self.says.values()), "")


@dataclass(frozen=True, slots=True)
class HealthRules:
    """Every rule and value set of a publication.

    Attributes:
        acceptance: Rules for who arrives in a country, by country, each identifier's versions in ascending order.
        invalidation: Rules for what a country issued, likewise.
        value_sets: Codes by the id of their set.
    """

    acceptance: Mapping[str, tuple[HealthRule, ...]] = field(default_factory=lambda: MappingProxyType({}))
    invalidation: Mapping[str, tuple[HealthRule, ...]] = field(default_factory=lambda: MappingProxyType({}))
    value_sets: Mapping[str, list[str]] = field(default_factory=lambda: MappingProxyType({}))
