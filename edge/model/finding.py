"""Something about this device that a person should know, with its next step looked up in `edge.words`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How urgent a finding is."""

    INFO = "info"
    WARNING = "warning"
    DAMAGE = "damage"
    """Something the gate keeps is damaged or not its own; it works on without, and only a person can put it right."""
    STOP = "stop"
    """The gate cannot admit anybody until it is put right."""

    @property
    def rank(self) -> int:
        """The more urgent, the higher."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One condition of the device, named by a stable code.

    Attributes:
        code: Stable dotted code, a key of the catalogue (`camera.lost`, `log.unwritable`).
        severity: How urgent.
        params: Values the sentence of the catalogue mentions; nothing personal.
    """

    code: str
    severity: Severity = Severity.WARNING
    params: dict[str, str | int | float] = field(default_factory=dict)


def most_urgent_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order in which a person should hear of them; equals stay in their order."""
    return sorted(findings, key=lambda finding: -finding.severity.rank)
