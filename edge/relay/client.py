"""The scanner part's end of `relay.sock`: one question, one answer, within the budget of the signed policy.

A person waits meanwhile, so the whole of it is bounded here too, whatever the sync part does.
"""

import socket
import time
from pathlib import Path
from typing import Final

from edge.errors import Unreachable
from edge.policy.ask import Ask
from edge.relay.question import MAX_LINE, Question, answer_of

_SPARE_S: Final = 0.1
"""For the way between the two parts, beside the operator's own budget."""


class RelayClient:
    """Asks the sync part.

    Args:
        path: Where its socket stands; it may be missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, asked: Ask) -> bytes:
        """Return what the operator answered; nothing of it is believed yet.

        Raises:
            Unreachable: There was no answer within the budget.
            AnswerRefused: Something else came back.
        """
        relay = asked.relay
        question = Question(
            relay.url, relay.certificate, relay.budget_ms, relay.family, asked.nonce, asked.presented.identity
        )
        ends_at = time.monotonic() + relay.budget_ms / 1000 + _SPARE_S
        try:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(ends_at - time.monotonic())
                peer.connect(str(self._path))
                peer.sendall(question.line())
                return answer_of(_line(peer, ends_at))
        except OSError as error:
            raise Unreachable(
                "The relay did not answer in time.", "People go to the staffed desk meanwhile."
            ) from error


def _line(peer: socket.socket, ends_at: float) -> bytes:
    received = bytearray()
    while len(received) <= MAX_LINE and not received.endswith(b"\n"):
        left_s = ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        peer.settimeout(left_s)
        chunk = peer.recv(4096)
        if not chunk:
            break
        received += chunk
    return bytes(received)
