"""An event that sells tickets of pretix: a key, its anchor, and what a gate says of any bytes."""

import base64
from dataclasses import replace
from typing import Any

from nacl.signing import SigningKey

from edge.credentials import pretix
from edge.credentials.format import Format
from edge.model.credential import FOREIGN_KINDS, PassKind
from edge.model.moment import Moment
from edge.model.trust import EDDSA, Anchor, TrustSnapshot
from edge.model.verdict import Verdict
from edge.policy.examine import examine
from tests.simulators.foreign import HOLDER, believing
from tests.simulators.world import DAY, ISSUED, NOW, at, context

EVENT = SigningKey(bytes(range(1, 33)))
EVENT_ANCHOR = Anchor(
    HOLDER,
    pretix.NAME,
    "",
    b"",
    EDDSA,
    bytes(EVENT.verify_key),
    frozenset((PassKind.TICKET,)),
    ISSUED - DAY,
    ISSUED + 100 * DAY,
)


def admitting(*anchors: Anchor, **more: Any) -> TrustSnapshot:
    """Return trust in the anchors, under a policy that admits every foreign kind."""
    trust = believing(*anchors, **more)
    return replace(trust, policy=replace(trust.policy, kinds=trust.policy.kinds | FOREIGN_KINDS))


def judged(raw: bytes, format_: Format, trust: TrustSnapshot, moment: Moment | None = None) -> Verdict:
    """Return what a gate that reads one more format says."""
    shown = context(moment or at(NOW), trust)
    return examine(raw, replace(shown, formats=(format_, *shown.formats)))


def varint(value: int) -> bytes:
    """Return a number as protobuf writes it."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """Return a protobuf message of these fields in this order."""
    found = b""
    for number, value in fields:
        if isinstance(value, int):
            found += varint(number << 3) + varint(value)
        else:
            found += varint(number << 3 | 2) + varint(len(value)) + value
    return found


TICKET: tuple[tuple[int, int | bytes], ...] = ((1, b"fRU2It7dV"), (2, 100), (4, 14))


def ticket_code(signed: bytes, signature: bytes | None = None, *, version: int = 1, size: int | None = None) -> bytes:
    """Return the code of a message, signed by the event unless a signature is given."""
    signature = EVENT.sign(signed).signature if signature is None else signature
    head = bytes((version,)) + (len(signed) if size is None else size).to_bytes(2) + len(signature).to_bytes(2)
    return base64.b64encode(head + signed + signature)[::-1]


def make_ticket(*fields: tuple[int, int | bytes]) -> bytes:
    """Issue a ticket."""
    return ticket_code(message(*(fields or TICKET)))
