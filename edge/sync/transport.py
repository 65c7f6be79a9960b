"""What carries an exchange between a gate and its hub: the contract that a transport keeps, and the values it moves.

A transport moves bytes and bounds them in size and time. It believes nothing: whether an answer is the hub's is left to
`edge.sync.client`, when to ask is left to `edge.sync.session`.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """One message to the hub.

    Attributes:
        path: Path of the protocol (`edge.ledger.wire`).
        body: The signed message.
        media_type: Its media type.
    """

    path: str
    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, from whoever answered.

    Attributes:
        status: HTTP status.
        body: At most `wire.MAX_ANSWER` bytes.
        media_type: What the far side calls it, lower case, without parameters.
        retry_after_s: When the far side asks to be asked again, seconds from now, or None where it does not say.
    """

    status: int
    body: bytes
    media_type: str = ""
    retry_after_s: float | None = None


class Transport(Protocol):
    """A way to one hub.

    Promises: every call ends within the time-out it was made with; no more than `wire.MAX_ANSWER` bytes are taken;
    nothing is raised but `TransportError`; `close` may be called from another thread and ends a call under way.
    """

    def exchange(self, question: Question) -> Answer:
        """Ask and return what came back. It may have been asked twice: every message of the protocol is idempotent.

        Raises:
            Unreachable: Nobody answered, not wholly, or not in time.
            AnswerRefused: The answer is too large.
        """

    def hold(self) -> bool:
        """Keep the idle way to the hub open, without a message.

        Returns:
            Whether it was still open; False where it had to be opened again.

        Raises:
            Unreachable: It cannot be opened.
        """

    def close(self) -> None:
        """Let go of it; the next call opens it again."""
