"""Why a gate gets no signed answer: the words of each refusal that is not about the content of a batch."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Declined:
    """Why a gate gets no signed answer.

    Attributes:
        status: HTTP status.
        code: Stable word.
        message: What was met, one sentence.
        next_step: What to do.
    """

    status: int
    code: str
    message: str
    next_step: str


UNKNOWN_GATE: Final = Declined(
    403, "unknown_gate", "This hub does not know the gate.", "Enrol it: edge provision enroll CODE"
)
NOT_ENROLLED: Final = {
    "unknown": Declined(403, "unknown", "This hub made no such invitation.", "Ask for one: edge hub invite"),
    "expired": Declined(403, "expired", "The invitation has expired.", "Ask for a new one: edge hub invite"),
    "used": Declined(
        409, "used", "The invitation was used before.", "Ask for a new one, and tell the operator it was used twice."
    ),
}
