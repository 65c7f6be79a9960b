"""What stands in each target, read strictly into the model's values (docs/formats.md gives the JSON with examples).

The gate reads a verified publication with it, the authority reads its own sources with it before it signs them: both
refuse the same things. Which bytes may be believed is left to `edge.trust.workflow`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from edge.codec.ed25519 import refuse_weak_box_key, refuse_weak_point
from edge.codec.sm2 import refuse_off_curve
from edge.errors import EncodingRefused
from edge.ledger.device import key_id
from edge.model.credential import NATIONAL_KINDS, PassKind
from edge.model.rules import GROUNDS, HEALTHS, Ground
from edge.model.trust import EDDSA, SM2, Issuer, IssuerKey, MatrixRow
from edge.trust import paths
from edge.trust.fields import Document, Fields

KINDS: Final = MappingProxyType({kind.name.lower(): kind for kind in PassKind})
OUTCOMES: Final = ("accept", "refer", "reject")
MAX_KEYS_PER_ID: Final = 4
"""Keys of one issuer that may share a key id: a gate tries no more."""
_ALGORITHMS: Final = MappingProxyType({"EdDSA": EDDSA, "SM2": SM2})
MAX_STATUS: Final = 65535
_MAX_LIST: Final = 999999
_DAY: Final = 86400
_YEAR: Final = 366 * _DAY
MAX_REGION: Final = 999999
LEAST_REGION: Final = 100000


def kinds(
    fields: Fields, member: str = "kinds", *, of: frozenset[PassKind] = frozenset(PassKind)
) -> frozenset[PassKind]:
    """Return a member that lists kinds of pass.

    Raises:
        TrustError: It is missing or names a kind that is not one of `of`.
    """
    found = fields.texts(member)
    known = [name for name, kind in KINDS.items() if kind in of]
    for name in found:
        if name not in known:
            raise fields.fault(member, f"may hold {', '.join(known)}")
    return frozenset(KINDS[name] for name in found)


def prefixes(fields: Fields, name: str) -> tuple[str, ...]:
    """Return a member that lists GB/T 2260 prefixes.

    Raises:
        TrustError: It is missing or holds something else.
    """
    found = fields.texts(name)
    for prefix in found:
        if not _is_prefix(prefix):
            raise fields.fault(name, "may hold GB/T 2260 prefixes of 2, 4 or 6 digits, or the empty text for all")
    return found


def _is_prefix(text: str) -> bool:
    return text == "" or (len(text) in {2, 4, 6} and text.isascii() and text.isdigit())


def _choice(fields: Fields, name: str, choices: tuple[str, ...]) -> str:
    found = fields.text(name)
    if found not in choices:
        raise fields.fault(name, f"must be one of {', '.join(choices)}")
    return found


def issuer_id(fields: Fields, name: str) -> str:
    """Return a member that names an issuer.

    Raises:
        TrustError: It is missing or can name none.
    """
    found = fields.text(name, 16)
    if not paths.is_issuer_id(found):
        raise fields.fault(name, "must be 2, 4 or 6 digits or a name of small letters")
    return found


def issuers(document: Document) -> Mapping[str, Issuer]:
    """Return the registry of `national/issuers.json` by issuer id.

    Raises:
        TrustError: A row is wrong or an id stands twice.
    """
    found: dict[str, Issuer] = {}
    for row in document.objects("issuers"):
        id_ = issuer_id(row, "id")
        if id_ in found:
            raise row.fault("id", "stands twice")
        region = 0 if row.integer("region", 0, MAX_REGION) == 0 else row.integer("region", LEAST_REGION, MAX_REGION)
        found[id_] = Issuer(id_, row.words("names"), region)
    return MappingProxyType(found)


def keys(document: Document, issuer: str) -> tuple[IssuerKey, ...]:
    """Return the keys of `issuers/<id>/keys.json`; those of an algorithm this software does not know are left out.

    Args:
        document: The target.
        issuer: The issuer its path names.

    Raises:
        TrustError: A row is wrong, the document names another issuer, or a key is weak.
    """
    if issuer_id(document, "issuer") != issuer:
        # Else a province's file could speak for another one.
        raise document.fault("issuer", "is not the issuer of this path")
    found = [_key(row, issuer) for row in document.objects("keys", 1000)]
    known = tuple(key for key in found if key is not None)
    for key in known:
        if sum(other.key_id == key.key_id for other in known) > MAX_KEYS_PER_ID:
            raise document.fault("keys", f"has more than {MAX_KEYS_PER_ID} keys of one kid")
        if sum(other.public == key.public for other in known) > 1:
            raise document.fault("keys", "has a public key twice")
    return known


def _key(row: Fields, issuer: str) -> IssuerKey | None:
    algorithm = _ALGORITHMS.get(row.text("alg"))
    public = row.data("public", 1, 4096)
    found = IssuerKey(
        issuer=issuer,
        key_id=row.data("kid", 1, 8),
        algorithm=algorithm or 0,
        public=public,
        kinds=kinds(row, of=NATIONAL_KINDS),
        regions=prefixes(row, "regions"),
        max_validity_s=row.integer("max_validity_s", 1, 10 * _YEAR),
        not_before=row.time("not_before"),
        not_after=row.time("not_after"),
        status_list=row.integer("status_list", 1, _MAX_LIST),
    )
    if found.not_before >= found.not_after:
        raise row.fault("not_after", "must be after not_before")
    # An issuer named by its region speaks of that region alone: a province's own role cannot publish otherwise.
    if issuer.isdigit() and not all(prefix.startswith(issuer) for prefix in found.regions):
        raise row.fault("regions", "may only hold places in the issuer's own region")
    if algorithm is None:
        return None
    try:
        (refuse_off_curve if algorithm == SM2 else refuse_weak_point)(public)
    except EncodingRefused as error:
        raise row.fault("public", f"is refused: {error.message}") from error
    return found


def matrix(document: Document) -> Mapping[tuple[str, int | None], tuple[MatrixRow, ...]]:
    """Return the rows of `national/matrix.json` by (issuer, status).

    Raises:
        TrustError: A row is wrong or two rows speak of the same (issuer, status, area).
    """
    found: dict[tuple[str, int | None], list[MatrixRow]] = {}
    for row in document.objects("rows"):
        issuer = issuer_id(row, "issuer")
        status = row.integer("status", 0, MAX_STATUS) if row.has("status") else None
        area = row.text_or_empty("area", 6)
        if not _is_prefix(area):
            raise row.fault("area", "must be a GB/T 2260 prefix of 2, 4 or 6 digits, or the empty text for everywhere")
        rows = found.setdefault((issuer, status), [])
        if any(other.area == area for other in rows):
            raise row.fault("area", "stands twice for this issuer and status")
        health, outcome = _choice(row, "health", HEALTHS), _choice(row, "outcome", OUTCOMES)
        rows.append(MatrixRow(issuer, status, area, health, outcome, _ground(row)))
    return MappingProxyType({key: tuple(rows) for key, rows in found.items()})


def _ground(row: Fields) -> Ground | None:
    if not row.has("class") and not row.has("basis"):
        return None
    return Ground(_choice(row, "class", GROUNDS), row.words("basis"))


def hub_keys(document: Document) -> Mapping[str, bytes]:
    """Return the receipt keys of `national/hubs.json` by key id.

    Raises:
        TrustError: A row is wrong, a key is weak or stands twice, or an id is not its key's.
    """
    found: dict[str, bytes] = {}
    for row in document.objects("hubs", 1000):
        public = row.data("public", 32, 32)
        named = row.data("key_id", 8, 8)
        if named != key_id(public) or named.hex() in found:
            raise row.fault("key_id", "is not the first 8 bytes of SHA-256 of the key, or stands twice")
        row.text("name")
        try:
            refuse_weak_point(public)
        except EncodingRefused as error:
            raise row.fault("public", f"is refused: {error.message}") from error
        found[named.hex()] = public
    return MappingProxyType(found)


def auditor(document: Document) -> bytes:
    """Return the X25519 key of `national/auditor.json`.

    Raises:
        TrustError: It is missing or weak.
    """
    public = document.data("public", 32, 32)
    try:
        refuse_weak_box_key(public)
    except EncodingRefused as error:
        raise document.fault("public", f"is refused: {error.message}") from error
    return public
