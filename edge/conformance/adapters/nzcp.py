"""NZ COVID Pass cases: a pass, a clock, and whether it holds or why not; keys in the DID document beside."""

from collections.abc import Mapping
from typing import Any, Final

from edge.authority.key_sources import Wish
from edge.conformance import country, published
from edge.conformance.cases import Case
from edge.credentials import nzcp
from edge.errors import CredentialError
from edge.model.moment import Moment
from edge.model.verdict import Reason
from edge.verify.verify import verify

_TOLD: Final = {Reason.OK: "ok", Reason.TIME_EXPIRED: "EXPIRED", Reason.TIME_NOT_YET_VALID: "NOT_ACTIVE"}
_ELSE: Final = "FAIL"
_KEYS: Final = Wish(nzcp.NAME, kinds=("health",))


class NzcpCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = nzcp.NAME

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it has a code of the NZCP scheme, of whatever version, and a clock."""
        return str(members.get("qr", "")).upper().startswith("NZCP:") and "clock" in members

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came; a label that is none of ours is a refusal."""
        label = case.members.get("expect")
        return {"expect": label if label in _TOLD.values() else _ELSE}, {"expect": _told(case)}


def _told(case: Case) -> str:
    raw, now = str(case.members["qr"]).encode(), int(case.members["clock"])
    try:
        if not nzcp.FORMAT.recognises(raw):
            return _ELSE
        credential = nzcp.FORMAT.parse(raw)
    except CredentialError:
        return _ELSE
    trust = country.believing(published.keys(case.beside("did.json"), _KEYS), now)
    return _TOLD.get(verify(credential, trust, Moment(now * 1000)).reason, _ELSE)


ADAPTER: Final = NzcpCases()
