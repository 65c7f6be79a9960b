"""Card revocation lists of SMART Health Cards (`ISS/.well-known/crl/KID.json`) to the hashes that gates look up.

A list names revoked ids of one key. An id with a time behind it is revoked for cards issued before that time only;
lists of hashes know no times, so it is revoked for good: its issuer gives a new card another id.
"""

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from edge.errors import PublicationError

_RID: Final = re.compile(r"([A-Za-z0-9_-]{1,24})(?:\.[0-9]{1,12})?")
_KID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NEXT: Final = "Fetch it again from the issuer: ISS/.well-known/crl/KID.json."


def digests(data: bytes, place: str) -> Iterator[bytes]:
    """Yield SHA-256 of `KID.RID` for each id of a list, as `edge.credentials.shc` looks it up.

    Args:
        data: The JSON of one key's list.
        place: Its name, for messages.

    Raises:
        PublicationError: It is no such list, or an id is none.
    """
    try:
        found: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise PublicationError(f"{place} is no JSON.", _NEXT) from error
    kid, rids = (found.get(name) for name in ("kid", "rids")) if isinstance(found, dict) else (None, None)
    if not isinstance(kid, str) or not _KID.fullmatch(kid) or not isinstance(rids, list):
        raise PublicationError(f"{place} is no card revocation list: it needs kid and rids.", _NEXT)
    if found.get("method") != "rid":
        raise PublicationError(f"{place} revokes by another method than rid.", "Ask for a newer version of edge.")
    for number, rid in enumerate(rids):
        matched = _RID.fullmatch(rid) if isinstance(rid, str) else None
        if matched is None:
            raise PublicationError(f"{place}: rids[{number}] is no revocation id.", _NEXT)
        yield sha256(f"{kid}.{matched[1]}".encode()).digest()
