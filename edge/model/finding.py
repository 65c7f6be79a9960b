"""Something about this device that a person should know, with its next step looked up in `edge.words`."""

from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How urgent a finding is."""

    INFO = "info"
    WARNING = "warning"
    STOP = "stop"
    """The gate cannot admit anybody until it is put right."""


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
