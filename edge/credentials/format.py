"""The plug-in point of credential formats, and how presented bytes find theirs.

Formats are found through the entry points `edge.credentials`; built-ins are registered exactly as strangers are.
Loading them is the shell's (`edge.gate.build`); here they are an argument.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from edge.errors import CredentialError
from edge.model.code_key import CodeKey
from edge.model.credential import Presentation
from edge.model.verdict import Reason


class Format(Protocol):
    """One credential format.

    Promises: both methods are pure, total and bounded for any bytes up to 4,296 (the largest QR code); `parse` raises
    nothing but `CredentialError`; two presentations of the same signed bytes have equal identities.
    """

    @property
    def name(self) -> str:
        """The format's stable name, as policy and scan log write it."""

    def recognises(self, raw: bytes) -> bool:
        """Whether these bytes claim to be of this format; cheap, by their first bytes or their shape."""

    def parse(self, raw: bytes) -> Presentation:
        """Return what was presented.

        Raises:
            CredentialError: The bytes are not well-formed, with the reason the verdict will carry.
        """


@runtime_checkable
class OpensCodes(Format, Protocol):
    """A format whose codes may be encrypted.

    Promises: without a key that fits, `parse` refuses a code as `credential.encrypted`; that a key opens one makes
    nothing authentic.
    """

    def holding(self, keys: Sequence[CodeKey]) -> Format:
        """Return the format with these keys and no others."""


def parse(raw: bytes, formats: Sequence[Format]) -> Presentation:
    """Return what `raw` presents, by the first format that recognises it.

    Raises:
        CredentialError: No format recognises it (`credential.foreign`), or its format refuses it.
    """
    for known in formats:
        if known.recognises(raw):
            return known.parse(raw)
    raise CredentialError(Reason.CREDENTIAL_FOREIGN)
