"""Paths and limits of the protocol between gate and hub (docs/formats.md)."""

from typing import Final

ENROL: Final = "/v1/enrol"
HEARTBEAT: Final = "/v1/heartbeat"
BATCHES: Final = "/v1/batches"
SCANS: Final = "/v1/scans"

CBOR_TYPE: Final = "application/cbor"
COSE_TYPE: Final = "application/cose"
NDJSON_TYPE: Final = "application/x-ndjson"

MAX_POST: Final = 8 * 1024 * 1024
"""Largest body of a POST, bytes: a CBOR sequence (RFC 8742) of batches."""
MAX_ANSWER: Final = 256 * 1024
"""Largest answer a gate reads, bytes."""
MAX_SIGNED: Final = 16 * 1024
"""Largest signed message that is no batch, bytes."""
