"""Where scans and receipts lie on a stick: the same names for the gate that writes them and the hub that reads them.

    edge-scans/<gate id, hex>/<epoch, hex>-<first as 16 digits>.batches    a CBOR sequence (RFC 8742) of batches
    edge-scans/<gate id, hex>/receipts                                     a CBOR sequence of receipts

A batch has the same bytes as in a POST (`edge.ledger.batch`). Reading and writing files is left to gate and hub.
"""

from typing import Final

FOLDER: Final = "edge-scans"
SUFFIX: Final = ".batches"
RECEIPTS: Final = "receipts"
MAX_RECEIPTS: Final = 64
"""Most receipts in one file: one for each log of the gate, and those of other hubs."""
