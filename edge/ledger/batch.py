"""Batches: consecutive entries, signed once, in the one form that HTTP and USB carry (ADR 0009, ADR 0028).

`batch = [header: bstr .cbor COSE_Sign1, facts: bstr, private: bstr]`; the header is signed over the hash of both parts.
Either can be withheld or destroyed alone: chain heads and signature still verify. A gate writes version 2 (columns);
version 1 (lists of rows, `edge.ledger.row_lists`) is read for ever. Whether a batch follows what is stored is left to
the hub.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from nacl.signing import SigningKey

from edge.codec import cbor
from edge.errors import BatchRefused, EncodingRefused, LedgerError, LogDamaged
from edge.ledger import chain, columns, device, packing, private, row_lists
from edge.model.scan import Batch, BatchHeader, Entry

VERSION: Final = 2
"""What is written; 1 is read, too."""
KIND: Final = "batch"
MAX_ENTRIES: Final = 500
MAX_WIRE: Final = 200 * 1024
_Private = tuple[bytes | None, bytes | None]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where in which log a batch is cut.

    Attributes:
        gate: Gate id, 16 bytes.
        epoch: The log's epoch, 8 bytes.
        previous_head: Chain hash before the first entry.
        trust_digest: Digest of the trust snapshot in force, empty where none.
        trust_versions: Timestamp and policy version in force.
    """

    gate: bytes
    epoch: bytes
    previous_head: bytes
    trust_digest: bytes = b""
    trust_versions: tuple[int, int] = (0, 0)


def make(entries: Sequence[Entry], cut: Cut, key: SigningKey) -> bytes:
    """Return the wire form of a batch.

    Args:
        entries: 1 to 500 consecutive entries.
        cut: Where they stand.
        key: The device key.

    Raises:
        ValueError: There are none or too many entries.
    """
    if not 1 <= len(entries) <= MAX_ENTRIES:
        raise ValueError("a batch holds 1 to 500 entries")
    packed_facts = packing.pack(columns.encode([entry.body for entry in entries]))
    packed_private = packing.pack(private.encode([(entry.token, entry.sealed) for entry in entries]))
    header = {
        1: VERSION,
        2: cut.gate,
        3: cut.epoch,
        4: entries[0].seq,
        6: cut.previous_head,
        7: entries[-1].head,
        8: cut.trust_digest,
        9: list(cut.trust_versions),
        12: len(entries),
        13: _payload_hash(packed_facts, packed_private),
    }
    return cbor.encode([device.sign(KIND, header, key), packed_facts, packed_private])


def header_of(wire: bytes) -> tuple[BatchHeader, bytes]:
    """Return the header of a batch, unverified, and the id of the key it names.

    Raises:
        BatchRefused: `malformed` or `version`.
    """
    signed, _, _ = _parts(wire)
    try:
        named = device.signer_of(signed)
        content = cbor.decode(cbor.decode(signed)[2])
    except (LedgerError, EncodingRefused) as bad:
        raise _refused(bad, "malformed") from bad
    if not isinstance(content, dict) or content.pop(0, None) != KIND:
        raise BatchRefused("malformed", "the signed message is not the header of a batch")
    return _header(content), named


def open_header(wire: bytes, public: bytes) -> BatchHeader:
    """Verify what the device signed of a batch, and that what is left of its parts is what it signed over.

    This is all that can be asked of a batch whose facts were destroyed.

    Raises:
        BatchRefused: `malformed`, `version`, `forged` (signature or part hash does not hold).
    """
    signed, packed_facts, packed_private = _parts(wire)
    try:
        content = device.opened(KIND, signed, public)
    except LedgerError as bad:
        raise _refused(bad, "forged") from bad
    header = _header(content)
    if header.gate != device.gate_id(public):
        raise BatchRefused("forged", "the batch names another gate than the key that signed it")
    if not _holds(header, packed_facts, packed_private):
        raise BatchRefused("forged", "a part of the batch is not the one its header was signed over")
    return header


def open_batch(wire: bytes, public: bytes) -> Batch:
    """Verify a batch under the device's public key, and its chain from the head it names.

    Raises:
        BatchRefused: `malformed` (also where its facts were destroyed), `version`, `forged` (signature, part hash or
            chain does not hold).
    """
    header = open_header(wire, public)
    _, packed_facts, packed_private = _parts(wire)
    try:
        bodies, rows = _opened(header, packed_facts, packed_private)
    except EncodingRefused as bad:
        raise _refused(bad, "malformed") from bad
    return Batch(header, bodies, _heads(header, bodies), rows, wire)


def _opened(header: BatchHeader, facts: bytes, hidden: bytes) -> tuple[list[bytes], Sequence[_Private]]:
    if header.version == 1:
        bodies = row_lists.bodies(facts)
        return bodies, row_lists.private(hidden, len(bodies)) if hidden else [(None, None)] * len(bodies)
    bodies = columns.decode(packing.unpack(facts), header.count)
    if packing.is_withheld(hidden):
        return bodies, [(None, None)] * header.count
    return bodies, private.decode(packing.unpack(hidden), header.count)


def private_rows(wire: bytes) -> Sequence[tuple[bytes | None, bytes | None]]:
    """Return (token, sealed field) of each entry of a batch, unverified; none of any where the part is not there.

    Raises:
        BatchRefused: `malformed` or `version`.
    """
    header = header_of(wire)[0]
    hidden = private_of(wire)
    if not hidden:
        return [(None, None)] * header.count
    try:
        if header.version == 1:
            return row_lists.private(hidden, header.count)
        return private.decode(packing.unpack(hidden), header.count)
    except EncodingRefused as bad:
        raise _refused(bad, "malformed") from bad


