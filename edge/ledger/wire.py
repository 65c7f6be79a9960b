"""Paths and limits of the protocol between gate and hub (docs/formats.md)."""

from typing import Final

ENROL: Final = "/v1/enrol"
HEARTBEAT: Final = "/v1/heartbeat"
BATCHES: Final = "/v1/batches"
SCANS: Final = "/v1/scans"
GATES: Final = "/v1/gates"
INCIDENTS: Final = "/v1/incidents"
COVERAGE: Final = "/v1/coverage"
EXPORT: Final = "/v1/export"
QUERIES: Final = "/v1/token-queries"

CBOR_TYPE: Final = "application/cbor"
COSE_TYPE: Final = "application/cose"
NDJSON_TYPE: Final = "application/x-ndjson"

CURSOR: Final = "Edge-Cursor"
"""Header of a page: the hub sequence number up to which the ledger was looked through, to go on behind."""
TOP: Final = "Edge-Top"
"""Header of a page: the last hub sequence number there was; a page whose cursor is there is the end."""
EXPORTED: Final = "Edge-Export"
"""Header of the manifest of an export: what its files are asked for by."""
SIZE: Final = "Edge-Size"
"""Header of a piece of a file: how long the whole file is, bytes."""

ROWS: Final = "Edge-Rows"
"""Header of a page: how many scans it holds."""

MAX_POST: Final = 8 * 1024 * 1024
"""Largest body of a POST, bytes: a CBOR sequence (RFC 8742) of batches."""
MAX_ANSWER: Final = 256 * 1024
"""Largest answer a gate reads, bytes."""
MAX_SIGNED: Final = 16 * 1024
"""Largest signed message that is no batch, bytes."""
