"""Receipts: the hub's signed word that it holds a log up to an entry. Only under one may a gate let go of rows."""

from collections.abc import Mapping
from typing import Any, Final

from nacl.signing import SigningKey

from edge.errors import LedgerError, ReceiptRefused
from edge.ledger import device
from edge.model.scan import Receipt

VERSION: Final = 1
KIND: Final = "receipt"
MAX_WIRE: Final = 1024


def make(receipt: Receipt, key: SigningKey) -> Receipt:
    """Return `receipt` signed by the hub: its `key_id` and `wire` are set.

    The fields `key_id` and `wire` of the argument are not looked at.
    """
    content: dict[int, Any] = {
        1: VERSION,
        2: receipt.gate,
        3: receipt.epoch,
        4: receipt.last,
        5: receipt.head,
        6: receipt.hub_seq,
        7: receipt.at_ms,
    }
    wire = device.sign(KIND, content, key)
    return open_receipt(wire, {device.key_id(key.verify_key.encode()).hex(): key.verify_key.encode()})


def open_receipt(wire: bytes, hub_keys: Mapping[str, bytes]) -> Receipt:
    """Verify a receipt under one of the hub's keys.

    Args:
        wire: What the far side answered; any bytes.
        hub_keys: Public keys by key id (hex), from enrolment and the trust list.

    Raises:
        ReceiptRefused: It is anything but a receipt signed by one of these keys.
    """
    if len(wire) > MAX_WIRE:
        raise ReceiptRefused("the answer is too long to be a receipt")
    content, named = opened_by_hub(KIND, wire, hub_keys)
    return _receipt(content, named, wire)


def opened_by_hub(kind: str, wire: bytes, hub_keys: Mapping[str, bytes]) -> tuple[dict[Any, Any], str]:
    """Return a message of the hub and the id of the key that signed it.

    Raises:
        ReceiptRefused: It is anything but a message of this kind signed by one of these keys.
    """
    try:
        named = device.signer_of(wire).hex()
        content = device.opened(kind, wire, hub_keys[named])
    except KeyError:
        raise ReceiptRefused("the answer is signed by a hub this gate does not know") from None
    except LedgerError as bad:
        raise ReceiptRefused(f"the answer is not signed by the hub: {bad}") from bad
    return content, named


_SHAPE: Final = {2: 16, 3: 8, 5: 32}


def _receipt(content: dict[Any, Any], named: str, wire: bytes) -> Receipt:
    if content.get(1) != VERSION or content.keys() != set(range(1, 8)):
        raise ReceiptRefused("the receipt is of another version")
    if any(not isinstance(content[key], bytes) or len(content[key]) != size for key, size in _SHAPE.items()):
        raise ReceiptRefused("a field of the receipt has another shape")
    counts = [content[key] for key in (4, 6, 7)]
    if any(type(count) is not int or not 0 <= count < 1 << 53 for count in counts):
        raise ReceiptRefused("a field of the receipt counts impossibly")
    last, hub_seq, at_ms = counts
    return Receipt(content[2], content[3], last, content[5], hub_seq, at_ms, named, wire)
