"""Live codes of the regional systems: opaque server tokens that carry no signature.

Their verification is defined as an online call (GB/T 38963-2020), so no gate can check them: they are recognised, named
and referred, never accepted. Shapes are those that public gate clients read (docs/formats.md).
"""

import binascii
import json
import re
from typing import Any, Final

from edge.errors import CredentialError
from edge.model.credential import ServerToken
from edge.model.verdict import Reason

NAME: Final = "server_token"
_NHC: Final = re.compile(rb"[0-9A-Fa-f]{64}(?::[0-9])?")
_JKM_BYTES: Final = 201
_JKM_CHARS: Final = 268
_JKM_TAG: Final = re.compile(rb"JKM1[0-9]{2,6}")


def _of_object(raw: bytes) -> tuple[str, str] | None:
    """Return the family of a code that is a JSON object."""
    if not raw.startswith(b"{"):
        return None
    try:
        document: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if document.get("label") == "yss":
        return "yuekang", "44"
    # The one member that a gate client of Chongqing takes out of the object it scanned (hqwlkj/flutter_huashi).
    code_id = document.get("codeId")
    return ("yukang", "50") if isinstance(code_id, str) and code_id else None


def _national(raw: bytes) -> bool:
    if len(raw) != _JKM_CHARS:
        return False
    try:
        decoded = binascii.a2b_base64(raw, strict_mode=True)
    except binascii.Error:
        return False
    return len(decoded) == _JKM_BYTES and _JKM_TAG.search(decoded) is not None and b"GBGS" in decoded


_LINK: Final = re.compile(rb"https?://([A-Za-z0-9.-]{1,253})(?::[0-9]{1,5})?(?:[/?#].*)?", re.DOTALL)
_DOMAINS: Final = (
    # The operators never published a shape; a link below their own domain is what public clients scan and open.
    (b"xc.caict.ac.cn", "trip_card", "trip"),
    (b"cq.gov.cn", "yukang", "50"),
    (b"xa.gov.cn", "one_code_pass", "6101"),
    (b"beijing.gov.cn", "beijing_health_kit", "11"),
)
FAMILIES: Final = ("nhc", "yuekang", "jkm", *(family for _, family, _ in _DOMAINS))
"""Every family there is, by its stable name."""


def _family(raw: bytes) -> tuple[str, str] | None:
    if _NHC.fullmatch(raw):
        return "nhc", "nhc"
    return ("jkm", "cn") if _national(raw) else _of_object(raw) or _linked(raw)


def _linked(raw: bytes) -> tuple[str, str] | None:
    # Whole host names only: `https://cq.gov.cn.example/` and `https://cq.gov.cn@example/` are somebody else's.
    link = _LINK.fullmatch(raw)
    host = link[1].lower() if link else b""
    for domain, family, issuer in _DOMAINS:
        if host == domain or host.endswith(b"." + domain):
            return family, issuer
    return None


class ServerTokens:
    """The families of server tokens as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code has the shape of a known family."""
        return _family(raw) is not None

    def parse(self, raw: bytes) -> ServerToken:
        """Return the token's family.

        Raises:
            CredentialError: `credential.foreign` where no family has this shape.
        """
        family = _family(raw)
        if family is None:
            raise CredentialError(Reason.CREDENTIAL_FOREIGN)
        return ServerToken(NAME, family[0], family[1], raw)


FORMAT: Final = ServerTokens()
