"""Secret keys that open encrypted codes; they attest nothing: whoever holds one could have written the code, too."""

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

A128GCM: Final = 1
A192GCM: Final = 2
A256GCM: Final = 3
KEY_BYTES: Final = MappingProxyType({A128GCM: 16, A192GCM: 24, A256GCM: 32})
"""Length of a key by COSE algorithm number (RFC 9053, 4.1)."""


@dataclass(frozen=True, slots=True)
class CodeKey:
    """One key that this gate shares with whoever encrypts codes.

    Attributes:
        algorithm: COSE number of the one algorithm it is used with.
        key_id: Key id that codes name it by, 0 to 64 bytes; empty: for codes that name none.
        secret: As many bytes as the algorithm takes; shown nowhere.
    """

    algorithm: int
    key_id: bytes
    secret: bytes = field(repr=False)
