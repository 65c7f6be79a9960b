"""Cases of verifiable credentials: a token, the key of its issuer, whether it holds or for what reason not.

Members: `vc` (the token), `jwk`, `expect` (`ok`, or a reason of ours), and where the case tells: `clock` (Unix seconds;
else the time from which it is valid), `bound` (to a holder's key), `claims` (by name; null: not disclosed).
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from edge.authority.key_sources import Wish
from edge.conformance import country, published
from edge.conformance.cases import Case
from edge.credentials import vc
from edge.credentials.format import parse
from edge.errors import CredentialError
from edge.model.credential import ForeignCredential
from edge.model.moment import Moment
from edge.verify.verify import verify

_KID: Final = "case"


class VcCases:
    """The adapter (`edge.conformance.adapters.Adapter`)."""

    format = vc.NAME

    def takes(self, members: Mapping[str, Any]) -> bool:
        """Whether it has a token and a key."""
        return {"vc", "jwk", "expect"} <= members.keys()

    def judge(self, case: Case) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what was expected of a case and what came."""
        members = case.members
        wanted = {name: members[name] for name in ("expect", "bound", "claims") if name in members}
        raw = str(members["vc"]).encode(errors="replace")
        try:
            credential = parse(raw, (vc.FORMAT,))
        except CredentialError as refusal:
            return wanted, {"expect": refusal.reason.value}
        if not isinstance(credential, ForeignCredential):
            return wanted, {}
        claims = {name: credential.claims.get(name) for name in members.get("claims") or ()}
        return wanted, {"expect": _reason(members, credential), "bound": credential.is_bound, "claims": claims}


def _reason(members: Mapping[str, Any], credential: ForeignCredential) -> str:
    keys = json.dumps({"keys": [{**members["jwk"], "kid": _KID}]}).encode()
    found = published.keys(keys, Wish(vc.NAME, credential.issuer, ("statement",)))
    # The key is the one that the token names, or that names none.
    now = int(members.get("clock") or credential.issued_at or 0)
    trust = country.believing([replace(key, key_id=credential.key_id) for key in found], now)
    return verify(credential, trust, Moment(now * 1000)).reason.value


ADAPTER: Final = VcCases()
