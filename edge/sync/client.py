"""The protocol's three exchanges from the gate's side (docs/adr/0011-sync-session.md): what counts as an answer.

Only what a key of our hub signed is an answer. A refusal is the exception, since nothing follows from one but that a
batch waits: it must have the protocol's own shape. Everything else somebody may answer (a login page, half a message,
another hub's receipt) is an error that changes nothing.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from edge.codec import cbor
from edge.errors import AnswerRefused, BatchRefused, EncodingRefused, EnrolmentError, ReceiptRefused
from edge.ledger import enrolment, receipt, wire
from edge.ledger.enrolment import EnrolmentAnswer, Watermark
from edge.model.scan import Receipt
from edge.sync.transport import Answer, Question, Transport

BUSY: Final = frozenset((429, 503))
UNKNOWN_GATE: Final = "unknown_gate"
"""The one kind of refusal that speaks of this gate and not of what it sent."""
TOO_LARGE: Final = "too_large"
_OK: Final = 200
_CONTENT_TOO_LARGE: Final = 413
_TAKEN: Final = 1
_NOT_TAKEN: Final = 0
_MAX_KIND: Final = 32
_MAX_MESSAGE: Final = 200
_JSON_TYPE: Final = "application/json"


def beat(transport: Transport, heartbeat: bytes, hub_keys: Mapping[str, bytes]) -> Watermark:
    """Say that the gate is alive; return how far the hub holds its log.

    Raises:
        Unreachable: Nobody answered, or not in time.
        BatchRefused: The hub does not know this gate (`unknown_gate`).
        AnswerRefused: Somebody answered something else; with a `retry_after_s` where the hub is busy.
        ReceiptRefused: The answer is not signed by our hub.
    """
    return enrolment.open_watermark(_content(transport, wire.HEARTBEAT, heartbeat), hub_keys)


def push(transport: Transport, batch: bytes, hub_keys: Mapping[str, bytes]) -> Receipt:
    """Send one batch; return the hub's receipt, its signature verified and nothing else of it.

    Raises:
        Unreachable: Nobody answered, or not in time.
        BatchRefused: The hub refuses this batch, or this gate (`unknown_gate`).
        AnswerRefused: Somebody answered something else; with a `retry_after_s` where the hub is busy.
        ReceiptRefused: The answer is not a receipt of our hub.
    """
    content = _content(transport, wire.BATCHES, batch)
    try:
        answers = cbor.decode(content)
    except EncodingRefused as bad:
        raise ReceiptRefused("the answer is no list of receipts") from bad
    match answers:
        case [[int(taken), bytes(signed)]] if taken == _TAKEN:
            return receipt.open_receipt(signed, hub_keys)
        case [[int(taken), str(kind), str(message)]] if taken == _NOT_TAKEN:
            raise BatchRefused(_plain(kind, _MAX_KIND), _plain(message, _MAX_MESSAGE))
        case _:
            raise ReceiptRefused("the answer is no list of receipts")


def enrol(transport: Transport, request: bytes, hub_key: bytes) -> EnrolmentAnswer:
    """Send an enrolment request; return the answer of the inviting hub.

    Raises:
        Unreachable: Nobody answered, or not in time.
        EnrolmentError: The hub refuses, in its words; or the answer is not signed by the inviting hub.
        AnswerRefused: Somebody answered something else; with a `retry_after_s` where the hub is busy.
    """
    answer = transport.exchange(Question(wire.ENROL, request, wire.COSE_TYPE))
    if answer.status == _OK:
        return enrolment.open_answer(answer.body, hub_key)
    refusal = _refusal(answer)
    if refusal is None or answer.status in BUSY:
        raise _other(answer)
    _, message, next_step = refusal
    raise EnrolmentError(f"The hub does not enrol this gate. {message}", next_step)


def _content(transport: Transport, path: str, message: bytes) -> bytes:
    media_type = wire.CBOR_TYPE if path == wire.BATCHES else wire.COSE_TYPE
    answer = transport.exchange(Question(path, message, media_type))
    if answer.status == _OK:
        return answer.body
    if answer.status == _CONTENT_TOO_LARGE:
        # RFC 9110, 15.5.14: about this body, whoever on the way says it; the next one may be smaller.
        raise BatchRefused(TOO_LARGE, "something on the way to the hub takes no message of this size")
    refusal = _refusal(answer)
    if refusal is not None and refusal[0] == UNKNOWN_GATE:
        raise BatchRefused(*refusal)
    raise _other(answer)


def _other(answer: Answer) -> AnswerRefused:
    if answer.status in BUSY:
        return AnswerRefused(
            "The hub is busy.",
            "Try again in a minute.",
            status=answer.status,
            retry_after_s=answer.retry_after_s,
        )
    return AnswerRefused(
        f"Somebody answered with HTTP {answer.status} in place of the hub.",
        "Check the address of the hub, and that no login page answers for it.",
        status=answer.status,
    )


def _refusal(answer: Answer) -> tuple[str, str, str] | None:
    """Return code, message and next step of a refusal in the protocol's words, or None where it is anything else."""
    if answer.media_type != _JSON_TYPE:
        return None
    try:
        content: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    match content:
        case {"code": str(code), "message": str(message), "next_step": str(next_step)}:
            return _plain(code, _MAX_KIND), _plain(message, _MAX_MESSAGE), _plain(next_step, _MAX_MESSAGE)
        case _:
            return None


def _plain(text: str, most: int) -> str:
    # Unsigned text of whoever answered, on its way to a technician's screen: short and printable.
    return "".join(char for char in text[:most] if char.isprintable())
