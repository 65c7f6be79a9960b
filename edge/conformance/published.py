"""Keys that stand beside public cases, brought in as the authority brings them in and read as a gate reads them."""

import json

from edge.authority import key_sources
from edge.authority.key_sources import Wish
from edge.conformance import country
from edge.model.trust import Anchor
from edge.trust.anchors import anchors
from edge.trust.fields import SCHEMA, Document


def keys(data: bytes, wish: Wish) -> tuple[Anchor, ...]:
    """Return the keys of a file that can be used.

    Args:
        data: The file: certificates, a trust list, a key set or a DID document.
        wish: What the authority says of them.

    Raises:
        PublicationError: It is of no known shape.
        TrustError: The rows it becomes are refused.
    """
    rows = [found.row for found in key_sources.read(data, wish) if found.row is not None]
    members = {"schema": SCHEMA, "issuer": country.HOLDER, "format": wish.format, "hash_lists": [], "anchors": rows}
    return anchors(Document(json.dumps(members).encode(), "case"), country.HOLDER)
