"""X.509 certificates to what a gate needs of them: a plain key, whose it is, what it may attest, and when.

Real government certificates break rules that strict parsers enforce (times, encodings of names, object identifiers).
So only the frame that RFC 5280, 4.1 fixes is walked here, once, at the authority; `cryptography` reads the key itself.
Nothing of it decides whether a certificate is to be trusted: that is the authority's own act.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from edge.errors import PublicationError

MAX_CERTIFICATE: Final = 64 << 10
_SEQUENCE, _SET, _OID, _BOOLEAN, _OCTETS, _UTC, _GENERALIZED = 0x30, 0x31, 0x06, 0x01, 0x04, 0x17, 0x18
_LENGTH_BYTES, _COUNTRY_CHARS = 4, 2
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_COUNTRY: Final = bytes.fromhex("550406")
_EXTENDED_USAGE: Final = bytes.fromhex("551d25")
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
    """

    key_id: bytes
    key: PlainKey
    country: str
    usages: tuple[str, ...]
    not_before: int
    not_after: int


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
    except (IndexError, ValueError, OverflowError) as error:
        raise PublicationError("It is no X.509 certificate.", _NEXT) from error


def ders(data: bytes) -> list[bytes]:
    """Return the DER certificates of a file: one in DER, or any number in PEM.

    Raises:
        PublicationError: There is none.
    """
    if data[:1] == bytes((_SEQUENCE,)):
        return [data]
    try:
        found = [base64.b64decode(b"".join(body.split()), validate=True) for body in _PEM.findall(data)]
    except (binascii.Error, ValueError) as error:
        raise PublicationError("A PEM certificate is not base64.", _NEXT) from error
    if not found:
        raise PublicationError("There is no certificate in it.", "Give a certificate in PEM or DER.")
    return found


def _read(der: bytes) -> Certificate:
    tag, start, end = _head(der, 0)
    if tag != _SEQUENCE or end != len(der) or len(der) > MAX_CERTIFICATE:
        raise ValueError("not one sequence")
    tag, start, end = _head(der, start)
    if tag != _SEQUENCE:
        raise ValueError("no TBSCertificate")
    # RFC 5280, 4.1: [version], serial, signature, issuer, validity, subject, key, then optional parts.
    parts = list(_elements(der, start, end))
    if parts and parts[0][0] == _VERSION:
        del parts[0]
    _, _, _, validity, subject, key, *rest = parts
    times = [_time(der, element) for element in _elements(der, validity[2], validity[3])]
    not_before, not_after = times
    return Certificate(
        key_id=sha256(der).digest()[:8],
        key=plain_key(der[key[1] : key[3]]),
        country=_country(der, subject),
        usages=_usages(der, rest),
        not_before=not_before,
        not_after=not_after,
    )


_Element = tuple[int, int, int, int]
"""Tag, where it begins, where its content begins, where it ends."""


def _head(der: bytes, pos: int) -> tuple[int, int, int]:
    tag, length = der[pos], der[pos + 1]
    pos += 2
    if length & 0x80:
        width = length & 0x7F
        if not 1 <= width <= _LENGTH_BYTES:
            raise ValueError("an indefinite or absurd length")
        length = int.from_bytes(der[pos : pos + width])
        pos += width
    if pos + length > len(der):
        raise ValueError("an element is longer than the data")
    return tag, pos, pos + length


def _elements(der: bytes, pos: int, end: int) -> Iterator[_Element]:
    while pos < end:
        tag, start, stop = _head(der, pos)
        if stop > end:
            raise ValueError("an element is longer than what holds it")
        yield tag, pos, start, stop
        pos = stop


def _time(der: bytes, element: _Element) -> int:
    tag, _, start, end = element
    text = der[start:end].decode("ascii")
    if tag not in {_UTC, _GENERALIZED}:
        raise ValueError("no time")
    if tag == _UTC:
        # RFC 5280, 4.1.2.5.1: years from 50 on are of the last century.
        text = ("19" if text[:2] >= "50" else "20") + text
    form = "%Y%m%d%H%M%S%z" if len(text) > len("202601010000Z") else "%Y%m%d%H%M%z"
    moment = datetime.strptime(text, form).astimezone(UTC)
    return max(0, int(moment.timestamp()))


def _country(der: bytes, subject: _Element) -> str:
    for _, _, start, end in _elements(der, subject[2], subject[3]):
        for _, _, inner, stop in _elements(der, start, end):
            name, value = list(_elements(der, inner, stop))[:2]
            text = der[value[2] : value[3]]
            if der[name[2] : name[3]] == _COUNTRY and len(text) == _COUNTRY_CHARS and text.isalpha():
                return text.decode("ascii").upper()
    return ""


def _usages(der: bytes, rest: list[_Element]) -> tuple[str, ...]:
    for tag, _, start, _ in rest:
        if tag != _EXTENSIONS:
            continue
        _, inner, stop = _head(der, start)
        for _, _, begin, end in _elements(der, inner, stop):
            found = list(_elements(der, begin, end))
            name, value = found[0], found[-1]
            if der[name[2] : name[3]] == _EXTENDED_USAGE and value[0] == _OCTETS:
                _, first, last = _head(der, value[2])
                return tuple(_dotted(der[at:to]) for kind, _, at, to in _elements(der, first, last) if kind == _OID)
    return ()


def _dotted(content: bytes) -> str:
    arcs, value = [], 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
