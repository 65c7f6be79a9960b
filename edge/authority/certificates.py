"""X.509 certificates to what a gate needs of them: a plain key, whose it is, what it may attest, and when.

Real government certificates break rules that strict parsers enforce (times, encodings of names, object identifiers).
So only the frame that RFC 5280, 4.1 fixes is walked here, once, at the authority; `cryptography` reads the key itself.
Nothing of it decides whether a certificate is to be trusted: that is the authority's own act.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from edge.codec import x509
from edge.codec.der import SEQUENCE, Element, element, inside, time
from edge.errors import EncodingRefused, PublicationError

MAX_CERTIFICATE: Final = 64 << 10
_COUNTRY_CHARS: Final = 2
_VERSION: Final = 0xA0
_COUNTRY: Final = bytes.fromhex("550406")
_COMMON_NAME: Final = bytes.fromhex("550403")
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_NEXT: Final = "Leave it out, or ask its issuer for another."


@dataclass(frozen=True, slots=True)
class PlainKey:
    """A public key as trust data writes it.

    Attributes:
        algorithms: Names of the algorithms it can be used with, the usual one first (`ES256`; `PS256`, `RS256`).
        public: The plain key (Ed25519: 32 bytes; ECDSA: 04||x||y; RSA: DER RSAPublicKey).
    """

    algorithms: tuple[str, ...]
    public: bytes


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was read of a certificate.

    Attributes:
        key_id: The first 8 bytes of SHA-256 of the whole (HCERT 1.0.5, 3.3.2).
        key: Its key.
        country: Country of the subject, two letters, or empty.
        usages: Extended key usages, dotted.
        not_before: Unix seconds.
        not_after: Unix seconds.
        common_name: Common name of the subject, or empty.
        issuer_name: Common name of the issuer, or empty.
        subject_key_id: What certificates signed by it name it by (RFC 5280, 4.2.1.2), or empty.
    """

    key_id: bytes
    key: PlainKey
    country: str
    usages: tuple[str, ...]
    not_before: int
    not_after: int
    common_name: str = ""
    issuer_name: str = ""
    subject_key_id: bytes = b""


def plain_key(spki: bytes) -> PlainKey:
    """Return the plain key of a DER SubjectPublicKeyInfo.

    Raises:
        PublicationError: It is of a type or size that no gate verifies.
    """
    try:
        key = load_der_public_key(spki)
    except Exception as error:  # `cryptography` raises ValueError, UnsupportedAlgorithm and its own for foreign bytes
        raise PublicationError("The public key cannot be read.", _NEXT) from error
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in {"secp256r1", "secp384r1"}:
        name = "ES256" if key.curve.name == "secp256r1" else "ES384"
        return PlainKey((name,), key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    if isinstance(key, rsa.RSAPublicKey):
        return PlainKey(("PS256", "RS256"), key.public_bytes(Encoding.DER, PublicFormat.PKCS1))
    if isinstance(key, ed25519.Ed25519PublicKey):
        return PlainKey(("EdDSA",), key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    raise PublicationError("The public key is of a type that no gate verifies.", _NEXT)


def read(der: bytes) -> Certificate:
    """Return what stands in a DER certificate.

    Raises:
        PublicationError: It is no certificate, or its key is none a gate verifies.
    """
    try:
        return _read(der)
    except (EncodingRefused, ValueError) as error:
        raise PublicationError("It is no X.509 certificate.", _NEXT) from error


def ders(data: bytes) -> list[bytes]:
    """Return the DER certificates of a file: one in DER, or any number in PEM.

    Raises:
        PublicationError: There is none.
    """
    if data[:1] == bytes((SEQUENCE,)):
        return [data]
    try:
        found = [base64.b64decode(b"".join(body.split()), validate=True) for body in _PEM.findall(data)]
    except (binascii.Error, ValueError) as error:
        raise PublicationError("A PEM certificate is not base64.", _NEXT) from error
    if not found:
        raise PublicationError("There is no certificate in it.", "Give a certificate in PEM or DER.")
    return found


def _read(der: bytes) -> Certificate:
    frame = element(der, 0)
    if frame.tag != SEQUENCE or frame.end != len(der) or len(der) > MAX_CERTIFICATE:
        raise ValueError("not one sequence")
    body = element(der, frame.start, frame.end)
    if body.tag != SEQUENCE:
        raise ValueError("no TBSCertificate")
    # RFC 5280, 4.1: [version], serial, signature, issuer, validity, subject, key, then optional parts.
    parts = inside(der, body)
    if parts and parts[0].tag == _VERSION:
        del parts[0]
    _, _, issuer, validity, subject, key, *rest = parts
    not_before, not_after = (time(der, found) for found in inside(der, validity))
    extensions = x509.extensions(der, rest)
    return Certificate(
        key_id=sha256(der).digest()[:8],
        key=plain_key(key.whole(der)),
        country=_country(der, subject),
        usages=x509.usages(extensions),
        not_before=not_before,
        not_after=not_after,
        common_name=_named(der, subject, _COMMON_NAME),
        issuer_name=_named(der, issuer, _COMMON_NAME),
        subject_key_id=x509.subject_key_id(extensions),
    )


def _named(der: bytes, name: Element, attribute: bytes) -> str:
    for group in inside(der, name):
        for found in inside(der, group):
            kind, value = inside(der, found)[:2]
            if kind.content(der) == attribute:
                return value.content(der).decode("ascii", "replace")
    return ""


def _country(der: bytes, subject: Element) -> str:
    text = _named(der, subject, _COUNTRY)
    return text.upper() if len(text) == _COUNTRY_CHARS and text.isalpha() and text.isascii() else ""
