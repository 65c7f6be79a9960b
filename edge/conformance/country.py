"""A country of conformance cases: it believes the keys of one case and admits every format and kind."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from edge.model.credential import PassKind
from edge.model.trust import Anchor, Issuer, MatrixRow, Policy, TrustSnapshot, TrustVersions
from edge.trust.anchors import by_place

HOLDER: Final = "case"
FAR: Final = 1 << 36
"""A time past all of those that cases speak of, Unix seconds."""
_NAMES: Final = MappingProxyType({"en": "Case", "zh": "案例"})
_YEAR: Final = 366 * 86400


def believing(anchors: Iterable[Anchor], now: int) -> TrustSnapshot:
    """Return trust in these anchors, fresh at `now` (Unix seconds)."""
    found = tuple(anchors)
    policy = Policy(
        version=1,
        purpose=_NAMES,
        ends_at=FAR,
        formats=frozenset(anchor.format for anchor in found),
        kinds=frozenset(PassKind),
        repeat_window_s=0,
        short_lived_s=0,
        stale_after_s=_YEAR,
        too_old_after_s=_YEAR,
        retention_s=0,
        travel_days=0,
        listed_areas=(),
    )
    return TrustSnapshot(
        versions=TrustVersions(1, 1, 1, 1),
        digest=bytes(32),
        issued_at=now,
        newest_expiry=FAR,
        issuers=MappingProxyType({HOLDER: Issuer(HOLDER, _NAMES, 0)}),
        keys=MappingProxyType({}),
        status_lists=MappingProxyType({}),
        matrix=MappingProxyType({(HOLDER, None): (MatrixRow(HOLDER, None, "", "none", "accept"),)}),
        policy=policy,
        regions=MappingProxyType({}),
        anchors=by_place(found),
    )
