"""DIVOC vaccination certificates (India, Sri Lanka): a ZIP with `certificate.json`, recognised by its head.

Their signature is over the JSON-LD's canonical form, which is not computed here (ADR 0056): named, referred, never
green. Nothing of it is unpacked.
"""

from typing import Final

from edge.errors import CredentialError
from edge.model.credential import ServerToken
from edge.model.verdict import Reason

NAME: Final = "divoc"
_HEAD: Final = b"PK\x03\x04"
"""Local file header (APPNOTE.TXT 6.3.10, 4.3.7): the name's length stands at 26, the name at 30."""
_FILE: Final = b"certificate.json"


class Divoc:
    """The DIVOC certificate as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code is a ZIP archive that begins with the certificate."""
        return raw.startswith(_HEAD) and raw[26:28] == len(_FILE).to_bytes(2, "little") and raw[30:].startswith(_FILE)

    def parse(self, raw: bytes) -> ServerToken:
        """Return that it is one.

        Raises:
            CredentialError: `credential.foreign` where it is none.
        """
        if not self.recognises(raw):
            raise CredentialError(Reason.CREDENTIAL_FOREIGN)
        return ServerToken(NAME, NAME, "", raw)


FORMAT: Final = Divoc()
