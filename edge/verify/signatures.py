"""Does a signature hold under a plain public key? One verifier an algorithm.

Which algorithm is asked stands in the key record, never in what was presented. Ed25519 goes through libsodium; ECDSA
and RSA are loaded when the first such key is met: a gate of national passes alone never pays for them.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from edge.codec.ed25519 import KEY_BYTES
from edge.model.trust import EDDSA, ES256, ES384, PS256, RS256, Anchor, IssuerKey
from edge.model.verdict import OK, Reason

_SIGNATURE_BYTES: Final = 64
MAX_KEYS: Final = 4
"""Keys of one (issuer, key id) that are tried: key ids are short and may collide, but never all keys are tried."""
# Looked up once: every pass meets them (see `OK`).
_ALGORITHM: Final = Reason.KEY_ALGORITHM
_INVALID: Final = Reason.SIGNATURE_INVALID
Key = TypeVar("Key", IssuerKey, Anchor)


class Verifier(Protocol):
    """Checks signatures of one algorithm.

    Promises: pure and total: any bytes get an answer, none raise; a signature of another length than the algorithm's
    own is refused.
    """

    def __call__(self, public: bytes, signed: bytes, signature: bytes, /) -> bool:
        """Return whether `signature` over `signed` holds under the plain key `public`."""


class Signed(Protocol):
    """Bytes with a signature over them."""

    @property
    def algorithm(self) -> int:
        """COSE algorithm as claimed."""

    @property
    def signed(self) -> bytes:
        """The signed bytes."""

    @property
    def signature(self) -> bytes:
        """The signature over them."""


def ed25519(public: bytes, signed: bytes, signature: bytes) -> bool:
    """Check an Ed25519 signature of 64 bytes under a key of 32 bytes (RFC 8032, 5.1.7)."""
    # PyNaCl looks at neither length: libsodium would read past the end of a short key.
    if len(signature) != _SIGNATURE_BYTES or len(public) != KEY_BYTES:
        return False
    try:
        crypto_sign_open(signature + signed, public)
    except (BadSignatureError, ValueError):
        return False
    return True


@cache
def _loaded(name: str) -> Verifier:
    from edge.verify import ecdsa_rsa  # noqa: PLC0415  # some 30 ms that most gates never need

    found: Verifier = getattr(ecdsa_rsa, name)
    return found


def _foreign(name: str) -> Verifier:
    def holds(public: bytes, signed: bytes, signature: bytes) -> bool:
        return _loaded(name)(public, signed, signature)

    return holds


VERIFIERS: Final[Mapping[int, Verifier]] = MappingProxyType(
    {
        EDDSA: ed25519,
        ES256: _foreign("es256"),
        ES384: _foreign("es384"),
        PS256: _foreign("ps256"),
        RS256: _foreign("rs256"),
    }
)
"""By COSE algorithm number. A backend of the system (SM2) is added by the shell, where it was found to work."""


def signing_key(
    signed: Signed, candidates: Sequence[Key], verifiers: Mapping[int, Verifier]
) -> tuple[Key | None, Reason]:
    """Return the first candidate under which a signature holds, else None and why.

    Args:
        signed: What was presented.
        candidates: The keys of its issuer and key id; at most four are tried.
        verifiers: By COSE algorithm number; a key of an algorithm that has none here verifies nothing.
    """
    if not candidates:
        return None, Reason.KEY_UNKNOWN
    reason: Reason = _ALGORITHM
    for key in candidates[:MAX_KEYS]:
        # The algorithm comes from the key record; a header that says another is refused, never obeyed.
        if key.algorithm != signed.algorithm:
            continue
        holds = verifiers.get(key.algorithm)
        if holds is None:
            reason = Reason.KEY_UNSUPPORTED
            continue
        reason = _INVALID
        if holds(key.public, signed.signed, signed.signature):
            return key, OK
    return None, reason
