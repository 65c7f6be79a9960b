"""Keys that open encrypted codes: a gate's secrets, never in the trust list (docs/adr/0055-encrypted-codes.md)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ContentKey:
    """One symmetric key.

    Attributes:
        format: Credential format whose codes it opens.
        key_id: Key id that codes name, 0 to 64 bytes; empty where they name none.
        secret: The key, 16, 24 or 32 bytes; in no text that is written down.
    """

    format: str
    key_id: bytes
    secret: bytes = field(repr=False)
