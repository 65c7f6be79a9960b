"""Keys of other systems, read strictly from `issuers/<id>/anchors.json` (ADR 0044; docs/formats.md gives the JSON).

The authority has read certificates, key sets and trust lists; what stands here are plain keys with what each may say.
A gate reads it where its policy admits the format, and parses no certificate ever.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from edge.codec.ed25519 import refuse_weak_point
from edge.errors import EncodingRefused
from edge.model.credential import FOREIGN_KINDS, PassKind
from edge.model.trust import EDDSA, ES256, ES384, PS256, RS256, Anchor
from edge.trust import targets
from edge.trust.fields import Document, Fields

KINDS: Final = MappingProxyType({kind.name.lower(): kind for kind in sorted(FOREIGN_KINDS)})
ALGORITHMS: Final = MappingProxyType({"EdDSA": EDDSA, "ES256": ES256, "ES384": ES384, "PS256": PS256, "RS256": RS256})
MAX_ANCHORS: Final = 10000
MAX_HASH_LISTS: Final = 64
MAX_CLAIMED: Final = 400
MAX_TYPES: Final = 64
_MAX_KEY_ID: Final = 64
_MAX_LIST: Final = 999999


def format_of(document: Document) -> str:
    """Return the format that the keys of a document are for.

    Raises:
        TrustError: It is missing or no name of a format.
    """
    found = document.text("format", 32)
    if not found.isascii() or not found.replace("_", "").replace("-", "").isalnum():
        raise document.fault("format", "must be the name of a format, such as hcert")
    return found


def anchors(document: Document, issuer: str) -> tuple[Anchor, ...]:
    """Return the keys of a document; those of an algorithm this software does not know are left out.

    Args:
        document: The target.
        issuer: The issuer its path names.

    Raises:
        TrustError: A row is wrong, the document names another issuer, or a key cannot be used.
    """
    if targets.issuer_id(document, "issuer") != issuer:
        raise document.fault("issuer", "is not the issuer of this path")
    format_, lists, types = format_of(document), _lists(document), _types(document)
    found: dict[tuple[str, bytes], list[Anchor]] = {}
    for row in document.objects("anchors", MAX_ANCHORS):
        anchor = _anchor(row, (issuer, format_), lists)
        if anchor is None:
            continue
        anchor = replace(anchor, types=types)
        same = found.setdefault((anchor.claimed, anchor.key_id), [])
        if any(other.public == anchor.public for other in same):
            raise row.fault("public", "stands twice for this claimed issuer and kid")
        if len(same) == targets.MAX_KEYS_PER_ID:
            raise row.fault("kid", f"has more than {targets.MAX_KEYS_PER_ID} keys of this claimed issuer")
        same.append(anchor)
    return tuple(anchor for same in found.values() for anchor in same)


def _lists(document: Document) -> tuple[int, ...]:
    found = tuple(row.integer("list", 1, _MAX_LIST) for row in document.objects("hash_lists", MAX_HASH_LISTS))
    if len(set(found)) != len(found):
        raise document.fault("hash_lists", "names a list twice")
    return found


def _types(document: Document) -> tuple[tuple[str, PassKind], ...]:
    rows = document.objects("types", MAX_TYPES) if document.has("types") else []
    found = tuple((row.text("type", MAX_CLAIMED), _kind(row)) for row in rows)
    if len({name for name, _ in found}) != len(found):
        raise document.fault("types", "names a type twice")
    return found


def _kind(row: Fields) -> PassKind:
    found = KINDS.get(row.text("kind"))
    if found is None:
        raise row.fault("kind", f"must be one of {', '.join(KINDS)}")
    return found


def _anchor(row: Fields, named: tuple[str, str], lists: tuple[int, ...]) -> Anchor | None:
    algorithm = ALGORITHMS.get(row.text("alg"))
    found = Anchor(
        issuer=named[0],
        format=named[1],
        claimed=row.text_or_empty("claimed", MAX_CLAIMED),
        key_id=row.data("kid", 0, _MAX_KEY_ID),
        algorithm=algorithm or 0,
        public=row.data("public", 1, 4096),
        kinds=targets.kinds(row, of=FOREIGN_KINDS),
        not_before=row.time("not_before"),
        not_after=row.time("not_after"),
        hash_lists=lists,
    )
    if found.not_before >= found.not_after:
        raise row.fault("not_after", "must be after not_before")
    if algorithm is None:
        return None
    fault = unusable(algorithm, found.public)
    if fault:
        raise row.fault("public", f"is refused: {fault}")
    return found


def unusable(algorithm: int, public: bytes) -> str:
    """Return why nothing could or should be verified under a plain key, or the empty text."""
    if algorithm != EDDSA:
        from edge.verify import ecdsa_rsa  # noqa: PLC0415  # some 30 ms that gates without such formats never pay

        return "" if ecdsa_rsa.is_usable(algorithm, public) else "it is no key of this algorithm, or too short a one"
    try:
        refuse_weak_point(public)
    except EncodingRefused as error:
        return error.message
    return ""


def by_place(found: tuple[Anchor, ...]) -> Mapping[tuple[str, str, bytes], tuple[Anchor, ...]]:
    """Return keys as a snapshot holds them: by (format, claimed issuer, key id)."""
    placed: dict[tuple[str, str, bytes], tuple[Anchor, ...]] = {}
    for anchor in found:
        place = anchor.format, anchor.claimed, anchor.key_id
        placed[place] = (*placed.get(place, ()), anchor)
    return MappingProxyType(placed)
