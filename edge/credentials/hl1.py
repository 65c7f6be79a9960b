"""A live presentation `HL1:` (ADR 0041): a national pass, a fresh time and the signature of the pass's holder key.

    HL1: + Base45( [ << {1: -8} >>, {}, << {6: iat, ? 10: nonce, -70003: the pass's message} >>, signature ] )

One byte string for every content, as `HP1:`. Whether signatures hold and the time is fresh is left to `edge.verify`.
"""

from typing import Final

from edge.codec import base45, cbor, cose
from edge.credentials import hp1
from edge.errors import CredentialError, EncodingRefused
from edge.model.credential import Credential, Proof
from edge.model.verdict import Reason

NAME: Final = "hl1"
PREFIX: Final = b"HL1:"
MAX_CHARS: Final = 1400
"""The largest pass, and what is around it; a longer code is refused before it is decoded."""

IAT, NONCE, PASS = 6, 10, -70003
NONCE_BYTES: Final = 8
_DIGITS: Final = frozenset(b"0123456789")
_MAX_TIME: Final = 1 << 40


class Hl1:
    """The live presentation as a credential format (`edge.credentials.format.Format`)."""

    name = NAME

    def recognises(self, raw: bytes) -> bool:
        """Whether the code begins with `HL1:`."""
        return raw.startswith(PREFIX)

    def parse(self, raw: bytes) -> Credential:
        """Return the pass's credential with what its holder signed; its identity is the pass's (ADR 0002).

        Raises:
            CredentialError: `credential.too_large` above 1400 characters, else `credential.malformed`.
        """
        if len(raw) > MAX_CHARS:
            raise CredentialError(Reason.CREDENTIAL_TOO_LARGE)
        try:
            message = cose.parse(base45.decode(raw[4:]), names_key=False)
            claims = cbor.decode(message.payload)
        except EncodingRefused:
            raise CredentialError(Reason.CREDENTIAL_MALFORMED) from None
        if message.algorithm != cose.EDDSA or not _is_whole(claims):
            raise CredentialError(Reason.CREDENTIAL_MALFORMED)
        proof = Proof(claims[IAT], claims.get(NONCE, b""), message.to_be_signed, message.signature)
        found = hp1.read(claims[PASS], name=NAME, proof=proof)
        if found.holder_key is None:
            # Nobody's key could have signed around it.
            raise CredentialError(Reason.CREDENTIAL_MALFORMED)
        return found


FORMAT: Final = Hl1()


def _is_whole(claims: object) -> bool:
    if type(claims) is not dict or len(claims) != 2 + (NONCE in claims):
        return False
    at, inner = claims.get(IAT), claims.get(PASS)
    if type(at) is not int or not 0 <= at <= _MAX_TIME or type(inner) is not bytes:
        return False
    return NONCE not in claims or is_nonce(claims[NONCE])


def is_nonce(value: object) -> bool:
    """Whether a value is what a gate asks with: eight ASCII digits (an `eat_nonce` of 8 bytes, RFC 9711, 4.1)."""
    return type(value) is bytes and len(value) == NONCE_BYTES and _DIGITS.issuperset(value)


def unsigned(code: bytes, at: int, nonce: bytes = b"") -> hp1.Unsigned:
    """Lay out a presentation for the holder's key.

    Args:
        code: The pass as its issuer made it, `HP1:...`.
        at: Unix seconds.
        nonce: The gate's eight digits, or empty.

    Raises:
        CredentialError: It is no pass bound to a holder key, or a value lies outside the CDDL.
    """
    if hp1.FORMAT.parse(code).holder_key is None:
        raise CredentialError(Reason.LIVE_UNBOUND)
    claims = {IAT: at, PASS: base45.decode(code[4:])} | ({NONCE: nonce} if nonce else {})
    laid_out = hp1.Unsigned(cose.protected_header(None), cbor.encode(claims), PREFIX)
    # The one judge of the form is the parser: what it would refuse is never signed.
    FORMAT.parse(laid_out.sign(bytes(64)))
    return laid_out
