"""A gate of the former release: it cuts batches of version 1, which no program of ours writes any more."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import zstandard
from nacl.signing import SigningKey

from edge.codec import cbor
from edge.ledger import batch, device
from edge.ledger.batch import Cut
from edge.model.scan import Entry


def pack(rows: Any) -> bytes:
    """Return a part as such a gate packs it."""
    return zstandard.ZstdCompressor(level=3, write_content_size=True).compress(cbor.encode(rows))


def make(entries: Sequence[Entry], cut: Cut, key: SigningKey) -> bytes:
    """Return the wire form of a batch, version 1."""
    facts = pack([entry.body for entry in entries])
    private = pack([[entry.token, entry.sealed] for entry in entries])
    header = {
        1: 1,
        2: cut.gate,
        3: cut.epoch,
        4: entries[0].seq,
        5: entries[-1].seq,
        6: cut.previous_head,
        7: entries[-1].head,
        8: cut.trust_digest,
        9: list(cut.trust_versions),
        10: sha256(facts).digest(),
        11: sha256(private).digest(),
    }
    return cbor.encode([device.sign(batch.KIND, header, key), facts, private])
