"""A small country for tests of the core: one issuer, one key, one policy, as a trust snapshot without a repository."""

from dataclasses import replace
from types import MappingProxyType

from nacl.signing import SigningKey

from edge.credentials import hl1, hp1, server_token
from edge.model.credential import Claims, PassKind, PersonClaims
from edge.model.moment import ClockQuality, Moment
from edge.model.trust import (
    EDDSA,
    Issuer,
    IssuerKey,
    MatrixRow,
    PackedList,
    Policy,
    TrustSnapshot,
    TrustVersions,
)
from edge.policy.decide import Place
from edge.policy.examine import Context, NobodySeen, Sightings

ISSUED = 1_795_000_000
EXPIRES = ISSUED + 86_400
NOW = ISSUED + 3600
DAY = 86_400
KEY = SigningKey(bytes(range(32)))
KID = b"\x07"
FORMATS = (hp1.FORMAT, hl1.FORMAT, server_token.FORMAT)
HOLDER = SigningKey(bytes(range(1, 33)))
PLACE = Place("440106")
REVOKED, SUSPENDED = 5, 6

ISSUER_KEY = IssuerKey(
    "44",
    KID,
    EDDSA,
    KEY.verify_key.encode(),
    frozenset(PassKind),
    ("44",),
    max_validity_s=400 * DAY,
    not_before=ISSUED - DAY,
    not_after=ISSUED + 1000 * DAY,
    status_list=1,
)
POLICY = Policy(
    version=3,
    purpose=MappingProxyType({"zh": "演练", "en": "exercise"}),
    ends_at=ISSUED + 300 * DAY,
    formats=frozenset({"hp1", "hl1"}),
    kinds=frozenset({PassKind.PERSON, PassKind.TRAVEL, PassKind.VISITOR}),
    repeat_window_s=300,
    short_lived_s=DAY,
    stale_after_s=DAY,
    too_old_after_s=30 * DAY,
    retention_s=7 * DAY,
    travel_days=14,
    listed_areas=("6101",),
)


def rows(issuer: str) -> dict[tuple[str, int | None], tuple[MatrixRow, ...]]:
    """The plain meanings: green passes, yellow is looked at, red is refused."""
    meanings = {
        0: ("green", "accept"),
        1: ("yellow", "refer"),
        10: ("red", "reject"),
        20: ("popup", "refer"),
        30: ("unknown", "refer"),
        None: ("green", "accept"),
    }
    return {
        (issuer, status): (MatrixRow(issuer, status, "", health, outcome),)
        for status, (health, outcome) in meanings.items()
    }


def status_list() -> PackedList:
    entries = bytearray(1024)
    entries[REVOKED // 4] |= 1 << 2 * (REVOKED % 4)
    entries[SUSPENDED // 4] |= 2 << 2 * (SUSPENDED % 4)
    return PackedList("issuers/44/status/1.cbor", 2, bytes(entries))


TRUST = TrustSnapshot(
    versions=TrustVersions(1, 9, 5, 4),
    digest=bytes(32),
    issued_at=ISSUED,
    newest_expiry=ISSUED + 365 * DAY,
    issuers=MappingProxyType({"44": Issuer("44", MappingProxyType({"zh": "粤康码", "en": "Yuekang"}), 440000)}),
    keys=MappingProxyType({("44", KID): (ISSUER_KEY,)}),
    status_lists=MappingProxyType({("44", 1): status_list()}),
    matrix=MappingProxyType(rows("44")),
    policy=POLICY,
    regions=MappingProxyType({440000: {"zh": "广东省", "en": "Guangdong"}, 110000: {"zh": "北京市", "en": "Beijing"}}),
)
PERSON = PersonClaims(0, 440106, bytes(6), 7, "张", b"abc", 1988, "3416", "张*伟")


def make_pass(
    claims: Claims = PERSON,
    kind: PassKind = PassKind.PERSON,
    *,
    validity: tuple[int, int] = (ISSUED, EXPIRES),
    issuer: str = "44",
    key: SigningKey = KEY,
    holder: SigningKey | None = None,
) -> bytes:
    """Issue a pass as the issuer would, bound to a holder's key where one is given."""
    holder_key = None if holder is None else holder.verify_key.encode()
    laid_out = hp1.unsigned(issuer, KID, validity, kind, claims, holder_key=holder_key)
    return laid_out.sign(key.sign(laid_out.to_be_signed).signature)


def shown_live(code: bytes, unix_s: int = NOW, nonce: bytes = b"", holder: SigningKey = HOLDER) -> bytes:
    """Show a bound pass as its holder's phone would."""
    laid_out = hl1.unsigned(code, unix_s, nonce)
    return laid_out.sign(holder.sign(laid_out.to_be_signed).signature)


def person(**changes: object) -> PersonClaims:
    return replace(PERSON, **changes)  # type: ignore[arg-type]


def at(unix_s: int, quality: ClockQuality = ClockQuality.SYNCED) -> Moment:
    return Moment(unix_s * 1000, quality)


def context(
    moment: Moment | None = None,
    trust: TrustSnapshot | None = TRUST,
    sightings: Sightings | None = None,
    place: Place = PLACE,
) -> Context:
    return Context(FORMATS, trust, moment or at(NOW), place, sightings or NobodySeen())
