"""Slips: a gate's signed word that somebody was referred or refused, for him to take along (docs/adr/0042-slips.md).

`HS1:` + Base45 of a signed message `slip`. It carries the gate's public key and the newest receipt of its hub: the
receipt names the gate by the hash of that key, so whoever knows the hub's key knows the gate, without a network.
Nothing of it tells who was there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nacl.signing import SigningKey

from edge.codec import base45, cbor, cose
from edge.errors import EncodingRefused, LedgerError
from edge.ledger import device
from edge.ledger.receipt import MAX_WIRE, open_receipt
from edge.model.scan import Receipt

PREFIX: Final = b"HS1:"
KIND: Final = "slip"
MAX_CODE: Final = 1600
MAX_PLACE: Final = 64
_OUTCOMES: Final = frozenset((2, 3))


@dataclass(frozen=True, slots=True)
class Slip:
    """What a gate states of one entry of its log.

    Attributes:
        seq: Number of the entry.
        outcome: `Outcome` number, referred or rejected.
        reason: Stable reason code.
        policy_version: Version of the policy it was decided under.
        trust_version: Version of the trust timestamp it was decided under.
        at_ms: Unix milliseconds of the decision by the gate's clock.
        quality: `ClockQuality` number of that time.
        site: Name of the site.
        lane: Lane or gate number.
        region: GB/T 2260 code of the place, 0 where none.
        public: The gate's Ed25519 public key, 32 bytes.
        receipt: The newest receipt of its hub as signed, empty where it has none yet.
    """

    seq: int
    outcome: int
    reason: str
    policy_version: int
    trust_version: int
    at_ms: int
    quality: int
    site: str
    lane: str
    region: int
    public: bytes
    receipt: bytes = b""

    @property
    def gate(self) -> bytes:
        """The gate's id, 16 bytes."""
        return device.gate_id(self.public)


_NUMBERS: Final = ("seq", "outcome", "policy_version", "trust_version", "at_ms", "quality", "region")
_FIELDS: Final = (
    *("seq", "outcome", "reason", "policy_version", "trust_version", "at_ms", "quality"),
    *("site", "lane", "region", "public", "receipt"),
)
"""In the order of their numbers on the wire, from 1."""


def claims(raw: bytes) -> bool:
    """Whether a code says that it is a slip."""
    return raw.startswith(PREFIX)


def make(slip: Slip, key: SigningKey) -> str:
    """Return the slip signed by the gate, as the text of a QR code."""
    content = {number: getattr(slip, name) for number, name in enumerate(_FIELDS, 1)}
    return (PREFIX + base45.encode(device.sign(KIND, content, key))).decode("ascii")


def open_slip(raw: bytes, hub_keys: Mapping[str, bytes]) -> tuple[Slip, Receipt | None]:
    """Return a slip that verifies under the key it carries, and the receipt by which a hub vouches for that key.

    Args:
        raw: What was read, any bytes.
        hub_keys: Public keys of hubs by key id (hex), from the trust list.

    Returns:
        The slip; and the receipt, or None where no hub of these vouches for the gate: then it proves nothing yet.

    Raises:
        LedgerError: It is no slip, or was altered.
    """
    if len(raw) > MAX_CODE or not claims(raw):
        raise LedgerError("this is no slip")
    try:
        wire = base45.decode(raw[len(PREFIX) :])
        stated = cbor.decode(cose.parse(wire).payload)
    except EncodingRefused as bad:
        raise LedgerError(f"the slip is damaged: {bad}") from bad
    public = stated.get(_FIELDS.index("public") + 1) if isinstance(stated, dict) else None
    if type(public) is not bytes or len(public) != 32:
        raise LedgerError("the slip carries no key of a gate")
    slip = _checked(device.opened(KIND, wire, public))
    return slip, _vouched(slip, hub_keys)


def _checked(content: dict[Any, Any]) -> Slip:
    if content.keys() != set(range(1, len(_FIELDS) + 1)):
        raise LedgerError("the slip has other fields than a slip has")
    found = {name: content[number] for number, name in enumerate(_FIELDS, 1)}
    if any(type(found[name]) is not int or not 0 <= found[name] < 1 << 53 for name in _NUMBERS):
        raise LedgerError("a number of the slip is none")
    texts = (found["reason"], found["site"], found["lane"])
    if any(type(text) is not str or len(text) > MAX_PLACE or not (text + "x").isprintable() for text in texts):
        raise LedgerError("a text of the slip has another shape")
    if type(found["receipt"]) is not bytes or len(found["receipt"]) > MAX_WIRE or found["outcome"] not in _OUTCOMES:
        raise LedgerError("a field of the slip has another shape")
    return Slip(**found)


def _vouched(slip: Slip, hub_keys: Mapping[str, bytes]) -> Receipt | None:
    try:
        receipt = open_receipt(slip.receipt, hub_keys)
    except LedgerError:
        return None
    return receipt if receipt.gate == slip.gate else None
