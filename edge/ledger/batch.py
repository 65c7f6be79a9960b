"""Batches: consecutive entries, signed once, in the one form that HTTP and USB carry (ADR 0009).

`batch = [header: bstr .cbor COSE_Sign1, facts: bstr, private: bstr]`; each part is zstd over CBOR and hashed in the
signed header: facts = [* body], private = [* [token / null, sealed / null]]. The private part can be withheld or
destroyed alone (`h''` in its place): chain and signature still verify. Whether a batch follows what is stored is left
to the hub.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import zstandard
from nacl.signing import SigningKey

from edge.codec import cbor
from edge.errors import BatchRefused, EncodingRefused, LedgerError, LogDamaged
from edge.ledger import chain, device, facts
from edge.model.scan import Batch, BatchHeader, Entry

VERSION: Final = 1
KIND: Final = "batch"
MAX_ENTRIES: Final = 500
MAX_WIRE: Final = 200 * 1024
MAX_PART: Final = 1 << 20
"""Largest inflated part, bytes."""
_LEVEL: Final = 3
_ITEMS: Final = 4 * MAX_ENTRIES + 16


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
    packed_facts = _pack([entry.body for entry in entries])
    packed_private = _pack([[entry.token, entry.sealed] for entry in entries])
    header = {
        1: VERSION,
        2: cut.gate,
        3: cut.epoch,
        4: entries[0].seq,
        5: entries[-1].seq,
        6: cut.previous_head,
        7: entries[-1].head,
        8: cut.trust_digest,
        9: list(cut.trust_versions),
        10: sha256(packed_facts).digest(),
        11: sha256(packed_private).digest(),
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


def open_batch(wire: bytes, public: bytes) -> Batch:
    """Verify a batch under the device's public key, and its chain from the head it names.

    Raises:
        BatchRefused: `malformed`, `version`, `forged` (signature, part hash or chain does not hold).
    """
    signed, packed_facts, packed_private = _parts(wire)
    try:
        content = device.opened(KIND, signed, public)
    except LedgerError as bad:
        raise _refused(bad, "forged") from bad
    header = _header(content)
    if header.gate != device.gate_id(public):
        raise BatchRefused("forged", "the batch names another gate than the key that signed it")
    _check_hash(packed_facts, header.facts_sha256)
    bodies = _bodies(packed_facts)
    private: Sequence[Any] = [(None, None)] * len(bodies)
    if packed_private:
        _check_hash(packed_private, header.private_sha256)
        private = _private(packed_private, len(bodies))
    return Batch(header, _chained(header, bodies, private), wire)


def without_private(wire: bytes) -> bytes:
    """Return the batch with its private part destroyed; it still verifies.

    Raises:
        BatchRefused: `malformed`.
    """
    signed, packed_facts, _ = _parts(wire)
    return cbor.encode([signed, packed_facts, b""])


def _chained(header: BatchHeader, bodies: Sequence[bytes], private: Sequence[Any]) -> tuple[Entry, ...]:
    if header.last - header.first + 1 != len(bodies):
        raise BatchRefused("forged", "the batch does not hold the entries its header counts")
    head = header.previous_head
    entries = []
    for seq, (body, (token, sealed)) in enumerate(zip(bodies, private, strict=True), header.first):
        head = chain.next_head(head, body)
        entries.append(Entry(seq, body, head, token, sealed))
    if head != header.head:
        raise BatchRefused("forged", "the entries of the batch do not lead to the head its header names")
    return tuple(entries)


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


_SHAPE: Final = {2: 16, 3: 8, 6: 32, 7: 32, 10: 32, 11: 32}


def _header(content: Any) -> BatchHeader:
    if not isinstance(content, dict):
        raise BatchRefused("malformed", "the header of the batch is not a map")
    if content.get(1) != VERSION:
        raise BatchRefused("version", "the batch is of a version this program does not read", "Update it.")
    if content.keys() != set(range(1, 12)) or any(
        not isinstance(content[key], bytes) or len(content[key]) != size for key, size in _SHAPE.items()
    ):
        raise BatchRefused("malformed", "the header of the batch lacks a field")
    first, last, digest, versions = content[4], content[5], content[8], content[9]
    if not (_is_count(first, 1) and _is_count(last, first) and last - first < MAX_ENTRIES):
        raise BatchRefused("malformed", "the header of the batch counts impossibly")
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
        facts_sha256=content[10],
        private_sha256=content[11],
    )


def _is_count(value: Any, least: int) -> bool:
    return type(value) is int and least <= value < 1 << 53


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_count(item, 0) for item in value)


def _pack(rows: list[Any]) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(cbor.encode(rows))


def _unpack(packed: bytes) -> list[Any]:
    try:
        # The size is asked first: a frame may announce terabytes, and the library would reserve them.
        if not 0 <= zstandard.frame_content_size(packed) <= MAX_PART:
            raise BatchRefused("malformed", "a part of the batch is too large or does not say its size")
        inflated = zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
        rows = cbor.decode(inflated, max_items=_ITEMS)
    except (zstandard.ZstdError, EncodingRefused) as bad:
        raise _refused(bad, "malformed") from bad
    if not isinstance(rows, list):
        raise BatchRefused("malformed", "a part of the batch is not a list")
    return rows


def _bodies(packed: bytes) -> list[bytes]:
    rows = _unpack(packed)
    if any(not isinstance(row, bytes) or len(row) > facts.MAX_BODY for row in rows):
        raise BatchRefused("malformed", "a body of the batch is not a string of bytes")
    return rows


def _private(packed: bytes, count: int) -> list[Any]:
    rows = _unpack(packed)
    if len(rows) != count or not all(_is_private(row) for row in rows):
        raise BatchRefused("malformed", "the private part of the batch does not fit its facts")
    return rows


def _is_private(row: Any) -> bool:
    if not isinstance(row, list) or len(row) != 2:
        return False
    token, sealed = row
    if token is not None and not (isinstance(token, bytes) and len(token) == 8):
        return False
    return sealed is None or (isinstance(sealed, bytes) and len(sealed) <= 4096)


def _check_hash(part: bytes, expected: bytes) -> None:
    if sha256(part).digest() != expected:
        raise BatchRefused("forged", "a part of the batch is not the one its header was signed over")


def _refused(bad: Exception, kind: str) -> BatchRefused:
    if isinstance(bad, BatchRefused):
        return bad
    if isinstance(bad, LogDamaged):
        kind = "forged"
    return BatchRefused(kind, f"the batch does not hold: {bad}")
