"""Files in which other systems publish their keys, to rows of `issuers/<id>/anchors.json`.

A reader takes a file by its shape (certificates, DCC trust lists, key sets, DID documents) and yields a row a key. A
row that cannot be used is a problem with its place named, never a traceback: whoever asks may leave it out.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.authority import certificates, health_usage, key_sets
from edge.authority.certificates import Certificate
from edge.authority.key_sets import Named
from edge.errors import PublicationError
from edge.trust.fields import iso

Row = Mapping[str, Any]
_BRACKETS: Final = (b"{", b"[")
_PUBLIC_PEM: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----")
_LATEST: Final = 253402300799
"""9999-12-31T23:59:59Z, the end that certificates without one state (RFC 5280, 4.1.2.5)."""


@dataclass(frozen=True, slots=True)
class Found:
    """One key of a file.

    Attributes:
        place: Where it stands, for people.
        row: The row it becomes, or None where it cannot be used.
        problem: Why not, or empty.
    """

    place: str
    row: Row | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the authority says of the keys it brings in.

    Attributes:
        format: The format they sign.
        claimed: The issuer their credentials must claim; None: as the file says of each.
        kinds: What they may attest; None: as each certificate says (health certificates).
        algorithm: Their algorithm where a key could be used with several; None: the usual one.
    """

    format: str
    claimed: str | None = None
    kinds: tuple[str, ...] | None = None
    algorithm: str | None = None


Reader = Callable[[bytes, Wish], Iterator[Found] | None]
"""Returns the keys of a file of its shape, or None for any other."""


def read(data: bytes, wish: Wish) -> list[Found]:
    """Return every key of a file.

    Raises:
        PublicationError: It has none of the known shapes.
    """
    for reader in READERS:
        found = reader(data, wish)
        if found is not None:
            return list(found)
    raise PublicationError(
        "The file is of no known shape.",
        "Give certificates or public keys (PEM), DER, a DCC trust list in JSON, a JSON Web Key Set or a DID document.",
    )


def certificate_files(data: bytes, wish: Wish) -> Iterator[Found] | None:
    """Read certificates in PEM or DER."""
    if data.lstrip()[:1] in _BRACKETS or (data[:1] != b"\x30" and b"-----BEGIN CERTIFICATE-----" not in data):
        return None
    return (_of_der(der, wish, f"certificate {number}") for number, der in enumerate(certificates.ders(data), 1))


def public_keys(data: bytes, wish: Wish) -> Iterator[Found] | None:
    """Read bare public keys in PEM (RFC 7468, 13), as ticket sellers give them out; they have no end of their own."""
    if b"-----BEGIN PUBLIC KEY-----" not in data:
        return None
    return (_of_spki(body, wish, f"key {number}") for number, body in enumerate(_PUBLIC_PEM.findall(data), 1))


def trust_list(data: bytes, wish: Wish) -> Iterator[Found] | None:
    """Read a DCC trust list: the gateway's array, or `certificates` of the German list behind its signature line."""
    start = min((place for place in map(data.find, _BRACKETS) if place >= 0), default=-1)
    if start < 0:
        return None
    try:
        document = json.loads(data[start:])
    except (ValueError, RecursionError):
        return None
    rows = document.get("certificates") if isinstance(document, dict) else document
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "rawData" in row for row in rows):
        return None
    signers = [(number, row) for number, row in enumerate(rows) if row.get("certificateType", "DSC") == "DSC"]
    return (_listed(row, wish, f"certificates[{number}]") for number, row in signers)


def key_set(data: bytes, wish: Wish) -> Iterator[Found] | None:
    """Read a JSON Web Key Set, as issuers of SMART Health Cards publish it."""
    document = key_sets.document_of(data)
    keys = key_sets.of_set(document) if document is not None else None
    return None if keys is None else (_named(place, key, wish) for place, key in keys)


def did_document(data: bytes, wish: Wish) -> Iterator[Found] | None:
    """Read a DID document, as New Zealand publishes it."""
    document = key_sets.document_of(data)
    keys = key_sets.of_did(document) if document is not None else None
    return None if keys is None else (_named(place, key, wish) for place, key in keys)


READERS: Final[tuple[Reader, ...]] = (certificate_files, public_keys, trust_list, key_set, did_document)