def private_of(wire: bytes) -> bytes:
    """Return the private part of a batch, unverified; empty where it was withheld or destroyed.

    Raises:
        BatchRefused: `malformed`.
    """
    hidden = _parts(wire)[2]
    return b"" if packing.is_withheld(hidden) else hidden


def has_facts(wire: bytes) -> bool:
    """Whether the facts part of a batch is there, unverified.

    Raises:
        BatchRefused: `malformed`.
    """
    facts = _parts(wire)[1]
    return bool(facts) and not packing.is_withheld(facts)


def without_private(wire: bytes) -> bytes:
    """Return the batch with its private part destroyed; it still verifies.

    Raises:
        BatchRefused: `malformed` or `version`.
    """
    signed, packed_facts, packed_private = _parts(wire)
    return cbor.encode([signed, packed_facts, _emptied(wire, packed_private)])


def with_private(wire: bytes, private: bytes) -> bytes:
    """Return a batch whose private part was taken out (`without_private`) with it again, unverified.

    Raises:
        BatchRefused: `malformed`.
    """
    signed, packed_facts, _ = _parts(wire)
    return cbor.encode([signed, packed_facts, private])


def without_facts(wire: bytes) -> bytes:
    """Return the batch with both parts destroyed: what is left proves which heads the device signed, no more.

    Raises:
        BatchRefused: `malformed` or `version`.
    """
    signed, packed_facts, packed_private = _parts(wire)
    return cbor.encode([signed, _emptied(wire, packed_facts), _emptied(wire, packed_private)])


def _emptied(wire: bytes, part: bytes) -> bytes:
    return b"" if header_of(wire)[0].version == 1 else packing.withheld(part)


def _payload_hash(packed_facts: bytes, packed_private: bytes) -> bytes:
    """Return the one hash over both parts, so made that the hash of a part can stand in its place."""
    return sha256(packing.digest(packed_facts) + packing.digest(packed_private)).digest()


def _holds(header: BatchHeader, packed_facts: bytes, packed_private: bytes) -> bool:
    if header.version == 1:
        pairs = zip((packed_facts, packed_private), header.parts_sha256, strict=True)
        return all(not part or sha256(part).digest() == expected for part, expected in pairs)
    return _payload_hash(packed_facts, packed_private) == header.parts_sha256[0]


def _heads(header: BatchHeader, bodies: Sequence[bytes]) -> list[bytes]:
    if header.count != len(bodies):
        raise BatchRefused("forged", "the batch does not hold the entries its header counts")
    heads = chain.heads(bodies, header.previous_head)
    if heads[-1] != header.head:
        raise BatchRefused("forged", "the entries of the batch do not lead to the head its header names")
    return heads


def _parts(wire: bytes) -> tuple[bytes, bytes, bytes]:
    if len(wire) > MAX_WIRE:
        raise BatchRefused("malformed", "the batch is larger than 200 KiB")
    try:
        parts = cbor.decode(wire)
    except EncodingRefused as bad:
        raise _refused(bad, "malformed") from bad
    if not isinstance(parts, list) or len(parts) != 3 or not all(isinstance(part, bytes) for part in parts):
        raise BatchRefused("malformed", "the batch does not have three parts")
    return parts[0], parts[1], parts[2]


_SIZES: Final = {2: 16, 3: 8, 6: 32, 7: 32}
_HASHES: Final = {1: (10, 11), 2: (13,)}
"""Which fields hold the hashes of the parts, by version: one each, or one over both."""
_FIELDS: Final = {1: frozenset(range(1, 12)), 2: frozenset((1, 2, 3, 4, 6, 7, 8, 9, 12, 13))}


def _header(content: Any) -> BatchHeader:
    if not isinstance(content, dict):
        raise BatchRefused("malformed", "the header of the batch is not a map")
    version = content.get(1)
    if type(version) is not int or version not in _FIELDS:
        raise BatchRefused("version", "the batch is of a version this program does not read", "Update it.")
    sizes = _SIZES | dict.fromkeys(_HASHES[version], 32)
    if content.keys() != _FIELDS[version] or any(
        not isinstance(content[key], bytes) or len(content[key]) != size for key, size in sizes.items()
    ):
        raise BatchRefused("malformed", "the header of the batch lacks a field")
    (first, last), digest, versions = _span(content), content[8], content[9]
    if not isinstance(digest, bytes) or len(digest) not in {0, 32} or not _is_pair(versions):
        raise BatchRefused("malformed", "the header of the batch names its trust impossibly")
    return BatchHeader(
        gate=content[2],
        epoch=content[3],
        first=first,
        last=last,
        previous_head=content[6],
        head=content[7],
        trust_digest=digest,
        trust_versions=(versions[0], versions[1]),
        parts_sha256=tuple(content[key] for key in _HASHES[version]),
        version=version,
    )


def _span(content: dict[Any, Any]) -> tuple[int, int]:
    """Return the first and the last number: version 1 says both, version 2 how many there are."""
    first, told = content[4], content[5 if content[1] == 1 else 12]
    if not _is_count(first, 1) or not _is_count(told, 1):
        raise BatchRefused("malformed", "the header of the batch counts impossibly")
    last = told if content[1] == 1 else first + told - 1
    if not (_is_count(last, first) and last - first < MAX_ENTRIES):
        raise BatchRefused("malformed", "the header of the batch counts impossibly")
    return first, last


def _is_count(value: Any, least: int) -> bool:
    return type(value) is int and least <= value < 1 << 53


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_count(item, 0) for item in value)


def _refused(bad: Exception, kind: str) -> BatchRefused:
    if isinstance(bad, BatchRefused):
        return bad
    if isinstance(bad, LogDamaged):
        kind = "forged"
    return BatchRefused(kind, f"the batch does not hold: {bad}")
