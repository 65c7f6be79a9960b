"""Signer certificates that a credential brings along: what a gate needs of them, out of the frame of RFC 5280, 4.1.

A gate has no X.509 library: those refuse real government certificates, and some have crashed on forged ones. Nothing
here says that a certificate is to be trusted: an anchor's signature over `signed` does, or nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge.codec import ecdsa_der
from edge.codec.der import BITS, OCTETS, OID, SEQUENCE, Element, dotted, element, inside, time
from edge.errors import EncodingRefused

MAX_SIGNER: Final = 2048
"""No certificate within a symbol is longer, bytes."""
_VERSION, _EXTENSIONS, _KEY_IDENTIFIER = 0xA0, 0xA3, 0x80
_EC_KEY: Final = "1.2.840.10045.2.1"
_CURVES: Final[Mapping[str, tuple[int, int]]] = {"1.2.840.10045.3.1.7": (-7, 65), "1.3.132.0.34": (-35, 97)}
_SIGNATURES: Final[Mapping[str, tuple[int, int]]] = {"1.2.840.10045.4.3.2": (-7, 32), "1.2.840.10045.4.3.3": (-35, 48)}
"""By object identifier: COSE algorithm, and bytes of a point or of a number (RFC 5480, 2.1.1; RFC 5758, 3.2)."""
_SUBJECT_KEY, _AUTHORITY_KEY, _EXTENDED_USAGE = "2.5.29.14", "2.5.29.35", "2.5.29.37"


@dataclass(frozen=True, slots=True)
class Signer:
    """What stands in a signer's certificate.

    Attributes:
        public: Its key, 04||x||y.
        key_algorithm: COSE algorithm of that key.
        signed: TBSCertificate, which its issuer signed.
        algorithm: COSE algorithm of that signature.
        signature: r||s.
        authority_key_id: What names the issuer's key, or empty.
        usages: Extended key usages, dotted.
        not_before: Unix seconds.
        not_after: Unix seconds.
    """

    public: bytes
    key_algorithm: int
    signed: bytes
    algorithm: int
    signature: bytes
    authority_key_id: bytes
    usages: tuple[str, ...]
    not_before: int
    not_after: int


def signer(der: bytes) -> Signer:
    """Return what stands in an ECDSA certificate (P-256, P-384) signed with ECDSA.

    Raises:
        EncodingRefused: It is anything else.
    """
    frame = element(der, 0)
    if frame.tag != SEQUENCE or frame.end != len(der) or len(der) > MAX_SIGNER:
        raise EncodingRefused("no certificate")
    body, scheme, signature = _exactly(3, inside(der, frame))
    # RFC 5280, 4.1: [version], serial, signature, issuer, validity, subject, key, then optional parts.
    parts = inside(der, body)
    if parts and parts[0].tag == _VERSION:
        del parts[0]
    if len(parts) < 6 or parts[1].whole(der) != scheme.whole(der):  # the six parts above
        # RFC 5280, 4.1.1.2: the algorithm stands twice, once signed.
        raise EncodingRefused("a certificate of missing parts, or of two algorithms")
    not_before, not_after = _exactly(2, inside(der, parts[3]))
    key_algorithm, public = _key(der, parts[5])
    algorithm, fixed = _signature(der, scheme, signature)
    found = extensions(der, parts[6:])
    return Signer(
        public,
        key_algorithm,
        body.whole(der),
        algorithm,
        fixed,
        _authority_key_id(found),
        usages(found),
        time(der, not_before),
        time(der, not_after),
    )


def extensions(der: bytes, rest: Sequence[Element]) -> dict[str, bytes]:
    """Return the extensions among the optional parts of a certificate, by dotted name.

    Raises:
        EncodingRefused: They are not of their form, or one stands twice (RFC 5280, 4.2).
    """
    found: dict[str, bytes] = {}
    for part in rest:
        if part.tag != _EXTENSIONS:
            continue
        for extension in inside(der, element(der, part.start, part.end)):
            fields = inside(der, extension)
            if len(fields) < 2 or fields[0].tag != OID or fields[-1].tag != OCTETS:  # name and value
                raise EncodingRefused("an extension is not of its form")
            name = dotted(fields[0].content(der))
            if name in found:
                raise EncodingRefused("an extension stands twice")
            found[name] = fields[-1].content(der)
    return found


def usages(found: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the extended key usages among extensions, dotted.

    Raises:
        EncodingRefused: They are not of their form.
    """
    value = found.get(_EXTENDED_USAGE)
    if value is None:
        return ()
    return tuple(dotted(one.content(value)) for one in inside(value, element(value, 0)) if one.tag == OID)


def subject_key_id(found: Mapping[str, bytes]) -> bytes:
    """Return the subject key identifier among extensions, or nothing.

    Raises:
        EncodingRefused: It is not of its form.
    """
    value = found.get(_SUBJECT_KEY)
    return element(value, 0).content(value) if value is not None else b""


def _authority_key_id(found: Mapping[str, bytes]) -> bytes:
    value = found.get(_AUTHORITY_KEY)
    if value is None:
        return b""
    named = [one.content(value) for one in inside(value, element(value, 0)) if one.tag == _KEY_IDENTIFIER]
    if len(named) > 1 or any(len(one) > 64 for one in named):  # bytes of any key id (ADR 0044)
        raise EncodingRefused("an authority key identifier is not of its form")
    return named[0] if named else b""


def _exactly(count: int, found: list[Element]) -> list[Element]:
    if len(found) != count:
        raise EncodingRefused("a certificate is not of its form")
    return found


def _key(der: bytes, spki: Element) -> tuple[int, bytes]:
    scheme, bits = _exactly(2, inside(der, spki))
    names = [dotted(one.content(der)) for one in _exactly(2, inside(der, scheme)) if one.tag == OID]
    algorithm, size = _CURVES.get(names[-1] if names[:1] == [_EC_KEY] else "", (0, 0))
    point = bits.content(der)
    if not size or bits.tag != BITS or len(point) != size + 1 or point[:2] != b"\0\x04":
        raise EncodingRefused("a key of another kind")
    return algorithm, point[1:]


def _signature(der: bytes, scheme: Element, bits: Element) -> tuple[int, bytes]:
    # Some write an explicit NULL behind the name, against RFC 5758, 3.2; it is signed like all of it.
    parts = inside(der, scheme)
    algorithm, size = _SIGNATURES.get(dotted(parts[0].content(der)) if parts else "", (0, 0))
    value = bits.content(der)
    if not size or bits.tag != BITS or value[:1] != b"\0":
        raise EncodingRefused("a signature of another kind")
    return algorithm, ecdsa_der.to_fixed(value[1:], size)