def _named(place: str, key: Named | PublicationError, wish: Wish) -> Found:
    if isinstance(key, PublicationError):
        return Found(place, problem=key.message)
    claimed = key.issuer if wish.claimed is None else wish.claimed
    if not claimed:
        # Any issuer's name under this key would pass: a key set belongs to one (SHC, "Determining keys").
        return Found(place, problem="The file does not say whose key it is; name the issuer with --claimed.")
    if not wish.kinds:
        return Found(place, problem="The file does not say what the key may attest; name it with --kind.")
    if wish.algorithm not in {None, key.algorithm}:
        return Found(place, problem=f"Its key is for {key.algorithm}, not {wish.algorithm}.")
    if wish.format == "shc" and key.key_id.decode() != key_sets.thumbprint(key.public):
        return Found(place, problem="Its kid is not the thumbprint of the key (SMART Health Cards ask for it).")
    row = {"claimed": claimed, "kid": key.key_id.hex(), "alg": key.algorithm, "public": key.public.hex()}
    begins, ends = key.not_before or 0, _LATEST if key.not_after is None else min(key.not_after, _LATEST)
    return Found(place, {**row, "kinds": list(wish.kinds), "not_before": iso(begins), "not_after": iso(ends)})


def _listed(row: Mapping[str, Any], wish: Wish, place: str) -> Found:
    country = row.get("country")
    place = f"{place} ({country})" if isinstance(country, str) and country.isalpha() else place
    try:
        der = base64.b64decode(row["rawData"], validate=True)
        kid = base64.b64decode(row["kid"], validate=True) if row.get("kid") else None
    except (binascii.Error, ValueError, TypeError):
        return Found(place, problem="rawData or kid is not base64.")
    # The list's own key id counts: it is what credentials name.
    return _of_der(der, wish, place, kid=kid, country=country if isinstance(country, str) else None)


def _of_spki(body: bytes, wish: Wish, place: str) -> Found:
    try:
        key = certificates.plain_key(base64.b64decode(b"".join(body.split()), validate=True))
        bare = Certificate(b"", key, "", (), 0, _LATEST)
        return Found(place, _row(bare, wish, b"", ""))
    except (PublicationError, ValueError) as error:
        return Found(place, problem=error.message if isinstance(error, PublicationError) else "It is not base64.")


def _of_der(der: bytes, wish: Wish, place: str, *, kid: bytes | None = None, country: str | None = None) -> Found:
    try:
        found = certificates.read(der)
        named = _BINDINGS.get(wish.format, _as_health)(found)
        return Found(place, _row(found, wish, kid or named[1], country or named[0]))
    except PublicationError as error:
        return Found(place, problem=error.message)


def _as_health(found: Certificate) -> tuple[str, bytes]:
    return found.country, found.key_id


_BINDINGS: Final[Mapping[str, Callable[[Certificate], tuple[str, bytes]]]] = {
    # The CSCA is named by the key id in its signers' certificates; its country has three letters there: give it.
    "vdsnc": lambda found: ("", found.subject_key_id),
    # A 2D-DOC names its signer's authority and its certificate by their common names.
    "twoddoc": lambda found: (found.issuer_name, found.common_name.encode()),
    # These name no key at all.
    "aadhaar": lambda _: ("", b""),
    "pretix": lambda _: ("", b""),
}
"""By format: claimed issuer and key id, as its credentials name the signer of a certificate (ADR 0048)."""


_WITHOUT_USAGE: Final = frozenset(("aadhaar", "pretix", "twoddoc"))
"""Formats whose certificates, where they have any, state no usage that is one of ours."""


def _row(found: Certificate, wish: Wish, kid: bytes, country: str) -> Row:
    algorithm = wish.algorithm or found.key.algorithms[0]
    if algorithm not in found.key.algorithms:
        raise PublicationError(f"Its key is for {', '.join(found.key.algorithms)}, not {algorithm}.")
    if wish.format == "vdsnc" and not wish.claimed:
        # Without it, one country's authority could seal for every other.
        raise PublicationError("A CSCA speaks for one country; name its three letters with --claimed.")
    if wish.format in _WITHOUT_USAGE and not wish.kinds:
        raise PublicationError("The file does not say what the key may attest; name it with --kind.")
    return {
        "claimed": country if wish.claimed is None else wish.claimed,
        "kid": kid.hex(),
        "alg": algorithm,
        "public": found.key.public.hex(),
        "kinds": list(health_usage.kinds(found.usages) if wish.kinds is None else wish.kinds),
        "not_before": iso(min(found.not_before, _LATEST)),
        "not_after": iso(min(found.not_after, _LATEST)),
    }
