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


def _yuekang(raw: bytes) -> bool:
    if not raw.startswith(b"{"):
        return False
    try:
        document: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("label") == "yss"


def _national(raw: bytes) -> bool:
    if len(raw) != _JKM_CHARS:
        return False
    try:
        decoded = binascii.a2b_base64(raw, strict_mode=True)
    except binascii.Error:
        return False
    return len(decoded) == _JKM_BYTES and _JKM_TAG.search(decoded) is not None and b"GBGS" in decoded


FAMILIES: Final = ("nhc", "yuekang", "jkm")
"""Every family there is, by its stable name."""


def _family(raw: bytes) -> tuple[str, str] | None:
    if _NHC.fullmatch(raw):
        return "nhc", "nhc"
    if _yuekang(raw):
        return "yuekang", "44"
    return ("jkm", "cn") if _national(raw) else None


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
