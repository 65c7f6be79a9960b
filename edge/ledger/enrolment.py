"""The signed messages by which a gate becomes one of a hub's gates, and says that it is alive.

    invitation   hub -> technician -> gate   text `EDGE1:` + base45; one time, expiring, carries the hub's public key
    request      gate -> hub                 signed by the device key it brings
    answer       hub -> gate                 signed by the key of the invitation; first trust root and sealed token seed
    heartbeat    gate -> hub                 signed by the device key
    watermark    hub -> gate                 signed by a hub key: how far the hub holds the gate's log

Whether a token was used before, and which gates there are, is left to the hub.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from nacl.signing import SigningKey

from edge.codec import base45, cbor, cose, ed25519
from edge.errors import EncodingRefused, EnrolmentError, LedgerError, ReceiptRefused
from edge.ledger import device
from edge.ledger.receipt import opened_by_hub
from edge.ledger.tokens import DayKey

PREFIX: Final = b"EDGE1:"
_MAX_CODE: Final = 1000
_MAX_TEXT: Final = 256


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the hub hands a technician for one new gate.

    Attributes:
        hub_url: Address of the hub.
        hub_key: Ed25519 public key of the hub, 32 bytes.
        token: One-time token, 16 bytes.
        site: Site name.
        lane: Lane name.
        region: GB/T 2260 code of the place, or 0.
        issued_at: Unix seconds.
        expires_at: Unix seconds.
    """

    hub_url: str
    hub_key: bytes
    token: bytes
    site: str
    lane: str
    region: int
    issued_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """What a gate asks with.

    Attributes:
        token: The invitation's one-time token.
        public: Device public key, 32 bytes.
        at_ms: The gate's time, Unix milliseconds.
    """

    token: bytes
    public: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class EnrolmentAnswer:
    """What makes a gate one of the hub's.

    Attributes:
        gate: Gate id, 16 bytes.
        site: Site name.
        lane: Lane name.
        region: GB/T 2260 code of the place, or 0.
        trust_url: Address of the trust publication or a mirror.
        root: The first TUF root metadata, bytes as published.
        sealed_seed: The region's token seed sealed to the device (`unseal_seed`).
        hub_keys: Public keys that sign this hub's receipts.
        heartbeat_s: Seconds between heartbeats.
        at_ms: The hub's time, Unix milliseconds.
    """

    gate: bytes
    site: str
    lane: str
    region: int
    trust_url: str
    root: bytes
    sealed_seed: bytes
    hub_keys: tuple[bytes, ...]
    heartbeat_s: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A gate says that it is alive and where its log stands.

    Attributes:
        gate: Gate id, 16 bytes.
        epoch: The log's epoch, 8 bytes.
        last: Sequence number of the last entry.
        head: Chain hash there.
        at_ms: The gate's time, Unix milliseconds.
        health: Numbers and short words about the gate (`trust_age_s`, `trust_version`, `clock`).
    """

    gate: bytes
    epoch: bytes
    last: int
    head: bytes
    at_ms: int
    health: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watermark:
    """How far the hub holds a gate's log.

    Attributes:
        gate: Gate id, 16 bytes.
        epoch: The epoch asked about.
        last: Everything up to this number is durable at the hub, 0 for nothing.
        head: Chain hash there (32 zero bytes for nothing).
        at_ms: The hub's time, Unix milliseconds.
        heartbeat_s: Seconds to the next heartbeat.
        slot_s: Seconds to wait before pushing a backlog.
    """

    gate: bytes
    epoch: bytes
    last: int
    head: bytes
    at_ms: int
    heartbeat_s: int
    slot_s: int


# Each message as (field of the value, CBOR type); the place in the row is the number of the field on the wire, from 1.
_INVITATION: Final = (
    ("hub_url", str),
    ("hub_key", bytes),
    ("token", bytes),
    ("site", str),
    ("lane", str),
    ("region", int),
    ("issued_at", int),
    ("expires_at", int),
)
_REQUEST: Final = (("token", bytes), ("public", bytes), ("at_ms", int))
_ANSWER: Final = (
    ("gate", bytes),
    ("site", str),
    ("lane", str),
    ("region", int),
    ("trust_url", str),
    ("root", bytes),
    ("sealed_seed", bytes),
    ("hub_keys", list),
    ("heartbeat_s", int),
    ("at_ms", int),
)
_HEARTBEAT: Final = (
    ("gate", bytes),
    ("epoch", bytes),
    ("last", int),
    ("head", bytes),
    ("at_ms", int),
    ("health", dict),
)
_WATERMARK: Final = (
    ("gate", bytes),
    ("epoch", bytes),
    ("last", int),
    ("head", bytes),
    ("at_ms", int),
    ("heartbeat_s", int),
    ("slot_s", int),
)
_SIZES: Final = {"hub_key": 32, "token": 16, "public": 32, "gate": 16, "epoch": 8, "head": 32}
_Row = tuple[tuple[str, type], ...]


def _content(value: Any, row: _Row) -> dict[int, Any]:
    def plain(item: Any) -> Any:
        return dict(item) if isinstance(item, Mapping) else item

    return {number: plain(getattr(value, name)) for number, (name, _) in enumerate(row, 1)}


def _fits(name: str, value: Any) -> bool:
    if isinstance(value, int):
        return value >= 0
    if isinstance(value, str):
        return len(value) <= _MAX_TEXT and value.isprintable()
    return name not in _SIZES or len(value) == _SIZES[name]


def _fields(content: dict[Any, Any], row: _Row) -> dict[str, Any]:
    if content.keys() != set(range(1, len(row) + 1)):
        raise LedgerError("the signed message has other fields than its kind")
    found: dict[str, Any] = {}
    for number, (name, kind) in enumerate(row, 1):
        value = content[number]
        if type(value) is not kind or not _fits(name, value):
            raise LedgerError(f"the field {name} of the signed message has another shape")
        found[name] = value
    return found


def make_invitation(invitation: Invitation, key: SigningKey) -> str:
    """Return the invitation as a code to print, show or type."""
    signed = device.sign("invitation", _content(invitation, _INVITATION), key)
    return (PREFIX + base45.encode(signed)).decode("ascii")


def open_invitation(code: bytes) -> Invitation:
    """Return a well-formed invitation that verifies under the key it carries.

    That shows it is in one piece, not who made it: the technician compares the key's fingerprint, or the gate's
    configuration names the owner's key.

    Raises:
        EnrolmentError: It is no invitation, or was altered.
    """
    again = "Ask the hub for a new one: edge hub invite --site SITE --lane LANE"
    if len(code) > _MAX_CODE or not code.startswith(PREFIX):
        raise EnrolmentError("This is no invitation of a hub (it does not begin with EDGE1:).", again)
    try:
        signed = base45.decode(code[len(PREFIX) :].rstrip(b"\r\n"))
        content = cbor.decode(cose.parse(signed).payload)
        public = content.get(2) if isinstance(content, dict) else None
        if not isinstance(public, bytes):
            raise EnrolmentError("The invitation carries no hub key.", again)
        ed25519.refuse_weak_point(public)
        return Invitation(**_fields(device.opened("invitation", signed, public), _INVITATION))
    except (EncodingRefused, LedgerError) as bad:
        raise EnrolmentError(f"The invitation is damaged or altered: {bad}.", again) from bad


def make_request(request: EnrolmentRequest, key: SigningKey) -> bytes:
    """Return the request signed by the device key."""
    return device.sign("enrol", _content(request, _REQUEST), key)


def open_request(data: bytes) -> EnrolmentRequest:
    """Return a request that verifies under the key it brings: the sender holds that key.

    Raises:
        LedgerError: It does not.
    """
    try:
        content = cbor.decode(cose.parse(data).payload)
    except EncodingRefused as bad:
        raise LedgerError(f"the request is not well-formed: {bad}") from bad
    public = content.get(2) if isinstance(content, dict) else None
    if not isinstance(public, bytes) or len(public) != 32:
        raise LedgerError("the request brings no device key")
    return EnrolmentRequest(**_fields(device.opened("enrol", data, public), _REQUEST))


def make_answer(answer: EnrolmentAnswer, key: SigningKey) -> bytes:
    """Return the answer signed by the hub."""
    return device.sign("enrolled", _content(answer, _ANSWER), key)


def open_answer(data: bytes, hub_key: bytes) -> EnrolmentAnswer:
    """Return the answer of the hub whose key stood in the invitation.

    Raises:
        EnrolmentError: It is signed by somebody else or has another shape.
    """
    try:
        fields = _fields(device.opened("enrolled", data, hub_key), _ANSWER)
    except LedgerError as bad:
        raise EnrolmentError(
            f"The answer is not the inviting hub's: {bad}.", "Check the network: a captive portal may have answered."
        ) from bad
    keys = fields["hub_keys"]
    if not keys or not all(isinstance(key, bytes) and _is_fit(key) for key in keys):
        raise EnrolmentError("The hub's answer names impossible receipt keys.", "Update the hub.")
    fields["hub_keys"] = tuple(fields["hub_keys"])
    return EnrolmentAnswer(**fields)


def _is_fit(public: bytes) -> bool:
    try:
        ed25519.refuse_weak_point(public)
    except EncodingRefused:
        return False
    return True


def seal_seed(seed: DayKey, public: bytes) -> bytes:
    """Return the region's token seed sealed to a device."""
    return device.seal_to_device(cbor.encode([seed.day, seed.key]), public)


