"""Destruction certificates: what went from a log, by which policy, and who signed for it (ADR 0029).

`certificate = [+ COSE_Sign1]`, one message for each signer, all over the same payload, which names every role that has
to sign and its public key: one signature less is no certificate. Kind `gate-purge` is one gate's own word, signed by
its device key, whose gate id it names; kind `hub-destruction` is two or more roles' of a hub. Whether what is named is
really gone, and who holds a role, is left to the caller.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from nacl.signing import SigningKey

from edge.codec import cbor, cose
from edge.errors import EncodingRefused, LedgerError
from edge.ledger import device

VERSION: Final = 1
GATE_PURGE: Final = "gate-purge"
HUB_DESTRUCTION: Final = "hub-destruction"
ROLE_GATE: Final = "gate"
ENTRIES, FACTS, PRIVATE, EVIDENCE = "entries", "facts", "private", "evidence"
"""What went: whole entries, that part of the batches that hold them, or the facts of batches kept as evidence."""
MAX_SPANS: Final = 500
MAX_SIGNERS: Final = 8
MAX_WIRE: Final = 512 * 1024
_MAX_ROLE: Final = 32
_MOST: Final = 1 << 53
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive entries of one log that went.

    Attributes:
        gate: Gate id, 16 bytes.
        epoch: The log's epoch, 8 bytes.
        first: Sequence number of the first.
        last: Sequence number of the last.
        previous_head: Chain hash before the first, 32 bytes.
        head: Chain hash at the last, 32 bytes: what is left goes on from it.
    """

    gate: bytes
    epoch: bytes
    first: int
    last: int
    previous_head: bytes
    head: bytes

    @property
    def count(self) -> int:
        """How many entries went."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Signer:
    """Who has to sign.

    Attributes:
        role: What makes him one who may: `gate`, or a role of the hub.
        public: His Ed25519 public key, 32 bytes.
    """

    role: str
    public: bytes


@dataclass(frozen=True, slots=True)
class Destruction:
    """What a certificate states.

    Attributes:
        kind: `GATE_PURGE` or `HUB_DESTRUCTION`.
        what: `ENTRIES`, `FACTS`, `PRIVATE` or `EVIDENCE`.
        spans: Of which logs, in ascending order; a gate's has one, evidence one for each batch.
        at_ms: When, Unix milliseconds.
        retention_s: How long the policy has such entries kept, seconds.
        trust_version: Version of the trust timestamp in force.
        policy_version: Version of the policy that says so.
        signers: Who has to sign, in ascending order of role and key.
        receipt_sha256: SHA-256 of the hub's receipt a gate purged under; empty in a hub's certificate.
        wire: The signed bytes, kept verbatim; empty before it is signed.
    """

    kind: str
    what: str
    spans: tuple[Span, ...]
    at_ms: int
    retention_s: int
    trust_version: int
    policy_version: int
    signers: tuple[Signer, ...]
    receipt_sha256: bytes = b""
    wire: bytes = field(default=b"", repr=False, compare=False)

    def __post_init__(self) -> None:
        wrong = _wrong(self)
        if wrong:
            raise ValueError(wrong)

    @property
    def count(self) -> int:
        """How many entries went in all."""
        return sum(span.count for span in self.spans)


def sign(stated: Destruction, key: SigningKey) -> bytes:
    """Return one signature: what the holder of `key` hands to whoever assembles the certificate.

    Raises:
        ValueError: The certificate does not name this key as one that has to sign.
    """
    if key.verify_key.encode() not in {signer.public for signer in stated.signers}:
        raise ValueError("the key is none of those that the certificate names")
    return device.sign(stated.kind, _content(stated), key)


def assemble(signatures: Sequence[bytes]) -> bytes:
    """Return the certificate of all its signatures, in the order of the key ids they name.

    Raises:
        LedgerError: One of them is no signed message.
    """
    return cbor.encode(sorted(signatures, key=device.signer_of))


def make(stated: Destruction, keys: Sequence[SigningKey]) -> Destruction:
    """Return `stated` signed by all keys it names: its `wire` is set.

    Raises:
        LedgerError: A signature is missing.
        ValueError: A key is none of those it names.
    """
    wire = assemble([sign(stated, key) for key in keys])
    return open_certificate(wire, {signer.role: {each.public for each in stated.signers} for signer in stated.signers})


def open_purge(wire: bytes) -> Destruction:
    """Verify the certificate of a gate under the key whose gate id it names; which gate was meant is the caller's.

    Raises:
        LedgerError: It is anything else.
    """
    return _opened(wire, GATE_PURGE)


def open_certificate(wire: bytes, holders: Mapping[str, Collection[bytes]]) -> Destruction:
    """Verify a certificate, every signature of it.

    Args:
        wire: Any bytes.
        holders: Public keys that hold a role, by role; a gate's own key holds `gate`.

    Raises:
        LedgerError: It is no certificate that all of its signers signed, or one of them does not hold his role.
    """
    stated = _opened(wire, None)
    for signer in stated.signers:
        if signer.public not in holders.get(signer.role, ()):
            raise LedgerError(f"the certificate is signed by a key that does not hold the role {signer.role}")
    return stated


def _opened(wire: bytes, kind: str | None) -> Destruction:
    messages = _messages(wire)
    stated = _stated(messages[0].payload, kind, wire)
    by_id = {device.key_id(signer.public): signer.public for signer in stated.signers}
    # In this order and no other, each once: one certificate has one form, and none of its signatures is missing.
    if [message.key_id for message in messages] != sorted(by_id) or len(by_id) != len(stated.signers):
        raise LedgerError("the certificate is not signed by exactly those it names")
    if any(message.payload != messages[0].payload for message in messages):
        raise LedgerError("the signatures of the certificate are over different statements")
    for signed, message in zip(cbor.decode(wire), messages, strict=True):
        device.opened(stated.kind, signed, by_id[message.key_id])
    return stated


def _messages(wire: bytes) -> list[cose.Sign1]:
    if len(wire) > MAX_WIRE:
        raise LedgerError("the certificate is too long")
    try:
        signed = cbor.decode(wire)
        if not isinstance(signed, list) or not 1 <= len(signed) <= MAX_SIGNERS:
            raise LedgerError("the certificate is no list of signed messages")
        if not all(isinstance(message, bytes) for message in signed):
            raise LedgerError("the certificate is no list of signed messages")
        return [cose.parse(message) for message in signed]
    except EncodingRefused as bad:
        raise LedgerError(f"the certificate is not well-formed: {bad}") from bad


def _content(stated: Destruction) -> dict[int, Any]:
    return {
        1: VERSION,
        2: stated.what,
        3: [[span.gate, span.epoch, span.first, span.last, span.previous_head, span.head] for span in stated.spans],
        4: stated.at_ms,
        5: stated.retention_s,
        6: stated.trust_version,
        7: stated.policy_version,
        8: [[signer.role, signer.public] for signer in stated.signers],
        9: stated.receipt_sha256,
        10: stated.count,
    }


def _stated(payload: bytes, kind: str | None, wire: bytes) -> Destruction:
    try:
        content = cbor.decode(payload)
        found = content.pop(0)
        if content.keys() != set(range(1, 11)) or content[1] != VERSION or type(content[1]) is not int:
            raise LedgerError("the certificate is of another version")
        stated = Destruction(
            kind=found,
            what=content[2],
            spans=tuple(Span(*span) for span in content[3]),
            at_ms=content[4],
            retention_s=content[5],
            trust_version=content[6],
            policy_version=content[7],
            signers=tuple(Signer(*signer) for signer in content[8]),
            receipt_sha256=content[9],
            wire=wire,
        )
    except (EncodingRefused, AttributeError, KeyError, TypeError, ValueError) as bad:
        raise LedgerError(f"the certificate states something impossible: {bad}") from bad
    if content[10] != stated.count or (kind is not None and stated.kind != kind):
        raise LedgerError("the certificate counts otherwise than it numbers, or is of another kind")
    return stated


def _wrong(stated: Destruction) -> str:
    """Return what is impossible of a statement, empty where nothing is."""
    counts = (stated.at_ms, stated.retention_s, stated.trust_version, stated.policy_version)
    if not all(_is_count(value) for value in counts):
        return "a certificate counts impossibly"
    if stated.what not in {ENTRIES, FACTS, PRIVATE, EVIDENCE} or not _is_bytes(stated.receipt_sha256, 0, 32):
        return "a certificate says impossibly what went"
    if not 1 <= len(stated.spans) <= MAX_SPANS or not all(map(_is_span, stated.spans)):
        return "a certificate names entries impossibly"
    if not all(map(_is_signer, stated.signers)) or list(stated.signers) != sorted(stated.signers, key=_signer_order):
        return "a certificate names its signers impossibly"
    return _wrong_order(stated) or _wrong_kind(stated)


def _wrong_order(stated: Destruction) -> str:
    order = [(one.gate, one.epoch, one.first, one.last, one.previous_head, one.head) for one in stated.spans]
    # Evidence is of logs that contradict each other: one number may be in several of its batches, with other heads.
    is_twice = any(
        one == other if stated.what == EVIDENCE else one[:2] == other[:2] and other[2] <= one[3]
        for one, other in pairwise(order)
    )
    if is_twice:
        return "a certificate names an entry twice"
    return "" if order == sorted(order) else "a certificate does not name its logs in order"


def _wrong_kind(stated: Destruction) -> str:
    if stated.kind == GATE_PURGE:
        is_alone = len(stated.signers) == len(stated.spans) == 1 and stated.signers[0].role == ROLE_GATE
        is_own = is_alone and device.gate_id(stated.signers[0].public) == stated.spans[0].gate
        return "" if is_own else "a gate signs for its own log alone"
    if stated.kind == HUB_DESTRUCTION:
        roles, keys = {signer.role for signer in stated.signers}, {signer.public for signer in stated.signers}
        is_shared = len(roles) >= 2 and len(keys) == len(stated.signers) <= MAX_SIGNERS
        return "" if is_shared else "a hub destroys under two roles and as many keys"
    return "a certificate is of no known kind"


def _is_count(value: Any, least: int = 0) -> bool:
    return type(value) is int and least <= value < _MOST


def _is_bytes(value: Any, *sizes: int) -> bool:
    return isinstance(value, bytes) and len(value) in sizes


def _is_span(span: Span) -> bool:
    return (
        _is_bytes(span.gate, 16)
        and _is_bytes(span.epoch, 8)
        and _is_count(span.first, 1)
        and _is_count(span.last, span.first)
        and _is_bytes(span.previous_head, 32)
        and _is_bytes(span.head, 32)
    )


def _is_signer(signer: Signer) -> bool:
    role: Any = signer.role
    return isinstance(role, str) and 1 <= len(role) <= _MAX_ROLE and _is_bytes(signer.public, _KEY_BYTES)


def _signer_order(signer: Signer) -> tuple[str, bytes]:
    return signer.role, signer.public
