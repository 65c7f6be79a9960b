"""Time codes: the hub's signed answer to a gate that asks what time it is, small enough for a picture on a phone.

`HT1:` + Base45 of a signed message `time` {1 question of the gate, 5 bytes; 2 Unix milliseconds}. It counts only for
the gate that asked, and once: see docs/adr/0023-trusted-time.md. Whether the question is ours is left to the gate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from nacl.signing import SigningKey

from edge.codec import base45
from edge.errors import EncodingRefused, LedgerError
from edge.ledger import device
from edge.ledger.receipt import opened_by_hub

PREFIX: Final = b"HT1:"
KIND: Final = "time"
NONCE_BYTES: Final = 5
MAX_CODE: Final = 256


@dataclass(frozen=True, slots=True)
class TimeCode:
    """A signed answer.

    Attributes:
        nonce: The question it answers, 5 bytes.
        at_ms: The time it was signed, Unix milliseconds.
        key_id: Which hub key signed it (hex, 16 characters); empty before it is signed.
    """

    nonce: bytes
    at_ms: int
    key_id: str = ""


def make(code: TimeCode, key: SigningKey) -> str:
    """Return `code` signed by the hub, as the text of a QR code; its `key_id` is not looked at.

    Raises:
        ValueError: The question has another length, or the time lies outside what a gate takes.
    """
    if len(code.nonce) != NONCE_BYTES or not 0 <= code.at_ms < 1 << 53:
        raise ValueError("a question has 5 bytes, and a time lies between 1970 and the year 287396")
    return (PREFIX + base45.encode(device.sign(KIND, {1: code.nonce, 2: code.at_ms}, key))).decode("ascii")


def open_code(raw: bytes, hub_keys: Mapping[str, bytes]) -> TimeCode:
    """Return the answer in `raw` if one of these keys signed it.

    Args:
        raw: What was shown, any bytes.
        hub_keys: Public keys by key id (hex), from enrolment and the trust list.

    Raises:
        LedgerError: It is anything else.
    """
    if len(raw) > MAX_CODE or not raw.startswith(PREFIX):
        raise LedgerError("this is no time code")
    try:
        wire = base45.decode(raw[len(PREFIX) :])
    except EncodingRefused as bad:
        raise LedgerError(f"the time code is damaged: {bad}") from bad
    content, named = opened_by_hub(KIND, wire, hub_keys)
    nonce, at_ms = content.get(1), content.get(2)
    if content.keys() != {1, 2} or type(nonce) is not bytes or len(nonce) != NONCE_BYTES:
        raise LedgerError("the time code has another shape")
    if type(at_ms) is not int or not 0 <= at_ms < 1 << 53:
        raise LedgerError("the time of the time code is none")
    return TimeCode(nonce, at_ms, named)
