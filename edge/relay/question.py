"""The line of JSON that goes from the scanner part to the sync part, and the one that comes back.

What an operator is sent is made of it in `edge.relay.operator`; whether its answer counts, `edge.policy.ask` says.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any, Final

from edge.errors import AnswerRefused

FILE: Final = "relay.sock"
MAX_LINE: Final = 16 << 10
"""A live code has at most 4,296 bytes, an answer 1,024."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of whom.

    Attributes:
        url: Where.
        certificate: SHA-256 of the TLS certificate it must show, or empty.
        budget_ms: How long all of it may take.
        family: Family of the live code.
        nonce: The question's nonce.
        token: The live code.
    """

    url: str
    certificate: bytes
    budget_ms: int
    family: str
    nonce: bytes
    token: bytes

    def line(self) -> bytes:
        """Return it as a line."""
        members = {
            "url": self.url,
            "certificate": self.certificate.hex(),
            "budget_ms": self.budget_ms,
            "family": self.family,
            "nonce": self.nonce.hex(),
            "token": b64encode(self.token).decode(),
        }
        return json.dumps(members).encode() + b"\n"

    @classmethod
    def of(cls, line: bytes) -> "Question":
        """Return the question in a line.

        Raises:
            AnswerRefused: It is none.
        """
        found = _object(line)
        try:
            return cls(
                str(found["url"]),
                bytes.fromhex(found["certificate"]),
                min(int(found["budget_ms"]), 10_000),
                str(found["family"]),
                bytes.fromhex(found["nonce"]),
                b64decode(found["token"], validate=True),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise AnswerRefused("The question is not of its form.", "Update this gate's parts together.") from error


def answer_line(answer: bytes) -> bytes:
    """Return the line that carries an answer."""
    return json.dumps({"answer": b64encode(answer).decode()}).encode() + b"\n"


def failure_line(message: str) -> bytes:
    """Return the line that says why there is none."""
    return json.dumps({"failed": message[:200]}).encode() + b"\n"


def answer_of(line: bytes) -> bytes:
    """Return the answer in a line.

    Raises:
        AnswerRefused: It says that there is none, or is not of its form.
    """
    found = _object(line)
    try:
        return b64decode(found["answer"], validate=True)
    except (KeyError, ValueError, TypeError) as error:
        said = found.get("failed")
        raise AnswerRefused(said if isinstance(said, str) else "The relay gave no answer.", "") from error


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise AnswerRefused("The relay's line is no JSON.", "") from error
    if not isinstance(found, dict):
        raise AnswerRefused("The relay's line is no JSON object.", "")
    return found