def unseal_seed(sealed: bytes, key: SigningKey) -> DayKey:
    """Return the token seed that was sealed to this device.

    Raises:
        LedgerError: It was sealed to another device or altered.
    """
    try:
        day, secret = cbor.decode(device.unseal_on_device(sealed, key))
    except (EncodingRefused, TypeError, ValueError) as bad:
        raise LedgerError("the sealed token seed has another shape") from bad
    if type(day) is not int or not isinstance(secret, bytes) or len(secret) != 32:
        raise LedgerError("the sealed token seed has another shape")
    return DayKey(day, secret)


def make_heartbeat(heartbeat: Heartbeat, key: SigningKey) -> bytes:
    """Return the heartbeat signed by the device key."""
    return device.sign("heartbeat", _content(heartbeat, _HEARTBEAT), key)


def open_heartbeat(data: bytes, public: bytes) -> Heartbeat:
    """Return a heartbeat that the device signed.

    Raises:
        LedgerError: It did not, or the shape is another.
    """
    fields = _fields(device.opened("heartbeat", data, public), _HEARTBEAT)
    health = fields["health"]
    if len(health) > 32 or not all(
        isinstance(name, str) and len(name) <= 32 and type(value) in {int, str} for name, value in health.items()
    ):
        raise LedgerError("the health of the heartbeat has another shape")
    return Heartbeat(**fields)


def make_watermark(watermark: Watermark, key: SigningKey) -> bytes:
    """Return the watermark signed by the hub."""
    return device.sign("watermark", _content(watermark, _WATERMARK), key)


def open_watermark(data: bytes, hub_keys: Mapping[str, bytes]) -> Watermark:
    """Return a watermark that one of our hub's keys signed.

    Raises:
        ReceiptRefused: It is anything else (a captive portal's page, another hub's answer).
    """
    content, _ = opened_by_hub("watermark", data, hub_keys)
    try:
        return Watermark(**_fields(content, _WATERMARK))
    except LedgerError as bad:
        raise ReceiptRefused(str(bad)) from bad
